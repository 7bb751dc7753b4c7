import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { loadDigits } from './digits.ts';
import { heldOut, holdOutImages } from './holdOut.ts';

const test = suite('models/data/holdOut');
const seed = Number(process.env['LRD_SEED'] ?? 20220314);

test('every example is trained on or held out; less that is held out lies within more', () => {
  const sizes = fc
    .integer({ min: 3, max: 500 })
    .chain((count) =>
      fc
        .tuple(fc.constant(count), fc.integer({ min: 2, max: count - 1 }))
        .chain(([all, more]) => fc.tuple(fc.constant(all), fc.constant(more), fc.integer({ min: 1, max: more - 1 }))),
    );
  fc.assert(
    fc.property(sizes, ([count, more, fewer]) => {
      const { train, validation } = heldOut(count, more);
      assert.is(validation.length, more);
      assert.equal([...train, ...validation].sort((a, b) => a - b), Array.from({ length: count }, (_, k) => k)); // prettier-ignore
      assert.equal([...train], [...train].sort((a, b) => a - b)); // prettier-ignore
      const within = new Set(validation);
      assert.ok([...heldOut(count, fewer).validation].every((number) => within.has(number)));
    }),
    { seed, numRuns: 100 },
  );
});

test('the choice is the same for ever: results that exist were chosen by it', () => {
  assert.equal([...heldOut(20, 5).validation], [1, 4, 10, 14, 17]);
});

test('of nothing that is left to train on, a line says so', () => {
  assert.throws(
    () => heldOut(10, 10),
    /^--validation must be less than the 10 training examples, of which it holds some out, got 10$/,
  );
});

test('a set of images keeps its pictures, labels and test set', async () => {
  const whole = await loadDigits();
  const { train, validation, test: tested } = holdOutImages(whole, 437);
  assert.equal([train.count, validation?.count, tested], [1000, 437, whole.test]);
  const numbers = heldOut(1437, 437);
  const [mine, theirs] = [new Uint8Array(64), new Uint8Array(64)];
  for (const [split, from] of [
    [train, numbers.train],
    [validation, numbers.validation],
  ] as const) {
    for (const at of [0, 17, 436]) {
      await split?.images.read(at, 'plain', mine);
      await whole.train.images.read(from[at] as number, 'plain', theirs);
      assert.equal(mine, theirs);
      assert.is(split?.labels[at], whole.train.labels[from[at] as number]);
    }
  }
  assert.is(holdOutImages(whole, undefined), whole);
});

test.run();
