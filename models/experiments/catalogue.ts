import { unknownName } from '../errors.ts';
import type { Experiment } from './experiment.ts';
import { table1 } from './definitions/table1.ts';
import { table3 } from './definitions/table3.ts';

/** Every experiment, in the papers' order. */
export const EXPERIMENTS: readonly Experiment[] = [table1, table3];

/** Throws a `UsageError` for an unknown name. */
export function findExperiment(name: string): Experiment {
  const found = EXPERIMENTS.find((experiment) => experiment.name === name);
  if (found === undefined)
    throw unknownName(
      'NAME',
      name,
      EXPERIMENTS.map((experiment) => experiment.name),
    );
  return found;
}
