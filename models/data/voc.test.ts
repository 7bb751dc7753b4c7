import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { loadVocDetection, loadVocSegmentation } from './voc.ts';
import { VOC_CLASSES, vocColour } from './vocClasses.ts';
import { readSbdMask } from './vocMat.ts';
import { readIndexedPng } from './vocPng.ts';
import { parseAnnotation } from './vocXml.ts';

const test = suite('models/data/voc');
const seed = Number(process.env['LRD_SEED'] ?? 20260422);
const fuzz = { seed, numRuns: 100, includeErrorInReport: true };
const scratch = mkdtempSync(join(tmpdir(), 'lrd-voc-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const real = join(process.env['LRD_DATA'] ?? fileURLToPath(new URL('../../../shared/data', import.meta.url)), 'voc');
const onReal = test.when(existsSync(join(real, 'VOCdevkit/VOC2012')), `no VOC samples in ${real} (set LRD_DATA)`);
const onDrawn = test.when(
  existsSync(join(real, 'labelme/Annotations')),
  `no labelme samples in ${real} (set LRD_DATA)`,
);

async function messageOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    assert.is((error as Error).name, 'JobError');
    return (error as Error).message;
  }
  return 'no error';
}

function chunk(type: string, body: Uint8Array): Buffer {
  const framed = Buffer.concat([Buffer.alloc(4), Buffer.from(type, 'latin1'), body, Buffer.alloc(4)]);
  framed.writeUInt32BE(body.length, 0);
  framed.writeUInt32BE(crc32(framed.subarray(4, -4)), framed.length - 4);
  return framed;
}

interface Png {
  readonly width: number;
  readonly height: number;
  readonly depth?: number;
  readonly colour?: number;
  readonly interlaced?: number;
  readonly values: Uint8Array;
  /** Of each line, in turn. */
  readonly filters?: readonly number[];
}

/** An indexed PNG, its lines filtered as asked for by the formulas of the specification. */
function png({ width, height, depth = 8, colour = 3, interlaced = 0, values, filters = [0] }: Png): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlaced], 8);
  const bytes = Math.ceil((width * depth) / 8);
  const lines: Uint8Array[] = [];
  let above: Uint8Array = new Uint8Array(bytes);
  for (let y = 0; y < height; y++) {
    const line = new Uint8Array(bytes);
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      line[bit >> 3] = (line[bit >> 3] as number) | ((values[y * width + x] as number) << (8 - depth - (bit % 8)));
    }
    const filter = filters[y % filters.length] as number;
    const before = above;
    const coded = line.map((value, i) => {
      const [a, b, c] = [line[i - 1] ?? 0, before[i] as number, before[i - 1] ?? 0];
      const p = a + b - c;
      const nearest = [a, b, c].reduce((best, next) => (Math.abs(p - next) < Math.abs(p - best) ? next : best));
      return value - ([0, a, b, Math.floor((a + b) / 2), nearest][filter] as number);
    });
    lines.push(Uint8Array.of(filter), coded);
    above = line;
  }
  const pixels = deflateSync(Buffer.concat(lines));
  const half = Math.floor(pixels.length / 2);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('PLTE', paletteOf(256)),
    // In two parts, as encoders split large images.
    chunk('IDAT', pixels.subarray(0, half)),
    chunk('tEXt', Buffer.from('Comment\0nothing')),
    chunk('IDAT', pixels.subarray(half)),
    chunk('IEND', new Uint8Array()),
  ]);
}

function paletteOf(count: number): Uint8Array {
  return Uint8Array.from(Array.from({ length: count }, (_, i) => vocColour(i)).flat());
}

test('an indexed PNG of any depth and filter gives back its indices', () => {
  fc.assert(
    fc.property(
      fc.record({
        width: fc.integer({ min: 1, max: 20 }),
        height: fc.integer({ min: 1, max: 9 }),
        depth: fc.constantFrom(1, 2, 4, 8),
        filters: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 5 }),
        colour: fc.constantFrom(0, 3),
        start: fc.nat(1000),
      }),
      ({ width, height, depth, filters, colour, start }) => {
        const values = Uint8Array.from(
          { length: width * height },
          (_, i) => (((start + i) * 2654435761) >>> 7) % 2 ** depth,
        );
        const mask = readIndexedPng(png({ width, height, depth, colour, filters, values }), 'x.png');
        assert.equal([mask.width, mask.height], [width, height]);
        assert.is(Buffer.compare(mask.data, values), 0);
      },
    ),
    fuzz,
  );
});

test('what is wrong with a PNG is said with its name', async () => {
  const values = Uint8Array.from({ length: 12 }, (_, i) => i);
  const whole = png({ width: 4, height: 3, values });
  const flipped = Buffer.from(whole);
  // Within the header's body.
  flipped[20] = (flipped[20] as number) ^ 1;
  const rgb = await sharp(Buffer.alloc(48), { raw: { width: 4, height: 4, channels: 3 } })
    .png()
    .toBuffer();
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [Buffer.from('hello, this is no image'), /not a PNG file/],
    [whole.subarray(0, whole.length - 20), /cut short/],
    [whole.subarray(0, 33), /IHDR, IDAT or IEND chunk is missing/],
    [flipped, /the sum of its \w+ chunk is wrong/],
    [rgb, /colour type 2, 8 bits, interlace 0; an indexed \(3\) or grey \(0\)/],
    [png({ width: 4, height: 3, values, interlaced: 1 }), /interlace 1/],
    [png({ width: 4, height: 3, values, filters: [7] }), /filter 7 in line 0/],
  ];
  for (const [bytes, pattern] of cases) {
    const message = await messageOf(() => readIndexedPng(bytes, 'masks/a.png'));
    assert.match(message, pattern);
    assert.ok(message.startsWith('masks/a.png: '));
  }
});

onReal("the indices of real masks are VOC's: through its palette they are the colours that libvips shows", async () => {
  for (const stem of ['2007_004189', '2007_006449', '2008_002536', '2010_005582']) {
    const path = join(real, 'VOCdevkit/VOC2012/SegmentationClass', `${stem}.png`);
    const mask = readIndexedPng(readFileSync(path), path);
    const { data, info } = await sharp(path).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    assert.equal([info.width, info.height, info.channels], [mask.width, mask.height, 3]);
    const expected = new Uint8Array(data.length);
    mask.data.forEach((index, i) => expected.set(vocColour(index), i * 3));
    assert.is(Buffer.compare(expected, data), 0, stem);
    assert.ok(mask.data.every((label) => label <= 20 || label === 255));
    assert.ok(mask.data.includes(255) && mask.data.some((label) => label > 0 && label < 255));
  }
});

test("colours are those of VOC's palette", () => {
  assert.equal(VOC_CLASSES.length, 21);
  assert.equal([0, 1, 2, 3, 15, 20, 255].map(vocColour), [
    [0, 0, 0],
    [128, 0, 0],
    [0, 128, 0],
    [128, 128, 0],
    [192, 128, 128],
    [0, 64, 128],
    [224, 224, 192],
  ]);
});

test('a mask of SBD is read as scipy wrote it: rows are rows, compressed or not', async () => {
  for (const name of ['sbd', 'sbd-plain']) {
    const mask = readSbdMask(readFileSync(new URL(`fixtures/${name}.mat`, import.meta.url)), name);
    assert.equal([mask.width, mask.height], [7, 5]);
    assert.equal(
      [...mask.data],
      Array.from({ length: 35 }, (_, i) => i % 21),
    );
  }
  const bytes = readFileSync(new URL('fixtures/sbd.mat', import.meta.url));
  const broken = Buffer.from(bytes);
  broken[200] = (broken[200] as number) ^ 0xff;
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [readFileSync(new URL('fixtures/sbd-wrong.mat', import.meta.url)), /no variable GTcls/],
    [bytes.subarray(0, 200), /cut short/],
    [Buffer.from('MATLAB 7.3 is HDF5'), /not a MAT-file of level 5/],
    [broken, /cannot be unpacked/],
  ];
  for (const [data, pattern] of cases) {
    const message = await messageOf(() => readSbdMask(data, 'cls/a.mat'));
    assert.match(message, pattern);
    assert.match(message, /^cls\/a\.mat: .*GTcls\.Segmentation/);
  }
});

const ANNOTATION = `<?xml version="1.0"?>
<!-- a comment with <tags> -->
<annotation verified="yes">
	<filename>a &amp; b.jpg</filename>
	<size><width>100</width><height>50</height><depth>3</depth></size>
	<object>
		<name>person</name>
		<difficult>0</difficult>
		<bndbox><xmin>11</xmin><ymin>21.0</ymin><xmax>60</xmax><ymax>50</ymax></bndbox>
		<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>
	</object>
	<object>
		<difficult>1</difficult>
		<bndbox><xmax>104</xmax><xmin>1</xmin><ymin>1</ymin><ymax>1</ymax></bndbox>
		<name><![CDATA[tvmonitor]]></name>
		<pose/>
	</object>
</annotation>
`;

test('an annotation gives boxes with their edges between pixels, and whether they are difficult', () => {
  assert.equal(parseAnnotation(ANNOTATION, 'a.xml'), {
    size: { width: 100, height: 50 },
    odd: [],
    objects: [
      { name: 'person', difficult: false, box: { xmin: 10, ymin: 20, xmax: 60, ymax: 50 } },
      { name: 'tvmonitor', difficult: true, box: { xmin: 0, ymin: 0, xmax: 104, ymax: 1 } },
    ],
  });
  const named = ANNOTATION.replace('person', 'p&#101;r&#x73;on &lt;&quot;').replaceAll('\n', '\r\n');
  assert.is(parseAnnotation(named, 'a.xml').objects[0]?.name, 'person <"');
});

test('what is wrong with an annotation is said with its name', async () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['</size>', '', /is not well-formed XML \(at \d+:\d+, /],
    ['</annotation>', '', /is not well-formed XML \(.*unclosed tag: annotation/],
    ['<xmin>11</xmin>', '', /no <xmin> in <bndbox>/],
    ['<xmin>11', '<xmin>left', /<xmin> is "left"; a number expected/],
    ['<width>100', '<width>-1', /a size of -1 x 50/],
    ['<difficult>0', '<difficult>maybe', /<difficult> is "maybe"; 0 or 1, true or false, yes or no expected/],
    ['&amp;', '&#0;', /is not well-formed XML/],
    ['<annotation verified="yes">', '<annotation>< ', /is not well-formed XML/],
    ['<name>person', '<name>', /<name> of an object is empty/],
  ];
  for (const [from, to, pattern] of cases) {
    const message = await messageOf(() => parseAnnotation(ANNOTATION.replace(from, to), 'Annotations/a.xml'));
    assert.match(message, pattern);
    assert.ok(message.startsWith('Annotations/a.xml: '), message);
  }
  assert.match(await messageOf(() => parseAnnotation('<html></html>', 'x')), /<annotation> expected/);
  assert.match(await messageOf(() => parseAnnotation('', 'x')), /is not well-formed XML/);
});

onReal('real pictures with masks load; without lists they train and test, and the set says so', async () => {
  const set = await loadVocSegmentation([join(real, '..')]);
  assert.equal([set.train.count, set.test.count, set.classes.length], [4, 4, 21]);
  assert.match(set.remark ?? '', /no ImageSets in the folder/);
  const { picture, mask } = await set.train.read(0);
  assert.equal([picture.width, picture.height], [mask.width, mask.height]);
  assert.match(set.train.path(0), /2007_004189\.jpg$/);
  // The same bytes as sharp decodes at once.
  const { data } = await sharp(set.train.path(0)).raw().toBuffer({ resolveWithObject: true });
  assert.is(Buffer.compare(Uint8Array.from(picture.data), data), 0);
});

onDrawn('real pictures with boxes load, of a tool that writes fractions and empty elements', async () => {
  const set = await loadVocDetection([join(real, 'labelme')]);
  assert.is(set.train.count, 3);
  const { truths } = await set.train.read(0);
  assert.equal(
    truths.map(({ label, difficult }) => [VOC_CLASSES[label], difficult]),
    [
      ['person', false],
      ['person', false],
    ],
  );
  const { box } = truths[0] as (typeof truths)[number];
  assert.ok(Math.abs(box.xmin - 190 / 500) < 1e-12 && Math.abs(box.ymax - 329.36900369003695 / 338) < 1e-12);
  assert.ok((truths[1] as (typeof truths)[number]).box.xmax === 1);
});

/** A VOC of small drawn pictures. */
async function draw(folder: string): Promise<void> {
  const write = (path: string, body: string | Uint8Array): void => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), body);
  };
  const jpeg = await sharp(Buffer.alloc(7 * 5 * 3, 99), { raw: { width: 7, height: 5, channels: 3 } })
    .jpeg()
    .toBuffer();
  const mask = png({ width: 7, height: 5, values: Uint8Array.from({ length: 35 }, (_, i) => i % 21) });
  const xml = (name: string): string =>
    `<annotation><size><width>7</width><height>5</height></size><object><name>${name}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object></annotation>`;
  for (const [year, names] of [
    ['VOC2012', ['a', 'b', 'c', 'd']],
    ['VOC2007', ['e', 'f']],
  ] as const) {
    for (const name of names) {
      write(`VOCdevkit/${year}/JPEGImages/${name}.jpg`, jpeg);
      write(`VOCdevkit/${year}/SegmentationClass/${name}.png`, mask);
      write(`VOCdevkit/${year}/Annotations/${name}.xml`, xml(name === 'd' ? 'unicorn' : 'cat'));
    }
  }
  write('VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt', 'a\n');
  write('VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt', 'b\r\n');
  write('VOCdevkit/VOC2012/ImageSets/Main/trainval.txt', 'a\nb\nc\n');
  write('VOCdevkit/VOC2012/ImageSets/Main/train.txt', 'a\n');
  write('VOCdevkit/VOC2012/ImageSets/Main/val.txt', 'b\nc\n');
  write('VOCdevkit/VOC2007/ImageSets/Main/trainval.txt', 'e\n');
  write('VOCdevkit/VOC2007/ImageSets/Main/test.txt', 'f  1\n');
}

test("SBD's masks add to the training pictures but never those of the validation list", async () => {
  const folder = join(scratch, 'sbd');
  await draw(folder);
  const alone = await loadVocSegmentation([folder]);
  assert.equal([alone.train.count, alone.test.count], [1, 1]);
  assert.match(alone.remark ?? '', /without SBD's extra annotations; a part of the set: 1 of 10,582/);
  // a is in VOC's own list, b is validated on, c and d are new.
  const cls = join(folder, 'benchmark_RELEASE/dataset/cls');
  mkdirSync(cls, { recursive: true });
  for (const name of ['a', 'b', 'c', 'd']) {
    cpSync(fileURLToPath(new URL('fixtures/sbd.mat', import.meta.url)), join(cls, `${name}.mat`));
  }
  const more = await loadVocSegmentation([folder]);
  assert.equal([more.train.count, more.test.count], [3, 1]);
  assert.equal(
    [0, 1, 2].map((index) => more.train.path(index).slice(-5)),
    ['a.jpg', 'c.jpg', 'd.jpg'],
  );
  const { mask } = await more.train.read(2);
  assert.equal(
    [...mask.data],
    Array.from({ length: 35 }, (_, i) => i % 21),
  );
  // A folder of PNG masks takes their place.
  mkdirSync(join(folder, 'VOCdevkit/VOC2012/SegmentationClassAug'));
  cpSync(
    join(folder, 'VOCdevkit/VOC2012/SegmentationClass/c.png'),
    join(folder, 'VOCdevkit/VOC2012/SegmentationClassAug/c.png'),
  );
  const folders = await loadVocSegmentation([folder]);
  assert.is(folders.train.count, 2);
  assert.is((await folders.train.read(1)).mask.width, 7);
});

test("VOC's split is whole with 10,582, 1,449 and 1,456 pictures, and what is missing is said", async () => {
  const folder = join(scratch, 'split');
  const year = join(folder, 'VOCdevkit/VOC2012');
  for (const path of ['JPEGImages', 'ImageSets/Segmentation', 'SegmentationClass', 'SegmentationClassAug'])
    mkdirSync(join(year, path), { recursive: true });
  const names = (letter: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${letter}${i}`);
  const list = (name: string, listed: readonly string[]): void =>
    writeFileSync(join(year, 'ImageSets/Segmentation', `${name}.txt`), `${listed.join('\n')}\n`);
  const [train, val, tests] = [names('a', 1464), names('b', 1449), names('c', 1456)];
  list('train', train);
  list('val', val);
  list('test', tests);
  // Pictures are read when they are asked for: empty files do.
  for (const name of [...train, ...val, ...names('d', 9118)])
    writeFileSync(join(year, 'SegmentationClassAug', `${name}.png`), '');
  for (const name of [...train, ...val]) writeFileSync(join(year, 'SegmentationClass', `${name}.png`), '');
  for (const name of [...train, ...val, ...names('d', 9118), ...tests])
    writeFileSync(join(year, 'JPEGImages', `${name}.jpg`), '');
  const whole = await loadVocSegmentation([folder]);
  assert.equal([whole.train.count, whole.test.count, whole.remark], [10582, 1449, undefined]);
  rmSync(join(year, 'JPEGImages/c7.jpg'));
  assert.is((await loadVocSegmentation([folder])).remark, 'pictures of its test list that are missing: 1');
  list('test', tests.slice(0, 1000));
  assert.is(
    (await loadVocSegmentation([folder])).remark,
    'its test list has 1,000 pictures, 1,456 are published; pictures of its test list that are missing: 1',
  );
});

test('detection trains on both years and tests on 2007; one year alone is split in its own way', async () => {
  const folder = join(scratch, 'detection');
  await draw(folder);
  const both = await loadVocDetection([folder]);
  assert.equal([both.train.count, both.test.count], [4, 1]);
  assert.match(both.test.path(0), /VOC2007\/JPEGImages\/f\.jpg$/);
  assert.match(both.remark ?? '', /4 of 16,551/);
  assert.equal((await both.train.read(0)).truths, [
    { box: { xmin: 0, ymin: 0, xmax: 3 / 7, ymax: 3 / 5 }, label: 8, difficult: false },
  ]);
  writeFileSync(join(folder, 'VOCdevkit/VOC2012/ImageSets/Main/trainval.txt'), 'a\nb\nc\nd\n');
  assert.match(
    await messageOf(() => loadVocDetection([folder])),
    /d\.xml: class "unicorn"; one of VOC's twenty expected/,
  );
  rmSync(join(folder, 'VOCdevkit/VOC2007'), { recursive: true });
  rmSync(join(folder, 'VOCdevkit/VOC2012/Annotations/d.xml'));
  const one = await loadVocDetection([folder]);
  assert.equal([one.train.count, one.test.count], [1, 2]);
  assert.match(one.remark ?? '', /the lists train and val of VOC2012/);
});

test('files that do not belong together are named', async () => {
  const folder = join(scratch, 'broken');
  await draw(folder);
  const year = join(folder, 'VOCdevkit/VOC2012');
  writeFileSync(join(year, 'SegmentationClass/a.png'), png({ width: 5, height: 7, values: new Uint8Array(35) }));
  writeFileSync(
    join(year, 'SegmentationClass/b.png'),
    png({ width: 7, height: 5, values: new Uint8Array(35).fill(77) }),
  );
  rmSync(join(year, 'JPEGImages/c.jpg'));
  const set = await loadVocSegmentation([folder]);
  assert.match(await messageOf(() => set.train.read(0)), /a\.png: 5 x 7 pixels; 7 x 5 expected/);
  assert.match(await messageOf(() => set.test.read(0)), /b\.png: class 77; 0 to 20 or 255 expected/);
  const detection = await loadVocDetection([folder]);
  assert.is(detection.train.count, 3);
  assert.match(detection.oddities.join(), /^pictures that are not there, left out: 1 \(\S+JPEGImages\/c\)$/);
  assert.match(
    await messageOf(() => loadVocSegmentation([join(scratch, 'nowhere')])),
    /data set voc: no VOCdevkit\/VOC2012/,
  );
});

test.run();
