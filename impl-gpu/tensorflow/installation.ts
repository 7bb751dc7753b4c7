/** Where `lrd setup tensorflow` leaves what it builds, and what is there. Node only. */
// Through `process`, not by import statements: a bundler for browsers must not find Node's modules here.
const { homedir } = process.getBuiltinModule('node:os');
const { existsSync, readFileSync, statSync } = process.getBuiltinModule('node:fs');
const path = process.getBuiltinModule('node:path');

/** Which of the two lanes: `node-gpu` wants TensorFlow built for CUDA. */
export type TensorflowLane = 'node' | 'node-gpu';

/** What was built, as the folder's `manifest.json` says. */
export interface Manifest {
  /** TensorFlow's version. */
  readonly tensorflow: string;
  /** The version of `@tensorflow/tfjs-node` that the addon belongs to. */
  readonly tfjsNode: string;
  /** The wheel that TensorFlow was taken from. */
  readonly wheel: string;
  /** Node's platform and architecture, as `linux-x64`. */
  readonly platform: string;
  /** The `nativeVersion` of the fused step that the addon carries; undefined for one that was built before there was one. */
  readonly native?: string;
  /** CUDA that the wheel was built for, by its own metadata; undefined for a build without. */
  readonly cuda?: string;
}

/** The file beside the addon that says what was built, and of what. */
export const MANIFEST = 'manifest.json';
/** The addon, beside the manifest. */
export const ADDON = 'tfjs_binding.node';
/** `native/descriptors.cc`, built, beside the addon. */
export const DESCRIPTORS = 'descriptors.node';
/** The property of `globalThis` through which the package in the folder finds the one tfjs of this process. */
export const TFJS_SYMBOL = 'learning-rate-dropout.tfjs';

/** Names the folder that `--backend node` and `node-gpu` look into, in place of the user's cache. */
const VARIABLE = 'LRD_TENSORFLOW';

/** This machine, as a manifest names it. */
export function thisPlatform(): string {
  return `${process.platform}-${process.arch}`;
}

/** The folder of a lane: `LRD_TENSORFLOW`, else one in the user's cache. */
export function installationFolder(lane: TensorflowLane): string {
  const named = process.env[VARIABLE];
  if (named !== undefined && named !== '') return named;
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  return path.join(cache, 'learning-rate-dropout', lane === 'node' ? 'tensorflow' : 'tensorflow-gpu');
}

const FIELDS = ['tensorflow', 'tfjsNode', 'wheel', 'platform'] as const satisfies readonly (keyof Manifest)[];

/** Whether a value has a manifest's fields, texts all. */
function isManifest(value: unknown): value is Manifest {
  if (typeof value !== 'object' || value === null) return false;
  const { cuda = '', native = '', ...fields } = value as Readonly<Record<string, unknown>>;
  return [cuda, native, ...FIELDS.map((name) => fields[name])].every((text) => typeof text === 'string');
}

/** The manifest of a folder that is whole and fits this machine, or the reason why there is none. */
export function readInstallation(folder: string): Manifest | string {
  const file = path.join(folder, MANIFEST);
  if (!existsSync(file)) return `nothing was set up in ${folder}`;
  let manifest: unknown;
  try {
    if (!statSync(file).isFile()) return `${file} is no file`;
    manifest = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return `${file} is not JSON`;
  }
  if (!isManifest(manifest)) return `${file} must have ${FIELDS.join(', ')} as texts`;
  if (manifest.platform !== thisPlatform()) return `${folder} is for ${manifest.platform}, this is ${thisPlatform()}`;
  return existsSync(path.join(folder, ADDON)) ? manifest : `${path.join(folder, ADDON)} is missing`;
}
