/** Measuring passes over `Float32Array`s in plain JavaScript, in float64. */
import type { TensorBuffers, TensorPlan } from '../engines/engine.ts';
import type { Floats } from '../engines/js.ts';
import { divides } from '../engines/formulas.ts';
import { agree, agreeFinite } from '../engines/js.ts';
import type { AlignmentMeasure } from './formulas.ts';
import { alignmentScalars, momentState } from './formulas.ts';

/** The three sums of a tensor's alignment, over its elements in order. An own moment goes on. */
export function sumAlignment(
  tensor: TensorPlan,
  measure: AlignmentMeasure,
  buffers: TensorBuffers<Float32Array>,
): readonly [number, number, number] {
  const { decay, firstKeep, firstAdd } = alignmentScalars(tensor.scalars, measure);
  const { coupled } = tensor.kernel;
  const moment = buffers.state[momentState(tensor.kernel, measure)] as Floats;
  const [p, g] = [buffers.parameter as Floats, buffers.gradient as Floats];
  const { own, before } = measure;
  let [mg, mm, gg] = [0, 0, 0];
  for (let i = 0; i < tensor.size; i++) {
    const d = coupled ? (g[i] as number) + decay * (p[i] as number) : (g[i] as number);
    const old = moment[i] as number;
    const next = own || !before ? Math.fround(firstKeep * old + firstAdd * d) : old;
    if (own) moment[i] = next;
    const m = before ? old : next;
    mg += m * d;
    mm += m * m;
    gg += d * d;
  }
  return [mg, mm, gg];
}

/** How many elements of a tensor agree: what the step's pass will find, by the same arithmetic. */
export function countAgreement({ kernel, scalars, size }: TensorPlan, buffers: TensorBuffers<Float32Array>): number {
  const { coupled, family, nesterov, centered, inside, buffered } = kernel;
  const { decay, firstKeep, firstAdd, secondKeep, secondAdd, momentum, epsilon } = scalars;
  const [p, g] = [buffers.parameter as Floats, buffers.gradient as Floats];
  const { m, buf, v, gavg } = buffers.state as Readonly<Record<string, Floats>>;
  const first = family === 'momentum' ? buf : m;
  const agreed = divides(kernel) ? agreeFinite : agree;
  let count = 0;
  for (let i = 0; i < size; i++) {
    const d = coupled ? (g[i] as number) + decay * (p[i] as number) : (g[i] as number);
    let sign = d;
    if (family === 'rmsprop' && buffered) {
      const square = secondKeep * (v?.[i] as number) + secondAdd * d * d;
      const mean = centered ? firstKeep * (gavg?.[i] as number) + firstAdd * d : 0;
      const spread = centered ? Math.max(square - mean * mean, 0) : square;
      sign = inside ? d / Math.sqrt(spread + epsilon) : d / (Math.sqrt(spread) + epsilon);
      sign += momentum * (buf?.[i] as number);
    } else if (family !== 'rmsprop' && first !== undefined) {
      sign = firstKeep * (first[i] as number) + firstAdd * d;
      if (nesterov) sign = d + momentum * sign;
    }
    count -= agreed(sign, d);
  }
  return count;
}
