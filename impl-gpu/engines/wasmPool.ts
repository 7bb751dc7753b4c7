/**
 * The WASM engine over several threads, on a shared `WebAssembly.Memory`: each thread updates a stretch of the elements. The
 * mask is a function of an element's index, so the result has the same bits with any number of threads.
 */
import { InvalidArgumentError } from '../validate.ts';
import type { Call, Engine, StepPlan, Sums, TensorBuffers, TensorPlan } from './engine.ts';
import { TOGETHER } from './engine.ts';
import { callKey, callsOf, createCaller, isShared, moduleOf } from './wasm.ts';
import { applyMeasuredIn, measureCalls } from './measuring.ts';
import { checkPointers } from './checked.ts';
import { letRest } from './wasmResting.ts';

export interface WasmPool extends Engine<number> {
  /** Threads that share the work, the calling one included. */
  readonly threads: number;
  /** Ends the workers. */
  dispose(): Promise<void>;
}

/** What both kinds of worker have in common. */
interface Thread {
  post(message: unknown): void;
  end(): Promise<void>;
}

/**
 * A worker's program: plain JavaScript that runs as it stands in Node and in browsers, so it needs no file of its own and no
 * bundler's help. `status` is [jobs left, failures].
 */
const PROGRAM = `
const instances = new Map();
let memory, status;
const receive = (data) => {
  if (data.memory !== undefined) {
    ({ memory, status } = data);
    port.postMessage('ready');
    return;
  }
  try {
    for (const [key, module] of data.modules) instances.set(key, new WebAssembly.Instance(module, { env: { memory } }).exports.run);
    data.calls.forEach(({ key, values, place }) => {
      const result = instances.get(key)(...values);
      if (data.results !== undefined) data.results.set(typeof result === 'number' ? [result] : [...result], place);
    });
  } catch {
    Atomics.add(status, 1, 1);
  }
  Atomics.sub(status, 0, 1);
  Atomics.notify(status, 0);
};
if (port.on === undefined) port.onmessage = ({ data }) => receive(data);
else port.on('message', receive);
`;

async function startInNode(first: unknown): Promise<Thread> {
  // Not by an import statement: a bundler for browsers must not find Node's modules here.
  const { Worker } = process.getBuiltinModule('node:worker_threads');
  const worker = new Worker(`const port = require('node:worker_threads').parentPort;${PROGRAM}`, {
    eval: true,
    // Loaders of the main thread (tsx, coverage) have no business here.
    execArgv: [],
  });
  const ready = new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
  });
  worker.postMessage(first);
  await ready;
  // A pool that was forgotten must not keep the process alive.
  worker.unref();
  return {
    post: (message) => worker.postMessage(message),
    end: async () => void (await worker.terminate()),
  };
}

async function startInBrowser(first: unknown): Promise<Thread> {
  const url = URL.createObjectURL(new Blob([`const port = self;${PROGRAM}`], { type: 'text/javascript' }));
  const worker = new Worker(url);
  const ready = new Promise<void>((resolve, reject) => {
    worker.addEventListener('message', () => resolve(), { once: true });
    worker.addEventListener('error', ({ message }) => reject(new Error(message)), { once: true });
  });
  worker.postMessage(first);
  await ready;
  URL.revokeObjectURL(url);
  return {
    post: (message) => worker.postMessage(message),
    end: () => Promise.resolve(worker.terminate()),
  };
}

/** Cuts a step's elements into `threads` stretches of about equal length, at multiples of 64 elements of a tensor. */
function divide(plan: StepPlan, tensors: readonly (TensorBuffers<number> | null)[], threads: number): Call[][] {
  const total = plan.tensors.reduce((sum, tensor) => sum + (tensor?.size ?? 0), 0);
  const share = Math.max(64, Math.ceil(total / threads / 64) * 64);
  const shares: Call[][] = Array.from({ length: threads }, () => []);
  let thread = 0;
  let room = share;
  plan.tensors.forEach((tensor, index) => {
    if (tensor === null) return;
    for (let first = 0; first < tensor.size;) {
      const last = Math.min(tensor.size, first + Math.ceil(room / 64) * 64);
      shares[thread]?.push(...callsOf(plan, tensor, tensors[index] as TensorBuffers<number>, first, last));
      room -= last - first;
      first = last;
      if (room <= 0 && thread < threads - 1) {
        thread++;
        room = share;
      } else if (room <= 0) room = share;
    }
  });
  return shares;
}

/** A call, and where its results go. */
interface PlacedCall extends Call {
  readonly place: number;
}

/** Numbers that a measuring call returns at most: of three sums. */
const SUMS = 3 * TOGETHER;

/** Elements below which waking the workers costs more than they save. */
const WORTHWHILE = 1 << 17;

/** Milliseconds after which a worker counts as dead: some thousand times what a step takes. */
const PATIENCE = 60_000;

/**
 * Starts a pool. The memory must be shared; `threads` counts the calling thread too. `step` returns when all have finished: the
 * calling thread works along, then waits (in a browser's main thread, which may not sleep, it spins).
 * Throws `InvalidArgumentError` on a memory that is not shared or a number of threads below 1, and as `createWasmEngine` does.
 */
export async function createWasmPool(memory: WebAssembly.Memory, threads: number): Promise<WasmPool> {
  if (!isShared(memory)) {
    throw new InvalidArgumentError(
      'memory must be shared (new WebAssembly.Memory({ shared: true, ... })), got one that is not',
    );
  }
  if (!Number.isInteger(threads) || threads < 1) {
    throw new InvalidArgumentError(`threads must be a whole number of at least 1, got ${threads}`);
  }
  letRest();
  const status = new Int32Array(new SharedArrayBuffer(8));
  const start = typeof Worker === 'undefined' ? startInNode : startInBrowser;
  const workers = await Promise.all(Array.from({ length: threads - 1 }, () => start({ memory, status })));
  const sent = workers.map(() => new Set<string>());
  const run = createCaller(memory);

  const wait = (): void => {
    const end = performance.now() + PATIENCE;
    for (;;) {
      const left = Atomics.load(status, 0);
      if (left === 0) return;
      if (performance.now() > end) {
        throw new Error(
          `${left} workers of the WASM pool did not finish within ${PATIENCE / 1000} s: the step is incomplete`,
        );
      }
      try {
        Atomics.wait(status, 0, left, PATIENCE);
      } catch {
        // A browser's main thread: look again.
      }
    }
  };

  /** Makes everybody's calls; with `results`, what a call returns goes to its place there. */
  const share = (shares: readonly (readonly PlacedCall[])[], results?: Float64Array): void => {
    const [own = [], ...others] = shares;
    Atomics.store(status, 0, others.length);
    others.forEach((calls, i) => {
      const known = sent[i] as Set<string>;
      const first = new Map(calls.map((call) => [callKey(call), call]));
      const modules = [...first]
        .filter(([key]) => !known.has(key))
        .map(([key, { kernel, work }]) => [key, moduleOf(kernel, work, true)] as const);
      for (const [key] of modules) known.add(key);
      workers[i]?.post({
        modules,
        calls: calls.map((call) => ({ key: callKey(call), values: call.values, place: call.place })),
        results,
      });
    });
    for (const call of own) {
      const result = run(call);
      if (results !== undefined) results.set(typeof result === 'number' ? [result] : [...(result ?? [])], call.place);
    }
    wait();
    if (Atomics.exchange(status, 1, 0) > 0) throw new Error('a worker of the WASM pool failed: the step is incomplete');
  };

  /** The plan with its measured factors. */
  const measure = (plan: StepPlan, tensors: readonly (TensorBuffers<number> | null)[], sharing: number): StepPlan => {
    const calls = plan.tensors.map((tensor, index) =>
      tensor === null ? [] : measureCalls(plan, tensor, tensors[index] as TensorBuffers<number>),
    );
    const count = calls.reduce((sum, { length }) => sum + length, 0);
    if (plan.tensors.every((tensor) => tensor === null || tensor.measure === null)) return plan;
    const results = new Float64Array(new SharedArrayBuffer(8 * SUMS * count));
    const placed = calls.flat().map((call, i): PlacedCall => ({ ...call, place: SUMS * i }));
    share(
      Array.from({ length: sharing }, (_, thread) => placed.filter((_call, i) => i % sharing === thread)),
      results,
    );
    let next = 0;
    return {
      ...plan,
      tensors: plan.tensors.map((tensor, index): TensorPlan | null => {
        if (tensor === null) return null;
        const own = (calls[index] as readonly Call[]).map((): Sums => {
          const at = SUMS * next++;
          return results.subarray(at, at + SUMS);
        });
        return applyMeasuredIn(memory, tensor, own, tensors[index] as TensorBuffers<number>);
      }),
    };
  };

  return {
    threads,
    step(plan, tensors) {
      checkPointers(plan, tensors, memory);
      const total = plan.tensors.reduce((sum, tensor) => sum + (tensor?.size ?? 0), 0);
      const sharing = total < WORTHWHILE ? 1 : threads;
      const measured = measure(plan, tensors, sharing);
      share(divide(measured, tensors, sharing).map((calls) => calls.map((call) => ({ ...call, place: 0 }))));
    },
    async dispose() {
      await Promise.all(workers.map((worker) => worker.end()));
    },
  };
}
