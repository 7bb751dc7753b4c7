import type { Plan } from './plan.ts';
import { cellLabel } from './plan.ts';

/** Whether the embedded digits may stand in for MNIST: at the small scale, where nobody asked for a data set by name. */
export function mayStandIn({ scale, overlay }: Plan): boolean {
  return scale === 'small' && overlay.data === undefined;
}

/** The plan on the embedded digits in place of MNIST. */
export function withDigits(plan: Plan): Plan {
  const cells = plan.cells.map((cell) =>
    cell.settings.data === 'mnist'
      ? { ...cell, settings: { ...cell.settings, data: 'digits', epochs: plan.overlay.epochs ?? 20 } }
      : cell,
  );
  return { ...plan, cells };
}

/** The data set of each cell that the folder's own plan has, by the cell's label. */
export function recordedData(recorded: Plan | undefined): ReadonlyMap<string, string> {
  return new Map(recorded?.cells.map((cell) => [cellLabel(cell), cell.settings.data]));
}

/** The plan with the stand-ins that the folder's own plan has: what was begun on the digits goes on with them, on every machine. */
export function asRecorded(plan: Plan, recorded: Plan | undefined): Plan {
  const before = recordedData(recorded);
  const stoodIn = plan.cells.some((cell) => cell.settings.data === 'mnist' && before.get(cellLabel(cell)) === 'digits');
  return stoodIn && mayStandIn(plan) ? withDigits(plan) : plan;
}
