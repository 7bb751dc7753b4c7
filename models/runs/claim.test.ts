import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { holding, takeClaim } from './claim.ts';

const test = suite('models/runs/claim');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-claim-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

let folders = 0;
const fresh = (): string => {
  const folder = join(scratch, `cell-${folders++}`);
  mkdirSync(folder);
  return folder;
};
const claimModule = new URL('./claim.ts', import.meta.url).href;

/** Another process that runs `code` with `takeClaim` at hand. */
function other(code: string): { ended: Promise<string>; kill: () => void } {
  const child = spawn(process.execPath, [...FROM_SOURCE, '--input-type=module', '-e', `import { takeClaim } from ${JSON.stringify(claimModule)};\n${code}`], { stdio: ['ignore', 'pipe', 'inherit'] }); // prettier-ignore
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return {
    ended: new Promise((resolve) => child.on('close', () => resolve(output))),
    kill: () => child.kill('SIGKILL'),
  };
}

test('a cell has one owner until it is given up', async () => {
  const folder = fresh();
  assert.equal(holding(folder), { state: 'free', attempts: 0 });
  const claim = takeClaim(folder);
  assert.is(claim?.attempt, 1);
  assert.equal(holding(folder), { state: 'held', attempts: 1, owner: `process ${process.pid}` });
  assert.is(takeClaim(folder), undefined);
  await claim?.release();
  assert.equal(holding(folder), { state: 'free', attempts: 1 });
  const again = takeClaim(folder);
  assert.is(again?.attempt, 2);
  assert.ok(again?.stillHeld());
  await again?.release();
});

test('of several processes that want the same cells each cell goes to exactly one', async () => {
  const cells = Array.from({ length: 150 }, fresh);
  // They start to claim at one moment, so that they meet.
  const at = Date.now() + 4000;
  const code = `const cells = ${JSON.stringify(cells)}; const got = [];
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.max(1, ${at} - Date.now()));
    for (const [k, cell] of cells.entries()) if (takeClaim(cell) !== undefined) got.push(k);
    console.log(JSON.stringify(got)); process.exit(0);`;
  const got = await Promise.all([other(code), other(code), other(code)].map(({ ended }) => ended));
  const all = got.flatMap((text) => JSON.parse(text) as number[]);
  assert.equal(
    all.sort((a, b) => a - b),
    cells.map((_, k) => k),
  );
  // Owners that are gone: three processes take over, again one each, and nobody's claim is lost.
  const later = Date.now() + 4000;
  const takeOver = code.replace(String(at), String(later));
  const second = await Promise.all([other(takeOver), other(takeOver), other(takeOver)].map(({ ended }) => ended));
  assert.is(second.flatMap((text) => JSON.parse(text) as number[]).length, cells.length);
  for (const cell of cells) assert.equal(readdirSync(cell).sort(), ['claim-0001.json', 'claim-0002.json']);
});

test('the cell of a process that was killed is free at once', async () => {
  const folder = fresh();
  const { ended, kill } = other(
    `takeClaim(${JSON.stringify(folder)}); console.log('taken'); setInterval(() => {}, 1000);`,
  );
  while (!existsSync(join(folder, 'claim-0001.json'))) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.is(holding(folder).state, 'held');
  assert.is(takeClaim(folder), undefined);
  kill();
  await ended;
  const claim = takeClaim(folder);
  assert.is(claim?.attempt, 2);
  await claim?.release();
});

test('a process number that was given to somebody else is no owner', () => {
  const folder = fresh();
  const write = (started: string | null): void =>
    writeFileSync(join(folder, 'claim-0001.json'), JSON.stringify({ host: hostname(), pid: process.pid, started }));
  // The system does not say when it started: the number alone counts.
  write(null);
  assert.is(holding(folder).state, 'held');
  if (existsSync('/proc/self/stat')) {
    write('1');
    assert.is(holding(folder).state, 'free');
  }
});

test('an owner on another machine counts as gone when its sign of life is minutes old', () => {
  const folder = fresh();
  const path = join(folder, 'claim-0001.json');
  writeFileSync(path, JSON.stringify({ host: 'elsewhere.example', pid: 1, started: '1' }));
  assert.equal(holding(folder), { state: 'held', attempts: 1, owner: 'process 1 on elsewhere.example' });
  const before = new Date(Date.now() - 301_000);
  utimesSync(path, before, before);
  assert.equal(holding(folder), { state: 'free', attempts: 1 });
});

test.run();
