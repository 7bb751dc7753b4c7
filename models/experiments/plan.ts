import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { Type } from '@sinclair/typebox';
import { JobError, UsageError } from '../errors.ts';
import { form, oneOf, readAs, wholeFrom } from '../storage/form.ts';
import { makeFolders, writeWhole } from '../storage/files.ts';
import { DEFINITION } from './definition.ts';
import { rescaled } from './definitions/arms.ts';
import type { Arm, Experiment, ExperimentFile } from './experiment.ts';
import type { Overlay, Settings } from './settings.ts';
import { OVERLAY, SETTINGS, differing, overlaid } from './settings.ts';
import type { Cell, Store } from './store.ts';

/** A cell with the arm that it belongs to. */
export interface PlannedCell extends Cell {
  readonly arm: string;
}

/** What was asked for, and the cells that follow from it: the file that `lrd report` reads. */
export interface Plan {
  readonly version: 1;
  readonly experiment: string;
  readonly scale: Scale;
  /** Settings given on the command line, in place of those of paper and scale. */
  readonly overlay: Overlay;
  /** What the experiment is, where it is a file of the user's. */
  readonly definition?: ExperimentFile;
  readonly cells: readonly PlannedCell[];
}

export const SCALES = ['full', 'small'] as const;
export type Scale = (typeof SCALES)[number];

/**
 * What becomes of arms whose rate is not known yet. `refuse`: they are an error. `later`: they are left out where they wait for a factor that a cell of
 * this plan measures, an error otherwise. `omit`: they are left out. `keep`: they are there, so that every cell has its number.
 */
export type Waiting = 'refuse' | 'later' | 'omit' | 'keep';

export interface PlanRequest {
  readonly experiment: Experiment;
  readonly scale: Scale;
  readonly overlay: Overlay;
  readonly seeds: number;
  /** Matched against `ARM/seed=N`; undefined: every cell. */
  readonly only: RegExp | undefined;
  /** What the rates of arms are multiplied by that have been chosen, by their ids. Default: none has been. */
  readonly rates?: ReadonlyMap<string, number>;
  /** Default `refuse`. */
  readonly waiting?: Waiting;
}

/** The settings of an arm at a scale. Changes of the arm's own schedule shrink with the number of epochs. */
export function settingsOf(arm: Arm, request: Omit<PlanRequest, 'seeds' | 'only'>): Settings {
  const settings = scaledSettings(arm, request);
  const factor = request.rates?.get(arm.id);
  return factor === undefined ? settings : rescaled(settings, factor);
}

function scaledSettings(
  { settings }: Arm,
  { experiment, scale, overlay }: Omit<PlanRequest, 'seeds' | 'only'>,
): Settings {
  const scaled = scale === 'small' ? overlaid(settings, experiment.small(settings)) : settings;
  const given = overlaid(scaled, overlay);
  // What the scale has in place of the arm's is meant for its epochs.
  if (given.phases === undefined || given.phases !== settings.phases || given.epochs === settings.epochs) return given;
  const share = given.epochs / settings.epochs;
  const phases = given.phases.map((phase) => ({ ...phase, from: 1 + Math.round((phase.from - 1) * share) }));
  return { ...given, phases };
}

/**
 * A cell's number, counted from 0: all arms with the first seed, then all with the second. It does not depend on how many seeds are run, nor
 * on `--only`.
 */
export function cellNumber({ arms }: Experiment, { arm, seed }: PlannedCell): number {
  return (seed - 1) * arms.length + arms.findIndex(({ id }) => id === arm);
}

/** `arm/seed=N`, by which cells are chosen and listed. */
export const cellLabel = ({ arm, seed }: Pick<PlannedCell, 'arm' | 'seed'>): string => `${arm}/seed=${seed}`;

/** Seeds of arms whose mean factor is measured: the first. */
export const MEASURING_SEED = 1;

/** Whether an arm's rate has not been chosen yet, or is but for a factor that another arm measures. */
function waitsFor({ id, rate, measured }: Arm, rates: PlanRequest['rates']): 'choice' | 'measure' | undefined {
  if ((rate === undefined && measured !== true) || rates?.has(id) === true) return undefined;
  return rate === undefined || (measured === true && rates?.has(rate.of) === true) ? 'measure' : 'choice';
}

/** The arms whose rate is not known yet; of these, with `what`, those for which it has not been chosen, or that wait for a factor that another arm measures. */
export function waitingArms(
  { experiment, rates }: Pick<PlanRequest, 'experiment' | 'rates'>,
  what?: 'choice' | 'measure',
): readonly Arm[] {
  return experiment.arms.filter((arm) => {
    const waits = waitsFor(arm, rates);
    return waits !== undefined && (what === undefined || waits === what);
  });
}

/**
 * Throws a `JobError` for those of these arms that cannot run.
 * @param measuring - whether a cell of the plan measures for an arm. Default: none does
 */
export function refuseWaiting(
  those: readonly Arm[],
  rates: PlanRequest['rates'],
  measuring: (arm: Arm) => boolean = () => false,
): void {
  const list = (arms: readonly Arm[]): string =>
    arms.length === 1 ? (arms[0]?.id as string) : `${arms.length} arms, ${arms[0]?.id} first,`;
  const unchosen = those.filter((arm) => waitsFor(arm, rates) === 'choice');
  if (unchosen.length > 0) {
    throw new JobError(
      `the learning rates of ${list(unchosen)} have not been chosen yet: --select runs what chooses them`,
    );
  }
  const unmeasured = those.filter((arm) => !measuring(arm));
  if (unmeasured.length === 0) return;
  throw new JobError(
    `the learning rates of ${list(unmeasured)} take a mean factor that has not been measured yet: seed ${MEASURING_SEED} of ${unmeasured[0]?.like} must be run first`,
  );
}

/**
 * The cells of an experiment: all arms with the first seed, then all with the second, so that what is done is always whole. Throws a `UsageError`
 * where `only` matches none, a `JobError` for an arm whose rate is not known and that is not to be left out.
 */
export function makePlan(request: PlanRequest): Plan {
  const { experiment, scale, overlay, seeds, only, rates, waiting = 'refuse' } = request;
  const { length: arms } = experiment.arms;
  if (arms * seeds > MOST_CELLS) {
    const most = Math.floor(MOST_CELLS / arms);
    throw new UsageError(
      `--seeds must be at most ${most.toLocaleString('en')} for ${arms} arms (${MOST_CELLS.toLocaleString('en')} cells in all), got ${seeds}`,
    );
  }
  const chosen = Array.from({ length: seeds }, (_, index) => index + 1)
    .flatMap((seed) =>
      experiment.arms.map((arm): PlannedCell => ({ arm: arm.id, seed, settings: settingsOf(arm, request) })),
    )
    .filter((cell) => only === undefined || only.test(cellLabel(cell)));
  if (chosen.length === 0) {
    const known = experiment.arms.map(({ id }) => id).join(', ');
    throw new UsageError(`--only must match a cell, got ${JSON.stringify(only?.source)}; arms: ${known}`);
  }
  const unready = waitingArms(request);
  const ids = new Set(unready.map(({ id }) => id));
  const cells = waiting === 'keep' ? chosen : chosen.filter(({ arm }) => !ids.has(arm));
  if (cells.length < chosen.length && waiting !== 'omit') {
    const those = unready.filter(({ id }) => chosen.some(({ arm }) => arm === id));
    const measuring = ({ like }: Arm): boolean =>
      cells.some(({ arm, seed }) => arm === like && seed === MEASURING_SEED);
    refuseWaiting(those, rates, (arm) => waiting === 'later' && measuring(arm));
  }
  const definition = experiment.file === undefined ? {} : { definition: experiment.file };
  return { version: 1, experiment: experiment.name, scale, overlay, ...definition, cells };
}

/** Cells of a plan, at most: each is a folder. */
const MOST_CELLS = 100_000;

/** What the plan is called in the output folder: one name for an experiment, a scale and given settings. */
export function planName({ experiment, scale, overlay }: Pick<Plan, 'experiment' | 'scale' | 'overlay'>): string {
  const given = JSON.stringify(overlay, Object.keys(overlay).sort());
  const suffix = given === '{}' ? '' : `-${createHash('sha256').update(given).digest('hex').slice(0, 8)}`;
  return `${experiment}-${scale}${suffix}`;
}

const PLAN = form(
  'a plan of this program',
  Type.Object({
    version: Type.Literal(1),
    experiment: Type.String({ minLength: 1 }),
    scale: oneOf(SCALES),
    overlay: OVERLAY,
    definition: Type.Optional(DEFINITION),
    cells: Type.Array(Type.Object({ arm: Type.String(), seed: wholeFrom(0), settings: SETTINGS })),
  }),
);

/** Reads a plan. Throws a `JobError` naming the file. */
export function readPlan(path: string): Plan {
  return readAs(path, PLAN);
}

/** The plan that the folder has for what is asked for, if it has one. */
export function recordedPlan(store: Store, plan: Pick<Plan, 'experiment' | 'scale' | 'overlay'>): Plan | undefined {
  const path = store.planPath(planName(plan));
  return existsSync(path) ? readPlan(path) : undefined;
}

/** Throws a `UsageError` where the folder's plan means other settings by a cell of the same name: the two would be mixed in one report. */
export function checkAgreement(store: Store, plan: Plan): void {
  const before = new Map(recordedPlan(store, plan)?.cells.map((cell) => [cellLabel(cell), cell]));
  for (const cell of plan.cells) {
    const other = before.get(cellLabel(cell));
    const [key] = other === undefined ? [] : differing(other.settings, cell.settings);
    if (other === undefined || key === undefined) continue;
    const [there, here] = [other, cell].map(({ settings }) => JSON.stringify(settings[key] ?? null));
    throw new UsageError(
      `--out must not hold another plan of the same name: ${store.planPath(planName(plan))} has ${cellLabel(cell)} with ${key} ${there}, here it is ${here}`,
    );
  }
}

/** Writes the plan, with the cells that earlier calls of the same kind chose. Throws as `checkAgreement` does. */
export function recordPlan(store: Store, plan: Plan): void {
  checkAgreement(store, plan);
  const path = store.planPath(planName(plan));
  const before = recordedPlan(store, plan);
  const chosen = new Set(plan.cells.map(cellLabel));
  const kept = before?.cells.filter((cell) => !chosen.has(cellLabel(cell))) ?? [];
  const text = `${JSON.stringify({ ...plan, cells: [...kept, ...plan.cells] }, null, 1)}\n`;
  const known = new Set(before?.cells.map(cellLabel));
  const same = JSON.stringify(before?.definition) === JSON.stringify(plan.definition);
  // Of the hundreds of tasks of a sweep only the first has something to write.
  if (same && plan.cells.every((cell) => known.has(cellLabel(cell)))) return;
  makeFolders(dirname(path), `--out ${dirname(path)}`);
  writeWhole(path, text);
}
