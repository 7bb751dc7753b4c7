import { join, resolve } from 'node:path';
import { foreignText } from 'learning-rate-dropout/internal';
import { JobError, STOPPED_TASK, UsageError } from '../errors.ts';
import { EXPERIMENTS, experimentIn, findExperiment } from '../experiments/catalogue.ts';
import type { Arm, Experiment } from '../experiments/experiment.ts';
import { fileOf } from '../experiments/experimentFile.ts';
import type { Plan, PlanRequest, PlannedCell } from '../experiments/plan.ts';
import {
  MEASURING_SEED,
  cellLabel,
  cellNumber,
  makePlan,
  planName,
  readPlan,
  recordPlan,
  recordedPlan,
  refuseWaiting,
  waitingArms,
} from '../experiments/plan.ts';
import type { Overlay } from '../experiments/settings.ts';
import { cancelJobs } from '../experiments/slurm/commands.ts';
import { SlurmFolder } from '../experiments/slurm/jobs.ts';
import type { CellStatus } from '../experiments/slurm/status.ts';
import { Queue, statusOf } from '../experiments/slurm/status.ts';
import { checkSubmission, submitToSlurm } from '../experiments/slurm/submit.ts';
import { chosenRates, selectionOf } from '../experiments/selection.ts';
import { asRecorded } from '../experiments/standIn.ts';
import { Store } from '../experiments/store.ts';
import { taskArguments } from '../experiments/taskCommand.ts';
import { cellsOfTask, readTaskIndex, taskCount } from '../experiments/tasks.ts';
import type { Overview } from '../experiments/overview.ts';
import { formatOverview, overviewOf } from '../experiments/overview.ts';
import { kubernetesJob } from '../experiments/kubernetes.ts';
import { LARGEST_JSON } from '../storage/form.ts';
import { readInput } from '../storage/inputs.ts';
import { isModulePath } from '../storage/modules.ts';
import type { FailedCell, Watcher, WorkSummary } from '../experiments/work.ts';
import type { JsonLines } from './jsonLines.ts';
import { jsonLines } from './jsonLines.ts';
import { printLineForm } from './lineForms.ts';
import { columnsOf, entries, wrapped } from '../terminal.ts';
import { stoppable } from './stop.ts';
import type { Stop } from './stop.ts';
import { looksLikePath } from './table/row.ts';
import type { EXPERIMENT } from './table/experiment.ts';
import type { Call } from './table/row.ts';

type ExperimentCall = Call<typeof EXPERIMENT>;

/** A module's path as the tasks of a cluster and later calls find it too; a name as it stands. */
const fromAnywhere = (name: string | undefined): string | undefined =>
  name !== undefined && isModulePath(name) ? resolve(name) : name;

/** Settings that the command line gives in place of the paper's or the scale's. */
function overlayOf({ options }: ExperimentCall): Overlay {
  const given: Overlay = {
    recipe: fromAnywhere(options.recipe),
    data: fromAnywhere(options.data),
    epochs: options.epochs,
    batchSize: options['batch-size'],
    width: options.width,
    limit: options.limit,
    crop: options.crop,
    layers: options.layers,
    context: options.context,
    epochSteps: options['epoch-steps'],
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** Options that say which plan is meant. Where none is given, `--list` and `--cancel` are about those that the folder has. */
const OF_THE_PLAN = 'seeds only scale recipe data epochs batch-size width limit crop layers context epoch-steps'.split(
  ' ',
);

/** Options that mean something beside certain others alone. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  'cell-offset': ['cell'],
  'cells-per-task': ['cell', 'on'],
  'array-limit': ['on'],
  prologue: ['on slurm'],
  'dry-run': ['on slurm'],
  image: ['on kubernetes'],
  claim: ['on kubernetes'],
  mount: ['on kubernetes'],
  gpus: ['on kubernetes'],
};
/** What a call does; it can do one of them. */
const DOES = ['list', 'cancel', 'on', 'cell', 'schema', 'workers'];

/** Throws a `UsageError` for options that do not go together. */
function checkTogether({ options, given, behind }: ExperimentCall): void {
  const [first, second] = DOES.filter((name) => given.has(name));
  if (second !== undefined) throw new UsageError(`--${first} and --${second} exclude each other`);
  if (given.has('cell') && given.has('only')) throw new UsageError('--cell and --only exclude each other');
  const decided = ['seeds', 'epochs'].find((name) => given.has(name));
  if (given.has('select') && decided !== undefined) {
    throw new UsageError(`--select and --${decided} exclude each other: the experiment says how its rates are chosen`);
  }
  const says = new Set([...given, `on ${options.on}`]);
  for (const [name, others] of Object.entries(NEEDS)) {
    if (given.has(name) && !others.some((other) => says.has(other))) {
      throw new UsageError(`--${name} needs --${others.join(' or --')}`);
    }
  }
  if (behind.length > 0 && options.on !== 'slurm') {
    throw new UsageError(`only --on slurm takes what stands behind --, got ${JSON.stringify(behind.join(' '))}`);
  }
}

/** The experiments that are known: a line each, or one of JSON. */
function listExperiments(lines: JsonLines | undefined): void {
  const shown: (readonly [string, string])[] = [];
  for (const { name, title, paper, places, arms, seeds } of EXPERIMENTS) {
    lines?.write('experiment', { experiment: name, title, paper, places, arms: arms.length, seeds });
    shown.push([name, `${paper} ${places}: ${title} (${arms.length} arms x ${seeds} seeds)`]);
  }
  if (lines === undefined) console.log(entries(shown, columnsOf()));
}

/** Everything that a call is about. */
interface Context {
  readonly call: ExperimentCall;
  readonly experiment: Experiment;
  /** The experiment's name as it was given. */
  readonly name: string;
  readonly out: string;
  readonly store: Store;
  readonly request: PlanRequest;
  /** With --json: where a line goes for whatever happens. */
  readonly lines: JsonLines | undefined;
}

const note = (line: string): void =>
  void process.stderr.write(`${wrapped(`lrd: note: ${foreignText(line, 4000)}`, columnsOf(process.stderr))}\n`);

/** A line on stdout, for people. */
const say = (line: string): void => console.log(wrapped(line, columnsOf()));

/** The plan that is asked for, as the folder has it begun, without arms that wait for their rates. */
function planOf({ store, request }: Context): Plan {
  const wanted = makePlan({ ...request, waiting: 'omit' });
  return asRecorded(wanted, recordedPlan(store, wanted));
}

/** The plans that `--list` and `--cancel` are about. */
function plansOf(context: Context): readonly Plan[] {
  const { call, store, experiment } = context;
  const recorded = OF_THE_PLAN.some((name) => call.given.has(name))
    ? []
    : store
        .plans()
        .map(readPlan)
        .filter((plan) => plan.experiment === experiment.name);
  return recorded.length === 0 ? [planOf(context)] : recorded;
}

/** What says in a line which cell it is about. */
const nameOf = (experiment: Experiment, cell: PlannedCell): object => ({
  number: cellNumber(experiment, cell),
  arm: cell.arm,
  seed: cell.seed,
});

/** A line of JSON a cell, and one of the whole. */
function printLines(
  { experiment, lines }: Pick<Context, 'experiment' | 'lines'>,
  plan: Plan,
  states: readonly CellStatus[],
  overview: Overview,
): void {
  for (const { cell, state, epochs, note: why } of states) {
    lines?.write('cell', {
      ...nameOf(experiment, cell),
      state,
      epochs,
      of: cell.settings.epochs,
      ...(why === '' ? {} : { note: why }),
    });
  }
  const { experiment: name, scale } = plan;
  lines?.write('overview', { experiment: name, scale, ...overview });
}

function printCells(states: readonly CellStatus[], overview: Overview): void {
  const digits = String(Math.max(...states.map(({ number }) => number))).length;
  const lines = states.map(({ cell, number, state, epochs, note: why }) => {
    const done = `${epochs}/${cell.settings.epochs}`.padStart(9);
    return `${String(number).padStart(digits)}  ${state.padEnd(9)} ${done}  ${cellLabel(cell)}${why === '' ? '' : `  ${why}`}`;
  });
  lines.push(formatOverview(overview));
  say(lines.join('\n'));
}

/** A cell as it is called, whatever its settings will be. */
type CellId = Pick<PlannedCell, 'arm' | 'seed'>;

/** The cells of an arm among what is asked for. */
function cellsOf({ id: arm }: Arm, { seeds, only }: PlanRequest): readonly CellId[] {
  const all = Array.from({ length: seeds }, (_, k) => ({ arm, seed: k + 1 }));
  return all.filter((cell) => only?.test(cellLabel(cell)) ?? true);
}

/** Says which arms wait for what another one measures, of those with cells among what is asked for. */
function noteUnmeasured(request: PlanRequest, then = ''): void {
  for (const arm of waitingArms(request, 'measure')) {
    if (cellsOf(arm, request).length === 0) continue;
    const { id, like = '' } = arm;
    const measuring = { arm: like, seed: MEASURING_SEED };
    // Where nobody measures it is an error, and not for later.
    if (request.only?.test(cellLabel(measuring)) === false) continue;
    note(`${id} waits for the mean factor that seed ${MEASURING_SEED} of ${like} measures${then}`);
  }
}

function listCells(context: Context): void {
  const plans = plansOf(context);
  const waiting = waitingArms(context.request, 'choice').length;
  if (waiting > 0) note(`${waiting} arms wait for their learning rates, which the runs of --select choose`);
  noteUnmeasured(context.request);
  if (plans.every((plan) => recordedPlan(context.store, plan) === undefined)) {
    note(`${context.out} holds no plan of it yet: these are the cells that it would have`);
  }
  for (const plan of plans) {
    try {
      context.store.checkModules(plan.cells);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      note(error.message);
    }
    const experiment = plan.definition === undefined ? context.experiment : experimentIn(plan);
    const folder = new SlurmFolder(context.out, planName(plan));
    let queue = new Queue([]);
    try {
      queue = new Queue(folder.jobs());
    } catch (error) {
      if (!(error instanceof JobError)) throw error;
      note(`${error.message}; below is what the folder says`);
    }
    const states = statusOf({ store: context.store, experiment, plan, folder, queue });
    const overview = overviewOf(context.store, states);
    if (context.lines !== undefined) {
      printLines({ ...context, experiment }, plan, states, overview);
      continue;
    }
    if (plans.length > 1) console.log(`${planName(plan)}:`);
    printCells(states, overview);
  }
}

function cancel(context: Context): void {
  const queues = plansOf(context).map((plan) => new Queue(new SlurmFolder(context.out, planName(plan)).jobs()));
  const jobs = queues.flatMap((queue) => queue.jobs.map(({ id }) => id));
  const sum = (of: 'running' | 'waiting'): number => queues.reduce((total, { counts }) => total + counts[of], 0);
  const [waiting, running] = [sum('waiting'), sum('running')];
  if (jobs.length > 0) cancelJobs(jobs);
  if (context.lines !== undefined) {
    context.lines.write('cancelled', { jobs, waiting, running });
    return;
  }
  if (jobs.length === 0) {
    console.log('nothing to cancel: the cluster has no task of it');
    return;
  }
  console.log(
    `cancelled ${waiting} tasks that wait, ${running} that run and stop behind a checkpoint (${jobs.join(', ')})`,
  );
}

function taskCallOf(
  { call: { options }, request }: Context,
  name: string,
  out: string,
  select = false,
): readonly string[] {
  return taskArguments({
    name,
    out,
    scale: request.scale,
    seeds: request.seeds,
    overlay: request.overlay,
    cellsPerTask: options['cells-per-task'] ?? 1,
    dataDir: options['data-dir'],
    backend: options.backend,
    checkpointSeconds: options['checkpoint-seconds'],
    keepCheckpoints: options['keep-checkpoints'],
    select,
  });
}

/** The plan for the machines that will run it: data that is missing here may be there. */
async function planForOthers(context: Context): Promise<Plan> {
  const [{ checkData }, { checkCells }] = await Promise.all([
    import('../experiments/checkData.ts'),
    import('../experiments/checkSettings.ts'),
  ]);
  const wanted = makePlan({ ...context.request, waiting: 'later' });
  noteUnmeasured(context.request, '; this command again submits it then');
  checkCells(wanted.cells);
  context.store.checkModules(wanted.cells);
  const recorded = recordedPlan(context.store, wanted);
  try {
    return await checkData(wanted, { dataDir: context.call.options['data-dir'], recorded, note });
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    note(`${error.message}; the tasks will look for it where they run`);
    return asRecorded(wanted, recorded);
  }
}

async function submit(context: Context): Promise<void> {
  const { call, experiment, store, out } = context;
  const { options, behind } = call;
  const given = { out, extra: behind, dryRun: options['dry-run'], prologue: options.prologue };
  checkSubmission(given);
  const submitted = await submitToSlurm({
    store,
    experiment,
    plan: await planForOthers(context),
    ...given,
    command: (name) => [
      process.execPath,
      ...process.execArgv,
      process.argv[1] as string,
      ...taskCallOf(context, name, out),
    ],
    cellsPerTask: options['cells-per-task'] ?? 1,
    arrayLimit: options['array-limit'],
    note,
  });
  const { done, queued, elsewhere } = submitted.counts;
  if (context.lines !== undefined) {
    const { script, calls, jobs, cells, tasks } = submitted;
    const more = options['dry-run'] ? { calls } : {};
    context.lines.write('submitted', { script, jobs: jobs.map(({ id }) => id), cells, tasks, done, queued, elsewhere, ...more }); // prettier-ignore
    return;
  }
  const others = [`${done} done`, `${queued} in the queue`, ...(elsewhere === 0 ? [] : [`${elsewhere} run elsewhere`])].join(', '); // prettier-ignore
  if (submitted.cells === 0) {
    console.log(`nothing to submit: ${others}`);
    return;
  }
  const tasks = `${submitted.cells} cells in ${submitted.tasks} tasks`;
  if (options['dry-run']) {
    console.log(`${submitted.script} is written; ${tasks} would be submitted (${others}) by`);
    for (const line of submitted.calls) console.log(line);
    return;
  }
  const ids = submitted.jobs.map(({ id }) => id).join(', ');
  console.log(`submitted ${tasks} as ${submitted.jobs.length === 1 ? 'job' : 'jobs'} ${ids} (${others})`);
  console.log('the same call with --list in place of --on slurm shows how they stand');
}

async function printKubernetes(context: Context): Promise<void> {
  const { call, out, name, experiment, request } = context;
  const { image, claim, mount = out, gpus = 0, 'array-limit': limit, only } = { ...call.options };
  if (context.lines !== undefined) throw new UsageError('--on kubernetes prints JSON as it is: leave --json out');
  if (image === undefined || claim === undefined) throw new UsageError('--on kubernetes needs --image and --claim');
  if (only !== undefined)
    throw new UsageError('--on kubernetes and --only exclude each other: an Indexed Job runs every index');
  const file = looksLikePath(name, '.json') && !name.startsWith('/');
  if (file)
    throw new UsageError(`NAME must be an absolute path in the pods for --on kubernetes, got ${JSON.stringify(name)}`);
  const { checkCells } = await import('../experiments/checkSettings.ts');
  const plan = makePlan(request);
  checkCells(plan.cells);
  const cells = experiment.arms.length * request.seeds;
  const job = kubernetesJob({
    name: planName(plan),
    image,
    claim,
    mount,
    out,
    gpus,
    tasks: taskCount(cells, call.options['cells-per-task'] ?? 1),
    limit,
    arguments: taskCallOf(context, name, out, call.options.select),
  });
  console.log(JSON.stringify(job, null, 2));
}

/** The cells that this call is to run. */
async function cellsToRun(context: Context): Promise<{ readonly plan: Plan; readonly cells: readonly PlannedCell[] }> {
  const { call, store, request } = context;
  const { cell: number, 'data-dir': dataDir } = call.options;
  const [{ checkData }, { checkCells }] = await Promise.all([
    import('../experiments/checkData.ts'),
    import('../experiments/checkSettings.ts'),
  ]);
  const wanted = makePlan({ ...request, waiting: number === undefined ? 'later' : 'keep' });
  const recorded = recordedPlan(store, wanted);
  const tell = (line: string): void => console.error(wrapped(line, columnsOf(process.stderr)));
  if (number === undefined) {
    checkCells(wanted.cells);
    const plan = await checkData(wanted, { dataDir, recorded, note: tell });
    return { plan, cells: plan.cells };
  }
  const { 'cells-per-task': cellsPerTask = 1, 'cell-offset': offset = 0 } = call.options;
  const choice = { ...readTaskIndex(number), offset, cellsPerTask };
  const cells = cellsOfTask(wanted.cells, choice);
  checkCells(cells);
  try {
    const waiting = waitingArms(request);
    refuseWaiting(
      waiting.filter(({ id }) => cells.some(({ arm }) => arm === id)),
      request.rates,
    );
    const plan = await checkData(wanted, { cells, dataDir, recorded, note: tell });
    // Those that wait have only held their places: their rates are not known.
    const ready = plan.cells.filter(({ arm }) => waiting.every(({ id }) => id !== arm));
    return { plan: { ...plan, cells: ready }, cells: cellsOfTask(plan.cells, choice) };
  } catch (error) {
    // Nobody may be there to read what a task says: the list shows it.
    if (error instanceof JobError) {
      for (const cell of cellsOfTask(asRecorded(wanted, recorded).cells, choice)) {
        store.prepare(cell);
        store.writeFailure(cell, error.message);
      }
    }
    throw error;
  }
}

/** Matches the labels of these cells and no other. */
const exactly = (cells: readonly CellId[]): RegExp =>
  new RegExp(`^(?:${cells.map((cell) => cellLabel(cell).replaceAll(/[^\w/=]/g, '\\$&')).join('|')})$`);

const inCrew = (): boolean => process.env['LRD_CREW'] === '1';

/** What a call is about to run. */
function sayStart({ experiment, lines, out }: Context, { scale }: Plan, cells: readonly PlannedCell[]): void {
  const { name, title, memory } = experiment;
  const epochs = cells.reduce((sum, { settings }) => sum + settings.epochs, 0);
  if (lines !== undefined) {
    lines.write('plan', { experiment: name, title, scale, out, cells: cells.length, epochs });
    return;
  }
  const count = cells.length === 1 ? '1 cell' : `${cells.length} cells`;
  say(`${title}: ${count}, ${epochs} epochs in all, scale ${scale}`);
  for (const line of new Set(cells.map(({ settings }) => memory?.(settings)))) {
    if (line !== undefined) say(line);
  }
}

/** What is to be run, recorded and said. */
async function prepare(context: Context): Promise<{ readonly plan: Plan; readonly cells: readonly PlannedCell[] }> {
  const { call, store } = context;
  const { plan, cells } = await cellsToRun(context);
  // A worker of a crew finds the plan checked and recorded.
  if (inCrew()) return { plan, cells };
  // Tasks of one array all write the whole plan, the same text, unless a submission has said already which cells it has.
  const recorded = new Set(recordedPlan(store, plan)?.cells.map(cellLabel));
  const known = call.options.cell !== undefined && cells.every((cell) => recorded.has(cellLabel(cell)));
  store.checkModules(cells);
  recordPlan(store, known ? { ...plan, cells } : plan);
  sayStart(context, plan, cells);
  for (const cell of cells) store.clearFailure(cell);
  return { plan, cells };
}

/** Cells that failed, in words: the first of them, and how many more. */
function inWords(failed: readonly FailedCell[], cells: number): string {
  const shown = failed.slice(0, SHOWN_FAILURES).map(({ cell, note: why }) => `${cellLabel(cell)}: ${why}`);
  const more = failed.length > shown.length ? `; and ${failed.length - shown.length} more, which --list shows` : '';
  return `${failed.length} of ${cells} cells failed: ${shown.join('; ')}${more}`;
}

/** Failures that a last line has room for. */
const SHOWN_FAILURES = 3;

/** What has come of a call. Throws a `JobError` where cells failed. */
function sayEnd(
  { experiment, lines, out }: Context,
  { scale }: Plan,
  cells: readonly PlannedCell[],
  { done, failed }: Pick<WorkSummary, 'done' | 'failed'>,
): void {
  lines?.write('end', {
    experiment: experiment.name,
    scale,
    out,
    cells: cells.length,
    done,
    failed: failed.map(({ cell, note: why }) => ({ ...nameOf(experiment, cell), note: why })),
  });
  if (failed.length > 0) throw new JobError(inWords(failed, cells.length));
  if (lines === undefined) say(`${done} of ${cells.length} cells done; lrd report ${out} --out FILE.html shows them`); // prettier-ignore
}

async function runByCrew(context: Context, workers: number): Promise<void> {
  const { call, store, lines } = context;
  const { plan, cells } = await prepare(context);
  const { runCrew } = await import('../experiments/crew.ts');
  const stopped = (): void => sayStopped(context, plan);
  sayEnd(context, plan, cells, await runCrew({ workers, args: call.args, store, plan, stopped, lines: lines !== undefined })); // prettier-ignore
}

const sayStopped = ({ experiment, lines, out }: Context, { scale }: Plan): void =>
  lines?.write('stopped', { experiment: experiment.name, scale, out });

/** Lines of what becomes of cells; undefined without --json. */
function watcherOf({ experiment, lines }: Context, { scale }: Plan): Watcher | undefined {
  if (lines === undefined) return undefined;
  const of = (cell: PlannedCell): object => nameOf(experiment, cell);
  return {
    cell: (cell, state, epochs, why) => {
      const more = why === undefined ? {} : { note: why };
      lines.write('cell', { ...of(cell), state, epochs, of: cell.settings.epochs, ...more });
    },
    start: (cell, start) => lines.write('start', { ...of(cell), ...start }),
    epoch: (cell, metrics) => lines.write('epoch', { ...of(cell), ...metrics }),
    overview: (overview) => lines.write('overview', { experiment: experiment.name, scale, ...overview }),
  };
}

/** Listens from its beginning; while a cell's network is built and until its first step a signal ends the process at once. */
async function run(context: Context, { signal, hear }: Stop): Promise<void> {
  const { store, call, lines } = context;
  const { options } = call;
  const { plan, cells } = await prepare(context);
  const [{ work }, { consoleProgress, silentProgress }, { StoppedError }] = await Promise.all([
    import('../experiments/work.ts'),
    import('../trainer/progress.ts'),
    import('../trainer/train.ts'),
  ]);
  const stopped = (how: string): JobError => {
    if (!inCrew()) sayStopped(context, plan);
    return new JobError(`${how}; the same command goes on`, options.cell === undefined ? 1 : STOPPED_TASK);
  };
  try {
    const summary = await work({
      store,
      cells,
      dataDir: options['data-dir'],
      backend: options.backend ?? 'auto',
      checkpointSeconds: options['checkpoint-seconds'] ?? 60,
      keepCheckpoints: options['keep-checkpoints'],
      progress: lines === undefined ? consoleProgress() : silentProgress,
      watcher: watcherOf(context, plan),
      signal,
      // A cluster's job says with its exit code whether it is to be started again.
      ...(options.cell === undefined ? { hear } : {}),
    });
    if (inCrew()) return;
    const { left } = summary;
    if (left > 0 && summary.failed.length === 0) throw stopped(`stopped while ${left} of ${cells.length} cells were run by other processes`); // prettier-ignore
    sayEnd(context, plan, cells, summary);
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
    throw stopped(error.message);
  }
}

async function findOrRead(name: string): Promise<Experiment> {
  if (!looksLikePath(name, '.json')) return findExperiment(name);
  const { readExperiment } = await import('../experiments/readExperiment.ts');
  return readExperiment(name);
}

/**
 * The experiment of a file as the folder has it, for lists and cancellations; undefined where it has none. It was checked when its plan was
 * recorded, and to check the file again every network would be loaded.
 */
function recordedExperiment(file: string, store: Store): Experiment | undefined {
  let named: unknown;
  try {
    ({ name: named } = JSON.parse(readInput(file, LARGEST_JSON).toString('utf8')) as { readonly name?: unknown });
  } catch {
    // Whoever reads it as an experiment says what is wrong with it.
    return undefined;
  }
  const plan = store
    .plans()
    .map(readPlan)
    .find(({ experiment, definition }) => definition !== undefined && experiment === named);
  return plan === undefined ? undefined : experimentIn(plan);
}

/** `lrd experiment NAME ...`: every cell of an experiment that is not done yet: here, one of them, or on a cluster. */
export async function experimentCommand(call: ExperimentCall): Promise<void> {
  checkTogether(call);
  const { words, options, args, given } = call;
  const { name } = words;
  if (options.schema) {
    if (options.json) return printLineForm('experiment');
    const { EXPERIMENT_SCHEMA } = await import('../experiments/experimentSchema.ts');
    console.log(JSON.stringify(EXPERIMENT_SCHEMA, null, 2));
    return;
  }
  const lines = options.json ? jsonLines() : undefined;
  if (name === undefined) {
    if (args.length === 0 || (lines !== undefined && given.size === 1)) listExperiments(lines);
    else throw new UsageError(`lrd experiment needs a NAME: ${EXPERIMENTS.map((known) => known.name).join(', ')}`);
    return;
  }
  const { only, out = join('runs', 'experiments') } = options;
  const store = new Store(out);
  const looksOn = (options.list || options.cancel) && !OF_THE_PLAN.some((option) => call.given.has(option));
  const recorded = looksOn && looksLikePath(name, '.json') ? recordedExperiment(name, store) : undefined;
  const named = recorded ?? (await findOrRead(name));
  const experiment = options.select ? selectionOf(named) : named;
  if (experiment === undefined) {
    throw new UsageError(`--select must be for an experiment that chooses learning rates, got ${JSON.stringify(name)}`);
  }
  // Alone it asks what the experiment is; beside anything else it says what becomes of it.
  if (options.json && given.size === 1 && !inCrew()) {
    console.log(JSON.stringify({ $schema: './experiment.schema.json', ...fileOf(experiment) }, null, 2));
    return;
  }
  const scale = options.scale ?? 'full';
  const seeds = options.seeds ?? (scale === 'small' ? 1 : experiment.seeds);
  const overlay = overlayOf(call);
  if (overlay.recipe !== undefined && isModulePath(overlay.recipe)) {
    const { prepareRecipe } = await import('../recipes/catalogue.ts');
    await prepareRecipe(overlay.recipe);
  }
  const rates = chosenRates(store, experiment, { scale, overlay });
  const request = { experiment, scale, overlay, seeds, only, rates };
  const context: Context = { call, experiment, name, out, store, request, lines };
  if (options.list) listCells(context);
  else if (options.cancel) cancel(context);
  else if (options.on === 'slurm') await submit(context);
  else if (options.on === 'kubernetes') await printKubernetes(context);
  else if (options.cell !== undefined || inCrew()) await runHere(context);
  else await runInTurn(context);
}

const runHere = (context: Context): Promise<void> => {
  const { workers = 1 } = context.call.options;
  return workers > 1 ? runByCrew(context, workers) : stoppable((stop) => run(context, stop));
};

/** Runs what can be run, then what has waited for what that measures. */
async function runInTurn(context: Context): Promise<void> {
  const { request, store } = context;
  noteUnmeasured(request, ', and follows it');
  const later = waitingArms(request, 'measure').flatMap((arm) => cellsOf(arm, request));
  await runHere(context);
  if (later.length === 0) return;
  const rates = chosenRates(store, request.experiment, request);
  const cells = later.filter(({ arm }) => rates.has(arm));
  if (cells.length > 0) await runHere({ ...context, request: { ...request, rates, only: exactly(cells) } });
}
