import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../backend.ts';
import type { HostTensor } from '../storage/safetensors.ts';
import { readArchive } from '../storage/safetensors.ts';
import { gpt } from './gpt.ts';
import { fromTorch, initialise } from './initialise.ts';
import { countParameters } from './net.ts';

const test = suite('models/nets/gpt');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-gpt-'));
test.before(async () => {
  await useBackend('wasm');
});
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const python = process.env['LRD_PYTHON'] ?? (existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3');
const script = fileURLToPath(new URL('scripts/torch_gpt.py', import.meta.url));
const missing = spawnSync(python, ['-c', 'import torch']).status === 0 ? undefined : `${python} has no torch`;

test('it has the tensors of a decoder, and a width that its heads can share', () => {
  const net = gpt({ seed: 1n });
  // 2 x 256 x 128 of the bytes, 128 x 128 of positions, a norm; a block: 12 width^2 and 13 width.
  assert.is(countParameters(net), 2 * 256 * 128 + 128 * 128 + 256 + 4 * (12 * 128 ** 2 + 13 * 128));
  net.dispose();
  assert.throws(() => gpt({ seed: 1n, width: 130 }), /^--width must be a multiple of 4, the heads of gpt, got 130$/);
});

test('no byte sees what lies behind it', async () => {
  const net = gpt({ seed: 1n, width: 8, layers: 2, context: 6 });
  const logits = async (bytes: number[]): Promise<Float32Array> => {
    const out = tf.tidy(() => net.forward(tf.tensor2d(bytes, [1, 6], 'int32'), { training: false, step: 0 }));
    const values = await out.data<'float32'>();
    out.dispose();
    return values;
  };
  const [one, other] = [await logits([1, 2, 3, 4, 5, 6]), await logits([1, 2, 3, 4, 7, 8])];
  assert.equal(one.slice(0, 4 * 256), other.slice(0, 4 * 256));
  assert.not.equal(one.slice(4 * 256), other.slice(4 * 256));
  net.dispose();
});

/** The largest difference, over the largest magnitude that is expected. */
function difference(got: ArrayLike<number>, { values }: HostTensor): number {
  assert.is(got.length, values.length);
  let [error, scale] = [0, 0];
  for (let i = 0; i < got.length; i++) {
    const gap = Math.abs((got[i] as number) - (values[i] as number));
    error = gap <= error ? error : gap;
    scale = Math.max(scale, Math.abs(values[i] as number));
  }
  return error / scale;
}

test.when(missing === undefined, missing ?? '')('logits and gradients are PyTorch’s', async () => {
  const { status, stderr } = spawnSync(python, ['-B', script, scratch], { encoding: 'utf8' });
  assert.is(status, 0, stderr);
  const net = gpt({ seed: 3n, width: 16, layers: 2, context: 12 });
  const { loaded } = initialise(net, join(scratch, 'gpt.weights.safetensors'));
  assert.is(loaded, net.parameters.length);
  const expected = readArchive(join(scratch, 'gpt.expected.safetensors')).tensors;
  const of = (name: string): HostTensor => expected.get(name) as HostTensor;
  const input = tf.tensor(Int32Array.from(of('input').values), [3, 12], 'int32');
  const target = tf.oneHot(tf.tensor1d(Int32Array.from(of('labels').values), 'int32'), 256).toFloat();
  let logits: tf.Tensor | undefined;
  const { grads } = tf.variableGrads(
    () => {
      logits = tf.keep(net.forward(input, { training: true, step: 1 }));
      return tf.div(tf.neg(tf.sum(tf.mul(target, tf.logSoftmax(logits)))), 36);
    },
    net.parameters.map(({ variable }) => variable),
  );
  assert.ok(difference(await (logits as tf.Tensor).data(), of('eval')) < 1e-4);
  for (const { name, variable } of net.parameters) {
    const error = difference(await (grads[variable.name] as tf.Tensor).data(), fromTorch(of(`grad.${name.replaceAll('/', '.')}`))); // prettier-ignore
    assert.ok(error < 1e-4, `gradient of ${name} differs by ${error}`);
  }
  tf.dispose([input, target, logits, grads]);
  net.dispose();
});

test.run();
