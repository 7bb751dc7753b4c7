import * as tf from '@tensorflow/tfjs';
import type { LrdOptions } from './configuration.ts';
import { LrdOptimizer } from './optimizer.ts';
import type { Schedule } from './schedules.ts';

export interface CommonOptions extends LrdOptions {
  /**
   * alpha: at least 0, or a schedule. May be set between steps. With p below 1 think of p times alpha: LRD-SGDM and LRD-Adam trained FCNet and
   * ResNet-14 like their base rules at p alpha, to .1 % of the area under the training loss.
   */
  readonly learningRate?: number | Schedule;
  /**
   * At least 0. Coupled L2 (added to the gradient, so it enters the moments on dropped steps too) for every rule but AdamW, whose decay is
   * masked with the step: at p a weight is decayed in a share p of the steps. Default 0; AdamW .01. May be set between steps.
   */
  readonly weightDecay?: number;
}

interface MomentOptions extends CommonOptions {
  /** Decay of the first moment, in [0, 1). Default .9. The moment sees every gradient, so a kept step after dropped ones is no larger. */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). Default .999; not masked either. */
  readonly beta2?: number;
  /** Above 0. Default 1e-8, PyTorch's; tfjs's own optimizers take 1e-7, with which p = 1 follows theirs. */
  readonly epsilon?: number;
}

/** SGD with momentum in PyTorch's form. Default learning rate .1. Memory: one buffer of the parameters' size. */
export interface SgdmOptions extends CommonOptions {
  /**
   * beta, in [0, 1). Default .9; 0 keeps no buffer, and none of its memory. Accumulates every gradient: under a constant one the mean step is
   * p / (1 - beta) alpha g, not less.
   */
  readonly momentum?: number;
  /** The share of a gradient that stays out of the buffer, in [0, 1]. Default 0. Not applied to the first gradient. */
  readonly dampening?: number;
  /** Step by g + momentum * buf. Default false. */
  readonly nesterov?: boolean;
}

/** RMSprop in PyTorch's form, learning rate outside the momentum buffer. Default learning rate 1e-3. Memory: `v`, and a buffer each for `momentum` and `centered`. */
export interface RmspropOptions extends CommonOptions {
  /** Decay of the mean square, in [0, 1). Default .99, PyTorch's; .9 in tfjs. */
  readonly rho?: number;
  /** Above 0. Default 1e-8. The first steps are as large as it is small: v begins at 0 and is not corrected. */
  readonly epsilon?: number;
  /** `outside` the square root (PyTorch; the default) or `inside` (Keras, tfjs), where 1e-8 acts as 1e-4 would outside. */
  readonly epsilonPlacement?: 'outside' | 'inside';
  /** Of a buffer of steps, in [0, 1). Default 0: no buffer. It goes on for dropped coordinates. */
  readonly momentum?: number;
  /** Divide by the standard deviation instead of the root mean square. Default false. */
  readonly centered?: boolean;
}

/** Adam. Default learning rate 1e-3. Memory: two moments of the parameters' size. */
export interface AdamOptions extends MomentOptions {
  /** `corrected`: mhat / (sqrt(vhat) + epsilon) (the paper, PyTorch); `hat`: epsilon beside sqrt(v) itself (Keras). */
  readonly epsilonMode?: 'corrected' | 'hat';
}

/** AMSGrad. Default learning rate 1e-3. Memory: three times the parameters' size. */
export interface AmsgradOptions extends MomentOptions {
  /** What the maximum is taken of: `raw` v (PyTorch), `corrected` vhat (optax), or v without any correction (the paper). */
  readonly maxOf?: 'raw' | 'corrected' | 'uncorrected';
  /** `corrected`, or `hat`: epsilon beside the root as it is before the correction (Keras, with `maxOf` raw). */
  readonly epsilonMode?: 'corrected' | 'hat';
}

/** RAdam. Default learning rate .03, as in the LRD paper; PyTorch's is 1e-3. Memory: two moments of the parameters' size. */
export interface RadamOptions extends MomentOptions {
  /** Where rectification starts and where epsilon stands: PyTorch's, the authors' first code, or their paper. */
  readonly variant?: 'torch' | 'original' | 'paper';
}

/** LRD over SGD with momentum. */
export class LrdSgdm extends LrdOptimizer {
  /** The name under which tfjs saves and finds it. */
  static readonly className = 'LrdSgdm';
  constructor(options: SgdmOptions = {}) {
    super('sgdm', options);
  }
}

/** LRD over RMSprop. */
export class LrdRmsprop extends LrdOptimizer {
  /** The name under which tfjs saves and finds it. */
  static readonly className = 'LrdRmsprop';
  constructor(options: RmspropOptions = {}) {
    super('rmsprop', options);
  }
}

/** LRD over Adam. */
export class LrdAdam extends LrdOptimizer {
  /** The name under which tfjs saves and finds it. */
  static readonly className = 'LrdAdam';
  constructor(options: AdamOptions = {}) {
    super('adam', options);
  }
}

/** LRD over AMSGrad. */
export class LrdAmsgrad extends LrdOptimizer {
  /** The name under which tfjs saves and finds it. */
  static readonly className = 'LrdAmsgrad';
  constructor(options: AmsgradOptions = {}) {
    super('amsgrad', options);
  }
}

/** LRD over RAdam. */
export class LrdRadam extends LrdOptimizer {
  /** The name under which tfjs saves and finds it. */
  static readonly className = 'LrdRadam';
  constructor(options: RadamOptions = {}) {
    super('radam', options);
  }
}

/** LRD over Adam with decoupled weight decay, which a dropped coordinate is spared too. */
export class LrdAdamw extends LrdOptimizer {
  /** The name under which tfjs saves and finds it. */
  static readonly className = 'LrdAdamw';
  constructor(options: AdamOptions = {}) {
    super('adamw', options);
  }
}

for (const cls of [LrdSgdm, LrdRmsprop, LrdAdam, LrdAmsgrad, LrdRadam, LrdAdamw]) tf.serialization.registerClass(cls);
