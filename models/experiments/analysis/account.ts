import { RULE_TITLES } from '../../recipes/ruleTitles.ts';
import type { Experiment } from '../experiment.ts';
import { METRICS } from '../experiment.ts';
import type { ExperimentOutcome } from '../results.ts';
import type { Direction, Effect, MaskAnswer } from './answers.ts';
import { answersOf, comparisonsOf, directionOf } from './answers.ts';
import { summarize } from './summary.ts';

/** What is told of LRD in one comparison. */
interface Told {
  readonly speed: Direction;
  readonly end: Direction;
  /** Against the control with its mean step; undefined where that has not run. */
  readonly control: readonly [speed: Direction, end: Direction] | undefined;
}

/** An experiment and what its cells came to. */
export interface Ran {
  readonly experiment: Experiment;
  readonly outcome: ExperimentOutcome;
}

const decimal = (value: number): string => String(value).replace(/^0\./, '.');
const list = (items: readonly string[]): string =>
  items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
const unique = <T>(items: readonly T[]): readonly T[] => [...new Set(items)];
const range = (values: readonly number[]): string => {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => value.toLocaleString('en'));
  return low === high ? (low as string) : `${low} to ${high}`;
};

/** Learning rate dropout's own arms, of whichever heading. */
const isLrd = ({ arm: { settings, control } }: MaskAnswer): boolean =>
  settings.mask === undefined && settings.keepProbability < 1 && control !== true;

/** What is told of LRD in an experiment, and of which runs. Undefined where no comparison has two seeds. */
function toldOf({ experiment, outcome }: Ran) {
  const answers = answersOf(experiment, summarize(experiment, outcome));
  const comparisons = comparisonsOf(answers);
  const { rising, name } = METRICS[experiment.metric];
  const directions = ({ speed, end }: Effect): readonly [Direction, Direction] => [
    directionOf(speed, { comparisons, rising: false }),
    directionOf(end, { comparisons, rising }),
  ];
  const compared = answers.flatMap(({ arms }) => arms.filter((answer) => isLrd(answer) && answer.against.seeds > 1));
  if (compared.length === 0) return undefined;
  const told = compared.map(({ against, control }): Told => {
    const [speed, end] = directions(against);
    return { speed, end, control: control === undefined || control.seeds < 2 ? undefined : directions(control) };
  });
  const ran = outcome.cells.filter((cell) => compared.some(({ arm: { id } }) => id === cell.arm));
  const settings = ran.map((cell) => cell.settings);
  const limits = unique(settings.flatMap(({ limit }) => limit ?? []));
  const steps = settings.flatMap(({ epochs, epochSteps }) => (epochSteps === undefined ? [] : [epochs * epochSteps]));
  const chosen = compared.filter(({ arm: { rate } }) => rate !== undefined).length;
  const rates =
    chosen === 0
      ? 'the paper’s rates'
      : chosen === compared.length
        ? 'the best rate of each'
        : 'given rates and the best of each';
  const how = [
    list(unique(settings.map(({ recipe, data }) => `${recipe} on ${data}`))),
    list(unique(settings.map(({ optimizer }) => RULE_TITLES[optimizer] ?? optimizer))),
    rates,
    ...(limits.length === 0 ? [] : [`${range(limits)} training images`]),
    steps.length === 0 ? `${range(settings.map(({ epochs }) => epochs))} epochs` : `${range(steps)} steps`,
    `${range(compared.map(({ against }) => against.seeds))} seeds`,
  ].join('; ');
  return { told, how, name, kept: settings.map(({ keepProbability }) => decimal(keepProbability)) };
}

/**
 * What learning rate dropout did in experiments with controls, in three sentences that follow from their results by the rule of the report's
 * answers: its speed, its end, and what of both a smaller step does. Undefined where no comparison has two seeds.
 */
export function accountOf(all: readonly Ran[]): readonly string[] | undefined {
  const parts = all.map(toldOf).filter((part) => part !== undefined);
  if (parts.length === 0) return undefined;
  const told = parts.flatMap((part) => part.told);
  const kept = unique(parts.flatMap((part) => part.kept));
  const name = unique(parts.map((part) => part.name)).join(' or ');
  const how = parts.map((part) => `(${part.how})`).join(' and ');
  const count = (holds: (one: Told) => boolean): number => told.filter(holds).length;
  const controls = told.flatMap(({ control }) => (control === undefined ? [] : [control]));
  const apart = (way: Direction): number => controls.filter((one) => one.includes(way)).length;
  const alike = controls.filter((one) => one.every((direction) => direction === 'untold')).length;
  const verdict =
    controls.length === 0
      ? 'so whether it does more than a smaller step is not told'
      : alike === controls.length
        ? 'as far as can be told, it does what a smaller step does'
        : 'so a smaller step does not explain all that it does';
  return [
    `Of ${told.length} comparisons with the optimizer without it ${how}, LRD at p = ${list(kept)} trained faster in ` +
      `${count(({ speed }) => speed === 'better')}, slower in ${count(({ speed }) => speed === 'worse')}, and in ${count(({ speed }) => speed === 'untold')} no difference can be told.`,
    `It ended with a better ${name} in ${count(({ end }) => end === 'better')}, with a worse one in ${count(({ end }) => end === 'worse')}, and in ` +
      `${count(({ end }) => end === 'untold')} no difference can be told.`,
    `Of ${controls.length} comparisons with its mean step alone, the learning rate times p without a mask, it did better in ${apart('better')}, worse in ` +
      `${apart('worse')}, and in ${alike} nothing tells them apart: ${verdict}.`,
  ];
}
