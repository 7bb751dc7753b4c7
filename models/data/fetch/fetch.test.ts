import { spawn } from 'node:child_process';
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
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../../conformance/harness/fromSource.ts';
import { suite } from '../../../conformance/harness/suite.ts';
import { loadImageSet } from '../catalogue.ts';
import { digest } from './download.ts';
import { fetchDataSet } from './fetchDataSet.ts';
import type { Publication } from './publications.ts';
import { PUBLICATIONS } from './publications.ts';
import { tar, zip } from '../testing/archives.ts';
import type { Behaviour, TestServer } from '../testing/server.ts';
import { honest, md5, openServer } from '../testing/server.ts';
import { verifyDataSet } from './verifyDataSet.ts';

const test = suite('models/data/fetch');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-fetch-'));
let server: TestServer;
test.before(async () => {
  server = await openServer();
});
test.after(async () => {
  await server.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** A CIFAR-10 of three records a file. */
const cifarFiles = ['data_batch_1', 'data_batch_2', 'data_batch_3', 'data_batch_4', 'data_batch_5', 'test_batch'].map(
  (stem, k) => ({
    name: `cifar-10-batches-bin/${stem}.bin`,
    body: Buffer.from(Uint8Array.from({ length: 3 * 3073 }, (_, i) => (i % 3073 === 0 ? k : (i * (k + 3)) % 256))),
  }),
);
const cifarArchive = gzipSync(tar([{ name: 'cifar-10-batches-bin/', type: '5' }, ...cifarFiles]));

function publication(
  name: string,
  files: readonly { name: string; bytes: Buffer; archive?: 'tar' | 'zip'; md5?: string }[],
): Publication {
  return {
    name,
    title: '',
    homepage: '',
    licence: '',
    size: 0,
    files: files.map((file) => ({
      name: file.name,
      urls: [`${server.base}/publisher/${name}/${file.name}`],
      bytes: file.bytes.length,
      md5: file.md5 ?? md5(file.bytes),
      ...(file.archive === undefined ? {} : { archive: file.archive, limits: { bytes: 1e6, files: 100 } }),
    })),
  };
}

interface Outcome {
  readonly message: string;
  readonly folder: string;
  readonly lines: readonly string[];
}

async function fetch(published: Publication, folder: string, mirror?: string): Promise<Outcome> {
  const lines: string[] = [];
  let message = 'done';
  try {
    await fetchDataSet(published.name, {
      folder,
      mirror,
      publications: [published],
      patience: { stall: 300, pauses: [1] },
      progress: { bytes: () => undefined, line: (text) => lines.push(text) },
    });
  } catch (error) {
    ({ message } = error as Error);
  }
  return { message, folder, lines };
}

const place = (): string => mkdtempSync(join(scratch, 'place-'));

test('a set is fetched, unpacked, and there in one step with the sums of its files; again costs nothing', async () => {
  const set = publication('cifar10', [{ name: 'cifar-10-binary.tar.gz', bytes: cifarArchive, archive: 'tar' }]);
  server.behave('/publisher/cifar10/cifar-10-binary.tar.gz', honest(cifarArchive));
  const { message, folder } = await fetch(set, place());
  assert.is(message, 'done');
  assert.equal(readdirSync(folder), ['cifar10'], 'no download and no staging folder is left');
  assert.equal(readdirSync(join(folder, 'cifar10')).sort(), ['SHA256SUMS', 'cifar-10-batches-bin']);
  const sums = readFileSync(join(folder, 'cifar10', 'SHA256SUMS'), 'utf8')
    .trim()
    .split('\n');
  assert.is(sums.length, 6);
  for (const line of sums) {
    const [sum, file] = line.split('  ') as [string, string];
    assert.is(await digest(join(folder, 'cifar10', file), 'sha256'), sum);
  }
  const loaded = await loadImageSet('cifar10', folder);
  assert.equal([loaded.train.count, loaded.test.count], [15, 3]);
  assert.is(loaded.remark, 'a part of the set: 15 of 50,000 training images and 3 of 10,000 test images');
  const asked = server.asked.length;
  const again = await fetch(set, folder);
  assert.is(again.message, 'done');
  assert.match(again.lines[0] ?? '', /cifar10 is in .*cifar10 already/);
  assert.is(server.asked.length, asked);
});

test('files that are no archives lie as they were published, and a mirror is asked instead of the publisher', async () => {
  const parts = ['images', 'labels'].map((stem) => ({ name: `${stem}.gz`, bytes: gzipSync(stem) }));
  for (const { name, bytes } of parts) server.behave(`/mirror/base/mnist/${name}`, honest(bytes));
  const asked = server.asked.length;
  const { message, folder } = await fetch(publication('mnist', parts), place(), `${server.base}/mirror/base/`);
  assert.is(message, 'done');
  assert.equal(server.asked.slice(asked), ['/mirror/base/mnist/images.gz', '/mirror/base/mnist/labels.gz']);
  assert.equal(readdirSync(join(folder, 'mnist')).sort(), ['SHA256SUMS', 'images.gz', 'labels.gz']);
  const wrong = await fetch(publication('mnist', parts), place(), 'ftp://somewhere');
  assert.match(wrong.message, /LRD_DATA_MIRROR must be an http or https address, got "ftp:\/\/somewhere"/);
});

test('a fetch that broke off goes on where it was, and keeps what was whole', async () => {
  const [first, second] = [Buffer.alloc(5000, 1), Buffer.alloc(100_000, 2)];
  const set = publication('mnist', [
    { name: 'first', bytes: first },
    { name: 'second', bytes: second },
  ]);
  server.behave('/publisher/mnist/first', honest(first));
  server.behave('/publisher/mnist/second', (request, response, n) => {
    if (n === 0) {
      response.writeHead(200, { 'content-length': second.length });
      response.write(second.subarray(0, 40_000), () => setTimeout(() => response.destroy(), 20));
    } else if (n < 3) response.destroy();
    else honest(second)(request, response, n);
  });
  const broken = await fetch(set, place());
  assert.match(broken.message, /^second could not be downloaded: http/);
  assert.not.ok(existsSync(join(broken.folder, 'mnist')), 'no half of a set');
  const asked = server.asked.length;
  assert.is((await fetch(set, broken.folder)).message, 'done');
  assert.equal(server.asked.slice(asked), ['/publisher/mnist/second bytes=40000-']);
  assert.is(Buffer.compare(readFileSync(join(broken.folder, 'mnist', 'second')), second), 0);
});

test('whatever goes wrong, no set and nothing of one is left in its place', async () => {
  const hostile: readonly (readonly [string, Buffer, 'tar' | 'zip', RegExp])[] = [
    [
      'dots',
      tar([
        { name: 'good', body: Buffer.from('x') },
        { name: '../evil', body: Buffer.from('x') },
      ]),
      'tar',
      /no path below a folder/,
    ],
    ['link', tar([{ name: 'l', type: '2', link: '/etc' }]), 'tar', /a symbolic link/],
    ['bomb', gzipSync(tar([{ name: 'b', body: Buffer.alloc(5e6) }])), 'tar', /unpacks to more than 1,000,000 bytes/],
    ['device', tar([{ name: 'd', type: '3' }]), 'tar', /a device/],
    ['zip', zip([{ name: 'l', mode: 0o120777 }]), 'zip', /a symbolic link/],
    ['broken', Buffer.alloc(3000, 1), 'zip', /the archive is broken/],
  ];
  for (const [name, bytes, archive, pattern] of hostile) {
    server.behave(`/publisher/${name}/archive`, honest(bytes));
    const { message, folder } = await fetch(publication(name, [{ name: 'archive', bytes, archive }]), place());
    assert.match(message, pattern);
    assert.equal(readdirSync(folder), [`.${name}.fetch`]);
  }
  assert.not.ok(existsSync(join(scratch, 'evil')));
  const lies = publication('lies', [{ name: 'file', bytes: Buffer.alloc(100, 1), md5: '0'.repeat(32) }]);
  server.behave('/publisher/lies/file', honest(Buffer.alloc(100, 1)));
  const lied = await fetch(lies, place());
  assert.match(lied.message, /its md5 sum is [0-9a-f]{32}, published is 0{32}/);
  assert.not.ok(existsSync(join(lied.folder, 'lies')));
});

test('what is in the place of a set and was not fetched is not touched', async () => {
  const folder = place();
  mkdirSync(join(folder, 'cifar10'));
  writeFileSync(join(folder, 'cifar10', 'mine'), 'x');
  const set = publication('cifar10', [{ name: 'cifar-10-binary.tar.gz', bytes: cifarArchive, archive: 'tar' }]);
  assert.match((await fetch(set, folder)).message, /there is something that was not fetched; move it away/);
  assert.equal(readdirSync(join(folder, 'cifar10')), ['mine']);
});

test('what needs a login, or nothing at all, says so', async () => {
  const instructions = async (name: string): Promise<string> => {
    try {
      await fetchDataSet(name, { folder: scratch, progress: { bytes: () => undefined, line: () => undefined } });
    } catch (error) {
      return (error as Error).message;
    }
    return 'done';
  };
  assert.match(await instructions('imagenet'), /an account at https:\/\/image-net\.org .* give --data-dir DIR$/);
  assert.match(await instructions('digits'), /part of the program/);
  assert.match(await instructions('imagnet'), /NAME must be one of digits, mnist, .*; got "imagnet"/);
});

test('every published file has addresses, a length and an md5 sum, and every archive its limits', () => {
  for (const { name, files } of PUBLICATIONS) {
    for (const { urls, bytes, md5: sum, archive, limits } of files) {
      assert.ok(urls.length > 0 && urls.every((url) => /^https?:\/\//.test(url)), name);
      assert.ok(bytes > 0 && /^[0-9a-f]{32}$/.test(sum), name);
      assert.ok(archive === undefined || (limits !== undefined && limits.bytes > bytes && limits.files > 0), name);
    }
  }
});

test('verify finds what is missing, changed, or too little, by file', async () => {
  const folder = place();
  const set = publication('cifar10', [{ name: 'cifar-10-binary.tar.gz', bytes: cifarArchive, archive: 'tar' }]);
  await fetch(set, folder);
  const states = async (): Promise<string[]> =>
    (await verifyDataSet('cifar10', folder, [folder])).files.map(({ state }) => state);
  assert.equal(await states(), new Array<string>(6).fill('right'));
  const whole = await verifyDataSet('cifar10', folder, [folder]);
  assert.match(whole.count, /a part of the set/);
  assert.is(whole.complete, false, 'right, but not the whole set');
  const bin = join(folder, 'cifar10', 'cifar-10-batches-bin');
  writeFileSync(join(bin, 'data_batch_2.bin'), Buffer.alloc(3 * 3073, 1));
  assert.equal(await states(), ['right', 'wrong', 'right', 'right', 'right', 'right']);
  rmSync(join(bin, 'test_batch.bin'));
  assert.equal(await states(), ['right', 'wrong', 'right', 'right', 'right', 'missing']);
  assert.match((await verifyDataSet('cifar10', folder, [folder])).count, /test_batch\.bin: no such file or folder/);
  const nowhere = await verifyDataSet('cifar100', folder, [folder]);
  assert.is(nowhere.complete, false);
  assert.match(
    nowhere.count,
    /no train\.bin or cifar-100-binary\.tar\.gz in .*; name its folder with --data-dir, or get it with: lrd data fetch cifar100/,
  );
});

const samples = process.env['LRD_DATA'] ?? fileURLToPath(new URL('../../../../shared/data', import.meta.url));
const real = existsSync(join(samples, 'mnist'));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `lrd data ...`; the server of these tests answers meanwhile. `killAfter` ends it once the file has so many bytes. */
function lrd(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  kill?: { path: string; bytes: number },
): Promise<Ended> {
  const program = fileURLToPath(new URL('../../cli/lrd.ts', import.meta.url));
  const child = spawn(process.execPath, [...FROM_SOURCE, program, 'data', ...args], {
    env: { ...process.env, ...env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const watch = setInterval(() => {
    if (kill !== undefined && existsSync(kill.path) && statSync(kill.path).size >= kill.bytes) child.kill('SIGKILL');
  }, 5);
  return new Promise((resolve) =>
    child.on('close', (status) => {
      clearInterval(watch);
      resolve({ status, stdout, stderr });
    }),
  );
}

test.when(real, `no ${samples}/mnist`)(
  'the command fetches the real MNIST from a mirror, killed on the way and called again, and verifies it',
  async () => {
    const folder = place();
    for (const name of readdirSync(join(samples, 'mnist'))) {
      const bytes = readFileSync(join(samples, 'mnist', name));
      // The largest comes in two halves, with a pause that only a kill ends.
      const halves: Behaviour = (request, response, n) => {
        if (n > 0) return honest(bytes)(request, response, n);
        response.writeHead(200, { 'content-length': bytes.length });
        response.write(bytes.subarray(0, 5_000_000));
        return undefined;
      };
      server.behave(`/real/mnist/${name}`, bytes.length > 5_000_000 ? halves : honest(bytes));
    }
    const env = { LRD_DATA_MIRROR: `${server.base}/real` };
    const part = join(folder, '.mnist.fetch', 'train-images-idx3-ubyte.gz.part');
    const killed = await lrd(['fetch', 'mnist', '--data-dir', folder], env, { path: part, bytes: 5_000_000 });
    assert.is(killed.status, null, killed.stderr);
    assert.equal(readdirSync(folder), ['.mnist.fetch']);
    const from = server.asked.length;
    const fetched = await lrd(['fetch', 'mnist', '--data-dir', folder], env);
    assert.is(fetched.status, 0, fetched.stderr);
    assert.is(fetched.stdout, `${join(folder, 'mnist')}\n`);
    assert.is(server.asked[from], '/real/mnist/train-images-idx3-ubyte.gz bytes=5000000-');
    assert.equal(readdirSync(folder), ['mnist']);
    const good = await lrd(['verify', 'mnist', '--data-dir', folder]);
    assert.is(good.status, 0, good.stderr);
    assert.is(good.stdout.match(/^right {4}.* sha256 [0-9a-f]{64}$/gm)?.length, 4);
    assert.match(good.stdout, /count {4}60,000 training and 10,000 test images/);
    assert.match((await lrd(['list', '--data-dir', folder])).stdout, /^mnist +11\.6 MB +\S+\/mnist +MNIST: 70,000/m);
    rmSync(join(folder, 'mnist', 't10k-labels-idx1-ubyte.gz'));
    const bad = await lrd(['verify', 'mnist', '--data-dir', folder]);
    assert.is(bad.status, 1);
    assert.match(bad.stdout, /^missing .*t10k-labels/m);
    assert.match(bad.stderr, /^lrd: data set mnist in .* is not complete and right\n$/);
  },
  { timeout: 120 },
);

test.when(real, `no ${samples}/mnist`)('files that were not fetched are checked by the published sums', async () => {
  const { files, complete, count } = await verifyDataSet('mnist', samples, [samples]);
  assert.equal(
    files.map(({ state, detail }) => `${state} ${detail.slice(0, 4)}`),
    new Array<string>(4).fill('right md5 '),
  );
  assert.is(complete, true);
  assert.is(count, '60,000 training and 10,000 test images');
});

test(
  'a wrong call is one line and exit code 2, a place that cannot be made exit code 1',
  async () => {
    const wrong = await Promise.all([lrd(['verify']), lrd(['fetsch', 'mnist']), lrd(['list', 'mnist'])]);
    assert.equal(
      wrong.map(({ status }) => status),
      [2, 2, 2],
    );
    assert.match(wrong[0]?.stderr ?? '', /^lrd: lrd data verify needs a NAME: digits, mnist, .*\n$/);
    const file = join(scratch, 'file');
    writeFileSync(file, '');
    const { status, stderr } = await lrd(['fetch', 'mnist', '--data-dir', file]);
    assert.is(status, 1);
    assert.match(stderr, /^lrd: \S+\.mnist\.fetch: cannot be made \(ENOTDIR\)\n$/);
  },
  { timeout: 120 },
);

test.run();
