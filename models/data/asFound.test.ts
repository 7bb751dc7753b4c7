/** Data as people have them: names, droppings, encodings and spellings are generated, and every set reads as the clean one does. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { loadImageSet } from './catalogue.ts';
import type { ImageSet } from './dataSet.ts';
import { verifyDataSet } from './fetch/verifyDataSet.ts';
import { isDropping } from './listing.ts';
import { idxStem } from './mnist.ts';
import { tar, zip } from './testing/archives.ts';
import { decodeText } from './text.ts';
import { loadVocDetection, loadVocSegmentation } from './voc.ts';
import { parseAnnotation } from './vocXml.ts';

const test = suite('models/data/asFound');
const seed = Number(process.env['LRD_SEED'] ?? 20260422);
const fuzz = (numRuns: number): { seed: number; numRuns: number; includeErrorInReport: true } => ({
  seed,
  numRuns,
  includeErrorInReport: true,
});
const scratch = mkdtempSync(join(tmpdir(), 'lrd-found-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

let places = 0;
function place(): string {
  const folder = join(scratch, String(places++));
  mkdirSync(folder);
  return folder;
}

function put(folder: string, path: string, body: string | Uint8Array): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), body);
}

async function messageOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    assert.is((error as Error).name, 'JobError', (error as Error).stack);
    assert.not.match((error as Error).message, /\n/);
    return (error as Error).message;
  }
  return 'no error';
}

/** What systems leave in a folder of files like `name`. */
const dropping = (name: string): fc.Arbitrary<string> =>
  fc.constantFrom(
    '.DS_Store',
    `._${name}`,
    '._.DS_Store',
    '.localized',
    'Icon\r',
    'Thumbs.db',
    'thumbs.db',
    'Desktop.ini',
    'desktop.ini',
    'ehthumbs.db',
    `${name}:Zone.Identifier`,
    '.directory',
    '.nfs000000001234',
    '__MACOSX/',
    `__MACOSX/._${name}`,
    '.Spotlight-V100/store.db',
    '$RECYCLE.BIN/x',
    '@eaDir/x',
  );

const WNIDS = ['n01440764', 'n01443537', 'n02084071'] as const;
const picture = await sharp(Buffer.alloc(64 * 64 * 3, 99), { raw: { width: 64, height: 64, channels: 3 } })
  .jpeg()
  .toBuffer();

/** What must come out the same whatever lies beside the files. */
const essence = ({ classes, train, test: tests, remark }: ImageSet): unknown => [
  classes,
  [...train.labels],
  [...tests.labels],
  remark,
];

interface Layout {
  readonly name: 'imagenet' | 'tiny-imagenet';
  readonly files: readonly string[];
  readonly texts: Readonly<Record<string, string>>;
  /** Folders in which systems leave something. */
  readonly folders: readonly string[];
}

const LAYOUTS: readonly Layout[] = [
  {
    name: 'imagenet',
    files: [...WNIDS.flatMap((wnid) => [`train/${wnid}/a.JPEG`, `train/${wnid}/b.jpeg`]), `val/${WNIDS[1]}/v.JPEG`],
    texts: {},
    folders: ['train', 'val', ...WNIDS.map((wnid) => `train/${wnid}`), `val/${WNIDS[1]}`],
  },
  {
    name: 'imagenet',
    files: [
      ...WNIDS.map((wnid) => `train/${wnid}/a.JPEG`),
      ...[1, 2].map((n) => `val/ILSVRC2012_val_0000000${n}.JPEG`),
    ],
    texts: {
      'LOC_val_solution.csv': `ImageId,PredictionString\nILSVRC2012_val_00000002,${WNIDS[1]} 1 2 3 4\nILSVRC2012_val_00000001,${WNIDS[2]} 1 2 3 4\n`,
    },
    folders: ['train', 'val', ...WNIDS.map((wnid) => `train/${wnid}`)],
  },
  {
    name: 'imagenet',
    files: [
      ...WNIDS.map((wnid) => `train/${wnid}/a.JPEG`),
      ...[1, 2].map((n) => `val/ILSVRC2012_val_0000000${n}.JPEG`),
    ],
    texts: {
      'ILSVRC2012_validation_ground_truth.txt': '7\n3\n',
      'map_clsloc.txt': `${WNIDS[0]} 7 tench\n${WNIDS[1]} 3 goldfish\n`,
    },
    folders: ['train', 'val', ...WNIDS.map((wnid) => `train/${wnid}`)],
  },
  {
    name: 'tiny-imagenet',
    files: [
      ...WNIDS.flatMap((wnid) => [`train/${wnid}/images/${wnid}_0.JPEG`]),
      'val/images/val_0.JPEG',
      'val/images/val_1.JPEG',
    ],
    texts: {
      'wnids.txt': `${WNIDS.join('\n')}\n`,
      'val/val_annotations.txt': `val_0.JPEG\t${WNIDS[2]}\t0\t0\t9\t9\nval_1.JPEG\t${WNIDS[0]}\n`,
    },
    folders: ['train', ...WNIDS.map((wnid) => `train/${wnid}/images`), 'val/images'],
  },
];

/** How Windows' editors write a list. */
const written = (text: string, how: string): Uint8Array => {
  const lines = how.includes('crlf') ? text.replaceAll('\n', '\r\n') : text;
  if (how.startsWith('utf16')) return Buffer.from(`\uFEFF${lines}`, 'utf16le');
  return Buffer.from(how.startsWith('bom') ? `\uFEFF${lines}` : lines);
};

test('folders with what macOS and Windows leave in them read as clean ones do, and it is counted', async () => {
  for (const { name, files, texts, folders } of LAYOUTS) {
    const make = (root: string, how: string): void => {
      for (const file of files) put(root, file, picture);
      for (const [file, text] of Object.entries(texts)) put(root, file, written(text, how));
    };
    const clean = place();
    make(clean, 'plain');
    const expected = await loadImageSet(name, clean);
    assert.equal(expected.oddities, []);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(fc.constantFrom(...folders), dropping('a.JPEG')), {
          minLength: 1,
          maxLength: 6,
          // What lies within a folder of the system's is passed over with it.
          selector: ([folder, left]) => `${folder}/${left.split('/')[0]}`.toLowerCase(),
        }),
        fc.constantFrom('plain', 'crlf', 'bom', 'bom crlf', 'utf16 crlf'),
        fc.constantFrom('', name, `${name}/${name}`, name === 'imagenet' ? 'ILSVRC2012' : 'Tiny_ImageNet'),
        async (left, how, below) => {
          const [root, folder] = [place(), below];
          make(join(root, folder), how);
          for (const [where, what] of left) {
            if (what.endsWith('/')) mkdirSync(join(root, folder, where, what), { recursive: true });
            else put(join(root, folder), `${where}/${what}`, 'x');
          }
          const set = await loadImageSet(name, root);
          assert.equal(essence(set), essence(expected));
          assert.equal(set.oddities?.length, 1, String(set.oddities));
          const said = /^files that macOS, Windows and file managers leave, passed over: (\d+) \(/.exec(
            set.oddities?.[0] ?? '',
          );
          assert.is(Number(said?.[1]), left.length, String(set.oddities));
          rmSync(root, { recursive: true });
        },
      ),
      fuzz(12),
    );
  }
});

test('whatever else is no image of a class is left out, and said by kind, with a count and the first', async () => {
  const root = place();
  for (const wnid of WNIDS) put(root, `train/${wnid}/a.JPEG`, picture);
  put(root, `val/${WNIDS[0]}/v.JPEG`, picture);
  put(root, 'train/readme.txt', 'x');
  put(root, 'train/tench/a.JPEG', picture);
  put(root, `train/${WNIDS[0]}/list.csv`, 'x');
  put(root, `train/${WNIDS[1]}/notes.md`, 'x');
  put(root, `train/${WNIDS[1]}/more/b.JPEG`, picture);
  put(root, 'val/n09999999/v.JPEG', picture);
  mkdirSync(join(root, 'train/n00000001'));
  const { oddities = [], train, test: tests } = await loadImageSet('imagenet', root);
  assert.equal([train.count, tests.count], [3, 1]);
  assert.equal(
    oddities.map((said) => said.replaceAll(`${root}/`, '')),
    [
      'files beside the class folders, left out: 1 (train/readme.txt)',
      "folders that no id of WordNet's names, left out: 1 (train/tench)",
      'files that are no JPEG, PNG, WebP, TIFF or GIF, left out: 2 (the first: train/n01440764/list.csv)',
      'folders within a class, left out: 1 (train/n01443537/more)',
      'classes of val that train lacks, left out: 1 (val/n09999999)',
      'classes without a training image: 1 (n00000001)',
    ],
  );
});

test('a name is a dropping or a file, and no file of a set is taken for a dropping', () => {
  fc.assert(
    fc.property(dropping('n01440764_10026.JPEG'), (name) => assert.ok(isDropping(name.split('/')[0] as string), name)),
    fuzz(200),
  );
  for (const name of [
    'n01440764_1.JPEG',
    'Desktop.jpg',
    'icon.png',
    'thumbs.db.jpg',
    '_a.jpg',
    '.hidden.jpg',
    'a._b.jpg',
  ]) {
    assert.not.ok(isDropping(name), name);
  }
});

/** An idx file of zeros and ones. */
function idx(extents: readonly number[], fill: number): Buffer {
  const header = Buffer.alloc(4 + 4 * extents.length);
  header.writeUInt32BE(0x0800 + extents.length, 0);
  extents.forEach((extent, axis) => header.writeUInt32BE(extent, 4 + 4 * axis));
  return Buffer.concat([
    header,
    Buffer.alloc(
      extents.reduce((n, m) => n * m, 1),
      fill,
    ),
  ]);
}

const MNIST = [
  { split: 'train', kind: 'images', bytes: idx([60000, 28, 28], 1) },
  { split: 'train', kind: 'labels', bytes: idx([60000], 3) },
  { split: 't10k', kind: 'images', bytes: idx([10000, 28, 28], 2) },
  { split: 't10k', kind: 'labels', bytes: idx([10000], 4) },
].map((file) => ({ ...file, packed: gzipSync(file.bytes, { level: 1 }) }));

const mnistName = fc.record({
  joint: fc.constantFrom('-', '.', '_'),
  test: fc.constantFrom('t10k', 'test'),
  capitals: fc.boolean(),
  ending: fc.constantFrom('', '.gz', '.GZ', ' (1).gz', '.gz.1', ' copy.gz', ' copy 2', ' - Copy.gz', ' - Copy (2).gz'),
  packed: fc.constantFrom(0, 1, 2),
  folder: fc.boolean(),
});

type MnistName = typeof mnistName extends fc.Arbitrary<infer N> ? N : never;

function nameOf(split: string, kind: string, { joint, test: second, capitals, ending, folder }: MnistName): string {
  const stem = `${split === 'train' ? 'train' : second}-${kind}${joint}idx${kind === 'images' ? 3 : 1}-ubyte`;
  const name = capitals ? stem.toUpperCase() : stem;
  return folder ? `${name}/${name}${ending}` : `${name}${ending}`;
}

test("MNIST's files are found under every name that they go by, packed or not, whatever the name says", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(mnistName, mnistName, mnistName, mnistName),
      fc.constantFrom('', 'mnist', 'MNIST', 'MNIST/raw', 'raw', 'mnist/MNIST/raw', 'Mnist'),
      async (names, below) => {
        const root = place();
        MNIST.forEach(({ split, kind, bytes, packed }, k) => {
          const how = names[k] as MnistName;
          const twice = (): Buffer => gzipSync(packed, { level: 1 });
          put(
            root,
            join(below, nameOf(split, kind, how)),
            how.packed === 0 ? bytes : how.packed === 1 ? packed : twice(),
          );
        });
        put(root, join(below, '.DS_Store'), 'x');
        put(root, join(below, '._train-images-idx3-ubyte.gz'), 'x');
        const set = await loadImageSet('mnist', root);
        const out = new Uint8Array(784);
        await set.train.images.read(59_999, 'plain', out);
        assert.equal([out[783], set.train.labels[0], set.test.labels[9_999]], [1, 3, 4]);
        rmSync(root, { recursive: true });
      },
    ),
    fuzz(6),
  );
  fc.assert(
    fc.property(fc.constantFrom(...MNIST), mnistName, ({ split, kind }, how) => {
      const name = nameOf(split, kind, how).split('/').at(-1);
      assert.ok(name !== undefined);
      assert.is(idxStem(name), `${split}-${kind}-idx${kind === 'images' ? 3 : 1}-ubyte`, name);
    }),
    fuzz(300),
  );
  for (const name of [
    'train-images',
    'train-images-idx1-ubyte',
    'emnist-train-images-idx3-ubyte',
    'train-images-idx3-ubyte.txt',
  ]) {
    assert.is(idxStem(name), undefined, name);
  }
});

test('MNIST and CIFAR are read out of archives of every kind, those of macOS and Windows too', async () => {
  const entries = MNIST.map(({ split, kind, packed }) => ({
    name: `archive/${split}-${kind}.idx${kind === 'images' ? 3 : 1}-ubyte`,
    body: packed,
  }));
  const mac = entries.flatMap(({ name, body }) => [
    { name: name.replace('archive/', '__MACOSX/archive/._'), body: Buffer.from('fork') },
    { name, body },
  ]);
  const windows = entries.map(({ name, body }) => ({ name: name.replace('/', '\\'), body, mode: 0 }));
  for (const [file, bytes] of [
    ['archive.zip', zip(mac)],
    ['mnist.zip', zip(windows)],
    ['mnist.tar', tar(mac)],
    ['MNIST.TGZ', gzipSync(tar(mac), { level: 1 })],
  ] as const) {
    const root = place();
    put(root, `mnist/${file}`, bytes);
    const { train, test: tests } = await loadImageSet('mnist', root);
    assert.equal([train.count, train.labels[0], tests.labels[0]], [60000, 3, 4], file);
  }
  const record = Buffer.alloc(3073, 5);
  const batches = ['data_batch_1', 'data_batch_2', 'data_batch_3', 'data_batch_4', 'data_batch_5', 'test_batch'];
  const root = place();
  put(root, 'cifar10/cifar-10-binary.zip', zip(batches.map((name) => ({ name: `cifar\\${name}.bin`, body: record, mode: 0 })))); // prettier-ignore
  assert.equal([...(await loadImageSet('cifar10', root)).train.labels], [5, 5, 5, 5, 5]);
  put(root, 'cifar10/cifar-10-binary.zip', 'PK no archive');
  assert.match(await messageOf(() => loadImageSet('cifar10', root)), /cifar-10-binary\.zip: the archive is broken/);
});

test('what comes twice is passed over and said; lrd data verify finds files under their other names', async () => {
  const root = place();
  for (const { split, kind, packed } of MNIST) {
    put(root, `mnist/${split}-${kind}.idx${kind === 'images' ? 3 : 1}-ubyte.gz`, packed);
  }
  const [images] = MNIST;
  put(root, 'mnist/train-images-idx3-ubyte (1).gz', (images as (typeof MNIST)[number]).packed);
  const { oddities = [] } = await loadImageSet('mnist', root);
  assert.equal(oddities.length, 1);
  assert.match(
    oddities[0] as string,
    /^further copies of a file of the set, passed over: 1 \(\S*train-images\.idx3-ubyte\.gz\)|\(1\)\.gz\)$/,
  );
  const { files, complete } = await verifyDataSet('mnist', root, [root]);
  // They are no real MNIST: found they are, and their sums are wrong.
  assert.equal(
    files.map(({ state }) => state),
    ['wrong', 'wrong', 'wrong', 'wrong'],
  );
  assert.not.ok(complete);
});

const CLASSES = ['person', 'tvmonitor', 'diningtable', 'cat'] as const;
const number = (value: number): fc.Arbitrary<string> =>
  fc.constantFrom(
    String(value),
    `${value}.0`,
    `${value},0`,
    `${value}.`,
    ` ${value} `,
    value.toExponential(),
    `+${value}`,
  );
const SET = ['1', 'true', 'True', 'TRUE', 'yes', 'Yes', 'y', 't', 'on', '1.0', ' 1 ', '01'];
const NOT_SET = [
  '0',
  'false',
  'False',
  'FALSE',
  'no',
  'No',
  'n',
  'f',
  'off',
  '0.0',
  '',
  ' 0 ',
  'Unspecified',
  undefined,
];

const object = fc
  .record({
    name: fc.constantFrom(...CLASSES),
    difficult: fc.boolean(),
    x: fc.integer({ min: 1, max: 50 }),
    y: fc.integer({ min: 1, max: 30 }),
    w: fc.integer({ min: 0, max: 49 }),
    h: fc.integer({ min: 0, max: 19 }),
  })
  .chain((truth) =>
    fc.record({
      truth: fc.constant(truth),
      flag: fc.constantFrom(...(truth.difficult ? SET : NOT_SET)),
      corners: fc.tuple(number(truth.x), number(truth.y), number(truth.x + truth.w), number(truth.y + truth.h)),
      data: fc.boolean(),
      order: fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
      cornerOrder: fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
      comment: fc.boolean(),
    }),
  );

const annotation = fc.record({
  objects: fc.array(object, { maxLength: 4 }),
  declaration: fc.constantFrom(
    '',
    '<?xml version="1.0"?>',
    '<?xml version="1.0" encoding="ENC"?>',
    "<?xml version='1.0' encoding='ENC' standalone='yes'?>",
  ),
  doctype: fc.constantFrom(
    '',
    '<!DOCTYPE annotation>',
    '<!DOCTYPE annotation [<!ELEMENT annotation (#PCDATA)> <!-- > -->]>',
  ),
  encoding: fc.constantFrom(
    'utf-8',
    'utf-8 bom',
    'utf-16le bom',
    'utf-16be bom',
    'utf-16le',
    'iso-8859-1',
    'latin1 that says utf-8',
  ),
  sizeLast: fc.boolean(),
  wrapped: fc.boolean(),
  tags: fc.constantFrom('', 'CAPITALS', 'prefix'),
  before: fc.constantFrom('', '\n', ' \t'),
  after: fc.constantFrom('', '\r\n', '\u0000\u0000'),
  lineEnds: fc.constantFrom('\n', '\r\n', ''),
  title: fc.constantFrom('a.jpg', 'Straße ü.jpg', 'R&amp;D &#x2603;.jpg'),
});

function writeXml({
  objects,
  declaration,
  doctype,
  encoding,
  sizeLast,
  wrapped,
  tags,
  before,
  after,
  lineEnds,
  title,
}: typeof annotation extends fc.Arbitrary<infer A> ? A : never): Buffer {
  const size = '<size depth="3"><depth>3</depth><height>50</height><width>100</width></size>';
  const listed = objects.map(({ truth, flag, corners, data, order, cornerOrder, comment }) => {
    const [xmin, ymin, xmax, ymax] = corners;
    const coordinates = [
      `<xmin>${xmin}</xmin>`,
      `<ymin>${ymin}</ymin>`,
      `<xmax>${xmax}</xmax>`,
      `<ymax>${ymax}</ymax>`,
    ];
    const parts = [
      `<name lang="en" note="a > b">${data ? `<![CDATA[${truth.name}]]>` : truth.name}</name>`,
      flag === undefined ? '' : flag === '' ? '<difficult/>' : `<difficult>${flag}</difficult>`,
      `<bndbox>${cornerOrder.map((k) => coordinates[k]).join(lineEnds)}</bndbox>`,
      '<pose>Unspecified</pose><truncated>1</truncated>',
      '<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>',
    ];
    return `${comment ? '<!-- <object> a > b </object> -->' : ''}<object id="7">${order.map((k) => parts[k]).join(lineEnds)}</object>`;
  });
  const items = wrapped ? ['<objects>', ...listed, '</objects>'] : listed;
  const tagged = (xml: string): string =>
    xml.replaceAll(/<(\/?)([a-z]+)(?=[\s>/])/g, (_, slash: string, tag: string) =>
      tags === '' ? `<${slash}${tag}` : `<${slash}${tags === 'prefix' ? `v:${tag}` : tag.toUpperCase()}`,
    );
  const name = encoding === 'latin1 that says utf-8' ? 'utf-8' : (encoding.split(' ')[0] as string);
  const head = [declaration.replace('ENC', name.replace(/[lb]e$/, '')), doctype];
  const body = [
    `<filename>${encoding.includes('8859') || encoding.includes('latin1') ? title.replace('ß', 'ss') : title}</filename>`,
    ...(sizeLast ? [...items, size] : [size, ...items]),
  ];
  const annotated = tagged(['<annotation verified="no">', ...body, '</annotation>'].filter(Boolean).join(lineEnds));
  const text = `${before}${[...head, annotated].filter(Boolean).join(lineEnds)}${after}`;
  switch (encoding) {
    case 'utf-8':
      return Buffer.from(text);
    case 'utf-8 bom':
      return Buffer.from(`\uFEFF${text}`);
    case 'utf-16le bom':
      return Buffer.from(`\uFEFF${text}`, 'utf16le');
    case 'utf-16le':
      return Buffer.from(text, 'utf16le');
    case 'utf-16be bom':
      return Buffer.from(`\uFEFF${text}`, 'utf16le').swap16();
    case 'iso-8859-1':
    case 'latin1 that says utf-8':
      return Buffer.from(text, 'latin1');
  }
}

test('an annotation says the same in every spelling, order and encoding that tools write', () => {
  fc.assert(
    fc.property(annotation, (written_) => {
      const { size, objects, odd } = parseAnnotation(decodeText(writeXml(written_)), 'a.xml');
      assert.equal(size, { width: 100, height: 50 });
      assert.equal(odd, []);
      assert.equal(
        objects,
        written_.objects.map(({ truth: { name, difficult, x, y, w, h } }) => ({
          name,
          difficult,
          box: { xmin: x - 1, ymin: y - 1, xmax: x + w, ymax: y + h },
        })),
      );
    }),
    fuzz(400),
  );
});

const jpeg = await sharp(Buffer.alloc(40 * 30 * 3, 99), { raw: { width: 40, height: 30, channels: 3 } })
  .jpeg()
  .toBuffer();
const box = (xmin: number, ymin: number, xmax: number, ymax: number): string =>
  `<bndbox><xmin>${xmin}</xmin><ymin>${ymin}</ymin><xmax>${xmax}</xmax><ymax>${ymax}</ymax></bndbox>`;

test('pictures and annotations by other tools make a set: capitals, endings, lists of Windows, what is left of boxes', async () => {
  const root = place();
  const xml = (body: string, size = '<size><width>40</width><height>30</height></size>'): string =>
    `<annotation>${size}${body}</annotation>`;
  const item = (name: string, corners: string): string => `<object><name>${name}</name>${corners}</object>`;
  for (const name of ['one.jpg', 'two.JPG', 'my dog.jpeg', 'four.jpg', 'six.jpg'])
    put(root, `JPEGImages/${name}`, jpeg);
  put(root, 'JPEGImages/._one.jpg', 'x');
  put(root, 'JPEGImages/five.png', await sharp(jpeg).png().toBuffer());
  put(root, 'Annotations/one.xml', xml(item('TV monitor', box(1, 1, 9, 9))));
  put(
    root,
    'Annotations/two.XML',
    xml(item('Dining_Table', box(9, 9, 1, 1)), '<size><width>0</width><height>0</height></size>'),
  );
  put(root, 'Annotations/my dog.xml', xml(item('dog', box(30, 20, 80, 90)) + item('cat', box(41, 1, 50, 9)), ''));
  put(root, 'Annotations/four.xml', xml('<object><name>cat</name><polygon><x1>1</x1></polygon></object>'));
  put(root, 'Annotations/five.xml', xml(''));
  put(root, 'Annotations/._one.xml', 'x');
  put(root, 'Annotations/classes.txt', 'x');
  put(root, 'ImageSets/Main/train.txt', Buffer.from('\uFEFFone\r\ntwo.jpg  1\r\nmy dog\r\nmissing -1\r\n', 'utf16le'));
  put(root, 'ImageSets/Main/val.txt', '\uFEFFfour\rfive\rsix');
  const set = await loadVocDetection([root]);
  assert.equal([set.train.count, set.test.count], [3, 2]);
  const truths = await Promise.all([0, 1, 2].map(async (k) => (await set.train.read(k)).truths));
  assert.equal(
    truths.map((list) =>
      list.map(({ label, box: { xmin, ymin, xmax, ymax } }) =>
        [label, xmin * 40, ymin * 30, xmax * 40, ymax * 30].map(Math.round),
      ),
    ),
    [[[20, 0, 0, 9, 9]], [[11, 0, 0, 9, 9]], [[12, 29, 19, 40, 30]]],
  );
  assert.equal((await set.test.read(1)).truths, []);
  assert.equal(
    set.oddities.map((said) => said.replaceAll(`${root}/`, '').replace('./', '')),
    [
      'files that macOS, Windows and file managers leave, passed over: 2 (the first: JPEGImages/._one.jpg)',
      'files of another kind, left out: 1 (Annotations/classes.txt)',
      'pictures that are not there, left out: 1 (JPEGImages/missing)',
      'pictures without an annotation, left out: 1 (JPEGImages/six.jpg)',
      "annotations without the picture's size: 2 (the first: Annotations/two.XML)",
      'boxes with their corners exchanged: 1 (Annotations/two.XML)',
      'boxes that are empty, or outside of their picture, left out: 1 (Annotations/my dog.xml)',
      'objects without a box, left out: 1 (Annotations/four.xml)',
      'annotations without an object: 2 (the first: Annotations/four.xml)',
    ],
  );
  put(root, 'Annotations/one.xml', xml(item('unicorn', box(1, 1, 9, 9))));
  assert.match(
    await messageOf(() => loadVocDetection([root])),
    /Annotations\/one\.xml: class "unicorn"; one of VOC's twenty expected/,
  );
});

test('what else is odd about an annotation is read, and counted', () => {
  const read = (body: string): ReturnType<typeof parseAnnotation> =>
    parseAnnotation(`<annotation><size><width>40</width><height>30</height></size>${body}</annotation>`, 'a.xml');
  const cat = `<object><name>cat</name>${box(1, 1, 9, 9)}</object>`;
  const oddOf = (body: string): readonly string[] => read(body).odd;
  for (const text of ['R&D.jpg', 'a&nbsp;b', '&']) {
    assert.equal(oddOf(`<filename>${text}</filename>${cat}`), ['annotations with a bare &, taken as it stands']);
  }
  assert.equal(oddOf(`<filename>R&amp;D &#65; &lt;</filename>${cat}`), []);
  assert.equal(oddOf(`<object><name>cat</name>${box(1, 1, 9, 9)}${box(2, 2, 9, 9)}</object>`), [
    'further boxes of one object, left out',
  ]);
  assert.equal(oddOf(`<object><name>cat</name>${box(0.1, 0.25, 0.5, 1)}</object>`), [
    'boxes in parts of the picture from 0 to 1, read as pixels',
  ]);
  assert.equal(oddOf(`<object><name>cat</name>${box(0, 0, 1, 1)}</object>`), []);
  for (const size of ['<size/>', '<size><width></width><height/></size>', '<size><depth>3</depth></size>']) {
    const { size: found, odd } = parseAnnotation(`<annotation>${size}${cat}</annotation>`, 'a.xml');
    assert.equal([found, odd], [undefined, ["annotations without the picture's size"]]);
  }
});

test('names that are composed otherwise, annotations that have the name of their picture, lists of paths', async () => {
  const body = `<annotation><size><width>40</width><height>30</height></size><object><name>cat</name>${box(1, 1, 9, 9)}</object></annotation>`;
  const [apart, together] = ['cafe\u0301', 'caf\u00e9'];
  for (const [line, picture, xml] of [
    [together, `${apart}.jpg`, `${together}.xml`],
    [apart, `${together}.jpg`, `${apart}.xml`],
    ['a', 'a.jpg', 'a.jpg.xml'],
    ['a.b', 'a.b.jpg', 'a.b.xml'],
    ['JPEGImages/a.jpg', 'a.jpg', 'a.xml'],
    ['C:\\VOC\\JPEGImages\\a b.jpg', 'a b.jpg', 'a b.xml'],
    ['/home/x/a.jpg 1', 'a.jpg', 'a.xml'],
    ['"a",1', 'a.jpg', 'a.xml'],
    ['a.bmp', 'a.jpg', 'a.xml'],
  ] as const) {
    const root = place();
    put(root, `JPEGImages/${picture}`, jpeg);
    put(root, `Annotations/${xml}`, body);
    const all = await loadVocDetection([root]);
    assert.equal([all.train.count, all.oddities], [1, []], picture);
    for (const split of ['train', 'val']) put(root, `ImageSets/Main/${split}.txt`, `${line}\n`);
    const set = await loadVocDetection([root]);
    assert.equal([set.train.count, set.oddities], [1, []], line);
  }
  const root = place();
  put(root, 'JPEGImages/x/a.jpg', jpeg);
  put(root, 'Annotations/x/a.xml', body);
  assert.match(
    await messageOf(() => loadVocDetection([root])),
    /Annotations\/\*\.xml, but folders within, left out: 2/,
  );
});

test("classes are found by folders with WordNet's ids in capitals or before a name, and the images to test by under either name", async () => {
  for (const [first, val] of [
    ['N01440764', 'Val'],
    ['n01440764-tench', 'valid'],
    ['n01440764_tench fish', 'validation'],
  ] as const) {
    const root = place();
    for (const folder of ['train', val]) {
      put(root, `${folder}/${first}/a.JPEG`, picture);
      put(root, `${folder}/n01443537/b.jpg`, picture);
    }
    put(root, `train/n01443537 (1)/b.jpg`, picture);
    put(root, `train/n014405371x/b.jpg`, picture);
    const set = await loadImageSet('imagenet', root);
    assert.equal([set.classes, set.train.count, set.test.count], [['n01440764', 'n01443537'], 2, 2]);
    const out = new Uint8Array(224 * 224 * 3);
    await set.train.images.read(0, 'plain', out);
    assert.equal((set.oddities ?? []).map((said) => said.replace(/ \(.*/, '')).sort(), [
      "folders that no id of WordNet's names, left out: 1",
      'further folders of a class, left out: 1',
    ]);
  }
});

const drawn = fileURLToPath(new URL('../../../shared/data/voc/VOCdevkit/VOC2012', import.meta.url));
test.when(existsSync(drawn), `no ${drawn}`)('real masks are found by capitals, and beside droppings', async () => {
  const root = place();
  const stem = '2007_004189';
  put(root, `JPEGImages/${stem}.JPG`, readFileSync(join(drawn, `JPEGImages/${stem}.jpg`)));
  put(root, `SegmentationClass/${stem}.PNG`, readFileSync(join(drawn, `SegmentationClass/${stem}.png`)));
  put(root, `SegmentationClass/._${stem}.PNG`, 'x');
  const set = await loadVocSegmentation([root]);
  assert.is(set.train.count, 1);
  const { picture: found, mask } = await set.train.read(0);
  assert.equal([found.width, found.height], [mask.width, mask.height]);
});

test.run();
