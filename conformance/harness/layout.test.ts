import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from './suite.ts';

const test = suite('layout');
const root = fileURLToPath(new URL('../../', import.meta.url));

/** Which folder may import from which. `models/cli` is the one place that may import everything. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  spec: [],
  'impl-ref': ['spec'],
  'impl-gpu': ['spec'],
  conformance: ['spec', 'impl-ref', 'impl-gpu'],
  bench: ['spec', 'impl-ref', 'impl-gpu', 'conformance', 'models'],
  models: ['spec', 'impl-gpu'],
};
/** Folders that stand below another layer: plain engines know nothing of tfjs. */
const WITHOUT_TFJS = ['spec/', 'impl-ref/', 'impl-gpu/engines/', 'impl-gpu/gpujs/', 'impl-gpu/device/'];

interface Import {
  readonly from: string;
  readonly to: string;
}

function imports(folder: string): Import[] {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file}`)
    .filter(
      (file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !/\/(assembly|planted|testing)\//.test(file),
    );
  return files.flatMap((from) =>
    [...readFileSync(join(root, from), 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)].map((match) => {
      const specifier = match[1] as string;
      return { from, to: specifier.startsWith('.') ? normalize(join(dirname(from), specifier)) : specifier };
    }),
  );
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

test('an import against the arrows is seen', () => {
  assert.equal(violations([{ from: 'impl-gpu/a.ts', to: 'impl-ref/b.ts' }]), ['impl-gpu/a.ts -> impl-ref/b.ts']);
  assert.equal(violations([{ from: 'spec/a.ts', to: 'models/b.ts' }]), ['spec/a.ts -> models/b.ts']);
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
