import { MASK_KINDS, MASK_OPTIONS } from 'learning-rate-dropout/spec';
import type { HyperParameter, MaskKind, MaskKindName, MaskOption } from 'learning-rate-dropout/spec';
import type { MaskRequest } from 'learning-rate-dropout';
import { readDecimal } from '../decimal.ts';
import { UsageError, unknownName } from '../errors.ts';

/** Names that `--mask` takes. */
export const MASKS: readonly string[] = Object.keys(MASK_KINDS);

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The options of a kind by the names that the command line takes: `first-alignment`, `granularity` ... */
function optionsOf(kind: MaskKindName): ReadonlyMap<string, readonly [name: string, parameter: HyperParameter]> {
  const { granularities, factors, granularity, factor }: MaskKind = MASK_KINDS[kind];
  const choice = (values: readonly string[], preset: string): HyperParameter => ({
    kind: 'choice',
    default: preset,
    values,
    text: `must be one of ${values.join(', ')}`,
  });
  return new Map<string, readonly [string, HyperParameter]>([
    ['granularity', ['granularity', choice(granularities, granularity)]],
    ['factor', ['factor', choice(factors, factor)]],
    ...Object.entries<MaskOption>(MASK_OPTIONS)
      .filter(([, { factors: needed }]) => needed === undefined || needed.some((each) => factors.includes(each)))
      .map(([name, { parameter }]) => [kebab(name), [name, parameter]] as const),
  ]);
}

function readValue(option: string, text: string, parameter: HyperParameter): number | string {
  if (parameter.kind !== 'number') return text;
  const value = readDecimal(text);
  if (Number.isNaN(value)) throw new UsageError(`--mask: ${option} ${parameter.text}, got ${JSON.stringify(text)}`);
  return value;
}

/**
 * Reads `--mask`, as in `skip-update` or `magma:temperature=2,first-alignment=one`. Throws a `UsageError` that names option, value and rule;
 * ranges are the optimizer's to check.
 */
export function parseMask(text: string): MaskRequest {
  const at = text.indexOf(':');
  const kind = at < 0 ? text : text.slice(0, at);
  if (!MASKS.includes(kind)) throw unknownName('--mask', kind, MASKS);
  const options = optionsOf(kind as MaskKindName);
  const values: Record<string, number | string> = {};
  for (const part of at < 0 ? [] : text.slice(at + 1).split(',')) {
    const [option = '', ...rest] = part.split('=');
    const known = options.get(option);
    if (known === undefined) throw unknownName(`--mask ${kind}: option`, option, [...options.keys()]);
    const [name, parameter] = known;
    if (rest.length !== 1) {
      throw new UsageError(`--mask ${kind}: ${option} must be given as ${option}=VALUE, got ${JSON.stringify(part)}`);
    }
    if (name in values) throw new UsageError(`--mask ${kind}: ${option} must be given once, got it twice`);
    values[name] = readValue(option, rest[0] as string, parameter);
  }
  return { kind: kind as MaskKindName, ...values };
}

/** Whether a mask draws with a keep probability. */
export const isDrawn = ({ kind }: MaskRequest): boolean => MASK_KINDS[kind].draw === 'bernoulli';

/** Whether a mask scales by the alignment of momentum and gradient. */
export const isAligned = ({ kind, factor }: MaskRequest): boolean =>
  (factor ?? MASK_KINDS[kind].factor) === 'alignment';
