import * as lrd from 'learning-rate-dropout';
import type { LrdOptimizer } from 'learning-rate-dropout';
import type { RuleName } from 'learning-rate-dropout/spec';
import { unknownName } from '../errors.ts';

/** Settings that the command line passes on; what is undefined has the rule's default. */
export interface OptimizerSettings {
  /** Default: the rule's. */
  readonly learningRate?: number | undefined;
  /** Default: the rule's. */
  readonly momentum?: number | undefined;
  /** Default: the rule's. */
  readonly weightDecay?: number | undefined;
  /** Other hyper-parameters of the rule, and what may happen to gradients first. */
  readonly others?: Readonly<Record<string, unknown>>;
  /** Undefined with a mask that is not drawn. */
  readonly keepProbability: number | undefined;
  /** Of the masks. */
  readonly seed: bigint;
}

type Factory = (options: Record<string, unknown>) => LrdOptimizer;

/** What makes the optimizer of each rule. */
export const FACTORIES: Readonly<Record<RuleName, Factory>> = {
  sgdm: lrd.sgdm,
  'sgdm-avg': lrd.sgdmAvg,
  rmsprop: lrd.rmsprop,
  adam: lrd.adam,
  amsgrad: lrd.amsgrad,
  radam: lrd.radam,
  adamw: lrd.adamw,
};

/** Names that `--optimizer` takes. */
export const OPTIMIZERS: readonly string[] = Object.keys(FACTORIES);

function findFactory(name: string): Factory {
  const factory = Object.hasOwn(FACTORIES, name) ? FACTORIES[name as RuleName] : undefined;
  if (factory === undefined) throw unknownName('--optimizer', name, OPTIMIZERS);
  return factory;
}

/** An optimizer by name. Throws a `UsageError` for an unknown name, `InvalidArgumentError` for a value out of range. */
export function createOptimizer(name: string, settings: OptimizerSettings): LrdOptimizer {
  const factory = findFactory(name);
  // By name: what else a caller's object carries is none of the optimizer's.
  const { learningRate, momentum, weightDecay, others, keepProbability, seed } = settings;
  const given = Object.entries({ learningRate, momentum, weightDecay, keepProbability, seed, ...others }).filter(
    ([, value]) => value !== undefined,
  );
  return factory(Object.fromEntries(given));
}

/** An optimizer by name from a configuration that `getConfig` gave. */
export function restoreOptimizer(name: string, config: object): LrdOptimizer {
  return findFactory(name)(config as Record<string, unknown>);
}
