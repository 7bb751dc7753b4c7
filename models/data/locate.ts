import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { JobError } from '../errors.ts';

/**
 * The first place that has one of a set's marks (a file or folder that it cannot lack): each folder itself, its subfolder with the
 * set's name, and below both the published archive's own top folders.
 */
export function findPlace(
  folders: readonly string[],
  name: string,
  tops: readonly string[],
  marks: readonly string[],
): string | undefined {
  return places(folders, name, tops).find((place) => marks.some((mark) => existsSync(join(place, mark))));
}

/** Every place that `findPlace` looks at, in order. */
export function places(folders: readonly string[], name: string, tops: readonly string[]): string[] {
  return folders
    .flatMap((folder) => [folder, join(folder, name)])
    .flatMap((place) => [place, ...tops.map((top) => join(place, top))]);
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
