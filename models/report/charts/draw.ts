/** A chart with Observable Plot, on whatever document there is: the browser's, or one without a browser. */
import { areaY, axisX, axisY, dot, gridX, gridY, line as lineMark, plot } from '@observablehq/plot';
import type { Markish } from '@observablehq/plot';
import type { Extent, Line } from './lines.ts';
import type { Axis, Stroke } from './model.ts';
import { strokeOf } from './model.ts';
import { formatTick, logTicks, niceTicks } from './ticks.ts';

export interface DrawOptions {
  readonly document: Document;
  readonly width: number;
  readonly height: number;
  readonly x: Axis;
  readonly y: Axis;
  readonly logarithmic: boolean;
  readonly extent: Extent | undefined;
  /** Whether lines may leave the frame: after zooming, or where a steep start is cut. */
  readonly clip?: boolean;
}

/** A drawn chart: from its pixels to values and back. */
export interface Drawn {
  readonly svg: SVGSVGElement;
  readonly toX: (x: number) => number;
  readonly toY: (y: number) => number;
  readonly fromX: (pixels: number) => number;
}

const MARGIN = { left: 52, right: 12, top: 20, bottom: 38 } as const;
let clips = 0;

/** A chart's height: of one proportion whatever its width, so that a drawing takes the place of the picture before it and moves nothing. */
export function heightOf(width: number): number {
  return 0.64 * width;
}

/** Distances in pixels need no more than two digits, wherever they stand. */
function shorten(svg: Element): void {
  for (const element of [svg, ...svg.querySelectorAll('*')]) {
    for (const { name, value } of Array.from(element.attributes)) {
      if (/\d\.\d{3}/.test(value) && name !== 'aria-label') {
        element.setAttribute(
          name,
          value.replaceAll(/\d+\.\d{3,}/g, (number) => String(Number(Number(number).toFixed(2)))),
        );
      }
    }
  }
}

/** A point of the line with the number z. */
interface Placed {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

interface Edge {
  readonly x: number;
  readonly low: number;
  readonly high: number;
  readonly z: number;
}

/** Lines beyond which bands would hide each other. */
const MOST_BANDS = 40;

/** Draws lines into their frame. */
export function drawChart(lines: readonly Line[], options: DrawOptions): Drawn {
  const { document, width, height, x, y, logarithmic, extent, clip = false } = options;
  const { x: xDomain, y: yDomain, cut } = extent ?? { x: [1, 10] as const, y: [1, 10] as const, cut: false };
  const logarithmicX = x.logarithmic === true;
  const sees = ([px, py]: readonly [number, number]): boolean =>
    (!logarithmic || py > 0 || Number.isNaN(py)) && (!logarithmicX || px > 0);
  const clipping = clip || cut ? { clip: true } : {};
  const across = Math.max(2, Math.floor((width - MARGIN.left - MARGIN.right) / 64));
  const xTicks = logarithmicX ? logTicks(...xDomain) : niceTicks(...xDomain, across, x.whole === true ? 1 : 0);
  const yTicks = logarithmic ? logTicks(...yDomain) : niceTicks(...yDomain, 6);
  const marks: Markish[] = [
    gridX(xTicks, { strokeOpacity: 0.07 }),
    gridY(yTicks, { strokeOpacity: 0.12 }),
    axisX(xTicks, { label: null, tickSize: 4, tickFormat: formatTick }),
    axisY(yTicks, { label: null, tickSize: 0, tickFormat: formatTick }),
  ];
  // One mark a stroke, not one a line: each costs the library more than its points do.
  const areas = new Map<string, Edge[]>();
  const strokes = new Map<string, { readonly stroke: Stroke; readonly faint: boolean; readonly points: Placed[] }>();
  const dots: (Placed & { readonly colour: string; readonly faint: boolean })[] = [];
  lines.forEach(({ arm, points, faint, band }, z) => {
    const stroke = strokeOf(arm);
    if (band !== undefined && lines.length <= MOST_BANDS) {
      const inside = band.filter(([at, low, high]) => sees([at, low]) && sees([at, high]));
      const edges = inside.length < 2 ? [] : inside.map(([at, low, high]): Edge => ({ x: at, low, high, z }));
      areas.set(stroke.colour, (areas.get(stroke.colour) ?? []).concat(edges));
    }
    const placed = points.map((point): Placed => ({ x: point[0], y: sees(point) ? point[1] : NaN, z }));
    const there = placed.filter(({ y: value }) => Number.isFinite(value));
    const [first] = there;
    if (first !== undefined && there.length === 1) dots.push({ ...first, colour: stroke.colour, faint });
    if (there.length < 2) return;
    const key = `${stroke.colour} ${stroke.dash} ${faint}`;
    const known = strokes.get(key) ?? { stroke, faint, points: [] };
    for (const one of placed) known.points.push(one);
    strokes.set(key, known);
  });
  for (const [fill, edges] of areas) {
    if (edges.length === 0) continue;
    marks.push(areaY(edges, { x: 'x', y1: 'low', y2: 'high', z: 'z', fill, fillOpacity: 0.17, ...clipping }));
  }
  for (const { stroke, faint, points } of [...strokes.values()].sort((a, b) => Number(b.faint) - Number(a.faint))) {
    const dashes = stroke.dash === '' ? {} : { strokeDasharray: stroke.dash };
    const look = { stroke: stroke.colour, strokeOpacity: faint ? 0.35 : 1, strokeWidth: faint ? 1 : 1.9 };
    marks.push(lineMark(points, { x: 'x', y: 'y', z: 'z', ...look, ...dashes, ...clipping }));
  }
  for (const one of dots) marks.push(dot([one], { x: 'x', y: 'y', fill: one.colour, r: 3.5, ...clipping }));
  const figure = plot({
    document,
    className: 'plot',
    width,
    height,
    marginLeft: MARGIN.left,
    marginRight: MARGIN.right,
    marginTop: MARGIN.top,
    marginBottom: MARGIN.bottom,
    x: { type: logarithmicX ? 'log' : 'linear', domain: xDomain },
    y: { type: logarithmic ? 'log' : 'linear', domain: yDomain },
    marks,
  });
  const svg = figure as unknown as SVGSVGElement;
  // The page's own style sheet has what this one says; a strict policy lets no other in.
  svg.querySelector('style')?.remove();
  svg.setAttribute('font-size', '11');
  for (const part of svg.querySelectorAll('[aria-label]')) part.removeAttribute('aria-label');
  const text = (content: string, at: Readonly<Record<string, string>>): void => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', 'text');
    for (const [name, value] of Object.entries({ ...at, class: 'axis-label' })) element.setAttribute(name, value);
    element.textContent = content;
    svg.append(element);
  };
  text(`${y.label}${logarithmic ? ', logarithmic' : ''}${cut ? ' – cut: curves go on outside' : ''}`, {
    x: '4',
    y: '11',
    'text-anchor': 'start',
  });
  text(`${x.label}${logarithmicX ? ', logarithmic' : ''}`, {
    x: String(width - MARGIN.right),
    y: String(height - 5),
    'text-anchor': 'end',
  });
  if (extent === undefined) text('no data', { x: String(width / 2), y: String(height / 2), 'text-anchor': 'middle' });
  // Names of clips must be of this drawing alone: another may stand on the same page.
  const own = [...svg.querySelectorAll('clipPath')];
  for (const path of own) {
    const [before, after] = [path.id, `clip-${(clips += 1)}`];
    path.id = after;
    for (const user of svg.querySelectorAll(`[clip-path="url(#${before})"]`))
      user.setAttribute('clip-path', `url(#${after})`);
  }
  shorten(svg);
  const scale = (name: 'x' | 'y'): { apply(value: number): number; invert(value: number): number } =>
    figure.scale(name) as unknown as { apply(value: number): number; invert(value: number): number };
  const [sx, sy] = [scale('x'), scale('y')];
  return { svg, toX: (at) => sx.apply(at), toY: (at) => sy.apply(at), fromX: (pixels) => sx.invert(pixels) };
}
