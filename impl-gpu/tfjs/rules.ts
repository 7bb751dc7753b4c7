import * as tf from '@tensorflow/tfjs';
import type { LrdOptions } from './configuration.ts';
import { LrdOptimizer } from './optimizer.ts';
import type { Schedule } from './schedules.ts';

export interface CommonOptions extends LrdOptions {
  /** At least 0, or a schedule. May be set between steps. */
  readonly learningRate?: number | Schedule;
  /** At least 0. Coupled L2 (added to the gradient, so it enters the moments) for every rule but AdamW. Default 0; AdamW .01. */
  readonly weightDecay?: number;
}

interface MomentOptions extends CommonOptions {
  /** Decay of the first moment, in [0, 1). Default .9. */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). Default .999. */
  readonly beta2?: number;
  /** Above 0. Default 1e-8, PyTorch's; tfjs's own optimizers take 1e-7. */
  readonly epsilon?: number;
}

/** SGD with momentum in PyTorch's form. Default learning rate .1. */
export interface SgdmOptions extends CommonOptions {
  /** In [0, 1). Default .9; 0 keeps no buffer. */
  readonly momentum?: number;
  /** In [0, 1]. Default 0. Not applied to the first gradient. */
  readonly dampening?: number;
  /** Default false. */
  readonly nesterov?: boolean;
}

/** RMSprop in PyTorch's form, learning rate outside the momentum buffer. Default learning rate 1e-3. */
export interface RmspropOptions extends CommonOptions {
  /** Decay of the mean square, in [0, 1). Default .99. */
  readonly rho?: number;
  /** Above 0. Default 1e-8. */
  readonly epsilon?: number;
  /** `outside` the square root (PyTorch; the default) or `inside` (Keras, tfjs). */
  readonly epsilonPlacement?: 'outside' | 'inside';
  /** In [0, 1). Default 0. */
  readonly momentum?: number;
  /** Divide by the standard deviation instead of the root mean square. Default false. */
  readonly centered?: boolean;
}

/** Adam. Default learning rate 1e-3. */
export interface AdamOptions extends MomentOptions {
  /** `corrected`: mhat / (sqrt(vhat) + epsilon) (the paper, PyTorch); `hat`: epsilon beside sqrt(v) itself (Keras). */
  readonly epsilonMode?: 'corrected' | 'hat';
}

/** AMSGrad. Default learning rate 1e-3. */
export interface AmsgradOptions extends MomentOptions {
  /** What the maximum is taken of: `raw` v (PyTorch), `corrected` vhat (optax), or v without any correction (the paper). */
  readonly maxOf?: 'raw' | 'corrected' | 'uncorrected';
  /** `corrected`, or `hat`: epsilon beside the root as it is before the correction (Keras, with `maxOf` raw). */
  readonly epsilonMode?: 'corrected' | 'hat';
}

/** RAdam. Default learning rate .03, as in the LRD paper. */
export interface RadamOptions extends MomentOptions {
  /** Where rectification starts and where epsilon stands: PyTorch's, the authors' first code, or their paper. */
  readonly variant?: 'torch' | 'original' | 'paper';
}

/** LRD over SGD with momentum. */
export class LrdSgdm extends LrdOptimizer {
  static readonly className = 'LrdSgdm';
  constructor(options: SgdmOptions = {}) {
    super('sgdm', options);
  }
}

/** LRD over RMSprop. */
export class LrdRmsprop extends LrdOptimizer {
  static readonly className = 'LrdRmsprop';
  constructor(options: RmspropOptions = {}) {
    super('rmsprop', options);
  }
}

/** LRD over Adam. */
export class LrdAdam extends LrdOptimizer {
  static readonly className = 'LrdAdam';
  constructor(options: AdamOptions = {}) {
    super('adam', options);
  }
}

/** LRD over AMSGrad. */
export class LrdAmsgrad extends LrdOptimizer {
  static readonly className = 'LrdAmsgrad';
  constructor(options: AmsgradOptions = {}) {
    super('amsgrad', options);
  }
}

/** LRD over RAdam. */
export class LrdRadam extends LrdOptimizer {
  static readonly className = 'LrdRadam';
  constructor(options: RadamOptions = {}) {
    super('radam', options);
  }
}

/** LRD over Adam with decoupled weight decay, which a dropped coordinate is spared too. */
export class LrdAdamw extends LrdOptimizer {
  static readonly className = 'LrdAdamw';
  constructor(options: AdamOptions = {}) {
    super('adamw', options);
  }
}

for (const cls of [LrdSgdm, LrdRmsprop, LrdAdam, LrdAmsgrad, LrdRadam, LrdAdamw]) tf.serialization.registerClass(cls);
