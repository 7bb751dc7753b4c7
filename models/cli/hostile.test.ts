/** Files made to take memory or time without end: each is one line, and no process that reads them all needs 1.5 GB. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync, gzipSync } from 'node:zlib';
import sharp from 'sharp';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { tar, zip } from '../data/testing/archives.ts';
import type { Hostile, Outcome } from './testing/readHostile.ts';

const test = suite('models/cli/hostile');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-hostile-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const MEGABYTES = 1500;

interface Case extends Hostile {
  readonly says: RegExp;
}

const cases: Case[] = [];
let count = 0;

/** A file, or one within a folder that is read as a whole. */
function add(kind: Hostile['kind'], name: string, body: Uint8Array | string, says: RegExp, whole = ''): string {
  const root = join(scratch, String(count++));
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, body);
  cases.push({ kind, path: whole === '' ? path : root, says });
  return path;
}

/** Makes a file as long as it is to be, without taking the disk. */
const stretch = (path: string, size: number): void => truncateSync(path, size);

const ZEROS = 20_000_000;
const zeroPiece = gzipSync(Buffer.alloc(ZEROS), { level: 1 });

/** A gzip stream of zeros: members one after the other are one stream. */
function zeros(bytes: number, head: Uint8Array = new Uint8Array()): Buffer {
  return Buffer.concat([gzipSync(head), ...Array.from({ length: bytes / ZEROS }, () => zeroPiece)]);
}

function idxHead(...extents: readonly number[]): Buffer {
  const head = Buffer.alloc(4 + 4 * extents.length);
  head.writeUInt32BE(0x0800 + extents.length, 0);
  extents.forEach((extent, axis) => head.writeUInt32BE(extent, 4 + 4 * axis));
  return head;
}

function chunk(type: string, body: Uint8Array): Buffer {
  const framed = Buffer.concat([Buffer.alloc(4), Buffer.from(type, 'latin1'), body, Buffer.alloc(4)]);
  framed.writeUInt32BE(body.length, 0);
  framed.writeUInt32BE(crc32(framed.subarray(4, -4)), framed.length - 4);
  return framed;
}

/** A PNG whose header says what it likes, above a stream of zeros. */
function png(width: number, height: number, depth: number, colour: number, raw: number, interlaced = 0): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlaced], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    ...(colour === 3 ? [chunk('PLTE', Buffer.alloc(768))] : []),
    chunk('IDAT', deflateSync(Buffer.alloc(raw), { level: 1 })),
    chunk('IEND', new Uint8Array()),
  ]);
}

/** A small JPEG that says it is larger. */
async function jpegSaying(width: number, height: number, progressive: boolean): Promise<Buffer> {
  const bytes = await sharp(Buffer.alloc(64 * 64 * 3, 9), { raw: { width: 64, height: 64, channels: 3 } })
    .jpeg({ progressive })
    .toBuffer();
  const frame = bytes.indexOf(Buffer.from([0xff, progressive ? 0xc2 : 0xc0]));
  bytes.writeUInt16BE(height, frame + 5);
  bytes.writeUInt16BE(width, frame + 7);
  return bytes;
}

/** A MAT-file's data element. */
function element(type: number, body: Uint8Array, says = body.length): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(says, 4);
  return Buffer.concat([head, body, Buffer.alloc(type === 15 ? 0 : (8 - (body.length % 8)) % 8)]);
}

const ints = (...values: readonly number[]): Buffer => Buffer.from(Int32Array.from(values).buffer);
function matrix(kind: number, extents: readonly number[], name: string, ...rest: readonly Buffer[]): Buffer {
  return element(
    14,
    Buffer.concat([element(6, ints(kind, 0)), element(5, ints(...extents)), element(1, Buffer.from(name)), ...rest]),
  );
}

function mat(...elements: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(128, ' ');
  head.writeUInt16LE(0x0100, 124);
  head.write('IM', 126, 'latin1');
  return Buffer.concat([head, ...elements]);
}

const struct = (names: Buffer, length: number, ...fields: readonly Buffer[]): Buffer =>
  matrix(2, [1, 1], 'GTcls', element(5, ints(length)), element(1, names), ...fields);
const packed = (body: Buffer): Buffer => element(15, deflateSync(body, { level: 1 }));
const named = Buffer.from('Segmentation\0\0\0\0');

/** A tar header that says what it likes. */
function tarSaying(name: string, type: string, size: number): Buffer {
  return tar([{ name, type, size, body: Buffer.alloc(0) }]);
}

const BATCH = 'data_batch_1.bin';

test(
  'hostile files of every kind are one line each, in seconds, and in less than 1.5 GB',
  async () => {
    // idx
    add('idx', 'zeros.gz', zeros(3_000_000_000), /expected 47040016 bytes of 60000 x 28 x 28 once unpacked/);
    add('idx', 'long.gz', zeros(200_000_000, idxHead(60_000, 28, 28)), /expected 47040016 bytes/);
    add('idx', 'more', idxHead(0xffffffff, 0xffffffff, 0xffffffff), /its header says 4294967295 x/);
    stretch(add('idx', 'stretched', idxHead(60_000, 28, 28), /has 5\.00 GB, such a file has at most 47\.2 MB/), 5e9);
    // MAT
    add('mat', 'declared.mat', mat(struct(named, 16, matrix(9, [30_000, 30_000], '', element(2, Buffer.alloc(8))))), /is said to have 30000 x 30000 values/); // prettier-ignore
    add('mat', 'names.mat', mat(packed(struct(Buffer.alloc(32_000_000), 1))), /fields/);
    add('mat', 'none.mat', mat(struct(named, 0)), /GTcls/);
    add('mat', 'negative.mat', mat(struct(named, -1)), /GTcls/);
    add('mat', 'bomb.mat', mat(packed(Buffer.alloc(60_000_000))), /unpacked/);
    add('mat', 'many.mat', mat(...new Array<Buffer>(300).fill(packed(matrix(9, [1, 1], 'x', element(2, Buffer.alloc(30_000_000)))))), /unpack/); // prettier-ignore
    add('mat', 'beyond.mat', mat(element(14, Buffer.alloc(16), 0xfffffff0)), /cut short/);
    add('mat', 'values.mat', mat(packed(struct(named, 16, matrix(9, [5000, 6000], '', element(2, Buffer.alloc(30_000_000)))))), /is said to have 5000 x 6000 values/); // prettier-ignore
    // Masks
    add('mask', 'declared.png', png(0x7fffffff, 0x7fffffff, 8, 3, 100), /a mask of at most/);
    add('mask', 'flat.png', png(0x7fffffff, 1, 1, 0, 100), /a mask of at most/);
    add('mask', 'bomb.png', png(10, 10, 8, 3, 60_000_000), /cannot be unpacked/);
    add('mask', 'short.png', png(4000, 4000, 8, 3, 100), /100 bytes of pixels; 16004000 expected/);
    // Pictures
    for (const kind of ['picture', 'tiny', 'middle'] as const) {
      for (const progressive of [false, true]) {
        add(kind, 'declared.jpg', await jpegSaying(65_500, 65_500, progressive), /pixel|cannot be decoded/);
        add(kind, 'large.jpg', await jpegSaying(8000, 8000, progressive), kind === 'middle' ? /^read$|cannot be decoded/ : /pixel|expected/); // prettier-ignore
      }
      add(kind, 'declared.png', png(0x7fffffff, 0x7fffffff, 8, 2, 100), /cannot be decoded/);
      add(kind, 'large.png', png(30_000, 30_000, 1, 0, 3751 * 30_000), /pixel/);
      add(kind, 'thin.png', png(1, 60_000, 8, 0, 120_000), kind === 'tiny' ? /64 x 64 expected/ : /^read$/);
      add(kind, 'interlaced.png', png(8000, 8000, 8, 2, 100, 1), /pixel|cannot be decoded|expected/);
      add(kind, 'made.gif', Buffer.from('GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;', 'latin1'), /cannot be decoded/); // prettier-ignore
      add(kind, 'drawing.jpg', '<svg xmlns="http://www.w3.org/2000/svg" width="30000" height="30000"/>', /is no JPEG/);
    }
    add('middle', 'clear.png', png(8000, 8000, 8, 4, 16_001 * 8000), /^read$/);
    // Archives
    for (const [type, name] of [
      ['1', 'link'],
      ['2', 'link'],
      ['3', 'device'],
      ['4', 'device'],
      ['5', 'folder'],
      ['6', 'pipe'],
      ['7', 'reserved'],
      ['S', 'sparse'],
      ['x', 'extended'],
      ['g', 'extended for all'],
      ['L', 'long name'],
      ['Z', 'nothing known'],
    ] as const) {
      // prettier-ignore
      for (const size of [0, 4000, 8_000_000_000]) {
      const bytes = tarSaying(BATCH, type, size);
      add('tar', `${name}.tar`, bytes, /: (the archive|device|data_batch)|^read$/);
      add('cifar10', 'cifar10/cifar-10-binary.tar.gz', bytes, /the archive is broken|no data_batch_1\.bin|in it has|[01] bytes; expected/, 'whole');
    }
    }
    add('tar', 'zeros.tar.gz', zeros(300_000_000), /unpacks to more than|broken/);
    add('cifar10', 'cifar10/cifar-10-binary.tar.gz', zeros(300_000_000), /unpacks to more than|broken/, 'whole');
    const small = Buffer.alloc(60_000_000);
    const bomb = Buffer.alloc(160_000_000);
    add(
      'cifar10',
      'cifar10/c.zip',
      zip([{ name: BATCH, body: bomb }]),
      /in it has 160000000 bytes; at most 153/,
      'whole',
    );
    add('cifar10', 'cifar10/c.zip', zip([{ name: BATCH, body: small, size: 3073 }]), /too many bytes/, 'whole');
    add(
      'cifar10',
      'cifar10/c.tgz',
      gzipSync(tar([{ name: BATCH, body: bomb }]), { level: 1 }),
      /in it has 160000000 bytes; at most 153/,
      'whole',
    );
    add('mnist', 'mnist/m.zip', zip([{ name: 'train-images-idx3-ubyte.gz', body: zeros(300_000_000) }]), /expected 47040016 bytes|no train-labels/, 'whole'); // prettier-ignore
    add('zip', 'bomb.zip', zip([{ name: 'a', body: small }]), /unpacks to more than/);
    add('zip', 'lying.zip', zip([{ name: 'a', body: small, size: 10 }]), /too many bytes/);
    // Text
    stretch(add('lines', 'stretched.txt', 'a', /has 5\.00 GB, such a file has at most/), 5e9);
    add('lines', 'long.txt', 'a'.repeat(60_000_000), /^read$/);
    add('xml', 'deep.xml', '<annotation>'.repeat(1_000_000), /elements within elements deeper than 100/);
    add('xml', 'laughs.xml', `<!DOCTYPE annotation [<!ENTITY a "${'b'.repeat(1000)}"><!ENTITY c "${'&a;'.repeat(1000)}">]><annotation>${'&c;'.repeat(1000)}</annotation>`, /undefined entity/); // prettier-ignore
    add('xml', 'outside.xml', '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation>&e;</annotation>', /undefined entity/); // prettier-ignore
    add('xml', 'wide.xml', `<annotation>${'<object/>'.repeat(1_000_000)}</annotation>`, /no <name> in <object>/);
    const annotated = add('voc', 'Annotations/a.xml', 'x', /has 5\.00 GB, such a file has at most 4\.2 MB/, 'whole');
    stretch(annotated, 5e9);
    mkdirSync(join(dirname(annotated), '../JPEGImages'));
    writeFileSync(join(dirname(annotated), '../JPEGImages/a.jpg'), '');
    // Tensors and runs
    const header = Buffer.alloc(8);
    header.writeBigUInt64LE(2n ** 62n);
    add('tensors', 'header.safetensors', header, /its header is said to be/);
    add('run', 'config.json', '['.repeat(4_000_000), /not a run's settings/, 'whole');
    stretch(add('run', 'config.json', '{', /such a file has at most/, 'whole'), 5e9);
    const list = join(scratch, 'cases.json');
    writeFileSync(list, JSON.stringify(cases.map(({ kind, path }) => ({ kind, path }))));
    const reader = fileURLToPath(new URL('testing/readHostile.ts', import.meta.url));
    const { stdout, stderr, status, signal } = spawnSync(
      process.execPath,
      ['--max-old-space-size=700', ...FROM_SOURCE, reader, list],
      { encoding: 'utf8', maxBuffer: 2 ** 26 },
    );
    const outcomes = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Outcome);
    const at = (k: number): string => `${cases[k]?.kind} ${cases[k]?.path.slice(scratch.length)}`;
    assert.equal([status, signal], [0, null], `ended at ${at(outcomes.length)}: ${stderr.slice(0, 500)}`);
    assert.is(outcomes.length, cases.length);
    const wrong = outcomes.flatMap(({ message, isJobError, megabytes }, k) => {
      const fits =
        (cases[k] as Case).says.test(message) && !message.includes('\n') && (message === 'read' || isJobError);
      return fits && megabytes < MEGABYTES ? [] : [`${at(k)}: ${megabytes} MB, ${message}`];
    });
    assert.equal(wrong, []);
    if (process.env['LRD_SHOW'] !== undefined) outcomes.forEach((outcome, k) => console.log(at(k), outcome));
  },
  { timeout: 900 },
);

test.run();
