/** Line charts as SVG text, for pages that open without a network. Colours are CSS variables of the page. */

export interface Series {
  readonly label: string;
  /** A CSS colour. */
  readonly color: string;
  readonly dashed?: boolean;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** A band around the line, as from the worst to the best of several runs. */
  readonly band?: readonly (readonly [x: number, low: number, high: number])[];
}

export interface ChartOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly logarithmic?: boolean;
  readonly logarithmicX?: boolean;
  /** Ticks of the x axis at whole numbers alone, as for epochs. */
  readonly wholeX?: boolean;
  /** Leaves the first tenth of the x range out when the y range is chosen: a steep start would flatten all the rest. */
  readonly ignoreStart?: boolean;
  readonly width?: number;
  readonly height?: number;
}

export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => entities[character] as string);
}

/** Round numbers that cover [low, high]: steps of 1, 2 or 5 times a power of ten, of at least `least`. */
export function niceTicks(low: number, high: number, count = 5, least = 0): number[] {
  if (!(high > low)) return [low];
  const raw = Math.max((high - low) / count, least);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= raw) as number) * power;
  const first = Math.ceil(low / step - 1e-9);
  // Beyond 2^53 one more is no more: the number of ticks is bounded, whatever the range.
  const ticks = Array.from({ length: 2 * count + 2 }, (_, k) => (first + k) * step);
  return [...new Set(ticks.filter((tick) => tick <= high + step * 1e-9))];
}

/** 1, 2, 5 times powers of ten within [low, high]; bare powers when that would crowd. */
function logTicks(low: number, high: number): number[] {
  const decades = Math.log10(high / low);
  const factors = decades > 3 ? [1] : [1, 2, 5];
  const every = Math.max(1, Math.ceil(decades / 8));
  const ticks: number[] = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += every) {
    for (const factor of factors) {
      const value = factor * 10 ** e;
      if (value >= low * 0.999 && value <= high * 1.001) ticks.push(value);
    }
  }
  return ticks;
}

function formatTick(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(0).replace('e+', 'e');
  return String(Number(value.toPrecision(4)));
}

/** Differences of values below this are finite, with room to spare. */
const LARGEST = 1e300;

/** The least and the greatest of any number of values, which need not fit a call's arguments. */
function extremes(values: readonly number[]): readonly [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

/** A chart of the series; values that are not finite (or not positive on a logarithmic axis) are left out. */
export function lineChart(series: readonly Series[], options: ChartOptions): string {
  const { title, xLabel, yLabel, logarithmic = false, logarithmicX = false } = options;
  const { ignoreStart = false, wholeX = false, width = 300, height = 210 } = options;
  const margin = { left: 48, right: 10, top: 26, bottom: 36 };
  const usable = ([x, y]: readonly [number, number]): boolean =>
    Math.abs(x) < LARGEST && Math.abs(y) < LARGEST && (!logarithmic || y > 0) && (!logarithmicX || x > 0);
  const bounds = ({ band = [] }: Series): (readonly [number, number])[] =>
    band.flatMap(([x, low, high]): (readonly [number, number])[] => [[x, low], [x, high]]); // prettier-ignore
  const points = series.flatMap((s) => [...s.points, ...bounds(s)].filter(usable));
  const head = `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}" class="chart">`;
  const heading = `<text x="${margin.left}" y="16" class="title">${escapeHtml(title)}</text>`;
  if (points.length === 0)
    return `${head}${heading}<text x="${width / 2}" y="${height / 2}" class="tick">no data</text></svg>`;
  const xs = points.map(([x]) => x);
  const [leftmost, rightmost] = extremes(xs);
  const from = ignoreStart ? leftmost + 0.1 * (rightmost - leftmost) : -Infinity;
  const ys = points.filter(([x]) => x >= from).map(([, y]) => y);
  const span = (low: number, high: number): readonly [number, number] => {
    if (logarithmic) return low < high ? [low / 1.08, high * 1.08] : [low / 2, high * 2];
    const pad = low < high ? (high - low) * 0.05 : Math.abs(low) * 0.1 + 1e-9;
    return [low - pad, high + pad];
  };
  const [x0, x1] = [leftmost, Math.max(rightmost, leftmost + 1)];
  const across = (x: number): number => (logarithmicX ? Math.log(x / x0) / Math.log(x1 / x0) : (x - x0) / (x1 - x0));
  const [y0, y1] = span(...extremes(ys));
  const toX = (x: number): number => margin.left + across(x) * (width - margin.left - margin.right);
  const scale = (y: number): number => (logarithmic ? Math.log(y / y0) / Math.log(y1 / y0) : (y - y0) / (y1 - y0));
  const toY = (y: number): number => height - margin.bottom - scale(y) * (height - margin.top - margin.bottom);
  const bottom = height - margin.bottom;
  const inner = { width: width - margin.left - margin.right, height: bottom - margin.top };
  const parts = [head, heading];
  for (const tick of logarithmic ? logTicks(y0, y1) : niceTicks(y0, y1)) {
    const y = toY(tick).toFixed(1);
    parts.push(
      `<line x1="${margin.left}" x2="${width - margin.right}" y1="${y}" y2="${y}" class="grid"/>` +
        `<text x="${margin.left - 5}" y="${y}" dy="0.32em" text-anchor="end" class="tick">${formatTick(tick)}</text>`,
    );
  }
  for (const tick of logarithmicX ? logTicks(x0, x1) : niceTicks(x0, x1, 5, wholeX ? 1 : 0)) {
    parts.push(
      `<text x="${toX(tick).toFixed(1)}" y="${bottom + 13}" text-anchor="middle" class="tick">${formatTick(tick)}</text>`,
    );
  }
  parts.push(
    `<line x1="${margin.left}" x2="${width - margin.right}" y1="${bottom}" y2="${bottom}" class="axis"/>`,
    `<text x="${(margin.left + width - margin.right) / 2}" y="${height - 6}" text-anchor="middle" class="label">${escapeHtml(xLabel)}</text>`,
    `<text transform="translate(11 ${(margin.top + bottom) / 2}) rotate(-90)" text-anchor="middle" class="label">${escapeHtml(yLabel)}</text>`,
  );
  // Lines are drawn inside a nested viewport, which clips them.
  parts.push(
    `<svg x="${margin.left}" y="${margin.top}" width="${inner.width}" height="${inner.height}" viewBox="${margin.left} ${margin.top} ${inner.width} ${inner.height}">`,
  );
  for (const { color, band = [] } of series) {
    const inside = band.filter(([x, low, high]) => usable([x, low]) && usable([x, high]));
    if (inside.length < 2) continue;
    const edge = (k: 1 | 2): string[] => inside.map((at) => `${toX(at[0]).toFixed(1)},${toY(at[k]).toFixed(1)}`);
    const outline = [...edge(1), ...edge(2).reverse()].join(' ');
    parts.push(`<polygon points="${outline}" fill="${color}" fill-opacity="0.16" stroke="none"/>`);
  }
  for (const { label, color, dashed, points: all } of series) {
    const drawn = all.filter(usable);
    const path = drawn.map(([x, y]) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`).join(' ');
    const dash = dashed === true ? ' stroke-dasharray="5 3"' : '';
    parts.push(
      drawn.length === 1
        ? `<circle cx="${path.split(',')[0]}" cy="${path.split(',')[1]}" r="3" fill="${color}"><title>${escapeHtml(label)}</title></circle>`
        : `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="1.8"${dash} stroke-linejoin="round"><title>${escapeHtml(label)}</title></polyline>`,
    );
  }
  parts.push('</svg></svg>');
  return parts.join('');
}

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
  readonly width?: number;
}

/** Horizontal bars on a logarithmic axis, each from the reference to its value, with a whisker over its range. */
export function barChart(bars: readonly Bar[], { title, xLabel, reference, width = 620 }: BarChartOptions): string {
  const row = 20;
  const margin = { left: Math.round(width * 0.47), right: 56, top: 26, bottom: 36 };
  const height = margin.top + margin.bottom + row * bars.length;
  const positive = bars.filter(({ low, value, high }) => low > 0 && value > 0 && Number.isFinite(high));
  const all = [reference, ...positive.flatMap(({ low, high }) => [low, high])];
  const [x0, x1] = [Math.min(...all) / 1.15, Math.max(...all) * 1.15];
  const toX = (x: number): number =>
    margin.left + (Math.log(x / x0) / Math.log(x1 / x0)) * (width - margin.left - margin.right);
  const bottom = height - margin.bottom;
  const parts = [
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}" class="chart">`,
    `<text x="10" y="16" class="title">${escapeHtml(title)}</text>`,
  ];
  for (const tick of logTicks(x0, x1)) {
    const x = toX(tick).toFixed(1);
    parts.push(
      `<line x1="${x}" x2="${x}" y1="${margin.top}" y2="${bottom}" class="grid"/>` +
        `<text x="${x}" y="${bottom + 13}" text-anchor="middle" class="tick">${formatTick(tick)}</text>`,
    );
  }
  const start = toX(reference);
  positive.forEach(({ label, value, low, high, color }, k) => {
    const y = margin.top + row * k + row / 2;
    const end = toX(value);
    const [left, right] = [Math.min(start, end), Math.max(start, end)];
    const beside = Math.max(right, toX(high)) + 4;
    parts.push(
      `<text x="${margin.left - 6}" y="${y}" dy="0.32em" text-anchor="end">${escapeHtml(label)}</text>` +
        `<rect x="${left.toFixed(1)}" y="${y - 6}" width="${Math.max(1, right - left).toFixed(1)}" height="12" fill="${color}" rx="1.5"><title>${escapeHtml(label)}</title></rect>` +
        `<line x1="${toX(low).toFixed(1)}" x2="${toX(high).toFixed(1)}" y1="${y}" y2="${y}" class="whisker"/>` +
        `<text x="${beside.toFixed(1)}" y="${y}" dy="0.32em" class="tick">${formatTick(Number(value.toPrecision(3)))}</text>`,
    );
  });
  const x = start.toFixed(1);
  parts.push(
    `<line x1="${x}" x2="${x}" y1="${margin.top}" y2="${bottom}" class="axis"/>`,
    `<text x="${(margin.left + width - margin.right) / 2}" y="${height - 6}" text-anchor="middle" class="label">${escapeHtml(xLabel)}</text></svg>`,
  );
  return parts.join('');
}
