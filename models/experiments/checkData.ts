import { JobError } from '../errors.ts';
import { findRecipe } from '../recipes/catalogue.ts';
import type { Plan, PlannedCell } from './plan.ts';
import { asRecorded, mayStandIn, recordedData, withDigits } from './standIn.ts';

/** Where a plan's data is looked for. */
export interface DataCheck {
  /** The cells that are about to run. Default: all of the plan. */
  readonly cells?: readonly PlannedCell[];
  readonly dataDir: string | undefined;
  /** The plan that the output folder has. */
  readonly recorded: Plan | undefined;
  /** Told of a stand-in. */
  readonly note: (line: string) => void;
}

/**
 * Looks whether the data of the cells is there. At the small scale, the embedded digits stand in for MNIST where it is not found, unless the
 * folder's plan was begun on MNIST; any other set that is missing is a `JobError`. Returns the plan, with the stand-ins.
 */
export async function checkData(wanted: Plan, { cells, dataDir, recorded, note }: DataCheck): Promise<Plan> {
  const plan = asRecorded(wanted, recorded);
  const begunOnMnist = [...recordedData(recorded).values()].includes('mnist');
  const needed = new Map(
    (cells ?? plan.cells).map(({ settings: { recipe, data } }) => [`${recipe} ${data}`, { recipe, data }]),
  );
  const checked = new Set<string>();
  for (const { recipe, data } of needed.values()) {
    if (data === 'mnist' && plan !== wanted) continue;
    const found = findRecipe(recipe);
    const key = `${found.reads} ${data}`;
    if (checked.has(key)) continue;
    checked.add(key);
    try {
      await found.findData(data, dataDir);
    } catch (error) {
      const standsIn = data === 'mnist' && mayStandIn(plan) && !begunOnMnist;
      if (!(error instanceof JobError) || !standsIn) throw error;
      note('MNIST was not found: the embedded digits stand in for it');
      return withDigits(plan);
    }
  }
  return plan;
}
