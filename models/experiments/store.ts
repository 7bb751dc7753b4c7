import { existsSync, linkSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Type } from '@sinclair/typebox';
import { BACKENDS } from '../backendNames.ts';
import type { RunConfig } from '../runs/runFolder.ts';
import type { EpochMetrics } from '../trainer/train.ts';
import { readEnvironment, readRun, writeWhole } from '../runs/runFolder.ts';
import { makeFolders } from '../storage/files.ts';
import { LARGEST_JSON, form, oneOf, readAs, wholeFrom } from '../storage/form.ts';
import type { Read } from '../storage/form.ts';
import { UsageError } from '../errors.ts';
import { readInput } from '../storage/inputs.ts';
import { isModulePath } from '../storage/modules.ts';
import type { Holder } from '../runs/claim.ts';
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
const BACKEND = form(
  "an experiment's backend",
  Type.Object({ backend: oneOf(BACKENDS.filter((name) => name !== 'auto')) }),
);
const FAILURE = form("a cell's failure", Type.Object({ message: Type.String(), host: Type.Optional(Type.String()) }));

const CELL = form('a cell', Type.Object({ modules: Type.Optional(Type.Record(Type.String(), Type.String())) }));

/** A module or a text is as large as this, in bytes, at most. */
const LARGEST_MODULE = 2 ** 31;

/** The sum of a file; undefined for what cannot be read: whoever loads it says so. */
function sumOf(path: string): string | undefined {
  try {
    return createHash('sha256').update(readInput(path, LARGEST_MODULE)).digest('hex');
  } catch {
    return undefined;
  }
}

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
  | { readonly state: 'running'; readonly epochs: number; readonly holder: Holder }
  | { readonly state: 'failed'; readonly epochs: number; readonly note: string };

/** The folders of cells below an output folder: `cells/NAME/` with `cell.json`, claims, the run's folder and `result.json`. */
export class Store {
  readonly #root: string;
  readonly #folders = new WeakMap<Cell, string>();
  readonly #sums = new Map<string, string | undefined>();

  constructor(root: string) {
    this.#root = root;
  }

  /** The cell's folder, made with its `cell.json`. */
  prepare(cell: Cell): string {
    const { settings, seed } = cell;
    const folder = this.folder(cell);
    makeFolders(folder, `--out ${this.#root}`);
    const path = join(folder, 'cell.json');
    const known = existsSync(path);
    if (!known || (this.changedModule(cell) !== undefined && !this.#hasBegun(folder))) {
      const modules = this.#modulesOf(settings);
      const more = Object.keys(modules).length === 0 ? {} : { modules };
      writeWhole(path, `${JSON.stringify({ settings, seed, ...more }, null, 2)}\n`);
    }
    return folder;
  }

  /** The modules and texts of the user's own that settings name, with their sums. What a module imports is not looked at. */
  #modulesOf({ recipe, data }: Settings): Readonly<Record<string, string>> {
    const sums = [recipe, data].filter(isModulePath).flatMap((path): [string, string][] => {
      if (!this.#sums.has(path)) this.#sums.set(path, sumOf(path));
      const sum = this.#sums.get(path);
      return sum === undefined ? [] : [[path, sum]];
    });
    return Object.fromEntries(sums);
  }

  #hasBegun(folder: string): boolean {
    return existsSync(join(folder, 'result.json')) || existsSync(join(folder, 'run', 'config.json'));
  }

  /** The module or text of the user's own that was another when the cell was prepared, by its path; undefined where none was. */
  changedModule(cell: Cell): string | undefined {
    const path = join(this.folder(cell), 'cell.json');
    const now = Object.entries(this.#modulesOf(cell.settings));
    if (now.length === 0 || !existsSync(path)) return undefined;
    const { modules = {} } = readAs(path, CELL);
    return now.find(([file, sum]) => modules[file] !== undefined && modules[file] !== sum)?.[0];
  }

  /**
   * Throws a `UsageError` where a cell that has begun was made of a module that is another by now: its result would stand beside those of
   * another network or other data under one name.
   */
  checkModules(cells: readonly Cell[]): void {
    const changed = cells.flatMap((cell) => {
      const folder = this.folder(cell);
      const file = this.#hasBegun(folder) ? this.changedModule(cell) : undefined;
      return file === undefined ? [] : [{ file, folder }];
    });
    const [first] = changed;
    if (first === undefined) return;
    const folders = changed.length === 1 ? first.folder : `their folders, ${first.folder} first,`;
    throw new UsageError(
      `--out must hold cells of the modules as they are: ${first.file} has changed since ${changed.length} ${changed.length === 1 ? 'cell was' : 'cells were'} run with it; ` +
        `take another --out, put the module back, or remove ${folders} to have them run again`,
    );
  }

  folder(cell: Cell): string {
    const known = this.#folders.get(cell) ?? join(this.#root, 'cells', cellName(cell.settings, cell.seed));
    this.#folders.set(cell, known);
    return known;
  }

  /** What `--backend auto` took when the series began, as `backend.json` says; undefined where it has not begun so. */
  backend(): string | undefined {
    const path = join(this.#root, 'backend.json');
    return existsSync(path) ? readAs(path, BACKEND).backend : undefined;
  }

  /** Records what `auto` took, unless somebody was faster; returns what is recorded. */
  recordBackend(backend: string): string {
    const path = join(this.#root, 'backend.json');
    const text = `${JSON.stringify({ backend })}\n`;
    const draft = `${path}.${hostname()}.${process.pid}`;
    writeFileSync(draft, text);
    try {
      // Whole from the moment it is there, and never in place of another's.
      linkSync(draft, path);
    } catch (error) {
      // A file system without links: the last one wins.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') writeWhole(path, text);
    } finally {
      rmSync(draft, { force: true });
    }
    return this.backend() ?? backend;
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
    if (!existsSync(path)) return undefined;
    const { message, host } = readAs(path, FAILURE);
    return host === undefined ? message : `${message} (on ${host})`;
  }

  writeFailure(cell: Cell, message: string): void {
    writeWhole(join(this.folder(cell), 'failed.json'), `${JSON.stringify({ message, host: hostname() })}\n`);
  }

  /** Forgets why the cell failed, so that it is tried again. */
  clearFailure(cell: Cell): void {
    rmSync(join(this.folder(cell), 'failed.json'), { force: true });
  }

  state(cell: Cell): CellState {
    const folder = this.folder(cell);
    const epochs = this.#epochs(folder);
    const result = this.result(cell);
    if (result !== undefined) return { state: result.outcome, epochs };
    const held = existsSync(folder) ? holding(folder) : undefined;
    if (held?.state === 'held') return { state: 'running', epochs, holder: held.holder };
    const note = this.failure(cell);
    return note === undefined ? { state: 'waiting', epochs } : { state: 'failed', epochs, note };
  }

  /** Epochs of a cell that are done. */
  epochs(cell: Cell): number {
    return this.#epochs(this.folder(cell));
  }

  /** Seconds from a run's beginning to its last epoch so far, by the files' times; undefined where there is none. */
  seconds(cell: Cell): number | undefined {
    const run = join(this.folder(cell), 'run');
    const [begun, last] = ['config.json', 'metrics.jsonl'].map((name) => statSync(join(run, name), { throwIfNoEntry: false })); // prettier-ignore
    return begun === undefined || last === undefined ? undefined : Math.max(0, last.mtimeMs - begun.mtimeMs) / 1000;
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

  /** The lines of `metrics.jsonl`, unread: a list of a thousand cells has a hundred thousand of them. */
  #epochs(folder: string): number {
    const path = join(folder, 'run', 'metrics.jsonl');
    if (!existsSync(path)) return 0;
    const bytes = readInput(path, LARGEST_JSON);
    let lines = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines += 1;
    return lines;
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
