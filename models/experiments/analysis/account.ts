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

/**
 * What learning rate dropout did in an experiment with controls, in three sentences that follow from its results by the rule of the report's
 * answers: its speed, its end, and what of both a smaller step does. Undefined where no comparison has two seeds.
 */
export function accountOf(experiment: Experiment, outcome: ExperimentOutcome): readonly string[] | undefined {
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
  const count = (holds: (one: Told) => boolean): number => told.filter(holds).length;
  const ran = outcome.cells.filter((cell) => compared.some(({ arm: { id } }) => id === cell.arm));
  const settings = ran.map((cell) => cell.settings);
  const kept = unique(settings.map(({ keepProbability }) => decimal(keepProbability)));
  const limits = unique(settings.flatMap(({ limit }) => limit ?? []));
  const how = [
    list(unique(settings.map(({ optimizer }) => RULE_TITLES[optimizer] ?? optimizer))),
    ...(compared.some(({ arm: { rate } }) => rate !== undefined)
      ? ['given rates and the best of each']
      : ['the paper’s rates']),
    ...(limits.length === 0 ? [] : [`${range(limits)} training images`]),
    `${range(settings.map(({ epochs }) => epochs))} epochs`,
    `${range(compared.map(({ against }) => against.seeds))} seeds`,
  ].join('; ');
  const where = list(unique(settings.map(({ recipe, data }) => `${recipe} on ${data}`)));
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
    `Of ${compared.length} comparisons with the optimizer without it (${where}; ${how}), LRD at p = ${list(kept)} trained faster in ` +
      `${count(({ speed }) => speed === 'better')}, slower in ${count(({ speed }) => speed === 'worse')}, and in ${count(({ speed }) => speed === 'untold')} no difference can be told.`,
    `It ended with a better ${name} in ${count(({ end }) => end === 'better')}, with a worse one in ${count(({ end }) => end === 'worse')}, and in ` +
      `${count(({ end }) => end === 'untold')} no difference can be told.`,
    `Of ${controls.length} comparisons with its mean step alone, the learning rate times p without a mask, it did better in ${apart('better')}, worse in ` +
      `${apart('worse')}, and in ${alike} nothing tells them apart: ${verdict}.`,
  ];
}
