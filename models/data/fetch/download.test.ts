import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { download } from './download.ts';
import type { Behaviour, TestServer } from '../testing/server.ts';
import { honest, md5, openServer } from '../testing/server.ts';

const test = suite('models/data/fetch/download');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-download-'));
let server: TestServer;
test.before(async () => {
  server = await openServer();
});
test.after(async () => {
  await server.close();
  rmSync(scratch, { recursive: true, force: true });
});

const bytes = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => Math.imul(i, 2654435761) >>> 24));
const file = { name: 'set.bin', urls: [], bytes: bytes.length, md5: md5(bytes) };
const patience = { stall: 300, pauses: [1, 1] };
let count = 0;

interface Outcome {
  readonly message: string;
  readonly target: string;
  readonly asked: readonly string[];
}

/** Downloads from paths that behave as said, in turn; `before` is what an earlier call left. */
async function attempt(behaviours: readonly Behaviour[], before?: Buffer): Promise<Outcome> {
  const paths = behaviours.map((behaviour) => {
    const path = `/${count++}`;
    server.behave(path, behaviour);
    return path;
  });
  const target = join(scratch, `${count++}.bin`);
  if (before !== undefined) writeFileSync(`${target}.part`, before);
  const first = server.asked.length;
  let message = 'done';
  try {
    await download(file, target, { urls: paths.map((path) => server.base + path), patience, onBytes: () => undefined });
  } catch (error) {
    message = (error as Error).message;
  }
  const asked = server.asked.slice(first).map((line) => line.replace(/^\/\d+ ?/, ''));
  return { message, target, asked };
}

function isWhole({ message, target }: Outcome): void {
  assert.is(message, 'done');
  assert.is(Buffer.compare(readFileSync(target), bytes), 0);
  assert.not.ok(existsSync(`${target}.part`));
  assert.not.ok(existsSync(`${target}.part.tag`));
}

function isNothing({ message, target }: Outcome, pattern: RegExp): void {
  assert.match(message, pattern);
  assert.not.match(message, /\n/);
  assert.not.ok(existsSync(target), 'nothing stands under the name of the file');
}

/** Sends so many bytes of what was asked for and breaks the connection. */
const breaksAfter =
  (bytesSent: number): Behaviour =>
  (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const headers = { etag: `"${md5(bytes)}"`, 'content-length': bytes.length - start };
    const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(start > 0 ? 206 : 200, start > 0 ? { ...headers, ...range } : headers);
    response.write(bytes.subarray(start, start + bytesSent), () => setTimeout(() => response.destroy(), 20));
  };

test('a file comes whole, and its sum holds', async () => {
  const outcome = await attempt([honest(bytes)]);
  isWhole(outcome);
  assert.equal(outcome.asked, ['']);
});

test('a connection that breaks is taken up where it broke, as often as it moves', async () => {
  const outcome = await attempt([breaksAfter(50_000)]);
  isWhole(outcome);
  const from = [50_000, 100_000, 150_000, 200_000, 250_000].map((start) => `bytes=${start}-`);
  assert.equal(outcome.asked, ['', ...from], 'more often than it may fail without a byte');
});

test('what an earlier call left is gone on with, and begun anew when it was of something else', async () => {
  const outcome = await attempt([honest(bytes)], bytes.subarray(0, 123_456));
  isWhole(outcome);
  assert.equal(outcome.asked, ['bytes=123456-']);
  const spoilt = await attempt([honest(bytes)], Buffer.alloc(1000, 7));
  isWhole(spoilt);
  assert.equal(spoilt.asked, ['bytes=1000-', '']);
  // All bytes and more: nothing to ask for until they were looked at.
  isWhole(await attempt([honest(bytes)], bytes));
  isWhole(await attempt([honest(bytes)], Buffer.concat([bytes, bytes])));
});

test('a server that ignores Range sends it all, and all is taken', async () => {
  const ignores: Behaviour = (_request, response) => {
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  };
  isWhole(await attempt([ignores], bytes.subarray(0, 5000)));
});

test('a file that changed on the server between two parts is begun anew', async () => {
  const old = Buffer.alloc(bytes.length, 3);
  const changed: Behaviour = (request, response, n) => {
    if (n > 0) return honest(bytes)(request, response, n);
    response.writeHead(200, { etag: '"old"', 'content-length': old.length });
    response.write(old.subarray(0, 50_000), () => setTimeout(() => response.destroy(), 20));
    return undefined;
  };
  const outcome = await attempt([changed]);
  isWhole(outcome);
  assert.equal(outcome.asked, ['', 'bytes=50000-'], 'the tag tells the server at once');
});

test('a server that answers another range than was asked for is not believed', async () => {
  const shifted: Behaviour = (request, response, n) => {
    if (request.headers.range === undefined) return honest(bytes)(request, response, n);
    response.writeHead(206, { 'content-range': `bytes 7-${bytes.length - 1}/${bytes.length}` }).end(bytes.subarray(7));
    return undefined;
  };
  isWhole(await attempt([shifted], bytes.subarray(0, 5000)));
});

test('a wrong sum leaves nothing, at every address, and says both sums', async () => {
  const other = Buffer.alloc(bytes.length, 1);
  const outcome = await attempt([honest(other), honest(other)]);
  isNothing(outcome, new RegExp(`its md5 sum is ${md5(other)}, published is ${file.md5}; it was thrown away; http`));
  assert.not.ok(existsSync(`${outcome.target}.part`));
  isWhole(await attempt([honest(other), honest(bytes)]));
});

test('lengths that are not the published ones are refused, said or sent', async () => {
  const says: Behaviour = (_request, response) => response.writeHead(200, { 'content-length': 5 }).end('hello');
  isNothing(await attempt([says]), /it is of 5 bytes there; 300,000 are published/);
  const sends: Behaviour = (_request, response) => {
    response.writeHead(200);
    // Chunked, without an end.
    const more = (): void => {
      if (!response.destroyed) response.write(bytes, () => setImmediate(more));
    };
    more();
  };
  const outcome = await attempt([sends]);
  isNothing(outcome, /it sends more than the 300,000 bytes published/);
  isWhole(await attempt([sends, honest(bytes)]));
  const short: Behaviour = (_request, response) => response.writeHead(200).end(bytes.subarray(0, 1000));
  isNothing(await attempt([short]), /it ended after 1,000 of 300,000 bytes/);
});

test('the next address is asked when one has nothing; what fails for a while is asked again', async () => {
  const missing: Behaviour = (_request, response) => response.writeHead(404).end();
  const outcome = await attempt([missing, honest(bytes)]);
  isWhole(outcome);
  assert.is(outcome.asked.length, 2);
  isNothing(await attempt([missing]), /^set\.bin could not be downloaded: http:\S+: HTTP status 404$/);
  const busy: Behaviour = (request, response, n) => {
    if (n < 2) response.writeHead(503).end();
    else honest(bytes)(request, response, n);
  };
  isWhole(await attempt([busy]));
  const broken: Behaviour = (_request, response) => response.writeHead(500).end();
  const failed = await attempt([broken]);
  isNothing(failed, /HTTP status 500/);
  assert.is(failed.asked.length, 3, 'the first, and one for each pause');
});

test('redirects are followed, loops of them are not', async () => {
  server.behave('/goal', honest(bytes));
  const to =
    (location: string): Behaviour =>
    (_request, response) =>
      response.writeHead(302, { location }).end();
  isWhole(await attempt([to('/goal')]));
  server.behave('/loop', to('/loop'));
  isNothing(await attempt([to('/loop')]), /more than 5 redirects/);
  isNothing(await attempt([to('file:///etc/passwd')]), /cannot speak file:/);
  isNothing(await attempt([to('http://[')]), /a redirect to nowhere/);
});

test('a server that stalls is given up, and what it had sent is kept for the next', async () => {
  const stalls: Behaviour = (request, response) => {
    if (request.headers.range !== undefined) return;
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, 1000));
  };
  isNothing(await attempt([stalls]), /nothing came for 0\.3 s/);
  const outcome = await attempt([stalls, honest(bytes)]);
  isWhole(outcome);
  assert.is(outcome.asked.at(-1), 'bytes=1000-');
});

test('no server at all is said as such', async () => {
  const target = join(scratch, 'none');
  const urls = ['http://127.0.0.1:1/x'];
  let message = '';
  try {
    await download(file, target, { urls, patience, onBytes: () => undefined });
  } catch (error) {
    message = (error as Error).message;
  }
  assert.match(message, /^set\.bin could not be downloaded: http:\/\/127\.0\.0\.1:1\/x: .*ECONNREFUSED/);
});

test.run();
