/** Numbers as people type them: decimals, as in 3, .5, 1e-3; no other base, no blanks, no words. */

const DECIMAL = /^[-+]?(\d*)\.?(\d*)(?:e([-+]?\d+))?$/i;

/** Whole part, digits behind the point, exponent; undefined for what is no decimal. */
function partsOf(
  text: string,
): { readonly whole: string; readonly behind: string; readonly exponent: number } | undefined {
  const [, whole = '', behind = '', exponent = '0'] = DECIMAL.exec(text) ?? [];
  return whole === '' && behind === '' ? undefined : { whole, behind, exponent: Number(exponent) };
}

/** Whether a text is a decimal number, of whatever size. */
export function isDecimal(text: string): boolean {
  return partsOf(text) !== undefined;
}

/**
 * Reads a decimal. NaN for what is none, and for what no double can hold: too large, or so small that it would be taken for 0.
 */
export function readDecimal(text: string): number {
  const parts = partsOf(text);
  if (parts === undefined) return NaN;
  const value = Number(text);
  const isZero = /^0*$/.test(parts.whole) && /^0*$/.test(parts.behind);
  return Number.isFinite(value) && (value !== 0 || isZero) ? value : NaN;
}

/** Reads a decimal that is a whole number, with every digit of it. NaN for what is none, and for what a double would round. */
export function readWhole(text: string): number {
  const value = readDecimal(text);
  const parts = partsOf(text);
  if (!Number.isSafeInteger(value) || parts === undefined) return NaN;
  const digits = `${parts.whole}${parts.behind}`;
  const zeros = digits.length - digits.replace(/0+$/, '').length;
  const isWhole = zeros === digits.length || parts.exponent - parts.behind.length + zeros >= 0;
  return isWhole ? value : NaN;
}
