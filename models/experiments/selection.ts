import { JobError } from '../errors.ts';
import { valueOf } from './analysis/convergence.ts';
import { rescaled } from './definitions/arms.ts';
import type { Arm, Experiment, Selection } from './experiment.ts';
import { METRICS } from './experiment.ts';
import { fileOf } from './experimentFile.ts';
import type { Plan, PlannedCell } from './plan.ts';
import { MEASURING_SEED, makePlan, recordedPlan } from './plan.ts';
import type { Overlay, Settings } from './settings.ts';
import { overlaid } from './settings.ts';
import { asRecorded } from './standIn.ts';
import type { Store } from './store.ts';

/** The seed of the runs that choose. */
const SEED = 1;

/** What the runs that choose are called, as an experiment of their own. */
export const selectionName = (name: string): string => `${name}-rates`;

/** The candidates of an arm: the same but for the learning rate. */
function candidatesOf(arm: Arm, { factors, settings }: Selection): readonly Arm[] {
  return factors.map((factor): Arm => {
    const tried = overlaid(rescaled(arm.settings, factor), settings);
    const { learningRate } = tried;
    const { id, group, label, control } = arm;
    return {
      id: `${id}/lr=${learningRate}`,
      group,
      label: `${label}, learning rate ${learningRate}`,
      settings: tried,
      ...(control === undefined ? {} : { control }),
    };
  });
}

const choosesOwn = ({ id, rate }: Arm): boolean => rate?.of === id;

/**
 * The runs by which an experiment chooses learning rates, as an experiment: of every arm that chooses its own a candidate each, of one seed.
 * Undefined for an experiment that chooses none.
 */
export function selectionOf(experiment: Experiment): Experiment | undefined {
  const { selection, name, title, paper, about } = experiment;
  if (selection === undefined) return undefined;
  const smalls = new Map<Settings, Overlay>();
  const arms = experiment.arms.filter(choosesOwn).flatMap((arm) => {
    const candidates = candidatesOf(arm, selection);
    for (const { settings } of candidates)
      smalls.set(settings, { ...experiment.small(arm.settings), ...selection.small });
    return candidates;
  });
  const made: Experiment = {
    name: selectionName(name),
    title: `${title}: which learning rate is taken`,
    ...(about === undefined ? {} : { about }),
    ...(paper === undefined ? {} : { paper }),
    places: '',
    seeds: 1,
    metric: selection.metric,
    arms,
    figures: [],
    targets: [],
    claims: [],
    notes: [
      'One seed, on training examples that were held out by a fixed shuffle: the test set has no say. In each arm the rate with the best ' +
        `${METRICS[selection.metric].name} at the end is taken, of equals the smaller one; a run that diverged is out.`,
    ],
    small: (settings) => smalls.get(settings) ?? {},
  };
  return experiment.file === undefined ? made : { ...made, file: fileOf(made) };
}

/** How a candidate ended. Undefined while it has not. */
export interface Tried {
  readonly factor: number;
  readonly learningRate: number;
  /** By the selection's metric; NaN where it diverged. */
  readonly value: number;
}

/** The best of candidates in ascending order of their rates: of equals the first. Undefined where all diverged. */
export function bestOf(tried: readonly Tried[], metric: Selection['metric']): Tried | undefined {
  const sign = METRICS[metric].rising ? 1 : -1;
  return tried.reduce<Tried | undefined>((best, one) => {
    if (Number.isNaN(one.value)) return best;
    return best === undefined || sign * (one.value - best.value) > 0 ? one : best;
  }, undefined);
}

function endOf(store: Store, cell: PlannedCell, metric: Selection['metric']): number | undefined {
  const result = store.result(cell);
  if (result === undefined) return undefined;
  const last = store.record(cell).metrics.at(-1);
  return result.outcome === 'diverged' || last === undefined ? NaN : valueOf(last, metric);
}

/**
 * What the learning rates of an experiment's arms are to be multiplied by, of those whose rate has been chosen or takes a measured factor, from
 * the runs in its output folder; arms that wait for theirs are missing. Throws a `JobError` for an arm all of whose candidates diverged.
 */
export function chosenRates(
  store: Store,
  experiment: Experiment,
  { scale, overlay }: Pick<Plan, 'scale' | 'overlay'>,
): ReadonlyMap<string, number> {
  const own = ownRates(store, experiment, { scale, overlay });
  const cells = recordedPlan(store, { experiment: experiment.name, scale, overlay })?.cells ?? [];
  const rates = new Map<string, number>();
  for (const { id, rate, settings, measured, like } of experiment.arms) {
    const chosen = rate === undefined ? undefined : own.get(rate.of);
    if ((rate === undefined && measured !== true) || (rate !== undefined && chosen === undefined)) continue;
    const factor = rate === undefined || chosen === undefined ? 1 : (chosen * rate.times) / settings.learningRate;
    const mean = measured === true ? measuredFactor(store, cells.find((cell) => cell.arm === like && cell.seed === MEASURING_SEED)) : 1; // prettier-ignore
    if (mean !== undefined) rates.set(id, factor * mean);
  }
  return rates;
}

/** What a run's steps were multiplied by on average, over all of its epochs; undefined while it is not done. */
function measuredFactor(store: Store, cell: PlannedCell | undefined): number | undefined {
  if (cell === undefined || store.result(cell)?.outcome !== 'finished') return undefined;
  const factors = store.record(cell).metrics.flatMap(({ meanFactor }) => meanFactor ?? []);
  // Three digits, as a person would give it.
  return factors.length === 0
    ? undefined
    : Number((factors.reduce((sum, factor) => sum + factor, 0) / factors.length).toPrecision(3));
}

/** The rates that arms have chosen for themselves, by their ids. */
function ownRates(
  store: Store,
  experiment: Experiment,
  { scale, overlay }: Pick<Plan, 'scale' | 'overlay'>,
): ReadonlyMap<string, number> {
  const { selection } = experiment;
  const chooses = selectionOf(experiment);
  const own = new Map<string, number>();
  if (selection === undefined || chooses === undefined) return own;
  // How long they run is the experiment's to say.
  const { epochs: _, ...rest } = overlay;
  const wanted = makePlan({ experiment: chooses, scale, overlay: rest, seeds: SEED, only: undefined });
  const cells = new Map(asRecorded(wanted, recordedPlan(store, wanted)).cells.map((cell) => [cell.arm, cell]));
  for (const arm of experiment.arms.filter(choosesOwn)) {
    const tried = candidatesOf(arm, selection).flatMap(({ id, settings: { learningRate } }, k): Tried[] => {
      const value = endOf(store, cells.get(id) as PlannedCell, selection.metric);
      return value === undefined ? [] : [{ factor: selection.factors[k] as number, learningRate, value }];
    });
    if (tried.length < selection.factors.length) continue;
    const best = bestOf(tried, selection.metric);
    if (best === undefined)
      throw new JobError(`${experiment.name}: every candidate for the rate of ${arm.id} diverged`);
    own.set(arm.id, best.learningRate);
  }
  return own;
}
