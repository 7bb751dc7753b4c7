import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { JobError, UsageError } from '../errors.ts';
import { EXPERIMENTS, findExperiment } from '../experiments/catalogue.ts';
import { runCrew } from '../experiments/crew.ts';
import type { Experiment } from '../experiments/experiment.ts';
import type { Plan, Scale } from '../experiments/plan.ts';
import { cellLabel, makePlan, recordPlan } from '../experiments/plan.ts';
import type { Overlay } from '../experiments/settings.ts';
import { Store } from '../experiments/store.ts';
import { work } from '../experiments/work.ts';
import { findRecipe } from '../recipes/catalogue.ts';
import { consoleProgress } from '../trainer/progress.ts';
import { StoppedError } from '../trainer/train.ts';
import { stoppable } from './stop.ts';
import type { EXPERIMENT } from './table/experiment.ts';
import type { Call } from './table/row.ts';

/** Settings that the command line gives in place of the paper's or the scale's. */
function overlayOf({ options }: Call<typeof EXPERIMENT>): Overlay {
  const given: Overlay = {
    recipe: options.recipe,
    data: options.data,
    epochs: options.epochs,
    batchSize: options['batch-size'],
    width: options.width,
    limit: options.limit,
    crop: options.crop,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** At the small scale, the embedded digits stand in for MNIST where it is not found. Any other set that is missing ends the call. */
async function checkData(
  plan: (overlay: Overlay) => Plan,
  overlay: Overlay,
  scale: Scale,
  dataDir: string | undefined,
): Promise<Plan> {
  const wanted = plan(overlay);
  const needed = new Map(wanted.cells.map(({ settings: { recipe, data } }) => [`${recipe} ${data}`, { recipe, data }]));
  const checked = new Set<string>();
  for (const { recipe, data: name } of needed.values()) {
    const found = findRecipe(recipe);
    const key = `${found.reads} ${name}`;
    if (checked.has(key)) continue;
    checked.add(key);
    try {
      await found.findData(name, dataDir);
    } catch (error) {
      const mayStandIn = scale === 'small' && name === 'mnist' && overlay.data === undefined;
      if (!(error instanceof JobError) || !mayStandIn) throw error;
      console.error('MNIST was not found: the embedded digits stand in for it');
      const { cells, ...rest } = wanted;
      const digits = cells.map((cell) =>
        cell.settings.data === 'mnist'
          ? { ...cell, settings: { ...cell.settings, data: 'digits', epochs: overlay.epochs ?? 20 } }
          : cell,
      );
      return { ...rest, cells: digits };
    }
  }
  return wanted;
}

function listExperiments(): void {
  for (const { name, title, paper, places, arms, seeds } of EXPERIMENTS) {
    console.log(`${name.padEnd(16)} ${paper} ${places}: ${title} (${arms.length} arms x ${seeds} seeds)`);
  }
}

function listCells(store: Store, plan: Plan): void {
  const counts = new Map<string, number>();
  for (const cell of plan.cells) {
    const state = store.state(cell);
    counts.set(state.state, (counts.get(state.state) ?? 0) + 1);
    const note = 'note' in state ? `  ${state.note}` : '';
    const epochs = `${state.epochs}/${cell.settings.epochs}`;
    console.log(`${state.state.padEnd(9)} ${epochs.padStart(9)}  ${cellLabel(cell)}${note}`);
  }
  console.log([...counts].map(([state, count]) => `${count} ${state}`).join(', '));
}

function printStart({ title, memory }: Experiment, plan: Plan): void {
  const epochs = plan.cells.reduce((sum, { settings }) => sum + settings.epochs, 0);
  console.log(`${title}: ${plan.cells.length} cells, ${epochs} epochs in all, scale ${plan.scale}`);
  for (const line of new Set(plan.cells.map(({ settings }) => memory?.(settings)))) {
    if (line !== undefined) console.log(line);
  }
}

/** `lrd experiment NAME ...`: every cell of a table or figure that is not done yet. */
export async function experimentCommand(call: Call<typeof EXPERIMENT>): Promise<void> {
  const { words, options, args } = call;
  const { name } = words;
  if (name === undefined) {
    if (args.length === 0) listExperiments();
    else throw new UsageError(`lrd experiment needs a NAME: ${EXPERIMENTS.map((known) => known.name).join(', ')}`);
    return;
  }
  const experiment = findExperiment(name);
  const scale = options.scale ?? 'full';
  const backend = options.backend ?? 'auto';
  const seeds = options.seeds ?? (scale === 'small' ? 1 : experiment.seeds);
  const workers = options.workers ?? 1;
  const checkpointSeconds = options['checkpoint-seconds'] ?? 60;
  const overlay = overlayOf(call);
  const { only, out = join('runs', 'experiments') } = options;
  const dataDir = options['data-dir'];
  const store = new Store(out);
  const planned = (given: Overlay): Plan => makePlan({ experiment, scale, overlay: given, seeds, only });
  if (options.list) {
    listCells(store, planned(overlay));
    return;
  }
  // A worker of a crew finds the plan checked and recorded.
  const inCrew = process.env['LRD_CREW'] === '1';
  const plan = await checkData(planned, overlay, scale, dataDir);
  if (!inCrew) {
    recordPlan(store, plan);
    printStart(experiment, plan);
    for (const cell of plan.cells) rmSync(join(store.folder(cell), 'failed.json'), { force: true });
  }
  if (workers > 1) {
    await runCrew(workers, args, store, plan);
    return;
  }
  try {
    const { done, failed } = await stoppable((signal) =>
      work({
        store,
        cells: plan.cells,
        dataDir,
        backend,
        checkpointSeconds,
        keepCheckpoints: options['keep-checkpoints'],
        progress: consoleProgress(),
        signal,
      }),
    );
    if (inCrew) return;
    if (failed.length > 0) throw new JobError(`${failed.length} of ${plan.cells.length} cells failed: ${failed[0]}`);
    console.log(`${done} of ${plan.cells.length} cells done; lrd report ${out} --out FILE.html shows them`);
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
    throw new JobError(`${error.message}; the same command goes on`);
  }
}
