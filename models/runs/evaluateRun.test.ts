import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../backend.ts';
import { StoppedError } from '../trainer/failures.ts';
import { evaluateRun } from './evaluateRun.ts';
import type { Run } from './runFolder.ts';
import { readRun } from './runFolder.ts';
import { runTraining } from './runTraining.ts';
import { drawCifar10 } from './testing/cifar.ts';
import { latest } from './testing/command.ts';

const test = suite('models/runs/evaluateRun');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-evaluate-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const folder = join(scratch, 'run');
const request = { recipe: 'fcnet', data: 'digits', optimizer: 'adam', keepProbability: 0.5, width: 32, seed: 3n, backend: 'wasm' } as const; // prettier-ignore
let run: Run;
test.before(async () => {
  await useBackend('wasm');
  run = await runTraining({ ...request, epochs: 2, regularizers: { standardDropout: 0.8 }, out: folder });
});

const program = fileURLToPath(new URL('../cli/lrd.ts', import.meta.url));
const lrd = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, [...FROM_SOURCE, program, 'evaluate', ...args], { encoding: 'utf8' }); // prettier-ignore

test('a finished run gives the test figures of its last line again, to the bit, and nothing in its folder changes', async () => {
  const files = (): string[] =>
    readdirSync(folder, { recursive: true })
      .map(String)
      .sort()
      .map((name) => (/\./.test(name) ? `${name} ${readFileSync(join(folder, name)).toString('base64')}` : name));
  const before = files();
  const tensors = tf.memory().numTensors;
  const { metrics, ...rest } = await evaluateRun({ folder });
  assert.is(tf.memory().numTensors, tensors);
  const { testLoss, testAccuracy } = run.metrics[1] as Run['metrics'][0];
  assert.equal(metrics, { testLoss, testAccuracy });
  assert.is.not(testLoss, run.metrics[0]?.testLoss);
  assert.equal(rest, { folder, config: run.config, backend: 'wasm', epochs: 2, batches: 0, examples: 360 });
  assert.ok(files().join() === before.join(), 'a file of the run was changed');
});

test('the command prints them, for people and as JSON, on another backend too', () => {
  const { testLoss, testAccuracy } = run.metrics[1] as Run['metrics'][0];
  const json = lrd(folder, '--json');
  assert.is(json.status, 0, json.stderr);
  assert.equal(JSON.parse(json.stdout), {
    folder, recipe: 'fcnet', data: 'digits', backend: 'wasm', epochs: 2, batches: 0, examples: 360, testLoss, testAccuracy,
  }); // prettier-ignore
  const plain = lrd(folder, '--backend', 'cpu');
  assert.is(
    plain.stdout,
    `${folder}: fcnet after 2 epochs, on 360 test images of digits, cpu\n` +
      `test loss       ${testLoss.toFixed(4)}\ntest accuracy   ${testAccuracy.toFixed(2)} %\n`,
  );
});

test('a run that was stopped within an epoch is tested as it stands', async () => {
  const out = join(scratch, 'stopped');
  const failure = await runTraining({ ...request, epochs: 2, out }, { signal: AbortSignal.abort() }).catch((e: unknown) => e); // prettier-ignore
  assert.instance(failure, StoppedError);
  const { epochs, batches, metrics } = await evaluateRun({ folder: out });
  assert.equal([epochs, batches, readRun(out).metrics], [0, 1, []]);
  assert.ok(metrics.testLoss > (run.metrics[1]?.testLoss as number) && metrics.testLoss < 3);
});

test('data that was named from the folder at hand is found again from any other', async () => {
  const data = join(scratch, 'data');
  drawCifar10(data, 40, 10);
  const out = join(scratch, 'elsewhere');
  const settings = {
    recipe: 'resnet14',
    data: 'cifar10',
    width: 2,
    batchSize: 20,
    epochs: 1,
    seed: 1n,
    backend: 'wasm',
  };
  const { metrics, config } = await runTraining({ ...settings, dataDir: relative('.', data), out });
  assert.ok(isAbsolute(config.dataSource), config.dataSource);
  const there = process.cwd();
  process.chdir(scratch);
  try {
    assert.is((await evaluateRun({ folder: out })).metrics.testLoss, metrics[0]?.testLoss);
  } finally {
    process.chdir(there);
  }
});

test('mistakes are one line that says what is missing', () => {
  const refuses = (args: string[], status: number, pattern: RegExp): void => {
    const result = lrd(...args);
    assert.match(result.stderr, pattern);
    assert.equal([result.status, result.stdout], [status, '']);
    assert.is(result.stderr.trimEnd().split('\n').length, 1, result.stderr);
  };
  refuses([], 2, /^lrd: lrd evaluate needs a RUN/);
  refuses([scratch], 1, /not a run/);
  const copy = join(scratch, 'copy');
  cpSync(folder, copy, { recursive: true });
  writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...run.config, data: 'mnist', backend: 'node-gpu' }));
  refuses([copy], 1, /of another run: its data is "digits", config\.json's "mnist"/);
  rmSync(latest(copy));
  refuses([copy], 1, /copy: no checkpoint to evaluate \(an experiment keeps/);
});

test.run();
