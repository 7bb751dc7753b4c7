/**
 * An epoch of FCNet at MNIST's size (60,000 images, batch 128, 469 steps) on tfjs-wasm against PyTorch on one thread, with and
 * without LRD. Both sides take turns within one run, a tenth of an epoch at a time; ratios are taken turn by turn.
 *
 *     node --import tsx bench/fcnetEpoch.bench.ts [--rounds N] [--json FILE]
 *
 * Needs `python3` with torch (Debian: python3-torch, libopenblas0-pthread); `LRD_PYTHON` names another interpreter.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { useBackend } from '../models/backend.ts';
import type { ImageSet } from '../models/data/dataSet.ts';
import { describeEnvironment } from '../models/environment.ts';
import { fcNet } from '../models/nets/fcnet.ts';
import { createOptimizer } from '../models/recipes.ts';
import { trainingBatches } from '../models/trainer/batches.ts';
import { writeWhole } from '../models/trainer/runFolder.ts';
import { trainBatch } from '../models/trainer/train.ts';
import { median, spread } from './harness/statistics.ts';

const STEPS = 47;
const EPOCH = 469;
const ARMS = [
  { rule: 'sgdm', keep: 1 },
  { rule: 'sgdm', keep: 0.5 },
  { rule: 'adam', keep: 1 },
  { rule: 'adam', keep: 0.5 },
] as const;

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '10' }, json: { type: 'string' } } });
const rounds = Number(values.rounds);

const child = spawn(process.env['LRD_PYTHON'] ?? '/usr/bin/python3', [
  fileURLToPath(new URL('./peers/torch_fcnet.py', import.meta.url)),
]);
child.stderr.pipe(process.stderr);
const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
async function answer(): Promise<Record<string, unknown>> {
  const { value, done } = (await lines.next()) as IteratorResult<string, undefined>;
  if (done === true) throw new Error('PyTorch did not answer: is python3-torch installed?');
  return JSON.parse(value) as Record<string, unknown>;
}

const count = 60_000;
const set: ImageSet = {
  name: 'noise',
  shape: [28, 28, 1],
  classes: Array.from({ length: 10 }, (_, k) => String(k)),
  maximum: 255,
  train: {
    count,
    images: Uint8Array.from({ length: count * 784 }, (_, i) => (i * 2654435761) >>> 24),
    labels: Uint8Array.from({ length: count }, (_, i) => ((i * 2654435761) >>> 16) % 10),
  },
  test: { count: 0, images: new Uint8Array(), labels: new Uint8Array() },
  source: 'generated',
};

const peer = await answer();
await useBackend('wasm');
const ours = ARMS.map(({ rule, keep }) => ({
  net: fcNet({ inputs: 784, classes: 10, seed: 1n }),
  set,
  optimizer: createOptimizer(rule, {
    learningRate: undefined,
    momentum: undefined,
    weightDecay: undefined,
    keepProbability: keep,
    seed: 1n,
  }),
}));

async function runOurs(arm: number, round: number): Promise<number> {
  const options = ours[arm] as (typeof ours)[number];
  const start = performance.now();
  let step = 0;
  for (const batch of trainingBatches(set, 128, 1n, round + 1)) {
    if (step++ === STEPS) break;
    await trainBatch(options, batch);
  }
  return (performance.now() - start) / 1000;
}

async function runTorch(arm: number): Promise<number> {
  const { rule, keep } = ARMS[arm] as (typeof ARMS)[number];
  child.stdin.write(`${rule} ${keep} ${STEPS}\n`);
  return (await answer())['seconds'] as number;
}

const times = ARMS.map(() => ({ ours: [] as number[], torch: [] as number[] }));
for (let round = -1; round < rounds; round++) {
  for (const [arm, record] of times.entries()) {
    const [a, b] = [await runOurs(arm, round + 1), await runTorch(arm)];
    if (round < 0) continue; // warm-up
    record.ours.push(a);
    record.torch.push(b);
  }
}
child.stdin.end();

const results = ARMS.map(({ rule, keep }, arm) => {
  const { ours: mine, torch } = times[arm] as (typeof times)[number];
  return {
    rule,
    keepProbability: keep,
    secondsPerEpoch: (median(mine) * EPOCH) / STEPS,
    torchSecondsPerEpoch: (median(torch) * EPOCH) / STEPS,
    ratio: spread(mine.map((a, i) => a / (torch[i] as number))),
  };
});
const overhead = (['sgdm', 'adam'] as const).map((rule) => {
  const [plain, lrd] = [1, 0.5].map(
    (keep) => times[ARMS.findIndex((arm) => arm.rule === rule && arm.keep === keep)]?.ours ?? [],
  );
  return { rule, lrdOverPlain: spread((lrd as number[]).map((a, i) => a / (plain?.[i] as number))) };
});
for (const { rule, keepProbability, secondsPerEpoch, torchSecondsPerEpoch, ratio } of results) {
  console.log(
    `${rule.padEnd(5)} p=${String(keepProbability).padEnd(4)} wasm ${secondsPerEpoch.toFixed(1)} s an epoch, PyTorch ` +
      `${torchSecondsPerEpoch.toFixed(1)} s, ratio ${ratio.median.toFixed(2)} (${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)})`,
  );
}
for (const { rule, lrdOverPlain } of overhead) {
  console.log(
    `${rule.padEnd(5)} LRD over p = 1: ${lrdOverPlain.median.toFixed(3)} (${lrdOverPlain.low.toFixed(3)} to ${lrdOverPlain.high.toFixed(3)})`,
  );
}
if (values.json !== undefined) {
  const environment = { ...describeEnvironment('wasm'), peer };
  writeWhole(
    values.json,
    `${JSON.stringify({ command: 'bench/fcnetEpoch.bench.ts', rounds, environment, results, overhead }, null, 2)}\n`,
  );
}
