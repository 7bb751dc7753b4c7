/** Reads files one after the other, each in its way, and says of each what came of it: `[{ kind, path }, ...]` in the file that is named. */
import { readFileSync } from 'node:fs';
import { JobError } from '../../errors.ts';
import { readArchive } from '../../storage/safetensors.ts';
import { readRun } from '../../runs/runFolder.ts';
import { loadImageSet } from '../../data/catalogue.ts';
import { decodeCentre, decodeWhole } from '../../data/decode.ts';
import { unpackTar, unpackZip } from '../../data/fetch/unpack.ts';
import { readIdx } from '../../data/idx.ts';
import { decodeText, readLines } from '../../data/text.ts';
import { loadVocDetection, readPicture } from '../../data/voc.ts';
import { readSbdMask } from '../../data/vocMat.ts';
import { readIndexedPng } from '../../data/vocPng.ts';
import { parseAnnotation } from '../../data/vocXml.ts';

/** What is asked for. */
export interface Hostile {
  readonly kind: keyof typeof READ;
  readonly path: string;
}

/** What came of it: the message, or `read`; and what the process has needed so far. */
export interface Outcome {
  readonly message: string;
  readonly isJobError: boolean;
  readonly seconds: number;
  readonly megabytes: number;
}

const LIMITS = { bytes: 50_000_000, files: 1000 };
const READ = {
  idx: (path: string) => readIdx(path, { count: 60_000, extents: [28, 28] }),
  mat: (path: string) => readSbdMask(readFileSync(path), path),
  mask: (path: string) => readIndexedPng(readFileSync(path), path),
  picture: (path: string) => readPicture(path),
  tiny: (path: string) => decodeWhole(path, [64, 64], new Uint8Array(64 * 64 * 3)),
  middle: (path: string) => decodeCentre(path, 256, [224, 224], new Uint8Array(224 * 224 * 3)),
  tar: (path: string) => unpackTar(path, `${path}.into`, LIMITS),
  zip: (path: string) => unpackZip(path, `${path}.into`, LIMITS),
  mnist: (path: string) => loadImageSet('mnist', path),
  cifar10: (path: string) => loadImageSet('cifar10', path),
  'tiny-imagenet': (path: string) => loadImageSet('tiny-imagenet', path),
  voc: (path: string) => loadVocDetection([path]),
  lines: async (path: string) => readLines(path),
  xml: (path: string) => parseAnnotation(decodeText(readFileSync(path)), path),
  tensors: async (path: string) => readArchive(path),
  run: async (path: string) => readRun(path),
};

async function outcomeOf({ kind, path }: Hostile): Promise<Pick<Outcome, 'message' | 'isJobError'>> {
  try {
    await READ[kind](path);
    return { message: 'read', isJobError: false };
  } catch (error) {
    return { message: (error as Error).message, isJobError: error instanceof JobError };
  }
}

for (const hostile of JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as Hostile[]) {
  const since = performance.now();
  const said = await outcomeOf(hostile);
  const outcome: Outcome = {
    ...said,
    seconds: (performance.now() - since) / 1000,
    megabytes: process.resourceUsage().maxRSS / 1000,
  };
  console.log(JSON.stringify(outcome));
}
