import type { Arm, Experiment, Metric, Target } from '../experiment.ts';
import { METRICS } from '../experiment.ts';
import type { CellOutcome, ExperimentOutcome } from '../results.ts';
import type { Crossing } from './convergence.ts';
import { bestEpoch, crossing, lossArea, valueOf } from './convergence.ts';
import type { Comparison, Sample } from './samples.ts';
import { describeSample, paired, welch } from './samples.ts';

/** Images of the training sets as published, for runs that did not record how many they had. */
const TRAINING_IMAGES: Readonly<Record<string, number>> = { mnist: 60_000, 'fashion-mnist': 60_000, digits: 1437 };

/** A seed's crossing of a level; undefined: not within its epochs. */
export interface SeedCrossing {
  readonly seed: number;
  readonly epochs: number;
  readonly at: Crossing | undefined;
}

/** How soon an arm's runs reached a level, beside its baseline's. */
export interface TargetSummary {
  readonly target: Target;
  readonly crossings: readonly SeedCrossing[];
  /** Pairs of a seed in which this arm was sooner, as soon, later; a run that never got there is later than one that did. */
  readonly pairs: { readonly sooner: number; readonly equal: number; readonly later: number } | undefined;
}

/** What the runs of an arm say. */
export interface ArmSummary {
  readonly arm: Arm;
  /** Finished runs, by seed. */
  readonly runs: readonly CellOutcome[];
  readonly planned: number;
  readonly diverged: readonly CellOutcome[];
  readonly last: Sample | undefined;
  readonly best: Sample | undefined;
  /** Against the baseline, on the last epoch: Welch's test as of a paper's figures, paired by seed where rates were chosen. */
  readonly comparison: Comparison | undefined;
  /** The same from the paper's printed means and deviations. */
  readonly publishedComparison: Comparison | undefined;
  readonly area: Sample | undefined;
  /** Area under the loss curve against the baseline's, paired by seed. */
  readonly areaComparison: Comparison | undefined;
  readonly targets: readonly TargetSummary[];
}

/** Arms of a group, with a target of our own: the level that its first arm ends at. */
export interface GroupSummary {
  readonly group: string;
  readonly arms: readonly ArmSummary[];
}

function printed({ published }: Arm): Sample | undefined {
  if (published?.deviation === undefined || published.trials === undefined) return undefined;
  return { count: published.trials, mean: published.mean, deviation: published.deviation };
}

function stepsPerEpoch({ examples, settings }: CellOutcome): number {
  const { data, limit = Infinity, batchSize } = settings;
  return Math.ceil((examples?.train ?? Math.min(limit, TRAINING_IMAGES[data] ?? NaN)) / batchSize);
}

function lastValues(runs: readonly CellOutcome[], metric: Metric): number[] {
  return runs.flatMap(({ metrics }) => {
    const last = metrics.at(-1);
    return last === undefined ? [] : [valueOf(last, metric)];
  });
}

const sampleOf = (values: readonly number[]): Sample | undefined =>
  values.length === 0 ? undefined : describeSample(values);

function crossingsOf(runs: readonly CellOutcome[], { metric, value }: Target): SeedCrossing[] {
  return runs.map((run) => ({
    seed: run.seed,
    epochs: run.metrics.length,
    at: crossing(run.metrics, metric, value, stepsPerEpoch(run)),
  }));
}

function comparePairs(ours: readonly SeedCrossing[], theirs: readonly SeedCrossing[]): TargetSummary['pairs'] {
  const differences = ours.flatMap(({ seed, at }) => {
    const other = theirs.find((crossing) => crossing.seed === seed);
    if (other === undefined || (at === undefined && other.at === undefined)) return [];
    return [(at?.epoch ?? Infinity) - (other.at?.epoch ?? Infinity)];
  });
  if (differences.length === 0) return undefined;
  return {
    sooner: differences.filter((d) => d < 0).length,
    equal: differences.filter((d) => d === 0).length,
    later: differences.filter((d) => d > 0).length,
  };
}

/** The highest training loss that a run without LRD ends with: a level that every length of training has, and that all of them reach. */
function baselineLevel(arms: readonly (readonly [Arm, readonly CellOutcome[]])[]): Target[] {
  const first = arms.find(([arm, runs]) => arm.baseline === undefined && runs.length > 0);
  if (first === undefined) return [];
  const [arm, runs] = first;
  const highest = Math.max(...lastValues(runs, 'trainLoss'));
  // Three digits, rounded up: the run itself should reach it.
  const power = 10 ** (Math.floor(Math.log10(highest)) - 2);
  const value = Number((Math.ceil(highest / power) * power).toPrecision(3));
  return [{ metric: 'trainLoss', value, arms: arm.id }];
}

/** Everything that tables say about an experiment's runs, group by group. Groups without a planned cell are left out. */
export function summarize(experiment: Experiment, outcome: ExperimentOutcome): GroupSummary[] {
  const { metric } = experiment;
  // What has no paper's table beside it is compared as the runs were made: by seeds.
  const pairs = experiment.selection !== undefined;
  const cellsOf = ({ id }: Arm): CellOutcome[] =>
    outcome.cells.filter(({ arm }) => arm === id).sort((a, b) => a.seed - b.seed);
  const finished = (arm: Arm): CellOutcome[] => cellsOf(arm).filter(({ outcome: how }) => how === 'finished');
  const groups = [...new Set(experiment.arms.map(({ group }) => group))];
  return groups.flatMap((group): GroupSummary[] => {
    const arms = experiment.arms.filter((arm) => arm.group === group && cellsOf(arm).length > 0);
    if (arms.length === 0) return [];
    const stated = experiment.targets.filter(({ arms: prefix }) => arms.some(({ id }) => id.startsWith(prefix)));
    const targets = [...stated, ...baselineLevel(arms.map((arm) => [arm, finished(arm)]))];
    const summaries = arms.map((arm): ArmSummary => {
      const cells = cellsOf(arm);
      const runs = finished(arm);
      const baseline = arms.find(({ id }) => id === arm.baseline);
      const baseRuns = baseline === undefined ? [] : finished(baseline);
      const sharedSeeds = runs.map(({ seed }) => seed).filter((seed) => baseRuns.some((run) => run.seed === seed));
      const areas = (of: readonly CellOutcome[]): number[] =>
        sharedSeeds.map((seed) => lossArea(of.find((run) => run.seed === seed)?.metrics ?? []));
      const ofSeed = (of: readonly CellOutcome[]): number[] =>
        sharedSeeds.flatMap((seed) =>
          lastValues(
            of.filter((run) => run.seed === seed),
            metric,
          ),
        );
      const ends = paired(ofSeed(runs), ofSeed(baseRuns));
      const last = sampleOf(lastValues(runs, metric));
      const baseLast = sampleOf(lastValues(baseRuns, metric));
      const best = runs.flatMap(({ metrics }) => {
        const epoch = bestEpoch(metrics, metric);
        return epoch === undefined ? [] : [valueOf(epoch, metric)];
      });
      const [mine, theirs] = [printed(arm), baseline === undefined ? undefined : printed(baseline)];
      return {
        arm,
        runs,
        planned: cells.length,
        diverged: cells.filter(({ outcome: how }) => how === 'diverged'),
        last,
        best: sampleOf(best),
        comparison: last === undefined || baseLast === undefined ? undefined : pairs ? ends : welch(last, baseLast),
        publishedComparison: mine === undefined || theirs === undefined ? undefined : welch(mine, theirs),
        area: sampleOf(runs.map(({ metrics }) => lossArea(metrics))),
        areaComparison: baseline === undefined ? undefined : paired(areas(runs), areas(baseRuns)),
        targets: targets.map((target) => {
          const crossings = crossingsOf(runs, target);
          const pairs = baseline === undefined ? undefined : comparePairs(crossings, crossingsOf(baseRuns, target));
          return { target, crossings, pairs };
        }),
      };
    });
    return [{ group, arms: summaries }];
  });
}

/** The middle of the values of which `missing` lie beyond all others; undefined when it does so itself. */
export function censoredMedian(values: readonly number[], missing: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const count = values.length + missing;
  const [low, high] = [sorted[Math.floor((count - 1) / 2)], sorted[Math.floor(count / 2)]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

/** Whether a difference of a metric is an improvement. */
export const improves = (metric: Metric, difference: number): boolean =>
  METRICS[metric].rising ? difference > 0 : difference < 0;

/** LRD beside the arm with the learning rate times p and no mask: what of its effect is a smaller mean step. */
export interface ControlSummary {
  readonly group: string;
  readonly keepProbability: number;
  /** LRD minus control on the last epoch. */
  readonly difference: number;
  readonly comparison: Comparison | undefined;
  /** Area under the training loss with LRD over that of the arm without, and over that of the control; means over common seeds. */
  readonly areaOverBaseline: number;
  readonly areaOverControl: number;
}

function meanArea(runs: readonly CellOutcome[], seeds: readonly number[]): number {
  const shared = runs.filter(({ seed }) => seeds.includes(seed));
  return shared.reduce((sum, { metrics }) => sum + lossArea(metrics), 0) / shared.length;
}

/** A line for each LRD arm of a group whose control arm has run with at least one of its seeds. */
export function summarizeControls(groups: readonly GroupSummary[]): ControlSummary[] {
  return groups.flatMap(({ group, arms }) =>
    arms.flatMap((lrd): ControlSummary[] => {
      const { keepProbability } = lrd.arm.settings;
      const baseline = arms.find(({ arm }) => arm.id === lrd.arm.baseline);
      // Ids end in `/p=P`, and those of their controls in `/p=1,lr*P`.
      const control = arms.find(
        ({ arm: { id } }) => id === lrd.arm.id.replace(`/p=${keepProbability}`, `/p=1,lr*${keepProbability}`),
      );
      if (baseline === undefined || control === undefined || control === lrd) return [];
      const has = ({ runs }: ArmSummary, seed: number): boolean => runs.some((run) => run.seed === seed);
      const seeds = lrd.runs.map(({ seed }) => seed).filter((seed) => has(control, seed) && has(baseline, seed));
      if (seeds.length === 0 || lrd.last === undefined || control.last === undefined) return [];
      const area = meanArea(lrd.runs, seeds);
      return [
        {
          group,
          keepProbability,
          difference: lrd.last.mean - control.last.mean,
          comparison: welch(lrd.last, control.last),
          areaOverBaseline: area / meanArea(baseline.runs, seeds),
          areaOverControl: area / meanArea(control.runs, seeds),
        },
      ];
    }),
  );
}
