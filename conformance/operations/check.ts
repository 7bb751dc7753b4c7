/** Holds an operation on the current backend of tfjs against its definition in float64: values, and gradients against differences. */
import * as tf from '@tensorflow/tfjs';
import type { Nd } from './array.ts';
import { Random, sizeOf } from './array.ts';
import type { Case, Operation } from './operation.ts';

/** How far float32 may be off, of the largest number involved: a backend's elementary functions are the larger part. */
const TOLERANCE: Readonly<Record<string, number>> = { cpu: 2e-5, wasm: 2e-5, tensorflow: 2e-5, webgpu: 4e-4 };

/** Gradients are compared at so many places of each input at most. */
const PLACES = 4;

const STEP = 1e-5;

function tensorOf({ shape, data }: Nd): tf.Tensor {
  return tf.tensor(Float32Array.from(data), [...shape], 'float32');
}

/** The largest magnitude that is a number. */
function scale(values: Iterable<number>): number {
  let largest = 0;
  for (const value of values) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  return largest;
}

function shown(values: Iterable<number>): string {
  const list = [...values].map((value) => String(Math.fround(value)));
  return list.length > 24 ? `${list.slice(0, 24).join(', ')}, ...` : list.join(', ');
}

/** Where values in float32 are not those in float64; undefined when all are. What float32 cannot hold is infinite there. */
function difference(found: ArrayLike<number>, right: ArrayLike<number>, tolerance: number): string | undefined {
  for (let i = 0; i < right.length; i++) {
    const [a, b] = [found[i] as number, right[i] as number];
    if (Number.isNaN(a) && Number.isNaN(b)) continue;
    if (Math.fround(b) === a) continue;
    if (Math.abs(a - b) <= tolerance) continue;
    return `at ${i}: ${a}, right is ${Math.fround(b)}`;
  }
  return undefined;
}

function what({ what: name, inputs }: Case): string {
  return `${name} of ${inputs.map(({ shape, data }) => `[${shape}] (${shown(data)})`).join(' and ')}`;
}

/** The sum of dy times the values. */
function weighted({ data }: Nd, dy: Nd): number {
  return data.reduce((sum, value, i) => sum + value * (dy.data[i] as number), 0);
}

function moved(inputs: readonly Nd[], which: number, place: number, by: number): Nd[] {
  return inputs.map((input, i) => {
    if (i !== which) return input;
    const data = input.data.slice();
    data[place] = (data[place] as number) + by;
    return { shape: input.shape, data };
  });
}

/** Throws an error that shows the case when values or gradients are wrong. */
export async function checkCase(one: Case, random: Random): Promise<void> {
  const tolerance = TOLERANCE[tf.getBackend()] as number;
  const right = one.reference(...one.inputs);
  const inputs = one.inputs.map(tensorOf);
  const temporary: tf.Tensor[] = [...inputs];
  try {
    const y = tf.tidy(() => one.run(...inputs));
    temporary.push(y);
    const values = await y.data();
    if (y.shape.join() !== right.shape.join())
      throw new Error(`${what(one)}: shape [${y.shape}], right is [${right.shape}]`);
    const room = tolerance * (1 + scale(right.data) + scale(one.inputs.flatMap(({ data }) => [...data])));
    const wrong = difference(values, right.data, room);
    if (wrong !== undefined) throw new Error(`${what(one)}: value ${wrong}`);
    if (one.differentiable === false) return;

    const dy = random.array(right.shape);
    const dyTensor = tensorOf(dy);
    temporary.push(dyTensor);
    const gradients = tf.tidy(() => tf.grads((...all: tf.Tensor[]) => one.run(...all))(inputs, dyTensor));
    temporary.push(...gradients);
    for (const [which, gradient] of gradients.entries()) {
      const input = one.inputs[which] as Nd;
      const found = await gradient.data();
      if (gradient.shape.join() !== input.shape.join()) {
        throw new Error(`${what(one)}: gradient ${which} of shape [${gradient.shape}], right is [${input.shape}]`);
      }
      const size = sizeOf(input.shape);
      const places =
        size <= PLACES
          ? Array.from({ length: size }, (_, i) => i)
          : Array.from({ length: PLACES }, () => random.int(0, size - 1));
      const middle = weighted(right, dy);
      for (const place of places) {
        const value = input.data[place] as number;
        const step = STEP * (1 + Math.abs(value));
        // From both sides: at a kink anything between is a gradient.
        const up = (weighted(one.reference(...moved(one.inputs, which, place, step)), dy) - middle) / step;
        const down = (middle - weighted(one.reference(...moved(one.inputs, which, place, -step)), dy)) / step;
        const margin =
          20 * tolerance * (1 + scale(dy.data) + scale([up, down]) + scale(right.data)) + 1e-3 * Math.abs(up - down);
        const g = found[place] as number;
        if (!(g >= Math.min(up, down) - margin && g <= Math.max(up, down) + margin)) {
          throw new Error(
            `${what(one)} with dy (${shown(dy.data)}): gradient ${which} at ${place}: ${g}, right is ${(up + down) / 2}`,
          );
        }
      }
    }
  } finally {
    tf.dispose(temporary);
  }
}

/** Infinities, NaN and, where nothing is summed, numbers near float32's end in place of some of a case's. Values alone are compared. */
export async function checkHostile(one: Case, random: Random, kind: Operation['hostile']): Promise<void> {
  const strange = [Infinity, -Infinity, NaN, 0, -0, ...(kind === 'elements' ? [3e38, -3e38, 1e20, 1e-30] : [])];
  const inputs = one.inputs.map((input, which) => {
    if (kind === 'pixels' && which > 0) return input;
    const { shape, data } = input;
    // Few among many, or everything would be NaN.
    const share = data.length > 100 ? 2 / data.length : 0.15;
    const strangers = Array.from(data, (value) =>
      random.uniform() < share ? Math.fround(random.pick(strange)) : value,
    );
    return { shape, data: Float64Array.from(strangers) };
  });
  await checkValues({ ...one, inputs });
}

async function checkValues(one: Case): Promise<void> {
  const right = one.reference(...one.inputs);
  const inputs = one.inputs.map(tensorOf);
  const y = tf.tidy(() => one.run(...inputs));
  const values = await y.data();
  tf.dispose([...inputs, y]);
  for (const [i, exact] of right.data.entries()) {
    const [found, wanted] = [values[i] as number, Math.fround(exact)];
    // Of sums of huge numbers the order decides whether they leave the range: only what is certain is compared.
    if (
      Number.isNaN(wanted)
        ? Number.isNaN(found)
        : Math.abs(exact) > 1e37 || found === wanted || Math.abs(found - exact) <= 1e-4 * (1 + Math.abs(exact))
    )
      continue;
    throw new Error(`${what(one)}: value at ${i}: ${found}, right is ${wanted}`);
  }
}

export interface Finding {
  readonly operation: string;
  readonly seed: number;
  readonly hostile: boolean;
  readonly message: string;
}

/** Whether the backend says itself that it has no such operation, in the words that the operation knows. */
function isMissing(operation: Operation, error: Error): boolean {
  return operation.missing?.[tf.getBackend()]?.test(error.message) === true;
}

/** Tries an operation with seeds first, ..., first + count - 1. Returns what is wrong, at most one finding a seed. */
export async function tryOperation(
  operation: Operation,
  first: number,
  count: number,
): Promise<{ readonly findings: readonly Finding[]; readonly refused: number }> {
  const findings: Finding[] = [];
  let refused = 0;
  for (let seed = first; seed < first + count; seed++) {
    for (const hostile of operation.hostile && tf.getBackend() !== 'webgpu' ? [false, true] : [false]) {
      const random = new Random(seed * 2 + Number(hostile));
      const one = operation.make(random);
      try {
        await (hostile ? checkHostile(one, random, operation.hostile) : checkCase(one, random));
      } catch (error) {
        if (isMissing(operation, error as Error)) refused += 1;
        else findings.push({ operation: operation.name, seed, hostile, message: (error as Error).message });
      }
    }
  }
  return { findings, refused };
}
