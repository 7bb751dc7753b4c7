import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { MISTAKES } from './diagnosis/mistakes.ts';
import { suite } from './harness/suite.ts';
import { START_NAMES, initAdapter, reportToText, runConformance } from './index.ts';
import { PLANTED_FAULTS } from './planted/faults.ts';

const test = suite('conformance/init');
const folder = mkdtempSync(join(tmpdir(), 'lrd-init-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

/** A Python that imports a module; undefined where there is none. */
function pythonWith(module: string): string | undefined {
  return ['/usr/bin/python3', 'python3'].find((python) => {
    try {
      execFileSync(python, ['-c', `import ${module}`], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}

for (const [start, module, only] of [
  ['js', undefined, []],
  ['python', 'json', ['LRD-MASK-', 'LRD-STREAM-', 'LRD-RULE-00[14]/', 'LRD-ERROR']],
  // PyTorch takes seconds to load, so its slice is a small one; the whole is judged by the proof.
  ['torch', 'torch', ['LRD-MASK-00[23]/', 'LRD-STREAM-00[13]', 'LRD-RULE-00[148]/', 'LRD-STATE-', 'LRD-ERROR-004']],
] as const) {
  const python = module === undefined ? 'node' : pythonWith(module);
  const runnable = test.when(python !== undefined, `no Python with ${module} on this machine`);
  runnable(
    `lrd conformance init ${start}: what is written passes as it is, and is not written twice`,
    async () => {
      const { path, judge } = initAdapter(start, folder);
      assert.match(judge, /^npx lrd conformance --adapter 'cmd:/);
      const report = await runConformance({
        adapters: [`cmd:${python === 'node' ? process.execPath : python} ${path}`],
        only,
        seed: 4,
      });
      assert.ok(report.passed, reportToText(report));
      assert.ok((report.judgements[0]?.verdicts.length ?? 0) > 5);
      assert.throws(() => initAdapter(start, folder), /must not exist yet, got/);
    },
    { timeout: 300 },
  );
}

test('there are three to start from', () => {
  assert.equal(START_NAMES, ['python', 'torch', 'js']);
  assert.throws(() => initAdapter('js', join(folder, 'nowhere')), /--out must be a folder that can be written to/);
});

test('the guide has a row for every mistake that the kit knows, under the anchor that findings lead to', () => {
  const guide = readFileSync(new URL('GUIDE.md', import.meta.url), 'utf8').replaceAll('\\', '');
  const rows = guide.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  for (const { name, words, mend, requirements } of MISTAKES) {
    const row = rows.find(([, first]) => first === `<a id="${name}"></a>${name}`);
    assert.equal(row?.slice(2, 5), [words, mend, requirements.join(', ')], name);
  }
});

test('every planted fault has one mistake for its name', () => {
  const named = MISTAKES.flatMap(({ faults }) => faults);
  assert.equal([...named].sort(), PLANTED_FAULTS.map(({ name }) => name).sort());
});

test.run();
