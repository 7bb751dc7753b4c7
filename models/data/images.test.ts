import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { Draws } from '../raster/draws.ts';
import type { Augmentation, View } from './augmentation.ts';
import { drawResizedCrop } from './augmentation.ts';
import { loadImageSet } from './catalogue.ts';
import { deal } from './classFolders.ts';
import type { Split } from './dataSet.ts';
import { decodeCentre, decodeWhole, decodeWindow } from './decode.ts';
import { tar } from './testing/archives.ts';
import { CIFAR100_CLASSES, CIFAR10_CLASSES } from './cifarClasses.ts';

const test = suite('models/data/images');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-images-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const samples = process.env['LRD_DATA'] ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));

async function messageOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert.is((error as Error).name, 'JobError', (error as Error).stack);
    assert.not.match((error as Error).message, /\n/);
    return (error as Error).message;
  }
  return 'no error';
}

let folders = 0;
function place(): string {
  const folder = join(scratch, String(folders++));
  mkdirSync(folder);
  return folder;
}

async function readAll(split: Split, size: number, view: (index: number) => View = () => 'plain'): Promise<Buffer> {
  const bytes = Buffer.alloc(split.count * size);
  for (let i = 0; i < split.count; i++) await split.images.read(i, view(i), bytes.subarray(i * size, (i + 1) * size));
  return bytes;
}

/** Records of CIFAR's binary version: value of record r, channel c, row y, column x is r + 10 c + y + 3 x, modulo 256. */
function records(count: number, labels: readonly number[][]): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, r) => {
      const planes = Uint8Array.from({ length: 3072 }, (_unused, i) => {
        const [c, y, x] = [Math.floor(i / 1024), Math.floor(i / 32) % 32, i % 32];
        return r + 10 * c + y + 3 * x;
      });
      return Buffer.concat([Buffer.from(labels[r % labels.length] as number[]), planes]);
    }),
  );
}

test('CIFAR-10 is read from its six files or the published archive: planes become pixels, labels stay', async () => {
  const stems = ['data_batch_1', 'data_batch_2', 'data_batch_3', 'data_batch_4', 'data_batch_5', 'test_batch'];
  const files = stems.map((stem, k) => ({
    name: `cifar-10-batches-bin/${stem}.bin`,
    body: records(k + 1, [[k], [9 - k]]),
  }));
  const [unpacked, packed] = [place(), place()];
  mkdirSync(join(unpacked, 'cifar-10-batches-bin'));
  for (const { name, body } of files) writeFileSync(join(unpacked, name), body);
  writeFileSync(join(packed, 'cifar-10-binary.tar.gz'), gzipSync(tar(files)));
  for (const folder of [unpacked, packed]) {
    const set = await loadImageSet('cifar10', folder);
    assert.equal([set.train.count, set.test.count, set.classes.length, ...set.shape], [15, 6, 10, 32, 32, 3]);
    assert.equal([...set.train.labels], [0, 1, 8, 2, 7, 2, 3, 6, 3, 6, 4, 5, 4, 5, 4]);
    const bytes = await readAll(set.test, 3072);
    for (const [r, c, y, x] of [
      [0, 0, 0, 0],
      [5, 2, 31, 30],
      [3, 1, 7, 2],
    ] as const) {
      assert.is(bytes[((r * 32 + y) * 32 + x) * 3 + c], r + 10 * c + y + 3 * x);
    }
    assert.match(set.remark ?? '', /15 of 50,000 training images and 6 of 10,000 test images/);
    assert.is(set.augmentation, 'crop-flip');
  }
  const first = join(unpacked, 'cifar-10-batches-bin', 'data_batch_1.bin');
  truncateSync(first, 3000);
  assert.match(
    await messageOf(loadImageSet('cifar10', unpacked)),
    /data_batch_1\.bin: 3000 bytes; expected 10,000 records of 3073 bytes/,
  );
  writeFileSync(first, records(1, [[10]]));
  assert.match(await messageOf(loadImageSet('cifar10', unpacked)), /label 10 at record 0; 0 to 9 expected/);
  rmSync(join(unpacked, 'cifar-10-batches-bin', 'test_batch.bin'));
  writeFileSync(first, records(1, [[1]]));
  assert.match(await messageOf(loadImageSet('cifar10', unpacked)), /test_batch\.bin: no such file/);
  truncateSync(join(packed, 'cifar-10-binary.tar.gz'), 200);
  assert.match(await messageOf(loadImageSet('cifar10', packed)), /cifar-10-binary\.tar\.gz: the archive is broken/);
});

test('CIFAR-100 takes the second label of each record, the fine one', async () => {
  const folder = place();
  writeFileSync(
    join(folder, 'train.bin'),
    records(2, [
      [3, 99],
      [4, 7],
    ]),
  );
  writeFileSync(join(folder, 'test.bin'), records(1, [[19, 20]]));
  const set = await loadImageSet('cifar100', folder);
  assert.equal([[...set.train.labels], [...set.test.labels], set.classes.length], [[99, 7], [20], 100]);
  assert.is((await readAll(set.test, 3072))[3 + 1], 13);
});

const realCifar = existsSync(join(samples, 'cifar10'));
test.when(realCifar, `no ${samples}/cifar10`)(
  'the published CIFAR is read: 1,017 records a batch of CIFAR-10, 486 and 916 of CIFAR-100',
  async () => {
    const ten = await loadImageSet('cifar10', samples);
    assert.equal([ten.train.count, ten.test.count], [5 * 1017, 1017]);
    // The first labels of data_batch_1 and test_batch: frog, truck, truck, deer; cat, ship, ship, airplane.
    assert.equal(
      [...ten.train.labels.subarray(0, 4)].map((k) => CIFAR10_CLASSES[k]),
      ['frog', 'truck', 'truck', 'deer'],
    );
    assert.equal(
      [...ten.test.labels.subarray(0, 4)].map((k) => CIFAR10_CLASSES[k]),
      ['cat', 'ship', 'ship', 'airplane'],
    );
    const bytes = await readAll(ten.train, 3072);
    // Its first pixel, as everyone who opened the set has seen it.
    assert.equal([...bytes.subarray(0, 3)], [59, 62, 63]);
    for (let c = 0; c < 3; c++) {
      let sum = 0;
      for (let i = c; i < bytes.length; i += 3) sum += bytes[i] as number;
      // A tenth of the set has its mean within a hundredth.
      assert.ok(Math.abs(sum / (bytes.length / 3) / 255 - (ten.mean[c] as number)) < 0.01, `channel ${c}`);
    }
    const hundred = await loadImageSet('cifar100', samples);
    assert.equal([hundred.train.count, hundred.test.count], [486, 916]);
    assert.equal(
      [...hundred.train.labels.subarray(0, 3)].map((k) => CIFAR100_CLASSES[k]),
      ['cattle', 'dinosaur', 'apple'],
    );
  },
);

/** A JPEG whose red rises with x and green with y. */
async function jpeg(path: string, width: number, height: number): Promise<void> {
  const raw = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) raw.set([(255 * x) / width, (255 * y) / height, 128], (y * width + x) * 3);
  }
  await sharp(raw, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
    .toFile(path);
}

const mean = (bytes: Uint8Array, c: number): number => {
  let sum = 0;
  for (let i = c; i < bytes.length; i += 3) sum += bytes[i] as number;
  return sum / (bytes.length / 3);
};

test('grey, CMYK, transparent and profiled images become RGB; broken ones are one line with the file', async () => {
  const folder = place();
  const flat = (channels: 1 | 3 | 4, value: number): ReturnType<typeof sharp> =>
    sharp(Buffer.alloc(64 * 64 * channels, value), { raw: { width: 64, height: 64, channels } });
  const paths = {
    grey: join(folder, 'grey.jpg'),
    cmyk: join(folder, 'cmyk.jpg'),
    clear: join(folder, 'clear.png'),
    turned: join(folder, 'turned.jpg'),
  };
  await flat(1, 77).toColourspace('b-w').jpeg().toFile(paths.grey);
  assert.is((await sharp(paths.grey).metadata()).channels, 1);
  await flat(3, 0).toColourspace('cmyk').jpeg().toFile(paths.cmyk);
  assert.is((await sharp(paths.cmyk).metadata()).space, 'cmyk');
  await flat(4, 200).png().toFile(paths.clear);
  await jpeg(join(folder, 'plain.jpg'), 64, 64);
  await sharp(join(folder, 'plain.jpg')).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toFile(paths.turned);
  const out = new Uint8Array(64 * 64 * 3);
  await decodeWhole(paths.grey, [64, 64], out);
  assert.ok(out.every((value) => value === 77));
  await decodeWhole(paths.cmyk, [64, 64], out);
  assert.ok(
    out.every((value) => value < 60),
    'black ink is dark',
  );
  await decodeWhole(paths.clear, [64, 64], out);
  assert.ok(
    out.every((value) => value === 200),
    'transparency is dropped, not blended',
  );
  await decodeWhole(paths.turned, [64, 64], out);
  assert.ok((out[63 * 3] as number) > 240 && (out[63 * 64 * 3] as number) < 15, 'an orientation is not applied');
  const cut = join(folder, 'cut.jpg');
  await jpeg(cut, 64, 64);
  truncateSync(cut, 700);
  const text = join(folder, 'text.jpg');
  writeFileSync(text, 'this is no image');
  writeFileSync(join(folder, 'empty.jpg'), '');
  for (const name of ['cut', 'text', 'empty', 'missing']) {
    const path = join(folder, `${name}.jpg`);
    const message = await messageOf(decodeWhole(path, [64, 64], out));
    const said =
      { cut: 'cannot be decoded (', missing: 'no such file' }[name] ?? 'is no JPEG, PNG, WebP, TIFF or GIF file';
    assert.ok(message.startsWith(`${path}: ${said}`), message);
  }
  assert.match(
    await messageOf(decodeWhole(join(folder, 'plain.jpg'), [32, 32], new Uint8Array(3072))),
    /plain\.jpg: 64 x 64 pixels; 32 x 32 expected/,
  );
});

interface Fixture {
  readonly name: string;
  readonly file: string;
  readonly pixels: string;
}

/** By `fixtures/makeImages.py`. */
const fixtures = JSON.parse(readFileSync(new URL('fixtures/images.json', import.meta.url), 'utf8')) as {
  readonly width: number;
  readonly height: number;
  readonly images: readonly Fixture[];
};

test('pixels are those that PIL gives, of every kind of file, to the bit, however they are cut and resized', async () => {
  const folder = place();
  const { width, height, images } = fixtures;
  assert.ok(images.length > 30);
  for (const { name, file, pixels } of images) {
    const path = join(folder, name);
    const expected = Buffer.from(pixels, 'base64');
    writeFileSync(path, Buffer.from(file, 'base64'));
    const out = new Uint8Array(expected.length);
    await decodeWhole(path, [height, width], out);
    assert.is(Buffer.compare(out, expected), 0, name);
    // What is done on the way is done to these pixels, not to inks or to what stands behind something transparent.
    const plain = join(folder, 'plain.png');
    await sharp(expected, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(plain);
    const [found, wanted] = [new Uint8Array(8 * 8 * 3), new Uint8Array(8 * 8 * 3)];
    const window = { top: 2, left: 3, height: 10, width: 13, mirrored: true };
    for (const [a, b] of [
      [path, found],
      [plain, wanted],
    ] as const) {
      await decodeWindow(a, () => window, [8, 8], b);
    }
    assert.is(Buffer.compare(found, wanted), 0, `${name} in a window`);
    for (const [a, b] of [
      [path, found],
      [plain, wanted],
    ] as const) {
      await decodeCentre(a, 10, [8, 8], b);
    }
    assert.is(Buffer.compare(found, wanted), 0, `the middle of ${name}`);
  }
});

test('of 16 bits of grey the upper 8 are taken', async () => {
  const path = join(place(), 'grey.png');
  const values = Uint16Array.from({ length: 64 }, (_, i) => i * 1023);
  await sharp(values, { raw: { width: 8, height: 8, channels: 1 } })
    .toColourspace('grey16')
    .png()
    .toFile(path);
  assert.is((await sharp(path).metadata()).depth, 'ushort');
  const out = new Uint8Array(8 * 8 * 3);
  await decodeWhole(path, [8, 8], out);
  assert.ok([...values].every((value, i) => [0, 1, 2].every((c) => out[3 * i + c] === value >> 8)));
});

test('tests see the middle of an image; a window is resized to what the network sees, and mirrored', async () => {
  const path = join(place(), 'wide.jpg');
  await jpeg(path, 600, 300);
  const out = new Uint8Array(224 * 224 * 3);
  await decodeCentre(path, 256, [224, 224], out);
  // The shorter side is 256: 224 / 256 of the height, from 1/16 to 15/16; of the width, twice as long, from 9/32 to 23/32.
  const at = (y: number, x: number, c: number): number => out[(y * 224 + x) * 3 + c] as number;
  const near = (found: number, expected: number): void =>
    assert.ok(Math.abs(found - expected) < 4, `${found} for ${expected}`);
  near(at(0, 100, 1), 255 / 16);
  near(at(223, 100, 1), (255 * 15) / 16);
  near(at(100, 0, 0), (255 * 9) / 32);
  near(at(100, 223, 0), (255 * 23) / 32);
  near(mean(out, 2), 128);
  for (const mirrored of [false, true]) {
    const window = { top: 30, left: 60, height: 150, width: 120, mirrored };
    await decodeWindow(path, () => window, [224, 224], out);
    near(at(0, 0, 1), (255 * 30) / 300);
    near(at(223, 0, 1), (255 * 180) / 300);
    near(at(0, mirrored ? 223 : 0, 0), (255 * 60) / 600);
    near(at(0, mirrored ? 0 : 223, 0), (255 * 180) / 600);
  }
});

/** Tiny ImageNet's layout with two classes, three and two training images, two of validation. */
async function tinyImageNet(): Promise<string> {
  const root = join(place(), 'tiny-imagenet-200');
  const [a, b] = ['n01443537', 'n01629819'];
  for (const [wnid, count] of [
    [a, 3],
    [b, 2],
  ] as const) {
    mkdirSync(join(root, 'train', wnid, 'images'), { recursive: true });
    for (let i = 0; i < count; i++) {
      const value = (wnid === a ? 10 : 100) + 20 * i;
      await sharp(Buffer.alloc(64 * 64 * 3, value), { raw: { width: 64, height: 64, channels: 3 } })
        .jpeg({ quality: 100 })
        .toFile(join(root, 'train', wnid, 'images', `${wnid}_${i}.JPEG`));
    }
  }
  mkdirSync(join(root, 'val', 'images'), { recursive: true });
  for (const i of [0, 1]) await jpeg(join(root, 'val', 'images', `val_${i}.JPEG`), 64, 64);
  writeFileSync(
    join(root, 'val', 'val_annotations.txt'),
    `val_0.JPEG\t${b}\t0\t0\t5\t5\nval_1.JPEG\t${a}\t0\t0\t5\t5\nval_2.JPEG\t${a}\t0\t0\t5\t5\n`,
  );
  writeFileSync(join(root, 'wnids.txt'), `${b}\n${a}\n`);
  return root;
}

test('Tiny ImageNet is read in its own layout: classes by id, dealt in turn, validation by its annotations', async () => {
  const root = await tinyImageNet();
  const set = await loadImageSet('tiny-imagenet', join(root, '..'));
  assert.equal(set.classes, ['n01443537', 'n01629819']);
  assert.equal([...set.train.labels], [0, 1, 0, 1, 0]);
  const bytes = await readAll(set.train, 12288);
  assert.equal(
    [0, 1, 2, 3, 4].map((i) => bytes[i * 12288]),
    [10, 100, 30, 120, 50],
  );
  assert.equal([...set.test.labels], [0, 1], 'a listed file that is not there is left out');
  assert.is(set.train.images.streamed, true);
  assert.match(set.remark ?? '', /5 of 100,000 training images and 2 of 10,000 test images/);
  const annotations = join(root, 'val', 'val_annotations.txt');
  writeFileSync(annotations, '../../../etc/passwd\tn01443537\n');
  assert.match(
    await messageOf(loadImageSet('tiny-imagenet', root)),
    /val_annotations\.txt: line 1 must be FILE<tab>CLASS/,
  );
  writeFileSync(annotations, 'val_0.JPEG\tn99999999\n');
  assert.match(
    await messageOf(loadImageSet('tiny-imagenet', root)),
    /line 1 must be FILE<tab>CLASS with a class of train/,
  );
});

test('each way to augment an image file gives the same bytes for the same draws', async () => {
  const root = await tinyImageNet();
  const set = await loadImageSet('tiny-imagenet', root);
  const look = (augmentation: Augmentation, epoch: number): Promise<Buffer> =>
    readAll(set.test, 12288, (example) => ({ augmentation, draws: new Draws({ seed: 9n, epoch, example }) }));
  const plain = await readAll(set.test, 12288);
  assert.is(Buffer.compare(await look('none', 1), plain), 0);
  for (const augmentation of ['crop-flip', 'resized-crop-flip'] as const) {
    const first = await look(augmentation, 1);
    assert.is(Buffer.compare(first, await look(augmentation, 1)), 0);
    assert.not.equal(Buffer.compare(first, await look(augmentation, 2)), 0);
    assert.not.equal(Buffer.compare(first, plain), 0);
  }
  // The window is the drawn one: red and green of its middle are those of the middle of the window in the ramp.
  const bytes = await look('resized-crop-flip', 4);
  const crop = drawResizedCrop(new Draws({ seed: 9n, epoch: 4, example: 0 }), 64, 64);
  const middle = bytes.subarray(0, 12288);
  assert.ok(Math.abs(mean(middle, 0) - (255 * (crop.left + crop.width / 2 - 0.5)) / 64) < 3);
  assert.ok(Math.abs(mean(middle, 1) - (255 * (crop.top + crop.height / 2 - 0.5)) / 64) < 3);
});

test('ImageNet is read from class folders, and its validation set from folders or flat with either list of labels', async () => {
  const root = place();
  const wnids = ['n01440764', 'n01443537'] as const;
  for (const wnid of wnids) {
    mkdirSync(join(root, 'train', wnid), { recursive: true });
    for (const [i, [width, height]] of (
      [
        [300, 260],
        [80, 500],
      ] as const
    ).entries()) {
      await jpeg(join(root, 'train', wnid, `${wnid}_${i}.JPEG`), width, height);
    }
  }
  writeFileSync(join(root, 'train', 'README'), 'not a class');
  const load = async (): ReturnType<typeof loadImageSet> => loadImageSet('imagenet', root);
  assert.match(await messageOf(load()), /has train, but no val with the validation images/);
  mkdirSync(join(root, 'val', wnids[1]), { recursive: true });
  await jpeg(join(root, 'val', wnids[1], 'ILSVRC2012_val_00000001.JPEG'), 256, 256);
  const foldered = await load();
  assert.equal(
    [[...foldered.train.labels], [...foldered.test.labels], ...foldered.shape],
    [[0, 1, 0, 1], [1], 224, 224, 3],
  );
  const view =
    (epoch: number) =>
    (example: number): View => ({ augmentation: 'resized-crop-flip', draws: new Draws({ seed: 2n, epoch, example }) });
  const size = 224 * 224 * 3;
  const first = await readAll(foldered.train, size, view(1));
  // From the second epoch on sizes are remembered, which changes nothing.
  assert.is(Buffer.compare(first, await readAll(foldered.train, size, view(1))), 0);
  await readAll(foldered.test, size);
  rmSync(join(root, 'val', wnids[1]), { recursive: true });
  for (const n of [1, 2, 3]) await jpeg(join(root, 'val', `ILSVRC2012_val_0000000${n}.JPEG`), 256, 256);
  assert.match(
    await messageOf(load()),
    /need their labels beside them: LOC_val_solution\.csv, or ILSVRC2012_validation_ground_truth\.txt with map_clsloc\.txt/,
  );
  writeFileSync(join(root, 'ILSVRC2012_validation_ground_truth.txt'), '7\n3\n7\n');
  writeFileSync(join(root, 'map_clsloc.txt'), 'n01443537 7 goldfish\nn01440764 3 tench\n');
  assert.equal([...(await load()).test.labels], [0, 1, 1]);
  writeFileSync(
    join(root, 'LOC_val_solution.csv'),
    'ImageId,PredictionString\nILSVRC2012_val_00000002,n01443537 1 2 3 4\nILSVRC2012_val_00000001,n01440764 1 2 3 4 n01440764 5 6 7 8\nILSVRC2012_val_00000003,n01440764 0 0 1 1\n',
  );
  const set = await load();
  assert.equal([...set.test.labels], [0, 1, 0]);
  assert.is(set.test.count, 3);
  writeFileSync(
    join(root, 'LOC_val_solution.csv'),
    'ImageId,PredictionString\nILSVRC2012_val_00000001,n02084071 1 2 3 4\n',
  );
  const lacking = await messageOf(load());
  assert.match(lacking, /4 training images and 0 validation images; .*; validation images of classes that are not among the 2 of train, left out: 1 \(\S+_00000001\.JPEG\)/); // prettier-ignore
  assert.match(lacking, /validation images without a label, left out: 2 \(the first: \S+_00000002\.JPEG\)/);
});

test('classes are dealt in turn until each is empty', () => {
  const classes = [['a', 'b', 'c'], ['d'], [], ['e', 'f']].map((files) => ({ folder: '', files }));
  const { classOf, fileOf } = deal(classes);
  assert.equal([...classOf], [0, 1, 3, 0, 3, 0]);
  assert.equal([...fileOf], [0, 0, 0, 1, 1, 2]);
});

const tiny = join(samples, 'tiny-imagenet', 'tiny-imagenet-200-50train-10val.tar.gz');
test.when(existsSync(tiny), `no ${tiny}`)('the published Tiny ImageNet is read, its grey images too', async () => {
  const folder = place();
  // Two classes and the validation images are enough.
  const members = ['train/n01443537', 'train/n01768244', 'val', 'wnids.txt'].map((part) => `tiny-imagenet-200/${part}`);
  const { status, stderr } = spawnSync('tar', ['xzf', tiny, '-C', folder, ...members], { encoding: 'utf8' });
  assert.is(status, 0, stderr);
  const annotations = join(folder, 'tiny-imagenet-200', 'val', 'val_annotations.txt');
  const { stdout } = spawnSync('grep', ['-E', 'n01443537|n01768244', annotations], { encoding: 'utf8' });
  writeFileSync(annotations, stdout);
  const set = await loadImageSet('tiny-imagenet', folder);
  assert.equal([set.train.count, set.test.count], [100, 20]);
  const bytes = await readAll(set.train, 12288);
  const channels = [0, 1, 2].map((c) => mean(bytes, c) / 255);
  channels.forEach((value, c) => assert.ok(Math.abs(value - (set.mean[c] as number)) < 0.12, String(channels)));
  // n01768244_42.JPEG is grey: three equal channels, and not flat.
  const grey = new Uint8Array(12288);
  await decodeWhole(
    join(folder, 'tiny-imagenet-200', 'train', 'n01768244', 'images', 'n01768244_42.JPEG'),
    [64, 64],
    grey,
  );
  assert.is(
    (await sharp(join(folder, 'tiny-imagenet-200', 'train', 'n01768244', 'images', 'n01768244_42.JPEG')).metadata())
      .channels,
    1,
  );
  for (let i = 0; i < grey.length; i += 3) assert.ok(grey[i] === grey[i + 1] && grey[i] === grey[i + 2]);
  assert.ok(Math.max(...grey) - Math.min(...grey) > 50);
});

const imageNet = join(samples, 'imagenet', 'one-image-200-classes.tar');
test.when(existsSync(imageNet), `no ${imageNet}`)(
  'full-size ImageNet files are decoded as tests and as training see them',
  async () => {
    const folder = place();
    const { status, stderr } = spawnSync('tar', ['xf', imageNet, '-C', folder], { encoding: 'utf8' });
    assert.is(status, 0, stderr);
    mkdirSync(join(folder, 'imagenet', 'val'));
    spawnSync('cp', ['-r', join(folder, 'imagenet', 'train', 'n01440764'), join(folder, 'imagenet', 'val')]);
    const set = await loadImageSet('imagenet', folder);
    assert.equal([set.train.count, set.test.count, set.classes.length], [200, 1, 200]);
    const out = new Uint8Array(224 * 224 * 3);
    await set.test.images.read(0, 'plain', out);
    for (let i = 0; i < 20; i++) {
      const draws = new Draws({ seed: 3n, epoch: 1, example: i });
      await set.train.images.read(i, { augmentation: 'resized-crop-flip', draws }, out);
      assert.ok(Math.max(...out.subarray(0, 50_000)) > Math.min(...out.subarray(0, 50_000)));
    }
  },
);

test.run();
