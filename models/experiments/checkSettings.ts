import { InvalidArgumentError } from 'learning-rate-dropout/internal';
import { UsageError } from '../errors.ts';
import { checkRequest } from '../runs/checkRequest.ts';
import { isDrawn, parseMask } from '../trainer/masks.ts';
import { toRequest } from './request.ts';
import type { PlannedCell } from './plan.ts';
import { cellLabel } from './plan.ts';
import type { Settings } from './settings.ts';

/** What one setting would undo of another, or leave without effect. */
function checkTogether({ keepProbability, mask, phases = [], polynomial, warmup, regularizers = {} }: Settings): void {
  const { frozen, sparseReading } = regularizers;
  const sparse = phases.some(({ sparsity }) => sparsity !== undefined);
  if (mask !== undefined && keepProbability !== 1 && !isDrawn(parseMask(mask))) {
    throw new UsageError(
      `keepProbability must be left out with mask ${mask}, which draws nothing, got ${keepProbability}`,
    );
  }
  if (polynomial !== undefined && phases.some(({ learningRate }) => learningRate !== undefined)) {
    throw new UsageError('polynomial and a learningRate in phases exclude each other');
  }
  if (
    warmup !== undefined &&
    (polynomial !== undefined || phases.some(({ learningRate }) => learningRate !== undefined))
  ) {
    throw new UsageError('warmup and a polynomial or a learningRate in phases exclude each other');
  }
  if (sparseReading !== undefined && !sparse) {
    throw new UsageError('regularizers.sparseReading must go with a sparsity in phases');
  }
  if (frozen === 'elements' && sparse) {
    throw new UsageError('regularizers.frozen elements and a sparsity in phases exclude each other: both are one mask');
  }
}

/** Throws the error that a run with these settings would end in, whatever its data hold: a `UsageError` or an `InvalidArgumentError`. */
export function checkSettings(settings: Settings): void {
  const { crop, phases = [] } = settings;
  if (crop !== undefined && crop % 8 !== 1) throw new UsageError(`crop must be a whole number of 8k + 1, got ${crop}`);
  const late = phases.find(({ from }, k) => from <= (phases[k - 1]?.from ?? 0));
  if (late !== undefined) throw new UsageError(`phases must be in the order of their epochs, got ${late.from} late`);
  checkTogether(settings);
  checkRequest(toRequest({ settings, seed: 1 }));
}

/** Throws a `UsageError` that names the cell for settings that no run could have: given on the command line, they may not fit the experiment's. */
export function checkCells(cells: readonly PlannedCell[]): void {
  const seen = new Set<string>();
  for (const cell of cells) {
    const key = JSON.stringify(cell.settings);
    if (seen.has(key)) continue;
    seen.add(key);
    try {
      checkSettings(cell.settings);
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof InvalidArgumentError)) throw error;
      throw new UsageError(`${error.message} (${cellLabel(cell)})`);
    }
  }
}
