import { InvalidArgumentError, checkNames, show } from '../validate.ts';

/**
 * A keep probability that is trained beside the parameters. Experimental: TNNLS 2022, section IV-F names the idea and gives no method.
 *
 * The expected parameters are linear in p, so -alpha <g_next, deltaW> estimates the next loss's derivative by p, to first order and
 * one step ahead; where the loss curves it is biased (`impl-ref/trainedKeepProbability.ts` has the formula). Each gradient first moves
 * p by the estimate over the step before; the step then draws with the p that results.
 */
export interface TrainedKeepProbability {
  /** p's own learning rate: p moves by rate times the estimate. At least 0; it has the scale of 1 / loss. */
  readonly rate: number;
  /** p stays in [minimum, maximum]. Default [.05, 1]. */
  readonly minimum?: number;
  /** See `minimum`. */
  readonly maximum?: number;
  /** `descent` lowers the next loss, `ascent` raises it. Default `descent`. */
  readonly sign?: 'descent' | 'ascent';
  /** One p for all variables, or one for each parameter group and one for the rest. Default `global`. */
  readonly scope?: 'global' | 'groups';
}

/** With every option given. */
export type ResolvedTrained = Required<TrainedKeepProbability>;

/** With defaults filled in. Throws `InvalidArgumentError` naming option, value and rule. */
export function resolveTrained(options: TrainedKeepProbability, initial: unknown): ResolvedTrained {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError(`trained must be an object, as in { rate: 0.01 }, got ${show(options)}`);
  }
  checkNames("trained's fields", Object.keys(options), ['rate', 'minimum', 'maximum', 'sign', 'scope']);
  const { rate, minimum = 0.05, maximum = 1, sign = 'descent', scope = 'global' } = options;
  const refuse = (name: string, rule: string, value: unknown): never => {
    throw new InvalidArgumentError(`trained.${name} ${rule}, got ${show(value)}`);
  };
  if (!(typeof rate === 'number' && rate >= 0 && rate < Infinity))
    refuse('rate', 'must be a finite number of at least 0', rate);
  if (!(typeof minimum === 'number' && minimum >= 2 ** -16 && minimum <= 1))
    refuse('minimum', 'must be in [2^-16, 1]', minimum);
  if (!(typeof maximum === 'number' && maximum >= minimum && maximum <= 1))
    refuse('maximum', `must be in [minimum, 1] = [${minimum}, 1]`, maximum);
  if (sign !== 'descent' && sign !== 'ascent') refuse('sign', 'must be one of descent, ascent', sign);
  if (scope !== 'global' && scope !== 'groups') refuse('scope', 'must be one of global, groups', scope);
  if (!(typeof initial === 'number' && initial >= minimum && initial <= maximum)) {
    throw new InvalidArgumentError(
      `keepProbability must start in [minimum, maximum] = [${minimum}, ${maximum}], got ${show(initial)}`,
    );
  }
  return { rate, minimum, maximum, sign, scope };
}

/** The next p from the estimate -alpha <g_next, deltaW>. An estimate that is not a number leaves p where it is. */
export function moveKeepProbability(
  { rate, minimum, maximum, sign }: ResolvedTrained,
  p: number,
  estimate: number,
): number {
  const moved = p + (sign === 'descent' ? -1 : 1) * rate * estimate;
  return Number.isNaN(moved) ? p : Math.min(maximum, Math.max(minimum, moved));
}
