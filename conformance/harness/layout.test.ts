import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { ARROWS, FLOORS } from './floors.ts';
import { suite } from './suite.ts';

const test = suite('layout');
const root = fileURLToPath(new URL('../../', import.meta.url));

/** Folders that stand below another layer: plain engines know nothing of tfjs. */
const WITHOUT_TFJS = ['spec/', 'impl-ref/', 'impl-gpu/engines/', 'impl-gpu/gpujs/', 'impl-gpu/device/'];

interface Import {
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

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file}`)
    .filter(
      (file) =>
        file.endsWith('.ts') &&
        !/\.(test|d)\.ts$/.test(file) &&
        !/\/(assembly|planted|testing|dist|node_modules)\//.test(file),
    );
}

function specifiers(file: string): string[] {
  return [...readFileSync(join(root, file), 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(
    (match) => match[1] as string,
  );
}

function imports(folder: string): Import[] {
  return sources(folder).flatMap((from) => specifiers(from).map((to) => ({ from, to: placeOf(from, to) })));
}

/** Imports that go against the arrows. */
function violations(all: readonly Import[]): string[] {
  return all
    .filter(({ from, to }) => {
      const [source, target] = [from, to].map((path) => path.split('/')[0] as string) as [string, string];
      if (!Object.hasOwn(ARROWS, target) || source === target || from.startsWith('models/cli/')) return false;
      return !(ARROWS[source] as readonly string[]).includes(target);
    })
    .map(({ from, to }) => `${from} -> ${to}`);
}

const all = Object.keys(ARROWS).flatMap(imports);

test('imports follow the arrows between the folders', () => {
  assert.ok(all.length > 100);
  assert.equal(violations(all), []);
});

test('code above the library imports it by its name: a path would make a second copy of it', () => {
  const library = /^(spec|impl-ref|impl-gpu)\//;
  const above = Object.keys(ARROWS).filter((folder) => !library.test(`${folder}/`));
  const byPath = above.flatMap((folder) =>
    sources(folder).flatMap((from) =>
      specifiers(from).filter((to) => to.startsWith('.') && library.test(normalize(join(dirname(from), to)))),
    ),
  );
  assert.equal(byPath, []);
});

test('an import against the arrows is seen', () => {
  assert.equal(violations([{ from: 'impl-gpu/a.ts', to: 'impl-ref/b.ts' }]), ['impl-gpu/a.ts -> impl-ref/b.ts']);
  assert.equal(violations([{ from: 'spec/a.ts', to: 'models/b.ts' }]), ['spec/a.ts -> models/b.ts']);
});

interface Room {
  readonly name: string;
  readonly floor: number;
}

/** The room of a file of one of the folders that have floors; undefined where it lies in none. */
function roomOf(path: string): Room | undefined {
  const folder = path.split('/')[0] as string;
  const rooms = (FLOORS[folder] ?? []).flatMap((names, floor) => names.map((name) => ({ name, floor })));
  const place = path.slice(folder.length + 1);
  return rooms
    .filter(({ name }) => place === `${name}.ts` || place.startsWith(`${name}/`))
    .sort((a, b) => b.name.length - a.name.length)[0];
}

/** Imports that do not lead to a lower floor. */
function upwards(imported: readonly Import[]): string[] {
  return imported
    .filter(
      ({ from, to }) => Object.hasOwn(FLOORS, from.split('/')[0] as string) && from.split('/')[0] === to.split('/')[0],
    ) // prettier-ignore
    .filter(({ from, to }) => {
      const [above, below] = [roomOf(from), roomOf(to)];
      if (above === undefined || below === undefined) return true;
      return above.name !== below.name && below.floor >= above.floor;
    })
    .map(({ from, to }) => `${from} -> ${to}`);
}

test('every file has a room, and every room its files', () => {
  for (const [folder, floors] of Object.entries(FLOORS)) {
    const files = sources(folder).filter((file) => !file.includes('/scripts/'));
    assert.equal(
      files.filter((file) => roomOf(file) === undefined),
      [],
    );
    const inhabited = new Set(files.map((file) => roomOf(file)?.name));
    assert.equal(
      floors.flat().filter((room) => !inhabited.has(room)),
      [],
    );
  }
});

test('no import leads up', () => {
  assert.equal(upwards(all), []);
});

test('an import that leads up, or across a floor, is seen', () => {
  for (const [from, to] of [
    ['models/nets/a.ts', 'models/tasks/b.ts'],
    ['models/storage/a.ts', 'models/tensorboard/b.ts'],
    ['models/errors.ts', 'models/raster/b.ts'],
    ['impl-gpu/tfjs/bridges/a.ts', 'impl-gpu/tfjs/optimizer.ts'],
    ['impl-gpu/engines/a.ts', 'impl-gpu/tfjs/index.ts'],
    ['impl-gpu/nowhere.ts', 'impl-gpu/validate.ts'],
  ] as const) {
    assert.equal(upwards([{ from, to }]), [`${from} -> ${to}`]);
  }
  assert.equal(upwards([{ from: 'models/cli/a.ts', to: 'models/errors.ts' }]), []);
});

test('models/cli is imported by nothing outside it', () => {
  const outside = all.filter(({ from, to }) => to.startsWith('models/cli/') && !from.startsWith('models/cli/'));
  assert.equal(outside, []);
});

test('the specification, the reference and the plain engines import no tfjs', () => {
  const guilty = all.filter(
    ({ from, to }) => to.startsWith('@tensorflow/') && WITHOUT_TFJS.some((folder) => from.startsWith(folder)),
  );
  assert.equal(guilty, []);
});

test('the specification and the reference import no package at all', () => {
  const guilty = all.filter(
    ({ from, to }) => /^(spec|impl-ref)\//.test(from) && !/\/scripts\//.test(from) && !/^(spec|impl-ref)\//.test(to),
  );
  assert.equal(guilty, []);
});

test.run();
