import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import type { BenchResult } from '../../bench/harness/results.ts';
import { main } from './main.ts';
import { outputOf } from './testing/outputOf.ts';

const test = suite('models/cli/bench');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-bench-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

async function refuses(args: readonly string[], pattern: RegExp): Promise<void> {
  let message = 'no error';
  await main(['bench', ...args]).catch((error: Error) => ({ message } = error));
  assert.match(message, pattern);
  assert.not.match(message, /\n/);
}

test('wrong calls are found before anything is measured', async () => {
  await refuses(['setp'], /SUITE must be one of step, .*; got "setp"; did you mean step\?/);
  await refuses(['--only', '('], /--only must be a regular expression, got "\("/);
  await refuses(['--group-seconds', '0'], /--group-seconds must be a number above 0 and at most 86400, got "0"/);
  await refuses(['--json', join(scratch, 'none', 'x.json')], /--json must name a file in a folder that can be written/);
  await refuses(['--compare', join(scratch, 'none.json')], /--compare .*none\.json: no such file or folder/);
  writeFileSync(join(scratch, 'other.json'), '{"version":2}');
  await refuses(['--compare', join(scratch, 'other.json')], /not a result of lrd bench --json, version 1/);
});

test('a run leaves its figures, its environment and its command; the next one is compared with it', async () => {
  const json = join(scratch, 'first.json');
  const call = ['mask', '--only', 'js$', '--group-seconds', '0.05'];
  await outputOf(['bench', ...call, '--json', json]);
  const compared = await outputOf(['bench', ...call, '--compare', json, '--html', join(scratch, 'page.html')]);
  await refuses(['mask', '--only', 'no such group'], /--only must match the name of a group, got "no such group"/);
  const result = JSON.parse(readFileSync(json, 'utf8')) as BenchResult;
  assert.is(result.version, 1);
  assert.is(result.command, `lrd bench mask --only 'js$' --group-seconds 0.05 --json ${json}`, 'as a shell takes it');
  for (const key of ['node', 'processor', 'cores', 'load', 'date']) assert.ok(key in result.environment, key);
  assert.is(result.suites[0]?.groups[0]?.lanes.length, 2);
  assert.match(compared, /against .*first\.json: \d+ of 4 quantities moved/);
  assert.match(readFileSync(join(scratch, 'page.html'), 'utf8'), /<h2>The mask<\/h2>/);
});

test.run();
