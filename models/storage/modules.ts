/** JavaScript modules of the user's own: a network, a data set. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { JobError } from '../errors.ts';
import { checkInput } from './inputs.ts';

/** Whether a name can only be a module's path: it has a slash, or the ending of a module. */
export function isModulePath(name: string): boolean {
  return /[/\\]/.test(name) || /\.[cm]?[jt]s$/.test(name);
}

/** What went wrong in a module, and the line of it, for whoever wrote it. */
export function moduleError(path: string, error: unknown): JobError {
  if (error instanceof JobError) return error;
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  const url = pathToFileURL(path).href;
  const line = stack.split('\n').find((at) => at.includes(url) || at.includes(path));
  const place = /:(\d+):\d+\)?$/.exec(line ?? '')?.[1];
  return new JobError(`${path}${place === undefined ? '' : `, line ${place}`}: ${message}`);
}

/**
 * Loads a module and takes what it exports by a name (or as its default): the value itself, or what a function of that name makes of `kit`,
 * so that a module need not find this package by itself. Throws a `JobError` that names the file.
 */
export async function loadFromModule(path: string, name: string, kit: unknown): Promise<unknown> {
  const file = resolve(path);
  checkInput(file, 'file', path);
  let exported: unknown;
  try {
    const module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
    exported = module[name] ?? module['default'];
    if (typeof exported === 'function') exported = await (exported as (kit: unknown) => unknown)(kit);
  } catch (error) {
    throw moduleError(path, error);
  }
  if (typeof exported !== 'object' || exported === null) {
    throw new JobError(`${path}: must export ${name}, an object or a function that makes one, got ${typeof exported}`);
  }
  return exported;
}
