import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import type { StreamName } from '../spec/stream.ts';
import { authors2019 } from './authors2019/authors2019.ts';
import type { Authors2019Output } from './authors2019/authors2019.ts';
import { noisyLabels } from './comparators/noisyLabels.ts';
import { initialValues, normals, permutation, uniforms } from './draws.ts';
import { keepThreshold, streamMask } from './masks.ts';
import { parseSeed } from './seed.ts';
import { halves, layout } from './stream.ts';
import { runCase } from './testing/runCase.ts';
import type { VectorCase, VectorStep } from './testing/runCase.ts';
import { readVectors, vectorsFolder } from './testing/vectors.ts';
import { resolveHyper } from './validate.ts';

const test = suite('impl-ref/vectors');
const FILES = ['masks.json', 'draws.json', 'trajectories.json', 'family.json', 'errors.json', 'authors-2019.json'];

interface Vector {
  readonly id: string;
  readonly requirements: readonly string[];
  readonly case: VectorCase;
  readonly steps: readonly VectorStep[];
}

test('every file of vectors follows the schema', () => {
  const validate = new Ajv2020({
    strict: true,
    strictTypes: false,
    strictRequired: false,
    strictTuples: false,
  }).compile(readVectors('schema.json') as object);
  for (const file of FILES)
    assert.ok(validate(readVectors(file)), `${file}: ${JSON.stringify(validate.errors?.slice(0, 3))}`);
});

const python = spawnSync('python3', ['--version']).status === 0;
test.when(python, 'no python3 here')('the files are what their script writes', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'lrd-vectors-'));
  try {
    cpSync(join(vectorsFolder, 'generate.py'), join(scratch, 'generate.py'));
    execFileSync('python3', [join(scratch, 'generate.py')]);
    // pow and sin may differ by an ulp between C libraries: structure and bits of masks must agree, numbers within 1e-12.
    for (const file of FILES) {
      const close = (a: unknown, b: unknown, path: string): void => {
        if (typeof a === 'number' && typeof b === 'number') {
          assert.ok(Math.abs(a - b) <= 1e-12 * (Math.abs(a) + Math.abs(b)), `${path}: ${a} and ${b}`);
        } else if (typeof a === 'object' && a !== null && typeof b === 'object' && b !== null) {
          assert.equal(Object.keys(a), Object.keys(b), path);
          for (const [key, value] of Object.entries(a))
            close(value, (b as Record<string, unknown>)[key], `${path}/${key}`);
        } else assert.is(a, b, path);
      };
      close(readVectors(file), JSON.parse(readFileSync(join(scratch, file), 'utf8')), file);
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
});

test('[LRD-STREAM-001] [LRD-STREAM-002] [LRD-STREAM-003] [LRD-STREAM-004] masks and halves are those of the second implementation', () => {
  const file = readVectors('masks.json') as {
    thresholds: [number, number][];
    halves: { seed: string; step: number; stream: StreamName; base: number; halves: number[] }[];
    masks: { seed: string; step: number; keepProbability: number; shapes: number[][]; masks: string[] }[];
  };
  for (const [p, threshold] of file.thresholds) assert.is(keepThreshold(p), threshold);
  for (const { seed, step, stream, base, halves: expected } of file.halves) {
    assert.equal(Array.from(halves({ key: parseSeed(seed), step, stream, base }, expected.length)), expected);
  }
  for (const { seed, step, keepProbability, shapes, masks } of file.masks) {
    const sizes = shapes.map((shape) => shape.reduce((a, b) => a * b, 1));
    const drawn = layout(sizes).map((base, k) =>
      streamMask({ key: parseSeed(seed), step, stream: 'mask', base }, sizes[k] as number, keepProbability).join(''),
    );
    assert.equal(drawn, masks);
  }
  assert.ok(file.masks.length >= 40);
});

test('[LRD-STREAM-007] [LRD-STREAM-008] [LRD-STREAM-009] [LRD-STREAM-010] [LRD-STREAM-011] [LRD-CMP-005] draws are those of the second implementation', () => {
  const file = readVectors('draws.json') as {
    uniforms: { seed: string; step: number; stream: StreamName; base: number; values: number[] }[];
    normals: { seed: string; step: number; base: number; values: number[] }[];
    permutations: { seed: string; epoch: number; order: number[] }[];
    initialValues: { seed: string; sizes: number[]; bounds: number[]; values: number[][] }[];
    noisyLabels: { seed: string; step: number; classes: number; rate: number; labels: number[]; values: number[] }[];
  };
  for (const { seed, step, stream, base, values } of file.uniforms) {
    assert.equal(Array.from(uniforms({ key: parseSeed(seed), step, stream, base }, values.length)), values);
  }
  for (const { seed, step, base, values } of file.normals) {
    const z = normals({ key: parseSeed(seed), step, stream: 'gradientNoise', base }, values.length);
    z.forEach((x, i) => assert.ok(Math.abs(x - (values[i] as number)) <= 4e-15));
  }
  for (const { seed, epoch, order } of file.permutations) {
    assert.equal(Array.from(permutation(seed, epoch, order.length)), order);
  }
  for (const { seed, sizes, bounds, values } of file.initialValues) {
    assert.equal(
      initialValues(seed, sizes, bounds).map((array) => Array.from(array)),
      values,
    );
  }
  for (const { labels, values, ...options } of file.noisyLabels) assert.equal(noisyLabels(labels, options), values);
});

/** |a - b| against the size of what was summed up to it. */
function compare(got: readonly number[] | undefined, expected: readonly number[], bound: number, where: string): void {
  assert.is(got?.length, expected.length, where);
  expected.forEach((value, i) => {
    const error = Math.abs((got?.[i] as number) - value);
    assert.ok(error <= bound * (1 + Math.abs(value)), `${where}[${i}]: ${got?.[i]} and ${value}`);
  });
}

const vectorsOf = (file: string): Vector[] => (readVectors(file) as { vectors: Vector[] }).vectors;
for (const { id, requirements, case: example, steps } of [
  ...vectorsOf('trajectories.json'),
  ...vectorsOf('family.json'),
]) {
  const mask = example.mask === undefined ? '' : `, ${JSON.stringify(example.mask)}`;
  const title = `[${requirements.join('] [')}] trajectory ${id}: ${example.rule} ${JSON.stringify(example.hyper)}${mask}`;
  test(title, () => {
    const answer = runCase(example);
    assert.is(answer.length, steps.length);
    const bound = example.rule === 'radam' ? 1e-12 : 1e-13;
    steps.forEach((step, t) => {
      const got = answer[t];
      assert.equal(got?.masks, step.masks, `step ${t + 1}`);
      step.parameters.forEach((values, k) => compare(got?.parameters[k], values, bound, `step ${t + 1}, tensor ${k}`));
      for (const [name, tensors] of Object.entries(step.state)) {
        tensors.forEach((values, k) => {
          const slot = got?.state[name]?.[k] ?? [];
          // A tensor that has had no gradient yet has no state; the vectors write zeros.
          compare(
            slot.length === 0 ? values.map(() => 0) : slot,
            values,
            bound,
            `step ${t + 1}, ${name} of tensor ${k}`,
          );
        });
      }
    });
  });
}

for (const { id, requirements, argument, code, case: example } of (
  readVectors('errors.json') as {
    vectors: (Vector & { argument: string; code: string })[];
  }
).vectors) {
  test(`[${requirements.join('] [')}] error case ${id}: ${argument} is refused in one line`, () => {
    assert.is(code, 'invalid-argument');
    assert.throws(
      () => runCase(example),
      (error: unknown) =>
        error instanceof RangeError && error.message.includes(argument) && !error.message.includes('\n'),
    );
  });
}

for (const { id, case: example, steps, note } of (
  readVectors('authors-2019.json') as { vectors: (Vector & { note: string })[] }
).vectors) {
  test(`[LRD-DEC-006] ${id}: ${note}`, () => {
    const hyper = resolveHyper(example.rule, { ...example.hyper }) as never;
    const step = { sgdm: authors2019.sgd, adam: authors2019.adam, rmsprop: authors2019.rmsprop }[
      example.rule as 'sgdm'
    ];
    const now: Authors2019Output[] = example.parameters.map(({ values }) => ({
      values: Float64Array.from(values as number[]),
      slots: {},
    }));
    steps.forEach((expected, t) => {
      now.forEach((tensor, k) => {
        const gradient = Float64Array.from(example.gradients[t]?.[k] as number[]);
        const mask = Uint8Array.from((example.masks as string[][])[t]?.[k] ?? '', Number);
        const next = step({ ...tensor, gradient, mask, t: t + 1 }, hyper);
        now[k] = next;
        compare(Array.from(next.values), expected.parameters[k] as number[], 1e-13, `step ${t + 1}, tensor ${k}`);
      });
    });
    // The rule itself agrees where the note says so, and where it names a bug it does not.
    const answer = runCase({
      ...example,
      hyper: { ...example.hyper, ...(example.rule === 'adam' ? { epsilonMode: 'hat' } : {}) },
    });
    const last = answer.at(-1)?.parameters.flat() ?? [];
    const theirs = steps.at(-1)?.parameters.flat() ?? [];
    const apart = Math.max(...last.map((w, i) => Math.abs(w - (theirs[i] as number))));
    assert.is(apart > 1e-12, note.includes('bug'), `${apart}`);
  });
}

test("[LRD-DEC-006] the authors' SGD cannot run without momentum, and multiplies where this package selects", () => {
  const input = {
    values: Float64Array.of(1),
    gradient: Float64Array.of(Infinity),
    slots: {},
    mask: Uint8Array.of(0),
    t: 1,
  };
  const hyper = { learningRate: 0.1, weightDecay: 0, momentum: 0.9, dampening: 0 };
  const brought = { ...input, gradient: Float64Array.of(2), slots: { buf: Float64Array.of(100) } };
  assert.equal(authors2019.sgd(brought, hyper).slots['buf'], Float64Array.of(2));
  assert.ok(Number.isNaN(authors2019.sgd(input, hyper).values[0]));
  assert.throws(
    () => authors2019.sgd(input, { ...hyper, momentum: 0 }),
    /^momentum must not be 0 in the authors' SGD_LRD, got 0$/,
  );
});

test.run();
