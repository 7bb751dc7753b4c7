import * as assert from 'uvu/assert';
import fc from 'fast-check';
import { suite } from '../conformance/harness/suite.ts';
import { columnsOf, entries, table, widthOf, wrapped } from './terminal.ts';

const test = suite('models/terminal');

const word = fc.oneof(fc.stringMatching(/^[a-z.,;:/()]{1,14}$/), fc.constantFrom('学習率', 'x'.repeat(60), '—', 'β₁'));
const text = fc.array(word, { minLength: 1, maxLength: 12 }).map((words) => words.join(' '));
const columns = fc.integer({ min: 20, max: 200 });

/** No line is longer than the terminal, but for a word that is so by itself. */
function fits(shown: string, width: number): void {
  for (const line of shown.split('\n')) {
    if (widthOf(line) > width) assert.is(line.trim().split(' ').length, 1, `${width}: ${line}`);
  }
}

const words = (shown: string): string[] => shown.split(/\s+/).filter((part) => part !== '');

test('lines are broken between words, and no word is lost or cut', () => {
  fc.assert(
    fc.property(text, columns, fc.integer({ min: 0, max: 8 }), (said, width, indent) => {
      const shown = wrapped(said, width, indent);
      fits(shown, width);
      assert.equal(words(shown), words(said));
      assert.is(wrapped(said, Infinity, indent), said);
    }),
  );
});

test('names stand beside what is said of them, above it on a narrow terminal', () => {
  const rows = [
    ['webgpu', 'runs: a product of 512 x 512 in five milliseconds, on an adapter of software'],
    ['x', 'y'],
  ] as const;
  assert.is(entries(rows, 72).split('\n')[1], '        of software');
  assert.is(entries(rows, 40).split('\n')[0], 'webgpu');
  assert.is(entries(rows, 40).split('\n').at(-1), 'x       y');
  fc.assert(
    fc.property(fc.array(fc.tuple(word, text), { minLength: 1, maxLength: 5 }), columns, (some, width) => {
      assert.equal(
        words(entries(some, width)),
        some.flatMap(([name, said]) => [name, ...words(said)]),
      );
    }),
  );
});

test('a table that is too wide becomes paragraphs, and no cell is cut', () => {
  const head = ['run', 'state', 'accuracy %'];
  const rows = [
    [`runs/${'long-'.repeat(20)}s1`, 'done', '98.20'],
    [`runs/${'long-'.repeat(20)}s2`, 'running', '-'],
  ];
  assert.is(
    table(head, rows, 40),
    `${rows[0]?.[0]}\n  state: done; accuracy %: 98.20\n${rows[1]?.[0]}\n  state: running; accuracy %: -`,
  );
  assert.is(
    table(
      head,
      [
        ['a', 'done', '8.20'],
        ['学習', 'x', '98.20'],
      ],
      40,
    ),
    'run   state  accuracy %\na     done         8.20\n学習  x           98.20',
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text, text), { minLength: 1, maxLength: 4 }), columns, (some, width) => {
      const shown = table(['one', 'two', 'three'], some, width);
      fits(shown, width);
      for (const cell of some.flat()) for (const part of words(cell)) assert.ok(shown.includes(part), part);
      // In a file a row is a line.
      assert.is(table(['one', 'two', 'three'], some, Infinity).split('\n').length, some.length + 1);
    }),
  );
});

test('a file has no width, a terminal that does not know its own has 80 columns', () => {
  assert.is(columnsOf({}), Infinity);
  assert.is(columnsOf({ isTTY: true, columns: 0 }), 80);
  assert.is(columnsOf({ isTTY: true, columns: 40 }), 40);
});

test.run();
