import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../backend.ts';
import type { HostTensor } from '../storage/safetensors.ts';
import { readArchive, writeArchive } from '../storage/safetensors.ts';
import { fromTorch, initialise, torchvisionName, vgg16Name } from './initialise.ts';
import type { Net } from './net.ts';
import { smallResNet } from './resnet.ts';

const test = suite('models/nets/initialise');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-init-'));
test.before(async () => {
  await useBackend('wasm');
});
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const build = (classes: number): Net => smallResNet('resnet14', { n: 2, classes, width: 2, seed: 1n });

/** A net's tensors as PyTorch would write them. */
async function stateDict(net: Net): Promise<Map<string, HostTensor>> {
  const entries = [...net.parameters, ...net.statistics].map(async ({ name, variable }) => {
    const { rank } = variable;
    const moved = rank === 4 ? variable.transpose([3, 2, 0, 1]) : rank === 2 ? variable.transpose() : variable.clone();
    const values = (await moved.data()).slice() as Float32Array;
    return [name.replaceAll('/', '.'), { shape: moved.shape, values }] as const;
  });
  return new Map(await Promise.all(entries));
}

async function failure(change: (tensors: Map<string, HostTensor>) => void, classes = 4): Promise<string> {
  const source = build(4);
  const tensors = await stateDict(source);
  change(tensors);
  const path = join(scratch, 'x.safetensors');
  await writeArchive(path, { tensors, metadata: {} });
  const net = build(classes);
  const [first] = net.parameters as [Net['parameters'][0]];
  const before = await first.variable.data();
  let message = 'no error';
  try {
    initialise(net, path);
  } catch (error) {
    ({ message } = error as Error);
    assert.equal(await first.variable.data(), before, 'nothing changes');
  }
  source.dispose();
  net.dispose();
  assert.not.match(message, /\n/);
  return message;
}

test('a convolution [out, in, height, width] becomes [height, width, in, out], a linear layer is transposed', () => {
  const shape = [2, 3, 1, 2];
  const values = Float32Array.from({ length: 12 }, (_, i) => i);
  const moved = fromTorch({ shape, values });
  assert.equal(moved.shape, [1, 2, 3, 2]);
  for (let o = 0; o < 2; o++) {
    for (let i = 0; i < 3; i++) {
      for (let w = 0; w < 2; w++) assert.is(moved.values[(w * 3 + i) * 2 + o], (o * 3 + i) * 2 + w);
    }
  }
  assert.equal(fromTorch({ shape: [2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6) }), {
    shape: [3, 2],
    values: Float32Array.of(1, 4, 2, 5, 3, 6),
  });
  // Larger than a square of those that are turned one by one, and no multiple of it.
  const table = Float32Array.from({ length: 70 * 45 }, (_, i) => i);
  const turned = fromTorch({ shape: [70, 45], values: table }).values;
  assert.ok(turned.every((value, i) => value === (i % 70) * 45 + Math.floor(i / 70)));
});

test('a missing, an unknown and a wrongly shaped tensor are named in one line, and nothing changes', async () => {
  assert.match(
    await failure((tensors) => tensors.delete('layer1.0.bn1.running_var')),
    /x.safetensors: no tensor for layer1\/0\/bn1\/running_var of resnet14$/,
  );
  assert.match(
    await failure((tensors) => [...tensors.keys()].slice(0, 3).forEach((name) => tensors.delete(name))),
    /no tensor for conv1\/weight and 2 more of resnet14$/,
  );
  const scalar = { shape: [1], values: Float32Array.of(1) };
  assert.match(await failure((tensors) => tensors.set('aux.weight', scalar)), /tensor aux.weight is not of resnet14$/);
  assert.match(
    await failure((tensors) => tensors.set('bn1.bias', scalar)),
    /tensor bn1.bias must be of shape \[2\] as bn1\/bias of resnet14 \(in the order of tfjs\), got \[1\]$/,
  );
  assert.match(
    await failure((tensors) => tensors.set('module.bn1.bias', scalar)),
    /tensors bn1.bias and module.bn1.bias are both bn1\/bias of resnet14$/,
  );
  assert.match(await failure(() => undefined, 5), /tensor fc.weight must be .*left out only when asked for$/);
  assert.is(await failure(() => undefined), 'no error');
});

test('a classifier of other classes keeps its own values when that is asked for, and is reported', async () => {
  const path = join(scratch, 'four.safetensors');
  const source = build(4);
  await writeArchive(path, { tensors: await stateDict(source), metadata: {} });
  const net = smallResNet('resnet14', { n: 2, classes: 5, width: 2, seed: 2n });
  const own = await (net.parameters.at(-2) as Net['parameters'][0]).variable.data();
  const { loaded, skipped } = initialise(net, path, { skipClassifier: true });
  assert.equal(skipped, ['fc/weight', 'fc/bias']);
  assert.is(loaded, net.parameters.length + net.statistics.length - 2);
  assert.equal(await (net.parameters.at(-2) as Net['parameters'][0]).variable.data(), own);
  const [a, b] = [source, net].map(({ parameters }) => (parameters[0] as Net['parameters'][0]).variable);
  assert.equal(await (a as tf.Variable).data(), await (b as tf.Variable).data());
  source.dispose();
  net.dispose();
});

test('names of torchvision, older files and wrappers', () => {
  assert.is(torchvisionName('layer1.0.downsample.1.running_var'), 'layer1/0/downsample/1/running_var');
  assert.is(torchvisionName('module.layer1.0.shortcut.0.weight'), 'layer1/0/downsample/0/weight');
  assert.is(torchvisionName('linear.bias'), 'fc/bias');
  assert.is(torchvisionName('bn1.num_batches_tracked'), undefined);
  assert.is(
    torchvisionName('features.denseblock1.denselayer2.norm.1.weight'),
    'features/denseblock1/denselayer2/norm1/weight',
  );
});

test("VGG-16's convolutions by their place in torchvision's list", () => {
  const at = (place: number): string | undefined => vgg16Name(`features.${place}.weight`);
  assert.equal([0, 2, 5, 7, 10, 12, 14, 17, 24, 28].map(at), [
    'conv1_1/weight', 'conv1_2/weight', 'conv2_1/weight', 'conv2_2/weight', 'conv3_1/weight', 'conv3_2/weight', 'conv3_3/weight',
    'conv4_1/weight', 'conv5_1/weight', 'conv5_3/weight',
  ]); // prettier-ignore
  assert.equal([1, 4, 30].map(at), [undefined, undefined, undefined]);
  assert.is(vgg16Name('features.28.bias'), 'conv5_3/bias');
  assert.is(vgg16Name('classifier.0.weight'), undefined);
});

/** Name, type, shape and bytes of a tensor. */
type Piece = readonly [name: string, dtype: string, shape: readonly number[], bytes: Uint8Array];

/** An archive as other programs write it. */
function archiveOf(pieces: readonly Piece[]): Buffer {
  let offset = 0;
  const header = Object.fromEntries(
    pieces.map(([name, dtype, shape, bytes]) => {
      const place = [offset, (offset += bytes.length)];
      return [name, { dtype, shape, data_offsets: place }];
    }),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...pieces.map(([, , , bytes]) => bytes)]);
}

test('numbers of other types are read as float32 or int32', () => {
  const path = join(scratch, 'types.safetensors');
  const pieces: Piece[] = [
    ['half', 'F16', [5], new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00, 0x7e00).buffer)],
    ['brain', 'BF16', [2], new Uint8Array(Uint16Array.of(0x3f80, 0xc040).buffer)],
    ['double', 'F64', [2], new Uint8Array(Float64Array.of(0.1, -2).buffer)],
    ['long', 'I64', [1], new Uint8Array(BigInt64Array.of(-7n).buffer)],
  ];
  writeFileSync(path, archiveOf(pieces));
  const { tensors } = readArchive(path);
  const values = (name: string): number[] => [...(tensors.get(name) as HostTensor).values];
  assert.equal(values('half'), [1, -2, 2 ** -24, Infinity, NaN]);
  assert.equal(values('brain'), [1, -3]);
  assert.equal(values('double'), [Math.fround(0.1), -2]);
  assert.equal(values('long'), [-7]);
  writeFileSync(
    path,
    archiveOf(pieces.map(([name, dtype, ...rest]) => [name, dtype === 'F16' ? 'F8x' : dtype, ...rest])),
  );
  assert.throws(() => readArchive(path), /tensor half is of type F8x; F32, F64, F16, BF16, I32, I64 are read/);
});

test('what is of a type that no network needs is left out and said, whatever it is; a value that has no place is refused by name', async () => {
  const net = build(4);
  const own = await stateDict(net);
  const path = join(scratch, 'more.safetensors');
  const bytesOf = ({ values }: HostTensor): Uint8Array =>
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const pieces = [...own].map(([name, tensor]): Piece => [name, 'F32', tensor.shape, bytesOf(tensor)]);
  const started = (more: readonly Piece[], less = ''): string | undefined => {
    writeFileSync(path, archiveOf([...pieces.filter(([name]) => name !== less), ...more]));
    return initialise(net, path).remark;
  };
  const failed = (more: readonly Piece[], less = ''): string => {
    try {
      started(more, less);
      return 'no error';
    } catch (error) {
      return (error as Error).message;
    }
  };
  const large = new Uint8Array(BigInt64Array.of(2n ** 40n).buffer);
  assert.is(started([]), undefined);
  // PyTorch's count of batches is nothing to speak of.
  assert.is(started([['bn1.num_batches_tracked', 'I64', [], large]]), undefined);
  assert.is(
    started([['position_ids', 'I64', [1], large]]),
    'tensor position_ids of type I64 is left out, no part of the network',
  );
  assert.is(
    started([
      ['attn.mask', 'BOOL', [3], new Uint8Array(3)],
      ['scale', 'F8_E4M3', [2], new Uint8Array(2)],
      ['table', 'U8', [1], new Uint8Array(1)],
      ['other', 'BOOL', [1], new Uint8Array(1)],
    ]),
    'tensor attn.mask of type BOOL and 3 more (BOOL, F8_E4M3, U8) are left out, no part of the network',
  );
  const bias = 'bn1.bias';
  assert.match(
    failed([[bias, 'BOOL', [2], new Uint8Array(2)]], bias),
    /tensor bn1\.bias must be .*got \[2\] of type BOOL$/,
  );
  assert.match(
    failed([[bias, 'I32', [2], new Uint8Array(8)]], bias),
    /tensor bn1\.bias must be .*got \[2\] of whole numbers$/,
  );
  const huge = new Uint8Array(Float64Array.of(0, 1e39).buffer);
  assert.match(
    failed([[bias, 'F64', [2], huge]], bias),
    /element 1 of tensor bn1\.bias is 1e\+39, which float32 has no place for$/,
  );
  net.dispose();
});

test.run();
