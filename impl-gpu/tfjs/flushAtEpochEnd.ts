import * as tf from '@tensorflow/tfjs';
import type { LrdOptimizer } from './optimizer.ts';

/**
 * A callback for `model.fit`: at each epoch's end the optimizer steps with the gradients that are still pending, instead of taking them
 * into the next epoch.
 *
 * @example
 * model.fit(x, y, { callbacks: [lrd.flushAtEpochEnd(optimizer)] })
 */
export function flushAtEpochEnd(optimizer: Pick<LrdOptimizer, 'flush'>): tf.CustomCallback {
  return new tf.CustomCallback({
    onEpochEnd: () => {
      optimizer.flush();
    },
  });
}
