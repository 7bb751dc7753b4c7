/**
 * Sweeps on a real Slurm: a controller and two nodes on this machine. `LRD_SLURM=1 npm run ts -- models/experiments/slurm/slurm.test.ts` is the
 * long proof, with time limits, preemption, lost nodes whose jobs live on, and a controller that dies; `npm test` has a slice of it.
 * `LRD_TEST_TITLES='time limit'` runs one part.
 *
 * What a part needs to come true at a certain moment of a training, it stops the training for: nothing here depends on how fast the machine is.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../../conformance/harness/fromSource.ts';
import { suite } from '../../../conformance/harness/suite.ts';
import { outputOf } from '../../cli/testing/outputOf.ts';
import { outcome } from '../../runs/testing/command.ts';
import type { PlannedCell } from '../plan.ts';
import { cellLabel, readPlan } from '../plan.ts';
import { Store } from '../store.ts';
import type { Cluster } from '../testing/cluster.ts';
import { startCluster, whyNoCluster } from '../testing/cluster.ts';

const LONG = process.env['LRD_SLURM'] === '1';
const why = whyNoCluster();
const test = suite('models/experiments/slurm');
const onCluster = test.when(why === undefined, why ?? '');
const onLong = onCluster.when(LONG, 'a part of the long proof, LRD_SLURM=1');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-sweep-'));
const shared = join(scratch, 'shared');
mkdirSync(shared);

let cluster: Cluster | undefined;
/** Lost nodes are noticed late by default: a job must not wait for minutes here. */
async function theCluster(): Promise<Cluster> {
  cluster ??= await startCluster({
    folder: join(scratch, 'c'),
    nodes: 2,
    shared,
    configuration: { SlurmdTimeout: LONG ? '8' : '300' },
  });
  return cluster;
}
test.after(async () => {
  await cluster?.down();
  rmSync(scratch, { recursive: true, force: true });
});

const program = fileURLToPath(new URL('../../cli/lrd.ts', import.meta.url));
// What a submission in this process lets tasks run.
process.argv[1] = program;

interface Said {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `lrd experiment ARGS`, as on the login node. */
async function lrd(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Said> {
  const child = spawn(process.execPath, [...FROM_SOURCE, program, 'experiment', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...cluster?.env, LRD_LAPSE_SECONDS: '10', ...env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, stdout, stderr: stderr.replace(/^lrd: note: .*\n/gm, '') };
}

async function lrdSays(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<string> {
  const { status, stdout, stderr } = await lrd(args, env);
  assert.is(status, 0, `${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

/** `lrd experiment ARGS` for calls that only ask or submit: in this process, which has the program loaded. Returns what stdout gets. */
async function lrdHere(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const before = { ...process.env };
  Object.assign(process.env, cluster?.env, { LRD_LAPSE_SECONDS: '10' }, env);
  try {
    return await outputOf(['experiment', ...args]);
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

/** Two arms of Table I on the embedded digits: cells 6 and 7. */
const call = (out: string, ...more: readonly string[]): string[] => [
  'table1',
  '--data=digits',
  '--width=16',
  '--limit=512',
  `--epochs=${EPOCHS}`,
  '--seeds=1',
  '--backend=cpu',
  '--checkpoint-seconds=1',
  '--keep-checkpoints',
  `--out=${out}`,
  ...more,
];
const BOTH = '--only=^mnist/adam/p=(1|0.5)/';
const ONE = '--only=^mnist/adam/p=0.5/';

function planned(out: string): readonly PlannedCell[] {
  return new Store(out).plans().flatMap((path) => readPlan(path).cells);
}

/** Waits; how long is no part of what is proved. */
async function until(what: string, holds: () => boolean, seconds = 400): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}\n${cluster?.slurm('squeue', '--array') ?? ''}${cluster?.lastWords() ?? ''}`); // prettier-ignore
    await pause(100);
  }
}
const queue = (): string => (cluster as Cluster).slurm('squeue', '--noheader', '--array', '--format=%F_%K %T %N %r');
const allDone = (out: string): boolean => planned(out).every((cell) => new Store(out).result(cell) !== undefined);
/** What tasks have printed: all, or those whose log ends in `name`. */
const logs = (out: string, name = ''): string => {
  const folder = join(out, 'slurm', 'logs');
  return readdirSync(folder).filter((file) => file.endsWith(name)).map((file) => readFileSync(join(folder, file), 'utf8')).join('\n'); // prettier-ignore
};
/** The nodes that a cell has had, in order. */
const nodesOf = (out: string, cell: PlannedCell): string[] => {
  const folder = new Store(out).folder(cell);
  if (!existsSync(folder)) return [];
  const claims = readdirSync(folder).filter((name) => name.startsWith('claim-')).sort(); // prettier-ignore
  return claims.map((name) => (JSON.parse(readFileSync(join(folder, name), 'utf8')) as { host: string }).host);
};

/** The processes that train on a node. */
function trainingOn(node: string): number[] {
  return (cluster as Cluster).processesOf(node).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--cell');
    } catch {
      return false;
    }
  });
}

const other = (node: string): string => (node === 'node1' ? 'node2' : 'node1');

/** What tasks load ahead of the program: it halts them a few epochs into the cell that they own, while there is a file of that name. */
const halt = join(scratch, 'halt.mjs');
writeFileSync(
  halt,
  `import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
const { LRD_TEST_HALT: out = '', LRD_TEST_TASK: task, SLURM_ARRAY_TASK_ID: own } = process.env;
const linesOf = (run) => (existsSync(run + '/metrics.jsonl') ? readFileSync(run + '/metrics.jsonl', 'utf8').split('\\n').length - 1 : 0);
let first;
const look = () => {
  if (!existsSync(out + '.halt')) return;
  for (const name of existsSync(out + '/cells') ? readdirSync(out + '/cells') : []) {
    const cell = out + '/cells/' + name;
    const claim = readdirSync(cell).filter((file) => file.startsWith('claim-')).sort().at(-1);
    if (claim === undefined || !readFileSync(cell + '/' + claim, 'utf8').includes('"pid":' + process.pid + ',')) continue;
    const lines = linesOf(cell + '/run');
    first ??= lines;
    if (lines < first + 3) continue;
    clearInterval(timer);
    process.kill(process.pid, 'SIGSTOP');
  }
};
const timer = isMainThread && out !== '' && (task ?? own) === own ? setInterval(look, 5).unref() : undefined;
`,
);
/** For a submission whose tasks halt, or one of them. */
function halting(out: string, task?: string): NodeJS.ProcessEnv {
  writeFileSync(`${out}.halt`, '');
  return {
    NODE_OPTIONS: `--import=${halt}`,
    LRD_TEST_HALT: out,
    ...(task === undefined ? {} : { LRD_TEST_TASK: task }),
  };
}
/** Lets lives to come run through. */
const haltNoMore = (out: string): void => rmSync(`${out}.halt`);

/** Waits until the cell's owner has halted: what is done then may take any time. Returns the node that it is on. */
async function halted(out: string, cell: PlannedCell): Promise<string> {
  const at = (): string | undefined => nodesOf(out, cell).at(-1);
  const isHalted = (node: string | undefined): boolean => node !== undefined && trainingOn(node).some((pid) => stateOf(pid) === 'T'); // prettier-ignore
  await until('it has halted', () => isHalted(at()));
  return at() as string;
}

/** Seconds of `1-02:03:04` or `03:04`, as Slurm writes times. */
function seconds(time: string): number {
  const [clock = '', days = '0'] = time.split('-').reverse();
  return clock.split(':').reduce((sum, part) => 60 * sum + Number(part), 0) + 86_400 * Number(days);
}

function stateOf(pid: number): string | undefined {
  try {
    return /^State:\s*(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

/** Lets a node's training go on. */
function goOn(node: string): void {
  for (const pid of trainingOn(node)) signalTo(pid, 'SIGCONT');
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/** Whether a signal waits for a process that is stopped. */
function awaits(pid: number, signal: NodeJS.Signals): boolean {
  try {
    const pending = /^ShdPnd:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
    return (BigInt(`0x${pending}`) & (1n << BigInt(constants.signals[signal] - 1))) !== 0n;
  } catch {
    return false;
  }
}

/** Of all parts, so that one run beside them is enough. */
const EPOCHS = 60;
let unbroken: Promise<string> | undefined;
/** The same cells on one machine, each in a process of its own, without Slurm and without a break. */
function whole(): Promise<string> {
  const out = join(scratch, 'whole');
  const run = (cell: number): Promise<string> => lrdSays(call(out, `--cell=${cell}`), { SLURM_CONF: '/nowhere' });
  unbroken ??= Promise.all([6, 7].map(run)).then(() => out);
  return unbroken;
}

/** Every tensor of weights and optimizer state, bit for bit, and the metrics, as on one machine. */
async function sameBits(out: string): Promise<void> {
  const one = await whole();
  for (const cell of planned(out)) {
    const [here, there] = [out, one].map((root) => outcome(join(new Store(root).folder(cell), 'run')));
    assert.ok((here?.tensors.length ?? 0) > 6, 'weights, moments');
    const differ = here?.tensors
      .filter((tensor, k) => !isDeepStrictEqual(tensor, there?.tensors[k]))
      .map(([name]) => name);
    assert.equal(differ, [], cellLabel(cell));
    assert.ok(isDeepStrictEqual(here, there), cellLabel(cell));
  }
}

onCluster(
  'a node dies with its job: requeued, taken up from the checkpoint on the other node, to the bits of a run on one machine',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'lost');
    // A process of its own, which is over when the tasks begin.
    assert.match(await lrdSays(call(out, BOTH, '--on=slurm', '--array-limit=2'), halting(out, '6')), /^submitted 2 cells in 2 tasks as job \d+ \(0 done, 0 in the queue\)/); // prettier-ignore
    const cells = planned(out);
    const [cell] = cells as [PlannedCell];
    const node = await halted(out, cell);
    haltNoMore(out);
    assert.match(await lrdHere(call(out, BOTH, '--on=slurm')), /^nothing to submit: (0 done, 2|1 done, 1) in the queue/); // prettier-ignore
    assert.match(await lrdHere(call(out, BOTH, '--list')), new RegExp(`6  running +\\d+/60  mnist/adam/p=1/seed=1  ${node}, \\S+ left, job \\d+_6`)); // prettier-ignore
    await slurm.killNode(node);
    // As the controller finds out by itself after a few times SlurmdTimeout.
    slurm.slurm('scontrol', 'update', `nodename=${node}`, 'state=down', 'reason=lost');
    // Beside the tasks, which the lapse of the lost one keeps waiting.
    await whole();
    await until('both cells are done', () => allDone(out));
    assert.equal(nodesOf(out, cell), [node, other(node)]);
    assert.match(logs(out), /goes on in epoch/);
    await sameBits(out);
    assert.match(await lrdHere(call(out, BOTH, '--list')), /2 finished$/m);
    slurm.startNode(node);
    await until('the node is back', () => slurm.idle().includes(node));
  },
  { timeout: 590 },
);

onCluster(
  'cancelled and submitted again; the same cell twice; what fails ahead of its cell leaves word; a wrong call leaves nothing',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'again');
    await lrdHere(call(out, ONE, '--on=slurm'), halting(out));
    const [cell] = planned(out) as [PlannedCell];
    const node = await halted(out, cell);
    haltNoMore(out);
    assert.match(await lrdHere(['table1', '--cancel', `--out=${out}`]), /cancelled 0 tasks that wait, 1 that run/);
    goOn(node);
    await until('the queue is empty', () => queue().trim() === '');
    assert.match(logs(out), /stopped in epoch/);
    assert.match(await lrdHere(['table1', '--list', `--out=${out}`]), /^7  waiting/);
    assert.match(await lrdHere(['table1', '--cancel', `--out=${out}`]), /nothing to cancel/);
    assert.match(await lrdHere(call(out, ONE, '--on=slurm')), /submitted 1 cells in 1 tasks/);
    // By hand, while the other runs.
    await until('it runs again', () => /RUNNING/.test(queue()));
    const script = readdirSync(join(out, 'slurm')).find((name) => /^table1.*\.sh$/.test(name)) as string;
    slurm.slurm('sbatch', '--array=7', join(out, 'slurm', script));
    // Meanwhile: tasks that fail.
    const failing = join(shared, 'failing');
    const prologue = join(scratch, 'prologue');
    writeFileSync(prologue, 'echo "no module of this name" >&2\nexit 7\n');
    await lrdHere(call(failing, ONE, '--on=slurm', `--prologue=${prologue}`));
    await lrdHere(['fig7', '--seeds=1', '--only=p=1/', `--data-dir=${scratch}`, '--on=slurm', `--out=${failing}`, '--cells-per-task=100', '--backend=cpu']); // prettier-ignore
    // Wrong calls.
    const nowhere = join(shared, 'nowhere');
    const refused = async (args: readonly string[], pattern: RegExp, env?: NodeJS.ProcessEnv): Promise<void> => {
      const { status, stderr, stdout } = await lrd([...args, `--out=${nowhere}`], env);
      assert.ok(status === 1 || status === 2, stderr);
      assert.match(stderr, pattern);
      assert.is(stderr.trimEnd().split('\n').length, 1, stderr);
      assert.is(stdout, '');
      assert.not.ok(existsSync(nowhere));
    };
    const small = ['table1', '--scale=small', '--only=^mnist/adam/p=1/', '--data=digits', '--on=slurm'];
    await refused([...small, '--', '--partition', 'nope'].toSpliced(5, 0, `--out=${nowhere}`), /invalid partition specified: nope/); // prettier-ignore
    await refused(small, /^lrd: --on slurm needs sbatch, which is not on the PATH/, { PATH: scratch });
    await until('the queue is empty', () => queue().trim() === '');
    await sameBits(out);
    assert.is(new Store(out).result(cell)?.outcome, 'finished');
    assert.match(logs(out), /1 cells are run by other processes: waiting for them|1 of 1 cells done/);
    assert.match(await lrdHere(call(failing, ONE, '--list')), /7  failed +0\/60  mnist\/adam\/p=0.5\/seed=1  exit code 7 on node[12]: no module of this name/); // prettier-ignore
    assert.match(await lrdHere(['fig7', '--seeds=1', '--only=p=1/', '--list', `--out=${failing}`]), /failed +0\/\d+ .*tiny-imagenet.* \(on node[12]\)/); // prettier-ignore
    // Once mended, the failed ones are submitted again.
    assert.match(await lrdHere(call(failing, ONE, '--on=slurm', '--dry-run')), /1 cells in 1 tasks would be submitted/);
  },
  { timeout: 590 },
);

onLong(
  'a time limit that is hit three times: checkpoint, requeue of this task alone, and the bits of an unbroken run',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'limit');
    await lrdHere(
      call(out, BOTH, '--on=slurm', '--array-limit=1', '--', '--time=60', '--signal=B:USR2@10'),
      halting(out, '6'),
    );
    const cells = planned(out);
    const [cell, second] = cells as [PlannedCell, PlannedCell];
    const task = queue().split('_')[0] as string;
    /** How often a task's log says something. */
    const said = (words: RegExp, of: number): number => logs(out, `_${of}.log`).match(words)?.length ?? 0;
    const limit = (minutes: number): void =>
      void slurm.slurm('scontrol', 'update', `jobid=${task}_6`, `timelimit=${minutes}`);
    for (let stops = 1; stops <= 3; stops++) {
      const node = await halted(out, cell);
      if (stops === 3) haltNoMore(out);
      // Whatever it took to get here, half a minute is left: the limit comes now, with notice first.
      const elapsed = seconds(slurm.slurm('squeue', '--noheader', `--jobs=${task}_6`, '--format=%M').trim());
      limit(Math.ceil((elapsed + 30) / 60));
      await until('it is told', () => trainingOn(node).some((pid) => awaits(pid, 'SIGHUP')));
      goOn(node);
      await until('it has stopped', () => said(/stopped in epoch/g, 6) === stops);
      await until('it waits again', () => /^\S+_6 PENDING/m.test(queue()));
      limit(60);
    }
    await until('done', () => allDone(out));
    assert.ok(nodesOf(out, cell).length >= 4, `lives: ${nodesOf(out, cell).join(' ')}`);
    assert.is(nodesOf(out, second).length, 1, 'put back with the other');
    await sameBits(out);
    await until('the queue is empty', () => slurm.slurm('squeue', '--noheader').trim() === '');
  },
  { timeout: 1800 },
);

onLong(
  'preempted by a higher partition: checkpoint, requeued by Slurm, and the bits of an unbroken run; the controller dies on the way',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'preempted');
    await lrdHere(call(out, BOTH, '--on=slurm'), halting(out));
    const cells = planned(out);
    // Whoever preempts wakes them with the signal.
    for (const cell of cells) await halted(out, cell);
    haltNoMore(out);
    const enough = join(shared, 'enough');
    slurm.slurm('sbatch', '--partition=urgent', '--array=0-1', '--output=/dev/null', `--wrap=until [ -e ${enough} ]; do sleep .2; done`); // prettier-ignore
    await until('both wait again', () => (logs(out).match(/stopped in epoch/g)?.length ?? 0) >= 2 && (queue().match(/PENDING/g)?.length ?? 0) === 2); // prettier-ignore
    // A controller forgets what it has not written down yet.
    await slurm.saved();
    await slurm.killController();
    await pause(1000);
    slurm.startController();
    writeFileSync(enough, '');
    await until('done', () => allDone(out));
    for (const cell of cells) assert.ok(nodesOf(out, cell).length >= 2);
    await sameBits(out);
    await until('the queue is empty', () => queue().trim() === '');
  },
  { timeout: 1800 },
);

onLong(
  'a task that was ended before it could give its cell up owns it at once in its next life, on the other node',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'killed');
    // No lapse could pass within the test.
    await lrdHere(call(out, ONE, '--on=slurm'), { ...halting(out), LRD_LAPSE_SECONDS: '100000' });
    const [cell] = planned(out) as [PlannedCell];
    const node = await halted(out, cell);
    haltNoMore(out);
    slurm.slurm('scontrol', 'update', `nodename=${node}`, 'state=drain', 'reason=test');
    const task = queue().split(' ')[0] as string;
    // As at the end of KillWait, or by a kernel that is out of memory: nobody gives anything up.
    for (const pid of trainingOn(node)) process.kill(pid, 'SIGKILL');
    await until('the task has failed', () => !/RUNNING|COMPLETING/.test(queue()));
    slurm.slurm('scontrol', 'requeue', task);
    await until('done', () => allDone(out));
    assert.equal(nodesOf(out, cell), [node, other(node)]);
    await sameBits(out);
    slurm.slurm('scontrol', 'update', `nodename=${node}`, 'state=resume');
    await until('the queue is empty', () => queue().trim() === '');
  },
  { timeout: 1200 },
);

onLong(
  'a node is lost and its run lives on: the next life waits until the orphan has ended, and there is one result',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'orphan');
    await lrdHere(call(out, ONE, '--on=slurm'), { ...halting(out), LRD_LAPSE_SECONDS: '100000' });
    const [cell] = planned(out) as [PlannedCell];
    const node = await halted(out, cell);
    haltNoMore(out);
    slurm.orphanNode(node);
    // The controller finds out by itself.
    await until('the cluster has lost the node', () => /down/.test(slurm.slurm('sinfo', '--noheader', '--Node', `--nodes=${node}`, '--format=%t'))); // prettier-ignore
    await until('the next life waits', () => /are run by other processes: waiting for them/.test(logs(out)));
    goOn(node);
    await until('done', () => allDone(out));
    await until('the queue is empty', () => queue().trim() === '');
    // The orphan ended it; who waited found the result.
    assert.equal(nodesOf(out, cell), [node]);
    assert.match(logs(out), /1 of 1 cells done/);
    await sameBits(out);
    slurm.startNode(node);
    await until('the node is back', () => slurm.idle().includes(node));
  },
  { timeout: 1800 },
);

onLong(
  'a node dies and nobody says so: the controller notices, the silent owner lapses, the other node goes on',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'silent');
    await lrdHere(call(out, ONE, '--on=slurm'), { ...halting(out), LRD_LAPSE_SECONDS: '20' });
    const [cell] = planned(out) as [PlannedCell];
    const node = await halted(out, cell);
    haltNoMore(out);
    await slurm.killNode(node);
    await until('done', () => allDone(out));
    assert.equal(nodesOf(out, cell), [node, other(node)]);
    await sameBits(out);
    slurm.startNode(node);
    await until('the node is back', () => slurm.idle().includes(node));
  },
  { timeout: 1200 },
);

test.run();
