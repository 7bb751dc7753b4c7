/** Horizontal bars with whiskers, with Observable Plot, as SVG text. */
import { axisX, barX, gridX, plot, ruleX, ruleY, text } from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { named } from './picture.ts';
import { formatTick, logTicks } from './ticks.ts';

/** A bar with the range that its value has. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** A CSS colour. */
  readonly color: string;
}

export interface BarChartOptions {
  readonly title: string;
  readonly xLabel: string;
  /** A line through all bars, such as 1 for ratios; bars start there. */
  readonly reference: number;
}

const { document } = parseHTML('<!doctype html><html><body></body></html>');
const WIDTH = 520;
const ROW = 24;
/** A letter of the labels is about so wide. */
const LETTER = 6.2;

/** Bars on a logarithmic axis, each from the reference to its value, with a whisker over its range. */
export function barChart(bars: readonly Bar[], { title, xLabel, reference }: BarChartOptions): string {
  const positive = bars.filter(({ low, value, high }) => low > 0 && value > 0 && Number.isFinite(high));
  const ends = [reference, ...positive.flatMap(({ low, high }) => [low, high])];
  const domain = [Math.min(...ends) / 1.15, Math.max(...ends) * 1.4] as const;
  const left = Math.min(0.5 * WIDTH, 12 + LETTER * Math.max(8, ...positive.map(({ label }) => label.length)));
  const most = Math.floor((left - 12) / LETTER);
  const shown = positive.map((bar) => ({
    ...bar,
    name: bar.label.length > most ? `${bar.label.slice(0, most - 1)}…` : bar.label,
  }));
  const figure = plot({
    document,
    className: 'plot',
    width: WIDTH,
    height: 46 + ROW * shown.length,
    marginLeft: left,
    marginRight: 12,
    marginTop: 6,
    marginBottom: 40,
    x: { type: 'log', domain },
    y: { type: 'band', domain: shown.map(({ label }) => label), padding: 0.3, axis: null },
    marks: [
      gridX(logTicks(...domain), { strokeOpacity: 0.12 }),
      axisX(logTicks(...domain).slice(0, 9), { label: xLabel, labelArrow: 'none', tickFormat: formatTick, tickSize: 3 }),
      barX(shown, { x1: reference, x2: 'value', y: 'label', fill: (bar: Bar) => bar.color, rx: 1.5 }),
      ruleY(shown, { x1: 'low', x2: 'high', y: 'label', stroke: 'currentColor', strokeWidth: 1.2 }),
      ruleX([reference], { stroke: 'currentColor', strokeOpacity: 0.7 }),
      text(shown, { x: (bar: Bar) => Math.max(bar.high, reference), y: 'label', text: (bar: Bar) => formatTick(Number(bar.value.toPrecision(3))), textAnchor: 'start', dx: 5 }),
      text(shown, { x: domain[0], y: 'label', text: 'name', textAnchor: 'end', dx: -8 }),
    ], // prettier-ignore
  });
  const svg = figure as unknown as SVGSVGElement;
  svg.querySelector('style')?.remove();
  for (const part of svg.querySelectorAll('[aria-label]')) part.removeAttribute('aria-label');
  svg.setAttribute('font-size', '11');
  const said = positive.map(({ label, value }) => `${label} ${formatTick(Number(value.toPrecision(3)))}`).join('; ');
  svg.removeAttribute('width');
  svg.removeAttribute('height');
  return named(svg.outerHTML, `${title}, ${xLabel}: ${said}`);
}
