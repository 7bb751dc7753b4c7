import { findRecipe } from '../recipes/catalogue.ts';
import type { Experiment, Metric, MetricInfo } from './experiment.ts';
import { METRICS } from './experiment.ts';

/** A metric as an experiment has it: the losses of some recipes have a unit of their own. */
export function metricOf({ arms }: Pick<Experiment, 'arms'>, metric: Metric): MetricInfo {
  const info = METRICS[metric];
  const recipe = arms[0]?.settings.recipe;
  const own = recipe === undefined || info.unit !== 'nats' ? undefined : findRecipe(recipe).lossUnit;
  return own === undefined ? info : { ...info, unit: own };
}
