/**
 * `fn` applied to each element of one, two or three equally long arrays, so that a rule reads as its formula does: all products,
 * quotients and roots of Algorithm 1 are elementwise.
 */
export function elementwise(
  fn: (a: number, b: number, c: number) => number,
  first: Float64Array,
  second: Float64Array = first,
  third: Float64Array = first,
): Float64Array {
  const out = new Float64Array(first.length);
  for (let i = 0; i < out.length; i++) out[i] = fn(first[i] as number, second[i] as number, third[i] as number);
  return out;
}
