import { MASK_KINDS, MASK_OPTIONS } from '../../spec/family.ts';
import type { Draw, Factor, Granularity, MaskKind, MaskKindName, MaskOption } from '../../spec/family.ts';
import { checkHyper } from '../validate.ts';

/** A mask as a caller asks for it: a kind, and any of `spec/family.ts`'s options in place of its defaults. */
export interface MaskRequest {
  readonly kind: MaskKindName;
  readonly granularity?: Granularity;
  readonly factor?: Factor;
  readonly temperature?: number;
  readonly smoothing?: number;
  readonly firstAlignment?: 'half' | 'one' | 'measured';
  readonly moment?: 'rule' | 'own';
  readonly momentDecay?: number;
  readonly momentTime?: 'after' | 'before';
  readonly cosineEpsilon?: number;
  readonly meanFloor?: number;
  readonly normalization?: 'mean' | 'count';
  readonly decay?: 'scaled' | 'masked' | 'plain';
}

/** A mask with its cell and every option's value. Options that the cell has no use for have their defaults. */
export interface Mask extends Required<MaskRequest> {
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
