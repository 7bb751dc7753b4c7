import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { dataFolders, loadImageSet } from './catalogue.ts';
import { limitSet } from './dataSet.ts';
import { loadDigits } from './digits.ts';
import { readIdx } from './idx.ts';

const test = suite('models/data');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-data-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** An idx file of unsigned bytes. */
function idx(extents: readonly number[], data: Uint8Array, magic = 0x0800 + extents.length): Buffer {
  const header = Buffer.alloc(4 + 4 * extents.length);
  header.writeUInt32BE(magic, 0);
  extents.forEach((extent, axis) => header.writeUInt32BE(extent, 4 + 4 * axis));
  return Buffer.concat([header, data]);
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as Error).message;
  }
  return 'no error';
}

test('the embedded digits are 1,797 images of 0..16, split 1,437 to 360', async () => {
  const set = await loadDigits();
  assert.equal([set.train.count, set.test.count], [1437, 360]);
  const pixels = new Uint8Array(1437 * 64);
  for (let i = 0; i < 1437; i++) await set.train.images.read(i, 'plain', pixels.subarray(i * 64, (i + 1) * 64));
  assert.is(Math.max(...pixels), 16);
  // The first image, as scikit-learn shows it, is a zero.
  assert.is(set.train.labels[0], 0);
  assert.equal([...pixels.subarray(0, 8)], [0, 0, 5, 13, 9, 1, 0, 0]);
  // Counts of each digit in the whole set, from scikit-learn's description.
  const counts = new Array<number>(10).fill(0);
  for (const label of [...set.train.labels, ...set.test.labels]) counts[label] = (counts[label] as number) + 1;
  assert.equal(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
});

test('a limit takes the first images', async () => {
  const set = limitSet(await loadDigits(), 10, 5);
  assert.equal([set.train.count, set.train.labels.length, set.test.count], [10, 10, 5]);
});

test('an idx file is read plain or gzipped', async () => {
  const data = Uint8Array.from({ length: 24 }, (_, i) => i);
  const [plain, packed] = [join(scratch, 'a-ubyte'), join(scratch, 'a-ubyte.gz')];
  writeFileSync(plain, idx([2, 3, 4], data));
  writeFileSync(packed, gzipSync(idx([2, 3, 4], data)));
  for (const path of [plain, packed]) {
    assert.equal([...(await readIdx(path, { count: 2, extents: [3, 4] }))], [...data]);
  }
});

test('whatever is wrong with an idx file is said with its name and the size that was expected', async () => {
  const data = new Uint8Array(24);
  const whole = gzipSync(idx([2, 3, 4], data));
  const cases: readonly (readonly [string, Buffer, RegExp])[] = [
    ['magic.gz', gzipSync(idx([2, 3, 4], data, 0x0d03)), /magic number 0x00000d03 instead of 0x00000803/],
    ['count.gz', gzipSync(idx([3, 3, 4], data)), /its header says 3 x 3 x 4/],
    ['short.gz', gzipSync(idx([2, 3, 4], data.subarray(1))), /39 bytes; expected 40/],
    ['tiny.gz', gzipSync(Buffer.from([0, 0])), /2 bytes; expected 40/],
    ['cut.gz', whole.subarray(0, whole.length - 9), /the gzip stream is broken/],
    ['text.gz', Buffer.from('hello'), /not a gzip file/],
  ];
  for (const [name, bytes, pattern] of cases) {
    const path = join(scratch, name);
    writeFileSync(path, bytes);
    const message = await messageOf(readIdx(path, { count: 2, extents: [3, 4] }));
    assert.match(message, pattern);
    assert.match(message, /expected 40 bytes of 2 x 3 x 4/);
    assert.ok(message.startsWith(path));
  }
  assert.match(
    await messageOf(readIdx(join(scratch, 'none'), { count: 1, extents: [] })),
    /no such file or folder; expected 9 bytes/,
  );
});

test('MNIST is found in a folder or its subfolder, and a label out of range is named', async () => {
  const folder = join(scratch, 'mnist');
  mkdirSync(folder);
  const write = (stem: string, bytes: Buffer): void => writeFileSync(join(folder, stem), bytes);
  const labels = new Uint8Array(60000).fill(7);
  write('train-images-idx3-ubyte', idx([60000, 28, 28], new Uint8Array(60000 * 784).fill(1)));
  write('train-labels-idx1-ubyte', idx([60000], labels));
  write('t10k-images-idx3-ubyte.gz', gzipSync(idx([10000, 28, 28], new Uint8Array(10000 * 784)), { level: 1 }));
  write('t10k-labels-idx1-ubyte', idx([10000], new Uint8Array(10000)));
  for (const place of [folder, scratch]) {
    const set = await loadImageSet('mnist', place);
    assert.equal([set.train.count, set.test.count, set.train.labels[5], set.maximum], [60000, 10000, 7, 255]);
  }
  labels[123] = 10;
  write('train-labels-idx1-ubyte', idx([60000], labels));
  assert.match(await messageOf(loadImageSet('mnist', folder)), /label 10 at 123; 0 to 9 expected/);
  assert.match(await messageOf(loadImageSet('fashion-mnist', scratch + '/nowhere')), /no train-images-idx3-ubyte/);
});

test('an unknown data set is answered with those that there are', () => {
  assert.throws(
    () => loadImageSet('minst', undefined),
    /--data must be one of digits, mnist, fashion-mnist, cifar10, cifar100, tiny-imagenet, imagenet, voc, genesis, kjv; got "minst"/,
  );
});

test('data is looked for in --data-dir alone, else in LRD_DATA, the cache and the system', () => {
  const before = process.env['LRD_DATA'];
  process.env['LRD_DATA'] = '/somewhere';
  assert.equal(dataFolders('/here'), ['/here']);
  assert.is(dataFolders(undefined)[0], '/somewhere');
  assert.is(dataFolders(undefined).at(-1), '/usr/share/datasets');
  if (before === undefined) delete process.env['LRD_DATA'];
  else process.env['LRD_DATA'] = before;
});

test.run();
