/** From runs to what is drawn: means over seeds with their band, running means, and the axes that a row shares. */
import type { Arm, Block, Chart, Column, Curve, View } from './model.ts';

export type Point = readonly [x: number, y: number];

/** One line of a chart. */
export interface Line {
  readonly label: string;
  readonly arm: Arm;
  readonly points: readonly Point[];
  /** Drawn weakly behind the others: a single seed, or what a running mean was taken of. */
  readonly faint: boolean;
  /** Lowest and highest of the seeds. */
  readonly band?: readonly (readonly [x: number, low: number, high: number])[];
  /** Runs that it is the mean of. */
  readonly count: number;
}

/**
 * A running mean as TensorBoard has it: each value weighs `weight` times the one after it, and the weights are divided by their sum, so
 * that the first values are not pulled to zero. Gaps stay gaps.
 */
export function smoothed(values: Column, weight: number): Column {
  if (!(weight > 0)) return values;
  let [sum, total] = [0, 0];
  return values.map((value) => {
    if (value === null) return null;
    // Shares first: sums of values near the largest number would overflow.
    total = total * weight + (1 - weight);
    const share = (1 - weight) / total;
    sum = sum * (1 - share) + value * share;
    return sum;
  });
}

/** The mean without a sum that overflows. */
export function meanOf(values: readonly number[]): number {
  return values.reduce((mean, value) => mean + value / values.length, 0);
}

function pointsOf(xs: Column, ys: Column): Point[] {
  return ys.map((y, k): Point => [xs[k] ?? NaN, y ?? NaN]).filter(([x]) => Number.isFinite(x));
}

const columnOf = ({ columns }: Curve, name: string): Column => columns[name] ?? [];

interface Group {
  readonly arm: Arm;
  readonly curves: readonly Curve[];
}

function groupsOf({ arms, curves }: Block, chart: Chart, { hidden }: View): Group[] {
  const groups = new Map<number, Curve[]>();
  for (const index of chart.curves) {
    const curve = curves[index];
    if (curve === undefined || hidden.has(curve.name)) continue;
    const arm = arms[curve.arm];
    if (arm === undefined || hidden.has(arm.label)) continue;
    groups.set(curve.arm, [...(groups.get(curve.arm) ?? []), curve]);
  }
  return [...groups].map(([arm, members]) => ({ arm: arms[arm] as Arm, curves: members }));
}

/** A curve of its own, with the raw values behind its running mean. */
function single(curve: Curve, arm: Arm, chart: Chart, view: View, faint: boolean): Line[] {
  const xs = columnOf(curve, view.axis);
  const ys = columnOf(curve, chart.y.column);
  const line = { label: curve.name, arm, count: 1 };
  const main: Line = { ...line, points: pointsOf(xs, smoothed(ys, view.smoothing)), faint };
  return view.smoothing > 0 && !faint ? [{ ...line, points: pointsOf(xs, ys), faint: true }, main] : [main];
}

/** The mean of an arm's runs as far as all of them have come, with the band; behind it what single runs go on with. */
function mean({ arm, curves }: Group, chart: Chart, view: View): Line[] {
  const xs = curves.map((curve) => columnOf(curve, view.axis));
  const raw = curves.map((curve) => columnOf(curve, chart.y.column));
  const length = Math.min(...raw.map((column) => column.length));
  const at = (columns: readonly Column[], k: number): number[] =>
    columns.flatMap((column) => (typeof column[k] === 'number' ? [column[k]] : []));
  const epochs = Array.from({ length }, (_, k) => k);
  const x = epochs.map((k) => meanOf(at(xs, k)));
  // A seed without a value there leaves a gap: a mean over the others would jump.
  const means = epochs.map((k) => {
    const values = at(raw, k);
    return values.length === curves.length ? meanOf(values) : null;
  });
  const band = epochs.flatMap((k): (readonly [number, number, number])[] => {
    const values = at(raw, k);
    return values.length === curves.length ? [[x[k] as number, Math.min(...values), Math.max(...values)]] : [];
  });
  const line = { label: `${arm.label}: mean of ${curves.length} seeds`, arm, count: curves.length };
  const tails = curves.flatMap((curve, k): Line[] => {
    const column = raw[k] as Column;
    if (column.length <= length) return [];
    const from = Math.max(0, length - 1);
    return [
      { label: curve.name, arm, count: 1, faint: true, points: pointsOf((xs[k] as Column).slice(from), column.slice(from)) },
    ]; // prettier-ignore
  });
  const behind: Line[] = view.smoothing > 0 ? [{ ...line, points: pointsOf(x, means), faint: true }] : [];
  return [...tails, ...behind, { ...line, points: pointsOf(x, smoothed(means, view.smoothing)), faint: false, band }];
}

/** What a chart shows in a view. */
export function linesOf(block: Block, chart: Chart, view: View): Line[] {
  return groupsOf(block, chart, view).flatMap((group) => {
    const [first] = group.curves;
    if (first === undefined) return [];
    if (group.curves.length === 1) return single(first, group.arm, chart, view, false);
    if (view.seeds === 'mean') return mean(group, chart, view);
    return group.curves.flatMap((curve) => single(curve, group.arm, chart, view, false));
  });
}

/** Whether a chart's y axis is logarithmic in a view. */
export function isLogarithmic({ y }: Chart, { scale }: View): boolean {
  return scale === 'own' ? y.logarithmic === true : scale === 'logarithmic';
}

/** The axes of a row. */
export interface Extent {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
  /** Whether curves leave the y axis at their steep start. */
  readonly cut: boolean;
}

const LARGEST = Number.MAX_VALUE;

function padded(low: number, high: number, logarithmic: boolean): readonly [number, number] {
  if (logarithmic) {
    const factor = low < high ? (high / low) ** 0.04 : 2;
    const room = Number.isFinite(factor) ? Math.max(factor, 1.02) : 1e12;
    return [Math.max(low / room, Number.MIN_VALUE), Math.min(high * room, LARGEST)];
  }
  const pad = low < high ? high * 0.05 - low * 0.05 : Math.abs(low) * 0.1 + 1e-9;
  return [Math.max(low - pad, -LARGEST), Math.min(high + pad, LARGEST)];
}

/** The share of the x axis that counts as the steep start. */
const START = 0.1;

/** The axes that hold every line of a row's charts; undefined where there is nothing to draw. */
export function extentOf(
  charts: readonly (readonly Line[])[],
  {
    logarithmic,
    logarithmicX,
    view,
  }: { readonly logarithmic: boolean; readonly logarithmicX: boolean; readonly view: View },
): Extent | undefined {
  let [x0, x1, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  const within = ([x]: readonly [number, ...number[]]): boolean =>
    view.range === undefined || (x >= view.range[0] && x <= view.range[1]);
  const drawable = (x: number, y: number): boolean =>
    Number.isFinite(x) && Number.isFinite(y) && (!logarithmic || y > 0) && (!logarithmicX || x > 0);
  const each = (visit: (x: number, y: number) => void): void => {
    for (const line of charts.flat()) {
      for (const [x, y] of line.points) if (drawable(x, y)) visit(x, y);
      for (const [x, bottom, top] of line.band ?? []) {
        if (drawable(x, bottom)) visit(x, bottom);
        if (drawable(x, top)) visit(x, top);
      }
    }
  };
  each((x) => {
    if (within([x])) [x0, x1] = [Math.min(x0, x), Math.max(x1, x)];
  });
  if (x0 > x1) return undefined;
  const [from, to] = view.range ?? [x0, x1];
  const start = view.cut ? from + START * (to - from) : -Infinity;
  let [wholeLow, wholeHigh] = [Infinity, -Infinity];
  each((x, y) => {
    if (!within([x])) return;
    [wholeLow, wholeHigh] = [Math.min(wholeLow, y), Math.max(wholeHigh, y)];
    if (x >= start) [low, high] = [Math.min(low, y), Math.max(high, y)];
  });
  if (low > high) [low, high] = [wholeLow, wholeHigh];
  const y = padded(low, high, logarithmic);
  return {
    x: to > from ? [from, to] : logarithmicX ? [from / 2, to * 2] : [from, to + 1],
    y,
    cut: wholeLow < y[0] || wholeHigh > y[1],
  };
}
