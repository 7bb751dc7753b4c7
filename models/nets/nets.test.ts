import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../backend.ts';
import { loadImageSet } from '../data/catalogue.ts';
import type { ImageSet, ImageShape } from '../data/dataSet.ts';
import { memorySplit } from '../data/memoryImages.ts';
import { IMAGE_RECIPES } from '../recipes/catalogue.ts';
import { createOptimizer } from '../recipes/optimizers.ts';
import type { Batch } from '../tasks/classification/batches.ts';
import { trainingBatches } from '../tasks/classification/batches.ts';
import { silentProgress } from '../trainer/progress.ts';
import { resumeTraining, runTraining } from '../runs/runTraining.ts';
import type { TrainingRequest } from '../runs/runTraining.ts';
import type { HostTensor } from '../storage/safetensors.ts';
import { readArchive } from '../storage/safetensors.ts';
import { trainBatch } from '../tasks/classification/task.ts';
import { NetBuilder } from './builder.ts';
import { denseNet } from './densenet.ts';
import { classifier } from './layers.ts';
import type { Net } from './net.ts';
import { countParameters } from './net.ts';
import { resNetBackbone, smallResNet } from './resnet.ts';

const test = suite('models/nets');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-nets-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));
test.before(async () => {
  await useBackend('wasm');
});

const seed = 11n;

/** Images that differ by class: a bar whose place and colour the label decides, on noise. */
function drawnSet(name: string, shape: ImageShape, classes: number, count = 64): ImageSet {
  const [height, width, channels] = shape;
  const labels = Array.from({ length: count }, (_, i) => i % classes);
  const images = new Uint8Array(count * height * width * channels);
  for (let i = 0; i < images.length; i++) {
    const image = Math.floor(i / (height * width * channels));
    const row = Math.floor(i / (width * channels)) % height;
    const noise = Math.imul(i + 1, 2654435761) >>> 26;
    images[i] = noise + (row % classes === labels[image] && i % channels === image % channels ? 180 : 20);
  }
  return {
    name,
    shape,
    classes: Array.from({ length: classes }, (_, k) => String(k)),
    maximum: 255,
    mean: Array.from({ length: channels }, () => 0.25),
    std: Array.from({ length: channels }, () => 0.25),
    augmentation: 'none',
    augmentations: ['none'],
    train: memorySplit(shape, images, labels),
    test: memorySplit(shape, new Uint8Array(), []),
    source: 'drawn',
  };
}

const samples = process.env['LRD_DATA'] ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));

/** Real images of a data set where they lie; else drawn ones of its shape. */
async function imagesOf(name: string): Promise<ImageSet> {
  const unpack = (archive: string, ...members: string[]): string | undefined => {
    if (!existsSync(join(samples, name, archive))) return undefined;
    const folder = join(scratch, name);
    mkdirSync(folder, { recursive: true });
    spawnSync('tar', ['xf', join(samples, name, archive), '-C', folder, ...members]);
    return folder;
  };
  const members = ['train/n01443537', 'train/n01768244', 'val', 'wnids.txt'].map((part) => `tiny-imagenet-200/${part}`);
  const folders: Readonly<Record<string, () => string | undefined>> = {
    'tiny-imagenet': () => unpack('tiny-imagenet-200-50train-10val.tar.gz', ...members),
    imagenet: () => unpack('one-image-200-classes.tar'),
  };
  const shapes: Readonly<Record<string, readonly [ImageShape, number]>> = {
    mnist: [[28, 28, 1], 10],
    cifar10: [[32, 32, 3], 10],
    cifar100: [[32, 32, 3], 100],
    'tiny-imagenet': [[64, 64, 3], 200],
    imagenet: [[224, 224, 3], 200],
  };
  try {
    return await loadImageSet(name, folders[name] === undefined ? samples : (folders[name]() ?? scratch));
  } catch {
    return drawnSet(name, ...(shapes[name] as readonly [ImageShape, number]));
  }
}

/** Scalar parameters at the paper's width, and a width to train a step with. */
const NETS: Readonly<Record<string, { parameters: number; shape: ImageShape; classes: number; width: number }>> = {
  fcnet: { parameters: 1_796_010, shape: [28, 28, 1], classes: 10, width: 32 },
  // The repository that the authors' code builds on; its figures are those of PyTorch's modules.
  resnet18: { parameters: 11_173_962, shape: [32, 32, 3], classes: 10, width: 8 },
  resnet34: { parameters: 21_282_122, shape: [32, 32, 3], classes: 10, width: 8 },
  resnet101: { parameters: 42_512_970, shape: [32, 32, 3], classes: 10, width: 4 },
  resnet14: { parameters: 172_506, shape: [32, 32, 3], classes: 10, width: 16 },
  // He et al. 2016, table 6: .46 million.
  resnet32: { parameters: 464_154, shape: [32, 32, 3], classes: 10, width: 8 },
  densenet121: { parameters: 7_048_548, shape: [32, 32, 3], classes: 100, width: 4 },
  resnext50: { parameters: 23_389_704, shape: [64, 64, 3], classes: 200, width: 16 },
  // torchvision's resnet50.
  resnet50: { parameters: 25_557_032, shape: [224, 224, 3], classes: 1000, width: 8 },
};

function build(name: string, set: ImageSet, width: number | undefined, standardDropout = 1): Net {
  const recipe = IMAGE_RECIPES[name];
  assert.ok(recipe, name);
  return recipe.build(set, { seed, width, standardDropout });
}

for (const [name, { parameters, shape, classes }] of Object.entries(NETS)) {
  test(`${name} has ${parameters.toLocaleString('en')} parameters`, () => {
    const net = build(name, drawnSet('drawn', shape, classes, 1), undefined);
    assert.is(countParameters(net), parameters);
    const names = [...net.parameters, ...net.statistics].map((tensor) => tensor.name);
    assert.is(new Set(names).size, names.length);
    assert.ok(net.statistics.every(({ variable }) => !variable.trainable));
    net.dispose();
  });
}

async function batchOf(set: ImageSet, size: number): Promise<Batch> {
  const { value } = await trainingBatches(set, size, seed, 1).next();
  return value as Batch;
}

/** Three steps on one batch: the loss falls, every parameter moves and stays finite. */
async function trainThreeSteps(net: Net, set: ImageSet, batch: Batch): Promise<void> {
  const optimizer = createOptimizer('sgdm', { learningRate: 0.01, keepProbability: 1, seed });
  const before = await Promise.all(net.parameters.map(async ({ variable }) => (await variable.data()).slice()));
  const losses: number[] = [];
  for (let step = 1; step <= 3; step++) {
    losses.push((await trainBatch({ net, set, optimizer }, batch, step)).loss / batch.count);
  }
  assert.ok((losses[2] as number) < (losses[0] as number), `losses ${losses.join(', ')}`);
  for (const [k, { name, variable }] of net.parameters.entries()) {
    const after = await variable.data();
    const moved = (before[k] as Float32Array).some((value, i) => value !== after[i]);
    assert.ok(moved && after.every(Number.isFinite), `${name} must move and stay finite`);
  }
  const tested = tf.tidy(() =>
    net.forward(tf.tensor(batch.inputs, [batch.count, ...set.shape]), { training: false, step: 0 }),
  );
  assert.ok((await tested.data()).every(Number.isFinite), 'finite in evaluation mode');
  tested.dispose();
  optimizer.dispose();
}

for (const [name, { width }] of Object.entries(NETS)) {
  test(`${name} learns a batch of its data set, scaled down, on wasm`, async () => {
    const before = tf.memory().numTensors;
    const set = await imagesOf(IMAGE_RECIPES[name]?.defaults.data ?? '');
    const net = build(name, set, width);
    await trainThreeSteps(net, set, await batchOf(set, name === 'resnet50' ? 3 : 8));
    net.dispose();
    assert.is(tf.memory().numTensors, before);
  });
}

test('widths and images that a network cannot have are named', () => {
  const set = drawnSet('drawn', [32, 32, 3], 10, 1);
  assert.throws(() => build('resnext50', set, 20), /--width must be a multiple of 16 for resnext50.*, got 20/);
  const grey = drawnSet('digits', [8, 8, 1], 10, 1);
  assert.throws(
    () => build('resnet34', grey, 8),
    /--data must be RGB images of at least 8 x 8 pixels for resnet34, got digits of 8 x 8 x 1/,
  );
  assert.throws(() => build('resnet50', drawnSet('cifar', [16, 16, 3], 10, 1), 8), /at least 32 x 32 pixels/);
  const builder = new NetBuilder('x', { seed });
  const layout = { block: 'basic', blocks: [1, 1, 1, 1], stem: 'imagenet', width: 2 } as const;
  assert.throws(
    () => resNetBackbone(builder, { ...layout, outputStride: 6 }),
    /outputStride must be 4 times 1, 2, 4 or 8.*, got 6/,
  );
  [...builder.parameters, ...builder.statistics].forEach(({ variable }) => variable.dispose());
});

test('200 steps leave neither tensors nor bytes behind', async () => {
  const set = drawnSet('drawn', [8, 8, 3], 4, 8);
  const batch = await batchOf(set, 4);
  const net = smallResNet('resnet8', { n: 1, classes: 4, width: 8, seed, standardDropout: 0.9 });
  const optimizer = createOptimizer('adam', { keepProbability: 0.5, seed });
  let after: tf.MemoryInfo | undefined;
  for (let step = 1; step <= 205; step++) {
    await trainBatch({ net, set, optimizer }, batch, step);
    if (step === 5) after = tf.memory();
  }
  const { numTensors, numBytes, numDataBuffers } = tf.memory();
  assert.equal([numTensors, numBytes, numDataBuffers], [after?.numTensors, after?.numBytes, after?.numDataBuffers]);
  optimizer.dispose();
  net.dispose();
});

const cifar10 = join(samples, 'cifar10', 'exact-1017-per-batch.tar.gz');
test.when(existsSync(cifar10), `no ${cifar10}`)(
  'a run with batch normalisation and standard dropout goes on to the bits of one that was not stopped',
  async () => {
    const request: TrainingRequest = {
      recipe: 'resnet14',
      dataDir: samples,
      width: 4,
      limit: 100,
      batchSize: 50,
      keepProbability: 0.5,
      regularizers: { standardDropout: 0.9 },
      seed,
      backend: 'wasm',
    };
    const quiet = { progress: silentProgress };
    const [whole, stopped] = [join(scratch, 'whole'), join(scratch, 'stopped')];
    await runTraining({ ...request, epochs: 2, out: whole }, quiet);
    await runTraining({ ...request, epochs: 1, out: stopped }, quiet);
    await resumeTraining({ folder: stopped, epochs: 2, dataDir: undefined, backend: undefined }, quiet);
    const [expected, got] = [whole, stopped].map(
      (folder) => readArchive(join(folder, 'checkpoint', 'latest.safetensors')).tensors,
    ) as [ReadonlyMap<string, HostTensor>, ReadonlyMap<string, HostTensor>];
    assert.equal([...got.keys()], [...expected.keys()]);
    const statistics = [...expected.keys()].filter((name) => name.startsWith('statistic/'));
    assert.is(statistics.length, 26);
    // The optimizer's record holds the variables' names, which tfjs makes unique in a process: these runs share one.
    for (const [name, { values }] of [...expected].filter(([key]) => key !== 'optimizer/lrd/record')) {
      const other = (got.get(name) as HostTensor).values;
      assert.is(Buffer.compare(Buffer.from(values.buffer), Buffer.from(other.buffer)), 0, name);
    }
  },
  { timeout: 120 },
);

test('standard dropout is a function of seed and step, and none of evaluation', async () => {
  const set = drawnSet('drawn', [16, 16, 3], 4, 4);
  const { inputs } = await batchOf(set, 4);
  const values = async (net: Net, training: boolean, step: number): Promise<string> => {
    const y = tf.tidy(() => net.forward(tf.tensor(inputs, [4, 16, 16, 3]), { training, step }));
    const text = (await y.data()).join();
    y.dispose();
    return text;
  };
  for (const name of ['resnet18', 'resnext50', 'resnet14', 'densenet121'] as const) {
    const width = name === 'resnext50' ? 16 : 4;
    const large = name === 'resnext50' ? drawnSet('drawn', [32, 32, 3], 4, 1) : set;
    const [plain, dropping] = [build(name, large, width), build(name, large, width, 0.9)];
    // Ahead of any training pass, which moves the running statistics.
    assert.is(await values(plain, false, 0), await values(dropping, false, 0));
    const first = await values(dropping, true, 1);
    assert.is(await values(dropping, true, 1), first);
    assert.is.not(await values(dropping, true, 2), first);
    assert.is.not(await values(plain, true, 1), first);
    plain.dispose();
    dropping.dispose();
  }
});

/** The operations of all networks in two small ones: grouped, strided and pooled; dense and concatenated. */
const SMALL: Readonly<Record<string, () => Net>> = {
  'a small ResNeXt': () => {
    const builder = new NetBuilder('resnext', { seed });
    const layout = { block: 'bottleneck', blocks: [1, 1, 1, 1], stem: 'imagenet', width: 4, groups: 4, groupWidth: 2 } as const; // prettier-ignore
    const backbone = resNetBackbone(builder, layout);
    const classify = classifier(builder, 'fc', backbone.channels[3], 4);
    return builder.net((x, pass) => classify(backbone.forward(x as tf.Tensor4D, pass)[3]));
  },
  'a small DenseNet': () => denseNet('densenet', { classes: 4, growth: 4, blocks: [2, 2], seed }),
  'a small ResNet with option A': () => smallResNet('resnet8', { n: 1, classes: 4, width: 4, seed }),
};

for (const [name, make] of Object.entries(SMALL)) {
  test(
    `${name} trains on WebGPU as on wasm`,
    async () => {
      const side = name === 'a small ResNeXt' ? 32 : 8;
      const set = drawnSet('drawn', [side, side, 3], 4, 4);
      const batch = await batchOf(set, 4);
      const outcomes: number[][] = [];
      for (const backend of ['wasm', 'webgpu']) {
        await useBackend(backend);
        const net = make();
        const optimizer = createOptimizer('sgdm', { learningRate: 0.01, keepProbability: 1, seed });
        const { loss } = await trainBatch({ net, set, optimizer }, batch, 1);
        const moved = await Promise.all([...net.parameters, ...net.statistics].map(({ variable }) => variable.data()));
        outcomes.push([loss, ...moved.map((values) => Math.hypot(...values))]);
        optimizer.dispose();
        net.dispose();
      }
      await useBackend('wasm');
      const [expected, got] = outcomes as [number[], number[]];
      expected.forEach((value, i) => {
        const error = Math.abs((got[i] as number) - value);
        assert.ok(error <= 2e-3 * (Math.abs(value) + 1e-2), `figure ${i}: ${got[i]} instead of ${value}`);
      });
    },
    // A software adapter on a busy machine.
    { timeout: 240 },
  );
}

test.run();
