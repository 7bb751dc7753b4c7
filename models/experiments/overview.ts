import { formatDuration } from '../trainer/progress.ts';
import type { PlannedCell } from './plan.ts';
import type { CellState, Store } from './store.ts';

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

const isDone = (state: string): boolean => state === 'finished' || state === 'diverged';

/** Cells by their states, and how many are done. */
export function countStates(all: readonly string[]): Omit<Overview, 'secondsLeft'> {
  const states: Record<string, number> = {};
  for (const state of all) states[state] = (states[state] ?? 0) + 1;
  return { cells: all.length, done: all.filter(isDone).length, states };
}

/** How far a plan is, by where its cells stand. */
export function overviewOf(store: Store, cells: readonly CellProgress[]): Overview {
  let [epochs, seconds, left] = [0, 0, 0];
  for (const each of cells) {
    if (!isDone(each.state) && each.state !== 'failed') left += each.cell.settings.epochs - each.epochs;
    if (each.epochs === 0) continue;
    epochs += each.epochs;
    seconds += store.seconds(each.cell) ?? 0;
  }
  const counts = countStates(cells.map(({ state }) => state));
  const running = counts.states['running'] ?? 0;
  const secondsLeft = left === 0 ? 0 : epochs === 0 || running === 0 ? null : (left * (seconds / epochs)) / running;
  return { ...counts, secondsLeft };
}

/** How far cells are while a process works on them: time left at the pace of everybody since this was made, whatever lay idle before. */
export class Pace {
  readonly #store: Store;
  readonly #cells: readonly PlannedCell[];
  readonly #began = performance.now();
  /** Cells that have ended with a result stay so. */
  readonly #ended = new Map<PlannedCell, 'finished' | 'diverged'>();
  readonly #epochsAtFirst: number;

  constructor(store: Store, cells: readonly PlannedCell[]) {
    this.#store = store;
    this.#cells = cells;
    this.#epochsAtFirst = this.#look().epochs;
  }

  /** Every cell's state; the epochs that need not be done any more, and those that are to do. */
  #look(): { readonly states: readonly string[]; readonly epochs: number; readonly toDo: number } {
    let [epochs, toDo] = [0, 0];
    const states = this.#cells.map((cell) => {
      const of = cell.settings.epochs;
      const state = this.#ended.get(cell) ?? this.#stateOf(cell);
      if (typeof state === 'string') {
        epochs += of;
        return state;
      }
      epochs += state.epochs;
      if (state.state !== 'failed') toDo += Math.max(0, of - state.epochs);
      return state.state;
    });
    return { states, epochs, toDo };
  }

  #stateOf(cell: PlannedCell): CellState | 'finished' | 'diverged' {
    const found = this.#store.state(cell);
    if (found.state !== 'finished' && found.state !== 'diverged') return found;
    this.#ended.set(cell, found.state);
    return found.state;
  }

  overview(): Overview {
    const { states, epochs, toDo } = this.#look();
    const since = epochs - this.#epochsAtFirst;
    const seconds = (performance.now() - this.#began) / 1000;
    const secondsLeft = toDo === 0 ? 0 : since <= 0 ? null : seconds * (toDo / since);
    return { ...countStates(states), secondsLeft };
  }
}

/** An overview in a line: `9 of 12 cells done, about 1:20 left: 9 finished, 3 running`. */
export function formatOverview({ cells, done, states, secondsLeft }: Overview): string {
  const left = secondsLeft === null || secondsLeft === 0 ? '' : `, about ${formatDuration(secondsLeft)} left`;
  const counts = Object.entries(states).map(([state, count]) => `${count} ${state}`);
  return `${done} of ${cells} cells done${left}: ${counts.join(', ')}`;
}
