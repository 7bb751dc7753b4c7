import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { PHILOX_VECTORS } from '../spec/stream.ts';
import { philox4x32 } from './philox.ts';
import { drawWords, layOut, parseSeed, permutation, randomSeed } from './random.ts';

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
