import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../backend.ts';
import { loadDigits } from '../data/digits.ts';
import { fcNet } from '../nets/fcnet.ts';
import { countParameters } from '../nets/net.ts';
import { trainingBatches } from '../tasks/classification/batches.ts';
import { RunningMean, classificationSums, countTop5 } from '../tasks/metrics.ts';
import { consoleProgress, formatDuration, silentProgress } from '../trainer/progress.ts';
import { RateMeter } from '../trainer/rateMeter.ts';
import { readRun } from './runFolder.ts';
import { runTraining } from './runTraining.ts';
import type { TrainingRequest } from './request.ts';

const test = suite('models/runs/runTraining');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-trainer-'));
test.before(async () => {
  await useBackend('wasm');
});
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const QUIET = { progress: silentProgress };
let folders = 0;
const request = (changes: Partial<TrainingRequest> = {}): TrainingRequest => ({
  recipe: 'fcnet',
  data: 'digits',
  optimizer: 'adam',
  keepProbability: 0.5,
  batchSize: 128,
  epochs: 2,
  seed: 7n,
  backend: 'wasm',
  width: 64,
  out: join(scratch, `run-${folders++}`),
  ...changes,
});

test('FCNet has 1,796,010 parameters and starts within +-1/sqrt(fan in)', async () => {
  const net = fcNet({ inputs: 784, classes: 10, seed: 1n });
  assert.is(countParameters(net), 1_796_010);
  assert.equal(
    net.parameters.map(({ name, variable }) => `${name} ${variable.shape.join('x')}`),
    [
      'fc1/weight 784x1000',
      'fc1/bias 1000',
      'fc2/weight 1000x1000',
      'fc2/bias 1000',
      'fc3/weight 1000x10',
      'fc3/bias 10',
    ],
  );
  for (const { name, variable } of net.parameters) {
    const bound = 1 / Math.sqrt(name.startsWith('fc1') ? 784 : 1000);
    const values = await variable.data<'float32'>();
    const [low, high] = [Math.min(...values.slice(0, 10_000)), Math.max(...values.slice(0, 10_000))];
    assert.ok(low >= -bound && high <= bound && high - low > (values.length > 100 ? 1.9 : 1) * bound, name);
  }
  net.dispose();
});

test('an epoch visits each image once, in an order that depends on seed and epoch, and keeps the smaller last batch', async () => {
  const set = await loadDigits();
  const read = async (seed: bigint, epoch: number): Promise<{ sizes: number[]; labels: number[] }> => {
    const [sizes, labels]: [number[], number[]] = [[], []];
    for await (const batch of trainingBatches(set, 128, seed, epoch)) {
      sizes.push(batch.count);
      labels.push(...batch.labels);
    }
    return { sizes, labels };
  };
  const first = await read(1n, 1);
  assert.equal(first.sizes, [...new Array<number>(11).fill(128), 29]);
  assert.equal(Int32Array.from(first.labels).sort(), set.train.labels.slice().sort());
  assert.equal(await read(1n, 1), first);
  assert.not.equal((await read(1n, 2)).labels, first.labels);
  assert.not.equal((await read(2n, 1)).labels, first.labels);
});

test('loss and accuracy of logits, by hand', () => {
  const sums = classificationSums(Float32Array.of(0, 0, Math.log(3), 0), Uint8Array.of(1, 0), 2);
  assert.is(sums.correct, 1);
  assert.ok(Math.abs(sums.loss - (Math.log(2) + Math.log(4 / 3))) < 1e-7);
  const mean = new RunningMean();
  mean.add({ count: 128, loss: 128, correct: 64 });
  mean.add({ count: 32, loss: 0, correct: 32 });
  assert.equal([mean.loss, mean.accuracy], [0.8, 60]);
  assert.ok(Number.isNaN(classificationSums(Float32Array.of(NaN, 0), Uint8Array.of(1), 2).loss));
  assert.is(classificationSums(Float32Array.of(1e30, 0), Uint8Array.of(0), 2).loss, 0);
});

test('the five largest logits hit, and of equals the first ones', () => {
  const logits = Float32Array.from({ length: 3 * 8 }, (_, i) => (i < 8 ? i : i < 16 ? -i : 1));
  const hits = (labels: number[]): number => countTop5(logits, labels, 8);
  assert.equal(
    [0, 2, 3, 7].map((label) => hits([label])),
    [0, 0, 1, 1],
  );
  assert.equal([hits([7, 4, 4]), hits([7, 5, 5]), hits([7, 0, 0])], [3, 1, 3]);
  const distinct = Float32Array.from({ length: 8 }, (_, i) => Math.sin(i));
  const order = [...distinct.keys()].sort((a, b) => (distinct[b] as number) - (distinct[a] as number));
  assert.equal(
    order.map((label) => countTop5(distinct, [label], 8)),
    [1, 1, 1, 1, 1, 0, 0, 0],
  );
});

test('training learns, a seed fixes the run, and another seed gives another', async () => {
  const first = await runTraining(request({ epochs: 12 }), QUIET);
  const second = await runTraining(request({ epochs: 12 }), QUIET);
  const other = await runTraining(request({ epochs: 12, seed: 8n }), QUIET);
  const untimed = (run: typeof first): object[] => run.metrics.map((m) => ({ ...m, seconds: 0, inputSeconds: 0 }));
  assert.equal(untimed(first), untimed(second));
  assert.not.equal(untimed(first), untimed(other));
  assert.ok((first.metrics.at(-1)?.testAccuracy ?? 0) > 80);
  assert.ok((first.metrics.at(-1)?.trainLoss ?? 9) < 0.6 * (first.metrics[0]?.trainLoss ?? 0));
});

test('no tensor is left behind', async () => {
  const before = tf.memory().numTensors;
  await runTraining(request(), QUIET);
  assert.is(tf.memory().numTensors, before);
});

test('a run folder holds what was asked, where it ran and a line an epoch; a line cut off by a kill is left out', async () => {
  const run = await runTraining(request(), QUIET);
  assert.equal(run.metrics.length, 2);
  const environment = JSON.parse(readFileSync(join(run.folder, 'environment.json'), 'utf8')) as Record<string, unknown>;
  assert.is(environment['backend'], 'wasm');
  assert.is(run.config.seed, '0x0000000000000007');
  assert.equal(Object.keys(run.metrics[0] as object), [
    'epoch', 'step', 'trainLoss', 'trainAccuracy', 'testLoss', 'testAccuracy', 'seconds', 'inputSeconds', 'learningRate', 'keepProbability', 'weightDecay',
  ]); // prettier-ignore
  appendFileSync(join(run.folder, 'metrics.jsonl'), '{"epoch":3,"trai');
  assert.is(readRun(run.folder).metrics.length, 2);
});

test('a loss that is no longer finite stops training, says where, and keeps the epochs before', async () => {
  const asked = request({ optimizer: 'sgdm', learningRate: 1e30, epochs: 3 });
  let message = '';
  try {
    await runTraining(asked, QUIET);
  } catch (error) {
    message = (error as Error).message;
  }
  assert.match(
    message,
    /the loss at step \d+ is (NaN|Infinity), no longer finite\. A smaller learning rate, .*clip-norm.*help/,
  );
  assert.match(message, /; there was no checkpoint yet$/);
  assert.equal(readRun(asked.out as string).metrics, []);
});

test('a folder that holds a run is refused before anything is loaded, and a wrong setting leaves no folder', async () => {
  const asked = request();
  await runTraining(asked, QUIET);
  const before = readFileSync(join(asked.out as string, 'metrics.jsonl'), 'utf8');
  const failing = async (changes: Partial<TrainingRequest>): Promise<string> => {
    try {
      await runTraining({ ...asked, ...changes }, QUIET);
    } catch (error) {
      return (error as Error).message;
    }
    return 'no error';
  };
  assert.match(await failing({}), /--out must not hold a run already/);
  assert.is(readFileSync(join(asked.out as string, 'metrics.jsonl'), 'utf8'), before);
  const fresh = join(scratch, 'fresh');
  assert.match(await failing({ out: fresh, data: 'mnist', dataDir: scratch }), /no train-images-idx3-ubyte/);
  assert.match(await failing({ out: fresh, hyper: { momentum: 0.9 } }), /momentum/);
  assert.match(await failing({ out: fresh, backend: 'webgl' }), /--backend must be one of/);
  assert.not.ok(existsSync(fresh));
});

const progressState = {
  label: 'adam',
  epoch: 1,
  epochs: 2,
  samplesDone: 64,
  samplesTotal: 128,
  loss: 0.5,
  accuracy: 75,
  stepsPerSecond: 7.8125,
  samplesPerSecond: 1000,
  secondsLeft: 75,
};
const progressLine = 'adam: epoch 1/2  50 %, 1:15 left  loss 0.5000  accuracy 75.00 %  1000 images/s, 7.81 steps/s';

test('progress is one rewritten line on a terminal, no wider than it and always with the time left, and plain lines elsewhere', () => {
  const show = (output: { isTTY: boolean; columns?: number }): string => {
    let text = '';
    let clock = 0;
    const progress = consoleProgress({ ...output, write: (part) => (text += part) }, () => (clock += 20_000));
    progress.step(progressState);
    progress.line('done');
    return text;
  };
  assert.is(show({ isTTY: true, columns: 120 }), `\r\u001b[K${progressLine}\r\u001b[Kdone\n`);
  assert.is(show({ isTTY: true, columns: 41 }), '\r\u001b[Kadam: 1/2  50 %, 1:15 left  loss 0.5000\r\u001b[Kdone\n');
  assert.is(show({ isTTY: false }), `${progressLine}\ndone\n`);
  assert.equal([59.6, 3725].map(formatDuration), ['1:00', '1:02:05']);
});

test('a terminal is written to ten times a second at most; a log gets its first line after ten seconds, then ever fewer', () => {
  const written = (isTTY: boolean, seconds: number, stepMilliseconds: number): number[] => {
    const at: number[] = [];
    let clock = 0;
    const progress = consoleProgress({ isTTY, write: () => at.push(clock / 1000) }, () => clock);
    for (; clock <= seconds * 1000; clock += stepMilliseconds) progress.step(progressState);
    return at;
  };
  assert.is(written(true, 1, 10).length, 11);
  assert.equal(written(false, 60, 1000), [10, 25, 48]);
  const day = written(false, 86_400, 1000);
  const gaps = day.slice(1).map((time, index) => time - (day[index] ?? 0));
  assert.is(gaps.at(-1), 300);
});

test('the rate is that of the last half minute of training, evaluations left out', () => {
  let clock = 0;
  const meter = new RateMeter(() => clock);
  const train = (steps: number, milliseconds: number): void => {
    for (let i = 0; i < steps; i++) {
      clock += milliseconds;
      meter.step(128);
    }
  };
  assert.is(meter.rates, undefined);
  train(1, 100);
  assert.is(meter.rates, undefined);
  train(99, 100);
  assert.equal(meter.rates, { stepsPerSecond: 10, samplesPerSecond: 1280 });
  meter.pause();
  clock += 60_000;
  assert.equal(meter.rates, { stepsPerSecond: 10, samplesPerSecond: 1280 });
  meter.resume();
  train(100, 100);
  assert.equal(meter.rates, { stepsPerSecond: 10, samplesPerSecond: 1280 });
  train(40, 1000);
  assert.equal(meter.rates, { stepsPerSecond: 1, samplesPerSecond: 128 });
});

test.run();
