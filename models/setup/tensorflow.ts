/** Builds tfjs-node's addon against the libtensorflow of TensorFlow's Python wheel. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Manifest, TensorflowLane } from 'learning-rate-dropout/tensorflow';
import { MANIFEST, nativeVersion, readInstallation, thisPlatform } from 'learning-rate-dropout/tensorflow';
import { JobError, UsageError } from '../errors.ts';
import { TFJS_NODE_VERSION, buildAddon, findCompiler, placePackages } from './addon.ts';
import { WHEEL_PLATFORMS, describeWheel, findPip, obtainWheel, unpackCuda, unpackWheel } from './wheel.ts';

export interface SetupRequest {
  readonly lane: TensorflowLane;
  /** Where it goes. */
  readonly folder: string;
  /** TensorFlow's version; the newest when left out. */
  readonly version?: string;
  /** A wheel that is here already: nothing is asked of pip. */
  readonly wheel?: string;
  /** Trains a step with what lies in a folder, in another process: an addon that crashes must not take this one along. */
  readonly verify: (folder: string) => Promise<string>;
  /** A line for each stage. */
  readonly report: (line: string) => void;
}

/** Bytes that must be free: the wheel, its libraries and what is between; for GPUs CUDA's libraries too. */
const ROOM: Readonly<Record<TensorflowLane, number>> = { node: 1.5e9, 'node-gpu': 9e9 };

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** Throws a `JobError` where a disk is too full. */
export function checkRoom(lane: TensorflowLane, folder: string, free = freeBytes(folder)): void {
  if (free < ROOM[lane]) {
    throw new JobError(
      `${folder} must have ${ROOM[lane] / 1e9} GB free, got ${(free / 1e9).toFixed(1)} GB; name another place with --dir`,
    );
  }
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Removes what killed runs left beside `folder`. */
function sweep(folder: string): void {
  const stage = new RegExp(`^${basename(folder).replaceAll(/[^\w-]/g, '\\$&')}\\.(?:stage|old)-(\\d+)$`);
  for (const name of readdirSync(dirname(folder))) {
    const pid = Number(stage.exec(name)?.[1] ?? NaN);
    if (Number.isInteger(pid) && !alive(pid)) rmSync(join(dirname(folder), name), { recursive: true, force: true });
  }
}

/** Puts a finished folder where the old one is, if any: at every moment one whole folder or none is there. */
function exchange(stage: string, folder: string): void {
  const old = `${folder}.old-${process.pid}`;
  if (existsSync(folder)) renameSync(folder, old);
  renameSync(stage, folder);
  rmSync(old, { recursive: true, force: true });
}

/**
 * Leaves a working TensorFlow in `request.folder`. What is there already and works is kept, unless another version is asked for or the addon carries another fused step. Downloads
 * outlive a run that failed, in a folder beside, so that the next one goes on from there.
 *
 * @throws JobError in one line: no pip, no compiler, no wheel, no room, a build or a training step that failed
 */
export async function setUpTensorflow(request: SetupRequest): Promise<Manifest> {
  const { lane, folder, wheel, verify, report } = request;
  const present = readInstallation(folder);
  const version = request.version ?? (typeof present === 'string' ? undefined : present.tensorflow);
  if (typeof present !== 'string' && wheel === undefined && version === present.tensorflow) {
    if (present.native === nativeVersion()) {
      report(`TensorFlow ${present.tensorflow} is in ${folder}: ${await verify(folder)}`);
      return present;
    }
    report(`TensorFlow ${present.tensorflow} is in ${folder}, with another fused step: it is built again`);
  }
  const platform = thisPlatform();
  if (!WHEEL_PLATFORMS.includes(platform)) {
    throw new JobError(
      `lrd setup tensorflow builds on ${WHEEL_PLATFORMS.join(' and ')}, this is ${platform}; npm install @tensorflow/tfjs-node@${TFJS_NODE_VERSION} brings its own libtensorflow`,
    );
  }
  if (existsSync(folder) && typeof present === 'string' && readdirSync(folder).length > 0) {
    throw new UsageError(
      `--dir must be an empty folder, a new one or one of an earlier setup, got ${folder} (${present})`,
    );
  }
  mkdirSync(dirname(folder), { recursive: true });
  // What would fail after minutes of downloads is found out first.
  await findCompiler();
  if (wheel === undefined) await findPip();
  else if (!existsSync(wheel)) throw new UsageError(`--wheel must be a file, got ${wheel}`);
  checkRoom(lane, dirname(folder));
  sweep(folder);
  const downloads = `${folder}.downloads`;
  const stage = `${folder}.stage-${process.pid}`;
  const started = performance.now();
  const tell = (line: string): void =>
    report(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}`);
  try {
    const name = lane === 'node' && platform === 'linux-x64' ? 'tensorflow-cpu' : 'tensorflow';
    if (wheel === undefined) tell(`pip downloads ${name}${version === undefined ? '' : ` ${version}`}`);
    const path = wheel ?? (await obtainWheel(name, version, platform, downloads));
    const description = await describeWheel(path);
    tell(`${basename(path)}, ${(statSync(path).size / 1e6).toFixed(0)} MB, is unpacked`);
    mkdirSync(stage);
    await unpackWheel(path, stage);
    tell(`tfjs-node ${TFJS_NODE_VERSION} is fetched and its addon compiled, with the fused step in it`);
    await placePackages(stage, downloads);
    await buildAddon(stage, downloads);
    if (lane === 'node-gpu' && description.cudaPackages.length > 0) {
      tell(`CUDA's libraries are fetched: ${description.cudaPackages.length} wheels, 3 GB and more`);
      await unpackCuda(description.cudaPackages, platform, join(downloads, 'cuda'), stage, tell);
    }
    const manifest: Manifest = {
      tensorflow: description.version,
      tfjsNode: TFJS_NODE_VERSION,
      native: nativeVersion(),
      wheel: basename(path),
      platform,
      ...(lane === 'node-gpu' && description.cuda !== undefined ? { cuda: description.cuda } : {}),
    };
    writeFileSync(join(stage, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
    tell(`verified: ${await verify(stage)}`);
    exchange(stage, folder);
    rmSync(downloads, { recursive: true, force: true });
    tell(`TensorFlow ${manifest.tensorflow} is in ${folder}`);
    return manifest;
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}
