/** Makes tfjs's backends able to train the networks of the paper, and faster at it. */
import * as tf from '@tensorflow/tfjs';
import { letRest } from '../engines/wasmResting.ts';
import { InvalidArgumentError, show } from '../validate.ts';
import { installCpuKernels } from './cpu/index.ts';
import { installDilatedGradients } from './dilated.ts';
import { installGradients } from './gradients.ts';
import { installPixelPadding } from './pixels.ts';
import { installTensorflowKernels } from './tensorflow/index.ts';
import { installWebGpuKernels } from './webgpu/index.ts';
import { installWasmKernels } from './wasm/index.ts';
import { defaultThreads } from './wasm/team.ts';

/** What `enableTraining` puts in place. */
export interface TrainingOptions {
  /**
   * Threads that share a large product on the wasm backend, the calling one included. Default: one a core, at most 4; 1 in browsers, whose main
   * thread may not wait. Results have the same bits with any number. Read by the first call on a backend.
   */
  readonly threads?: number;
  /**
   * Whether products on the wasm backend use WebAssembly's relaxed SIMD where the engine has it (Node 22, Chrome 114): each of a sum's products is added with
   * one rounding in place of two, if the processor can. They are 1.5 to 2 times as fast, and their last bits depend on the processor and the engine;
   * with `false` they are the same everywhere. Default true. Read by the first call on a backend.
   */
  readonly relaxed?: boolean;
}

const enabled = new Set<string>();

/**
 * Installs what the current tfjs backend needs to train: call it after `await tf.setBackend(...)`. Once a backend; further calls do nothing.
 *
 * - every backend: gradients that tfjs-core has not (comparisons, `stridedSlice`, `gatherND`, `scatterND`, `depthToSpace`, `einsum`, `cumprod`, `topk`,
 *   `conv3dTranspose`, dilated convolutions, of `tf.layers.conv2d` too, ...) or has wrong (`mirrorPad`, `cumsum`, `maximum`, `minimum` and products that
 *   repeat an operand, `gather` with batches, ...); convolutions and pools padded by a number of pixels whose windows are not square, or that round up.
 * - `wasm`: products, with transposed operands too, which every gradient has, and convolutions with their gradients, at full speed and over several
 *   threads (those with 3 x 3 filters and stride 1 by Winograd's F(2 x 2, 3 x 3), whose error is below twice that of plain sums); products of
 *   integers, biases of any shape, channels first; the kernels of `batchNormTraining` and `denseTraining`; gradients of depthwise convolutions, of pools, of resized
 *   pictures and of `tf.gather`; convolutions and pools in three dimensions; clones that share their data.
 * - `cpu`, `webgpu`, `tensorflow`: what they compute wrongly (gradients of padded averages and of resized pictures, ...), and on `tensorflow` convolutions
 *   and maximum pools padded by a number of pixels, channels first, the kernels of `batchNormTraining`, `denseTraining` and `crossEntropyTraining`, and the step function, which gradients of clamps take, in a tenth of the time.
 *
 * `OPERATIONS.md` beside this file lists the operations that are held against their definitions. All of it stays when a backend is disposed of and started
 * again (`tf.engine().reset()`, `tf.removeBackend`).
 *
 * Throws `InvalidArgumentError` on a number of threads that is not a whole number of at least 1 and on a `relaxed` that is no truth value, and an `Error` when tfjs is not the
 * version whose internals this package knows.
 */
export function enableTraining({ threads = defaultThreads(), relaxed = true }: TrainingOptions = {}): void {
  if (!Number.isInteger(threads) || threads < 1) {
    throw new InvalidArgumentError(`threads must be a whole number of at least 1, got ${threads}`);
  }
  if (typeof relaxed !== 'boolean') {
    throw new InvalidArgumentError(`relaxed must be true or false, got ${show(relaxed)}`);
  }
  const backend = tf.getBackend();
  letRest();
  if (enabled.has(backend)) return;
  if (enabled.size === 0) {
    installDilatedGradients();
    installGradients();
  }
  if (backend === 'cpu') installCpuKernels();
  if (backend === 'wasm') installWasmKernels(threads, relaxed);
  if (backend === 'webgpu') installWebGpuKernels();
  if (backend === 'tensorflow') installTensorflowKernels();
  else installPixelPadding(backend, backend === 'wasm' ? ['DepthwiseConv2dNative', 'FusedDepthwiseConv2D'] : []);
  enabled.add(backend);
}
