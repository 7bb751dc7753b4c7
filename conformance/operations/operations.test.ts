import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { useBackend } from '../../models/backend.ts';
import { suite } from '../harness/suite.ts';
import { CORE } from '../upstream/bundle.ts';
import { Random, elementwise } from './array.ts';
import { checkCase, checkHostile, tryOperation } from './check.ts';
import { OPERATIONS, UNTRIED } from './index.ts';
import type { Case } from './operation.ts';
import { TABLE_FILE, TRIED, readResults, table } from './results.ts';

const test = suite('conformance/operations');

test('every gradient of tfjs-core is tried, or it is said why not', () => {
  const known = new Set([...OPERATIONS.flatMap(({ kernels }) => kernels), ...Object.keys(UNTRIED)]);
  const kernels = readdirSync(join(CORE, 'gradients')).flatMap((file) => /^(\w+)_grad\.js$/.exec(file)?.[1] ?? []);
  assert.ok(kernels.length > 90);
  assert.equal(
    kernels.filter((kernel) => !known.has(kernel)),
    [],
  );
  const names = OPERATIONS.map(({ name }) => name);
  assert.is(new Set(names).size, names.length);
});

test('wrong values, wrong gradients and lost NaN are found', async () => {
  await useBackend('cpu');
  const right: Case = {
    what: 'twice',
    inputs: [new Random(1).array([2, 3])],
    run: (x) => tf.mul(x, 2),
    reference: elementwise((x) => 2 * x),
  };
  const check = async (wrong: Partial<Case>): Promise<string> => {
    try {
      await checkCase({ ...right, ...wrong }, new Random(2));
      return 'nothing';
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.is(await check({}), 'nothing');
  assert.match(await check({ run: (x) => tf.mul(x, 2.01) }), /^twice of \[2,3\] .*: value at 0: /);
  assert.match(await check({ run: (x) => tf.reshape(tf.mul(x, 2), [3, 2]) }), /: shape \[3,2\], right is \[2,3\]$/);
  const misled = tf.customGrad((x: tf.Tensor | ((values: tf.Tensor[]) => void)) => ({
    value: tf.mul(x as tf.Tensor, 2),
    gradFunc: (dy: tf.Tensor) => tf.mul(dy, 2.1),
  }));
  assert.match(await check({ run: (x) => misled(x) }), /: gradient 0 at \d: /);
  const lossy = { ...right, run: (x: tf.Tensor) => tf.where(tf.isNaN(x), tf.zerosLike(x), tf.mul(x, 2)) };
  const messages: string[] = [];
  for (let seed = 1; seed < 20; seed++) {
    await checkHostile(lossy, new Random(seed), true).catch((error: Error) => messages.push(error.message));
  }
  assert.match(messages[0] ?? '', /: value at \d: 0, right is NaN$/);
});

test('the table of the documentation shows the kept results, of which none is wrong', () => {
  const names = OPERATIONS.map(({ name }) => name);
  assert.is(readFileSync(TABLE_FILE, 'utf8'), table(names));
  for (const backend of TRIED) {
    const results = readResults(backend);
    assert.equal(Object.keys(results?.operations ?? {}), names, backend);
    assert.equal(
      Object.entries(results?.operations ?? {}).filter(([, { wrong }]) => wrong > 0),
      [],
      backend,
    );
  }
});

test('wasm: seven axes are those of the same elements in fewer', async () => {
  await useBackend('wasm');
  const x = tf.tensor(
    Array.from({ length: 32 }, (_, i) => i),
    [2, 1, 2, 2, 1, 2, 2],
  );
  const row = tf.tensor([1, 10], [2, 1, 1, 1, 1, 1, 1]);
  const product = tf.mul(x, row);
  assert.equal(
    [...(await product.data())],
    Array.from({ length: 32 }, (_, i) => i * (i < 16 ? 1 : 10)),
  );
  const apart = [tf.ones([2, 1, 2, 1, 2, 1, 2]), tf.ones([1, 2, 1, 2, 1, 2, 1])] as const;
  assert.throws(() => tf.add(...apart), /^Add takes six axes on the wasm backend, got shapes \[2,1,2,1,2,1,2\]/);
  tf.dispose([x, row, product, ...apart]);
});

for (const backend of ['cpu', 'wasm'] as const) {
  test(
    `${backend}: values and gradients of all operations are those of their definitions`,
    async () => {
      await useBackend(backend);
      const tensors = tf.memory().numTensors;
      for (const operation of OPERATIONS) {
        const { findings } = await tryOperation(operation, 1, 2);
        assert.equal(findings, [], operation.name);
      }
      assert.is(tf.memory().numTensors, tensors);
    },
    { timeout: 180 },
  );
}

test.run();
