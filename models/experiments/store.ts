import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Type } from '@sinclair/typebox';
import { JobError } from '../errors.ts';
import type { RunConfig } from '../runs/runFolder.ts';
import type { EpochMetrics } from '../trainer/train.ts';
import { readEnvironment, readRun, writeWhole } from '../runs/runFolder.ts';
import { form, oneOf, readAs, wholeFrom } from '../storage/form.ts';
import type { Read } from '../storage/form.ts';
import { holding } from '../runs/claim.ts';
import type { Settings } from './settings.ts';
import { cellName } from './settings.ts';

/** One training run of an experiment: an arm's settings with a seed. */
export interface Cell {
  readonly settings: Settings;
  readonly seed: number;
}

const RESULT = Type.Object({
  outcome: oneOf(['finished', 'diverged']),
  message: Type.Optional(Type.String()),
  attempts: wholeFrom(0),
});

/** How a cell ended. A run whose loss was no longer finite is a result too. */
export type CellResult = Read<typeof RESULT>;

const CELL_RESULT = form("a cell's result", RESULT);
const FAILURE = form("a cell's failure", Type.Object({ message: Type.String() }));

/** What a page about a cell needs, without the tensors. */
export interface CellRecord {
  readonly settings: Settings;
  readonly seed: number;
  readonly result: CellResult | undefined;
  readonly metrics: readonly EpochMetrics[];
  readonly run: Partial<RunConfig>;
  readonly environment: Readonly<Record<string, unknown>>;
}

/** Where a cell stands. `epochs` are those done. */
export type CellState =
  | { readonly state: 'finished' | 'diverged' | 'waiting'; readonly epochs: number }
  | { readonly state: 'running' | 'failed'; readonly epochs: number; readonly note: string };

/** The folders of cells below an output folder: `cells/NAME/` with `cell.json`, claims, the run's folder and `result.json`. */
export class Store {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** The cell's folder, made with its `cell.json`. */
  prepare({ settings, seed }: Cell): string {
    const folder = this.folder({ settings, seed });
    try {
      mkdirSync(folder, { recursive: true });
    } catch (error) {
      throw new JobError(`--out ${this.#root}: cannot be made (${(error as Error).message})`);
    }
    if (!existsSync(join(folder, 'cell.json'))) {
      writeWhole(join(folder, 'cell.json'), `${JSON.stringify({ settings, seed }, null, 2)}\n`);
    }
    return folder;
  }

  folder({ settings, seed }: Cell): string {
    return join(this.#root, 'cells', cellName(settings, seed));
  }

  result(cell: Cell): CellResult | undefined {
    const path = join(this.folder(cell), 'result.json');
    return existsSync(path) ? readAs(path, CELL_RESULT) : undefined;
  }

  writeResult(cell: Cell, result: CellResult): void {
    writeWhole(join(this.folder(cell), 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
  }

  /** Why the cell's last owner gave up on it, if it did. */
  failure(cell: Cell): string | undefined {
    const path = join(this.folder(cell), 'failed.json');
    return existsSync(path) ? readAs(path, FAILURE).message : undefined;
  }

  writeFailure(cell: Cell, message: string): void {
    writeWhole(join(this.folder(cell), 'failed.json'), `${JSON.stringify({ message })}\n`);
  }

  state(cell: Cell): CellState {
    const folder = this.folder(cell);
    const { length: epochs } = this.#metrics(folder);
    const result = this.result(cell);
    if (result !== undefined) return { state: result.outcome, epochs };
    const held = existsSync(folder) ? holding(folder) : undefined;
    if (held?.state === 'held') return { state: 'running', epochs, note: held.owner };
    const note = this.failure(cell);
    return note === undefined ? { state: 'waiting', epochs } : { state: 'failed', epochs, note };
  }

  record(cell: Cell): CellRecord {
    const folder = this.folder(cell);
    const run = join(folder, 'run');
    const begun = existsSync(join(run, 'config.json'));
    return {
      ...cell,
      result: this.result(cell),
      metrics: this.#metrics(folder),
      run: begun ? readRun(run).config : {},
      environment: begun ? readEnvironment(run) : {},
    };
  }

  #metrics(folder: string): readonly EpochMetrics[] {
    const run = join(folder, 'run');
    return existsSync(join(run, 'config.json')) ? readRun(run).metrics : [];
  }

  /** The plans that have been worked on here, by their file names. */
  plans(): string[] {
    if (!existsSync(this.#root)) return [];
    return readdirSync(this.#root)
      .filter((name) => /^plan-.*\.json$/.test(name))
      .sort()
      .map((name) => join(this.#root, name));
  }

  planPath(name: string): string {
    return join(this.#root, `plan-${name}.json`);
  }
}
