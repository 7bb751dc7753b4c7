/** Which kinds of mask an implementation is asked for: those that it declares, with the options that it knows. */
import fc from 'fast-check';
import type { Mask, MaskRequest } from 'learning-rate-dropout/ref';
import { MASK_KINDS, MASK_OPTIONS } from 'learning-rate-dropout/spec';
import type { Draw, Factor, Granularity, MaskKind, MaskKindName, MaskOption } from 'learning-rate-dropout/spec';
import { expandMask, isPlainMask } from '../../protocol/kinds.ts';
import type { Implementation, KindAbility, MaskOptionValue } from '../../protocol/types.ts';

/** Kinds by name, in the order of the specification. */
export const KIND_NAMES = Object.keys(MASK_KINDS) as MaskKindName[];

/** What is asked of options where an implementation does not say. Each can show in a step, and lies well inside its range. */
const POOL: Readonly<Record<string, readonly MaskOptionValue[]>> = {
  temperature: [2, 0.5, 10],
  smoothing: [0.9, 0.5, 0],
  momentDecay: [0.9, 0.5],
  cosineEpsilon: [0, 1e-8, 100],
  meanFloor: [1e-3, 0.75, 1],
};

const listOf = <T>(value: T | readonly T[]): readonly T[] =>
  Array.isArray(value) ? (value as readonly T[]) : [value as T];

/** A request with all that its options may be. */
interface Cell {
  readonly kind: MaskKindName;
  readonly granularity: Granularity;
  readonly factor: Factor;
  /** By option: what it may be, and whether it may be left out. */
  readonly options: Readonly<
    Record<string, { readonly values: readonly MaskOptionValue[]; readonly optional: boolean }>
  >;
}

/** What a property wants of a cell. */
export interface Wanted {
  readonly kinds?: readonly MaskKindName[];
  readonly granularity?: Granularity;
  readonly draw?: Draw;
  readonly factor?: Factor;
  /** Only these values of an option; cells that cannot have one are left out. */
  readonly options?: Readonly<Record<string, readonly MaskOptionValue[]>>;
}

function optionsOf(kind: MaskKind, factor: Factor, ability: KindAbility, wanted: Wanted): Cell['options'] | undefined {
  const options: Record<string, Cell['options'][string]> = {};
  for (const [name, { parameter, factors }] of Object.entries<MaskOption>(MASK_OPTIONS)) {
    if (factors?.includes(factor) === false) continue;
    const known = (ability as Readonly<Record<string, MaskOptionValue | readonly MaskOptionValue[] | undefined>>)[name];
    const preset = name === 'decay' ? kind.decay : (parameter.default as MaskOptionValue);
    const pool = parameter.kind === 'choice' ? parameter.values : (POOL[name] ?? [preset]);
    const only = wanted.options?.[name];
    const values = (known === undefined ? pool : listOf(known)).filter((value) => only?.includes(value) ?? true);
    if (values.length === 0) return undefined;
    options[name] = { values, optional: values.includes(preset) };
  }
  const missing = Object.keys(wanted.options ?? {}).some((name) => !(name in options));
  return missing ? undefined : options;
}

function cellsOf({ kinds = {} }: Implementation, wanted: Wanted): Cell[] {
  return KIND_NAMES.filter((name) => wanted.kinds?.includes(name) ?? true).flatMap((name): Cell[] => {
    const ability = kinds[name];
    const kind: MaskKind = MASK_KINDS[name];
    if (ability === undefined || (wanted.draw !== undefined && wanted.draw !== kind.draw)) return [];
    const granularities = listOf(ability.granularity ?? kind.granularity) as readonly Granularity[];
    const factors = listOf(ability.factor ?? kind.factor) as readonly Factor[];
    return granularities.flatMap((granularity) =>
      factors.flatMap((factor): Cell[] => {
        if (granularity !== (wanted.granularity ?? granularity) || factor !== (wanted.factor ?? factor)) return [];
        const options = optionsOf(kind, factor, ability, wanted);
        return options === undefined ? [] : [{ kind: name, granularity, factor, options }];
      }),
    );
  });
}

/** Requests that an implementation declares and a property wants; undefined where there is none. Learning rate dropout's own is none. */
export function requestsOf(implementation: Implementation, wanted: Wanted = {}): fc.Arbitrary<MaskRequest> | undefined {
  const requests = cellsOf(implementation, wanted).flatMap(({ kind, granularity, factor, options }) => {
    const row: MaskKind = MASK_KINDS[kind];
    const drawn = fc
      .record(
        Object.fromEntries(
          Object.entries(options).map(([name, { values, optional }]) => {
            const value = fc.constantFrom(...values);
            return [name, optional ? fc.option(value, { nil: undefined, freq: 2 }) : value];
          }),
        ),
      )
      .map((chosen): MaskRequest => ({
        kind,
        ...(granularity === row.granularity ? {} : { granularity }),
        ...(factor === row.factor ? {} : { factor }),
        ...Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined)),
      }));
    // Learning rate dropout under another decay is another mask; under its own it is what everything else judges.
    const plain = isPlainMask({ ...(expandMask({ kind, granularity, factor }) as Mask), decay: 'scaled' });
    const decays = options['decay']?.values.filter((value) => value !== 'scaled') ?? [];
    if (!plain) return [drawn];
    return decays.length === 0
      ? []
      : [fc.tuple(drawn, fc.constantFrom(...decays)).map(([request, decay]) => ({ ...request, decay }) as MaskRequest)];
  });
  return requests.length === 0 ? undefined : fc.oneof(...requests);
}

/** Why an implementation cannot be judged: it declares nothing of what is wanted. */
export const lacksKind =
  (wanted: Wanted = {}) =>
  (implementation: Implementation): string | undefined => {
    if (requestsOf(implementation, wanted) !== undefined) return undefined;
    if (Object.keys(implementation.kinds ?? {}).length === 0) return 'declares no other kinds of mask';
    const words = [
      ...(wanted.kinds ?? []),
      ...(wanted.draw === undefined ? [] : [`draw ${wanted.draw}`]),
      ...(wanted.granularity === undefined ? [] : [`granularity ${wanted.granularity}`]),
      ...(wanted.factor === undefined ? [] : [`factor ${wanted.factor}`]),
      ...Object.entries(wanted.options ?? {}).map(([name, values]) => `${name} ${values.join(' or ')}`),
    ];
    return `does not declare a kind of mask with ${words.join(', ')}`;
  };
