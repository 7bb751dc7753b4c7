import { elementwise } from '../elementwise.ts';
import type { Slots } from '../rules/rule.ts';

/** One step of the authors' optimizers, for one tensor. */
export interface Authors2019Input {
  /** The parameter before the step. */
  readonly values: Float64Array;
  /** Of the loss alone. */
  readonly gradient: Float64Array;
  /** The rule's state before the step. */
  readonly slots: Slots;
  /** 1 keeps. Multiplied, not selected: a dropped coordinate with an infinite step becomes NaN. */
  readonly mask: Uint8Array;
  /** Steps of this tensor, this one included. */
  readonly t: number;
}

/** What a step leaves. */
export interface Authors2019Output {
  /** The parameter after it. */
  readonly values: Float64Array;
  /** The rule's state after it. */
  readonly slots: Slots;
}

/** What was accepted where: names as in `spec/rules.ts`. Their keep probability defaults to 0, which never updates anything. */
export interface Authors2019Hyper {
  /** alpha. */
  readonly learningRate: number;
  /** Coupled L2. */
  readonly weightDecay: number;
}

const decayed = ({ values, gradient }: Authors2019Input, weightDecay: number): Float64Array =>
  elementwise((g, w) => g + weightDecay * w, gradient, values);

/**
 * `sgd_lrd.py`: equal to rule `sgdm`, except that Nesterov momentum is accepted and ignored, and momentum 0 fails with an
 * UnboundLocalError (here: refused), so that Table IV's first column cannot have been made with it.
 *
 * @throws RangeError when momentum is 0
 */
function sgd(
  input: Authors2019Input,
  hyper: Authors2019Hyper & { readonly momentum: number; readonly dampening: number },
): Authors2019Output {
  if (hyper.momentum === 0) throw new RangeError("momentum must not be 0 in the authors' SGD_LRD, got 0");
  const g = decayed(input, hyper.weightDecay);
  const previous = input.t === 1 ? undefined : input.slots['buf'];
  const buf =
    previous === undefined ? g : elementwise((b, x) => hyper.momentum * b + (1 - hyper.dampening) * x, previous, g);
  const values = input.values.map((w, i) => w - hyper.learningRate * (input.mask[i] as number) * (buf[i] as number));
  return { values, slots: { buf } };
}

/** `adam_lrd.py`: rule `adam` with epsilonMode `hat`. */
function adam(
  input: Authors2019Input,
  hyper: Authors2019Hyper & { readonly beta1: number; readonly beta2: number; readonly epsilon: number },
): Authors2019Output {
  const { beta1, beta2, epsilon } = hyper;
  const g = decayed(input, hyper.weightDecay);
  const zeros = new Float64Array(g.length);
  const m = elementwise((a, x) => beta1 * a + (1 - beta1) * x, input.slots['m'] ?? zeros, g);
  const v = elementwise((a, x) => beta2 * a + (1 - beta2) * x * x, input.slots['v'] ?? zeros, g);
  const size = (hyper.learningRate * Math.sqrt(1 - beta2 ** input.t)) / (1 - beta1 ** input.t);
  const values = input.values.map(
    (w, i) => w - (m[i] as number) * ((size / (Math.sqrt(v[i] as number) + epsilon)) * (input.mask[i] as number)),
  );
  return { values, slots: { m, v } };
}

/**
 * `rmsprop_lrd.py`, with two bugs. The gradient is masked before L2 is added to it, so with momentum 0 weight decay reaches the
 * average and never the step; Table I's RMSprop column therefore compares L2 with no L2. With momentum the mask is not applied
 * at all. Only without decay and without momentum it is rule `rmsprop`.
 */
function rmsprop(
  input: Authors2019Input,
  hyper: Authors2019Hyper & { readonly rho: number; readonly epsilon: number; readonly momentum: number },
): Authors2019Output {
  const { learningRate, rho, epsilon, momentum } = hyper;
  const masked = input.gradient.map((g, i) => g * (input.mask[i] as number));
  const g = decayed(input, hyper.weightDecay);
  const zeros = new Float64Array(g.length);
  const v = elementwise((a, x) => rho * a + (1 - rho) * x * x, input.slots['v'] ?? zeros, g);
  const average = v.map((a) => Math.sqrt(a) + epsilon);
  if (momentum === 0) {
    const values = elementwise((w, x, a) => w - (learningRate * x) / a, input.values, masked, average);
    return { values, slots: { v } };
  }
  const buf = elementwise((b, x, a) => momentum * b + x / a, input.slots['buf'] ?? zeros, g, average);
  return { values: elementwise((w, b) => w - learningRate * b, input.values, buf), slots: { v, buf } };
}

/**
 * What the authors' published code does, bugs included, so that their figures can be explained. Not for use.
 *
 * Source: HuangxingLin123/Learning-Rate-Dropout, cifar10/{sgd,adam,rmsprop}_lrd.py at c64ac01 (December 2019). Written anew from
 * its behaviour; the mask is drawn by the caller.
 */
export const authors2019 = { sgd, adam, rmsprop } as const;
