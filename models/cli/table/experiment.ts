import { backend, batchSize, checkpointSeconds, crop, dataDir, epochs, limit, width } from './common.ts';
import { choice, command, file, flag, folder, group, pattern, text, whole } from './row.ts';

const recipes = async (): Promise<readonly string[]> => (await import('../../recipes/catalogue.ts')).RECIPE_NAMES;

/** `lrd experiment`. */
export const EXPERIMENT = command({
  summary: 'every cell of a table or figure of the papers, skipping those done',
  about:
    'Runs the cells of an experiment, arms x seeds, each in a folder of its own; any number of processes may work on one --out. ' +
    'Without a NAME the experiments are listed.',
  words: {
    name: {
      about: 'The experiment.',
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
      list: flag({ about: 'Show the cells and how each stands, and run nothing.' }),
    }),
    ...group('Where and how:', {
      out: folder({ about: 'Where results go.', default: 'runs/experiments' }),
      workers: whole({ most: 1024, about: 'Processes that work side by side.', default: '1' }),
      'data-dir': dataDir,
      backend: { ...backend, default: 'auto' },
      'checkpoint-seconds': checkpointSeconds,
      'keep-checkpoints': flag({ about: 'Keep the checkpoint of a cell that is done.' }),
    }),
    ...group("In place of the paper's settings:", {
      recipe: choice(recipes, { value: 'R', about: 'Another network.', default: "the experiment's" }),
      data: text({ value: 'D', about: 'Another data set.', default: "the experiment's" }),
      epochs: { ...epochs, default: "the experiment's" },
      'batch-size': { ...batchSize, default: "the experiment's" },
      width: { ...width, default: "the experiment's" },
      limit,
      crop,
    }),
  },
  examples: [
    ['lrd experiment table1 --scale small', 'Table 1 as a laptop can run it'],
    ['lrd experiment fig1 --only adam --workers 2', 'the arms of Fig. 1 with adam in their name, by two processes'],
    ['lrd experiment table1 --list', 'which cells are done, and which failed'],
  ],
});

/** `lrd report`. */
export const REPORT = command({
  summary: 'runs side by side; experiments beside what the papers print',
  about:
    'One page that needs no network. A RUN is the folder of a run, the folder of an experiment, or a file of its results.',
  words: { runs: { about: 'Folders of runs or experiments, or files of results.', repeated: true, path: 'folder' } },
  options: {
    out: file({ value: 'FILE.html', about: 'The page.' }),
    json: file({ about: 'Results of the experiments, from which the same page can be made elsewhere.' }),
    title: text({ value: 'TITLE', about: "The page's heading.", default: 'Learning Rate Dropout: what was run' }),
  },
  examples: [
    ['lrd report runs/a runs/b --out page.html', 'curves and table of two runs'],
    ['lrd report runs/experiments --out page.html', "every experiment so far beside the papers' figures"],
  ],
});
