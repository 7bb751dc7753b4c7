/** TensorFlow's Python wheel: fetched by pip, which never runs anything of it, and unpacked in part. */
import { createWriteStream, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import * as yauzl from 'yauzl';
import { JobError, UsageError } from '../errors.ts';
import type { Finished } from './programs.ts';
import { complaint, firstThatRuns, runProgram } from './programs.ts';

/** What a wheel says of itself. */
export interface WheelDescription {
  readonly version: string;
  /** The CUDA that it was built for: that of its runtime package, else the newest of its classifiers; undefined where it names none. */
  readonly cuda: string | undefined;
  /** The CUDA packages of the extra `and-cuda`, as requirements. */
  readonly cudaPackages: readonly string[];
}

/** Platform tags of the wheels of each Linux, newest first; pip takes the first that there is. */
const TAGS: Readonly<Record<string, readonly string[]>> = {
  'linux-x64': ['manylinux_2_28_x86_64', 'manylinux_2_27_x86_64', 'manylinux_2_17_x86_64', 'manylinux2014_x86_64'],
  'linux-arm64': [
    'manylinux_2_28_aarch64',
    'manylinux_2_27_aarch64',
    'manylinux_2_17_aarch64',
    'manylinux2014_aarch64',
  ],
};

/** Pythons to ask for wheels of: the libraries inside are the same, and each TensorFlow serves some of them. */
const PYTHONS = ['3.11', '3.12', '3.13', '3.10', '3.9'];

const PIP_ADVICE = 'install Python 3 with pip, or name an interpreter that has it in LRD_PYTHON';

/** pip, with whichever Python has it. */
export async function findPip(): Promise<readonly string[]> {
  const named = process.env['LRD_PYTHON'] ?? '';
  return firstThatRuns(
    [
      ...(named === '' ? [] : [[named, '-m', 'pip']]),
      ['python3', '-m', 'pip'],
      ['/usr/bin/python3', '-m', 'pip'],
      ['pip3'],
      ['pip'],
    ],
    'pip',
    PIP_ADVICE,
  );
}

/** Platforms that `obtainWheel` knows. */
export const WHEEL_PLATFORMS: readonly string[] = Object.keys(TAGS);

/** One `pip download`; undefined where it worked, else pip's complaint. */
async function download(
  pip: readonly string[],
  requirement: string,
  python: string,
  platform: string,
  folder: string,
): Promise<Finished | undefined> {
  const finished = await runProgram(
    [
      ...pip,
      'download',
      '--quiet',
      '--disable-pip-version-check',
      '--no-deps',
      // A quarter of a gigabyte that nobody reads again.
      '--no-cache-dir',
      '--only-binary=:all:',
      '--python-version',
      python,
      ...(TAGS[platform] as readonly string[]).flatMap((tag) => ['--platform', tag]),
      '--dest',
      folder,
      requirement,
    ],
    { seconds: 1800 },
  );
  return finished.code === 0 ? undefined : finished;
}

/**
 * Downloads a wheel into `folder`, or takes the one that an earlier run left there. `version` undefined: the newest. Returns its path.
 *
 * @throws JobError without pip, without a network, or where there is no such wheel
 */
export async function obtainWheel(
  packageName: string,
  version: string | undefined,
  platform: string,
  folder: string,
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const prefix = packageName.replaceAll('-', '_');
  const present = (): string | undefined =>
    readdirSync(folder).find(
      (name) =>
        name.endsWith('.whl') && name.startsWith(version === undefined ? `${prefix}-` : `${prefix}-${version}-`),
    );
  if (present() === undefined) {
    const pip = await findPip();
    const requirement = version === undefined ? packageName : `${packageName}==${version}`;
    let last = '';
    for (const python of PYTHONS) {
      const finished = await download(pip, requirement, python, platform, folder);
      if (finished === undefined) break;
      last = complaint(finished);
      // Only "there is none for this Python" is worth another try.
      if (!/No matching distribution|Requires-Python|Could not find a version/i.test(finished.stderr)) break;
    }
    if (present() === undefined) throw new JobError(`pip did not give ${requirement}: ${last}`);
  }
  return join(folder, present() as string);
}

/** What of a CUDA wheel is loaded: its libraries, where TensorFlow's own run path looks for them. */
const CUDA_LIBRARIES = /^nvidia\/[^/]+\/lib\/[^/]+\.so(\.\d+)*$/;

/** Fetches the CUDA libraries that a TensorFlow asks for, and unpacks them into `folder`/nvidia, one wheel after the other. */
export async function unpackCuda(
  requirements: readonly string[],
  platform: string,
  downloads: string,
  folder: string,
  report: (line: string) => void,
): Promise<void> {
  const pip = await findPip();
  for (const requirement of requirements) {
    const place = join(downloads, requirement.replaceAll(/[^\w.]+/g, '_'));
    mkdirSync(place, { recursive: true });
    const finished = await download(pip, requirement, PYTHONS[0] as string, platform, place);
    if (finished !== undefined) throw new JobError(`pip did not give ${requirement}: ${complaint(finished)}`);
    for (const name of readdirSync(place)) {
      report(name);
      await eachEntry(join(place, name), CUDA_LIBRARIES, (entry, content) => writeEntry(folder, entry, content));
      rmSync(join(place, name));
    }
  }
}

/** Reads a wheel's METADATA. Throws a `JobError` on a file that is no wheel of TensorFlow. */
export async function describeWheel(path: string): Promise<WheelDescription> {
  let metadata: string | undefined;
  await eachEntry(path, /^tensorflow[^/]*\.dist-info\/METADATA$/, async (_, content) => {
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk);
    metadata = Buffer.concat(chunks).toString('utf8');
  });
  if (metadata === undefined) throw new UsageError(`--wheel must be a wheel of tensorflow, got ${basename(path)}`);
  return parseMetadata(metadata);
}

/** What a wheel's METADATA says of version and CUDA. */
export function parseMetadata(metadata: string): WheelDescription {
  const [head = ''] = metadata.split(/\r?\n\r?\n/);
  const values = (name: string): string[] =>
    head.split(/\r?\n/).flatMap((line) => (line.startsWith(`${name}: `) ? [line.slice(name.length + 2)] : []));
  const named = values('Classifier').flatMap((classifier) => /NVIDIA CUDA :: .*?([\d.]+)$/.exec(classifier)?.[1] ?? []);
  const cudaPackages = values('Requires-Dist')
    .filter((requirement) => /extra\s*==\s*["']and-cuda["']/.test(requirement) && requirement.startsWith('nvidia'))
    .map((requirement) => (requirement.split(';')[0] as string).trim().replaceAll(/[() ]/g, ''));
  const runtime = cudaPackages.flatMap(
    (requirement) => /^nvidia-cuda-runtime-cu\d+.*?[=>]=(\d+\.\d+)/.exec(requirement)?.[1] ?? [],
  );
  return {
    version: values('Version')[0] ?? 'unknown',
    cuda: runtime[0] ?? named.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1),
    cudaPackages,
  };
}

/** What the addon needs: two libraries, and the few C headers that its sources include. */
const NEEDED =
  /^tensorflow\/(libtensorflow_(cc|framework)\.so\.2|include\/(tensorflow\/(c|core\/platform|core\/common_runtime\/next_pluggable_device\/c)|((tensorflow|xla)\/)?tsl\/(c|platform))\/.*\.h)$/;

/** Unpacks the libraries and headers into `folder`/tensorflow. */
export async function unpackWheel(path: string, folder: string): Promise<void> {
  const found = new Set<string>();
  await eachEntry(path, NEEDED, async (name, content) => {
    await writeEntry(folder, name, content);
    found.add(basename(name));
  });
  for (const library of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2']) {
    if (!found.has(library))
      throw new JobError(`${basename(path)} has no ${library}: this version cannot be built against`);
  }
}

async function writeEntry(folder: string, name: string, content: AsyncIterable<Buffer>): Promise<void> {
  const target = join(folder, name);
  mkdirSync(dirname(target), { recursive: true });
  await pipeline(content, createWriteStream(target));
}

/** Goes through the entries of a zip archive whose names match; each must be read to its end, where its check sum must hold. */
async function eachEntry(
  path: string,
  names: RegExp,
  read: (name: string, content: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  let zip: yauzl.ZipFile | undefined;
  try {
    zip = await yauzl.openPromise(path, { strictFileNames: true });
    for await (const entry of zip.eachEntry()) {
      if (!names.test(entry.fileName)) continue;
      const stream = await zip.openReadStreamPromise(entry);
      await read(entry.fileName, summed(stream as AsyncIterable<Buffer>, entry.fileName, entry.crc32));
    }
  } catch (error) {
    if (error instanceof JobError || error instanceof UsageError) throw error;
    throw new JobError(`${path}: the wheel cannot be read (${(error as Error).message})`);
  } finally {
    zip?.close();
  }
}

async function* summed(content: AsyncIterable<Buffer>, name: string, expected: number): AsyncGenerator<Buffer> {
  let sum = 0;
  for await (const chunk of content) {
    sum = crc32(chunk, sum);
    yield chunk;
  }
  if (sum !== expected) throw new JobError(`the check sum of ${name} does not hold: the wheel is broken`);
}
