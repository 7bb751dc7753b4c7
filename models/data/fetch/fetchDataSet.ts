import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { JobError, UsageError, unknownName } from '../../errors.ts';
import type { Patience } from './download.ts';
import { digest, download } from './download.ts';
import { LEFT_BY_SYSTEMS } from '../listing.ts';
import { MANIFEST, writeManifest } from './manifest.ts';
import type { Publication, PublishedFile } from './publications.ts';
import { PUBLICATIONS } from './publications.ts';
import type { Unpacked } from './unpack.ts';
import { unpackTar, unpackZip } from './unpack.ts';

/** Environment variable with the base address of a mirror: FILE of SET is then asked for at BASE/SET/FILE, and nowhere else. */
export const MIRROR = 'LRD_DATA_MIRROR';

/** What a display is told. */
export interface FetchProgress {
  bytes(file: PublishedFile, done: number): void;
  line(text: string): void;
}

export interface FetchOptions {
  /** Where the set's folder is made. */
  readonly folder: string;
  readonly progress: FetchProgress;
  /** Default: the environment's `LRD_DATA_MIRROR`. */
  readonly mirror?: string | undefined;
  readonly patience?: Patience;
  /** Default: all that the program knows. */
  readonly publications?: readonly Publication[];
}

/** Throws a `UsageError` for an unknown name. */
export function findPublication(name: string, publications: readonly Publication[] = PUBLICATIONS): Publication {
  const found = publications.find((publication) => publication.name === name);
  if (found === undefined) {
    throw unknownName(
      'NAME',
      name,
      publications.map((publication) => publication.name),
    );
  }
  return found;
}

function addresses(file: PublishedFile, name: string, mirror: string | undefined): readonly string[] {
  if (mirror === undefined || mirror === '') return file.urls;
  if (!URL.canParse(mirror) || !/^https?:/.test(mirror)) {
    throw new UsageError(`${MIRROR} must be an http or https address, got ${JSON.stringify(mirror)}`);
  }
  return [`${mirror.replace(/\/+$/, '')}/${name}/${encodeURIComponent(file.name)}`];
}

function checkSpace(folder: string, { name, files, size }: Publication): void {
  const needed = size + files.reduce((sum, { bytes }) => sum + bytes, 0);
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < needed) {
    throw new JobError(
      `${folder}: ${name} needs ${Math.ceil(needed / 1e6).toLocaleString('en')} MB while it is unpacked; ` +
        `${Math.floor((bavail * bsize) / 1e6).toLocaleString('en')} MB are free`,
    );
  }
}

/**
 * Downloads a set, checks the published sums, unpacks it and moves it to its place in one step: `folder/name` is there whole, with a
 * list of its files' sums, or not at all. A call that breaks off leaves `folder/.name.fetch`, which the next goes on with.
 * Returns the set's folder. Throws a `JobError` for what cannot be had, with what to do where it is to be had otherwise.
 */
export async function fetchDataSet(name: string, options: FetchOptions): Promise<string> {
  const { folder, progress, patience, mirror = process.env[MIRROR] } = options;
  const publication = findPublication(name, options.publications);
  if (publication.files.length === 0) throw new JobError(publication.instructions ?? `${name} cannot be fetched`);
  const target = join(folder, name);
  const urls = publication.files.map((file) => addresses(file, name, mirror));
  if (existsSync(join(target, MANIFEST))) {
    progress.line(`${name} is in ${target} already; lrd data verify ${name} checks it`);
    return target;
  }
  if (existsSync(target) && readdirSync(target).length > 0) {
    throw new JobError(`${target}: there is something that was not fetched; move it away, or give another --data-dir`);
  }
  const staging = join(folder, `.${name}.fetch`);
  const contents = join(staging, 'contents');
  try {
    mkdirSync(staging, { recursive: true });
    // Of an unpacking that was broken off.
    rmSync(contents, { recursive: true, force: true });
    mkdirSync(contents);
  } catch (error) {
    throw new JobError(`${staging}: cannot be made (${(error as NodeJS.ErrnoException).code})`);
  }
  checkSpace(folder, publication);
  const unpacked: Unpacked[] = [];
  for (const [index, file] of publication.files.entries()) {
    const local = join(staging, file.name);
    if (!existsSync(local)) {
      await download(file, local, {
        urls: urls[index] as readonly string[],
        onBytes: (done) => progress.bytes(file, done),
        ...(patience === undefined ? {} : { patience }),
      });
    }
    progress.line(`${file.name}: ${file.bytes.toLocaleString('en')} bytes, md5 ${file.md5} as published`);
    if (file.archive === undefined) {
      unpacked.push({ path: file.name, sha256: await digest(local, 'sha256') });
    } else {
      const unpack = file.archive === 'zip' ? unpackZip : unpackTar;
      const limits = file.limits ?? { bytes: 20 * file.bytes, files: 100_000 };
      const { files, passedOver } = await unpack(local, contents, limits);
      unpacked.push(...files);
      if (passedOver > 0) progress.line(`${file.name}: ${LEFT_BY_SYSTEMS}: ${passedOver.toLocaleString('en')}`);
    }
  }
  for (const file of publication.files.filter(({ archive }) => archive === undefined)) {
    renameSync(join(staging, file.name), join(contents, file.name));
  }
  writeManifest(contents, unpacked);
  rmSync(target, { recursive: true, force: true });
  renameSync(contents, target);
  rmSync(staging, { recursive: true, force: true });
  progress.line(`${name}: ${unpacked.length.toLocaleString('en')} files in ${target}`);
  return target;
}
