/** A drawing of the folders and of the rooms in them, made from the imports of the sources. */
import { ARROWS, FLOORS } from '../../../conformance/harness/floors.ts';
import { imports, roomOf, sources } from '../../../conformance/harness/imports.ts';
import type { Import } from '../../../conformance/harness/imports.ts';
import { escapeHtml } from '../../report/html.ts';

const WIDTH = 880;
const BOX = { width: 132, height: 46 } as const;
const ROW = 104;
const GAP = 8;

const folderOf = (path: string): string => path.split('/')[0] as string;

function text(x: number, y: number, content: string, size = 13, colour = '--color-text'): string {
  return `<text x="${x}" y="${y}" text-anchor="middle" font-size="${size}" fill="var(${colour})">${escapeHtml(content)}</text>`;
}

function box(x: number, y: number, width: number, height: number): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="6" fill="var(--color-background-secondary)" stroke="var(--color-accent)"/>`;
}

function figure(svg: string, height: number, label: string, caption: string): string {
  return (
    `<figure class="drawing"><svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(label)}" font-family="system-ui, sans-serif">` +
    `${svg}</svg><figcaption>${escapeHtml(caption)}</figcaption></figure>`
  );
}

/** How often each of some things imports each other one. */
function tally(all: readonly Import[], nameOf: (path: string) => string | undefined): Map<string, Map<string, number>> {
  const counts = new Map<string, Map<string, number>>();
  for (const { from, to } of all) {
    const [above, below] = [nameOf(from), nameOf(to)];
    if (above === undefined || below === undefined || above === below) continue;
    const row = counts.get(above) ?? new Map<string, number>();
    counts.set(above, row.set(below, (row.get(below) ?? 0) + 1));
  }
  return counts;
}

/** The folders in rows: each above all that it may import. */
function rowsOfFolders(): readonly (readonly string[])[] {
  const height = new Map<string, number>();
  const heightOf = (folder: string): number => {
    const known = height.get(folder);
    if (known !== undefined) return known;
    const below = ARROWS[folder] as readonly string[];
    const own = below.length === 0 ? 0 : 1 + Math.max(...below.map(heightOf));
    height.set(folder, own);
    return own;
  };
  const rows: string[][] = [];
  for (const folder of Object.keys(ARROWS)) (rows[heightOf(folder)] ??= []).push(folder);
  return rows;
}

function drawFolders(all: readonly Import[]): string {
  const rows = rowsOfFolders();
  const place = new Map<string, readonly [x: number, y: number]>();
  rows.forEach((row, height) =>
    row.forEach((folder, i) => {
      const x = ((i + 1) * WIDTH) / (row.length + 1);
      place.set(folder, [x, 30 + (rows.length - 1 - height) * ROW + (i % 2) * 14]);
    }),
  );
  const below = all.filter(({ from }) => !from.startsWith('models/cli/'));
  const counts = tally(below, (path) => (place.has(folderOf(path)) ? folderOf(path) : undefined));
  const arrows = [...counts].flatMap(([from, row]) =>
    [...row].map(([to]) => {
      const [[x1, y1], [x2, y2]] = [place.get(from), place.get(to)] as [[number, number], [number, number]];
      const along = (x2 - x1) / 4;
      return `<path d="M${x1 + along / 4} ${y1 + BOX.height} C${x1 + along} ${y1 + BOX.height + 30}, ${x2 - along} ${y2 - 30}, ${x2 - along / 4} ${y2 - 2}" fill="none" stroke="var(--color-text-aside)" marker-end="url(#arrow)"/>`;
    }),
  );
  const boxes = [...place].map(
    ([folder, [x, y]]) =>
      box(x - BOX.width / 2, y, BOX.width, BOX.height) +
      text(x, y + 20, folder, 15) +
      text(x, y + 37, `${sources(folder).length} files`, 12, '--color-text-aside'),
  );
  const marker =
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z" fill="var(--color-text-aside)"/></marker></defs>';
  const words = [...counts].map(([from, row]) => `${from} imports ${[...row.keys()].join(', ')}`).join('; ');
  return figure(
    marker + arrows.join('') + boxes.join(''),
    30 + rows.length * ROW,
    `Folders: ${words}.`,
    'The folders. An arrow leads from a folder to one that its sources import; the command, models/cli, may import all of them and is left out.',
  );
}

function drawRooms(folder: string): string {
  const floors = FLOORS[folder] as readonly (readonly string[])[];
  const files = sources(folder).filter((file) => !file.includes('/scripts/'));
  const height = 40;
  const rows = [...floors].reverse().map((rooms, row) => {
    const width = (WIDTH - 40 - GAP * (rooms.length - 1)) / rooms.length;
    return rooms
      .map((room, i) => {
        const [x, y] = [40 + i * (width + GAP), row * (height + GAP)];
        const count = files.filter((file) => roomOf(file)?.name === room).length;
        const label = count === 1 ? room : `${room} · ${count}`;
        return box(x, y, width, height) + text(x + width / 2, y + 25, label, width < 110 ? 11 : 13);
      })
      .concat(text(18, row * (height + GAP) + 25, String(floors.length - row), 13, '--color-text-aside'))
      .join('');
  });
  const words = floors.map((rooms, floor) => `floor ${floor + 1}: ${rooms.join(', ')}`).join('; ');
  return figure(
    rows.join(''),
    floors.length * (height + GAP),
    `Rooms of ${folder} from the ground up. ${words}.`,
    `The rooms of ${folder} with their files, on floors: each imports from floors below its own alone.`,
  );
}

/** Who imports whom, as a table, so that the drawing can be read without being seen. */
function table(folder: string, all: readonly Import[]): string {
  const counts = tally(all, (path) => (folderOf(path) === folder ? roomOf(path)?.name : undefined));
  const rows = [...counts].map(([room, row]) => {
    const below = [...row].sort((a, b) => b[1] - a[1]).map(([name, count]) => `${name} (${count})`);
    return `<tr><th scope="row">${escapeHtml(room)}</th><td>${escapeHtml(below.join(', '))}</td></tr>`;
  });
  return `<details><summary>Imports between the rooms of ${folder}</summary><table><thead><tr><th>room</th><th>imports, with their number</th></tr></thead><tbody>${rows.join('')}</tbody></table></details>`;
}

/** The drawings, as HTML for TypeDoc's theme. */
export function drawArchitecture(): string {
  const all = Object.keys(ARROWS).flatMap(imports);
  const floors = Object.keys(FLOORS).map((folder) => drawRooms(folder) + table(folder, all));
  return drawFolders(all) + floors.join('');
}
