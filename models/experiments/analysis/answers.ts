import type { Arm, Experiment } from '../experiment.ts';
import { METRICS } from '../experiment.ts';
import type { CellOutcome } from '../results.ts';
import { lossArea, valueOf } from './convergence.ts';
import type { Comparison } from './samples.ts';
import { paired } from './samples.ts';
import type { ArmSummary, GroupSummary } from './summary.ts';

/** What a difference must fall below, divided by the number of comparisons (Bonferroni). */
const LEVEL = 0.05;

/** Which way a difference goes, where one can be told. */
export type Direction = 'better' | 'worse' | 'untold';

/** An arm against another by the seeds that both have: its training (area under the loss) and its end (the experiment's metric). */
export interface Effect {
  readonly seeds: number;
  readonly speed: Comparison | undefined;
  readonly end: Comparison | undefined;
}

/** A masked arm against the one without a mask, and against the control that takes its mean step. */
export interface MaskAnswer {
  readonly arm: Arm;
  /** What the arm's learning rate was. */
  readonly learningRate: number;
  readonly against: Effect;
  /** Undefined where the arm has no such control, or it has not run. */
  readonly control: Effect | undefined;
}

/** The answers of a heading. */
export interface GroupAnswers {
  readonly group: string;
  readonly arms: readonly MaskAnswer[];
}

function effect(ours: readonly CellOutcome[], theirs: readonly CellOutcome[], { metric }: Experiment): Effect {
  const pairs = ours.flatMap((run): (readonly [CellOutcome, CellOutcome])[] => {
    const other = theirs.find(({ seed }) => seed === run.seed);
    return other === undefined ? [] : [[run, other]];
  });
  const compare = (value: (run: CellOutcome) => number): Comparison | undefined =>
    pairs.length < 2 ? undefined : paired(pairs.map(([run]) => value(run)), pairs.map(([, run]) => value(run))); // prettier-ignore
  return {
    seeds: pairs.length,
    speed: compare(({ metrics }) => lossArea(metrics)),
    end: compare(({ metrics }) => {
      const last = metrics.at(-1);
      return last === undefined ? NaN : valueOf(last, metric);
    }),
  };
}

/** Every masked arm that has run beside the one without a mask, heading by heading. */
export function answersOf(experiment: Experiment, groups: readonly GroupSummary[]): readonly GroupAnswers[] {
  return groups.flatMap(({ group, arms }): GroupAnswers[] => {
    const answers = arms.flatMap(({ arm, runs }): MaskAnswer[] => {
      const baseline = arms.find(({ arm: { id } }: ArmSummary) => id === arm.baseline);
      const [first] = runs;
      if (arm.like !== undefined || baseline === undefined || first === undefined || baseline.runs.length === 0)
        return [];
      const control = arms.find(({ arm: { like } }: ArmSummary) => like === arm.id);
      return [
        {
          arm,
          learningRate: first.settings.learningRate,
          against: effect(runs, baseline.runs, experiment),
          control:
            control === undefined || control.runs.length === 0 ? undefined : effect(runs, control.runs, experiment),
        },
      ];
    });
    return answers.length === 0 ? [] : [{ group, arms: answers }];
  });
}

/** Comparisons that the answers make. */
export function comparisonsOf(answers: readonly GroupAnswers[]): number {
  const effects = answers.flatMap(({ arms }) => arms.flatMap(({ against, control }) => [against, control]));
  return effects.flatMap((one) => [one?.speed, one?.end]).filter((one) => one !== undefined).length;
}

/** Which way a comparison goes, when `comparisons` are made together; `rising` where more is better. */
export function directionOf(
  comparison: Comparison | undefined,
  { comparisons, rising }: { readonly comparisons: number; readonly rising: boolean },
): Direction {
  if (comparison === undefined || !(comparison.p < LEVEL / comparisons)) return 'untold';
  return comparison.difference > 0 === rising ? 'better' : 'worse';
}

const SPEED: Readonly<Record<Direction, string>> = {
  better: 'trains faster',
  worse: 'trains slower',
  untold: 'no difference in speed can be told',
};
const END: Readonly<Record<Direction, string>> = {
  better: 'ends better',
  worse: 'ends worse',
  untold: 'no difference at the end can be told',
};

const number = (value: number): string => String(Number(value.toPrecision(3)));
const figures = (of: Comparison | undefined): string =>
  of === undefined ? '' : ` (${number(of.difference)}, ${number(of.low)} to ${number(of.high)})`;

/** What of an effect a smaller step explains. */
function stepWords(against: readonly Direction[], control: readonly Direction[] | undefined): string {
  if (against.every((one) => one === 'untold')) return 'no effect is told that a smaller step would have to explain';
  if (control === undefined) return 'whether that is a smaller step’s effect is not told by a control';
  if (control.every((one) => one === 'untold'))
    return 'from the control with its mean step nothing tells it apart: the effect may be that of a smaller step';
  return `against the control with its mean step it ${control.includes('better') ? 'does better' : 'does worse'} in what can be told: that is not a smaller step’s effect`;
}

/** What the runs of an experiment with masks answer, a sentence an arm, by rule. */
export function answersInWords(experiment: Experiment, groups: readonly GroupSummary[]): readonly string[] {
  const answers = answersOf(experiment, groups);
  const comparisons = comparisonsOf(answers);
  if (answers.length === 0) return [];
  const { rising, name } = METRICS[experiment.metric];
  const told = (effectOf: Effect): readonly [Direction, Direction] => [
    directionOf(effectOf.speed, { comparisons, rising: false }),
    directionOf(effectOf.end, { comparisons, rising }),
  ];
  const sentences = answers.flatMap(({ group, arms }) =>
    arms.map(({ arm, learningRate, against, control }) => {
      const [speed, end] = told(against);
      const words = stepWords([speed, end], control === undefined ? undefined : told(control));
      return (
        `${group}: ${arm.label}, learning rate ${number(learningRate)}, ${against.seeds} ${against.seeds === 1 ? 'seed' : 'seeds'}: ` +
        `${SPEED[speed]}${figures(against.speed)}; ${END[end]}${figures(against.end)}; ${words}.`
      );
    }),
  );
  const all = answers.flatMap(({ arms }) => arms.filter(({ arm }) => arm.control !== true));
  const count = (which: 0 | 1, way: Direction): number =>
    all.filter(({ against }) => told(against)[which] === way).length;
  const [faster, better] = [count(0, 'better'), count(1, 'better')];
  const claims =
    comparisons === 0
      ? 'Nothing can be told of the papers’ claims yet.'
      : `Of ${all.length} masked arms, ${faster} train faster and ${count(0, 'worse')} slower, ${better} end with a better ${name} and ${count(1, 'worse')} with a worse one ` +
        `than the arm without a mask, in what can be told: the papers’ claims are ${faster + better === 0 ? 'not reproduced here' : 'reproduced in those alone'}.`;
  const few =
    comparisons === 0
      ? 'One seed tells no difference: two at least are needed, and more for small ones.'
      : `${comparisons} comparisons are made, paired by seed, each with its 95 % interval; one counts as a difference where its p is below ${LEVEL} / ${comparisons}. What cannot be told needs more seeds.`;
  return [claims, few, ...sentences];
}
