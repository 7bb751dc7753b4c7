import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import type { EpochMetrics, Run, TrainingRequest } from '../index.ts';
import { parseRegularizers, parseSchedules, readRun, resumeTraining, runTraining } from '../index.ts';
import type { HostTensor } from '../storage/safetensors.ts';
import { readArchive, writeArchive } from '../storage/safetensors.ts';
import { latest } from './testing/command.ts';

const test = suite('models/runs/settings');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-settings-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

let folders = 0;
/** Trains a small network on the digits. */
function trainWith(changes: Partial<TrainingRequest>): Promise<Run> {
  const small = { recipe: 'fcnet', data: 'digits', width: 16, batchSize: 64, epochs: 2, seed: 2n, backend: 'wasm' };
  return runTraining({ ...small, out: join(scratch, `run-${folders++}`), ...changes });
}
const resume = (folder: string, epochs: number): Promise<Run> => resumeTraining({ folder, epochs });
const losses = ({ metrics }: Run): number[] => metrics.flatMap(({ trainLoss, testLoss }) => [trainLoss, testLoss]);
const column = ({ metrics }: Run, name: keyof EpochMetrics): unknown[] => metrics.map((line) => line[name]);

test(
  'every regularizer changes the run, stands in config.json, and repeats with the seed',
  async () => {
    // With L2, which tells gradients that are masked from updates that are.
    const decayed = (changes: Partial<TrainingRequest>): Promise<Run> => trainWith({ weightDecay: 0.01, ...changes });
    const base = await decayed({});
    assert.equal(losses(await decayed({})), losses(base));
    const seen = new Map<string, string>([[losses(base).join(), 'none']]);
    for (const text of [
      'DG',
      'NG:0.001',
      'GC',
      'NL',
      'SD',
      'SG:0.5',
      'sparse-updates:0.5',
      'clip-value:0.001',
      'clip-norm:0.1',
      'trained-keep:0.01',
    ]) {
      const regularizers = parseRegularizers([text]);
      // A trained keep probability starts below 1, or it would stay there.
      const keep = text.startsWith('trained') ? { keepProbability: 0.5 } : {};
      const run = await decayed({ regularizers, ...keep });
      const key = losses(run).join();
      assert.is(seen.get(key), undefined, `${text} trains as ${seen.get(key)} does`);
      seen.set(key, text);
      assert.equal(run.config.regularizers, regularizers);
      if (text === 'NL' || text === 'SD') assert.is(losses(await decayed({ regularizers })).join(), key);
    }
    const both = await decayed({ regularizers: parseRegularizers(['DG', 'NL']), keepProbability: 0.5 });
    assert.not.ok(seen.has(losses(both).join()));
  },
  { timeout: 180 },
);

test('schedules set what each step uses, and metrics show what the epoch ended with', async () => {
  const run = await trainWith({
    epochs: 4,
    learningRate: 0.1,
    keepProbability: 0.5,
    schedules: parseSchedules([
      'lr=step:1,3:0.5',
      'keep=follow:0.1=1,0.05=0.7,0.025=0.3',
      'weight-decay=epochs:2=0.001,3=0.002',
      'sparsity=epochs:3=0.5,4=0',
    ]),
    regularizers: parseRegularizers(['SG']),
  });
  assert.equal(column(run, 'learningRate'), [0.1, 0.05, 0.05, 0.025]);
  assert.equal(column(run, 'keepProbability'), [1, 0.7, 0.7, 0.3]);
  assert.equal(column(run, 'weightDecay'), [0, 0.001, 0.002, 0.002]);
  assert.equal(column(run, 'sparsity'), [0, 0, 0.5, 0]);
  // The base values are what the run was given, not where it came to.
  assert.equal([run.config.learningRate, run.config.keepProbability, run.config.hyper['weightDecay']], [0.1, 0.5, 0]);
});

test('a scheduled rate is the rate: two epochs at .1 and .01 are a run at .1 that goes on at .01', async () => {
  const scheduled = await trainWith({ epochs: 2, schedules: parseSchedules(['lr=step:1']) });
  const plain = await trainWith({ epochs: 1 });
  assert.is(scheduled.metrics[0]?.trainLoss, plain.metrics[0]?.trainLoss);
  const constant = await trainWith({ epochs: 2 });
  assert.is(constant.metrics[0]?.testLoss, scheduled.metrics[0]?.testLoss);
  assert.is.not(constant.metrics[1]?.trainLoss, scheduled.metrics[1]?.trainLoss);
});

test('a run that goes on for more epochs keeps the schedule that it began with', async () => {
  const whole = await trainWith({ epochs: 3, schedules: parseSchedules(['lr=linear:0.01', 'keep=cosine:0.5']) });
  const [first] = column(whole, 'learningRate') as [number];
  const further = await resume(whole.folder, 5);
  assert.equal(further.config.schedules, whole.config.schedules);
  assert.is(column(further, 'learningRate')[0], first);
  assert.equal(column(further, 'learningRate').slice(2), [0.01, 0.01, 0.01]);
  assert.equal(column(further, 'keepProbability').slice(3), [0.5, 0.5]);
  assert.is(further.config.epochs, 5);
});

test('a run starts with the parameters of a file in the layout of PyTorch', async () => {
  const value = (name: string, i: number): number => Math.fround(Math.sin(i + name.length) / 10);
  const shapes: Readonly<Record<string, readonly number[]>> = {
    'fc1.weight': [16, 64],
    'fc1.bias': [16],
    'fc2.weight': [16, 16],
    'fc2.bias': [16],
    'fc3.weight': [10, 16],
    'fc3.bias': [10],
  };
  const tensors = new Map(
    Object.entries(shapes).map(([name, shape]): [string, HostTensor] => {
      const size = shape.reduce((product, extent) => product * extent, 1);
      return [name, { shape, values: Float32Array.from({ length: size }, (_, i) => value(name, i)) }];
    }),
  );
  const init = join(scratch, 'init.safetensors');
  await writeArchive(init, { tensors, metadata: {} });
  // A step that is too small for any float32: the parameters stay as they came.
  const run = await trainWith({ init, learningRate: 1e-30, epochs: 1 });
  const saved = readArchive(latest(run.folder)).tensors;
  const weight = saved.get('parameter/fc1/weight') as HostTensor;
  assert.equal(weight.shape, [64, 16]);
  for (let output = 0; output < 16; output++) {
    for (let input = 0; input < 64; input++) {
      assert.is(weight.values[input * 16 + output], value('fc1.weight', output * 64 + input));
    }
  }
  assert.is(run.config.init, init);
  assert.is(readRun(run.folder).config.init, init);
  let message = '';
  try {
    await trainWith({ init, width: 8 });
  } catch (error) {
    ({ message } = error as Error);
  }
  assert.match(message, /^--init \S+init\.safetensors: tensor fc1\.weight must be of shape \[64, 8\]/);
});

const gpuJs = await import('gpu.js').then(
  () => true,
  () => false,
);
test.when(gpuJs, 'gpu.js is not installed')(
  'the engine is recorded and comes back when a run goes on; the masks are the same as those of the fused one',
  async () => {
    const run = await trainWith({ engine: 'gpujs', epochs: 1, keepProbability: 0.5 });
    assert.is(run.config.hyper['engine'], 'gpujs');
    const further = await resume(run.folder, 2);
    const fused = await trainWith({ epochs: 2, keepProbability: 0.5 });
    assert.is(fused.config.hyper['engine'], undefined);
    for (const [index, loss] of losses(further).entries()) {
      const other = losses(fused)[index] as number;
      assert.ok(Math.abs(loss - other) < 1e-4 * other, `${loss} and ${other}`);
    }
    const metadata = readArchive(latest(further.folder)).metadata;
    assert.match(metadata['optimizer'] ?? '', /"engine":"gpujs"/);
    assert.ok(readFileSync(join(further.folder, 'config.json'), 'utf8').includes('"engine": "gpujs"'));
  },
  { timeout: 120 },
);

test.run();
