import type { Block, Chart, View } from '../charts/model.ts';
import { download, fileName, make, makeSvg } from './dom.ts';

/** Colours by name are the page's: a picture that leaves it has them written out. */
function resolved(svg: SVGElement): void {
  const style = getComputedStyle(document.documentElement);
  for (const element of [svg, ...svg.querySelectorAll('*')]) {
    for (const { name, value } of Array.from(element.attributes)) {
      if (!value.includes('var(')) continue;
      element.setAttribute(
        name,
        value.replaceAll(/var\((--[\w-]+)\)/g, (_, key: string) => style.getPropertyValue(key).trim()),
      );
    }
  }
}

/** A chart as a picture of its own: with its title, its legend and the page's background. */
export function pictureOf(
  svg: SVGElement,
  chart: Chart,
  legend: readonly { readonly label: string; readonly key: Element | null }[],
): SVGElement {
  const width = Number(svg.getAttribute('width'));
  const height = Number(svg.getAttribute('height'));
  const style = getComputedStyle(document.documentElement);
  const [ink, paper] = ['--ink', '--paper'].map((name) => style.getPropertyValue(name).trim()) as [string, string];
  const top = 30;
  const lines = legend.slice(0, 30);
  const below = lines.length * 18 + 10;
  const whole = makeSvg('svg', { xmlns: 'http://www.w3.org/2000/svg', width, height: top + height + below, viewBox: `0 0 ${width} ${top + height + below}`, 'font-family': 'system-ui, sans-serif', fill: ink, color: ink }); // prettier-ignore
  whole.append(makeSvg('rect', { width, height: top + height + below, fill: paper }));
  const title = makeSvg('text', { x: 8, y: 19, 'font-size': 13, 'font-weight': 600, fill: ink });
  title.textContent = chart.title;
  const inner = svg.cloneNode(true) as SVGElement;
  for (const extra of inner.querySelectorAll('.ruler, .brush, .mark')) extra.remove();
  for (const label of inner.querySelectorAll('.axis-label')) label.setAttribute('fill', ink);
  inner.setAttribute('y', String(top));
  whole.append(title, inner);
  lines.forEach(({ label, key }, k) => {
    const y = top + height + 14 + 18 * k;
    const stroke = key?.querySelector('line')?.cloneNode(true) as SVGElement | undefined;
    if (stroke !== undefined) {
      for (const [name, value] of Object.entries({ x1: 10, x2: 38, y1: y - 4, y2: y - 4 }))
        stroke.setAttribute(name, String(value));
      whole.append(stroke);
    }
    const text = makeSvg('text', { x: 46, y, 'font-size': 12, fill: ink });
    text.textContent = label;
    whole.append(text);
  });
  resolved(whole);
  return whole;
}

export function saveSvg(picture: SVGElement, title: string): void {
  const text = new XMLSerializer().serializeToString(picture);
  download(fileName(title, 'svg'), new Blob([text], { type: 'image/svg+xml' }));
}

/** Twice as many pixels as on the page, so that it can be printed. */
const SHARPNESS = 2;

export async function savePng(picture: SVGElement, title: string): Promise<void> {
  const address = URL.createObjectURL(
    new Blob([new XMLSerializer().serializeToString(picture)], { type: 'image/svg+xml' }),
  );
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = make('canvas', {
      width: SHARPNESS * Number(picture.getAttribute('width')),
      height: SHARPNESS * Number(picture.getAttribute('height')),
    });
    canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((resolve) => {
      canvas.toBlob(resolve, 'image/png');
    });
    if (blob !== null) download(fileName(title, 'png'), blob);
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** RFC 4180; and no cell that a spreadsheet takes for a formula. */
function csvCell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** All that a block carries: a line an epoch of each run. */
export function csvOf({ curves, arms }: Block): string {
  const names = [...new Set(curves.flatMap(({ columns }) => Object.keys(columns)))];
  const lines = [['arm', 'run', ...names].map(csvCell).join(',')];
  for (const { name, arm, columns } of curves) {
    const length = Math.max(0, ...Object.values(columns).map((column) => column.length));
    for (let k = 0; k < length; k++) {
      lines.push([arms[arm]?.label, name, ...names.map((column) => columns[column]?.[k])].map(csvCell).join(','));
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}

export function jsonOf({ axes, arms, curves, charts }: Block, _view: View): string {
  return `${JSON.stringify({ axes, charts: charts.map(({ title, y }) => ({ title, y })), runs: curves.map(({ name, arm, columns }) => ({ arm: arms[arm]?.label, run: name, columns })) })}\n`; // prettier-ignore
}
