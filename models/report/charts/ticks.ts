/** Round numbers that cover [low, high]: steps of 1, 2 or 5 times a power of ten, of at least `least`. */
export function niceTicks(low: number, high: number, count = 6, least = 0): number[] {
  if (!(high > low)) return [low];
  const raw = Math.max(high / count - low / count, least);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= raw * (1 - 1e-9)) as number) * power;
  const ticks: number[] = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step - high <= step * 1e-9 && ticks.length < 50; k++) {
    ticks.push(k * step);
  }
  return ticks;
}

/** 1, 2, 5 times powers of ten within [low, high]; bare powers, or every so many of them, where that would crowd. */
export function logTicks(low: number, high: number): number[] {
  const decades = Math.log10(high) - Math.log10(low);
  if (!Number.isFinite(decades)) return [];
  if (decades < 0.5) return niceTicks(low, high, 5);
  const factors = decades > 3.5 ? [1] : decades > 1.6 ? [1, 3] : [1, 2, 5];
  const every = Math.max(1, Math.ceil(decades / 7));
  const ticks: number[] = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    if (e % every !== 0) continue;
    for (const factor of factors) {
      const value = factor * Number(`1e${e}`);
      if (value >= low * 0.999 && value / 1.001 <= high && Number.isFinite(value)) ticks.push(value);
    }
  }
  return ticks;
}

/** A number as an axis says it: without digits that say nothing. */
export function formatTick(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential().replace(/^(-?\d(?:\.\d{1,2})?)\d*e\+?/, '$1e');
  const text = Number(value.toPrecision(4));
  return size >= 1e4 ? text.toLocaleString('en') : String(text);
}

/** A number as it is read off a curve: five significant digits. */
export function formatValue(value: number): string {
  const size = Math.abs(value);
  if (value === 0 || (size < 1e7 && size >= 1e-4)) return String(Number(value.toPrecision(5)));
  return value.toExponential(3).replace('e+', 'e');
}
