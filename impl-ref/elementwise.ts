/**
 * `fn` applied to each element of equally long arrays, so that a rule reads as its formula does: all products, quotients
 * and roots of Algorithm 1 are elementwise.
 */
export function elementwise(
  fn: (...values: number[]) => number,
  first: Float64Array,
  ...rest: readonly Float64Array[]
): Float64Array {
  const out = new Float64Array(first.length);
  for (let i = 0; i < out.length; i++) {
    out[i] = fn(first[i] as number, ...rest.map((array) => array[i] as number));
  }
  return out;
}
