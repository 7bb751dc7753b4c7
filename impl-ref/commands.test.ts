import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { createOptimizer } from './optimizer.ts';
import type { Optimizer, OptimizerState } from './optimizer.ts';
import { keepThreshold } from './masks.ts';
import { philox4x32 } from './philox.ts';
import { keepProbability, natural, runs, vector } from './testing/properties.ts';

const test = suite('impl-ref/commands');

const SIZES = [3, 2] as const;
const SEED = 0x0123456789abcdefn;

/** Adam with learning rate dropout as one person would write it for two tensors of a few numbers: the model. */
interface Model {
  step: number;
  learningRate: number;
  weightDecay: number;
  keepProbability: number;
  counts: number[];
  /** By tensor, by element. */
  cells: { theta: number; m: number; v: number }[][];
}

interface Real {
  optimizer: Optimizer;
  state: OptimizerState;
  overrides: { hyper: { learningRate: number; weightDecay: number }; keepProbability: number };
}

const create = (): Optimizer =>
  createOptimizer(
    SIZES.map((size, k) => ({ name: `w${k}`, shape: [size], values: new Float64Array(size).fill(1) })),
    { rule: 'adam', masks: { kind: 'stream', seed: SEED } },
  );

/** The bit of element i of tensor k (base 64 k), straight from the block. */
function kept(step: number, k: number, i: number, p: number): boolean {
  const word = philox4x32([8 * k, 0, step, 0], [0x89abcdef, 0x01234567])[i >> 1] as number;
  return p === 1 || (i % 2 === 0 ? word & 0xffff : word >>> 16) < keepThreshold(p);
}

type Command = fc.Command<Model, Real>;
const always = (): boolean => true;

class Step implements Command {
  readonly gradients: readonly (readonly number[] | null)[];
  constructor(gradients: readonly (readonly number[] | null)[]) {
    this.gradients = gradients;
  }
  check = always;
  run(model: Model, real: Real): void {
    const { state } = real.optimizer.step(real.state, this.gradients, real.overrides);
    real.state = state;
    model.step += 1;
    this.gradients.forEach((gradient, k) => {
      if (gradient === null) return;
      model.counts[k] = (model.counts[k] as number) + 1;
      const t = model.counts[k];
      model.cells[k]?.forEach((cell, i) => {
        const g = (gradient[i] as number) + model.weightDecay * cell.theta;
        cell.m = 0.9 * cell.m + (1 - 0.9) * g;
        cell.v = 0.999 * cell.v + (1 - 0.999) * g ** 2;
        const direction = cell.m / (1 - 0.9 ** t) / (Math.sqrt(cell.v / (1 - 0.999 ** t)) + 1e-8);
        if (kept(model.step, k, i, model.keepProbability)) cell.theta -= model.learningRate * direction;
      });
    });
    agree(model, real.state);
  }
  toString(): string {
    return `step(${JSON.stringify(this.gradients)})`;
  }
}

class Change implements Command {
  readonly what: 'learningRate' | 'weightDecay' | 'keepProbability';
  readonly value: number;
  constructor(what: 'learningRate' | 'weightDecay' | 'keepProbability', value: number) {
    this.what = what;
    this.value = value;
  }
  check = always;
  run(model: Model, real: Real): void {
    model[this.what] = this.value;
    if (this.what === 'keepProbability') real.overrides.keepProbability = this.value;
    else real.overrides.hyper[this.what] = this.value;
  }
  toString(): string {
    return `${this.what} = ${this.value}`;
  }
}

/** Through JSON and into another optimizer, as a checkpoint goes. */
class SaveAndLoad implements Command {
  check = always;
  run(_model: Model, real: Real): void {
    const saved = JSON.parse(
      JSON.stringify(real.state, (_, value: unknown) => (value instanceof Float64Array ? Array.from(value) : value)),
    ) as OptimizerState;
    const tensors = saved.tensors.map(({ values, count, slots }) => ({
      values: Float64Array.from(values),
      count,
      slots: Object.fromEntries(Object.entries(slots).map(([name, array]) => [name, Float64Array.from(array)])),
    }));
    real.optimizer = create();
    real.state = { ...saved, tensors };
  }
  toString(): string {
    return 'save and load';
  }
}

/** A step tried from the present state and thrown away must leave nothing behind. */
class Fork implements Command {
  readonly gradients: readonly (readonly number[] | null)[];
  constructor(gradients: readonly (readonly number[] | null)[]) {
    this.gradients = gradients;
  }
  check = always;
  run(model: Model, real: Real): void {
    real.optimizer.step(real.state, this.gradients, real.overrides);
    agree(model, real.state);
  }
  toString(): string {
    return 'fork';
  }
}

function agree(model: Model, state: OptimizerState): void {
  assert.is(state.step, model.step);
  state.tensors.forEach(({ values, count, slots }, k) => {
    assert.is(count, model.counts[k]);
    model.cells[k]?.forEach(({ theta, m, v }, i) => {
      for (const [got, expected] of [
        [values[i], theta],
        [slots['m']?.[i] ?? 0, m],
        [slots['v']?.[i] ?? 0, v],
      ] as const) {
        assert.ok(
          Math.abs((got as number) - expected) <= 1e-13 * (1 + Math.abs(expected)),
          `${got} instead of ${expected}`,
        );
      }
    });
  });
}

const gradient = (size: number): fc.Arbitrary<number[] | null> => fc.option(vector(natural, size), { freq: 5 });
const gradients = fc.tuple(gradient(SIZES[0]), gradient(SIZES[1]));
const command = fc.commands(
  [
    gradients.map((g) => new Step(g)),
    gradients.map((g) => new Step(g)),
    fc.constantFrom(0, 0.001, 0.1, 1).map((value) => new Change('learningRate', value)),
    fc.constantFrom(0, 0.01, 0.5).map((value) => new Change('weightDecay', value)),
    keepProbability.map((value) => new Change('keepProbability', value)),
    fc.constant(new SaveAndLoad()),
    gradients.map((g) => new Fork(g)),
  ],
  { maxCommands: 40 },
);

test('[LRD-STATE-001] [LRD-STATE-002] [LRD-STATE-003] any sequence of steps, changes, forks, saves and loads follows the model', () => {
  fc.assert(
    fc.property(command, (commands) => {
      const setup = (): { model: Model; real: Real } => {
        const optimizer = create();
        const overrides = { hyper: { learningRate: 0.001, weightDecay: 0 }, keepProbability: 0.5 };
        return {
          model: {
            step: 0,
            learningRate: 0.001,
            weightDecay: 0,
            keepProbability: 0.5,
            counts: SIZES.map(() => 0),
            cells: SIZES.map((size) => Array.from({ length: size }, () => ({ theta: 1, m: 0, v: 0 }))),
          },
          real: { optimizer, state: optimizer.init(), overrides },
        };
      };
      fc.modelRun(setup, commands);
    }),
    runs(200),
  );
});

test.run();
