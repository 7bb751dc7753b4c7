/** Which files of which packages a program loads, read from its sources: what a bundle must hold. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, resolve } from 'node:path';

/** What tracing found. */
export interface Trace {
  /** Absolute paths: modules, and the `package.json` of each package that one is in. */
  readonly files: readonly string[];
  /** Imports that could not be resolved, as `specifier (from file)`: optional ones, or words in a comment. */
  readonly unresolved: readonly string[];
}

interface Manifest {
  readonly main?: string;
  readonly exports?: unknown;
}

const BUILTIN = new Set(builtinModules);
const PATTERNS = [
  /\b(?:import|export)\s[^'"`;]*?\bfrom\s*['"]([^'"\n]+)['"]/g,
  /\bimport\s*['"]([^'"\n]+)['"]/g,
  /\b(?:import|require|require\.resolve)\(\s*['"]([^'"\n]+)['"]\s*[,)]/g,
];

function specifiers(source: string): Set<string> {
  const found = new Set<string>();
  for (const pattern of PATTERNS) for (const match of source.matchAll(pattern)) found.add(match[1] as string);
  return found;
}

const isFile = (path: string): boolean => existsSync(path) && statSync(path).isFile();

function findFile(path: string): string | undefined {
  const candidates = [path, `${path}.js`, `${path}.json`, `${path}.cjs`, `${path}.mjs`, join(path, 'index.js')];
  return candidates.find(isFile);
}

const readManifest = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;

const CONDITIONS = new Set(['node', 'import', 'require', 'module-sync', 'default']);

/** All files that an entry of `exports` can stand for in Node. */
function targets(entry: unknown): string[] {
  if (typeof entry === 'string') return [entry];
  if (Array.isArray(entry)) return entry.flatMap(targets);
  if (typeof entry !== 'object' || entry === null) return [];
  return Object.entries(entry).flatMap(([condition, value]) => (CONDITIONS.has(condition) ? targets(value) : []));
}

/** Files that `exports` gives for a subpath such as "." or "./dist/x.js". */
function exported(exports: unknown, subpath: string): string[] {
  if (typeof exports === 'string' || Array.isArray(exports)) return subpath === '.' ? targets(exports) : [];
  const map = exports as Readonly<Record<string, unknown>>;
  const subpaths = Object.keys(map).some((key) => key.startsWith('.'));
  if (!subpaths) return subpath === '.' ? targets(map) : [];
  if (map[subpath] !== undefined) return targets(map[subpath]);
  return Object.entries(map).flatMap(([key, value]) => {
    const [before, after] = key.split('*');
    if (before === undefined || after === undefined) return [];
    if (!subpath.startsWith(before) || !subpath.endsWith(after)) return [];
    const middle = subpath.slice(before.length, subpath.length - after.length);
    return targets(value).map((target) => target.replaceAll('*', middle));
  });
}

/** The nearest folder with a `package.json` around a file. */
function packageOf(file: string): string | undefined {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    if (isFile(join(folder, 'package.json'))) return folder;
  }
  return undefined;
}

/** All `package.json` files between a file and its `node_modules`, for a nested one may set the type of its folder. */
function manifestsOf(file: string): string[] {
  const manifests: string[] = [];
  for (
    let folder = dirname(file);
    !folder.endsWith('node_modules') && folder !== dirname(folder);
    folder = dirname(folder)
  ) {
    if (isFile(join(folder, 'package.json'))) manifests.push(join(folder, 'package.json'));
  }
  return manifests;
}

/** The files that a package's name stands for in Node, as seen from a file; none when it is not installed. */
export function resolvePackage(specifier: string, from: string): string[] {
  const parts = specifier.split('/');
  const name = parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
  const rest = parts.slice(specifier.startsWith('@') ? 2 : 1).join('/');
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (isFile(join(found, 'package.json'))) {
      const manifest = readManifest(found);
      const relative =
        manifest.exports === undefined
          ? [rest === '' ? (manifest.main ?? 'index.js') : rest]
          : exported(manifest.exports, rest === '' ? '.' : `./${rest}`);
      return relative.flatMap((path) => findFile(join(found, path)) ?? []);
    }
    if (folder === dirname(folder)) return [];
  }
}

/**
 * The modules that `entries` load, directly and through others.
 * @param standsAt - the place from which a file's packages are looked for, where that is not its own
 */
export function trace(entries: readonly string[], standsAt: (file: string) => string = (file) => file): Trace {
  const files = new Set<string>();
  const unresolved = new Set<string>();
  const queue = entries.map((entry) => resolve(entry));
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    if (file.includes('node_modules')) for (const manifest of manifestsOf(file)) files.add(manifest);
    if (!/\.[cm]?js$/.test(file)) continue;
    for (const specifier of specifiers(readFileSync(file, 'utf8'))) {
      if (specifier.startsWith('node:') || BUILTIN.has(specifier.split('/')[0] as string)) continue;
      const relative = specifier.startsWith('.');
      const path = relative ? findFile(join(dirname(file), specifier)) : undefined;
      const found = relative ? (path === undefined ? [] : [path]) : resolvePackage(specifier, standsAt(file));
      if (found.length === 0) unresolved.add(`${specifier} (from ${file})`);
      queue.push(...found);
    }
  }
  return { files: [...files].sort(), unresolved: [...unresolved].sort() };
}

/** The folder of an installed package, as seen from a file; undefined when it is not installed. */
export function installedPackage(name: string, from: string): string | undefined {
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (isFile(join(found, 'package.json'))) return found;
    if (folder === dirname(folder)) return undefined;
  }
}

/** The package that this program is part of. */
export function ownPackage(from: string): string {
  const found = packageOf(from);
  if (found === undefined) throw new Error(`no package.json around ${from}`);
  return found;
}
