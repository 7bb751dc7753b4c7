import { unknownName } from '../errors.ts';
import type { Experiment, ExperimentFile } from './experiment.ts';
import { experimentOf } from './experimentFile.ts';
import { cost, table4, table5, table6 } from './definitions/ablations.ts';
import { fig1 } from './definitions/fig1.ts';
import { arxivDg, arxivTable3, arxivTable4, table2 } from './definitions/regularizers.ts';
import { gptMasks, masks, masksResnet } from './definitions/masks.ts';
import { table1 } from './definitions/table1.ts';
import { table3 } from './definitions/table3.ts';
import { selectionOf } from './selection.ts';
import { fig10, fig9 } from './definitions/voc.ts';
import { tapers } from './definitions/taper.ts';
import { fig7, fig8 } from './definitions/tiny.ts';

/** Every experiment, in the papers' order. */
export const EXPERIMENTS: readonly Experiment[] = [
  fig1,
  table1,
  fig7,
  fig8,
  fig9,
  fig10,
  table2,
  table3,
  table4,
  table5,
  table6,
  cost,
  arxivTable3,
  arxivDg,
  arxivTable4,
  ...tapers,
  masks,
  masksResnet,
  gptMasks,
];

/** With the runs by which some of them choose their rates. */
const ALL = EXPERIMENTS.flatMap((experiment) => [experiment, selectionOf(experiment) ?? []].flat());

/** Throws a `UsageError` for an unknown name. */
export function findExperiment(name: string): Experiment {
  const found = ALL.find((experiment) => experiment.name === name);
  if (found === undefined)
    throw unknownName(
      'NAME',
      name,
      EXPERIMENTS.map((experiment) => experiment.name),
    );
  return found;
}

/** The experiment of a plan or of results: the user's own, where they say what it is, else the papers'. Throws as `findExperiment` does. */
export function experimentIn(made: { readonly experiment: string; readonly definition?: ExperimentFile }): Experiment {
  return made.definition === undefined ? findExperiment(made.experiment) : experimentOf(made.definition);
}
