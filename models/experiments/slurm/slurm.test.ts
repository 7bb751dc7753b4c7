/**
 * Sweeps on a real Slurm: a controller and two nodes on this machine. `LRD_SLURM=1 npm run ts -- models/experiments/slurm/slurm.test.ts` is the
 * long proof, with time limits, preemption, lost nodes whose jobs live on, and a controller that dies; `npm test` has a slice of it.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../../conformance/harness/fromSource.ts';
import { suite } from '../../../conformance/harness/suite.ts';
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

/** Two arms of Table I on the embedded digits: cells 6 and 7. */
const call = (out: string, epochs: number, ...more: readonly string[]): string[] => [
  'table1',
  '--data=digits',
  '--width=16',
  '--limit=512',
  `--epochs=${epochs}`,
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
const epochsOf = (out: string, cell: PlannedCell): number => new Store(out).state(cell).epochs;

async function until(what: string, holds: () => boolean, seconds = 120): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}\n${cluster?.slurm('squeue', '--array') ?? ''}${cluster?.lastWords() ?? ''}`); // prettier-ignore
    await pause(100);
  }
}
const queue = (): string => (cluster as Cluster).slurm('squeue', '--noheader', '--array', '--format=%F_%K %T %N %r');
const allDone = (out: string): boolean => planned(out).every((cell) => new Store(out).result(cell) !== undefined);
const logs = (out: string): string =>
  readdirSync(join(out, 'slurm', 'logs')).map((name) => readFileSync(join(out, 'slurm', 'logs', name), 'utf8')).join('\n'); // prettier-ignore
/** The nodes that a cell has had, in order. */
const nodesOf = (out: string, cell: PlannedCell): string[] => {
  const folder = new Store(out).folder(cell);
  const claims = readdirSync(folder).filter((name) => name.startsWith('claim-')).sort(); // prettier-ignore
  return claims.map((name) => (JSON.parse(readFileSync(join(folder, name), 'utf8')) as { host: string }).host);
};

/** Stops a node's training where it is, or lets it go on: then what is done meanwhile may take any time. */
function freeze(node: string, signal: 'SIGSTOP' | 'SIGCONT' = 'SIGSTOP'): void {
  for (const pid of (cluster as Cluster).processesOf(node)) {
    if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--cell')) process.kill(pid, signal);
  }
}

const wholes = new Map<string, Promise<string>>();
/** The same cell on one machine, in a process of its own, without Slurm and without a break. */
function whole(epochs: number, { arm }: PlannedCell): Promise<string> {
  const number = arm === 'mnist/adam/p=1' ? 6 : 7;
  const name = `whole-${epochs}-${number}`;
  const out = join(scratch, name);
  const made = wholes.get(name) ?? lrdSays(call(out, epochs, `--cell=${number}`), { SLURM_CONF: '/nowhere' }).then(() => out); // prettier-ignore
  wholes.set(name, made);
  return made;
}

/** Every tensor of weights and optimizer state, bit for bit, and the metrics, as on one machine. */
async function sameBits(out: string, epochs: number): Promise<void> {
  for (const cell of planned(out)) {
    const one = await whole(epochs, cell);
    const [here, there] = [out, one].map((root) => outcome(join(new Store(root).folder(cell), 'run')));
    assert.ok((here?.tensors.length ?? 0) > 6, 'weights, moments');
    assert.equal(here, there, cellLabel(cell));
  }
}

onCluster(
  'a node dies with its job: requeued, taken up from the checkpoint on the other node, to the bits of a run on one machine',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'lost');
    const EPOCHS = 60;
    assert.match(await lrdSays(call(out, EPOCHS, BOTH, '--on=slurm', '--array-limit=2')), /^submitted 2 cells in 2 tasks as job \d+ \(0 done, 0 in the queue\)/); // prettier-ignore
    const cells = planned(out);
    const [cell] = cells as [PlannedCell];
    await until('the first cell runs', () => epochsOf(out, cell) >= 3);
    const [node] = nodesOf(out, cell) as [string];
    freeze(node);
    assert.match(await lrdSays(call(out, EPOCHS, BOTH, '--on=slurm')), /^nothing to submit: (0 done, 2|1 done, 1) in the queue/); // prettier-ignore
    assert.match(await lrdSays(call(out, EPOCHS, BOTH, '--list')), new RegExp(`6  running +\\d+/60  mnist/adam/p=1/seed=1  ${node}, \\S+ left, job \\d+_6`)); // prettier-ignore
    await slurm.killNode(node);
    // As the controller finds out by itself after a few times SlurmdTimeout.
    slurm.slurm('scontrol', 'update', `nodename=${node}`, 'state=down', 'reason=lost');
    await until('both cells are done', () => allDone(out));
    assert.equal(nodesOf(out, cell), [node, node === 'node1' ? 'node2' : 'node1']);
    assert.match(logs(out), /goes on in epoch/);
    await sameBits(out, EPOCHS);
    assert.match(await lrdSays(call(out, EPOCHS, BOTH, '--list')), /2 finished$/m);
    slurm.startNode(node);
    await until('the node is back', () => slurm.idle().includes(node), 60);
  },
  { timeout: 290 },
);

onCluster(
  'cancelled and submitted again; the same cell twice; what fails ahead of its cell leaves word; a wrong call leaves nothing',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'again');
    const EPOCHS = 60;
    await lrdSays(call(out, EPOCHS, ONE, '--on=slurm'));
    const [cell] = planned(out) as [PlannedCell];
    await until('it runs', () => epochsOf(out, cell) >= 2);
    const [node] = nodesOf(out, cell) as [string];
    freeze(node);
    assert.match(await lrdSays(['table1', '--cancel', `--out=${out}`]), /cancelled 0 tasks that wait, 1 that run/);
    freeze(node, 'SIGCONT');
    await until('the queue is empty', () => queue().trim() === '');
    assert.match(logs(out), /stopped in epoch/);
    assert.match(await lrdSays(['table1', '--list', `--out=${out}`]), /^7  waiting/);
    assert.match(await lrdSays(['table1', '--cancel', `--out=${out}`]), /nothing to cancel/);
    assert.match(await lrdSays(call(out, EPOCHS, ONE, '--on=slurm')), /submitted 1 cells in 1 tasks/);
    // By hand, while the other runs.
    await until('it runs again', () => /RUNNING/.test(queue()));
    const script = readdirSync(join(out, 'slurm')).find((name) => /^table1.*\.sh$/.test(name)) as string;
    slurm.slurm('sbatch', '--array=7', join(out, 'slurm', script));
    // Meanwhile: tasks that fail.
    const failing = join(shared, 'failing');
    const prologue = join(scratch, 'prologue');
    writeFileSync(prologue, 'echo "no module of this name" >&2\nexit 7\n');
    await lrdSays(call(failing, 1, ONE, '--on=slurm', `--prologue=${prologue}`));
    await lrdSays(['fig7', '--seeds=1', '--only=p=1/', `--data-dir=${scratch}`, '--on=slurm', `--out=${failing}`, '--cells-per-task=100', '--backend=cpu']); // prettier-ignore
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
    await sameBits(out, EPOCHS);
    assert.is(new Store(out).result(cell)?.outcome, 'finished');
    assert.match(logs(out), /1 cells are run by other processes: waiting for them|1 of 1 cells done/);
    const listed = await lrdSays(call(failing, 1, ONE, '--list'));
    assert.match(
      listed,
      /7  failed +0\/1  mnist\/adam\/p=0.5\/seed=1  exit code 7 on node[12]: no module of this name/,
    );
    assert.match(await lrdSays(['fig7', '--seeds=1', '--only=p=1/', '--list', `--out=${failing}`]), /failed +0\/\d+ .*tiny-imagenet.* \(on node[12]\)/); // prettier-ignore
    // Once mended, the failed ones are submitted again.
    assert.match(
      await lrdSays(call(failing, 1, ONE, '--on=slurm', '--dry-run')),
      /1 cells in 1 tasks would be submitted/,
    );
  },
  { timeout: 290 },
);

onLong(
  'a time limit that is hit three times: checkpoint, requeue of this task alone, and the bits of an unbroken run',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'limit');
    const EPOCHS = 1500;
    await lrdSays(call(out, EPOCHS, ONE, '--on=slurm', '--', '--time=1', '--signal=B:USR2@10'));
    const [cell] = planned(out) as [PlannedCell];
    await until('done', () => allDone(out), 900);
    assert.ok(nodesOf(out, cell).length >= 4, `lives: ${nodesOf(out, cell).join(' ')}`);
    assert.ok((logs(out).match(/stopped in epoch/g)?.length ?? 0) >= 3);
    await sameBits(out, EPOCHS);
    assert.is(slurm.slurm('squeue', '--noheader').trim(), '');
  },
  { timeout: 1800 },
);

onLong(
  'preempted by a higher partition: checkpoint, requeued by Slurm, and the bits of an unbroken run; the controller dies on the way',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'preempted');
    const EPOCHS = 150;
    await lrdSays(call(out, EPOCHS, BOTH, '--on=slurm'));
    const cells = planned(out);
    await until('both run', () => cells.every((cell) => epochsOf(out, cell) >= 3));
    slurm.slurm('sbatch', '--partition=urgent', '--array=0-1', '--output=/dev/null', '--wrap=sleep 5');
    await until('both are requeued', () => /PENDING/.test(queue()) && (logs(out).match(/stopped in epoch/g)?.length ?? 0) >= 2); // prettier-ignore
    await slurm.killController();
    await pause(1000);
    slurm.startController();
    await until('done', () => allDone(out), 300);
    for (const cell of cells) assert.ok(nodesOf(out, cell).length >= 2);
    await sameBits(out, EPOCHS);
  },
  { timeout: 600 },
);

onLong(
  'a task that was ended before it could give its cell up owns it at once in its next life, on the other node',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'killed');
    const EPOCHS = 150;
    // No lapse could pass within the test.
    await lrdSays(call(out, EPOCHS, ONE, '--on=slurm'), { LRD_LAPSE_SECONDS: '100000' });
    const [cell] = planned(out) as [PlannedCell];
    await until('it runs', () => epochsOf(out, cell) >= 3);
    const [node] = nodesOf(out, cell) as [string];
    // Deaf to every signal but the last one.
    freeze(node);
    slurm.slurm('scontrol', 'update', `nodename=${node}`, 'state=drain', 'reason=test');
    slurm.slurm('scontrol', 'requeue', `${queue().split(' ')[0]}`);
    await until('done', () => allDone(out), 300);
    assert.equal(nodesOf(out, cell), [node, node === 'node1' ? 'node2' : 'node1']);
    await sameBits(out, EPOCHS);
    slurm.slurm('scontrol', 'update', `nodename=${node}`, 'state=resume');
  },
  { timeout: 600 },
);

onLong(
  'a node is lost and its run lives on: the next life waits until the orphan has ended, and there is one result',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'orphan');
    const EPOCHS = 400;
    await lrdSays(call(out, EPOCHS, ONE, '--on=slurm'), { LRD_LAPSE_SECONDS: '100000' });
    const [cell] = planned(out) as [PlannedCell];
    await until('it runs', () => epochsOf(out, cell) >= 3);
    const [node] = nodesOf(out, cell) as [string];
    slurm.orphanNode(node);
    // The controller finds out by itself.
    await until('the cluster has lost the node', () => /down|\*/.test(slurm.slurm('sinfo', '--noheader', '--Node', `--nodes=${node}`, '--format=%t')), 120); // prettier-ignore
    await until('done', () => allDone(out), 300);
    await until('the queue is empty', () => queue().trim() === '', 120);
    // The orphan ended it; who waited found the result.
    assert.equal(nodesOf(out, cell), [node]);
    assert.match(logs(out), /are run by other processes: waiting for them|1 of 1 cells done/);
    await sameBits(out, EPOCHS);
    slurm.startNode(node);
    await until('the node is back', () => slurm.idle().includes(node), 60);
  },
  { timeout: 600 },
);

onLong(
  'a node dies and nobody says so: the controller notices, the silent owner lapses, the other node goes on',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'silent');
    const EPOCHS = 300;
    await lrdSays(call(out, EPOCHS, ONE, '--on=slurm'), { LRD_LAPSE_SECONDS: '20' });
    const [cell] = planned(out) as [PlannedCell];
    await until('it runs', () => epochsOf(out, cell) >= 3);
    const [node] = nodesOf(out, cell) as [string];
    await slurm.killNode(node);
    await until('done', () => allDone(out), 400);
    assert.equal(nodesOf(out, cell), [node, node === 'node1' ? 'node2' : 'node1']);
    await sameBits(out, EPOCHS);
    slurm.startNode(node);
  },
  { timeout: 900 },
);

test.run();
