/** Adapters to start from. */
import { copyFileSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, foreignText } from 'learning-rate-dropout/internal';

const EXAMPLES = new URL('./examples/', import.meta.url);

/** What can be started from: the file that is written, and the command that runs it. */
const STARTS = {
  python: { source: 'python/lrd_adapter.py', file: 'lrd_adapter.py', command: 'python3 lrd_adapter.py' },
  torch: { source: 'python/lrd_torch.py', file: 'lrd_torch.py', command: 'python3 lrd_torch.py' },
  js: { source: 'js/lrd-adapter.mjs', file: 'lrd-adapter.mjs', command: 'node lrd-adapter.mjs' },
} as const;

export type Start = keyof typeof STARTS;
/** Names that `initAdapter` takes. */
export const START_NAMES = Object.keys(STARTS) as readonly Start[];

/**
 * Writes a working adapter into a folder, where it must not stand already. Returns its path and the command line that judges it, to
 * be typed in that folder.
 *
 * @throws InvalidArgumentError when the file is there, or the folder cannot be written to
 */
export function initAdapter(start: Start, folder = '.'): { readonly path: string; readonly judge: string } {
  const { source, file, command } = STARTS[start];
  const path = join(folder, file);
  if (existsSync(path)) throw new InvalidArgumentError(`${file} must not exist yet, got ${JSON.stringify(path)}`);
  try {
    copyFileSync(fileURLToPath(new URL(source, EXAMPLES)), path, constants.COPYFILE_EXCL);
  } catch (error) {
    throw new InvalidArgumentError(
      `--out must be a folder that can be written to, got ${JSON.stringify(folder)} (${foreignText((error as NodeJS.ErrnoException).code)})`,
    );
  }
  return { path, judge: `npx lrd conformance --adapter 'cmd:${command}'` };
}
