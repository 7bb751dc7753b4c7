/**
 * `tf.einsum`: its gradient, which tfjs has on no backend, and the operation itself, which wasm lacks and the others get wrong where a
 * label is summed over in one operand alone.
 */
import * as tf from '@tensorflow/tfjs';

/** An equation's labels: those of each operand, and of the result. */
interface Equation {
  readonly terms: readonly (readonly string[])[];
  readonly result: readonly string[];
}

/** Throws what tfjs throws on an equation that it does not take, or that does not fit the operands. */
function parse(equation: string, operands: readonly tf.Tensor[]): Equation {
  const { allDims, idDims } = tf.backend_util.decodeEinsumEquation(equation, operands.length);
  tf.backend_util.checkEinsumDimSizes(allDims.length, idDims, [...operands]);
  const result = equation.replaceAll(/\s/g, '').split('->')[1] as string;
  return { terms: idDims.map((ids) => ids.map((id) => allDims[id] as string)), result: Array.from(result) };
}

const product = (extents: readonly number[]): number => extents.reduce((size, extent) => size * extent, 1);

/** Sums over the labels that are not wanted and brings the others into their order. */
function arrange(x: tf.Tensor, labels: readonly string[], wanted: readonly string[]): tf.Tensor {
  const unwanted = labels.flatMap((label, axis) => (wanted.includes(label) ? [] : [axis]));
  const left = labels.filter((label) => wanted.includes(label));
  const summed = unwanted.length === 0 ? x : tf.sum(x, unwanted);
  const order = wanted.map((label) => left.indexOf(label));
  return order.every((axis, i) => axis === i) ? summed : tf.transpose(summed, order);
}

/** The sum of products that an equation of one or two operands says, as one batched product of matrices. */
export function einsumOfProducts(equation: string, operands: readonly tf.Tensor[]): tf.Tensor {
  return tf.tidy(() => {
    const { terms, result } = parse(equation, operands);
    const [a, b] = operands as [tf.Tensor, tf.Tensor | undefined];
    const [inA, inB = []] = terms as [readonly string[], (readonly string[])?];
    if (b === undefined) return arrange(a, inA, result).clone();
    const both = inA.filter((label) => inB.includes(label));
    const batch = both.filter((label) => result.includes(label));
    const summed = both.filter((label) => !result.includes(label));
    const rows = inA.filter((label) => result.includes(label) && !inB.includes(label));
    const columns = inB.filter((label) => result.includes(label) && !inA.includes(label));
    const extent = (label: string): number =>
      (inA.includes(label) ? a.shape[inA.indexOf(label)] : b.shape[inB.indexOf(label)]) as number;
    const size = (labels: readonly string[]): number => product(labels.map(extent));
    const left: tf.Tensor3D = tf.reshape(arrange(a, inA, [...batch, ...rows, ...summed]), [
      size(batch),
      size(rows),
      size(summed),
    ]);
    const right: tf.Tensor3D = tf.reshape(arrange(b, inB, [...batch, ...summed, ...columns]), [
      size(batch),
      size(summed),
      size(columns),
    ]);
    const labels = [...batch, ...rows, ...columns];
    return arrange(tf.reshape(tf.matMul(left, right), labels.map(extent)), labels, result);
  });
}

/** The gradient with respect to each operand: the equation turned round, repeated along the axes that it summed over alone. */
export function einsumGradient(
  dy: tf.Tensor,
  operands: readonly tf.Tensor[],
  equation: string,
): Record<string, () => tf.Tensor> {
  const { terms, result } = parse(equation, operands);
  const gradients = operands.map((x, which) => (): tf.Tensor => {
    const own = terms[which] as readonly string[];
    const others = terms.filter((_, i) => i !== which);
    const known = own.filter((label) => result.includes(label) || others.some((labels) => labels.includes(label)));
    const sources = [dy, ...operands.filter((_, i) => i !== which)];
    const turned = [result, ...others].map((labels) => labels.join('')).join(',');
    const part = einsumOfProducts(`${turned}->${known.join('')}`, sources);
    if (known.length === own.length) return part;
    const shape = own.map((label, axis) => (known.includes(label) ? (x.shape[axis] as number) : 1));
    return tf.mul(tf.reshape(part, shape), tf.onesLike(x));
  });
  return Object.fromEntries(gradients.entries());
}
