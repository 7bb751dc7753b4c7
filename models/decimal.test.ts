import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { isDecimal, readDecimal, readWhole } from './decimal.ts';

const test = suite('models/decimal');

test('a decimal is read as JavaScript reads it, whatever double it is', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (x) => {
      for (const text of [String(x), x.toExponential(), x.toExponential(20)])
        assert.is(readDecimal(text), Number(text));
    }),
  );
  for (const [text, value] of [
    ['.5', 0.5],
    ['1.', 1],
    ['+1', 1],
    ['-0', -0],
    ['007', 7],
    ['1E3', 1000],
    ['0e999', 0],
  ] as const) {
    assert.is(readDecimal(text), value, text);
  }
});

test('what is no decimal, and what no double holds, is no number', () => {
  for (const text of [
    '',
    '.',
    '-',
    'e3',
    '1e',
    ' 1',
    '1 ',
    '1\n',
    '\u00a01',
    '0x10',
    '0b1',
    '0o7',
    '1_000',
    '1,000',
    'NaN',
    'Infinity',
    '1n',
    '١',
    '１',
    '½',
    '--1',
    '1-2',
  ]) {
    assert.ok(Number.isNaN(readDecimal(text)));
    assert.not(isDecimal(text), text);
  }
  for (const text of ['1e309', '9'.repeat(400), '1e-400', `0.${'0'.repeat(400)}1`]) {
    assert.ok(Number.isNaN(readDecimal(text)));
    assert.ok(isDecimal(text), text);
  }
});

test('a whole number is one with every digit', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), fc.nat(5), (n, zeros) => {
      assert.is(readWhole(String(n)), n);
      assert.is(readWhole(`${n}.${'0'.repeat(zeros)}`), n);
      assert.ok(Number.isNaN(readWhole(`${n}.${'0'.repeat(zeros)}1`)));
    }),
  );
  for (const [text, value] of [
    ['1e3', 1000],
    ['1.5e1', 15],
    ['1.50e1', 15],
    ['1500e-2', 15],
    ['0.0', 0],
    ['0e-9', 0],
  ] as const) {
    assert.is(readWhole(text), value, text);
  }
  for (const text of [
    '1.0000000000000000000001',
    '1e-1',
    '1.5',
    '1505e-2',
    '9007199254740992',
    '9007199254740993',
    '1e15.0',
    '-',
  ]) {
    assert.ok(Number.isNaN(readWhole(text)));
  }
});

test.run();
