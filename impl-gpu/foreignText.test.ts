import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { foreignText } from './foreignText.ts';
import { select } from './selection.ts';
import { InvalidArgumentError } from './validate.ts';

const test = suite('impl-gpu/foreignText');
const seed = Number(process.env['LRD_SEED'] ?? 11);

test('ordinary text stays as it is', () => {
  for (const text of ['', 'no radam', 'größer als β₂, 学習率', 'a "quoted" <b>word</b> & more', '👍']) {
    assert.is(foreignText(text), text);
  }
});

test('escape sequences, direction marks and lone surrogates are shown as their codes', () => {
  assert.is(foreignText('\u001b[31mred\u001b]0;title\u0007'), '\\x1b[31mred\\x1b]0;title\\x07');
  assert.is(foreignText('a\u202eb\u200bc\ud800d\u{e0041}'), 'a\\u202eb\\u200bc\\ud800d\\u{e0041}');
  assert.is(foreignText('\u009b2J'), '\\x9b2J');
});

test('line breaks are folded, tabs are blanks', () => {
  assert.is(foreignText('one\r\n  two\n\n\nthree\u2028four\tfive\n'), 'one | two | three | four five');
});

test('lengths are bounded, and what is cut is counted', () => {
  assert.is(foreignText('x'.repeat(2 ** 20), 5), 'xxxxx... (1048576 characters)');
  assert.is(foreignText(`e${'\u0301'.repeat(99)}`), `e${'\u0301'.repeat(4)}`);
  assert.is(foreignText(new Error('x')), 'Error: x');
});

test('whatever comes, one line of visible characters leaves', () => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc
      .array(fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)))
      .map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(anything, fc.integer({ min: 1, max: 300 }), (text, limit) => {
      const line = foreignText(text, limit);
      assert.not.match(line, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      assert.ok(Array.from(line).length <= limit + 40);
    }),
    { seed, numRuns: 500, includeErrorInReport: true },
  );
});

test('a selection takes what its patterns match, and refuses one that matches nothing', () => {
  const names = ['LRD-MASK-003/adam', 'LRD-MASK-003/adamw', 'LRD-RULE-001/sgdm'];
  const chosen = (...patterns: (string | RegExp)[]): readonly string[] =>
    select('--only', 'a property', patterns, names, (name) => name);
  assert.equal(chosen(), names);
  assert.equal(chosen('adam$'), ['LRD-MASK-003/adam']);
  assert.equal(chosen('RULE', /adamw/), ['LRD-MASK-003/adamw', 'LRD-RULE-001/sgdm']);
  assert.throws(
    () => chosen('RULE', 'LRD-MUSK'),
    (error: unknown) =>
      error instanceof InvalidArgumentError && /--only must match a property .*got "LRD-MUSK"/.test(error.message),
  );
  assert.throws(() => chosen('('), /--only must be a regular expression, got "\("/);
});

test.run();
