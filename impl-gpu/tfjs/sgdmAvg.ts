/** The one rule whose step is no pass of a fused engine: whoever imports it brings what takes the step. */
import * as tf from '@tensorflow/tfjs';
import { LrdOptimizer } from './optimizer.ts';
import type { CommonOptions } from './rules.ts';
import { averageStep, checkRing } from './steppers/average.ts';
import { extend } from './steppers/extensions.ts';

/** SGD along the mean of the last gradients, eq. (10). Default learning rate .1. */
export interface SgdmAvgOptions extends CommonOptions {
  /** Gradients in the mean, at least 1. Default 10. Each costs the memory of the parameters: see `ringBytes`. */
  readonly window?: number;
}

/** LRD over SGD along the mean of the last gradients, eq. (10); the papers' "Avg" of Table VI. Runs in operations of tfjs. */
export class LrdSgdmAvg extends LrdOptimizer {
  /** The name under which tfjs saves and finds it. */
  static readonly className = 'LrdSgdmAvg';
  constructor(options: SgdmAvgOptions = {}) {
    super('sgdm-avg', options);
  }
}

extend('average', { averageStep, checkRing });
tf.serialization.registerClass(LrdSgdmAvg);
