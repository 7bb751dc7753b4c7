/** A run that is told to stop while it is tested, which may take longer than an epoch: it does not wait for the test, and loses nothing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { silentProgress } from '../trainer/progress.ts';
import { StoppedError } from '../trainer/train.ts';
import { readCheckpoint } from './checkpoint.ts';
import { readRun } from './runFolder.ts';
import { resumeTraining, runTraining } from './runTraining.ts';
import { outcome } from './testing/command.ts';

const test = suite('models/runs/stopping');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-stopping-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const request = { recipe: 'fcnet', data: 'digits', optimizer: 'adam', keepProbability: 0.5, width: 8, limit: 100, batchSize: 50, seed: 6n, epochs: 3, backend: 'cpu' }; // prettier-ignore

test('a signal in the middle of a test stops it behind a checkpoint, and the test is done when the run goes on', async () => {
  const [whole, stopped] = [join(scratch, 'whole'), join(scratch, 'stopped')];
  await runTraining({ ...request, out: whole });
  const stop = new AbortController();
  const heard: boolean[] = [];
  // The last step of the second epoch is the last that is told of before its test.
  const progress = {
    ...silentProgress,
    step: ({ epoch, samplesDone, samplesTotal }: { epoch: number; samplesDone: number; samplesTotal: number }): void => {
      if (epoch === 2 && samplesDone === samplesTotal) stop.abort();
    },
  };
  const hear = (on: boolean): void => void heard.push(on);
  let error: unknown;
  await runTraining({ ...request, out: stopped }, { signal: stop.signal, progress, hear }).catch((thrown: unknown) => (error = thrown));
  assert.instance(error, StoppedError);
  assert.is((error as Error).message, 'stopped in epoch 2 after 2 batches');
  // Deaf while the network was built and until its first step, and never again.
  assert.equal(heard, [false, true]);
  assert.is(readRun(stopped).metrics.length, 1);
  const checkpoint = readCheckpoint(stopped, readRun(stopped).config);
  checkpoint.close();
  assert.equal([checkpoint.position.epoch, checkpoint.position.batch], [2, 2]);
  await resumeTraining({ folder: stopped });
  assert.equal(outcome(stopped).metrics, outcome(whole).metrics);
});

test.run();
