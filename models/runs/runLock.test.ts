import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
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
import { checkUnlocked, lockRun } from './runLock.ts';
import { complete, lastLine, latest, smallRun, start } from './testing/command.ts';

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
  checkUnlocked(folder);
  const lock = lockRun(folder);
  lock.checkHeld();
  assert.throws(() => lockRun(folder), new RegExp(`^${folder}: process ${process.pid} is training in this folder`));
  assert.throws(() => checkUnlocked(folder), (error: unknown) => error instanceof JobError); // prettier-ignore
  write(folder, 'lock-0002.json', { host: 'elsewhere.example', pid: 7 });
  assert.throws(() => lock.checkHeld(), /: process 7 on elsewhere\.example is training in this folder/);
  await lock.release();
  // What is another's stays.
  assert.ok(locks(folder).includes('lock-0002.json'));
});

test('locks of processes that are gone are taken over and cleared away', async () => {
  const folder = fresh();
  write(folder, 'lock-0001.json', { pid: NOBODY });
  write(folder, 'lock-0002.json', { host: 'elsewhere.example' });
  const before = new Date(Date.now() - 241_000);
  assert.throws(() => lockRun(folder), /on elsewhere\.example is training/);
  utimesSync(join(folder, 'lock-0002.json'), before, before);
  const lock = lockRun(folder);
  assert.equal(locks(folder), ['lock-0001.json', 'lock-0002.json', 'lock-0003.json']);
  await lock.release();
  assert.equal(locks(folder), []);
});

test('a lock whose content is not there yet is one, for a while', async () => {
  const folder = fresh();
  const path = join(folder, 'lock-0001.json');
  writeFileSync(path, '');
  assert.throws(() => lockRun(folder), /a process that has not said its number is training/);
  const before = new Date(Date.now() - 241_000);
  utimesSync(path, before, before);
  await lockRun(folder).release();
  assert.equal(locks(folder), []);
});

test('who meets another that took a lower number withdraws', () => {
  const folder = fresh();
  // As when the holder of 1 removed it, another began with 1 again, and a third was slow and saw the dead owner of 2.
  write(folder, 'lock-0001.json', {});
  write(folder, 'lock-0002.json', { pid: NOBODY });
  assert.throws(() => lockRun(folder), /is training in this folder/);
  assert.equal(locks(folder), ['lock-0001.json', 'lock-0002.json']);
});

onLinux(
  'a process number that was given to somebody else holds nothing, nor does a process that ended unasked',
  async () => {
    const folder = fresh();
    write(folder, 'lock-0001.json', { started: '1' });
    await lockRun(folder).release();
    // A shell that becomes a program which never asks how its child ended.
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const pid = await new Promise<number>((resolve) => parent.stdout.once('data', (text: Buffer) => resolve(Number(text)))); // prettier-ignore
      await pause(200);
      write(folder, 'lock-0001.json', { pid });
      assert.throws(() => lockRun(folder), new RegExp(`process ${pid} is training`));
      process.kill(pid, 'SIGKILL');
      await pause(200);
      assert.match(readFileSync(`/proc/${pid}/stat`, 'utf8'), /\) Z /);
      await lockRun(folder).release();
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
