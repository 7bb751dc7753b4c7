/** Loads tfjs-node, as npm installed it or as `lrd setup tensorflow` built it, onto the tfjs of this process. Node only. */
import * as tf from '@tensorflow/tfjs';
import { UnsupportedError } from '../validate.ts';
import type { TensorflowLane } from './installation.ts';
import { ADDON, DESCRIPTORS, TFJS_SYMBOL, installationFolder, readInstallation } from './installation.ts';
import { withoutStderr } from './quiet.ts';
import { restoreUtil } from './restoreUtil.ts';

// Through `process`, not by import statements: a bundler for browsers must not find Node's modules here.
const { createRequire } = process.getBuiltinModule('node:module');
const path = process.getBuiltinModule('node:path');
const require = createRequire(import.meta.url);

/** What a lane runs on. */
export interface LoadedTensorflow {
  /** TensorFlow's own version. */
  readonly version: string;
  /** Where it came from, in words. */
  readonly origin: string;
  /** Whether its operations run on a GPU. */
  readonly gpu: boolean;
}

interface Addon {
  readonly TF_Version: string;
  isUsingGpuDevice(): boolean;
}

const PACKAGES = { node: '@tensorflow/tfjs-node', 'node-gpu': '@tensorflow/tfjs-node-gpu' } as const;

/** How to get a lane, in one sentence. */
export function tensorflowAdvice(lane: TensorflowLane): string {
  const command = lane === 'node' ? 'lrd setup tensorflow' : 'lrd setup tensorflow --gpu';
  return `run "npx ${command}" (it builds the addon against TensorFlow's own Python wheel), or install ${PACKAGES[lane]}@4.22.0`;
}

/** What TensorFlow reads from the environment when it is loaded, where the user has not set it. */
function setDefaults(): void {
  // What it tells about itself at level 0 and 1 is for those who debug it.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  // oneDNN's products use the thread that asks for them, in place of waking one more: .95 of a step of FCNet on two threads.
  process.env['TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD'] ??= 'true';
}

/** From the folder of `lrd setup tensorflow`, or a reason. */
function fromFolder(folder: string, lane: TensorflowLane): LoadedTensorflow | string {
  const manifest = readInstallation(folder);
  if (typeof manifest === 'string') return manifest;
  // The package there asks for `@tensorflow/tfjs` and gets this one: a second copy would be a second engine.
  (globalThis as Record<symbol, unknown>)[Symbol.for(TFJS_SYMBOL)] = require('@tensorflow/tfjs');
  const root = path.join(folder, 'node_modules', '@tensorflow', 'tfjs-node', 'dist');
  require(path.join(root, 'register_all_kernels.js'));
  const { NodeJSKernelBackend } = require(path.join(root, 'nodejs_kernel_backend.js')) as {
    NodeJSKernelBackend: new (addon: Addon, name: string) => tf.KernelBackend;
  };
  const addon = withoutStderr(() => require(path.join(folder, ADDON)) as Addon, path.join(folder, DESCRIPTORS));
  tf.registerBackend('tensorflow', () => new NodeJSKernelBackend(addon, PACKAGES[lane]), 3);
  return { version: addon.TF_Version, origin: folder, gpu: addon.isUsingGpuDevice() };
}

/** From node_modules, or a reason. The package registers its backend by itself. */
function fromPackage(lane: TensorflowLane): LoadedTensorflow | string {
  const name = PACKAGES[lane];
  try {
    const loaded = withoutStderr(
      () => require(name) as { readonly version: Readonly<Record<string, string>> },
      path.join(installationFolder(lane), DESCRIPTORS),
    );
    const { binding } = tf.findBackend('tensorflow') as tf.KernelBackend & { readonly binding?: Addon };
    if (binding === undefined) return `${name} runs on another copy of @tensorflow/tfjs`;
    return {
      version: binding.TF_Version,
      origin: `${name} ${loaded.version['tfjs-node']}`,
      gpu: binding.isUsingGpuDevice(),
    };
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    return (error as { code?: unknown }).code === 'MODULE_NOT_FOUND' && line?.includes(`'${name}'`)
      ? `${name} is not installed`
      : `${name} does not load: ${line}`;
  }
}

let loaded: { readonly lane: TensorflowLane; readonly result: LoadedTensorflow } | undefined;

/**
 * Loads TensorFlow once a process: the folder of `lrd setup tensorflow` before the package of npm. Throws `UnsupportedError` with what
 * was tried and how to get it. A TensorFlow for GPUs loads without one too.
 */
export function loadTensorflow(lane: TensorflowLane): LoadedTensorflow {
  if (loaded !== undefined) {
    if (loaded.lane === lane || loaded.result.origin === installationFolder(lane)) return loaded.result;
    throw new UnsupportedError(`one process runs one TensorFlow: ${loaded.lane} was loaded before ${lane}`);
  }
  setDefaults();
  restoreUtil();
  const reasons: string[] = [];
  for (const attempt of [() => fromFolder(installationFolder(lane), lane), () => fromPackage(lane)]) {
    try {
      const result = attempt();
      if (typeof result !== 'string') {
        loaded = { lane, result };
        return result;
      }
      reasons.push(result);
    } catch (error) {
      reasons.push((error as Error).message.split('\n')[0] as string);
    }
  }
  throw new UnsupportedError(`${reasons.join('; ')}: ${tensorflowAdvice(lane)}`);
}

/** Whether a lane is there to be loaded, by what lies on the disk: nothing is loaded. A reason where it is not. */
export function tensorflowMissing(lane: TensorflowLane): string | undefined {
  const manifest = readInstallation(installationFolder(lane));
  if (typeof manifest !== 'string') return undefined;
  try {
    require.resolve(PACKAGES[lane]);
    return undefined;
  } catch {
    return `${manifest}; ${PACKAGES[lane]} is not installed: ${tensorflowAdvice(lane)}`;
  }
}
