import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DATA_SETS, dataFolders, loadImageSet } from '../catalogue.ts';
import { TEXT_NAMES, loadText } from '../texts.ts';
import { JobError } from '../../errors.ts';
import { readStart } from '../../storage/inputs.ts';
import { Oddities } from '../listing.ts';
import { findIdxFiles } from '../mnist.ts';
import { digest } from './download.ts';
import { findPublication } from './fetchDataSet.ts';
import { readManifest } from './manifest.ts';
import type { Publication, PublishedFile } from './publications.ts';
import { isEmbedded } from './publications.ts';

/** What was found of one file. */
export interface FileCheck {
  readonly path: string;
  readonly state: 'right' | 'missing' | 'wrong' | 'no sum';
  readonly detail: string;
}

export interface Verification {
  readonly folder: string;
  readonly files: readonly FileCheck[];
  /** What is counted, or what is wrong with it. */
  readonly count: string;
  readonly complete: boolean;
  /** What is odd about the files, though nothing is missing. */
  readonly oddities: readonly string[];
}

async function checkSum(
  path: string,
  algorithm: 'md5' | 'sha256',
  expected: string,
  also?: string,
): Promise<FileCheck> {
  if (!existsSync(path)) return { path, state: 'missing', detail: 'it is not there' };
  const found = await digest(path, algorithm);
  if (found === expected || found === also) return { path, state: 'right', detail: `${algorithm} ${found}` };
  return { path, state: 'wrong', detail: `its ${algorithm} sum is ${found}; it should be ${expected}` };
}

/** The published files themselves, where they lie in the set's folder (or, for idx files, under another of their names, packed or not). */
async function checkPublished(folder: string, files: readonly PublishedFile[]): Promise<FileCheck[]> {
  const checks: FileCheck[] = [];
  const idx = findIdxFiles(folder, new Oddities());
  for (const file of files) {
    const path = idx.get(file.name.replace(/\.gz$/, '')) ?? join(folder, file.name);
    if (!existsSync(path) && file.archive !== undefined) continue;
    if (file.name.endsWith('.gz') && existsSync(path) && readStart(path, 1)[0] !== 0x1f) {
      const detail = `${statSync(path).size.toLocaleString('en')} bytes; sums are published of the .gz alone`;
      checks.push({ path, state: 'no sum', detail });
    } else checks.push(await checkSum(path, 'md5', file.md5, file.repacked));
  }
  return checks;
}

/** The folder that a set was fetched to: it has the set's name and a list of sums, and the set is read from it or one below. */
function manifestFolder(name: string, source: string): string | undefined {
  const own = [source, dirname(source)].filter((folder) => basename(folder) === name);
  return own.find((folder) => readManifest(folder) !== undefined);
}

/** What is counted of a set. */
interface Counted {
  readonly source?: string;
  readonly text: string;
  readonly whole: boolean;
  readonly oddities?: readonly string[];
}

/** Bytes of the King James Version as Debian's `bible` writes it. */
const KJV_BYTES = 4_404_412;

async function countText(name: string, folder: string | undefined): Promise<Counted> {
  try {
    const { bytes, source } = await loadText(name, dataFolders(folder));
    const whole = name !== 'kjv' || bytes.length === KJV_BYTES;
    const expected = whole ? '' : `, ${KJV_BYTES.toLocaleString('en')} expected`;
    return { source, text: `${bytes.length.toLocaleString('en')} bytes${expected}`, whole };
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    return { text: error.message, whole: false };
  }
}

async function count(publication: Publication, folders: string | undefined): Promise<Counted> {
  if (TEXT_NAMES.includes(publication.name)) return countText(publication.name, folders);
  if (!DATA_SETS.includes(publication.name)) return { text: 'no images are counted of this set', whole: true };
  try {
    const set = await loadImageSet(publication.name, folders);
    const found = `${set.train.count.toLocaleString('en')} training and ${set.test.count.toLocaleString('en')} test images`;
    return {
      source: set.source,
      text: set.remark ?? found,
      whole: set.remark === undefined,
      oddities: set.oddities ?? [],
    };
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    return { text: error.message, whole: false };
  }
}

/**
 * Checks a set's files: present, sums right (the published ones; those of the list that `fetch` left, made from an archive whose
 * published sum held), counts as published. `dataDir` as for loading. Throws a `UsageError` for an unknown name.
 */
export async function verifyDataSet(
  name: string,
  dataDir: string | undefined,
  folders: readonly string[],
): Promise<Verification> {
  const publication = findPublication(name);
  const counted = await count(publication, dataDir);
  const candidates = folders.flatMap((folder) => [folder, join(folder, name)]);
  const source = counted.source ?? candidates.find((folder) => basename(folder) === name && existsSync(folder));
  if (source === undefined)
    return { folder: candidates.join(', '), files: [], count: counted.text, complete: false, oddities: [] };
  if (isEmbedded(name))
    return { folder: source, files: [], count: counted.text, complete: counted.whole, oddities: [] };
  const listed = manifestFolder(name, source);
  const files: FileCheck[] = [];
  if (listed === undefined) {
    files.push(...(await checkPublished(source, publication.files)));
    if (source !== dirname(source) && files.length === 0)
      files.push(...(await checkPublished(dirname(source), publication.files)));
  } else {
    for (const { path, sha256 } of readManifest(listed) ?? []) {
      files.push(await checkSum(join(listed, path), 'sha256', sha256));
    }
  }
  const good = files.every(({ state }) => state === 'right' || state === 'no sum');
  return {
    folder: listed ?? source,
    files,
    count: counted.text,
    complete: counted.whole && good,
    oddities: counted.oddities ?? [],
  };
}
