/** Charts as SVG text, made without a browser: the picture that a page shows where scripts do not run. */
import { parseHTML } from 'linkedom';
import { drawChart, heightOf } from './draw.ts';
import type { Extent, Line } from './lines.ts';
import { extentOf, isLogarithmic, linesOf } from './lines.ts';
import type { Block, Chart, View } from './model.ts';
import { firstView } from './model.ts';
import { escapeHtml } from '../html.ts';
import { formatValue } from './ticks.ts';

const { document } = parseHTML('<!doctype html><html><body></body></html>');
/** Of a picture; it is scaled to the width that the page has for it. */
const WIDTH = 440;

/** An SVG element's text with what it shows, for those who do not see it. */
export function named(svg: string, name: string): string {
  return svg.replace('<svg', () => `<svg role="img" aria-label="${escapeHtml(name)}"`);
}

/** Every so-and-so-many-th point, so that a picture has about `most` of them; the first and the last stay. */
function sparse<T>(points: readonly T[], most: number): readonly T[] {
  const every = Math.ceil(points.length / Math.max(2, most));
  return every <= 1 ? points : points.filter((_, k) => k % every === 0 || k === points.length - 1);
}

/** The axes of each row of a block, by the row's name. */
export function rowExtents(
  block: Block,
  view: View,
  lines: ReadonlyMap<Chart, readonly Line[]>,
): ReadonlyMap<string, Extent | undefined> {
  const axis = block.axes.find(({ column }) => column === view.axis);
  const rows = new Map<string, Chart[]>();
  for (const chart of block.charts) rows.set(chart.row, [...(rows.get(chart.row) ?? []), chart]);
  return new Map(
    [...rows].map(([row, charts]) => {
      const [first] = charts;
      const logarithmic = first !== undefined && isLogarithmic(first, view);
      const drawn = charts.map((chart) => lines.get(chart) ?? []);
      return [row, extentOf(drawn, { logarithmic, logarithmicX: axis?.logarithmic === true, view })];
    }),
  );
}

/** What a chart shows, for those who do not see it: how far each line came. */
export function describeChart({ title, y }: Chart, lines: readonly Line[]): string {
  const ends = lines
    .filter(({ faint }) => !faint)
    .slice(0, 8)
    .flatMap(({ label, points }) => {
      const there = points.filter(([, value]) => Number.isFinite(value));
      const [first, last] = [there[0], there.at(-1)];
      if (first === undefined || last === undefined) return [];
      return [`${label} from ${formatValue(first[1])} to ${formatValue(last[1])}`];
    });
  return `${title}, ${y.label}: ${ends.length === 0 ? 'no data' : ends.join('; ')}`;
}

/**
 * The charts of a block as it is first seen, each as SVG text.
 *
 * @param points how many points a picture may have at most: each costs a dozen bytes
 */
export function pictures(block: Block, points: number): string[] {
  const view = firstView(block);
  const axis = block.axes.find(({ column }) => column === view.axis);
  if (axis === undefined) throw new Error(`block ${block.id} has no axis`);
  const lines = new Map(block.charts.map((chart) => [chart, linesOf(block, chart, view)] as const));
  const extents = rowExtents(block, view, lines);
  return block.charts.map((chart) => {
    const all = lines.get(chart) ?? [];
    const each = Math.floor(points / Math.max(1, all.length));
    const drawn = all.map((line): Line => ({
      ...line,
      points: sparse(line.points, each),
      ...(line.band === undefined ? {} : { band: sparse(line.band, each / 2) }),
    }));
    const { svg } = drawChart(drawn, {
      document,
      width: WIDTH,
      height: heightOf(WIDTH),
      x: axis,
      y: chart.y,
      logarithmic: isLogarithmic(chart, view),
      extent: extents.get(chart.row),
    });
    svg.removeAttribute('width');
    svg.removeAttribute('height');
    return named(svg.outerHTML, describeChart(chart, all));
  });
}
