/** What is measured over a tensor, written over the same algebra as the step (`engines/formulas.ts`), and what becomes of the sums. */
import { MASK_STATE } from '../../spec/family.ts';
import type { Kernel, Scalars } from '../engines/engine.ts';
import { kernelState } from '../engines/engine.ts';
import type { Algebra, Operands } from '../engines/formulas.ts';
import { decayed, direction } from '../engines/formulas.ts';

/**
 * The alignment of momentum and gradient, for one tensor and step:
 *
 *     s~ = sigmoid(cos(m, g) / temperature);  factor = s = keep * s + add * s~ + start, the state `alignment`
 *
 * m is the rule's first moment as the step leaves it (before: as it finds it), or mu = muKeep * mu + (1 - muKeep) * g, the state `mu`, which
 * the measuring pass moves on.
 */
export interface AlignmentMeasure {
  readonly factor: 'alignment';
  readonly temperature: number;
  readonly keep: number;
  readonly add: number;
  readonly start: number;
  /** The least denominator of the cosine. */
  readonly epsilon: number;
  readonly own: boolean;
  readonly muKeep: number;
  readonly before: boolean;
}

/** The inverse of the share of elements that agree: size / (kept + 1), or 1 / max(kept / size, floor). */
export interface MeanMeasure {
  readonly factor: 'mean';
  /** 0: size / (kept + 1). */
  readonly floor: number;
}

/** What of its own first moment a rule lends to the alignment, by the name of its state. */
export function firstMoment({ family }: Kernel): 'buf' | 'm' | undefined {
  switch (family) {
    case 'momentum':
      return 'buf';
    case 'adam':
    case 'amsgrad':
    case 'first-moment':
      return 'm';
    case 'gradient':
    case 'rmsprop':
      return undefined;
  }
}

/** The state that deciding an element's agreement reads: none, the first moment, or what a buffered delta is made of. */
export function signState(kernel: Kernel): readonly string[] {
  if (kernel.family === 'rmsprop' && kernel.buffered) return kernelState(kernel);
  const moment = firstMoment(kernel);
  return moment === undefined ? [] : [moment];
}

/** The two values whose signs agree where an element is kept, as `Updated.signs` has them; `x.state` is in the order of `signState`. The same values as `update`'s. */
export function signs<Value>(kernel: Kernel, a: Algebra<Value>, x: Operands<Value>): readonly [Value, Value] {
  const g = decayed(kernel, a, x);
  if (kernel.family === 'rmsprop' && kernel.buffered) return [direction(kernel, a, g, x).delta, g];
  if (firstMoment(kernel) === undefined) return [g, g];
  const m = a.add(a.mul(x.scalar('firstKeep'), x.state[0] as Value), a.mul(x.scalar('firstAdd'), g));
  return [kernel.nesterov ? a.add(g, a.mul(x.scalar('momentum'), m)) : m, g];
}

/** What the alignment's pass reads beside gradient and parameter: the moment that it takes. */
export function momentState(kernel: Kernel, measure: AlignmentMeasure): string {
  return measure.own ? MASK_STATE.moment : (firstMoment(kernel) as string);
}

/** The scalars of the alignment's pass: an own moment decays by its own numbers. */
export function alignmentScalars(scalars: Scalars, { own, muKeep }: AlignmentMeasure): Scalars {
  return own ? { ...scalars, firstKeep: muKeep, firstAdd: 1 - muKeep } : scalars;
}

/** A tensor's alignment from the three sums and the one of the step before; a zero vector has the cosine 0. */
export function alignmentOf(
  measure: AlignmentMeasure,
  previous: number,
  [mg, mm, gg]: readonly [mg: number, mm: number, gg: number],
): number {
  const norms = Math.sqrt(mm) * Math.sqrt(gg);
  const cosine = norms === 0 ? 0 : mg / Math.max(norms, measure.epsilon);
  const measured = 1 / (1 + Math.exp(-cosine / measure.temperature));
  // What is not used may be anything: 0 times NaN would stay.
  const before = measure.keep === 0 ? 0 : measure.keep * previous;
  return before + measure.add * measured + measure.start;
}

/** The factor of a tensor of which `kept` elements agree. */
export function meanFactor({ floor }: MeanMeasure, kept: number, size: number): number {
  if (size === 0) return 1;
  return floor === 0 ? size / (kept + 1) : 1 / Math.max(kept / size, floor);
}

/** The two vectors of the cosine, and the own moment as it goes on. */
export interface AlignmentVectors<Value> {
  readonly m: Value;
  readonly g: Value;
  readonly mu: Value | undefined;
}

/** @param moment - as the step finds it, the state that `momentState` names */
export function alignmentVectors<Value>(
  kernel: Kernel,
  measure: Pick<AlignmentMeasure, 'own' | 'before'>,
  a: Algebra<Value>,
  x: Omit<Operands<Value>, 'state'> & { readonly moment: Value },
): AlignmentVectors<Value> {
  const g = decayed(kernel, a, { ...x, state: [] });
  const next =
    measure.own || !measure.before
      ? a.add(a.mul(x.scalar('firstKeep'), x.moment), a.mul(x.scalar('firstAdd'), g))
      : x.moment;
  return { m: measure.before ? x.moment : next, g, mu: measure.own ? next : undefined };
}
