import { readTaskIndex } from '../../experiments/tasks.ts';
import {
  backend,
  batchSize,
  checkpointSeconds,
  context,
  crop,
  dataDir,
  dataNames,
  epochSteps,
  epochs,
  layers,
  limit,
  width,
} from './common.ts';
import { choice, command, file, flag, folder, group, pattern, readCount, special, text, whole } from './row.ts';

const recipes = async (): Promise<readonly string[]> => (await import('../../recipes/catalogue.ts')).RECIPE_NAMES;

const ENGINES = ['slurm', 'kubernetes'] as const;
/** Numbers of tasks, as array engines have them. */
const MOST_TASKS = 2 ** 31 - 1;

/** `lrd experiment`. */
export const EXPERIMENT = command({
  summary: 'every cell of a table or figure of the papers, or of your own, skipping those done',
  about:
    'Runs the cells of an experiment, arms x seeds, each in a folder of its own; any number of processes, on any number of machines, may ' +
    'work on one --out. Without a NAME the experiments are listed.',
  words: {
    name: {
      about:
        'The experiment: of the papers, or a file of your own (--json prints one to start from, --schema its form).',
      orPath: '.json',
      choices: async () => {
        const { EXPERIMENTS } = await import('../../experiments/catalogue.ts');
        return EXPERIMENTS.map(({ name }) => name);
      },
    },
  },
  options: {
    ...group('Which cells:', {
      only: pattern({ about: 'Cells whose ARM/seed=N this regular expression matches.', default: 'all' }),
      seeds: whole({
        most: 10_000,
        about: 'Seeds of each arm, from 1.',
        default: "the paper's; 1 at the small scale",
      }),
      scale: choice(async () => (await import('../../experiments/plan.ts')).SCALES, {
        value: 'SCALE',
        about: "The paper's sizes, or such as a laptop does in minutes.",
        default: 'full',
      }),
      select: flag({
        about:
          'Run what chooses the learning rates of an experiment that chooses some (masks): short runs of one seed, judged on training examples ' +
          'that are held out. The experiment itself, with the same --out and --scale, takes the rates from them.',
      }),
      list: flag({ about: 'Show the cells and how each stands, with what the cluster says, and run nothing.' }),
    }),
    ...group('Where and how:', {
      out: folder({ about: 'Where results go.', default: 'runs/experiments' }),
      workers: whole({ most: 1024, about: 'Processes that work side by side.', default: '1' }),
      'data-dir': dataDir,
      backend: {
        ...backend,
        about: `${backend.about} What auto took first holds for all cells of an --out.`,
        default: 'auto',
      },
      'checkpoint-seconds': checkpointSeconds,
      'keep-checkpoints': flag({ about: 'Keep the checkpoint of a cell that is done.' }),
    }),
    ...group('On a cluster:', {
      on: choice(ENGINES, {
        value: 'ENGINE',
        about:
          'Submit the cells that are neither done nor queued as array jobs of Slurm, and return at once; or print a Job of Kubernetes. ' +
          'What stands behind -- goes to sbatch as it is.',
      }),
      'array-limit': whole({ about: 'Tasks that run at one time.', default: 'as many as the cluster lets' }),
      'cells-per-task': whole({ most: 100_000, about: 'Cells that share a task, one after the other.', default: '1' }),
      prologue: file({ about: 'Lines for the script, ahead of the program: modules, paths.' }),
      'dry-run': flag({ about: 'Write the script and say what would be submitted.' }),
      cancel: flag({
        about: 'Cancel what the cluster has of this experiment in this --out; running cells stop behind a checkpoint.',
      }),
      image: text({ value: 'IMAGE', about: 'Of Kubernetes: the image, with lrd on its PATH.' }),
      claim: text({ value: 'NAME', about: 'Of Kubernetes: the persistent volume claim that holds --out.' }),
      mount: folder({ about: 'Of Kubernetes: where the claim is mounted in the pods.', default: '--out' }),
      gpus: special({
        value: 'N',
        about: 'Of Kubernetes: GPUs of a pod.',
        default: '0',
        read: (given, name) => readCount(given, name, { least: 0, most: 64 }),
      }),
    }),
    ...group('One task of any array engine:', {
      cell: special<string>({
        value: 'N',
        read: (given) => {
          if (given !== 'env') readTaskIndex(given, {});
          return given;
        },
        about:
          'Run the cell of this number alone, counted from 0 as --list shows them. With env, the number is taken from SLURM_ARRAY_TASK_ID, ' +
          'JOB_COMPLETION_INDEX, AWS_BATCH_JOB_ARRAY_INDEX, PBS_ARRAY_INDEX or LSB_JOBINDEX (which counts from 1).',
      }),
      'cell-offset': special({
        value: 'N',
        about: "Added to the task's number, as -1 where an array counts from 1.",
        default: '0',
        read: (given, name) => readCount(given, name, { least: -MOST_TASKS, most: MOST_TASKS }),
      }),
    }),
    ...group('For programs:', {
      json: flag({
        about:
          'Alone: print the experiment as a file, to make one of your own of it. Beside any other option: do what is asked for, and write a line of ' +
          'JSON to stdout for each thing that happens (a cell begins, an epoch, a cell ends, how far the whole is), and no progress.',
      }),
      schema: flag({
        about: 'Print the form of such files (JSON Schema), for editors; with --json, the form of the lines.',
      }),
    }),
    ...group("In place of the paper's settings:", {
      recipe: choice(
        recipes,
        { value: 'R', about: "Another network; a module's path for one of your own.", default: "the experiment's" },
        true,
      ),
      data: {
        ...text({
          value: 'D',
          about: "Another data set; a module's path for one of your own.",
          default: "the experiment's",
        }),
        choices: dataNames,
        orPath: true,
      },
      epochs: { ...epochs, default: "the experiment's" },
      'batch-size': { ...batchSize, default: "the experiment's" },
      width: { ...width, default: "the experiment's" },
      limit,
      crop,
      layers,
      context,
      'epoch-steps': { ...epochSteps, default: "the experiment's" },
    }),
  },
  examples: [
    ['lrd experiment table1 --scale small', 'Table 1 as a laptop can run it'],
    ['lrd experiment fig1 --only adam --workers 2', 'the arms of Fig. 1 with adam in their name, by two processes'],
    ['lrd experiment table1 --list', 'which cells are done, and which failed'],
    ['lrd experiment table1 --scale small --json', 'lines of JSON as it runs, for programs'],
    [
      'lrd experiment table3 --json > mine.json',
      'a file to make an experiment of your own of; lrd experiment mine.json runs it',
    ],
    [
      'lrd experiment table1 --on slurm --array-limit 20 --out /shared/table1 -- --partition gpu --gres gpu:1 --time 4:00:00',
      'array jobs of Slurm, of which 20 run at a time; the same call again submits what is left',
    ],
    ['lrd experiment table1 --cell env --out /shared/table1', 'the task of an array engine that calls this'],
  ],
  behind: 'SBATCH OPTIONS',
});

/** `lrd report`. */
export const REPORT = command({
  summary: 'runs side by side; experiments beside what the papers print',
  about:
    'One page that needs no network. A RUN is the folder of a run, a folder with runs in it, the folder of an experiment, or a file of its results.',
  words: { runs: { about: 'Folders of runs or experiments, or files of results.', repeated: true, path: 'file' } },
  options: {
    out: file({ value: 'FILE.html', about: 'The page.' }),
    json: file({ about: 'Results of the experiments, from which the same page can be made elsewhere.' }),
    title: text({ value: 'TITLE', about: "The page's heading.", default: 'Learning Rate Dropout: what was run' }),
    watch: folder({ about: 'Show a page that follows the runs of a folder as they train, on this machine alone.' }),
    port: whole({ most: 65_535, about: 'Where --watch listens.', default: 'any that is free' }),
  },
  examples: [
    ['lrd report runs/a runs/b --out page.html', 'curves and table of two runs'],
    ['lrd report --watch runs', 'a page that follows what trains there'],
    ['lrd report runs/experiments --out page.html', "every experiment so far beside the papers' figures"],
  ],
});

/** `lrd runs`. */
export const RUNS = command({
  summary: 'a table of the runs below a folder',
  about: 'State, epochs, accuracy, and the settings in which the runs differ.',
  words: { dir: { about: 'The folder.', default: 'runs', path: 'folder' } },
  options: { json: flag({ about: 'A line of JSON a run.' }) },
  examples: [
    ['lrd runs', 'what has been trained here'],
    ['lrd runs /shared/table1 --json', 'for programs'],
  ],
});

/** `lrd diff`. */
export const DIFF = command({
  summary: 'what differs between two runs: settings and curves',
  words: {
    a: { about: 'The folder of a run.', required: true, path: 'folder' },
    b: { about: 'The folder of another.', required: true, path: 'folder' },
  },
  options: { json: flag({ about: 'As JSON.' }) },
  examples: [['lrd diff runs/a runs/b', 'settings side by side, then the curves with their differences']],
});

/** `lrd export`. */
export const EXPORT = command({
  summary: "a run's trained network for other programs",
  about:
    "safetensors: a file with PyTorch's names and layouts, which torch loads and lrd train --init reads. tfjs: a folder with model.json, " +
    'which tf.loadGraphModel loads, in a browser too: it takes pixels as the network does and gives logits.',
  words: { run: { about: 'The folder of a run.', required: true, path: 'folder' } },
  options: {
    to: choice(['safetensors', 'tfjs'] as const, { value: 'FORM', about: 'The form.', default: 'safetensors' }),
    out: file({ value: 'PATH', about: 'The file, or the folder.', default: 'in the run: export.safetensors or tfjs/' }),
  },
  examples: [
    ['lrd export runs/a --to safetensors --out net.safetensors', 'for PyTorch'],
    ['lrd export runs/a --to tfjs --out site/model', 'for a page'],
  ],
});
