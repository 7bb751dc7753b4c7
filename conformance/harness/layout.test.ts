import { readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import * as assert from 'uvu/assert';
import { ARROWS, FLOORS } from './floors.ts';
import { imports, roomOf, root, sources, specifiers } from './imports.ts';
import type { Import } from './imports.ts';
import { suite } from './suite.ts';

const test = suite('layout');

/** Folders that stand below another layer: plain engines know nothing of tfjs. */
const WITHOUT_TFJS = ['spec/', 'impl-ref/', 'impl-gpu/engines/', 'impl-gpu/gpujs/', 'impl-gpu/device/'];

/** Folders that commands make. */
const MADE = ['node_modules', 'dist', 'build', 'runs', 'coverage'];

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

test('the top level is the folders that have arrows', () => {
  const folders = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .filter((name) => !MADE.includes(name));
  assert.equal(folders.sort(), Object.keys(ARROWS).sort());
});

test('an import against the arrows is seen', () => {
  assert.equal(violations([{ from: 'impl-gpu/a.ts', to: 'impl-ref/b.ts' }]), ['impl-gpu/a.ts -> impl-ref/b.ts']);
  assert.equal(violations([{ from: 'spec/a.ts', to: 'models/b.ts' }]), ['spec/a.ts -> models/b.ts']);
});

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
