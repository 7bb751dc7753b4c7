import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { UsageError } from '../errors.ts';
import { main } from './main.ts';
import { trace } from './packTrace.ts';

const test = suite('models/cli/pack');
const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'lrd-pack-test-')));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(scratch, path)), { recursive: true });
    writeFileSync(join(scratch, path), text);
  }
}

test('tracing finds what Node would load: relative files, packages by main and by exports, nested types', () => {
  write({
    'package.json': '{"name":"own"}',
    'dist/main.js': [
      "import { a } from './a.js';",
      "import 'plain';",
      "const b = await import('scoped-things/sub');",
      "import { readFileSync } from 'node:fs';",
      "import data from './data.json' with { type: 'json' };",
      "const c = require('@scope/patterned/lib/x');",
      "import('missing');",
    ].join('\n'),
    'dist/a.js': "export { z } from './deep/z.js';",
    'dist/deep/z.js': 'export const z = 1;',
    'dist/data.json': '{}',
    'dist/unused.js': '',
    'node_modules/plain/package.json': '{"main":"lib/main"}',
    'node_modules/plain/lib/main.js': "module.exports = require('./other');",
    'node_modules/plain/lib/other.js': '',
    'node_modules/plain/lib/never.js': '',
    'node_modules/scoped-things/package.json':
      '{"exports":{".":"./i.js","./sub":{"browser":"./b.js","node":{"import":"./n.mjs","require":"./n.cjs"}}}}',
    'node_modules/scoped-things/i.js': '',
    'node_modules/scoped-things/b.js': '',
    'node_modules/scoped-things/n.mjs': '',
    'node_modules/scoped-things/n.cjs': '',
    'node_modules/@scope/patterned/package.json': '{"exports":{"./lib/*":"./cjs/*.js"}}',
    'node_modules/@scope/patterned/cjs/package.json': '{"type":"commonjs"}',
    'node_modules/@scope/patterned/cjs/x.js': '',
  });
  const { files, unresolved } = trace([join(scratch, 'dist/main.js')]);
  assert.equal(
    files.map((file) => file.slice(scratch.length + 1)),
    [
      'dist/a.js',
      'dist/data.json',
      'dist/deep/z.js',
      'dist/main.js',
      'node_modules/@scope/patterned/cjs/package.json',
      'node_modules/@scope/patterned/cjs/x.js',
      'node_modules/@scope/patterned/package.json',
      'node_modules/plain/lib/main.js',
      'node_modules/plain/lib/other.js',
      'node_modules/plain/package.json',
      'node_modules/scoped-things/n.cjs',
      'node_modules/scoped-things/n.mjs',
      'node_modules/scoped-things/package.json',
    ],
  );
  assert.equal(unresolved, [`missing (from ${join(scratch, 'dist/main.js')})`]);
});

test('a program that stands elsewhere finds the packages of the place that is named', () => {
  write({ 'elsewhere/m.js': "import 'plain';" });
  const { files } = trace([join(scratch, 'elsewhere/m.js')], () => join(scratch, 'package.json'));
  assert.ok(files.includes(join(scratch, 'node_modules/plain/lib/other.js')));
});

test('wrong calls of lrd pack name the argument and the rule', async () => {
  const refuses = async (args: readonly string[], pattern: RegExp): Promise<void> => {
    try {
      await main(['pack', ...args]);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, UsageError);
      assert.match((error as Error).message, pattern);
    }
  };
  await refuses([], /needs --out FILE\.tar\.xz/);
  await refuses(['--out', 'x.zip'], /--out must end with \.tar\.xz, got "x\.zip"/);
  await refuses(['--out', 'x.tar.xz', 'more'], /takes options alone, got also "more"/);
  await refuses(['--out', 'x.tar.xz', '--frobnicate'], /frobnicate/);
});

test.run();
