import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JobError } from '../../errors.ts';
import { entryPath } from './unpack.ts';
import type { Unpacked } from './unpack.ts';

/** The list of a fetched set's files, as `sha256sum` writes and checks it. */
export const MANIFEST = 'SHA256SUMS';

export function writeManifest(folder: string, files: readonly Unpacked[]): void {
  const lines = [...files].sort((a, b) => (a.path < b.path ? -1 : 1)).map(({ path, sha256 }) => `${sha256}  ${path}\n`);
  writeFileSync(join(folder, MANIFEST), lines.join(''));
}

/** Undefined where there is none: the files did not come by `lrd data fetch`. Throws a `JobError` for one that is no such list. */
export function readManifest(folder: string): Unpacked[] | undefined {
  const path = join(folder, MANIFEST);
  if (!existsSync(path)) return undefined;
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line, index) => {
    const parts = /^([0-9a-f]{64}) [ *](.+)$/.exec(line);
    if (parts === null) throw new JobError(`${path}: line ${index + 1} is not "SHA256  FILE"`);
    return { sha256: parts[1] as string, path: entryPath(parts[2] as string) };
  });
}
