import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { RULES } from 'learning-rate-dropout/spec';
import { suite } from '../../conformance/harness/suite.ts';
import { UsageError, didYouMean } from '../errors.ts';
import { HYPER_NAMES } from '../runs/request.ts';
import { completionScript } from './completion.ts';
import { describe, help } from './help.ts';
import { findCommand } from './main.ts';
import { parse } from './parse.ts';
import type { Command } from './table/row.ts';
import { choicesOf } from './table/row.ts';
import { COMMANDS } from './table/table.ts';
import { HYPER, kebab } from './table/train.ts';
import { resumeOf, trainingOf } from './train.ts';

const test = suite('models/cli/arguments');
const TABLE: Readonly<Record<string, Command>> = COMMANDS;

/** What a person types, mistypes and pastes. */
const odd = fc.constantFrom('', ' ', '-', '--', '-x', '--=', '--=3', '=', '0', '-1', '1e39', '1e-60', 'NaN', 'Infinity', '1e999', '0x', '0x10',
  '\u001b[31m', 'a\nb', '\u202eabc', '__proto__', 'constructor', '--__proto__', '--constructor=1', 'toString', '1,2', 'lr=step:', 'DG:', '(', '../..', '🚲',
  'x'.repeat(5000), '9'.repeat(400)); // prettier-ignore
const names = Object.keys(TABLE);
const options = [...new Set(Object.values(TABLE).flatMap((row) => Object.keys(row.options)))];
const mistyped = fc
  .tuple(
    fc.constantFrom(...names.flatMap((name) => name.split(' ')), ...options.map((name) => `--${name}`)),
    fc.nat(),
    fc.constantFrom('', 'x', '='),
  )
  .map(
    ([word, at, put]) => `${word.slice(0, at % (word.length + 1))}${put}${word.slice((at % (word.length + 1)) + 1)}`,
  );
const values = fc.constantFrom(
  'fcnet',
  'digits',
  'adam',
  '0.5',
  '1',
  '2',
  'auto',
  'table1',
  'lr=step:1,2',
  'NL',
  'x.json',
  'ref',
  'step',
  '7',
  '0.1',
  'full',
  'mnist',
  'bash',
);
const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...options.map((name) => `--${name}`)) },
  { weight: 4, arbitrary: values },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...options), fc.oneof(values, odd))
      .map(([name, value]) => `--${name}=${value}`),
  },
  { weight: 2, arbitrary: odd },
  { weight: 1, arbitrary: mistyped },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
);
/** A command with options of its own: right ones with wrong values, some twice, one of another command, words, and what stands behind `--`. */
const ownCall = fc.constantFrom(...names).chain((name) => {
  const row = TABLE[name] as Command;
  const own = Object.entries(row.options).map(([option, { flag }]) =>
    flag === true
      ? fc.constantFrom([`--${option}`], [`--${option}=1`])
      : fc
          .tuple(fc.oneof(values, odd, fc.constantFrom('1', '0.5', '1e3')), fc.boolean())
          .map(([value, joined]) => (joined ? [`--${option}=${value}`] : [`--${option}`, value])),
  );
  const foreign = fc.constantFrom(...options).map((option) => [`--${option}`, '1']);
  const part = fc.oneof(
    { weight: 6, arbitrary: own.length === 0 ? foreign : fc.oneof(...own) },
    { weight: 2, arbitrary: values.map((value) => [value]) },
    { weight: 1, arbitrary: foreign },
    { weight: 1, arbitrary: odd.map((value) => ['--', value]) },
  );
  return fc
    .tuple(fc.array(part, { maxLength: 6 }), fc.boolean())
    .map(([parts, twice]): [string[], string[]] => [
      name.split(' '),
      [...parts, ...(twice ? parts.slice(-1) : [])].flat(),
    ]);
});
const anyCall = fc.tuple(
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...names).map((name) => name.split(' ')) },
    { weight: 1, arbitrary: fc.tuple(mistyped) },
    { weight: 1, arbitrary: fc.tuple(odd) },
  ),
  fc.array(word, { maxLength: 7 }),
);
const call = fc.oneof(anyCall, ownCall);

test(
  'of 3,000 calls each is read, or refused in one line that says what is wrong',
  async () => {
    let read = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(call, async ([command, rest]) => {
        try {
          const { name, rest: behind } = findCommand([...command, ...rest]);
          const parsed = await parse(name, TABLE[name] as Command, behind);
          if (name === 'train') {
            const train = parsed as Parameters<typeof trainingOf>[0];
            if (train.options.resume === undefined) trainingOf(train);
            else resumeOf(train);
          }
          read += 1;
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
          refused += 1;
          assert.ok(error.message.length > 10, error.message);
          // The message is plain text, whatever was typed.
          assert.not.match(error.message, /\p{Cc}|undefined|\[object/u);
        }
      }),
      { numRuns: 3000 },
    );
    assert.ok(read > 100 && refused > 1000, `${read} read, ${refused} refused`);
  },
  { timeout: 120 },
);

test('every option and word is explained, with what it may be, and every command has an example that is read', async () => {
  for (const [name, row] of Object.entries(TABLE)) {
    const text = await help(name.split(' '), 200);
    for (const [option, entry] of Object.entries(row.options)) {
      assert.ok(text.includes(`--${option}`), `${name} --${option}`);
      assert.ok(entry.about.length > 5 && /[.)]$/.test(entry.about), `${name} --${option}: ${entry.about}`);
      for (const choice of await choicesOf(entry)) assert.ok((await describe(entry)).includes(choice), choice);
      if (entry.flag !== true && entry.value === undefined)
        assert.unreachable(`${name} --${option} has no word for its value`);
    }
    assert.ok(row.examples.length > 0, name);
    for (const [example] of row.examples) {
      const [shell = ''] = example.split(' > ');
      const words = [...shell.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
      const found = findCommand(words.slice(1));
      assert.is(found.name, name);
      await parse(found.name, TABLE[found.name] as Command, found.rest);
    }
  }
});

test('help fits its width, down to a narrow terminal', async () => {
  for (const width of [40, 80, 100]) {
    for (const words of [[], ...names.map((name) => name.split(' '))]) {
      for (const line of (await help(words, width)).split('\n')) {
        // A call to copy stays in one piece, and so does a list's longest word.
        if (!/^(usage:)? +lrd /.test(line) && / .* /.test(line.trim()))
          assert.ok(line.length <= width, `${width}: ${line}`);
      }
    }
  }
});

test('the table has an option for each hyper-parameter of the rules, and no other', () => {
  assert.equal(Object.keys(HYPER).sort(), HYPER_NAMES.map(kebab).sort());
  assert.ok(Object.keys(RULES).length > 0);
});

test('a slip of a finger gets a suggestion, another word none', () => {
  const known = ['train', 'toy', 'fcnet', 'resnet18', '--keep', '--keep-checkpoints'];
  assert.is(didYouMean('trian', known), '; did you mean train?');
  assert.is(didYouMean('fcent', known), '; did you mean fcnet?');
  assert.is(didYouMean('FCNET', known), '; did you mean fcnet?');
  assert.is(didYouMean('resnet', known), '; did you mean resnet18?');
  assert.is(didYouMean('--kep', known), '; did you mean --keep?');
  for (const other of ['', 'banana', 'x'.repeat(10_000)]) assert.is(didYouMean(other, known), '');
});

/** What bash offers behind the words of a line. */
function completed(script: string, words: readonly string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(' ');
  const code = `${script}\ncompopt() { :; }\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _lrd; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', code], { encoding: 'utf8' });
  assert.is(stderr, '');
  return stdout.split('\n').filter((text) => text !== '');
}

test('bash completes commands, sub-commands, options and their values', async () => {
  const script = await completionScript('bash');
  assert.equal(completed(script, ['lrd', 'tr']), ['train']);
  assert.equal(completed(script, ['lrd', 'data', 'f']), ['fetch']);
  assert.equal(completed(script, ['lrd', 'data', 'fetch', 'mn']), ['mnist']);
  assert.equal(completed(script, ['lrd', 'train', 'fc']), ['fcnet']);
  assert.equal(completed(script, ['lrd', 'train', 'fcnet', '--opt']), ['--optimizer']);
  assert.equal(completed(script, ['lrd', 'train', 'fcnet', '--optimizer', 'adam']), ['adam', 'adamw']);
  assert.equal(completed(script, ['lrd', 'train', 'fcnet', '--optimizer', '=', 'r']), ['rmsprop', 'radam']);
  for (const [name, row] of Object.entries(TABLE)) {
    const offered = completed(script, ['lrd', ...name.split(' '), '--']);
    for (const option of Object.keys(row.options)) assert.ok(offered.includes(`--${option}`), `${name} --${option}`);
  }
});

test('zsh has a line for every command and option', async () => {
  const script = await completionScript('zsh');
  for (const [name, row] of Object.entries(TABLE)) {
    const line = script.split('\n').findIndex((text) => text.startsWith(`    '${name}') _arguments`));
    assert.ok(line > 0, name);
    for (const option of Object.keys(row.options)) assert.ok(script.includes(`--${option}`), option);
  }
  const { status, stderr } = spawnSync('zsh', ['-n'], { input: script, encoding: 'utf8' });
  // Where zsh is not installed, status is null.
  if (status !== null) assert.is(status, 0, stderr);
});

test.run();
