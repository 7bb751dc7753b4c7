import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Type } from '@sinclair/typebox';
import { JobError, UsageError } from '../errors.ts';
import { writeWhole } from '../runs/runFolder.ts';
import { form, oneOf, readAs, wholeFrom } from '../storage/form.ts';
import type { Arm, Experiment } from './experiment.ts';
import type { Overlay, Settings } from './settings.ts';
import { OVERLAY, SETTINGS, overlaid } from './settings.ts';
import type { Cell, Store } from './store.ts';

/** A cell with the arm that it belongs to. */
export interface PlannedCell extends Cell {
  readonly arm: string;
}

/** What was asked for, and the cells that follow from it: the file that `lrd report` reads. */
export interface Plan {
  readonly version: 1;
  readonly experiment: string;
  readonly scale: Scale;
  /** Settings given on the command line, in place of those of paper and scale. */
  readonly overlay: Overlay;
  readonly cells: readonly PlannedCell[];
}

export const SCALES = ['full', 'small'] as const;
export type Scale = (typeof SCALES)[number];

export interface PlanRequest {
  readonly experiment: Experiment;
  readonly scale: Scale;
  readonly overlay: Overlay;
  readonly seeds: number;
  /** Matched against `ARM/seed=N`; undefined: every cell. */
  readonly only: RegExp | undefined;
}

/** The settings of an arm at a scale. Changes of the schedule shrink with the number of epochs. */
export function settingsOf(
  { settings }: Arm,
  { experiment, scale, overlay }: Omit<PlanRequest, 'seeds' | 'only'>,
): Settings {
  const scaled = scale === 'small' ? overlaid(settings, experiment.small(settings)) : settings;
  const given = overlaid(scaled, overlay);
  if (given.phases === undefined || given.epochs === settings.epochs) return given;
  const share = given.epochs / settings.epochs;
  const phases = given.phases.map((phase) => ({ ...phase, from: 1 + Math.round((phase.from - 1) * share) }));
  return { ...given, phases };
}

/** `arm/seed=N`, by which cells are chosen and listed. */
export const cellLabel = ({ arm, seed }: PlannedCell): string => `${arm}/seed=${seed}`;

/** The cells of an experiment: all arms with the first seed, then all with the second, so that what is done is always whole. */
export function makePlan(request: PlanRequest): Plan {
  const { experiment, scale, overlay, seeds, only } = request;
  const cells = Array.from({ length: seeds }, (_, index) => index + 1)
    .flatMap((seed) =>
      experiment.arms.map((arm): PlannedCell => ({ arm: arm.id, seed, settings: settingsOf(arm, request) })),
    )
    .filter((cell) => only === undefined || only.test(cellLabel(cell)));
  if (cells.length === 0) {
    const known = experiment.arms.map(({ id }) => id).join(', ');
    throw new UsageError(`--only must match a cell, got ${JSON.stringify(only?.source)}; arms: ${known}`);
  }
  return { version: 1, experiment: experiment.name, scale, overlay, cells };
}

/** The plan's file: one for an experiment, a scale and given settings. */
function nameOf({ experiment, scale, overlay }: Plan): string {
  const given = JSON.stringify(overlay, Object.keys(overlay).sort());
  const suffix = given === '{}' ? '' : `-${createHash('sha256').update(given).digest('hex').slice(0, 8)}`;
  return `${experiment}-${scale}${suffix}`;
}

const PLAN = form(
  'a plan of this program',
  Type.Object({
    version: Type.Literal(1),
    experiment: Type.String({ minLength: 1 }),
    scale: oneOf(SCALES),
    overlay: OVERLAY,
    cells: Type.Array(Type.Object({ arm: Type.String(), seed: wholeFrom(0), settings: SETTINGS })),
  }),
);

/** Reads a plan. Throws a `JobError` naming the file. */
export function readPlan(path: string): Plan {
  return readAs(path, PLAN);
}

/** Writes the plan, with the cells that earlier calls of the same kind chose. */
export function recordPlan(store: Store, plan: Plan): void {
  const path = store.planPath(nameOf(plan));
  const before = existsSync(path) ? readPlan(path).cells : [];
  const chosen = new Set(plan.cells.map(cellLabel));
  const cells = [...before.filter((cell) => !chosen.has(cellLabel(cell))), ...plan.cells];
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw new JobError(`--out ${dirname(path)}: cannot be made (${(error as Error).message})`);
  }
  writeWhole(path, `${JSON.stringify({ ...plan, cells }, null, 1)}\n`);
}
