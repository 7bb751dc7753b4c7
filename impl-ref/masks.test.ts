import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { completeIntervals } from './analysis/intervals.ts';
import { effectiveKeepProbability, keepThreshold, streamMask } from './masks.ts';
import { philox4x32 } from './philox.ts';
import { parseSeed } from './seed.ts';
import { halves, layout, words } from './stream.ts';
import { keepProbability, runs, seed } from './testing/properties.ts';

const test = suite('impl-ref/masks');
const position = fc.record({
  key: seed.map(parseSeed),
  step: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  stream: fc.constant('mask' as const),
  base: fc.integer({ min: 0, max: 2 ** 46 }).map((n) => 64 * n),
});

test('[LRD-STREAM-002] an element reads its half of its block, the low half of a word first', () => {
  fc.assert(
    fc.property(position, fc.nat(1000), (at, i) => {
      const n = BigInt(at.base) + BigInt(i);
      const block = n / 8n;
      const counter = [Number(block & 0xffffffffn), Number(block >> 32n), at.step, 0] as const;
      const word = philox4x32(counter, at.key)[Number((n % 8n) / 2n)] as number;
      const expected = n % 2n === 0n ? word % 65536 : Math.floor(word / 65536);
      assert.is(halves(at, i + 1)[i], expected);
    }),
    runs(100),
  );
});

test('[LRD-STREAM-002] the first halves of seed 0, step 1 are what Philox gives by hand', () => {
  const [w0, w1] = philox4x32([0, 0, 1, 0], [0, 0]);
  const at = { key: [0, 0], step: 1, stream: 'mask', base: 0 } as const;
  assert.equal(Array.from(halves(at, 4)), [w0 & 0xffff, w0 >>> 16, w1 & 0xffff, w1 >>> 16]);
  assert.equal(Array.from(words(at, 2)), [w0, w1]);
});

test('[LRD-STREAM-003] each tensor starts at the next multiple of 64 elements, empty ones included', () => {
  assert.equal(layout([]), []);
  assert.equal(layout([1, 64, 65, 0, 3]), [0, 64, 128, 256, 256]);
});

test('[LRD-STREAM-004] the threshold is p 2^16 rounded half up and at least 1', () => {
  assert.equal(
    [2 ** -16, 1.4 * 2 ** -16, 1.5 * 2 ** -16, 0.3, 0.5, 0.7, 1 - 2 ** -17, 1 - 2 ** -16, 1].map(keepThreshold),
    [1, 1, 2, 19661, 32768, 45875, 65536, 65535, 65536],
  );
  fc.assert(
    fc.property(keepProbability, (p) => {
      assert.ok(Math.abs(effectiveKeepProbability(p) - p) <= 2 ** -17);
    }),
    runs(300),
  );
});

test('[LRD-STREAM-004] a coordinate is kept iff its half is below the threshold', () => {
  fc.assert(
    fc.property(position, keepProbability, fc.nat(200), (at, p, length) => {
      const drawn = halves(at, length);
      const kept = streamMask(at, length, p);
      assert.is(kept.length, length);
      for (let i = 0; i < length; i++) assert.is(kept[i], (drawn[i] as number) < keepThreshold(p) ? 1 : 0);
    }),
    runs(100),
  );
});

test('[LRD-STREAM-004] a half that equals the threshold is dropped, and kept at the next one', () => {
  fc.assert(
    fc.property(position, fc.nat(200), (at, i) => {
      const half = halves(at, i + 1)[i] as number;
      if (half > 0) assert.is(streamMask(at, i + 1, half / 2 ** 16)[i], 0);
      assert.is(streamMask(at, i + 1, (half + 1) / 2 ** 16)[i], 1);
    }),
    runs(100),
  );
});

test('[LRD-STREAM-005] a mask does not depend on how the tensor is cut, nor on what was drawn before', () => {
  fc.assert(
    fc.property(position, keepProbability, fc.nat(200), fc.nat(200), (at, p, length, cut) => {
      const first = Math.min(cut, length);
      const rest = streamMask({ ...at, base: at.base + first }, length - first, p);
      const whole = streamMask(at, length, p);
      assert.equal([...streamMask(at, first, p), ...rest], Array.from(whole));
    }),
    runs(100),
  );
});

test('[LRD-STREAM-006] what is kept at p is kept at every larger p', () => {
  fc.assert(
    fc.property(position, keepProbability, keepProbability, (at, p, q) => {
      const low = streamMask(at, 200, Math.min(p, q));
      const high = streamMask(at, 200, Math.max(p, q));
      assert.ok(low.every((bit, i) => bit <= (high[i] as number)));
    }),
    runs(100),
  );
});

test('[LRD-MASK-002] p = 1 keeps everything', () => {
  assert.equal(streamMask({ key: [1, 2], step: 3, stream: 'mask', base: 0 }, 70, 1), new Uint8Array(70).fill(1));
});

test('[LRD-MASK-002] p = 1 draws nothing: the generator is not even asked for its key', () => {
  const untouchable = {
    get key(): never {
      throw new Error('a word was drawn');
    },
    step: 1,
    stream: 'mask',
    base: 0,
  } as const;
  assert.equal(streamMask(untouchable, 9, 1), new Uint8Array(9).fill(1));
  assert.throws(() => streamMask(untouchable, 9, 0.5), /a word was drawn/);
});

/** Philox4x32-10 in 64-bit integers, and a mask from it: a second implementation of the stream, for the comparison below. */
function secondMask(key: bigint, step: number, base: number, length: number, p: number): number[] {
  const low = (x: bigint): bigint => x & 0xffffffffn;
  const threshold = BigInt(Math.max(1, Math.round(p * 65536)));
  return Array.from({ length }, (_, i) => {
    const n = BigInt(base + i);
    let [c0, c1, c2, c3] = [low(n >> 3n), n >> 35n, BigInt(step), 0n];
    let [k0, k1] = [low(key), key >> 32n];
    for (let round = 0; round < 10; round++) {
      const [a, b] = [0xd2511f53n * c0, 0xcd9e8d57n * c2];
      [c0, c1, c2, c3] = [(b >> 32n) ^ c1 ^ k0, low(b), (a >> 32n) ^ c3 ^ k1, low(a)];
      [k0, k1] = [low(k0 + 0x9e3779b9n), low(k1 + 0xbb67ae85n)];
    }
    const block = c0 | (c1 << 32n) | (c2 << 64n) | (c3 << 96n);
    return ((block >> (16n * (n % 8n))) & 0xffffn) < threshold ? 1 : 0;
  });
}

test('[LRD-STREAM-001] [LRD-STREAM-003] counts and histograms of gaps are exactly those of a second implementation', () => {
  fc.assert(
    fc.property(
      keepProbability.filter((p) => p < 1),
      seed,
      fc.array(fc.nat(20), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 2 ** 31 }),
      (p, key, sizes, steps, first) => {
        const bases = layout(sizes);
        const summary = (
          draw: (step: number, k: number) => ArrayLike<number>,
        ): { kept: number; histogram: number[] } => {
          const masks = Array.from({ length: steps }, (_, t) => sizes.map((__, k) => draw(first + t, k)));
          const histogram = Array.from({ length: steps + 1 }, () => 0);
          let kept = 0;
          sizes.forEach((size, k) => {
            for (let i = 0; i < size; i++) {
              const bits = masks.map((step) => step[k]?.[i] as number);
              kept += bits.filter((bit) => bit === 1).length;
              for (const gap of completeIntervals(bits)) histogram[gap] = (histogram[gap] as number) + 1;
            }
          });
          return { kept, histogram };
        };
        assert.equal(
          summary((step, k) =>
            streamMask({ key: parseSeed(key), step, stream: 'mask', base: bases[k] as number }, sizes[k] as number, p),
          ),
          summary((step, k) => secondMask(key, step, bases[k] as number, sizes[k] as number, p)),
        );
      },
    ),
    runs(60),
  );
});

test('[LRD-STREAM-002] a tensor that starts in the second block reads the second block', () => {
  const at = { key: [1, 2], step: 3, stream: 'mask' } as const;
  const whole = halves({ ...at, base: 0 }, 24);
  assert.equal(halves({ ...at, base: 8 }, 16), whole.subarray(8));
  assert.equal(halves({ ...at, base: 13 }, 11), whole.subarray(13));
});

test('[LRD-STREAM-001] the stream word separates what a draw is for', () => {
  const at = { key: [1, 2], step: 3, base: 0 } as const;
  const all = (['mask', 'gradientDropout', 'sparseGradients', 'gradientNoise', 'standardDropout'] as const).map(
    (stream) => halves({ ...at, stream }, 8).join(),
  );
  assert.is(new Set(all).size, all.length);
  assert.is(all[3], [...philox4x32([0, 0, 3, 3], [1, 2])].flatMap((w) => [w & 0xffff, w >>> 16]).join());
});

test('[LRD-ERROR-001] [LRD-ERROR-003] a keep probability outside [2^-16, 1] is refused in one line', () => {
  for (const p of [0, -0.5, 1.5, 2 ** -17, 1 + 2 ** -52, Number.NaN, Infinity, -0]) {
    assert.throws(
      () => keepThreshold(p),
      (error: unknown) =>
        error instanceof RangeError &&
        error.message === `keepProbability must be in [2^-16, 1], got ${Object.is(p, -0) ? '-0' : p}`,
    );
  }
});

test('[LRD-ERROR-005] a seed that is not a whole number in [0, 2^64) is refused, and the three ways to write one agree', () => {
  for (const value of [
    -1,
    1.5,
    2 ** 53,
    Number.NaN,
    -1n,
    2n ** 64n,
    '0x',
    '12',
    '0x10000000000000000',
    'x0x1',
    '0x1g',
  ]) {
    assert.throws(
      () => parseSeed(value),
      (error: unknown) => error instanceof RangeError && /^seed must be a bigint .*, got .*$/.test(error.message),
    );
  }
  assert.throws(() => parseSeed(['0x1'] as never), /^seed must be/);
  assert.equal(parseSeed('0x0123456789abcdef'), [0x89abcdef, 0x01234567]);
  assert.equal(parseSeed('0xFF'), [255, 0]);
  assert.equal(parseSeed(2n ** 64n - 1n), [0xffffffff, 0xffffffff]);
  assert.equal(parseSeed(0n), [0, 0]);
  assert.equal(parseSeed(0), parseSeed(0n));
  assert.equal(parseSeed(2 ** 53 - 1), parseSeed(2n ** 53n - 1n));
});

test.run();
