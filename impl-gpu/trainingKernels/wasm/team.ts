/**
 * Threads that help the main one with a large product. tfjs's heap is not shared, so each helper has a shared memory of its own:
 * its inputs are copied in, and its results copied out. Node only: a browser's main thread may not wait for another.
 */
import type * as WorkerThreads from 'node:worker_threads';

/** A helper's part of some work: byte addresses in its memory count from 0. */
export interface Share {
  /** Bytes of memory that the part needs, inputs, results and scratch together. */
  readonly bytes: number;
  /** Which exported function to call, with which arguments (32-bit integers, at most `ARGUMENTS`). */
  readonly call: string;
  readonly values: readonly number[];
  /** Copies the inputs in. `again` when this helper's last part was of the same work: what all parts share lies there already. */
  load(memory: Float32Array, again: boolean): void;
  /** Copies the results out. */
  store(memory: Float32Array): void;
}

/** Some work, cut into `units` of about equal size that may be done in any order. */
export interface Work {
  readonly units: number;
  /** Units [from, to) for a helper. */
  share(from: number, to: number): Share;
  /** Does units [from, to) on the calling thread. */
  own(from: number, to: number): void;
}

/** The threads that stand ready. */
export interface Team {
  /** Helpers that can take work now. The first call starts them, and finds none yet. */
  ready(): number;
  /**
   * Does all the work and returns. The calling thread takes units from the front, helpers from the back; what a helper does not finish in
   * good time (its core is taken, or it died) the calling thread does itself, so a slow helper costs little and a dead one nothing
   * more. Returns how many parts came from helpers.
   */
  run(work: Work): number;
}

/** Units to cut work into for a number of threads: enough to even out threads of unequal speed. */
export function unitsFor(threads: number): number {
  return 4 * threads;
}

const ARGUMENTS = 30;
const STARTING = 0;
const IDLE = 1;
const BUSY = 2;
const FAILED = 3;

/** Milliseconds to wait for a helper beyond what its part should take. */
const GRACE = 0.5;

/** Addresses that a helper's memory may grow to, in pages of 64 KiB: 1 GiB. Only what is used costs anything. */
const MAXIMUM_PAGES = 16_384;
const PAGE = 65_536;

/** A helper's program. It stands here as text so that it needs no file, no loader and no bundler's help. */
const PROGRAM = `
const { module, memory, control, names } = require('node:worker_threads').workerData;
const { exports } = new WebAssembly.Instance(module, { env: { memory, abort() { throw new Error('abort'); } } });
let state = ${IDLE};
for (;;) {
  Atomics.store(control, 0, state);
  Atomics.notify(control, 0);
  Atomics.wait(control, 0, state);
  try {
    exports[names[control[1]]](...control.subarray(3, 3 + control[2]));
    state = ${IDLE};
  } catch {
    state = ${FAILED};
  }
}
`;

interface Helper {
  readonly worker: WorkerThreads.Worker;
  readonly memory: WebAssembly.Memory;
  /** [state, function, number of arguments, arguments...] */
  readonly control: Int32Array;
}

/** What a helper has in hand. */
interface Job {
  readonly helper: Helper;
  given?: boolean;
  part?: { readonly share: Share; readonly from: number; readonly to: number; readonly view: Float32Array };
}

function reserve(memory: WebAssembly.Memory, bytes: number): boolean {
  const missing = Math.ceil(bytes / PAGE) - memory.buffer.byteLength / PAGE;
  if (missing <= 0) return true;
  try {
    memory.grow(missing);
    return true;
  } catch {
    return false;
  }
}

/** Where threads exist that may be waited for: Node, from 20.16. */
function workerThreads(): typeof WorkerThreads | undefined {
  if (typeof process === 'undefined' || typeof process.getBuiltinModule !== 'function') return undefined;
  if (typeof SharedArrayBuffer === 'undefined') return undefined;
  return process.getBuiltinModule('node:worker_threads');
}

/** Threads worth starting when nobody says how many: one a core, four at most; 1 where threads cannot help. */
export function defaultThreads(): number {
  if (workerThreads() === undefined) return 1;
  return Math.min(4, process.getBuiltinModule('node:os').availableParallelism());
}

/**
 * A team of `threads`, the calling one included. `module` gives the code, for a shared memory, whose exports the shares call. Helpers
 * start at first need; they never keep the process alive.
 */
export function createTeam(threads: number, module: () => WebAssembly.Module): Team {
  const node = workerThreads();
  let helpers: Helper[] | undefined;
  let names: string[] = [];

  const start = (): Helper[] => {
    if (node === undefined || threads < 2) return [];
    const compiled = module();
    names = WebAssembly.Module.exports(compiled)
      .filter(({ kind }) => kind === 'function')
      .map(({ name }) => name);
    return Array.from({ length: threads - 1 }, (): Helper => {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: MAXIMUM_PAGES, shared: true });
      const control = new Int32Array(new SharedArrayBuffer(4 * (3 + ARGUMENTS)));
      const worker = new node.Worker(PROGRAM, {
        eval: true,
        workerData: { module: compiled, memory, control, names },
        // Loaders of the main thread (tsx, coverage) have no business here.
        execArgv: [],
      });
      worker.unref();
      // A worker that cannot start leaves its state at STARTING: work goes on without it.
      worker.on('error', () => Atomics.store(control, 0, STARTING));
      return { worker, memory, control };
    });
  };

  const state = ({ control }: Helper): number => Atomics.load(control, 0);

  const run = (work: Work): number => {
    let low = 0;
    let high = work.units;
    let stored = 0;
    const jobs: Job[] = (helpers ?? []).filter((helper) => state(helper) === IDLE).map((helper) => ({ helper }));

    /** Gives a helper the last `size` units left. One whose memory cannot grow any more gets nothing. */
    const give = (job: Job, size: number): void => {
      const { memory, control } = job.helper;
      const to = high;
      const from = Math.max(low, to - size);
      if (from === to) return;
      const share = work.share(from, to);
      if (!reserve(memory, share.bytes)) return;
      high = from;
      const view = new Float32Array(memory.buffer);
      share.load(view, job.given === true);
      job.given = true;
      job.part = { share, from, to, view };
      control[1] = names.indexOf(share.call);
      control[2] = share.values.length;
      control.set(share.values, 3);
      Atomics.store(control, 0, BUSY);
      Atomics.notify(control, 0);
    };
    /** Takes what a helper has finished. */
    const take = (job: Job): boolean => {
      if (job.part === undefined || state(job.helper) !== IDLE) return false;
      job.part.share.store(job.part.view);
      delete job.part;
      stored += 1;
      return true;
    };

    // First a large bite each, then single units to whoever is free.
    let bite = Math.max(1, Math.floor((0.75 * work.units) / (jobs.length + 1)));
    for (const job of jobs) give(job, bite);
    if (jobs.every(({ part }) => part === undefined)) bite = work.units;
    const start = performance.now();
    while (low < high) {
      const to = Math.min(high, low + bite);
      work.own(low, to);
      low = to;
      bite = 1;
      for (const job of jobs) if (take(job)) give(job, 1);
    }
    const unitTime = (performance.now() - start) / Math.max(1, low);
    for (const job of jobs) {
      if (job.part === undefined) continue;
      const { from, to } = job.part;
      // What doing it here would take: waiting longer is a loss.
      if (state(job.helper) === BUSY) Atomics.wait(job.helper.control, 0, BUSY, unitTime * (to - from) + GRACE);
      if (!take(job)) work.own(from, to);
    }
    return stored;
  };

  return {
    ready: () => {
      helpers ??= start();
      return helpers.filter((helper) => state(helper) === IDLE).length;
    },
    run,
  };
}
