/**
 * The fused step on `Float32Array`s in plain JavaScript: for the backends that keep their data there, and for everything
 * without SIMD or a GPU. Arithmetic is float64 with one rounding at each store, so it is never less exact than float32.
 */
import { PHILOX, STREAMS } from '../../spec/stream.ts';
import type { Key } from '../philox.ts';
import { multiplyHigh } from '../philox.ts';
import type { Engine, Kernel, Scalars, TensorBuffers, TensorPlan } from './engine.ts';
import { modeOf, withFactor } from './engine.ts';

/** Elements that are updated at once, a multiple of the block's eight. The scratch memory is eight bytes for each. */
export const CHUNK = 2048;

const [M0, M1] = PHILOX.multipliers;
const [W0, W1] = PHILOX.weyl;
const [M0_LOW, M0_HIGH, M1_LOW, M1_HIGH] = [M0 & 0xffff, M0 >>> 16, M1 & 0xffff, M1 >>> 16] as const;

/** kept[i] = -1 if element `first + i` of the mask stream is kept, else 0. `first` is a multiple of 8. */
export function drawMask(
  key: Key,
  step: number,
  first: number,
  count: number,
  threshold: number,
  kept: Int32Array,
): void {
  for (let i = 0; i < count; i += 8) {
    let c0 = ((first + i) / 8) | 0;
    let c1 = 0;
    let c2 = step | 0;
    let c3: number = STREAMS.mask;
    let k0 = key[0] | 0;
    let k1 = key[1] | 0;
    for (let round = 0; round < PHILOX.rounds; round++) {
      const high0 = multiplyHigh(c0, M0_LOW, M0_HIGH);
      const high1 = multiplyHigh(c2, M1_LOW, M1_HIGH);
      const low0 = Math.imul(c0, M0);
      c0 = high1 ^ c1 ^ k0;
      c1 = Math.imul(c2, M1);
      c2 = high0 ^ c3 ^ k1;
      c3 = low0;
      k0 = (k0 + W0) | 0;
      k1 = (k1 + W1) | 0;
    }
    // (half - T) >> 31 is -1 exactly where half < T.
    kept[i] = ((c0 & 0xffff) - threshold) >> 31;
    kept[i + 1] = ((c0 >>> 16) - threshold) >> 31;
    kept[i + 2] = ((c1 & 0xffff) - threshold) >> 31;
    kept[i + 3] = ((c1 >>> 16) - threshold) >> 31;
    kept[i + 4] = ((c2 & 0xffff) - threshold) >> 31;
    kept[i + 5] = ((c2 >>> 16) - threshold) >> 31;
    kept[i + 6] = ((c3 & 0xffff) - threshold) >> 31;
    kept[i + 7] = ((c3 >>> 16) - threshold) >> 31;
  }
}

/** -1 where both have the same sign and neither is 0, else 0. */
export const agree = (a: number, b: number): number => ((a > 0 && b > 0) || (a < 0 && b < 0) ? -1 : 0);

/** The same where `a` is the numerator of a quotient, which has no sign where that is infinite. */
export const agreeFinite = (a: number, b: number): number => (a - a === 0 ? agree(a, b) : 0);

/** A stretch of one tensor: elements `first` to `last` - 1, whose new parameters go to next[i - first]. */
interface Stretch {
  readonly parameter: Float32Array;
  readonly gradient: Float32Array;
  readonly state: Readonly<Record<string, Float32Array>>;
  readonly first: number;
  readonly last: number;
  readonly next: Float32Array;
  /** Where a kernel keeps by agreement: -1 at [i - first] if element i agrees, else 0. */
  readonly kept: Int32Array;
}

// Typed arrays give `number | undefined` to the compiler; `first <= i < last` lies inside all of them.
export type Floats = Record<number, number>;

function stepGradient(
  { parameter, gradient, first, last, next, kept }: Stretch,
  { decay, rate }: Scalars,
  kernel: Kernel,
): void {
  const [p, g] = [parameter as Floats, gradient as Floats];
  const { coupled, agreement } = kernel;
  for (let i = first; i < last; i++) {
    const old = p[i] as number;
    const d = coupled ? (g[i] as number) + decay * old : (g[i] as number);
    if (agreement) kept[i - first] = agree(d, d);
    next[i - first] = old - rate * d;
  }
}

function stepMomentum(stretch: Stretch, scalars: Scalars, { coupled, nesterov, agreement }: Kernel): void {
  const { first, last, next, kept } = stretch;
  const { decay, rate, firstKeep, firstAdd, momentum } = scalars;
  const [p, g, buf] = [stretch.parameter as Floats, stretch.gradient as Floats, stretch.state['buf'] as Floats];
  for (let i = first; i < last; i++) {
    const old = p[i] as number;
    const d = coupled ? (g[i] as number) + decay * old : (g[i] as number);
    const b = firstKeep * (buf[i] as number) + firstAdd * d;
    buf[i] = b;
    const delta = nesterov ? d + momentum * b : b;
    if (agreement) kept[i - first] = agree(delta, d);
    next[i - first] = old - rate * delta;
  }
}

function stepRmsprop(stretch: Stretch, scalars: Scalars, kernel: Kernel): void {
  const { first, last, next, kept } = stretch;
  const { coupled, centered, inside, buffered, agreement } = kernel;
  const { decay, rate, firstKeep, firstAdd, secondKeep, secondAdd, momentum, epsilon } = scalars;
  const [p, g, v] = [stretch.parameter as Floats, stretch.gradient as Floats, stretch.state['v'] as Floats];
  const [gavg, buf] = [stretch.state['gavg'] as Floats, stretch.state['buf'] as Floats];
  for (let i = first; i < last; i++) {
    const old = p[i] as number;
    const d = coupled ? (g[i] as number) + decay * old : (g[i] as number);
    const square = secondKeep * (v[i] as number) + secondAdd * d * d;
    v[i] = square;
    let spread = square;
    if (centered) {
      const mean = firstKeep * (gavg[i] as number) + firstAdd * d;
      gavg[i] = mean;
      spread = Math.max(square - mean * mean, 0);
    }
    let delta = inside ? d / Math.sqrt(spread + epsilon) : d / (Math.sqrt(spread) + epsilon);
    if (buffered) {
      delta += momentum * (buf[i] as number);
      buf[i] = delta;
    }
    if (agreement) kept[i - first] = buffered ? agree(delta, d) : agreeFinite(d, d);
    next[i - first] = old - rate * delta;
  }
}

function stepAdam(stretch: Stretch, scalars: Scalars, kernel: Kernel): void {
  const { first, last, next, kept } = stretch;
  const { coupled, decoupled, agreement } = kernel;
  const { decay, rate, shrink, firstKeep, firstAdd, secondKeep, secondAdd, epsilon, maxScale } = scalars;
  const [p, g] = [stretch.parameter as Floats, stretch.gradient as Floats];
  const [m, v] = [stretch.state['m'] as Floats, stretch.state['v'] as Floats];
  const vmax = stretch.state['vmax'] as Floats;
  const amsgrad = kernel.family === 'amsgrad';
  const firstMoment = kernel.family === 'first-moment';
  for (let i = first; i < last; i++) {
    const old = p[i] as number;
    const d = coupled ? (g[i] as number) + decay * old : (g[i] as number);
    const mean = firstKeep * (m[i] as number) + firstAdd * d;
    let square = secondKeep * (v[i] as number) + secondAdd * d * d;
    m[i] = mean;
    v[i] = square;
    if (amsgrad) {
      square = Math.max(vmax[i] as number, maxScale * square);
      vmax[i] = square;
    }
    const delta = firstMoment ? mean : mean / (Math.sqrt(square) + epsilon);
    if (agreement) kept[i - first] = firstMoment ? agree(mean, d) : agreeFinite(mean, d);
    next[i - first] = old - (decoupled ? shrink * old + rate * delta : rate * delta);
  }
}

/** The new values of dropped elements that decay all the same. */
function decayDropped({ parameter, first, last, next, kept }: Stretch, shrink: number): void {
  const p = parameter as Floats;
  for (let i = first; i < last; i++) {
    if (kept[i - first] === 0) next[i - first] = (p[i] as number) - shrink * (p[i] as number);
  }
}

/** Takes the new bits where kept and leaves the old ones elsewhere: no branch, which a random mask would mispredict. */
export function select(bits: Int32Array, next: Int32Array, kept: Int32Array, first: number, last: number): void {
  for (let i = first; i < last; i++) {
    const old = bits[i] as number;
    bits[i] = old ^ ((old ^ (next[i - first] as number)) & (kept[i - first] as number));
  }
}

function runStretch(stretch: Stretch, { kernel, scalars }: TensorPlan): void {
  switch (kernel.family) {
    case 'gradient':
      return stepGradient(stretch, scalars, kernel);
    case 'momentum':
      return stepMomentum(stretch, scalars, kernel);
    case 'rmsprop':
      return stepRmsprop(stretch, scalars, kernel);
    case 'adam':
    case 'amsgrad':
    case 'first-moment':
      return stepAdam(stretch, scalars, kernel);
  }
}

/** The engine for `Float32Array`s that are all there and of the right length (`createJsEngine` checks that). */
export function jsEngine(): Engine<Float32Array> {
  const kept = new Int32Array(CHUNK);
  const next = new Float32Array(CHUNK);
  const nextBits = new Int32Array(next.buffer);
  return {
    step(plan, tensors) {
      plan.tensors.forEach((tensor, index) => {
        if (tensor === null) return;
        const buffers = tensors[index] as TensorBuffers<Float32Array>;
        const { parameter, gradient, state } = buffers;
        const { measure } = tensor;
        const scalars =
          measure === null ? tensor.scalars : withFactor(tensor.scalars, measure, measure.arrays(tensor, buffers));
        const bits = new Int32Array(parameter.buffer, parameter.byteOffset, parameter.length);
        const mode = modeOf(tensor);
        const { plain } = tensor.kernel;
        for (let first = 0; first < tensor.size; first += CHUNK) {
          const last = Math.min(first + CHUNK, tensor.size);
          const stretch = { parameter, gradient, state, first, last, next, kept };
          runStretch(stretch, { ...tensor, scalars });
          if (mode === 'masked') {
            drawMask(plan.key, plan.step, tensor.base + first, last - first, tensor.threshold, kept);
          } else if (mode === 'none') kept.fill(0);
          if (plain && mode !== 'all') decayDropped(stretch, scalars.shrink);
          if (mode === 'all' || plain)
            parameter.set(last - first === CHUNK ? next : next.subarray(0, last - first), first);
          else if (mode !== 'none') select(bits, nextBits, kept, first, last);
        }
      });
    },
  };
}
