import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { JobError } from '../errors.ts';

/** Without capitals, with hyphens for underscores. */
const plain = (text: string): string => text.toLowerCase().replaceAll('_', '-');

/** Whether a folder has a set's name, give or take what `within` does not care for. */
export function isNamed(folder: string, name: string): boolean {
  return plain(basename(folder)) === plain(name);
}

/** The name in a folder that differs in nothing but capitals, hyphens and underscores. */
function alike(folder: string, name: string): string | undefined {
  try {
    return readdirSync(folder)
      .sort()
      .find((other) => plain(other) === plain(name));
  } catch {
    return undefined;
  }
}

/** A path below a folder as it is written there: disks that care for capitals hold folders from those that do not. */
export function within(folder: string, path: string): string | undefined {
  const exact = join(folder, path);
  if (existsSync(exact)) return exact;
  let at = folder;
  for (const segment of path.split('/')) {
    const name = existsSync(join(at, segment)) ? segment : alike(at, segment);
    if (name === undefined) return undefined;
    at = join(at, name);
  }
  return at;
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/**
 * The folders in which a set may lie, of those that are there, in order: each folder itself, its subfolder with the set's name, and
 * below each the published archive's own top folders, which some programs unpack into a folder of the same name.
 */
export function places(folders: readonly string[], name: string, tops: readonly string[]): string[] {
  const below = (place: string, names: readonly string[]): string[] =>
    names.map((top) => within(place, top)).filter((path) => path !== undefined);
  const own = folders.flatMap((folder) => [folder, ...below(folder, [name])]);
  const first = own.flatMap((place) => [place, ...below(place, tops)]);
  const nested = own
    .flatMap((place) => below(place, [name, ...tops]))
    .flatMap((place) => below(place, [name, ...tops]));
  return [...new Set([...first, ...nested])].filter(isFolder);
}

/** The first place that has one of a set's marks: a file or folder that it cannot lack. */
export function findPlace(
  folders: readonly string[],
  name: string,
  tops: readonly string[],
  marks: readonly string[],
): string | undefined {
  return places(folders, name, tops).find((place) => marks.some((mark) => within(place, mark) !== undefined));
}

/** A set that is nowhere. */
export class NotFoundError extends JobError {}

/** A `JobError` for a set that is nowhere: what was looked for, where, and how it comes here. */
export function notFound(name: string, mark: string, folders: readonly string[]): NotFoundError {
  return new NotFoundError(
    `data set ${name}: no ${mark} in ${folders.flatMap((folder) => [folder, join(folder, name)]).join(', ')}; ` +
      `name its folder with --data-dir, or get it with: lrd data fetch ${name}`,
  );
}
