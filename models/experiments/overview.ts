import { formatDuration } from '../trainer/progress.ts';
import type { PlannedCell } from './plan.ts';
import type { Store } from './store.ts';

/** What is known of a cell for an overview. */
export interface CellProgress {
  readonly cell: PlannedCell;
  readonly state: string;
  readonly epochs: number;
}

/** How far a plan is. */
export interface Overview {
  readonly cells: number;
  /** Cells that have a result, a loss that was no longer finite included. */
  readonly done: number;
  /** Cells by their states. */
  readonly states: Readonly<Record<string, number>>;
  /** At the pace so far and with what runs now, cells that failed left out; null while unknown. */
  readonly secondsLeft: number | null;
}

const isDone = ({ state }: CellProgress): boolean => state === 'finished' || state === 'diverged';

/** How far a plan is, by where its cells stand. */
export function overviewOf(store: Store, cells: readonly CellProgress[]): Overview {
  const states: Record<string, number> = {};
  let [epochs, seconds, left] = [0, 0, 0];
  for (const each of cells) {
    states[each.state] = (states[each.state] ?? 0) + 1;
    if (!isDone(each) && each.state !== 'failed') left += each.cell.settings.epochs - each.epochs;
    if (each.epochs === 0) continue;
    epochs += each.epochs;
    seconds += store.seconds(each.cell) ?? 0;
  }
  const running = states['running'] ?? 0;
  const secondsLeft = left === 0 ? 0 : epochs === 0 || running === 0 ? null : (left * (seconds / epochs)) / running;
  return { cells: cells.length, done: cells.filter(isDone).length, states, secondsLeft };
}

/** An overview in a line: `9 of 12 cells done, about 1:20 left: 9 finished, 3 running`. */
export function formatOverview({ cells, done, states, secondsLeft }: Overview): string {
  const left = secondsLeft === null || secondsLeft === 0 ? '' : `, about ${formatDuration(secondsLeft)} left`;
  const counts = Object.entries(states).map(([state, count]) => `${count} ${state}`);
  return `${done} of ${cells} cells done${left}: ${counts.join(', ')}`;
}
