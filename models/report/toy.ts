import type { RuleName } from 'learning-rate-dropout/spec';
import { htmlPage } from './page.ts';
import { escapeHtml } from './html.ts';
import type { Row } from './table.ts';
import { htmlTable } from './table.ts';

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Place extends Point {
  readonly f: number;
}

/** The function to draw on: its box, its minima, and its values on an even grid, by row (y ascending), then by column. */
interface Plane {
  readonly box: { readonly x: readonly [number, number]; readonly y: readonly [number, number] };
  readonly globalMinimum: Place;
  readonly localMinimum: Place;
  readonly paperOptimum: Place;
  readonly values: readonly (readonly number[])[];
}

type End = 'global' | 'local' | 'elsewhere';

interface Path {
  readonly points: readonly Point[];
  readonly end: End;
}

interface Panel {
  readonly rule: RuleName;
  readonly learningRate: number;
  readonly keepProbability: number;
  readonly paths: readonly Path[];
}

interface Count {
  readonly rule: RuleName;
  readonly learningRate: number;
  readonly keepProbability: number;
  readonly steps: number;
  readonly ends: Readonly<Record<End, number>>;
}

/** What the page shows: the result of the reference's `runToy`. */
export interface ToyPage {
  readonly plane: Plane;
  readonly keepProbability: number;
  readonly steps: number;
  readonly starts: number;
  readonly seed: string;
  readonly panels: readonly Panel[];
  readonly counts: readonly Count[];
  readonly escapes: readonly {
    readonly rule: RuleName;
    readonly learningRate: number;
    readonly runs: number;
    readonly left: number;
  }[];
}

const WIDTH = 440;
const HEIGHT = 330;
const MARGIN = { left: 34, right: 8, top: 24, bottom: 24 };
const INNER = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
/** Evenly spaced in the logarithm, as the function spans five decades over the box. */
const LEVELS = [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000];
const ENDS: Readonly<Record<End, { readonly color: string; readonly text: string }>> = {
  global: { color: 'var(--s2)', text: 'ends in the global minimum' },
  local: { color: 'var(--s1)', text: 'ends in the local minimum' },
  elsewhere: { color: 'var(--s0)', text: 'ends in neither' },
};
const NAMES: Readonly<Record<RuleName, string>> = {
  sgdm: 'SGDM',
  'sgdm-avg': 'SGDM, mean of 10',
  rmsprop: 'RMSprop',
  adam: 'Adam',
  amsgrad: 'AMSGrad',
  radam: 'RAdam',
  adamw: 'AdamW',
};

/** From the plane to the picture. */
interface Frame {
  readonly x: (x: number) => number;
  readonly y: (y: number) => number;
}

function frameOf({ box }: Plane): Frame {
  return {
    x: (x) => MARGIN.left + ((x - box.x[0]) / (box.x[1] - box.x[0])) * INNER.width,
    y: (y) => MARGIN.top + ((box.y[1] - y) / (box.y[1] - box.y[0])) * INNER.height,
  };
}

/** One contour by marching squares: the pieces of a level line in each cell, as the data of an SVG path. */
function contour({ values }: Plane, level: number): string {
  const rows = values.length - 1;
  const columns = (values[0]?.length ?? 1) - 1;
  const value = (i: number, j: number): number => Math.log((values[j]?.[i] as number) / level);
  const at = (i: number, j: number): string =>
    `${(MARGIN.left + (i / columns) * INNER.width).toFixed(1)} ${(MARGIN.top + (1 - j / rows) * INNER.height).toFixed(1)}`;
  let data = '';
  for (let j = 0; j < rows; j++) {
    for (let i = 0; i < columns; i++) {
      const corners = [
        [i, j],
        [i + 1, j],
        [i + 1, j + 1],
        [i, j + 1],
      ] as const;
      const crossings: string[] = [];
      for (const [k, a] of corners.entries()) {
        const b = corners[(k + 1) % 4] as readonly [number, number];
        const [va, vb] = [value(...a), value(...b)];
        if (va < 0 === vb < 0) continue;
        const share = va / (va - vb);
        crossings.push(at(a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])));
      }
      for (let k = 0; k + 1 < crossings.length; k += 2) data += `M${crossings[k]}L${crossings[k + 1]}`;
    }
  }
  return data;
}

/** The contours, drawn once and used by every panel. */
function contours(plane: Plane): string {
  const lines = LEVELS.map(
    (level, i) =>
      `<path d="${contour(plane, level)}" fill="none" stroke="var(--soft)" stroke-width=".6" opacity="${(0.75 - 0.045 * i).toFixed(2)}"/>`,
  );
  return `<svg class="hidden" aria-hidden="true"><defs><g id="contours">${lines.join('')}</g>
<clipPath id="box"><rect x="${MARGIN.left}" y="${MARGIN.top}" width="${INNER.width}" height="${INNER.height}"/></clipPath></defs></svg>`;
}

/** A path as SVG data. Points nearer than half a pixel to the last one drawn are left out, and so is what runs far off. */
function pathData(points: readonly Point[], frame: Frame): string {
  let data = '';
  let last: readonly [number, number] | undefined;
  for (const { x, y } of points) {
    if (!(Math.abs(x) < 50 && Math.abs(y) < 50)) break;
    const [px, py] = [frame.x(x), frame.y(y)];
    if (last !== undefined && Math.hypot(px - last[0], py - last[1]) < 0.5) continue;
    data += `${last === undefined ? 'M' : 'L'}${px.toFixed(1)} ${py.toFixed(1)}`;
    last = [px, py];
  }
  return data;
}

function star(at: Point, frame: Frame, radius: number): string {
  const points = Array.from({ length: 10 }, (_, k) => {
    const r = k % 2 === 0 ? radius : radius * 0.42;
    const angle = -Math.PI / 2 + (k * Math.PI) / 5;
    return `${(frame.x(at.x) + r * Math.cos(angle)).toFixed(1)},${(frame.y(at.y) + r * Math.sin(angle)).toFixed(1)}`;
  });
  return `<polygon points="${points.join(' ')}" fill="var(--ink)" stroke="var(--panel)" stroke-width=".8"/>`;
}

function drawnPath({ points, end }: Path, frame: Frame): string {
  const { color } = ENDS[end];
  const [first] = points;
  if (first === undefined) return '';
  const circle = `<circle cx="${frame.x(first.x).toFixed(1)}" cy="${frame.y(first.y).toFixed(1)}" r="3.2" fill="var(--panel)" stroke="${color}" stroke-width="1.6"/>`;
  return `<path d="${pathData(points, frame)}" fill="none" stroke="${color}" stroke-width="1.5" stroke-linejoin="round"/>${circle}`;
}

const armText = (keepProbability: number): string =>
  keepProbability === 1 ? 'without LRD' : `LRD, p = ${keepProbability}`;

function panel({ rule, learningRate, keepProbability, paths }: Panel, plane: Plane): string {
  const frame = frameOf(plane);
  const title = `${NAMES[rule]}, ${armText(keepProbability)} (α = ${learningRate})`;
  const whole = ([low, high]: readonly [number, number]): number[] =>
    Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, i) => Math.ceil(low) + i);
  const ticksX = whole(plane.box.x).map(
    (x) => `<text class="tick" x="${frame.x(x)}" y="${HEIGHT - 9}" text-anchor="middle">${x}</text>`,
  );
  const ticksY = whole(plane.box.y).map(
    (y) => `<text class="tick" x="${MARGIN.left - 6}" y="${frame.y(y) + 3.5}" text-anchor="end">${y}</text>`,
  );
  const { localMinimum: local, globalMinimum, paperOptimum } = plane;
  const cross = `M${frame.x(paperOptimum.x) - 4} ${frame.y(paperOptimum.y)}h8m-4-4v8`;
  return `<svg class="picture" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(`Descent paths of ${title}`)}">
<text class="title" x="${MARGIN.left}" y="15">${escapeHtml(title)}</text>
<g clip-path="url(#box)"><use href="#contours"/>${paths.map((path) => drawnPath(path, frame)).join('')}
${star(globalMinimum, frame, 6.5)}<rect x="${frame.x(local.x) - 3.5}" y="${frame.y(local.y) - 3.5}" width="7" height="7" fill="var(--ink)" stroke="var(--panel)" stroke-width=".8"/>
<path d="${cross}" stroke="var(--s4)" stroke-width="1.4"/></g>
<rect class="axis" x="${MARGIN.left}" y="${MARGIN.top}" width="${INNER.width}" height="${INNER.height}" fill="none" stroke-width=".8"/>
${ticksX.join('')}${ticksY.join('')}</svg>`;
}

function row({ rule, learningRate, keepProbability, steps, ends }: Count): Row {
  const cells = [NAMES[rule], learningRate, armText(keepProbability), steps, ends.global, ends.local, ends.elsewhere];
  return { cells: cells.map(String) };
}

/** The toy problem as a page of its own: paths over contours, and the table of where the starts of a grid end. */
export function renderToy(page: ToyPage): string {
  const { globalMinimum, localMinimum, paperOptimum } = page.plane;
  const show = ({ x, y, f }: Place): string => `(${x.toFixed(4)}, ${y.toFixed(4)}), f = ${f.toFixed(4)}`;
  const legend = Object.values(ENDS).map(
    ({ color, text }) =>
      `<li><svg class="key" viewBox="0 0 30 8" aria-hidden="true"><line x1="1" x2="29" y1="4" y2="4" stroke="${color}" stroke-width="3"/></svg>${text}</li>`,
  );
  const left = page.escapes.map(({ rule, left: count, runs }) => `${NAMES[rule]} ${count} of ${runs}`);
  return htmlPage(
    'Learning rate dropout: the toy problem',
    `<div class="page"><header>${contours(page.plane)}
<h1>Descent paths on the toy problem</h1>
<p class="soft">The paper's Fig. 3, for every rule: f(x, y) of eq. (9), exact gradient, no weight decay (without it AdamW is Adam), ${page.steps} steps, seed ${page.seed}.
The paper gives no learning rates, starts or step counts; these are this page's. RAdam's first five steps do not normalize the gradient, which is above 10<sup>4</sup> in a corner of the box:
it is thrown out of it from some starts.</p>
</header><main><ul class="legend spaced">${legend.join('')}<li>★ global minimum ${show(globalMinimum)}</li>
<li>■ local minimum ${show(localMinimum)}</li><li>+ the paper's optimum ${show(paperOptimum)}</li></ul>
<div class="charts two">${page.panels.map((one) => panel(one, page.plane)).join('\n')}</div>
<h2 class="block-heading">Where ${page.starts} starts end</h2>
<p>Starts at the middles of a grid over the box. Learning rate dropout moves a coordinate in a share p of the steps, so both arms are counted at equal steps and at steps divided by p: the
second row of a rule has the steps of the first, the third its mean number of updates.
“Neither” holds starts that are still on their way, that ran to the flat edge x = 0, or that left the box.</p>
${htmlTable(['Rule', 'α', 'Arm', 'Steps', 'Global', 'Local', 'Neither'], page.counts.map(row), { sortable: true, caption: 'where starts end' })}
<h2 class="block-heading">Out of a minimum that was reached</h2>
<p>The paper: “Even if the optimizer reaches a local minimum, it tends to search for other better and flatter minima.” Runs with learning rate dropout that start at rest in the local
minimum and are elsewhere after ${page.steps} steps: ${left.join(', ')}. With an exact gradient a mask has nothing to scale at rest. Nor is the better minimum the flatter one: the largest
curvature is 125 there and 52 at the local minimum.</p></main></div>`,
  );
}
