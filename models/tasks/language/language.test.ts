import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { WHOLE } from '../part.ts';
import { drawByte } from './samples.ts';
import type { WindowBatch } from './windows.ts';
import { testStarts, trainingWindows } from './windows.ts';

const test = suite('models/tasks/language');
const seed = Number(process.env['LRD_SEED'] ?? 20220314);

async function collect(batches: AsyncIterable<WindowBatch>): Promise<WindowBatch[]> {
  const all: WindowBatch[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

const text = Uint8Array.from({ length: 200 }, (_, i) => i);
const request = { batchSize: 5, seed: 3n, epoch: 2, first: 0 };

test('batches are windows of the text with the byte behind each, a function of seed, epoch and position', async () => {
  const whole = await collect(trainingWindows(text, { context: 7, steps: 40 }, request));
  assert.is(whole.length, 40);
  const starts = new Set<number>();
  for (const { count, inputs, labels } of whole) {
    assert.equal([count, inputs.length], [5, 35]);
    inputs.forEach((byte, k) => {
      assert.is(labels[k], byte + 1);
      if (k % 7 > 0) assert.is(byte, (inputs[k - 1] as number) + 1);
      else starts.add(byte);
    });
  }
  // All 193 places may come; 200 draws find about two in three.
  assert.ok(starts.size > 100 && Math.max(...starts) <= 192, String(starts.size));
  const later = await collect(trainingWindows(text, { context: 7, steps: 40 }, { ...request, first: 33 }));
  assert.equal(later, whole.slice(33));
  const other = await collect(trainingWindows(text, { context: 7, steps: 40 }, { ...request, epoch: 3 }));
  assert.not.equal(other, whole);
});

test('the rows of all processes are the batch of one', async () => {
  const [whole] = await collect(trainingWindows(text, { context: 7, steps: 1 }, request));
  const parts = await Promise.all(
    [0, 1, 2].map((rank) => collect(trainingWindows(text, { context: 7, steps: 1 }, request, { ...WHOLE, rank, size: 3 }))), // prettier-ignore
  );
  assert.equal(parts.flatMap(([part]) => [...(part as WindowBatch).inputs]), [...(whole as WindowBatch).inputs]); // prettier-ignore
});

test('a test’s windows lie in the text, one behind the other', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 20_000 }), (context, more) => {
      const length = context + 1 + more;
      const starts = testStarts(new Uint8Array(length), context);
      assert.ok(starts.length >= 1 && starts.length <= 256);
      starts.forEach((start, k) => {
        assert.ok(start >= (k === 0 ? 0 : (starts[k - 1] as number) + context + 1), starts.join());
        assert.ok(start + context + 1 <= length);
      });
    }),
    { seed, numRuns: 200 },
  );
});

test('bytes are drawn by their probabilities', () => {
  const logits = Float32Array.from([0, Math.log(3), -Infinity]);
  const drawn = Array.from({ length: 1000 }, (_, k) => drawByte(logits, 1, (k + 0.5) / 1000));
  assert.equal([0, 1, 2].map((byte) => drawn.filter((own) => own === byte).length), [250, 750, 0]); // prettier-ignore
  assert.is(drawByte(logits, 0.01, 0.5), 1);
});

test.run();
