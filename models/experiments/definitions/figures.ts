import type { Arm, Figure, Metric } from '../experiment.ts';
import { RULE_TITLES } from '../../recipes/ruleTitles.ts';

/** Adam above, SGDM below: the rows of TNNLS Figs. 11 and 12 and arXiv v1 Figs. 10 to 12. */
export const ADAM_AND_SGDM = ['adam', 'sgdm'] as const;

/** A row for each rule, a column for each metric. Arms that the paper does not have are left to the table. */
export function rowsByRule(
  place: string,
  about: string,
  arms: readonly Arm[],
  metrics: readonly Metric[] = ['trainAccuracy', 'testAccuracy'],
): Figure {
  return {
    place,
    about,
    columns: metrics.length,
    panels: ADAM_AND_SGDM.flatMap((rule) =>
      metrics.map((metric) => ({
        title: RULE_TITLES[rule] as string,
        metric,
        arms: arms.filter(({ id, control }) => control !== true && id.includes(`${rule}/`)).map(({ id }) => id),
      })),
    ),
  };
}

/** Charts side by side, all with the same arms. */
export function sideBySide(
  place: string,
  about: string,
  arms: readonly Arm[],
  panels: readonly (readonly [title: string, metric: Metric])[],
): Figure {
  return {
    place,
    about,
    columns: panels.length,
    panels: panels.map(([title, metric]) => ({ title, metric, arms: arms.map(({ id }) => id) })),
  };
}
