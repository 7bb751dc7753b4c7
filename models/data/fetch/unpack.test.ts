import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import type { TarEntry, ZipEntry } from '../testing/archives.ts';
import { tar, zip } from '../testing/archives.ts';
import type { UnpackLimits } from './unpack.ts';
import { entryPath, unpackTar, unpackZip } from './unpack.ts';

const test = suite('models/data/fetch/unpack');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-unpack-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));
const seed = Number(process.env['LRD_SEED'] ?? 20260422);

const LIMITS: UnpackLimits = { bytes: 100_000, files: 50 };
const body = Buffer.from('hello');
let count = 0;

interface Outcome {
  readonly message: string;
  /** What is in the folder that was unpacked to. */
  readonly files: readonly string[];
  readonly into: string;
}

/** Unpacks into a folder of its own; whatever happens, nothing may appear beside it. */
async function outcome(bytes: Buffer, unpack: typeof unpackTar, limits = LIMITS): Promise<Outcome> {
  const place = join(scratch, String(count++));
  const into = join(place, 'into');
  mkdirSync(place);
  const archive = join(place, 'archive');
  writeFileSync(archive, bytes);
  let message = 'done';
  try {
    await unpack(archive, into, limits);
  } catch (error) {
    ({ message } = error as Error);
    assert.is((error as Error).name, 'JobError', message);
    assert.ok(message.startsWith(`${archive}: `), message);
    assert.not.match(message, /\n/);
  }
  assert.equal(readdirSync(place).sort(), ['archive', 'into'], 'nothing beside the folder');
  const files = (readdirSync(into, { recursive: true }) as string[]).filter((name) =>
    statSync(join(into, name)).isFile(),
  );
  return { message, files: files.sort(), into };
}

const ofTar = (entries: readonly TarEntry[], limits?: UnpackLimits): Promise<Outcome> =>
  outcome(tar(entries), unpackTar, limits);
const ofZip = (entries: readonly ZipEntry[], limits?: UnpackLimits): Promise<Outcome> =>
  outcome(zip(entries), unpackZip, limits);

test('files and folders are unpacked, from a tar, a gzipped tar and a zip, with their sums', async () => {
  const sha = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
  const entries = [
    { name: 'top/', type: '5' },
    { name: './top/a.txt', body },
    { name: 'top/deep/er/b.txt', body: Buffer.alloc(0) },
  ];
  for (const bytes of [tar(entries), gzipSync(tar(entries))]) {
    const { message, files, into } = await outcome(bytes, unpackTar);
    assert.is(message, 'done');
    assert.equal(files, ['top/a.txt', 'top/deep/er/b.txt']);
    assert.is(readFileSync(join(into, 'top/a.txt'), 'utf8'), 'hello');
  }
  const packed = [
    { name: 'top/', mode: 0o040755 },
    { name: 'top/a.txt', body },
    { name: 'b.txt', body, mode: 0 },
  ];
  const { message, files } = await ofZip(packed);
  assert.is(message, 'done');
  assert.equal(files, ['b.txt', 'top/a.txt']);
  const archive = join(scratch, 'sums.zip');
  writeFileSync(archive, zip(packed));
  assert.equal(await unpackZip(archive, join(scratch, 'sums'), LIMITS), {
    files: [
      { path: 'top/a.txt', sha256: sha },
      { path: 'b.txt', sha256: sha },
    ],
    passedOver: 0,
  });
});

const HOSTILE = [
  '../evil',
  'a/../../evil',
  '/tmp/evil',
  'a/..',
  'C:\\evil',
  'c:/evil',
  '..\\evil',
  'a\\b',
  'a\u0001b',
  '..',
  'x'.repeat(300),
];

test('a path that leads out of the folder is refused, in a tar and in a zip', async () => {
  for (const name of HOSTILE) {
    for (const { message, files } of [
      await ofTar([{ name: name.slice(0, 99), body }]),
      await ofZip([{ name, body }]),
      await ofTar([{ name: `${name.slice(0, 90)}/`, type: '5' }]),
    ]) {
      // yauzl refuses some by itself, in words of its own.
      // In a zip a backslash is Windows' slash.
      if (name.length < 100 && !(name === 'a\\b' && message === 'done'))
        assert.match(
          message,
          /which is no path below a folder|invalid relative path|absolute path|invalid characters/,
          name,
        );
      assert.equal(
        files.filter((file) => file.includes('evil')),
        [],
      );
    }
  }
  assert.not.ok(existsSync('/tmp/evil'));
});

test('whatever name is accepted stays below the folder', () => {
  const segment = fc.oneof(fc.constantFrom('..', '.', '', 'a', '\\', 'C:', '\u0000', '~'), fc.string({ maxLength: 4 }));
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
      const name = segments.join('/');
      let path: string;
      try {
        path = entryPath(name);
      } catch (error) {
        assert.match((error as Error).message, /which is no path below a folder/);
        return;
      }
      const joined = join('/root/into', path);
      assert.ok(joined.startsWith('/root/into/') && joined.length > '/root/into/'.length, name);
      assert.not.ok(path.includes('\\') || path.includes('\u0000'));
    }),
    { seed, numRuns: 2000, includeErrorInReport: true },
  );
});

test('archives made on macOS and Windows: second forks and thumbnails are passed over, backslashes are slashes', async () => {
  const entries = [
    { name: 'set/a.txt', body },
    { name: 'set/._a.txt', body },
    { name: '__MACOSX/set/._a.txt', body },
    { name: 'set/.DS_Store', body },
    { name: 'set/Thumbs.db', body },
    { name: 'set/sub/desktop.ini', body },
    { name: 'set/sub/b.txt', body },
  ];
  for (const made of [await ofTar(entries), await ofZip(entries)]) {
    assert.is(made.message, 'done');
    assert.equal(made.files, ['set/a.txt', 'set/sub/b.txt']);
  }
  const windows = entries.map(({ name }) => ({ name: name.replaceAll('/', '\\'), body, mode: 0 }));
  assert.equal((await ofZip(windows)).files, ['set/a.txt', 'set/sub/b.txt']);
  const archive = join(scratch, 'mac.tar');
  writeFileSync(archive, tar(entries));
  assert.is((await unpackTar(archive, join(scratch, 'mac'), LIMITS)).passedOver, 5);
});

test('links, devices and pipes are refused, and so is what would be written through a link', async () => {
  const kinds: readonly (readonly [string, RegExp])[] = [
    ['1', /a hard link "trap"/],
    ['2', /a symbolic link "trap"/],
    ['3', /a device "trap"/],
    ['4', /a device "trap"/],
    ['6', /a pipe "trap"/],
  ];
  for (const [type, pattern] of kinds) {
    const { message, files } = await ofTar([
      { name: 'first', body },
      { name: 'trap', type, link: type < '3' ? '/tmp' : '' },
      { name: 'trap/evil', body },
    ]);
    assert.match(message, pattern);
    assert.equal(files, ['first'], 'nothing after it');
  }
  assert.match((await ofZip([{ name: 'trap', body, mode: 0o120777 }])).message, /a symbolic link "trap"/);
  assert.match((await ofZip([{ name: 'trap', body, mode: 0o020666 }])).message, /a special file "trap"/);
  assert.match((await ofZip([{ name: 'trap/', mode: 0o120777 }])).message, /a symbolic link "trap\/"/);
});

test('an entry that comes twice, or takes a file for a folder, is refused', async () => {
  assert.match(
    (
      await ofTar([
        { name: 'a', body },
        { name: './a', body },
      ])
    ).message,
    /the archive has a twice/,
  );
  assert.match(
    (
      await ofTar([
        { name: 'a', body },
        { name: 'a/b', body },
      ])
    ).message,
    /a: cannot be made/,
  );
  assert.match(
    (
      await ofZip([
        { name: 'a', body },
        { name: 'a', body },
      ])
    ).message,
    /the archive has a twice/,
  );
});

test('bombs are stopped: by bytes, by the number of entries, by bytes that belong to no file', async () => {
  const zeros = Buffer.alloc(90_000);
  const big = await ofTar([
    { name: 'a', body: zeros },
    { name: 'b', body: zeros },
  ]);
  assert.match(big.message, /unpacks to more than 100,000 bytes/);
  const bomb = gzipSync(tar([{ name: 'a', body: Buffer.alloc(20_000_000) }]));
  assert.ok(bomb.length < 30_000);
  const stopped = await outcome(bomb, unpackTar);
  assert.match(stopped.message, /unpacks to more than 100,000 bytes/);
  assert.ok(statSync(join(stopped.into, 'a')).size <= 100_000);
  const many = Array.from({ length: 101 }, (_, i) => ({ name: `f${i}`, body }));
  assert.match((await ofTar(many)).message, /more than 100 entries/);
  assert.match((await ofZip(many)).message, /more than 100 entries/);
  assert.match(
    (await ofZip([{ name: 'a', body: Buffer.alloc(20_000_000) }])).message,
    /unpacks to more than 100,000 bytes/,
  );
  // After the end of the archive gigabytes of nothing may follow.
  const tail = gzipSync(Buffer.concat([tar([{ name: 'a', body }]), Buffer.alloc(20_000_000)]));
  assert.match((await outcome(tail, unpackTar)).message, /unpacks to more than 100,000 bytes/);
});

test('sizes that are not true, broken sums and broken archives are said', async () => {
  assert.match((await ofZip([{ name: 'a', body, crc: 1 }])).message, /the check sum of a does not hold/);
  assert.match((await ofZip([{ name: 'a', body, size: 3 }])).message, /broken \(too many bytes/);
  assert.match((await ofZip([{ name: 'a', body, size: 9 }])).message, /broken \(not enough bytes/);
  assert.match((await outcome(Buffer.from('no archive at all'), unpackZip)).message, /the archive is broken/);
  assert.match((await outcome(Buffer.alloc(2000, 65), unpackTar)).message, /the archive is broken/);
  const whole = tar([{ name: 'a', body: Buffer.alloc(5000, 1) }]);
  assert.match((await outcome(whole.subarray(0, 3000), unpackTar)).message, /the archive is broken/);
  assert.match((await outcome(gzipSync(whole).subarray(0, 60), unpackTar)).message, /the archive is broken/);
  const damaged = Buffer.from(whole);
  damaged[3] = 99;
  assert.match((await outcome(damaged, unpackTar)).message, /the archive is broken/);
});

test.run();
