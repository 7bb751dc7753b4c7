import { Type } from '@sinclair/typebox';
import { form, oneOf, readAs, wholeFrom } from '../storage/form.ts';
import type { Read } from '../storage/form.ts';
import { EXAMPLES } from '../runs/runConfig.ts';
import { METRICS } from '../trainer/epochMetrics.ts';
import { DEFINITION } from './definition.ts';
import type { Plan } from './plan.ts';
import { SCALES, readPlan } from './plan.ts';
import { OVERLAY, SETTINGS } from './settings.ts';
import { Store } from './store.ts';

const CELL = Type.Object({
  arm: Type.String(),
  seed: wholeFrom(0),
  settings: SETTINGS,
  outcome: oneOf(['finished', 'diverged', 'unfinished']),
  message: Type.Optional(Type.String()),
  metrics: Type.Array(METRICS),
  backend: Type.Optional(Type.String()),
  parameters: Type.Optional(wholeFrom(0)),
  examples: Type.Optional(EXAMPLES),
  dataRemark: Type.Optional(Type.String()),
  node: Type.Optional(Type.String()),
  processor: Type.Optional(Type.String()),
});

const OUTCOME = Type.Object({
  experiment: Type.String({ minLength: 1 }),
  scale: oneOf(SCALES),
  overlay: OVERLAY,
  /** What the experiment is, where it is a file of the user's. */
  definition: Type.Optional(DEFINITION),
  cells: Type.Array(CELL),
});

const RESULTS = form(
  'results of lrd experiment, version 1',
  Type.Object({ version: Type.Literal(1), kind: Type.Literal('lrd-experiments'), experiments: Type.Array(OUTCOME) }),
);

/** What is known of a cell without its tensors and without a path of the machine that ran it. */
export type CellOutcome = Read<typeof CELL>;

/** An experiment's outcome as a file that is small enough to keep: what pages are made from. */
export type ExperimentOutcome = Read<typeof OUTCOME>;

function collectPlan(store: Store, plan: Plan): ExperimentOutcome {
  const cells = plan.cells.map(({ arm, seed, settings }): CellOutcome => {
    const { result, metrics, run, environment } = store.record({ settings, seed });
    const { backend, parameters, examples, dataRemark } = run;
    const optional = {
      message: result?.message,
      backend,
      parameters,
      examples,
      dataRemark,
      node: environment['node'],
      processor: environment['processor'],
    };
    return {
      arm,
      seed,
      settings,
      outcome: result?.outcome ?? 'unfinished',
      metrics,
      ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    };
  });
  const { experiment, scale, overlay, definition } = plan;
  return { experiment, scale, overlay, ...(definition === undefined ? {} : { definition }), cells };
}

/** The outcome of every plan below an output folder of `lrd experiment`; undefined where there is none. */
export function collectResults(folder: string): readonly ExperimentOutcome[] | undefined {
  const store = new Store(folder);
  const plans = store.plans();
  return plans.length === 0 ? undefined : plans.map((path) => collectPlan(store, readPlan(path)));
}

/** JSON with a line for each cell: a change of one result is a change of one line. */
export function formatResults(experiments: readonly ExperimentOutcome[]): string {
  const short = (_: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(7)) : value;
  const parts = experiments.map(({ cells, ...rest }) => {
    const head = JSON.stringify(rest).slice(0, -1);
    return `${head},"cells":[\n${cells.map((cell) => JSON.stringify(cell, short)).join(',\n')}\n]}`;
  });
  return `{"version":1,"kind":"lrd-experiments","experiments":[\n${parts.join(',\n')}\n]}\n`;
}

/** Reads what `formatResults` wrote. Throws a `JobError` naming the file, the place in it and the rule. */
export function readResults(path: string): readonly ExperimentOutcome[] {
  return readAs(path, RESULTS).experiments;
}
