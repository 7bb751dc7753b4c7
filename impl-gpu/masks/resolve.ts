/** Kinds of mask beside learning rate dropout's own: what a caller asks for, checked against `spec/family.ts`. */
import type { Draw, Factor, Granularity, MaskKind, MaskKindName, MaskOption } from '../../spec/family.ts';
import { MASK_KINDS, MASK_OPTIONS } from '../../spec/family.ts';
import type { RuleName } from '../../spec/rules.ts';
import type { HyperValues } from '../validate.ts';
import { InvalidArgumentError, checkValue, show } from '../validate.ts';

/** A mask as a caller asks for it: its kind, and options in place of the kind's defaults. */
export interface MaskRequest {
  /** `lrd`, `skip-update`, `magma` (arXiv 2602.15322) or `cautious` (arXiv 2411.16085). */
  readonly kind: MaskKindName;
  /** What one draw decides about: an element or a whole tensor. Default the kind's. */
  readonly granularity?: Granularity;
  /** What a kept step is multiplied by: 1, 1/p, the alignment of momentum and gradient, 1/mean of the mask. Default the kind's. */
  readonly factor?: Factor;
  /** With the alignment: tau of sigmoid(cos / tau), above 0. Default 2. */
  readonly temperature?: number;
  /** With the alignment: how much of the last one stays, in [0, 1). Default .9. */
  readonly smoothing?: number;
  /** With the alignment: what stands for the one before the first: 1/2 (the default), 1, or the first measured. */
  readonly firstAlignment?: 'half' | 'one' | 'measured';
  /** With the alignment: the base rule's first moment, where it has one (the default), or always one of the mask's own. */
  readonly moment?: 'rule' | 'own';
  /** With the alignment: decay of the mask's own moment, in [0, 1). Default .9. */
  readonly momentDecay?: number;
  /** With the alignment: whether the moment includes this step's gradient. Default `after`: it does. */
  readonly momentTime?: 'after' | 'before';
  /** With the alignment: the least denominator of the cosine. Default 0. */
  readonly cosineEpsilon?: number;
  /** With 1/mean: the least mean, in (0, 1]. Default 1e-3. */
  readonly meanFloor?: number;
  /** With 1/mean: 1 / max(mean, meanFloor) (the default), or size / (kept + 1). */
  readonly normalization?: 'mean' | 'count';
  /** Decoupled weight decay: masked and scaled with the step, masked only, or neither. Default `scaled`; `cautious`: `plain`. */
  readonly decay?: 'scaled' | 'masked' | 'plain';
}

/** A mask with its cell and the value of every option. */
export interface MaskOptions extends Required<MaskRequest> {
  readonly draw: Draw;
}

function checkCell<Value extends string>(name: string, kind: string, value: Value, allowed: readonly Value[]): Value {
  if (allowed.includes(value)) return value;
  throw new InvalidArgumentError(`mask.${name} must be one of ${allowed.join(', ')} for ${kind}, got ${show(value)}`);
}

/**
 * A mask with all its options. Throws `InvalidArgumentError` naming option, value and rule for an unknown kind or option, a value outside
 * its range, and an option that the kind has no use for.
 */
export function resolveOptions(request: MaskRequest): MaskOptions {
  if (typeof request !== 'object' || (request as unknown) === null || Array.isArray(request)) {
    throw new InvalidArgumentError(`mask must be an object such as { kind: 'magma' }, got ${show(request)}`);
  }
  const { kind, granularity, factor, ...options } = request;
  if (typeof kind !== 'string' || !Object.hasOwn(MASK_KINDS, kind)) {
    throw new InvalidArgumentError(`mask.kind must be one of ${Object.keys(MASK_KINDS).join(', ')}, got ${show(kind)}`);
  }
  const row: MaskKind = MASK_KINDS[kind];
  const cell = {
    granularity: checkCell('granularity', kind, granularity ?? row.granularity, row.granularities),
    factor: checkCell('factor', kind, factor ?? row.factor, row.factors),
  };
  const table: Readonly<Record<string, MaskOption>> = MASK_OPTIONS;
  const values: Record<string, unknown> = {};
  for (const [name, { parameter }] of Object.entries(table)) values[name] = parameter.default;
  values['decay'] = row.decay;
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    if (value === undefined) continue;
    const option = Object.hasOwn(table, name) ? table[name] : undefined;
    if (option === undefined) {
      const known = ['kind', 'granularity', 'factor', ...Object.keys(table)];
      throw new InvalidArgumentError(`mask must have only ${known.join(', ')}, got ${show(name)}`);
    }
    if (option.factors?.includes(cell.factor) === false) {
      throw new InvalidArgumentError(
        `mask.${name} must be left out without the factor ${option.factors.join(' or ')}, got ${show(value)} for ${kind}`,
      );
    }
    values[name] = checkValue(`mask.${name}`, value, option.parameter);
  }
  return { ...values, ...cell, kind, draw: row.draw } as MaskOptions;
}

/** Whether a mask is learning rate dropout itself. */
export function isPlainLrd({ granularity, draw, factor, decay }: MaskOptions): boolean {
  return granularity === 'element' && draw === 'bernoulli' && factor === 'one' && decay === 'scaled';
}

/** The state that a mask adds to a rule's, by the names of `spec/family.ts`. */
export function maskState(
  { factor, moment }: MaskOptions,
  rule: RuleName,
  hyper: HyperValues,
): readonly ('alignment' | 'mu')[] {
  if (factor !== 'alignment') return [];
  const lends = rule === 'sgdm' ? hyper['momentum'] !== 0 : rule !== 'rmsprop' && rule !== 'sgdm-avg';
  return moment === 'rule' && lends ? ['alignment'] : ['mu', 'alignment'];
}
