import { existsSync, readFileSync, readdirSync } from 'node:fs';
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

/** The room of a file of `models/`: its folder there, or its name. */
function roomOf(path: string): string {
  return (path.split('/')[1] as string).replace(/\.ts$/, '');
}

const floorOf: ReadonlyMap<string, number> = new Map(
  FLOORS.flatMap((rooms, floor) => rooms.map((room) => [room, floor] as const)),
);

/** Imports that do not lead to a lower floor. */
function upwards(imported: readonly Import[]): string[] {
  return imported
    .filter(({ from, to }) => from.startsWith('models/') && to.startsWith('models/') && roomOf(from) !== roomOf(to))
    .filter(({ from, to }) => !((floorOf.get(roomOf(to)) as number) < (floorOf.get(roomOf(from)) as number)))
    .map(({ from, to }) => `${from} -> ${to}`);
}

test('every room of models/ has a floor, and every floor its rooms', () => {
  const rooms = new Set(all.filter(({ from }) => from.startsWith('models/')).map(({ from }) => roomOf(from)));
  const nameless = [...rooms].filter((room) => !floorOf.has(room));
  assert.equal(nameless, []);
  const empty = [...floorOf.keys()].filter(
    (room) => !existsSync(join(root, 'models', room)) && !existsSync(join(root, 'models', `${room}.ts`)),
  );
  assert.equal(empty, []);
});

test('no import in models/ leads up', () => {
  assert.equal(upwards(all), []);
});

test('an import that leads up, or across a floor, is seen', () => {
  for (const [from, to] of [
    ['models/nets/a.ts', 'models/tasks/b.ts'],
    ['models/storage/a.ts', 'models/tensorboard/b.ts'],
    ['models/errors.ts', 'models/raster/b.ts'],
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
