/** JavaScript modules of the user's own: a network, a data set. */
import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidArgumentError } from 'learning-rate-dropout/internal';
import { JobError, UsageError } from '../errors.ts';
import { checkInput } from './inputs.ts';

/** Whether a name can only be a module's path: it has a slash, or the ending of a module. */
export function isModulePath(name: string): boolean {
  return /[/\\]/.test(name) || /\.[cm]?[jt]s$/.test(name);
}

/** A name as it stands; of a module's path the file's, without its ending. */
export function shortName(name: string): string {
  return isModulePath(name) ? basename(name).replace(/\.[cm]?[jt]s$/, '') : name;
}

/** What went wrong in a module, and the line of it, for whoever wrote it; what is said already of a call, of data or of a file stays as it is. */
export function moduleError(path: string, error: unknown): Error {
  if (error instanceof JobError || error instanceof UsageError) return error;
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  const url = pathToFileURL(path).href;
  const line = stack.split('\n').find((at) => at.includes(url) || at.includes(path));
  // What the library refuses is the module's mistake where the module called it, and the caller's where it did not.
  if (error instanceof InvalidArgumentError && line === undefined) return error;
  const place = /:(\d+):\d+\)?$/.exec(line ?? '')?.[1];
  return new JobError(`${path}${place === undefined ? '' : `, line ${place}`}: ${message}`);
}

const LOADED = new Set<string>();

/** The error of a module of the user's own, where something was thrown by one that nobody expected; else undefined. */
export function blamed(error: unknown): Error | undefined {
  const { stack = '' } = error instanceof Error ? error : { stack: '' };
  const path = [...LOADED].find((file) => stack.includes(pathToFileURL(file).href));
  return path === undefined ? undefined : moduleError(path, error);
}

/** Does what a module's code has a part in. What is thrown names the module, and its line. */
export function ofModule<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw moduleError(path, error);
  }
}

/** As `ofModule`, for what takes its time. A module that waits for what never comes is no reason to wait with it. */
export async function ofModuleLater<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  let onEnd: (() => void) | undefined;
  // Told when nothing is left that could still happen.
  const never = new Promise<never>((_, reject) => {
    onEnd = () => reject(new JobError(`${path}: waits for what never comes`));
    process.once('beforeExit', onEnd);
  });
  try {
    return await Promise.race([work(), never]);
  } catch (error) {
    throw moduleError(path, error);
  } finally {
    if (onEnd !== undefined) process.removeListener('beforeExit', onEnd);
  }
}

/**
 * Loads a module and takes what it exports by a name (or as its default): the value itself, or what a function of that name makes of `kit`,
 * so that a module need not find this package by itself. Throws a `JobError` that names the file.
 */
export async function loadFromModule(path: string, name: string, kit: unknown): Promise<unknown> {
  const file = resolve(path);
  checkInput(file, 'file', path);
  LOADED.add(file);
  const exported = await ofModuleLater(path, async () => {
    const module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
    const found = module[name] ?? module['default'];
    return typeof found === 'function' ? (found as (kit: unknown) => unknown)(kit) : found;
  }).catch((error: Error) => {
    // What the kit says of what it was given.
    throw error instanceof JobError && !error.message.includes(path)
      ? new JobError(`${path}: ${error.message}`)
      : error;
  });
  if (typeof exported !== 'object' || exported === null) {
    const got = exported === null ? 'null' : typeof exported;
    throw new JobError(`${path}: must export ${name}, an object or a function that makes one, got ${got}`);
  }
  return exported;
}
