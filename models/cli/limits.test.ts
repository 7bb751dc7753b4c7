/** Every numeric option of the table against what people and programs give as numbers: taken for what it says, or refused in one line. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { RULES } from 'learning-rate-dropout/spec';
import type { HyperParameter } from 'learning-rate-dropout/spec';
import { suite } from '../../conformance/harness/suite.ts';
import { UsageError } from '../errors.ts';
import { parse } from './parse.ts';
import { HYPER, kebab } from './table/train.ts';
import type { Command, Option } from './table/row.ts';
import { COMMANDS } from './table/table.ts';
import { outputOf } from './testing/outputOf.ts';
import { trainingOf } from './train.ts';

const test = suite('models/cli/limits');
const TABLE: Readonly<Record<string, Command>> = COMMANDS;
const scratch = mkdtempSync(join(tmpdir(), 'lrd-limits-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const VALUES = ['', ' ', ' 1', '1 ', '1\n', '\u00a01', '0', '-0', '00', '-1', '+1', '1', '1.', '.5', '1e3', '1E3', '1e39', '3.5e38', '-1e39', '1e-50', '1e-400', '1e-45', '1e308',
  '1e309', 'NaN', 'nan', 'Infinity', '-Infinity', 'inf', '0x10', '0b1', '0o7', '1_000', '1,000', '1 000', '2147483647', '2147483648', '4294967296', '9007199254740992',
  '9007199254740993', '18446744073709551615', '18446744073709551616', '9e15', '1e15', '9'.repeat(400), `0.${'0'.repeat(400)}1`, `${'0'.repeat(400)}1`, '1.0000000000000000000001',
  '١', '１', '½', '∞', '1e', 'e3', '.', '-', '--1', '1-2', '1/2', '1n', 'true', 'null', '[]', '{}', '\u001b[31m1']; // prettier-ignore
const value = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...VALUES) },
  { weight: 1, arbitrary: fc.double().map(String) },
  { weight: 1, arbitrary: fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String) },
  { weight: 1, arbitrary: fc.stringMatching(/^[-+]?[0-9]{0,4}\.?[0-9]{0,4}(e[-+]?[0-9]{1,3})?$/) },
);

/** Reads numbers: what is given for one comes back as one. */
function isNumeric(entry: Option<unknown>): boolean {
  return ['1', '0.5', '25'].some((probe) => {
    try {
      return ['number', 'bigint'].includes(typeof entry.read(probe, '--x', []));
    } catch {
      return false;
    }
  });
}

/** The rule whose hyper-parameter an option is. */
function ruleOf(option: string): string | undefined {
  return Object.entries(RULES).find(([, { hyper }]) =>
    Object.entries(hyper as Readonly<Record<string, HyperParameter>>).some(
      ([name, { kind }]) => kind === 'number' && kebab(name) === option,
    ),
  )?.[0];
}

/** Every numeric option of every command. */
const NUMERIC = Object.entries(TABLE).flatMap(([name, row]) =>
  Object.entries(row.options)
    .filter(
      ([option, entry]) =>
        entry.flag !== true &&
        (isNumeric(entry) || option === 'cell' || (Object.hasOwn(HYPER, option) && ruleOf(option) !== undefined)),
    )
    .map(([option]) => ({ name, row, option })),
);

/** The words that a command cannot do without. */
const words = (name: string, row: Command): string[] =>
  name === 'train'
    ? ['fcnet', '--data', 'digits']
    : Object.values(row.words)
        .filter(({ required }) => required === true)
        .map(() => 'x');

/** Reads a call up to where a folder would be made. Returns what the option's value came to. */
async function read(name: string, row: Command, option: string, given: string): Promise<unknown> {
  const rule = Object.hasOwn(HYPER, option) ? ruleOf(option) : undefined;
  const optimizer = name === 'train' && rule !== undefined ? ['--optimizer', rule] : [];
  const call = await parse(name, row, [...words(name, row), ...optimizer, `--${option}=${given}`]);
  if (name !== 'train') return (call.options as Readonly<Record<string, unknown>>)[option];
  const request = trainingOf(call as Parameters<typeof trainingOf>[0]);
  if (rule === undefined) return (call.options as Readonly<Record<string, unknown>>)[option];
  const [key] = Object.keys(HYPER).includes(option)
    ? Object.entries(request.hyper).filter(([hyper]) => kebab(hyper) === option)
    : [];
  return key?.[1];
}

test('of the table, the options that take numbers are met', () => {
  const names = NUMERIC.map(({ name, option }) => `${name} ${option}`);
  for (const known of [
    'train epochs',
    'train window',
    'train seed',
    'experiment cell',
    'experiment gpus',
    'bench threads',
    'report port',
    'toy grid',
    'conformance minutes',
  ]) {
    assert.ok(names.includes(known), known);
  }
  assert.ok(names.length > 40, String(names.length));
});

test(
  'a value is taken for what it says, or refused by the name of its option, with the value and the rule',
  async () => {
    let [taken, refused] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...NUMERIC), value, async ({ name, row, option }, given) => {
        try {
          const got = await read(name, row, option, given);
          taken += 1;
          if (typeof got === 'bigint') assert.is(got, BigInt(given));
          else if (typeof got === 'number') assert.is(got, Number(given));
          // The number of a task, read where it is used.
          else assert.ok(option === 'cell' && /^\d{1,9}$/.test(given), `${name} --${option}=${given}: ${String(got)}`);
          assert.ok(typeof got !== 'number' || Number.isFinite(got));
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
          refused += 1;
          assert.ok(error.message.startsWith(`--${option} `), error.message);
          assert.match(error.message, /must (be|not be empty)/);
          if (given !== '') assert.match(error.message, /got "/);
          assert.not.match(error.message, /\p{Cc}/u);
        }
      }),
      { numRuns: 4000 },
    );
    assert.ok(taken > 400 && refused > 1000, `${taken} taken, ${refused} refused`);
  },
  { timeout: 120 },
);

test('what is refused leaves no folder; what is large is refused before it takes time or memory', async () => {
  const out = join(scratch, 'out');
  const train = [
    'train',
    'fcnet',
    '--data',
    'digits',
    '--width',
    '4',
    '--limit',
    '60',
    '--epochs',
    '1',
    '--backend',
    'cpu',
    '--out',
    out,
  ];
  const calls = [
    [...train, '--lr', '1e39'],
    [...train, '--schedule', 'lr=linear:1e300'],
    [...train, '--schedule', 'keep=linear:2'],
    [...train, '--regularizer', 'NL:1e309'],
    [...train, '--mask', 'magma:temperature=1e309'],
    [...train, '--validation', '2147483647'],
    [...train, '--width', '2147483647'],
    [...train, '--optimizer', 'sgdm-avg', '--window', '9e15'],
    ['train', 'gpt', '--data', 'genesis', '--batch-size', '1e9', '--backend', 'cpu', '--out', out],
    ['train', 'gpt', '--data', 'genesis', '--context', '65536', '--layers', '1024', '--backend', 'cpu', '--out', out],
    ['experiment', 'table1', '--seeds', '10000', '--out', out],
    ['experiment', 'table1', '--cell', '1e3', '--out', out],
  ];
  for (const call of calls) {
    const message = await outputOf(call).then(
      () => undefined,
      (error: Error) => error.message,
    );
    assert.match(message ?? 'it was done', /must|choose a smaller/, call.join(' '));
    assert.not.ok(existsSync(out), call.join(' '));
  }
});

test.run();
