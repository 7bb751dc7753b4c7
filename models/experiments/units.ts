import { findRecipe } from '../recipes/catalogue.ts';
import { isModulePath } from '../storage/modules.ts';
import type { Experiment, Metric, MetricInfo } from './experiment.ts';
import { METRICS } from './experiment.ts';

/** A metric as an experiment has it: the losses of some recipes have a unit of their own. */
export function metricOf({ arms }: Pick<Experiment, 'arms'>, metric: Metric): MetricInfo {
  const info = METRICS[metric];
  const recipe = arms[0]?.settings.recipe;
  // A module of the user's own need not be there when its results are read.
  const isOurs = recipe !== undefined && !isModulePath(recipe);
  const own = isOurs && info.unit === 'nats' ? findRecipe(recipe).lossUnit : undefined;
  return own === undefined ? info : { ...info, unit: own };
}
