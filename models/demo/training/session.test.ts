import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { readDigits } from './data.ts';
import { MASKS } from './messages.ts';
import type { MaskName } from './messages.ts';
import type { Slice } from './session.ts';
import { Session } from './session.ts';

const test = suite('models/demo/training');
const rates = { keepProbability: 0.5, learningRate: 0.002, control: false };
const settings = { rule: 'adam', mask: 'lrd', ...rates, width: 16, seed: 3 } as const;
await tf.setBackend('cpu');
const digits = await readDigits();

/** Slices until `steps` steps are done. The pace follows the clock, so slices differ from run to run; steps do not. */
async function trainUntil(session: Session, steps: number): Promise<Slice> {
  for (;;) {
    const slice = await session.advance();
    if (slice.step >= steps) return slice;
  }
}

test('an epoch is 12 batches, ends with a test, and both networks learn', async () => {
  const session = new Session(digits, settings);
  const first = await trainUntil(session, 12);
  assert.is(first.step, 12);
  assert.is(first.epoch, 1);
  const last = await trainUntil(session, 240);
  assert.ok((last.accuracy?.plain ?? 0) > 80 && (last.accuracy?.lrd ?? 0) > 70, JSON.stringify(last.accuracy));
  assert.ok(last.loss.plain < first.loss.plain && last.loss.lrd < first.loss.lrd);
  session.dispose();
});

test('a training that moves goes on as if it had not', async () => {
  const straight = new Session(digits, settings);
  const expected = await trainUntil(straight, 36);
  const moved = new Session(digits, settings);
  await trainUntil(moved, 24);
  let asked = 0;
  await moved.move(() => {
    asked += 1;
    return Promise.resolve();
  });
  assert.is(asked, 1);
  const got = await trainUntil(moved, 36);
  assert.equal(got.accuracy, expected.accuracy);
  // The same steps give the same bits; slices of the last epoch may be cut elsewhere, so its test is what can be compared.
  const others = { keepProbability: 0.25, learningRate: 0.001, control: true };
  straight.change(others);
  moved.change(others);
  assert.equal((await trainUntil(moved, 48)).accuracy, (await trainUntil(straight, 48)).accuracy);
  straight.dispose();
  moved.dispose();
});

test('a move that fails leaves the training where it was', async () => {
  const session = new Session(digits, settings);
  await trainUntil(session, 12);
  try {
    await session.move(() => Promise.reject(new Error('no such backend')));
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, 'no such backend');
  }
  assert.is((await trainUntil(session, 24)).epoch, 2);
  session.dispose();
});

test('equal keep probabilities give equal networks, and nothing is left behind', async () => {
  const before = tf.memory().numTensors;
  const session = new Session(digits, { ...settings, keepProbability: 1 });
  const { loss, accuracy } = await trainUntil(session, 24);
  assert.is(loss.plain, loss.lrd);
  assert.is(accuracy?.plain, accuracy?.lrd);
  const during = tf.memory().numTensors;
  await trainUntil(session, 36);
  assert.is(tf.memory().numTensors, during);
  session.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('the control has the learning rate times p; every kind of mask trains, and moves', async () => {
  const arm = async (mask: MaskName, control: boolean): Promise<Slice> => {
    const session = new Session(digits, { ...settings, mask, control });
    await trainUntil(session, 12);
    await session.move(() => Promise.resolve());
    const slice = await trainUntil(session, 24);
    session.dispose();
    return slice;
  };
  const slower = new Session(digits, { ...settings, learningRate: 0.001 });
  assert.is((await arm('lrd', true)).accuracy?.plain, (await trainUntil(slower, 24)).accuracy?.plain);
  slower.dispose();
  const seen = new Set<number>();
  for (const mask of Object.keys(MASKS) as MaskName[]) {
    const { loss } = await arm(mask, false);
    assert.ok(Number.isFinite(loss.lrd), mask);
    seen.add(loss.lrd);
  }
  assert.is(seen.size, Object.keys(MASKS).length);
});

test.run();
