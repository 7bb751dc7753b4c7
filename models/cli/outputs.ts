import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError } from '../errors.ts';
import { checkWritable } from '../storage/files.ts';

/**
 * Refuses files that a command could not write at its end, before it has begun: a folder that is missing, full or closed, a path that
 * is a folder itself, two outputs that are one. Leaves what is there as it is.
 *
 * @param outputs paths by the option that they were given with; undefined where none was
 * @throws UsageError that names the option, the path and the rule
 */
export function checkOutputs(outputs: Readonly<Record<string, string | undefined>>): void {
  const seen = new Map<string, string>();
  for (const [option, path] of Object.entries(outputs)) {
    if (path === undefined) continue;
    const wrong = (rule: string): UsageError =>
      new UsageError(`--${option} must name a file ${rule}, got ${JSON.stringify(path)}`);
    const target = resolve(path);
    const other = seen.get(target);
    if (other !== undefined) throw wrong(`other than that of --${other}`);
    seen.set(target, option);
    if (statSync(target, { throwIfNoEntry: false })?.isDirectory() === true || /[/\\]$/.test(path)) {
      throw wrong('and not a folder');
    }
    try {
      checkWritable(path);
    } catch (error) {
      const why = /\(([^)]*)\)$/.exec((error as Error).message)?.[1] ?? (error as Error).message;
      throw wrong(`in a folder that can be written to (${why})`);
    }
  }
}
