import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { JobError } from '../errors.ts';
import { holding } from './claim.ts';
import { lockRun, untilUnlocked } from './runLock.ts';
import { complete, lastLine, latest, smallRun, start } from './testing/command.ts';
import { Watch } from './watch.ts';

const test = suite('models/runs/runLock');
const onLinux = test.when(existsSync('/proc/self/stat'), 'the system has no /proc to read a process from');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-lock-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

let folders = 0;
const fresh = (): string => {
  const folder = join(scratch, `run-${folders++}`);
  mkdirSync(folder);
  return folder;
};
const locks = (folder: string): string[] => readdirSync(folder).filter((name) => /lock/.test(name));
const write = (folder: string, name: string, owner: object): void =>
  writeFileSync(join(folder, name), JSON.stringify({ host: hostname(), pid: process.pid, started: null, ...owner }));
const refused = async (job: Promise<unknown>, pattern: RegExp): Promise<void> => {
  const error = await job.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.instance(error, JobError);
  assert.match((error as Error).message, pattern);
};
const LOCK = { name: 'lock', lapseSeconds: 90, kept: false } as const;
/** Has looked on for as many seconds, 10 from look to look. */
function watched(folder: string, seconds: number): Watch {
  let now = 0;
  const watch = new Watch(() => (now += 10));
  for (let looks = 0; looks <= seconds / 10; looks++) holding(folder, LOCK, watch);
  return watch;
}
/** No system has a process of this number. */
const NOBODY = 2 ** 30;

test(
  'a second process is refused in one line that names folder and process; a killed one is no hindrance',
  async () => {
    const run = join(scratch, 'killed');
    const { child, ended } = start(smallRun(run, 4000));
    while (!existsSync(latest(run))) await pause(20);
    const config = readFileSync(join(run, 'config.json'));
    const said = await complete(['--resume', run, '--epochs', '9'], 1);
    assert.is(said, `lrd: ${run}: process ${child.pid} is training in this folder; wait until it ends, or stop it\n`);
    // The folder of a run that has not written its configuration yet.
    rmSync(join(run, 'config.json'));
    assert.is(await complete(smallRun(run, 4000), 1), said);
    writeFileSync(join(run, 'config.json'), config);
    child.kill('SIGKILL');
    await ended;
    assert.equal(locks(run), ['lock-0001.json']);
    const epoch = readFileSync(join(run, 'metrics.jsonl'), 'utf8').split('\n').length;
    const resumed = await complete(['--resume', run, '--epochs', String(epoch + 1)]);
    assert.match(resumed, /killed: goes on in epoch/);
    assert.equal(locks(run), []);
    assert.match(lastLine(await complete(['--resume', run], 2)), /give --epochs for more/);
    assert.equal(locks(run), []);
  },
  { timeout: 120 },
);

test(
  'of two that begin a run in one folder at once one trains',
  async () => {
    const out = join(scratch, 'twice');
    const both = [start(smallRun(out, 3)), start(smallRun(out, 3))] as const;
    const ends = await Promise.all(both.map(({ ended }) => ended));
    const trained = ends.indexOf(0);
    assert.ok(trained >= 0, both.map(({ stderr }) => stderr()).join('\n'));
    const other = both[1 - trained] as (typeof both)[0];
    assert.match(lastLine(other.stderr()), /twice: process \d+ is training in this folder|must not hold a run already/);
    assert.ok((ends[1 - trained] ?? 0) > 0);
    assert.is(readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n').length, 3);
    assert.equal(locks(out), []);
  },
  { timeout: 120 },
);

test('a lock is held until it is released, and notices when it was taken over', async () => {
  const folder = fresh();
  await untilUnlocked(folder);
  const lock = await lockRun(folder);
  lock.checkHeld();
  await refused(lockRun(folder), new RegExp(`^${folder}: process ${process.pid} is training in this folder`));
  await refused(untilUnlocked(folder), /is training in this folder/);
  write(folder, 'lock-0002.json', { host: 'elsewhere.example', pid: 7 });
  assert.throws(() => lock.checkHeld(), /: process 7 on elsewhere\.example is training in this folder/);
  await lock.release();
  // What is another's stays.
  assert.ok(locks(folder).includes('lock-0002.json'));
});

test('a run whose lock, or whose folder, is taken from under it says what is missing', async () => {
  const folder = fresh();
  const take: [RegExp, () => void][] = [
    [/: this run's lock was removed, so another process may train in the folder$/, () => rmSync(join(folder, 'lock-0001.json'))],
    [/: the folder is gone: it was removed or moved away/, () => renameSync(folder, `${folder}-moved`)],
    [/: the folder is gone: it was removed or moved away/, () => rmSync(folder, { recursive: true })],
    [/: a file has taken the folder's place/, () => (rmSync(folder, { recursive: true }), writeFileSync(folder, ''))],
  ];
  for (const [pattern, away] of take) {
    const lock = await lockRun(folder);
    away();
    assert.throws(() => lock.checkHeld(), pattern);
    await lock.release().catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
  }
});

test('locks of processes that are gone are taken over and cleared away', async () => {
  const folder = fresh();
  write(folder, 'lock-0001.json', { pid: NOBODY });
  write(folder, 'lock-0002.json', { host: 'elsewhere.example' });
  const lines: string[] = [];
  const lock = await lockRun(folder, { watch: watched(folder, 70), line: (text) => void lines.push(text) });
  assert.match(lines.join(), /process \d+ on elsewhere\.example began to train here; watching for 90 s whether it lives/);
  assert.equal(locks(folder), ['lock-0001.json', 'lock-0002.json', 'lock-0003.json']);
  await lock.release();
  assert.equal(locks(folder), []);
});

test('a process of another machine that shows a sign of life holds its lock, whatever its clock says', async () => {
  const folder = fresh();
  write(folder, 'lock-0001.json', { host: 'elsewhere.example' });
  // Its clock is a year behind.
  let behind = Date.now() / 1000 - 365 * 86_400;
  const path = join(folder, 'lock-0001.json');
  utimesSync(path, behind, behind);
  const beating = setInterval(() => utimesSync(path, ++behind, behind), 300);
  try {
    await refused(lockRun(folder, { watch: watched(folder, 60) }), /on elsewhere\.example is training in this folder/);
  } finally {
    clearInterval(beating);
  }
});

test('a lock whose content is not there yet is one, for a while', async () => {
  const folder = fresh();
  const path = join(folder, 'lock-0001.json');
  writeFileSync(path, '');
  assert.is(holding(folder, LOCK, watched(folder, 80)).state, 'free');
  assert.is(holding(folder, LOCK, watched(folder, 50)).state, 'held');
  const lock = await lockRun(folder, { watch: watched(folder, 100) });
  await lock.release();
  assert.equal(locks(folder), []);
});

test('who meets another that took a lower number withdraws', async () => {
  const folder = fresh();
  // As when the holder of 1 removed it, another began with 1 again, and a third was slow and saw the dead owner of 2.
  write(folder, 'lock-0001.json', {});
  write(folder, 'lock-0002.json', { pid: NOBODY });
  await refused(lockRun(folder), /is training in this folder/);
  assert.equal(locks(folder), ['lock-0001.json', 'lock-0002.json']);
});

onLinux(
  'a process number that was given to somebody else holds nothing, nor does a process that ended unasked',
  async () => {
    const folder = fresh();
    write(folder, 'lock-0001.json', { started: '1' });
    await (await lockRun(folder)).release();
    // A shell that becomes a program which never asks how its child ended.
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const pid = await new Promise<number>((resolve) => parent.stdout.once('data', (text: Buffer) => resolve(Number(text)))); // prettier-ignore
      await pause(200);
      write(folder, 'lock-0001.json', { pid });
      await refused(lockRun(folder), new RegExp(`process ${pid} is training`));
      process.kill(pid, 'SIGKILL');
      await pause(200);
      assert.match(readFileSync(`/proc/${pid}/stat`, 'utf8'), /\) Z /);
      await (await lockRun(folder)).release();
    } finally {
      parent.kill('SIGKILL');
    }
  },
);

test('a folder that is no run is left as it is', async () => {
  const nowhere = join(scratch, 'typo');
  assert.match(await complete(['--resume', nowhere], 1), /typo: no such file or folder/);
  assert.not.ok(existsSync(nowhere));
});

test.run();
