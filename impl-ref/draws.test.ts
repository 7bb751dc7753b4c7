import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { choose, initialValues, normals, permutation, uniforms } from './draws.ts';
import { philox4x32 } from './philox.ts';
import { parseSeed } from './seed.ts';
import { layout, words } from './stream.ts';
import { runs, seed } from './testing/properties.ts';

const test = suite('impl-ref/draws');

test('[LRD-STREAM-007] a uniform number is its word plus a half over 2^32, four to a block', () => {
  const at = { key: [1, 2], step: 3, stream: 'augmentation', base: 4 } as const;
  const expected = philox4x32([1, 0, 3, 8], [1, 2]).map((word) => (word + 0.5) / 2 ** 32);
  assert.equal(Array.from(uniforms(at, 4)), expected);
  fc.assert(
    fc.property(seed, fc.nat(40), fc.nat(40), (key, from, length) => {
      const position = { key: parseSeed(key), step: 1, stream: 'initialisation', base: 0 } as const;
      const whole = words(position, from + length);
      assert.equal(words({ ...position, base: from }, length), whole.subarray(from));
      assert.ok(uniforms(position, 20).every((u) => u > 0 && u < 1));
    }),
    runs(100),
  );
});

test("[LRD-STREAM-008] normal numbers are Box and Muller's of their pair, also where the length is odd", () => {
  const at = { key: [1, 2], step: 3, stream: 'gradientNoise', base: 8 } as const;
  const u = uniforms(at, 4);
  const expected = [0, 2].flatMap((i) => {
    const radius = Math.sqrt(-2 * Math.log(u[i] as number));
    const angle = 2 * Math.PI * (u[i + 1] as number);
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
  assert.equal(Array.from(normals(at, 4)), expected);
  assert.equal(Array.from(normals(at, 3)), expected.slice(0, 3));
  assert.ok(expected.every((z) => Math.abs(z) < 6.8));
});

test('[LRD-STREAM-009] a permutation holds each item once and follows Fisher and Yates from the end', () => {
  fc.assert(
    fc.property(seed, fc.integer({ min: 1, max: 1000 }), fc.nat(40), (key, epoch, size) => {
      const order = permutation(key, epoch, size);
      assert.equal(
        Array.from(order).sort((a, b) => a - b),
        Array.from({ length: size }, (_, i) => i),
      );
      const draws = words({ key: parseSeed(key), step: epoch, stream: 'shuffling', base: 0 }, size);
      // The item at i after all swaps is settled by the swap at i: undo the swaps from the start.
      const undone = Array.from(order);
      for (let i = 1; i < size; i++) {
        const j = Number((BigInt(draws[i] as number) * BigInt(i + 1)) >> 32n);
        [undone[i], undone[j]] = [undone[j] as number, undone[i] as number];
      }
      assert.equal(
        undone,
        Array.from({ length: size }, (_, i) => i),
      );
    }),
    runs(100),
  );
});

test('a choice is the floor of word k / 2^32', () => {
  assert.equal(
    [0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1].map((word) => choose(word, 2)),
    [0, 0, 1, 1],
  );
  assert.is(choose(2 ** 32 - 1, 2 ** 21), 2 ** 21 - 1);
});

test("[LRD-STREAM-010] initial values use step 0, the masks' layout, and bound (2u - 1)", () => {
  const [a, b] = initialValues(7, [3, 5], [0.5, 2]);
  const at = { key: [7, 0], step: 0, stream: 'initialisation' } as const;
  assert.equal(
    Array.from(a as Float64Array),
    Array.from(uniforms({ ...at, base: 0 }, 3), (u) => 0.5 * (2 * u - 1)),
  );
  const base = layout([3, 5])[1] as number;
  assert.equal(
    Array.from(b as Float64Array),
    Array.from(uniforms({ ...at, base }, 5), (u) => 2 * (2 * u - 1)),
  );
});

test.run();
