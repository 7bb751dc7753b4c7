import type { RuleName } from '../../spec/rules.ts';
import type { MaskRequest } from '../family/resolveMask.ts';
import { createOptimizer } from '../optimizer.ts';
import type { Masks, OptimizerState, Parameter, Scheduled } from '../optimizer.ts';
import type { HyperValue } from '../validate.ts';

type PerStep<T> = T | readonly T[];

/** A case of `spec/vectors`, as `schema.json` has it. */
export interface VectorCase {
  readonly rule: RuleName;
  readonly hyper?: Readonly<Record<string, PerStep<HyperValue>>>;
  /** Left out: the mask's own default. */
  readonly keepProbability?: PerStep<number> | null;
  readonly mask?: MaskRequest;
  readonly masks: 'stream' | readonly (readonly string[])[];
  readonly seed?: string;
  readonly firstStep?: number;
  readonly state?: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly parameters: readonly Parameter[];
  readonly gradients: readonly (readonly (readonly number[] | null)[])[];
}

/** The answer to a step of a case. */
export interface VectorStep {
  readonly parameters: readonly (readonly number[])[];
  /** Null for a tensor without a gradient. */
  readonly masks: readonly (string | null)[];
  readonly state: Readonly<Record<string, readonly (readonly number[])[]>>;
}

/**
 * Runs a case on the reference.
 *
 * @throws RangeError where the reference refuses the case
 */
export function runCase(example: VectorCase): VectorStep[] {
  const { rule, hyper = {}, firstStep = 1, masks: given, seed = 0 } = example;
  const schedule = <T>(value: PerStep<T>): Scheduled<T> =>
    Array.isArray(value) ? (step: number) => (value as readonly T[])[step - firstStep] as T : (value as T);
  const masks: Masks =
    given === 'stream'
      ? { kind: 'stream', seed }
      : { kind: 'given', mask: (step, k) => Array.from(given[step - firstStep]?.[k] ?? '', Number) };
  const optimizer = createOptimizer(example.parameters, {
    rule,
    hyper: Object.fromEntries(Object.entries(hyper).map(([name, value]) => [name, schedule(value)])),
    ...(example.keepProbability === undefined
      ? {}
      : { keepProbability: example.keepProbability === null ? null : schedule(example.keepProbability) }),
    ...(example.mask === undefined ? {} : { mask: example.mask }),
    masks,
  });
  let state: OptimizerState = optimizer.init({
    firstStep,
    ...(example.state === undefined ? {} : { state: example.state }),
  });
  return example.gradients.map((gradients) => {
    const result = optimizer.step(state, gradients);
    ({ state } = result);
    const names = new Set(state.tensors.flatMap(({ slots }) => Object.keys(slots)));
    return {
      parameters: state.tensors.map(({ values }) => Array.from(values)),
      masks: result.report.masks.map((mask) => mask?.join('') ?? null),
      state: Object.fromEntries(
        [...names].map((name) => [name, state.tensors.map(({ slots }) => Array.from(slots[name] ?? []))]),
      ),
    };
  });
}
