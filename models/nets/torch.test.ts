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
import { NetBuilder } from './builder.ts';
import { denseNet } from './densenet.ts';
import { fromTorch, initialise } from './initialise.ts';
import { classifier } from './layers.ts';
import type { Net } from './net.ts';
import type { BackboneOptions } from './resnet.ts';
import { resNet, resNetBackbone, smallResNet } from './resnet.ts';

const test = suite('models/nets/torch');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-nets-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const python = process.env['LRD_PYTHON'] ?? (existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3');
const script = fileURLToPath(new URL('scripts/torch_expectations.py', import.meta.url));

/** Writes the expectations once. Returns why there are none. */
function prepare(): string | undefined {
  if (spawnSync(python, ['-c', 'import torch']).status !== 0) {
    return `${python} has no torch: apt-get install --no-install-recommends python3-torch, or name another in LRD_PYTHON`;
  }
  const { status, stderr } = spawnSync(python, ['-B', script, scratch], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return undefined;
}
const missing = prepare();

const seed = 3n;

/** A layout that no recipe has. */
function ownLayout(name: string, layout: BackboneOptions): Net {
  const builder = new NetBuilder(name, { seed });
  const backbone = resNetBackbone(builder, layout);
  const classify = classifier(builder, 'fc', backbone.channels[3], 7);
  return builder.net((x, pass) => classify(backbone.forward(x as tf.Tensor4D, pass)[3]));
}

const bottleneck = { block: 'bottleneck', stem: 'imagenet' } as const;

const NETS: Readonly<Record<string, () => Net>> = {
  resnet18: () => resNet('resnet18', { classes: 10, width: 8, seed }),
  resnet50: () => resNet('resnet50', { classes: 7, width: 8, seed }),
  // The last two stages dilate, as segmentation has it.
  'resnet50-os8': () => ownLayout('resnet50-os8', { ...bottleneck, blocks: [3, 4, 6, 3], width: 4, outputStride: 8 }),
  resnext: () => ownLayout('resnext', { ...bottleneck, blocks: [1, 1, 1, 1], width: 8, groups: 8, groupWidth: 2 }),
  resnext50: () => resNet('resnext50', { classes: 7, width: 16, seed }),
  resnet14: () => smallResNet('resnet14', { n: 2, classes: 10, width: 8, seed }),
  densenet121: () => denseNet('densenet121', { classes: 10, growth: 4, seed }),
};

/** The largest difference, over the largest magnitude that is expected. */
function difference(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.is(got.length, expected.length);
  let [error, scale] = [0, 0];
  for (let i = 0; i < got.length; i++) {
    const gap = Math.abs((got[i] as number) - (expected[i] as number));
    // A NaN must not pass as no difference.
    error = gap <= error ? error : gap;
    scale = Math.max(scale, Math.abs(expected[i] as number));
  }
  return error / scale;
}

/** Compares a network with PyTorch's in everything that training is made of. */
async function compare(name: string): Promise<void> {
  const expected = readArchive(join(scratch, `${name}.expected.safetensors`)).tensors;
  const value = (key: string): HostTensor => {
    const tensor = expected.get(key);
    assert.ok(tensor, key);
    return tensor;
  };
  const net = (NETS[name] as () => Net)();
  const { loaded, skipped } = initialise(net, join(scratch, `${name}.weights.safetensors`));
  assert.is(loaded, net.parameters.length + net.statistics.length);
  assert.equal(skipped, []);
  const { shape, values } = value('input');
  const input = tf.tensor(values, [...shape]);
  const close = (what: string, got: ArrayLike<number>, want: HostTensor, bound: number): void => {
    const error = difference(got, want.values);
    assert.ok(error < bound, `${name}: ${what} differs by ${error} of its largest value`);
  };

  const tested = tf.tidy(() => net.forward(input, { training: false, step: 0 }));
  close('logits in evaluation mode', await tested.data(), value('eval'), 1e-4);
  const before = readArchive(join(scratch, `${name}.weights.safetensors`)).tensors;
  for (const { name: statistic, variable } of net.statistics) {
    const same = before.get(statistic.replaceAll('/', '.')) as HostTensor;
    assert.is(difference(await variable.data(), same.values), 0, `${statistic} moved in evaluation mode`);
  }

  const labels = value('labels');
  const [, classes] = value('train').shape as [number, number];
  const target = tf.oneHot(tf.tensor1d(Int32Array.from(labels.values), 'int32'), classes).toFloat();
  let logits: tf.Tensor | undefined;
  const variables = net.parameters.map(({ variable }) => variable);
  const { value: loss, grads } = tf.variableGrads(() => {
    const output = net.forward(input, { training: true, step: 1 });
    logits = tf.keep(output);
    return tf.div(tf.neg(tf.sum(tf.mul(target, tf.logSoftmax(output)))), labels.values.length);
  }, variables);
  close('logits in training mode', await (logits as tf.Tensor).data(), value('train'), 1e-4);
  for (const { name: statistic, variable } of net.statistics) {
    close(`${statistic} after a step`, await variable.data(), value(`after.${statistic.replaceAll('/', '.')}`), 1e-4);
  }
  let compared = 0;
  for (const { name: parameter, variable } of net.parameters) {
    const want = expected.get(`grad.${parameter.replaceAll('/', '.')}`);
    if (want === undefined) continue;
    close(`gradient of ${parameter}`, await (grads[variable.name] as tf.Tensor).data(), fromTorch(want), 2e-3);
    compared += 1;
  }
  assert.is(compared, name === 'resnext50' ? 0 : net.parameters.length);
  tf.dispose([input, tested, target, logits, loss, grads]);
  net.dispose();
}

for (const name of Object.keys(NETS)) {
  test.when(missing === undefined, missing ?? '')(
    `${name} on wasm gives PyTorch's logits in both modes, its running statistics and its gradients`,
    async () => {
      // Sums that are rounded as everywhere: fused ones differ by processor, and one ReLU whose input changes its sign moves a gradient of fifty layers by a hundredth.
      await useBackend('wasm', { relaxed: false });
      await compare(name);
    },
  );
}

test.run();
