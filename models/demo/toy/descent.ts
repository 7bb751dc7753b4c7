import { createJsEngine, planStep, stateNames } from 'learning-rate-dropout/gpu';
import { keyOf, layOut } from 'learning-rate-dropout/stream';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Point } from './surface.ts';
import { evaluate } from './surface.ts';

export interface DescentSettings {
  readonly rule: Exclude<RuleName, 'sgdm-avg'>;
  readonly learningRate: number;
  readonly keepProbability: number;
  readonly start: Point;
  /** Of the mask stream, in [0, 2^53). */
  readonly seed: number;
  /** Descents from the same start with masks of their own. */
  readonly draws: number;
}

interface Coordinate {
  readonly parameter: Float32Array;
  readonly gradient: Float32Array;
  readonly state: Readonly<Record<string, Float32Array>>;
}

/**
 * Descents on eq. (9) by the JavaScript engine: the starts are the elements of two tensors, x and y, so each coordinate of each
 * descent has mask bits of its own.
 */
export class Descent {
  /** The points of each descent so far, x and y in turns. */
  readonly paths: readonly number[][];
  readonly settings: DescentSettings;
  readonly #tensors: readonly [x: Coordinate, y: Coordinate];
  readonly #bases: readonly number[];
  readonly #engine = createJsEngine();
  #steps = 0;

  constructor(settings: DescentSettings) {
    this.settings = settings;
    const { start, draws, rule } = settings;
    const coordinate = (value: number): Coordinate => ({
      parameter: new Float32Array(draws).fill(value),
      gradient: new Float32Array(draws),
      state: Object.fromEntries(stateNames(rule, this.#hyper).map((name) => [name, new Float32Array(draws)])),
    });
    this.#tensors = [coordinate(start.x), coordinate(start.y)];
    this.#bases = layOut([draws, draws]);
    this.paths = Array.from({ length: draws }, () => [start.x, start.y]);
  }

  /** Steps taken. */
  get steps(): number {
    return this.#steps;
  }

  /** Where a descent is now. */
  at(draw: number): Point {
    const [xs, ys] = this.#tensors;
    return { x: xs.parameter[draw] as number, y: ys.parameter[draw] as number };
  }

  step(): void {
    this.#steps += 1;
    const [xs, ys] = this.#tensors;
    for (let i = 0; i < this.settings.draws; i++) {
      const { dx, dy } = evaluate(xs.parameter[i] as number, ys.parameter[i] as number);
      xs.gradient[i] = dx;
      ys.gradient[i] = dy;
    }
    const { rule, keepProbability, seed, draws } = this.settings;
    const hyper = this.#hyper;
    const plan = planStep({
      rule,
      key: keyOf(BigInt(seed)),
      step: this.#steps,
      tensors: this.#bases.map((base) => ({ base, size: draws, count: this.#steps, hyper, keepProbability })),
    });
    this.#engine.step(plan, this.#tensors);
    this.paths.forEach((path, i) => path.push(xs.parameter[i] as number, ys.parameter[i] as number));
  }

  /** Weight decay would move the minima: off, also where a rule has it by default. */
  get #hyper(): { learningRate: number; weightDecay: number } {
    return { learningRate: this.settings.learningRate, weightDecay: 0 };
  }
}
