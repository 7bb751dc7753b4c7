import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { DESCRIPTORS, installationFolder } from './installation.ts';

const test = suite('impl-gpu/tensorflow/quiet');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-quiet-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const program = join(scratch, 'program.mjs');
writeFileSync(
  program,
  `import { writeSync } from 'node:fs';
import { withoutStderr } from ${JSON.stringify(new URL('quiet.ts', import.meta.url).href)};
process.stderr.write('before\\n');
const addon = process.argv[2];
const value = withoutStderr(() => { writeSync(2, 'noise\\n'); return 7; }, addon);
process.stderr.write('after ' + value + '\\n');
try { withoutStderr(() => { writeSync(2, 'noise\\n'); throw new Error('thrown'); }, addon); } catch (error) { writeSync(2, error.message + '\\n'); }
`,
);
const call = [...FROM_SOURCE, program];
const SAID = 'before\nafter 7\nthrown\n';
const linux = test.when(process.platform === 'linux', 'only Linux keeps stderr back');

linux(
  'what is written to stderr meanwhile is kept back, and nothing else is: in a file, a file that is appended to, a pipe and a socket',
  async () => {
    for (const flags of ['w', 'a']) {
      const path = join(scratch, `stderr-${flags}`);
      const file = openSync(path, flags);
      // Others write to the same place before and after, as the lines of a script do.
      writeSync(file, 'script\n');
      assert.is(spawnSync(process.execPath, call, { stdio: ['ignore', 'ignore', file] }).status, 0);
      writeSync(file, 'script\n');
      closeSync(file);
      assert.is(readFileSync(path, 'utf8'), `script\n${SAID}script\n`, flags);
    }
    // A pipe, by the shell; a socket, as Node gives its children.
    const { stdout } = spawnSync('sh', ['-c', '"$@" 2>&1 | cat', 'sh', process.execPath, ...call], {
      encoding: 'utf8',
    });
    assert.is(stdout, SAID);
    const child = spawn(process.execPath, call, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    await new Promise((resolve) => child.on('close', resolve));
    assert.is(said, SAID);
  },
);

const noKoffi = join(scratch, 'noKoffi.cjs');
writeFileSync(
  noKoffi,
  `const M = require('module'); const load = M._load; M._load = (name, ...rest) => { if (name === 'koffi') throw new Error('none'); return load(name, ...rest); };`,
);

const addon = join(installationFolder('node'), DESCRIPTORS);
test.when(existsSync(addon), 'lrd setup tensorflow has not built it here')(
  'without koffi what lrd setup tensorflow builds does the same, of a file and of a socket',
  async () => {
    const path = join(scratch, 'descriptors');
    const file = openSync(path, 'w');
    writeSync(file, 'script\n');
    const words = ['--require', noKoffi, ...call, addon];
    assert.is(spawnSync(process.execPath, words, { stdio: ['ignore', 'ignore', file] }).status, 0);
    writeSync(file, 'script\n');
    closeSync(file);
    assert.is(readFileSync(path, 'utf8'), `script\n${SAID}script\n`);
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    await new Promise((resolve) => child.on('close', resolve));
    assert.is(said, SAID);
  },
);

linux('with neither nothing that others write is lost: where stderr cannot be put back, the noise stays', () => {
  const path = join(scratch, 'without');
  const file = openSync(path, 'w');
  writeSync(file, 'script\n');
  spawnSync(process.execPath, ['--require', noKoffi, ...call], { stdio: ['ignore', 'ignore', file] });
  writeSync(file, 'script\n');
  closeSync(file);
  assert.is(readFileSync(path, 'utf8'), 'script\nbefore\nnoise\nafter 7\nnoise\nthrown\nscript\n');
  const { stdout } = spawnSync('sh', ['-c', '"$@" 2>&1 | cat', 'sh', process.execPath, '--require', noKoffi, ...call], {
    encoding: 'utf8',
  });
  assert.is(stdout, SAID);
});

test.run();
