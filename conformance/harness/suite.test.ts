import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from './fromSource.ts';
import { suite } from './suite.ts';

const test = suite('conformance/harness/suite');
const planted = fileURLToPath(new URL('./planted/', import.meta.url));

for (const file of readdirSync(planted).filter((name) => name.endsWith('.test.ts'))) {
  test(`a planted fault fails: ${file.replace('.test.ts', '')}`, () => {
    const { status } = spawnSync(process.execPath, [...FROM_SOURCE, `${planted}${file}`], { encoding: 'utf8' });
    assert.is(status, 1);
  });
}

test('an assertion that holds passes, also after an await', async () => {
  await Promise.resolve();
  assert.is(1, 1);
});

test.run();
