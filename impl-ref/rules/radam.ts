import { elementwise } from '../elementwise.ts';
import { updateMoments } from './adam.ts';
import type { BaseRule } from './rule.ts';

/** What RAdam does at one step: follow the momentum alone, or Adam's direction times the rectification r_t. */
export type Rectification = { readonly rectified: false } | { readonly rectified: true; readonly factor: number };

/**
 * The rectification term of step t.
 *
 *     rhoInf = 2 / (1 - beta2) - 1
 *     rho_t  = rhoInf - 2 t beta2^t / (1 - beta2^t)
 *     r_t    = sqrt( (rho_t - 4)(rho_t - 2) rhoInf / ((rhoInf - 4)(rhoInf - 2) rho_t) )
 *
 * `paper` rectifies iff rho_t > 4, `torch` iff rho_t > 5, `original` (its authors' code) iff rho_t >= 5. With beta2 = .999
 * rho_5 = 4.996: the paper rectifies from t = 5, all code from t = 6.
 * Source: Liu et al. 2020, Algorithm 2; torch/optim/radam.py; LiyuanLucasLiu/RAdam radam.py.
 */
export function rectification(t: number, beta2: number, variant: string): Rectification {
  const rhoInf = 2 / (1 - beta2) - 1;
  const power = beta2 ** t;
  const rho = rhoInf - (2 * t * power) / (1 - power);
  const rectified = variant === 'paper' ? rho > 4 : variant === 'torch' ? rho > 5 : rho >= 5;
  if (!rectified) return { rectified };
  return {
    rectified,
    factor: Math.sqrt(((rho - 4) * (rho - 2) * rhoInf) / ((rhoInf - 4) * (rhoInf - 2) * rho)),
  };
}

/**
 * RAdam.
 *
 *     not rectified:    deltaW = mhat
 *     torch, original:  deltaW = r_t mhat sqrt(1 - beta2^t) / (sqrt(v) + epsilon)
 *     paper:            deltaW = r_t mhat / (sqrt(vhat) + epsilon)       (the paper has no epsilon)
 *
 * `original` is its authors' code as of 2019 (degenerated_to_sgd = True), with the coupled L2 of this rule in place of its decoupled decay.
 */
export const radam: BaseRule<'radam'> = (gradient, slots, t, { beta1, beta2, epsilon, variant }) => {
  const { m, v } = updateMoments(gradient, slots, beta1, beta2);
  const correction1 = 1 - beta1 ** t;
  const correction2 = 1 - beta2 ** t;
  const r = rectification(t, beta2, variant);
  let deltaW: Float64Array;
  if (!r.rectified) deltaW = elementwise((m) => m / correction1, m);
  else if (variant === 'paper') {
    deltaW = elementwise((m, v) => (r.factor * (m / correction1)) / (Math.sqrt(v / correction2) + epsilon), m, v);
  } else {
    const root = Math.sqrt(correction2);
    deltaW = elementwise((m, v) => (m / correction1) * (root / (Math.sqrt(v) + epsilon)) * r.factor, m, v);
  }
  return { deltaW, slots: { ...slots, m, v } };
};
