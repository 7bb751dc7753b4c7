/** What imports what, read off the sources: for the test that holds the layout, and for the drawing of it in the documents. */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FLOORS } from './floors.ts';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** An import between two files of this tree, or of a package. */
export interface Import {
  readonly from: string;
  readonly to: string;
}

const LIBRARY = 'learning-rate-dropout';
const { exports: subpaths } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string | { readonly default: string }>>>>;
};

/** The path in this tree that an import leads to; a package's name where it is none of ours. */
function placeOf(from: string, specifier: string): string {
  if (specifier.startsWith('.')) return normalize(join(dirname(from), specifier));
  if (specifier !== LIBRARY && !specifier.startsWith(`${LIBRARY}/`)) return specifier;
  const target = subpaths[`.${specifier.slice(LIBRARY.length)}`];
  if (target === undefined || typeof target === 'string')
    throw new Error(`${from}: ${specifier} is no subpath of ours`);
  const source = target[`@${LIBRARY}/source`] as string | { readonly default: string };
  return normalize(typeof source === 'string' ? source : source.default);
}

/** The TypeScript of a folder, tests and what they stand on left out. */
export function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file}`)
    .filter(
      (file) =>
        file.endsWith('.ts') &&
        !/\.(test|d)\.ts$/.test(file) &&
        !/\/(assembly|planted|testing|dist|node_modules)\//.test(file),
    );
}

/** What a file imports, as it is written there. */
export function specifiers(file: string): string[] {
  return [...readFileSync(join(root, file), 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(
    (match) => match[1] as string,
  );
}

/** The imports of a folder's sources. */
export function imports(folder: string): Import[] {
  return sources(folder).flatMap((from) => specifiers(from).map((to) => ({ from, to: placeOf(from, to) })));
}

/** A room with its floor, counted from the ground. */
export interface Room {
  readonly name: string;
  readonly floor: number;
}

/** The room of a file of one of the folders that have floors; undefined where it lies in none. */
export function roomOf(path: string): Room | undefined {
  const folder = path.split('/')[0] as string;
  const rooms = (FLOORS[folder] ?? []).flatMap((names, floor) => names.map((name) => ({ name, floor })));
  const place = path.slice(folder.length + 1);
  return rooms
    .filter(({ name }) => place === `${name}.ts` || place.startsWith(`${name}/`))
    .sort((a, b) => b.name.length - a.name.length)[0];
}
