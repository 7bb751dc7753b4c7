/** What the script of an array job does with signals and ends of its program, under bash itself; `scontrol` only writes down how it was called. */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { STOPPED_TASK } from '../../errors.ts';
import { slurmScript } from './script.ts';

const test = suite('models/experiments/slurm/script');
const isLinux = process.platform === 'linux' && spawnSync('bash', ['--version']).status === 0;
const onLinux = test.when(isLinux, 'Slurm runs on Linux, its scripts under bash');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-script-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** What came of lives of one task. */
interface Lives {
  readonly statuses: readonly (number | null)[];
  /** What `scontrol` was called with. */
  readonly requeues: readonly string[];
  /** What the task left for `--list`. */
  readonly note: readonly string[] | undefined;
  readonly log: string;
}

let count = 0;

/** Lives of a task whose program is `program`, a script that says `begun`; each is sent `signal` then. */
async function live(program: string, signal: NodeJS.Signals, lives = 1, scontrol = 'exit 0'): Promise<Lives> {
  const folder = join(scratch, String((count += 1)));
  const [bin, exits] = [join(folder, 'bin'), join(folder, 'exits')];
  for (const made of [bin, exits]) mkdirSync(made, { recursive: true });
  const [calls, log] = [join(folder, 'calls'), join(folder, 'log')];
  const command = join(folder, 'program');
  const files = { [join(bin, 'scontrol')]: `echo "$@" >>'${calls}'\n${scontrol}`, [command]: program };
  for (const [file, text] of Object.entries(files)) {
    writeFileSync(file, `#!/bin/bash\n${text}\n`);
    chmodSync(file, 0o755);
  }
  const script = join(folder, 'script.sh');
  writeFileSync(script, slurmScript({ name: 'x', command: [command], logs: folder, exits, prologue: undefined }));
  const statuses: (number | null)[] = [];
  for (let k = 0; k < lives; k++) {
    const before = existsSync(log) ? readFileSync(log, 'utf8').length : 0;
    const output = openSync(log, 'a');
    const child = spawn('bash', [script], {
      stdio: ['ignore', output, output],
      env: { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH']}`, SLURM_ARRAY_JOB_ID: '7', SLURM_ARRAY_TASK_ID: '3' }, // prettier-ignore
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    while (!readFileSync(log, 'utf8').slice(before).includes('begun')) await pause(5);
    child.kill(signal);
    statuses.push(await ended);
    closeSync(output);
  }
  const linesOf = (file: string): string[] | undefined =>
    existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : undefined;
  return {
    statuses,
    requeues: linesOf(calls) ?? [],
    note: linesOf(join(exits, '7_3')),
    log: readFileSync(log, 'utf8'),
  };
}

/** A program that takes a while until it listens for HUP, and stops when it comes. */
const STOPS = `echo begun; sleep .3; trap 'exit ${STOPPED_TASK}' HUP; while :; do sleep .05; done`;

onLinux(
  'the time limit: a program that is only just starting is told once it listens, and its task is put back',
  async () => {
    const { statuses, requeues, note } = await live(STOPS, 'SIGUSR2');
    assert.equal(statuses, [STOPPED_TASK]);
    assert.equal(requeues, ['requeue 7_3']);
    assert.is(note, undefined);
  },
);

onLinux('preempted or cancelled: no requeue of our own, and no failure', async () => {
  const { statuses, requeues, note } = await live(STOPS, 'SIGTERM');
  assert.equal(statuses, [STOPPED_TASK]);
  assert.equal([requeues, note], [[], undefined]);
});

onLinux('a program that is done as its time ends is not put back', async () => {
  const { statuses, requeues, note } = await live('echo begun; sleep .3', 'SIGUSR2');
  assert.equal(statuses, [0]);
  assert.equal([requeues, note], [[], undefined]);
});

onLinux('what fails as its time ends does not come back for ever: it leaves its exit code and last line', async () => {
  const { statuses, requeues, note } = await live('echo begun; sleep .3; echo no such data; exit 1', 'SIGUSR2');
  assert.equal(statuses, [1]);
  assert.equal(requeues, []);
  assert.equal([note?.[0], note?.[3]], ['1', 'no such data']);
});

onLinux('a time limit that never lets the program begin ends after three lives, with the reason', async () => {
  const { statuses, requeues, note, log } = await live('echo begun; sleep .3; kill -HUP $$', 'SIGUSR2', 3);
  assert.equal(statuses, [129, 129, 129], log);
  assert.equal(requeues, ['requeue 7_3', 'requeue 7_3']);
  assert.equal([note?.[0], note?.[3]], ['129', 'the time limit came 3 times before the program had begun: it needs a longer --time']); // prettier-ignore
});

onLinux('a requeue that the cluster refuses leaves its words', async () => {
  const { requeues, note } = await live(
    STOPS,
    'SIGUSR2',
    1,
    'echo "slurm_requeue error: Requested operation is presently disabled"; exit 1',
  );
  assert.equal(requeues, ['requeue 7_3']);
  assert.equal([note?.[0], note?.[3]], [String(STOPPED_TASK), 'slurm_requeue error: Requested operation is presently disabled']); // prettier-ignore
});

test.run();
