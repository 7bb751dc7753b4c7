import { MASK_KINDS, MASK_OPTIONS } from '../../spec/family.ts';
import type { Draw, Factor, Granularity, MaskKind, MaskKindName, MaskOption } from '../../spec/family.ts';
import { checkHyper } from '../validate.ts';

/** A mask as a caller asks for it: a kind, and any of `spec/family.ts`'s options in place of its defaults. */
export interface MaskRequest {
  /** Whose mask: `lrd`, `skip-update`, `magma` or `cautious`. */
  readonly kind: MaskKindName;
  /** What one draw decides about. Default the kind's. */
  readonly granularity?: Granularity;
  /** What a kept step is multiplied by. Default the kind's. */
  readonly factor?: Factor;
  /** tau of sigmoid(cos / tau), above 0. Default 2. */
  readonly temperature?: number;
  /** How much of the last alignment stays, in [0, 1). Default .9. */
  readonly smoothing?: number;
  /** What stands for the alignment before the first: 1/2 (the default), 1, or the first measured. */
  readonly firstAlignment?: 'half' | 'one' | 'measured';
  /** The first moment of the cosine: the rule's, where it has one (the default), or the mask's own. */
  readonly moment?: 'rule' | 'own';
  /** Decay of the mask's own moment, in [0, 1). Default .9. */
  readonly momentDecay?: number;
  /** Whether the moment includes this step's gradient. Default `after`: it does. */
  readonly momentTime?: 'after' | 'before';
  /** The least denominator of the cosine. Default 0. */
  readonly cosineEpsilon?: number;
  /** The least mean of the mask, in (0, 1]. Default 1e-3. */
  readonly meanFloor?: number;
  /** 1 / max(mean, meanFloor) (the default), or size / (kept + 1). */
  readonly normalization?: 'mean' | 'count';
  /** Decoupled decay: masked and scaled with the step, masked only, or neither. Default `scaled`; `cautious`: `plain`. */
  readonly decay?: 'scaled' | 'masked' | 'plain';
}

/** A mask with its cell and every option's value. Options that the cell has no use for have their defaults. */
export interface Mask extends Required<MaskRequest> {
  /** Where the mask comes from, which the kind decides. */
  readonly draw: Draw;
}

const show = (value: unknown): string => JSON.stringify(value) ?? String(value);

/**
 * @throws RangeError `mask.NAME RULE, got VALUE` for an unknown kind or option, a value outside its range, or an option that the kind has
 *   no use for
 */
export function resolveMask(request: MaskRequest): Mask {
  const { kind, ...options } = request;
  if (typeof kind !== 'string' || !Object.hasOwn(MASK_KINDS, kind)) {
    throw new RangeError(`mask.kind must be one of ${Object.keys(MASK_KINDS).join(', ')}, got ${show(kind)}`);
  }
  const row: MaskKind = MASK_KINDS[kind];
  const { granularity = row.granularity, factor = row.factor } = options;
  const cell = (name: string, value: string, allowed: readonly string[]): void => {
    if (allowed.includes(value)) return;
    throw new RangeError(`mask.${name} must be one of ${allowed.join(', ')} for ${kind}, got ${show(value)}`);
  };
  cell('granularity', granularity, row.granularities);
  cell('factor', factor, row.factors);
  const values: Record<string, unknown> = { decay: row.decay };
  for (const [name, value] of Object.entries(options)) {
    if (name === 'granularity' || name === 'factor' || value === undefined) continue;
    if (!Object.hasOwn(MASK_OPTIONS, name)) {
      const known = ['kind', 'granularity', 'factor', ...Object.keys(MASK_OPTIONS)];
      throw new RangeError(`mask must have only ${known.join(', ')}, got ${show(name)}`);
    }
    const { parameter, factors } = (MASK_OPTIONS as Readonly<Record<string, MaskOption>>)[name] as MaskOption;
    if (factors !== undefined && !factors.includes(factor)) {
      throw new RangeError(
        `mask.${name} must be left out without the factor ${factors.join(' or ')}, got ${show(value)} for ${kind}`,
      );
    }
    checkHyper(`mask.${name}`, parameter, value);
    values[name] = value;
  }
  const defaults = Object.fromEntries(
    Object.entries<MaskOption>(MASK_OPTIONS).map(([name, { parameter }]) => [name, parameter.default]),
  );
  return { ...defaults, ...values, kind, granularity, factor, draw: row.draw } as Mask;
}
