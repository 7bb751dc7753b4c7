/** Makes tfjs's backends able to train the networks of the paper, and faster at it. */
import * as tf from '@tensorflow/tfjs';
import { InvalidArgumentError } from '../validate.ts';
import { installComposed } from './common/index.ts';
import { installDilatedGradients } from './dilated.ts';
import { installGradients } from './gradients.ts';
import { installPadding } from './tensorflow/padding.ts';
import { installWasmKernels } from './wasm/index.ts';
import { defaultThreads } from './wasm/team.ts';

export interface TrainingOptions {
  /**
   * Threads that share a large product on the wasm backend, the calling one included. Default: one a core, at most 4; 1 in browsers, whose main
   * thread may not wait. Results have the same bits with any number. Read by the first call on a backend.
   */
  readonly threads?: number;
}

const enabled = new Set<string>();

/**
 * Installs what the current tfjs backend needs to train: call it after `await tf.setBackend(...)`. Once a backend; further calls do nothing.
 *
 * - every backend: gradients of dilated convolutions, of `tf.layers.conv2d` too.
 * - `wasm`: products with transposed operands, which every gradient has, and convolutions with their gradients, at full speed and over several
 *   threads (those with 3 x 3 filters and stride 1 by Winograd's F(2 x 2, 3 x 3), whose error is below twice that of plain sums); the kernels of
 *   `batchNormTraining`; gradients of depthwise convolutions and of `tf.gather`; clones that share their data.
 * - `tensorflow`: convolutions and maximum pools padded by a number of pixels.
 *
 * Throws `InvalidArgumentError` on a number of threads that is not a whole number of at least 1, and an `Error` when tfjs is not the
 * version whose internals this package knows.
 */
export function enableTraining({ threads = defaultThreads() }: TrainingOptions = {}): void {
  if (!Number.isInteger(threads) || threads < 1) {
    throw new InvalidArgumentError(`threads must be a whole number of at least 1, got ${threads}`);
  }
  const backend = tf.getBackend();
  if (enabled.has(backend)) return;
  if (enabled.size === 0) {
    installDilatedGradients();
    installGradients();
  }
  if (backend !== 'tensorflow') installComposed(backend, ['Einsum']);
  if (backend === 'wasm') installWasmKernels(threads);
  if (backend === 'tensorflow') installPadding();
  enabled.add(backend);
}
