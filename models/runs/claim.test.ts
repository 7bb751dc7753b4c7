import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { holding, takeClaim } from './claim.ts';
import { isEarlierLife, slurmTask } from './slurmTask.ts';
import { Watch } from './watch.ts';

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
  const held = holding(folder);
  assert.ok(held.state === 'held' && held.holder.here);
  assert.is(held.state === 'held' && held.holder.name, `process ${process.pid}`);
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

/** Has looked on for as many seconds, 10 from look to look. */
function watched(folder: string, seconds: number): Watch {
  let now = 0;
  const watch = new Watch(() => (now += 10));
  for (let looks = 0; looks <= seconds / 10; looks++) holding(folder, CELL, watch);
  return watch;
}
const CELL = { name: 'claim', lapseSeconds: 120, kept: true } as const;

test('an owner on another machine counts as gone when it was looked at for minutes without a sign of life', () => {
  const folder = fresh();
  const path = join(folder, 'claim-0001.json');
  writeFileSync(path, JSON.stringify({ host: 'elsewhere.example', pid: 1, started: '1' }));
  const held = holding(folder);
  assert.is(held.state === 'held' && held.holder.name, 'process 1 on elsewhere.example');
  // A clock that is a year apart says nothing.
  for (const years of [-1, 1]) {
    const then = new Date(Date.now() + years * 365 * 86_400_000);
    utimesSync(path, then, then);
    assert.is(holding(folder).state, 'held');
    assert.is(holding(folder, CELL, watched(folder, 100)).state, 'held');
  }
  const watch = watched(folder, 110);
  const now = new Date();
  utimesSync(path, now, now);
  assert.is(holding(folder, CELL, watch).state, 'held', 'a sign of life at the last moment');
  assert.equal(holding(folder, CELL, watched(folder, 130)), { state: 'free', attempts: 1 });
  // The file server was away for an hour, for both: no time to speak of.
  let clock = 0;
  const blind = new Watch(() => (clock += 3600));
  for (let looks = 0; looks < 8; looks++) assert.is(holding(folder, CELL, blind).state, 'held');
});

test('a process that was seen to be gone holds nothing any more, without another wait', () => {
  const [cell, run] = [fresh(), fresh()];
  const owner = JSON.stringify({ host: 'elsewhere.example', pid: 1, started: '1' });
  writeFileSync(join(cell, 'claim-0001.json'), owner);
  writeFileSync(join(run, 'lock-0001.json'), owner);
  const lock = { name: 'lock', lapseSeconds: 90, kept: false } as const;
  assert.is(holding(run, lock, watched(cell, 100)).state, 'held');
  assert.is(holding(run, lock, watched(cell, 130)).state, 'free');
});

test('whatever lies where a claim should is nobody, and waited for no longer than a silent owner', () => {
  const here = { id: 'a', host: hostname(), pid: process.pid, started: null };
  const contents: (string | Buffer)[] = [
    {},
    null,
    7,
    'text',
    [],
    [here],
    { ...here, pid: 0 },
    { ...here, pid: -1 },
    { ...here, pid: 1.5 },
    { ...here, pid: '1' },
    { ...here, pid: 2 ** 40 },
    { ...here, host: 7 },
    { ...here, host: 'a\u001b[2Jb' },
    { ...here, host: 'h'.repeat(300) },
    { ...here, started: 12 },
    { ...here, started: undefined },
    { ...here, task: 'job' },
    { ...here, task: { cluster: '', job: '1', name: '1', life: -1, node: 'n' } },
    { ...here, released: 'no' },
  ].map((value) => (typeof value === 'string' ? value : JSON.stringify(value)));
  contents.push('{', '\0'.repeat(100), `${'['.repeat(5000)}${']'.repeat(5000)}`, `${JSON.stringify(here)}${' '.repeat(20_000)}`, Buffer.from([0xff, 0xfe]));
  for (const content of contents) {
    const folder = fresh();
    writeFileSync(join(folder, 'claim-0001.json'), content);
    let now = 0;
    const watch = new Watch(() => now);
    const held = holding(folder, undefined, watch);
    const title = String(content).slice(0, 80);
    assert.is(held.state === 'held' && held.holder.name, 'a process that has not said its number', title);
    for (; now < 120; now += 15) holding(folder, undefined, watch);
    assert.is(holding(folder, undefined, watch).state, 'free', title);
  }
  // Names that only look like claims.
  const folder = fresh();
  for (const name of ['claim-1.json', `claim-${'9'.repeat(30)}.json`, 'claim-0001.json.bak']) writeFileSync(join(folder, name), '{}');
  assert.equal(holding(folder), { state: 'free', attempts: 0 });
});

test.when(process.platform !== 'win32', 'there are no named pipes')('a pipe or a folder in place of a claim is not waited for', () => {
  for (const make of [(path: string) => assert.is(spawnSync('mkfifo', [path]).status, 0), (path: string) => mkdirSync(path)]) {
    const folder = fresh();
    make(join(folder, 'claim-0001.json'));
    let now = 0;
    const watch = new Watch(() => now);
    assert.is(holding(folder, undefined, watch).state, 'held');
    for (; now < 120; now += 15) holding(folder, undefined, watch);
    assert.is(takeClaim(folder, undefined, watch)?.attempt, 2);
  }
});

test('the number of a process counts in its own container only', () => {
  const folder = fresh();
  // No process has this number here, but there it may run.
  const owner = { host: hostname(), pid: 2 ** 30, started: null, namespace: 'pid:[1]' };
  writeFileSync(join(folder, 'claim-0001.json'), JSON.stringify(owner));
  assert.is(holding(folder).state, 'held');
});

test('a task of Slurm owns at once what its earlier life held, unless the node was lost', () => {
  const mine = { cluster: 'c', job: '12', name: '10_2', life: 2, node: 'n2' };
  const earlier = { ...mine, life: 1, node: 'n1' };
  assert.ok(isEarlierLife(earlier, mine, () => 'IDLE'));
  assert.ok(isEarlierLife(earlier, mine, () => 'MIXED+DRAIN'));
  assert.ok(isEarlierLife({ ...earlier, node: 'n2' }, mine, () => undefined), 'on its own node nothing of it is left');
  for (const lost of ['DOWN*', 'IDLE*', 'DOWN', 'ALLOCATED+NOT_RESPONDING', 'FAIL', undefined]) {
    assert.not.ok(isEarlierLife(earlier, mine, () => lost), String(lost));
  }
  const idle = (): string => 'IDLE';
  assert.not.ok(isEarlierLife({ ...earlier, life: 2 }, mine, idle));
  assert.not.ok(isEarlierLife({ ...earlier, life: 3 }, mine, idle), 'this one is the orphan');
  assert.not.ok(isEarlierLife({ ...earlier, job: '13' }, mine, idle));
  assert.not.ok(isEarlierLife({ ...earlier, cluster: 'd' }, mine, idle));
  assert.equal(slurmTask({ SLURM_JOB_ID: '7', SLURMD_NODENAME: 'n3' }), { cluster: '', job: '7', name: '7', life: 0, node: 'n3' }); // prettier-ignore
  assert.is(slurmTask({ SLURM_JOB_ID: '7' }), undefined);
  const array = { SLURM_JOB_ID: '12', SLURMD_NODENAME: 'n2', SLURM_CLUSTER_NAME: 'c', SLURM_ARRAY_JOB_ID: '10', SLURM_ARRAY_TASK_ID: '2', SLURM_RESTART_COUNT: '2' }; // prettier-ignore
  assert.equal(slurmTask(array), mine);
});

const mayMount = process.platform === 'linux' && spawnSync('unshare', ['--uts', '--mount', 'true']).status === 0;

test.when(mayMount, 'mount and host namespaces need root on Linux')(
  'two machines with mount points of their own, clocks a day apart: each cell goes to one of them',
  async () => {
    const shared = fresh();
    const cells = Array.from({ length: 100 }, (_, k) => `cell-${k}`);
    for (const cell of cells) mkdirSync(join(shared, cell));
    const at = Date.now() + 5000;
    // Date is what a program knows of the clock; the file's time is set by it.
    const machine = (name: string, days: number): Promise<string> => {
      const mount = join(scratch, `mount-${name}`);
      mkdirSync(mount);
      const code = `import { takeClaim } from ${JSON.stringify(claimModule)};
        const wait = ${at} - Date.now(); const RealDate = Date; const now = () => RealDate.now() + ${days} * 86400000;
        globalThis.Date = class extends RealDate { constructor(...a) { super(...(a.length === 0 ? [now()] : a)); } static now() { return now(); } };
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.max(1, wait));
        const got = ${JSON.stringify(cells)}.filter((cell) => takeClaim(${JSON.stringify(mount)} + '/' + cell) !== undefined);
        console.log(JSON.stringify(got)); process.exit(0);`;
      const shell = `mount --bind ${shared} ${mount} && hostname ${name} && exec "$@"`;
      const child = spawn('unshare', ['--uts', '--mount', 'sh', '-c', shell, 'sh', process.execPath, ...FROM_SOURCE, '--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] }); // prettier-ignore
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      return new Promise((resolve) => child.on('close', () => resolve(output)));
    };
    const got = await Promise.all([machine('left', -1), machine('right', 1)]);
    const all = got.flatMap((text) => JSON.parse(text) as string[]);
    assert.equal(all.sort(), [...cells].sort());
    // Both have ended, which here nobody can ask: they are held until they were watched for long enough.
    const cell = join(shared, cells[0] as string);
    const held = holding(cell);
    assert.match(held.state === 'held' ? held.holder.name : '', /^process \d+ on (left|right)$/);
    assert.is(holding(cell, CELL, watched(cell, 130)).state, 'free');
  },
);

test.run();
