/**
 * One process of the tests: trains a small model in several ways on its share of every batch, and writes what came of it to
 * `rank-N.json`. Alone it takes the whole batch. Its arguments are the backend and the folder.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { createHash } from 'node:crypto';
import type { LrdOptimizer } from '../../tfjs/index.ts';
import * as lrd from '../../tfjs/index.node.ts';

const ROWS = 10;
const [COLUMNS, HIDDEN] = [7, 33];
const STEPS = 6;

/** How the rows of a batch are shared out: uneven, changing from step to step, and now and then nothing for somebody. */
const SHARES: Readonly<Record<number, readonly (readonly number[])[]>> = {
  1: [[ROWS]],
  2: [
    [7, 3],
    [10, 0],
    [4, 6],
  ],
  4: [
    [4, 3, 2, 1],
    [0, 5, 5, 0],
    [1, 1, 1, 7],
  ],
};

const common = { learningRate: 0.05, seed: 7n };
lrd.useMasks();

const WAYS: Readonly<Record<string, () => LrdOptimizer>> = {
  sgdm: () => lrd.sgdm({ ...common, groups: [{ match: '*b1*', excluded: true }] }),
  'sgdm nesterov dampening L2': () => lrd.sgdm({ ...common, nesterov: true, dampening: 0.25, weightDecay: 0.01 }),
  'sgd p=.1': () => lrd.sgdm({ ...common, momentum: 0, keepProbability: 0.1 }),
  'sgdm DG NG GC sparse updates': () =>
    lrd.sgdm({
      ...common,
      weightDecay: 0.01,
      gradientKeepProbability: 0.8,
      noiseEta: 0.01,
      centralize: true,
      sparsity: 0.3,
      sparseReading: 'updates',
    }),
  'sgdm accumulate': () => lrd.sgdm({ ...common, accumulate: 2 }),
  'sgdm-avg': () => lrd.sgdmAvg({ ...common, window: 3, weightDecay: 0.01 }),
  'sgdm clipped': () => lrd.sgdm({ ...common, clipGlobalNorm: 0.1 }),
  adam: () => lrd.adam({ ...common, learningRate: 1e-3, epsilon: 1e-3 }),
  'sgdm magma': () => lrd.sgdm({ ...common, mask: { kind: 'magma' } }),
  'adam cautious': () => lrd.adam({ ...common, learningRate: 1e-3, epsilon: 1e-3, mask: { kind: 'cautious' } }),
  'sgdm skip-update': () => lrd.sgdm({ ...common, mask: { kind: 'skip-update' } }),
};

/** What a library may have taken of the process: the signals that are caught, and the kilobytes of libc's code that were written over; nothing where there is no /proc. */
function taken(): { signals: bigint; code: number } {
  if (!existsSync('/proc/self/smaps')) return { signals: 0n, code: 0 };
  const caught = /^SigCgt:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8')) as RegExpExecArray;
  const maps = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const code = maps.filter((map) => /^\S+ r.x. .*\/libc[.-][^/]*so/.test(map));
  const dirty = code.map((map) => Number(/^Private_Dirty:\s*(\d+)/m.exec(map)?.[1]));
  return { signals: BigInt(`0x${caught[1]}`), code: dirty.reduce((sum, size) => sum + size, 0) };
}

const began = taken();
const group = await lrd.mpi();
const joined = taken();
/**
 * A load behind the end of a WebAssembly memory: V8 leaves the test to the processor, and makes an error of SIGSEGV. Whoever has taken the signal
 * ends the process here. `(module (memory 1) (func (export "f") (result i32) (i32.load (i32.const -8))))`
 */
const OUTSIDE = '0061736d010000000105016000017f030201000503010001070501016600000a0901070041782802000b';
function trapped(): boolean {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(OUTSIDE, 'hex')));
  try {
    (exports['f'] as () => number)();
    return false;
  } catch (error) {
    return error instanceof WebAssembly.RuntimeError;
  }
}

/** SIGHUP is the first. */
const OURS = 1n;
const untouched = {
  code: joined.code - began.code,
  signals: Number((began.signals ^ joined.signals) & OURS),
  trapped: trapped(),
};
const [backend, folder] = process.argv.slice(2) as [string, string];
const results: unknown[] = [];
if (backend === 'wasm') {
  const { createRequire } = await import('node:module');
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  const programs = createRequire(import.meta.url)
    .resolve('@tensorflow/tfjs-backend-wasm/package.json')
    .replace('package.json', 'dist/');
  wasm.setWasmPaths(programs);
}
if (backend === 'tensorflow') await lrd.useTensorflow();
else await tf.setBackend(backend);

for (const [way, make] of Object.entries(WAYS)) {
  const named = (name: string, shape: number[], seed: number): tf.Variable =>
    tf.tidy(() =>
      tf.variable(tf.randomNormal(shape, 0, 0.5, 'float32', seed + 100 * group.rank), true, `${way}/${name}`),
    );
  const variables = [
    named('w1', [COLUMNS, HIDDEN], 1),
    named('b1', [HIDDEN], 2),
    named('w2', [HIDDEN, 3], 3),
    named('extra', [COLUMNS], 4),
  ];
  const [w1, b1, w2, extra] = variables as [tf.Variable, tf.Variable, tf.Variable, tf.Variable];
  const optimizer = lrd.distributed(make(), group, { checkEvery: 2 });
  const replica = lrd.replicaOf(optimizer) as lrd.Replica;
  // Every process has begun with values of its own.
  replica.synchronize(variables);
  optimizer.bind(variables);
  const before = group.traffic.bytes;
  const flags: number[] = [];
  for (let step = 1; step <= STEPS; step++) {
    const shares = (SHARES[group.size] as readonly (readonly number[])[])[
      (way.includes('accumulate') ? 0 : step) % (SHARES[group.size] as unknown[]).length
    ] as readonly number[];
    const first = shares.slice(0, group.rank).reduce((sum, n) => sum + n, 0);
    const rows = shares[group.rank] as number;
    replica.weight = rows / ROWS;
    replica.flags = step === 4 && group.rank === group.size - 1 ? 2 : 0;
    tf.tidy(() => {
      const batch = tf.randomNormal([ROWS, COLUMNS], 0, 1, 'float32', 1000 + step) as tf.Tensor2D;
      const gradients: Record<string, tf.Tensor> = {};
      if (rows > 0) {
        const loss = (): tf.Scalar => {
          const x = tf.slice(batch, [first, 0], [rows, COLUMNS]);
          const y = tf.matMul(tf.relu(tf.add(tf.matMul(x, w1 as tf.Tensor2D), b1)), w2);
          const plain = tf.mean(tf.sum(tf.square(tf.sub(y, 1)), 1));
          // Only rows from 8 on know this variable: some processes have no gradient for it.
          const own = Math.max(0, first + rows - Math.max(first, 8));
          if (own === 0) return plain as tf.Scalar;
          const tail = tf.slice(x, [rows - own, 0], [own, COLUMNS]);
          return tf.add(plain, tf.div(tf.sum(tf.mul(tail, extra)), rows)) as tf.Scalar;
        };
        Object.assign(gradients, tf.variableGrads(loss, variables).grads);
      }
      for (const name of Object.keys(gradients))
        if ((gradients[name] as tf.Tensor | null) === null) delete gradients[name];
      optimizer.applyGradients(gradients);
    });
    flags.push(replica.flags);
  }
  const bytes = group.traffic.bytes - before;
  const values = variables.flatMap((variable) => Array.from(variable.dataSync()));
  const merged = await replica.mergedWeights(optimizer);
  const state = merged.slice(2).flatMap(({ tensor }) => Array.from(tensor.dataSync()));
  const counts = Array.from((merged[1] as lrd.NamedTensor).tensor.dataSync());
  // What was merged is taken up again, and the next step is the same everywhere.
  await replica.takeWeights(optimizer, merged);
  for (const { tensor } of merged) tensor.dispose();
  optimizer.dispose();
  for (const variable of variables) variable.dispose();
  results.push({
    way,
    reduction: replica.reduction,
    reason: replica.reason,
    bits: createHash('sha256').update(Float32Array.from(values)).digest('hex'),
    bytes,
    flags,
    counts,
    values,
    state,
    tensors: tf.memory().numTensors,
  });
}
// The calls themselves, on every kind of array, one of a WebAssembly memory among them.
const floats = new Float32Array(new WebAssembly.Memory({ initial: 1 }).buffer, 64, 100).fill(group.rank + 1);
const doubles = Float64Array.of(group.rank, -group.rank);
const words = Int32Array.of(1 << group.rank);
const bytes = new Uint8Array(group.size).fill(0);
bytes[group.rank] = 200 + group.rank;
group.allReduce(floats, 'sum');
group.allReduce(doubles, 'max');
group.allReduce(words, 'or');
group.allReduce(bytes, 'or');
const root = Int32Array.of(group.rank);
group.broadcast(root, group.size - 1);
const gathered = group.gather(Float32Array.of(group.rank, 10 * group.rank));
const calls = {
  gathered: gathered === undefined ? null : Array.from(gathered),
  floats: floats[99],
  doubles: Array.from(doubles),
  words: words[0],
  bytes: Array.from(bytes),
  root: root[0],
  texts: lrd.gatherTexts(group, `process ${group.rank}, é`),
  same: lrd.agreeOn(group, [3, -4]),
  different: lrd.agreeOn(group, [3, group.rank]),
};
// Small arrays live in V8's own heap, where collecting garbage moves them: while a call waits for a process that is late, plenty is collected.
let wrong = 0;
for (let round = 0; round < 100; round++) {
  const small = Int32Array.of(group.rank + round, round);
  if (round % group.size === group.rank) {
    const until = performance.now() + 2;
    while (performance.now() < until) void [Math.random()];
  }
  group.allReduce(small, 'sum');
  const expected = group.size * round + (group.size * (group.size - 1)) / 2;
  if (small[0] !== expected || small[1] !== group.size * round) wrong += 1;
}
const refused = (run: () => void): string => {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};
const errors = {
  seeds: refused(() => void lrd.distributed(lrd.sgdm({ seed: group.rank }), group)),
  weights: refused(() => {
    const optimizer = lrd.distributed(lrd.sgdm({ seed: 1 }), group);
    (lrd.replicaOf(optimizer) as lrd.Replica).weight = 0.25 / group.size;
    const v = tf.variable(tf.tensor1d([1]), true, 'weights/v');
    optimizer.applyGradients({ [v.name]: tf.tensor1d([1]) });
  }),
  parameters: refused(() => {
    const optimizer = lrd.distributed(lrd.sgdm({ seed: 1 }), group);
    const v = tf.variable(tf.tensor1d([group.rank]), true, 'parameters/v');
    optimizer.applyGradients({ [v.name]: tf.tensor1d([1]) });
  }),
  kept: refused(() => void lrd.distributed(lrd.adam({ seed: 1 }), group, { reduction: 'kept' })),
  twice: refused(() => void lrd.distributed(lrd.distributed(lrd.sgdm({ seed: 1 }), group), group)),
};
writeFileSync(
  join(folder, `rank-${group.rank}.json`),
  JSON.stringify({
    rank: group.rank,
    size: group.size,
    description: group.description,
    untouched,
    wrong,
    calls,
    errors,
    results,
  }),
);
group.close();
