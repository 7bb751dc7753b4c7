import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../backend.ts';
import type { HostTensor } from '../storage/safetensors.ts';
import { writeArchive } from '../storage/safetensors.ts';
import type { Net } from './net.ts';
import { initialisePspNet, initialiseSsd300, thinOut } from './pretrained.ts';
import { pspnet } from './pspnet.ts';
import { ssd300 } from './ssd300.ts';

const test = suite('models/nets/pretrained');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-pretrained-'));
test.before(async () => {
  await useBackend('cpu');
});
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** Numbers that tell element and tensor apart. */
function ramp(shape: readonly number[], seed: number): HostTensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return { shape, values: Float32Array.from({ length: size }, (_, i) => ((i * 37 + seed * 101) % 1009) / 1009) };
}

/** A net's tensors with new values, named and laid out as PyTorch's. */
function asTorch(net: Net<unknown>, wanted: (name: string) => string | undefined): Map<string, HostTensor> {
  const entries = [...net.parameters, ...net.statistics].flatMap(({ name, variable }, k) => {
    const renamed = wanted(name);
    if (renamed === undefined) return [];
    const { shape } = variable;
    const torch = shape.length === 4 ? [shape[3], shape[2], shape[0], shape[1]] : shape;
    return [[renamed, ramp(torch, k)] as const];
  });
  return new Map(entries);
}

const valuesOf = async (net: Net<unknown>, name: string): Promise<Float32Array> =>
  (await (net.parameters.find((p) => p.name === name) as Net['parameters'][0]).variable.data()) as Float32Array;

test("PSPNet starts from torchvision's ResNet-50: its classifier is left out, the heads keep their own values", async () => {
  const net = pspnet({ classes: 3, width: 2, seed: 1n });
  const tensors = asTorch(net, (name) => (/^(ppm|cls|aux)/.test(name) ? undefined : name.replaceAll('/', '.')));
  tensors.set('fc.weight', ramp([1000, 64], 9)).set('fc.bias', ramp([1000], 9));
  const path = join(scratch, 'resnet50.safetensors');
  await writeArchive(path, { tensors, metadata: {} });
  const head = (await valuesOf(net, 'cls/0/weight')).slice();
  initialisePspNet(net, path);
  const [filter, source] = [
    await valuesOf(net, 'layer1/0/conv2/weight'),
    tensors.get('layer1.0.conv2.weight') as HostTensor,
  ];
  // [height, width, in, out] here, [out, in, height, width] there; element (row 1, column 2, in 1, out 0).
  assert.is(filter[((1 * 3 + 2) * 2 + 1) * 2], source.values[9 + 1 * 3 + 2]);
  assert.is(
    Buffer.compare(Buffer.from(head.buffer), Buffer.from((await valuesOf(net, 'cls/0/weight')).slice().buffer)),
    0,
  );
  tensors.delete('layer4.2.bn3.running_var');
  await writeArchive(path, { tensors, metadata: {} });
  assert.throws(
    () => initialisePspNet(net, path),
    /resnet50\.safetensors: no tensor for layer4\/2\/bn3\/running_var of the backbone/,
  );
  net.dispose();
});

test('a whole network starts from a file of its own tensors', async () => {
  for (const [build, load] of [
    [() => pspnet({ classes: 3, width: 2, seed: 1n }), initialisePspNet],
    [() => ssd300({ classes: 3, width: 4, seed: 1n }), initialiseSsd300],
  ] as const) {
    const net: Net<unknown> = build();
    const path = join(scratch, `${net.name}.safetensors`);
    await writeArchive(path, { tensors: asTorch(net, (name) => name.replaceAll('/', '.')), metadata: {} });
    load(net, path);
    const last = net.parameters.length - 1;
    const expected = ramp(net.parameters[last]?.variable.shape ?? [], last).values;
    const got = (await net.parameters[last]?.variable.data()) as Float32Array;
    assert.equal([...got], [...expected]);
    net.dispose();
  }
});

test('thinning out takes every nth element along each axis', () => {
  const values = Float32Array.from({ length: 24 }, (_, i) => i);
  assert.equal(thinOut({ shape: [4, 6], values }, [2, 3]), { shape: [2, 2], values: Float32Array.of(0, 3, 12, 15) });
  assert.equal(thinOut({ shape: [7], values: values.subarray(0, 7) }, [3]).values, Float32Array.of(0, 3, 6));
});

test("SSD300 starts from torchvision's VGG-16: fc6 and fc7 are thinned out from its linear layers", async () => {
  const net = ssd300({ classes: 2, width: 4, seed: 1n });
  const places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28];
  const layers = [...new Set(net.parameters.map(({ name }) => name.split('/')[0] as string))].filter((n) =>
    /^conv\d_/.test(n),
  );
  assert.is(layers.length, places.length);
  const tensors = asTorch(net, (name) => {
    const [layer, kind] = name.split('/') as [string, string];
    const index = layers.indexOf(layer);
    return index < 0 ? undefined : `features.${places[index]}.${kind}`;
  });
  const path = join(scratch, 'vgg16.safetensors');
  const before = (await valuesOf(net, 'fc6/weight')).slice();
  await writeArchive(path, { tensors, metadata: {} });
  initialiseSsd300(net, path);
  assert.is(
    Buffer.compare(Buffer.from(before.buffer), Buffer.from((await valuesOf(net, 'fc6/weight')).slice().buffer)),
    0,
  );
  const third = await valuesOf(net, 'conv3_3/bias');
  assert.equal([...third], [...(tensors.get('features.14.bias') as HostTensor).values]);

  tensors.set('classifier.0.weight', ramp([256, 32 * 49], 1)).set('classifier.0.bias', ramp([256], 2));
  await writeArchive(path, { tensors, metadata: {} });
  initialiseSsd300(net, path);
  const fc6 = await valuesOf(net, 'fc6/weight');
  const source = (tensors.get('classifier.0.weight') as HostTensor).values;
  for (const [row, column, input, output] of [
    [0, 0, 0, 0],
    [2, 1, 17, 63],
    [1, 2, 31, 9],
  ] as const) {
    const at = ((row * 3 + column) * 32 + input) * 64 + output;
    assert.is(fc6[at], source[4 * output * 32 * 49 + input * 49 + 3 * row * 7 + 3 * column]);
  }
  const bias = await valuesOf(net, 'fc6/bias');
  assert.is(bias[5], (tensors.get('classifier.0.bias') as HostTensor).values[20]);
  tensors.set('classifier.3.weight', ramp([10, 10], 1)).set('classifier.3.bias', ramp([10], 2));
  await writeArchive(path, { tensors, metadata: {} });
  assert.throws(() => initialiseSsd300(net, path), /classifier\.3\.weight must be of shape \[256, 256\]/);
  net.dispose();
});

test.run();
