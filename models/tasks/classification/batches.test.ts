import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../../conformance/harness/fromSource.ts';
import { suite } from '../../../conformance/harness/suite.ts';
import { permutation } from 'learning-rate-dropout/stream';
import { loadImageSet } from '../../data/catalogue.ts';
import type { ImageSet, Images } from '../../data/dataSet.ts';
import { limitSet } from '../../data/dataSet.ts';
import { memorySplit } from '../../data/memoryImages.ts';
import { WHOLE, rowsOf } from '../part.ts';
import type { Batch } from './batches.ts';
import { testBatches, trainingBatches } from './batches.ts';
import { timed } from '../readAhead.ts';

const test = suite('models/tasks/classification/batches');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-batches-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** Thirty images of 4 x 4 x 3 whose bytes tell which they are. */
function small(changes: Partial<ImageSet> = {}): ImageSet {
  const bytes = Uint8Array.from({ length: 30 * 48 }, (_, i) => Math.imul(i, 2654435761) >>> 24);
  const labels = Array.from({ length: 30 }, (_, i) => i);
  return {
    name: 'small',
    shape: [4, 4, 3],
    classes: labels.map(String),
    maximum: 255,
    mean: [0.5, 0.25, 0.125],
    std: [0.5, 0.25, 2],
    augmentation: 'crop-flip',
    augmentations: ['none', 'crop-flip'],
    train: memorySplit([4, 4, 3], bytes, labels),
    test: memorySplit([4, 4, 3], bytes.subarray(0, 7 * 48), labels.slice(0, 7)),
    source: '',
    ...changes,
  };
}

async function collect(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const all: Batch[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

const fingerprint = (batches: readonly Batch[]): string => {
  const hash = createHash('sha256');
  for (const { count, inputs, labels } of batches) hash.update(`${count}`).update(inputs).update(labels);
  return hash.digest('hex');
};

test('inputs are (byte / maximum - mean) / std, channel by channel, rounded once; tests are not augmented', async () => {
  const set = small();
  const batches = await collect(testBatches(set, set.test, 5));
  assert.equal(
    batches.map(({ count }) => count),
    [5, 2],
  );
  const plain = new Uint8Array(48);
  for (let i = 0; i < 7; i++) {
    await set.test.images.read(i, 'plain', plain);
    const { inputs, labels } = batches[Math.floor(i / 5)] as Batch;
    assert.is(labels[i % 5], i);
    for (let k = 0; k < 48; k++) {
      const c = k % 3;
      const expected = Math.fround(((plain[k] as number) / 255 - (set.mean[c] as number)) / (set.std[c] as number));
      assert.is(inputs[(i % 5) * 48 + k], expected);
    }
  }
});

test('batches are a function of seed, epoch and position: begun in the middle, they are the same', async () => {
  const set = small();
  const whole = await collect(trainingBatches(set, 8, 5n, 3));
  assert.equal(
    whole.map(({ count }) => count),
    [8, 8, 8, 6],
  );
  for (const first of [0, 1, 3, 4]) {
    assert.is(fingerprint(await collect(trainingBatches(set, 8, 5n, 3, first))), fingerprint(whole.slice(first)));
  }
  const order = permutation({ seed: 5n, stream: 'shuffling', step: 3 }, 30);
  assert.equal(
    whole.flatMap(({ labels }) => [...labels]),
    [...order],
  );
  assert.not.equal(fingerprint(whole), fingerprint(await collect(trainingBatches(set, 8, 5n, 4))));
  assert.not.equal(fingerprint(whole), fingerprint(await collect(trainingBatches(set, 8, 6n, 3))));
});

test('an image is augmented alike in whatever batch it comes, and otherwise in another epoch', async () => {
  const images = async (batchSize: number, epoch: number): Promise<[number, string][]> =>
    (await collect(trainingBatches(small(), batchSize, 5n, epoch)))
      .flatMap(({ inputs, labels }) =>
        [...labels].map((label, row): [number, string] => [label, inputs.subarray(row * 48, (row + 1) * 48).join()]),
      )
      .sort(([a], [b]) => a - b);
  assert.equal(await images(8, 3), await images(5, 3));
  const [first, second] = [await images(8, 3), await images(8, 4)];
  const same = first.filter(([, pixels], k) => pixels === (second[k] as [number, string])[1]).length;
  // One in 162 is drawn alike, and of images of 4 x 4 pixels two in five are cropped to nothing but black.
  assert.ok(same < 15, `${same} of 30`);
});

/** Images that come when they are let: what is asked for is on record. */
function gated(): { images: Images; asked: number[]; settle: (index: number, error?: Error) => void } {
  const waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  const asked: number[] = [];
  return {
    asked,
    settle: (index, error) => {
      const entry = waiting.get(index);
      if (error === undefined) entry?.resolve();
      else entry?.reject(error);
    },
    images: {
      streamed: true,
      read: (index) => {
        asked.push(index);
        return new Promise((resolve, reject) => waiting.set(index, { resolve, reject }));
      },
    },
  };
}

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

test('two batches are read ahead of the one in use and no more; stopping waits for what is under way', async () => {
  const { images, asked, settle } = gated();
  const set = small({ augmentation: 'none' });
  const streamed = { ...set, test: { ...set.test, count: 7, images } };
  const batches = testBatches(streamed, streamed.test, 1);
  const first = batches.next();
  await tick();
  assert.equal(asked, [0, 1, 2]);
  settle(1);
  settle(0);
  assert.equal([...((await first).value as Batch).labels], [0]);
  await tick();
  assert.equal(asked, [0, 1, 2], 'nothing is begun until the next is asked for');
  assert.equal([...((await batches.next()).value as Batch).labels], [1]);
  assert.equal(asked, [0, 1, 2, 3]);
  let stopped = false;
  const stopping = batches.return().then(() => (stopped = true));
  await tick();
  assert.is(stopped, false);
  settle(2);
  settle(3);
  await stopping;
  assert.equal(asked, [0, 1, 2, 3]);
});

test('an image that cannot be read is told when its batch comes, not before', async () => {
  const { images, settle } = gated();
  const set = small({ augmentation: 'none' });
  const batches = testBatches(set, { ...set.test, count: 7, images }, 1);
  const first = batches.next();
  await tick();
  settle(1, new Error('the second is broken'));
  await tick();
  settle(0);
  assert.is((await first).done, false);
  let message = '';
  const second = batches.next();
  await tick();
  settle(2);
  settle(3);
  try {
    await second;
  } catch (error) {
    ({ message } = error as Error);
  }
  assert.is(message, 'the second is broken');
});

test('the time that a batch is waited for is told, not that in which it is used', async () => {
  const slow: Images = { streamed: false, read: () => new Promise((resolve) => setTimeout(resolve, 30)) };
  const set = small({ augmentation: 'none' });
  const waits: number[] = [];
  const sum = (seconds: readonly number[]): number => seconds.reduce((total, value) => total + value, 0);
  const uses: number[] = [];
  const start = performance.now();
  for await (const _ of timed(testBatches(set, { ...set.test, images: slow }, 4), (s) => waits.push(s))) {
    const from = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 60));
    uses.push((performance.now() - from) / 1000);
  }
  const elapsed = (performance.now() - start) / 1000;
  // Two batches, and the end.
  assert.is(waits.length, 3);
  assert.ok(
    Math.min(...waits.slice(0, 2)) > 0.025 && sum(waits) + sum(uses) < elapsed,
    `${waits.join()} ${uses.join()} ${elapsed}`,
  );
});

/** Two hundred JPEGs in Tiny ImageNet's layout. */
const root = join(scratch, 'tiny-imagenet-200');
test.before(async () => {
  const wnids = ['n01443537', 'n01629819'];
  for (const [k, wnid] of wnids.entries()) {
    mkdirSync(join(root, 'train', wnid, 'images'), { recursive: true });
    for (let i = 0; i < 100; i++) {
      const raw = Uint8Array.from({ length: 12288 }, (_, n) => Math.sin(n / (20 + i)) * 100 + 128 + k);
      await sharp(raw, { raw: { width: 64, height: 64, channels: 3 } })
        .jpeg()
        .toFile(join(root, 'train', wnid, 'images', `${wnid}_${i}.JPEG`));
    }
  }
  mkdirSync(join(root, 'val', 'images'), { recursive: true });
  const first = join(root, 'train', 'n01443537', 'images', 'n01443537_0.JPEG');
  await sharp(first).toFile(join(root, 'val', 'images', 'val_0.JPEG'));
  writeFileSync(join(root, 'val', 'val_annotations.txt'), 'val_0.JPEG\tn01443537\t0\t0\t1\t1\n');
  writeFileSync(join(root, 'wnids.txt'), `${wnids.join('\n')}\n`);
});

test('however many threads decode, streamed batches are the same bytes, from the beginning or the middle', async () => {
  const set = await loadImageSet('tiny-imagenet', root);
  const here = await collect(trainingBatches(set, 32, 77n, 2));
  assert.is(fingerprint(await collect(trainingBatches(set, 32, 77n, 2, 4))), fingerprint(here.slice(4)));
  const module = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    const { loadImageSet } = await import(${module('../../data/catalogue.ts')});
    const { trainingBatches } = await import(${module('./batches.ts')});
    const { createHash } = await import('node:crypto');
    const hash = createHash('sha256');
    for await (const { count, inputs, labels } of trainingBatches(await loadImageSet('tiny-imagenet', process.argv[1]), 32, 77n, 2)) {
      hash.update(String(count)).update(inputs).update(labels);
    }
    console.log(hash.digest('hex'));`;
  for (const threads of ['1', '3', '8']) {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [...FROM_SOURCE, '--input-type=module', '-e', program, root],
      { env: { ...process.env, UV_THREADPOOL_SIZE: threads }, encoding: 'utf8' },
    );
    assert.is(stdout.trim(), fingerprint(here), `${threads} threads\n${stderr}`);
  }
});

test('images are decoded while the training thread does nothing but block', async () => {
  const set = await loadImageSet('tiny-imagenet', root);
  const batches = trainingBatches(set, 64, 1n, 1);
  await batches.next();
  await tick();
  // What the process computes while this thread sleeps, others do; 128 images take a tenth of a second at least.
  const still = new Int32Array(new SharedArrayBuffer(4));
  const before = process.cpuUsage();
  let milliseconds = 0;
  for (let i = 0; i < 40 && milliseconds < 50; i++) {
    Atomics.wait(still, 0, 0, 250);
    const { user, system } = process.cpuUsage(before);
    milliseconds = (user + system) / 1000;
  }
  await batches.return();
  assert.ok(milliseconds >= 50, `${milliseconds.toFixed(0)} ms`);
});

const samples = process.env['LRD_DATA'] ?? fileURLToPath(new URL('../../../../shared/data', import.meta.url));
const tiny = join(samples, 'tiny-imagenet', 'tiny-imagenet-200-50train-10val.tar.gz');
test.when(existsSync(tiny), `no ${tiny}`)(
  'streaming Tiny ImageNet keeps a few batches in memory, not the set',
  async () => {
    const folder = join(scratch, 'real');
    mkdirSync(folder);
    assert.is(spawnSync('tar', ['xzf', tiny, '-C', folder]).status, 0);
    const whole = await loadImageSet('tiny-imagenet', folder);
    assert.equal([whole.train.count, whole.test.count, whole.classes.length], [10_000, 2000, 200]);
    // 2,000 images are 25 MB of bytes and 98 MB of inputs; a batch of 20 is 1.2 MB of both.
    const set = limitSet(whole, 2000, 0);
    assert.is(new Set(set.train.labels).size, 200, 'the first images are of all classes');
    const rss = (): number => process.memoryUsage().rss / 1e6;
    // The libraries and their threads take what they take.
    await collect(trainingBatches(limitSet(whole, 100, 0), 20, 1n, 1));
    const before = rss();
    let [seen, most] = [0, 0];
    for await (const batch of trainingBatches(set, 20, 1n, 1)) {
      seen += batch.count;
      most = Math.max(most, rss());
    }
    assert.is(seen, 2000);
    assert.ok(most - before < 60, `${before.toFixed(0)} MB grew to ${most.toFixed(0)} MB`);
  },
  { timeout: 120 },
);

test('[LRD-DIST-009] the shares of a batch follow one another, are even to a row, and are the whole batch', () => {
  for (let all = 0; all <= 40; all++) {
    for (let size = 1; size <= 9; size++) {
      const shares = Array.from({ length: size }, (_, rank) => rowsOf({ rank, size }, all));
      let next = 0;
      for (const { first, count, all: whole } of shares) {
        assert.equal([first, whole], [next, all]);
        assert.ok(
          count === Math.floor(all / size) || count === Math.ceil(all / size),
          `${count} of ${all} over ${size}`,
        );
        next += count;
      }
      assert.is(next, all);
    }
  }
});

test('[LRD-DIST-009] [LRD-DIST-010] the rows of all processes are the batches of one, augmented alike', async () => {
  const set = small();
  const read = async (rank: number, size: number): Promise<Batch[]> => {
    const made: Batch[] = [];
    for await (const batch of trainingBatches(set, 7, 5n, 2, 1, { ...WHOLE, rank, size })) made.push(batch);
    return made;
  };
  const whole = await read(0, 1);
  assert.equal(
    whole.map(({ count }) => count),
    [7, 7, 7, 2],
  );
  for (const size of [2, 3, 8]) {
    const parts = await Promise.all(Array.from({ length: size }, (_, rank) => read(rank, size)));
    for (const [index, { count, labels, inputs }] of whole.entries()) {
      const own = parts.map((batches) => batches[index] as Batch);
      for (const { rows } of own) assert.is(rows.all, count);
      assert.equal(
        own.flatMap((batch) => [...batch.labels]),
        [...labels],
      );
      assert.equal(
        own.flatMap((batch) => [...batch.inputs]),
        [...inputs],
      );
    }
  }
});

test.run();
