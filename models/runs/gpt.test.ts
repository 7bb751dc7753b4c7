import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { silentProgress } from '../trainer/progress.ts';
import type { TrainingRequest } from './request.ts';
import { readRun, readSamples } from './runFolder.ts';
import { resumeTraining, runTraining } from './runTraining.ts';

const test = suite('models/runs/gpt');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-gpt-run-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const QUIET = { progress: silentProgress };
let folders = 0;
const request = (changes: Partial<TrainingRequest> = {}): TrainingRequest => ({
  recipe: 'gpt',
  optimizer: 'adamw',
  learningRate: 0.01,
  mask: { kind: 'magma' },
  maskExclude: ['embedding/*', 'positions/*', '*norm*', 'head/*'],
  width: 8,
  layers: 1,
  context: 8,
  epochSteps: 20,
  batchSize: 8,
  epochs: 2,
  limit: 40,
  validation: 8,
  seed: 7n,
  backend: 'wasm',
  schedules: { learningRate: { kind: 'constant' } },
  out: join(scratch, `run-${folders++}`),
  ...changes,
});

test('it learns, in bits a byte; each line carries its step; going on gives the same bits', async () => {
  const whole = await runTraining(request(), QUIET);
  const [first, second] = whole.metrics;
  assert.equal([first?.step, second?.step, whole.config.lossUnit], [20, 40, 'bits a byte']);
  // An even guess among 256 bytes is 8 bits.
  assert.ok((first?.trainLoss as number) < 8.1 && (second?.testLoss as number) < 6.5, JSON.stringify(whole.metrics));
  assert.is(typeof second?.validationLoss, 'number');
  assert.equal(whole.config.examples, { train: 160, validation: 8, test: 40 });
  const begun = await runTraining(request({ epochs: 1 }), QUIET);
  const on = await resumeTraining({ folder: begun.folder, epochs: 2 }, QUIET);
  const plain = (run: typeof on): unknown => run.metrics.map((line) => ({ ...line, seconds: 0, inputSeconds: 0 }));
  assert.equal(plain(on), plain(whole));
  assert.equal(readSamples(on.folder), readSamples(whole.folder));
  assert.is(readSamples(whole.folder).length, 2);
  assert.is(readRun(whole.folder).config.context, 8);
});

test('a file of one’s own is read as it is', async () => {
  const path = join(scratch, 'own.txt');
  writeFileSync(path, 'abc'.repeat(400));
  const run = await runTraining(request({ data: path, limit: undefined, epochs: 1 }), QUIET);
  assert.is(run.config.dataSource, path);
  assert.is(readFileSync(join(run.folder, 'metrics.jsonl'), 'utf8').split('\n').length, 2);
});

test('what cannot be is one line', async () => {
  const [empty, short] = [join(scratch, 'empty.txt'), join(scratch, 'short.txt')];
  writeFileSync(empty, '');
  writeFileSync(short, 'x'.repeat(89));
  const wrong: readonly [Partial<TrainingRequest>, RegExp][] = [
    [{ data: empty }, /^--data must have at least 90 bytes for a context of 8, of which a tenth is tested on; .*empty\.txt has 0$/], // prettier-ignore
    [{ data: short }, /short\.txt has 89$/],
    [{ data: join(scratch, 'none.txt') }, /none\.txt/],
    [{ data: scratch }, /folder/],
    [{ data: 'mnist' }, /^--data must be a text for gpt: genesis, kjv or the path of a file such as \.\/mine\.txt, got "mnist"$/], // prettier-ignore
    [{ recipe: 'fcnet', data: 'genesis', layers: undefined, context: undefined, epochSteps: undefined }, /^--data must be a set of images with one label each, got genesis: it is for gpt$/], // prettier-ignore
    [{ width: 10 }, /^--width must be a multiple of 4, the heads of gpt, got 10$/],
    [{ context: 100_000 }, /^--data must have at least 1000010 bytes for a context of 100000/],
    [{ validation: 40 }, /^--validation must be less than --limit 40, got 40$/],
    [{ limit: undefined, validation: 1e6 }, /^--validation must be less than the \d+ windows of 9 bytes that are trained on, got 1000000$/], // prettier-ignore
    [{ crop: 121 }, /^--crop is for pspnet, got gpt$/],
    [{ augment: 'crop-flip' }, /^--augment must be none or left out for gpt/],
    [{ recipe: 'fcnet', data: 'digits', mask: undefined, maskExclude: [], epochSteps: undefined, context: undefined }, /^--layers is for gpt, got fcnet$/], // prettier-ignore
    [{ maskExclude: ['norms/*'] }, /^--mask-exclude must match a parameter's name, got "norms\/\*"; there are embedding\/weight, /], // prettier-ignore
  ];
  for (const [changes, pattern] of wrong) {
    let message = 'no error';
    try {
      await runTraining(request(changes), QUIET);
    } catch (error) {
      ({ message } = error as Error);
    }
    assert.match(message, pattern, JSON.stringify(changes));
    assert.not.match(message, /\n/);
  }
});

test.run();
