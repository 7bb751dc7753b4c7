import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import type { IncomingMessage } from 'node:http';
import * as http from 'node:http';
import * as https from 'node:https';
import { JobError } from '../../errors.ts';
import type { PublishedFile } from './publications.ts';

/** How patient a download is. */
export interface Patience {
  /** Milliseconds without a byte after which a connection is given up. */
  readonly stall: number;
  /** Milliseconds of pause before each attempt that follows one without a byte; their number is that of such attempts. */
  readonly pauses: readonly number[];
}

export const PATIENCE: Patience = { stall: 30_000, pauses: [1000, 2000, 5000, 10_000] };

const REDIRECTS = 5;
/** Attempts at one address altogether: a server that gives a byte a time is given up too. */
const ATTEMPTS = 100;

/** Another attempt at this address is of no use. */
class GivenUp extends Error {}

function get(url: URL, headers: Record<string, string>, stall: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { request } = url.protocol === 'https:' ? https : http;
    // A connection of its own: one that an earlier attempt left may be dead.
    const outgoing = request(url, { headers, agent: false }, resolve);
    outgoing.setTimeout(stall, () => outgoing.destroy(new Error(`nothing came for ${stall / 1000} s`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** Follows redirects, never from https to http. */
async function follow(address: string, headers: Record<string, string>, stall: number): Promise<IncomingMessage> {
  let url = new URL(address);
  for (let hop = 0; hop <= REDIRECTS; hop++) {
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new GivenUp(`cannot speak ${url.protocol}`);
    const response = await get(url, headers, stall);
    const { statusCode = 0 } = response;
    const { location } = response.headers;
    if (![301, 302, 303, 307, 308].includes(statusCode)) return response;
    response.destroy();
    if (location === undefined || !URL.canParse(location, url)) throw new GivenUp('a redirect to nowhere');
    const next = new URL(location, url);
    if (url.protocol === 'https:' && next.protocol !== 'https:')
      throw new GivenUp(`a redirect from https to ${next.protocol}`);
    url = next;
  }
  throw new GivenUp(`more than ${REDIRECTS} redirects`);
}

const sizeOfFile = (path: string): number => (existsSync(path) ? statSync(path).size : 0);

interface Attempt {
  readonly file: PublishedFile;
  readonly part: string;
  readonly stall: number;
  readonly onBytes: (done: number) => void;
}

/** What ties a part to the file that it is a part of, as its server says. */
function readTag(part: string): string | undefined {
  return existsSync(`${part}.tag`) ? readFileSync(`${part}.tag`, 'utf8') : undefined;
}

function forget(part: string): void {
  rmSync(part, { force: true });
  rmSync(`${part}.tag`, { force: true });
}

/**
 * Writes what comes as it comes, so that a break loses nothing of what was there. Returns where the part ends.
 * Throws `GivenUp` for more bytes than there can be.
 */
function receive(response: IncomingMessage, { file, part, stall, onBytes }: Attempt, start: number): Promise<number> {
  const handle = openSync(part, start > 0 ? 'a' : 'w');
  let done = start;
  return new Promise<number>((resolve, reject) => {
    response.setTimeout(stall, () => response.destroy(new Error(`nothing came for ${stall / 1000} s`)));
    response.on('data', (chunk: Buffer) => {
      if (response.destroyed) return;
      try {
        if (done + chunk.length > file.bytes) {
          throw new GivenUp(`it sends more than the ${file.bytes.toLocaleString('en')} bytes published`);
        }
        for (let at = 0; at < chunk.length;) at += writeSync(handle, chunk, at);
        done += chunk.length;
        onBytes(done);
      } catch (error) {
        response.destroy(error as Error);
      }
    });
    response.on('end', () => resolve(done));
    response.on('error', reject);
    response.on('close', () => reject(new Error(`the connection broke after ${done.toLocaleString('en')} bytes`)));
  }).finally(() => closeSync(handle));
}

/** Adds to the part what it lacks, from where it ends; from the beginning where the server will not continue. */
async function attempt(address: string, { file, part, stall, onBytes }: Attempt): Promise<void> {
  const have = sizeOfFile(part);
  const tag = readTag(part);
  const headers: Record<string, string> = { 'accept-encoding': 'identity', 'user-agent': 'learning-rate-dropout' };
  if (have > 0) {
    headers['range'] = `bytes=${have}-`;
    if (tag !== undefined) headers['if-range'] = tag;
  }
  const response = await follow(address, headers, stall);
  try {
    const status = response.statusCode ?? 0;
    if (status === 416) {
      forget(part);
      throw new Error('the server has no bytes after those that are here; beginning anew');
    }
    if (status >= 500 || status === 429 || status === 408) throw new Error(`HTTP status ${status}`);
    if (status !== 200 && status !== 206) throw new GivenUp(`HTTP status ${status}`);
    let start = 0;
    let total: number | undefined;
    if (status === 206) {
      const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers['content-range'] ?? '');
      start = Number(range?.[1] ?? NaN);
      if (start !== have) {
        forget(part);
        throw new Error(
          `asked for the bytes from ${have} on, got "${response.headers['content-range'] ?? ''}"; beginning anew`,
        );
      }
      if (range?.[2] !== '*') total = Number(range?.[2]);
    } else if (response.headers['content-length'] !== undefined) {
      total = Number(response.headers['content-length']);
    }
    if (total !== undefined && total !== file.bytes) {
      throw new GivenUp(
        `it is of ${total.toLocaleString('en')} bytes there; ${file.bytes.toLocaleString('en')} are published`,
      );
    }
    const etag = response.headers.etag;
    const mark = etag !== undefined && !etag.startsWith('W/') ? etag : response.headers['last-modified'];
    if (status === 200) forget(part);
    if (mark !== undefined) writeFileSync(`${part}.tag`, mark);
    const done = await receive(response, { file, part, stall, onBytes }, start);
    if (done < file.bytes) {
      throw new Error(`it ended after ${done.toLocaleString('en')} of ${file.bytes.toLocaleString('en')} bytes`);
    }
  } finally {
    response.destroy();
  }
}

/** A file's digest, in hexadecimal. */
export async function digest(path: string, algorithm: 'md5' | 'sha256'): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EFBIG']);

/** Downloads from one address until the part has all its bytes. */
async function persist(address: string, job: Attempt, pauses: readonly number[]): Promise<void> {
  let fruitless = 0;
  for (let count = 0; count < ATTEMPTS; count++) {
    const before = sizeOfFile(job.part);
    if (before >= job.file.bytes) return;
    try {
      await attempt(address, job);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // The disk's fault, not the server's.
      if (code !== undefined && FULL.has(code)) {
        throw new JobError(`${job.part}: cannot be written (${code}); what is there is kept for another call`);
      }
      if (error instanceof GivenUp) throw error;
      fruitless = sizeOfFile(job.part) > before ? 0 : fruitless + 1;
      if (fruitless > pauses.length) throw error;
      const pause = pauses[Math.max(0, fruitless - 1)] ?? 0;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  throw new Error(`given up after ${ATTEMPTS} attempts`);
}

/**
 * Downloads a file to `target`, from each address in turn until the published sum holds. A break leaves `target`.part, which a later
 * call goes on with. Throws a `JobError` that says what happened at each address; then nothing with a wrong sum is left.
 */
export async function download(
  file: PublishedFile,
  target: string,
  {
    urls,
    patience = PATIENCE,
    onBytes,
  }: { urls: readonly string[]; patience?: Patience; onBytes: (done: number) => void },
): Promise<void> {
  const part = `${target}.part`;
  const job: Attempt = { file, part, stall: patience.stall, onBytes };
  const troubles: string[] = [];
  for (const url of urls) {
    // Once with what an earlier call left, once without: the fault may lie in that.
    for (const resumed of [sizeOfFile(part) > 0, false]) {
      try {
        await persist(url, job, patience.pauses);
        const sum = sizeOfFile(part) === file.bytes ? await digest(part, 'md5') : 'none: it is too long';
        if (sum === file.md5) {
          renameSync(part, target);
          rmSync(`${part}.tag`, { force: true });
          return;
        }
        forget(part);
        if (!resumed) troubles.push(`${url}: its md5 sum is ${sum}, published is ${file.md5}; it was thrown away`);
      } catch (error) {
        if (error instanceof JobError) throw error;
        // What a lying server sent beyond the end must not spoil the next address.
        if (sizeOfFile(part) > file.bytes) forget(part);
        troubles.push(`${url}: ${(error as Error).message}`);
        break;
      }
      if (!resumed) break;
    }
  }
  throw new JobError(`${file.name} could not be downloaded: ${troubles.join('; ')}`);
}
