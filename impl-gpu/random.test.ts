import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { streamMask } from '../impl-ref/index.ts';
import { PHILOX_VECTORS, STREAMS } from '../spec/stream.ts';
import type { StreamName } from '../spec/stream.ts';
import { philox4x32 } from './philox.ts';
import { drawKept, drawWords, keyOf, layOut, parseSeed, permutation, randomSeed } from './random.ts';

const test = suite('impl-gpu/random');

for (const { counter, key, words } of PHILOX_VECTORS) {
  test(`Philox4x32-10 gives Random123's words for counter ${counter.join(' ')}`, () => {
    const out = new Uint32Array(4);
    const [c0, c1, c2, c3] = counter;
    philox4x32(c0, c1, c2, c3, key, out);
    assert.equal([...out], [...words]);
  });
}

test('a stretch of words does not depend on where it starts', () => {
  const position = { seed: 0x0123456789abcdefn, stream: 'initialisation', step: 3 } as const;
  const all = drawWords(position, 0, 50);
  for (const first of [0, 1, 2, 3, 4, 17]) {
    assert.equal([...drawWords(position, first, 20)], [...all.subarray(first, first + 20)]);
  }
});

test('block numbers above 2^32 reach the second counter word', () => {
  const position = { seed: 7n, stream: 'shuffling', step: 1 } as const;
  assert.not.equal([...drawWords(position, 0, 4)], [...drawWords(position, 2 ** 34, 4)]);
});

test('streams, steps and seeds give different words', () => {
  const base = { seed: 1n, stream: 'shuffling', step: 1 } as const;
  const first = [...drawWords(base, 0, 4)];
  assert.not.equal([...drawWords({ ...base, stream: 'augmentation' }, 0, 4)], first);
  assert.not.equal([...drawWords({ ...base, step: 2 }, 0, 4)], first);
  assert.not.equal([...drawWords({ ...base, seed: 1n << 32n }, 0, 4)], first);
});

test('[LRD-MASK-001] stored draws are those of the reference in every stream, at odd sizes, far bases and extreme thresholds', () => {
  const seed = 0xfedcba9876543210n;
  const check = (stream: StreamName, step: number, base: number, count: number, threshold: number): void => {
    const drawn = drawKept({ seed, stream, step }, base, count, threshold);
    const position = { key: keyOf(seed), step, stream, base };
    const expected = Uint8Array.from(streamMask(position, count, threshold / 65536));
    assert.is(Buffer.compare(drawn, expected), 0, `${stream}, step ${step}, ${count} from ${base}, ${threshold}`);
  };
  for (const stream of Object.keys(STREAMS) as StreamName[]) check(stream, 3, 128, 200, 32768);
  for (const count of [1, 63, 64, 65, 96, 127, 65535, 65536, 65537, 131_072 + 33]) check('mask', 1, 64, count, 32768);
  for (const threshold of [1, 2, 32767, 65535, 65536]) check('mask', 2, 0, 640, threshold);
  for (const step of [2 ** 31 + 7, 2 ** 32 - 1]) check('gradientDropout', step, 64, 99, 1000);
  // Up to the last block that one counter word reaches, and over it.
  for (const base of [2 ** 35 - 2048, 2 ** 35 - 256, 2 ** 35 - 64, 2 ** 35, 2 ** 40])
    check('mask', 9, base, 300, 40000);
  assert.is(drawKept({ seed, stream: 'mask', step: 1 }, 0, 100, 0).indexOf(1), -1);
});

test('a permutation holds each index once, and moves most', () => {
  const order = permutation({ seed: 5n, stream: 'shuffling', step: 1 }, 1000);
  assert.equal(
    [...order].sort((a, b) => a - b),
    Array.from({ length: 1000 }, (_, i) => i),
  );
  assert.ok([...order].filter((value, i) => value === i).length < 20);
});

test('tensors start at multiples of 64 elements', () => {
  assert.equal(layOut([1, 64, 65, 0, 3]), [0, 64, 128, 256, 256]);
});

test('a seed is read from a bigint, an integer or a string', () => {
  assert.is(parseSeed(7), 7n);
  assert.is(parseSeed('0xffffffffffffffff'), (1n << 64n) - 1n);
  for (const bad of [-1, 1.5, 2 ** 53, 1n << 64n, '0xg', '', '-1']) {
    assert.throws(() => parseSeed(bad), /^seed must be a whole number/);
  }
  assert.not.equal(randomSeed(), randomSeed());
});

test.run();
