import { KEEP_PROBABILITY } from '../../spec/rules.ts';
import type { RuleName } from '../../spec/rules.ts';
import { effectiveKeepProbability } from '../masks.ts';
import type { OptimizerOptions } from '../optimizer.ts';
import { parseSeed } from '../seed.ts';
import type { SeedLike } from '../seed.ts';
import { checkNumber } from '../validate.ts';
import { descend, endOf } from './descent.ts';
import type { End } from './descent.ts';
import { BOX, PAPER_OPTIMUM, STATIONARY_POINTS, surface } from './surface.ts';
import type { Point } from './surface.ts';

/**
 * The toy's learning rates. The paper gives none; eq. (9) is too steep for the usual ones (its gradient exceeds 10^4 in a corner of the box),
 * so the rules that do not normalize go slower and the others at 10 times Adam's default.
 */
export const TOY_LEARNING_RATES: Readonly<Record<RuleName, number>> = {
  sgdm: 2e-5,
  'sgdm-avg': 2e-4,
  rmsprop: 1e-2,
  adam: 1e-2,
  amsgrad: 1e-2,
  radam: 1e-2,
  adamw: 1e-2,
};

/** What `runToy` descends with. */
export interface ToyOptions {
  /** Default: all but `adamw`, which without decay is Adam. */
  readonly rules?: readonly RuleName[];
  /** p of the arms with learning rate dropout. Default .5. */
  readonly keepProbability?: number;
  /** In place of every rule's own. */
  readonly learningRate?: number;
  /** Equal steps; the longer arm takes this many divided by p. Default 2000. */
  readonly steps?: number;
  /** Starts of the table: this many along x times this many along y, at the middles of a grid over the box. Default 10. */
  readonly grid?: number;
  /** Starts whose paths are drawn. Default: five spread over the box. */
  readonly starts?: readonly Point[];
  /** Default 0. */
  readonly seed?: SeedLike;
}

/** How one arm of one rule ended, over all starts of the grid. */
export interface ToyCount {
  /** Of the descents. */
  readonly rule: RuleName;
  /** Of the descents. */
  readonly learningRate: number;
  /** 1: the base rule. */
  readonly keepProbability: number;
  /** That each took. */
  readonly steps: number;
  /** How many descents ended in each place. */
  readonly ends: Readonly<Record<End, number>>;
}

/** A descent. */
export interface ToyPath {
  /** After each step, the start first. */
  readonly points: readonly Point[];
  /** Where it ended. */
  readonly end: End;
}

/** The drawn paths of one rule with and without learning rate dropout, at equal steps. */
export interface ToyPanel {
  /** Of its paths. */
  readonly rule: RuleName;
  /** Of its paths. */
  readonly learningRate: number;
  /** 1: the base rule. */
  readonly keepProbability: number;
  /** One from each start. */
  readonly paths: readonly ToyPath[];
}

/** A point and the function there. */
export interface ToyPlace extends Point {
  /** The function there. */
  readonly f: number;
}

/** Eq. (9) as a picture needs it. */
export interface ToyPlane {
  /** The part of the plane that is looked at. */
  readonly box: { readonly x: readonly [number, number]; readonly y: readonly [number, number] };
  /** The lower minimum. */
  readonly globalMinimum: ToyPlace;
  /** The other one. */
  readonly localMinimum: ToyPlace;
  /** Where the paper has the optimum, (-0.74, 1.40). */
  readonly paperOptimum: ToyPlace;
  /** f over the box, evenly spaced and with the edges: by row (y ascending), then by column (x ascending). */
  readonly values: readonly (readonly number[])[];
}

/** What Fig. 3 is drawn from. */
export interface ToyResult {
  /** The function's contours and minima. */
  readonly plane: ToyPlane;
  /** Of the arms with learning rate dropout. */
  readonly keepProbability: number;
  /** Equal steps of the counted descents. */
  readonly steps: number;
  /** Starts of the counted descents. */
  readonly starts: number;
  /** Of the masks, as "0x...". */
  readonly seed: string;
  /** The paths to draw, by rule and arm. */
  readonly panels: readonly ToyPanel[];
  /** Where descents from a grid of starts ended, by rule and arm. */
  readonly counts: readonly ToyCount[];
  /** Of as many runs with learning rate dropout from rest at the local minimum, by rule: how many left it. */
  readonly escapes: readonly {
    readonly rule: RuleName;
    readonly learningRate: number;
    readonly runs: number;
    readonly left: number;
  }[];
}

const DRAWN: readonly Point[] = [
  { x: -3.5, y: 2.5 },
  { x: -3, y: -1.5 },
  { x: -2.2, y: 0.6 },
  { x: -0.6, y: -1.2 },
  { x: -0.4, y: 2.6 },
];

const place = ({ x, y }: Point): ToyPlace => ({ x, y, f: surface({ x, y }) });

/** Eq. (9) over the box in `cells` by `cells` cells. */
function planeOf(cells: number): ToyPlane {
  const edge = ([low, high]: readonly [number, number], i: number): number => low + ((high - low) * i) / cells;
  const indices = Array.from({ length: cells + 1 }, (_, i) => i);
  return {
    box: BOX,
    globalMinimum: place(STATIONARY_POINTS.globalMinimum),
    localMinimum: place(STATIONARY_POINTS.localMinimum),
    paperOptimum: place(PAPER_OPTIMUM),
    values: indices.map((j) => indices.map((i) => surface({ x: edge(BOX.x, i), y: edge(BOX.y, j) }))),
  };
}

/** The middles of `n` by `n` cells over the box. */
function gridOf(n: number): Point[] {
  const middle = ([low, high]: readonly [number, number], i: number): number => low + ((high - low) * (i + 0.5)) / n;
  return Array.from({ length: n * n }, (_, i) => ({ x: middle(BOX.x, i % n), y: middle(BOX.y, Math.floor(i / n)) }));
}

/**
 * The paper's Fig. 3, for every rule: paths on eq. (9) with and without learning rate dropout, and how many starts of a grid end in
 * which minimum, at equal steps and at steps divided by p (equal mean updates a coordinate).
 *
 * @throws RangeError when an option breaks its rule
 */
export function runToy(options: ToyOptions = {}): ToyResult {
  const { steps = 2000, grid = 10, starts = DRAWN, seed = 0, keepProbability: p = KEEP_PROBABILITY.default } = options;
  const rules = options.rules ?? ['sgdm', 'sgdm-avg', 'rmsprop', 'adam', 'amsgrad', 'radam'];
  checkNumber('keepProbability', KEEP_PROBABILITY, p);
  const whole = { kind: 'number', default: 1, minimum: 1, maximum: 1e6, integer: true } as const;
  checkNumber('steps', { ...whole, text: 'must be a whole number in [1, 10^6]' }, steps);
  checkNumber('grid', { ...whole, maximum: 100, text: 'must be a whole number in [1, 100]' }, grid);
  const [low, high] = parseSeed(seed);
  const masks = { kind: 'stream', seed } as const;
  const table = gridOf(grid);
  const panels: ToyPanel[] = [];
  const counts: ToyCount[] = [];
  const escapes: { rule: RuleName; learningRate: number; runs: number; left: number }[] = [];

  for (const rule of rules) {
    const learningRate = options.learningRate ?? TOY_LEARNING_RATES[rule];
    // Weight decay would move the minima: off, also where a rule has it by default.
    const base: OptimizerOptions = { rule, hyper: { learningRate, weightDecay: 0 }, masks };
    for (const keepProbability of [1, p]) {
      const drawn = descend(starts, steps, { ...base, keepProbability });
      const paths = drawn.map((points) => ({ points, end: endOf(points[points.length - 1] as Point) }));
      panels.push({ rule, learningRate, keepProbability, paths });
    }
    const longer = Math.round(steps / effectiveKeepProbability(p));
    for (const arm of [
      { keepProbability: 1, steps },
      { keepProbability: p, steps },
      { keepProbability: p, steps: longer },
      { keepProbability: 1, steps: longer },
    ]) {
      const ends = { global: 0, local: 0, elsewhere: 0 };
      for (const path of descend(table, arm.steps, { ...base, keepProbability: arm.keepProbability }, arm.steps)) {
        ends[endOf(path[path.length - 1] as Point)] += 1;
      }
      counts.push({ rule, learningRate, ...arm, ends });
    }
    const rest = Array.from({ length: 100 }, () => STATIONARY_POINTS.localMinimum);
    const left = descend(rest, steps, { ...base, keepProbability: p }, steps).filter(
      (path) => endOf(path[path.length - 1] as Point) !== 'local',
    );
    escapes.push({ rule, learningRate, runs: rest.length, left: left.length });
  }
  const hexadecimal = ((BigInt(high) << 32n) | BigInt(low)).toString(16).padStart(16, '0');
  return {
    plane: planeOf(110),
    keepProbability: p,
    steps,
    starts: table.length,
    seed: `0x${hexadecimal}`,
    panels,
    counts,
    escapes,
  };
}
