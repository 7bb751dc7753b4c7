/**
 * One network on two nodes of a real Slurm, started by `mpirun` in a batch job and by `srun` itself. `LRD_SLURM=1` adds the time limit, which takes minutes
 * since Slurm counts in them.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { AS_ROOT, launchers, missing } from '../../../conformance/harness/mpi.ts';
import { suite } from '../../../conformance/harness/suite.ts';
import { readRun } from '../../runs/runFolder.ts';
import { latest, outcome, trainWords } from '../../runs/testing/command.ts';
import type { Cluster } from '../testing/cluster.ts';
import { startCluster, whyNoCluster } from '../testing/cluster.ts';

const why = whyNoCluster();
const found = launchers();
const test = suite('models/experiments/slurm/dataParallel');
const onCluster = test.when(why === undefined, why ?? '').when(found.has('Open MPI'), missing('Open MPI'));
const scratch = mkdtempSync(join(tmpdir(), 'lrd-mpi-'));
const shared = join(scratch, 'shared');
mkdirSync(shared);

let cluster: Cluster | undefined;
test.after(async () => {
  await cluster?.down();
  rmSync(scratch, { recursive: true, force: true });
});

/** A program's words for a shell. */
const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');

async function theCluster(): Promise<Cluster> {
  return (cluster ??= await startCluster({ folder: join(scratch, 'c'), nodes: 2, shared }));
}

/** Submits a script for both nodes. Returns the job's number. */
function submit(script: readonly string[], log: string, ...options: readonly string[]): string {
  const environment = Object.entries(AS_ROOT).map(([name, value]) => `export ${name}=${value}`);
  const own = ['--parsable', '--nodes=2', '--ntasks=2', `--output=${log}`, `--chdir=${process.cwd()}`, ...options];
  return (cluster as Cluster).slurm('sbatch', ...own, `--wrap=${[...environment, ...script].join('\n')}`).trim();
}

/** How the job has ended, in Slurm's words. */
async function endOf(job: string): Promise<string> {
  for (;;) {
    const state = /JobState=(\w+)/.exec((cluster as Cluster).slurm('scontrol', 'show', 'job', job))?.[1] ?? '';
    if (!['PENDING', 'CONFIGURING', 'RUNNING', 'COMPLETING'].includes(state)) return state;
    await pause(200);
  }
}

const TRAIN =
  'fcnet --data digits --keep 0.5 --width 8 --limit 64 --batch-size 16 --epochs 2 --seed 3 --backend wasm --data-parallel';

onCluster(
  '[LRD-DIST-002] two nodes of Slurm train to the same bits, whether mpirun in a batch job or srun starts them',
  async () => {
    await theCluster();
    const program = (out: string): string => quoted(trainWords([...TRAIN.split(' '), '--out', join(shared, out)]));
    const steps = [
      `'${found.get('Open MPI')}' ${program('mpirun')}`,
      ...(found.has('MPICH') ? [`LRD_MPI=libmpich.so.12 srun --mpi=pmi2 ${program('pmi2')}`] : []),
    ];
    const log = join(shared, 'log');
    assert.is(await endOf(submit(['set -e', ...steps], log)), 'COMPLETED', readFileSync(log, 'utf8'));
    const said = readFileSync(log, 'utf8').match(/^2 processes over (?:Open MPI|MPICH) .*$/gm);
    assert.is(said?.length, steps.length, said?.join('\n'));
    const runs = ['mpirun', ...(found.has('MPICH') ? ['pmi2'] : [])].map((name) => join(shared, name));
    const [first] = runs.map((run) => outcome(run));
    for (const run of runs) {
      assert.is(readRun(run).config.processes, 2);
      // Of two summands the order is no matter.
      assert.equal(outcome(run), first);
    }
  },
  { timeout: 240 },
);

onCluster.when(process.env['LRD_SLURM'] === '1', 'a part of the long proof, LRD_SLURM=1')(
  'a time limit: USR2 ahead of it stops both nodes behind the same step, as the README has it, and the next job goes on',
  async () => {
    const slurm = await theCluster();
    const out = join(shared, 'limit');
    const launch = (args: readonly string[]): string[] => [
      `'${found.get('Open MPI')}' ${quoted(trainWords([...args, '--data-parallel']))} &`,
      `trap 'kill -USR2 $!' USR2`,
      'wait; wait',
    ];
    const log = join(shared, 'limit.log');
    const words = TRAIN.replace('--epochs 2', '--epochs 1000000').replace(' --data-parallel', '').split(' ');
    const job = submit(
      launch([...words, '--checkpoint-seconds', '0', '--out', out]),
      log,
      '--time=60',
      '--signal=B:USR2@10',
    );
    while (!existsSync(latest(out))) await pause(100);
    // Whatever it took to get here, half a minute is left.
    const [, minutes = '0', seconds = '0'] =
      /^(?:.*:)?(\d+):(\d+)$/.exec(slurm.slurm('squeue', '--noheader', `--jobs=${job}`, '--format=%M').trim()) ?? [];
    slurm.slurm(
      'scontrol',
      'update',
      `jobid=${job}`,
      `timelimit=${Number(minutes) + Math.ceil((Number(seconds) + 30) / 60)}`,
    );
    await endOf(job);
    const said = readFileSync(log, 'utf8');
    assert.match(said, /^stopping after this step; go on with: lrd train --resume \S+$/m);
    assert.match(said, /^lrd: stopped in epoch \d+ after \d+ batches; go on with: lrd train --resume \S+$/m);
    assert.is(said.match(/stopping after this step/g)?.length, 1, said);
    const { length } = readRun(out).metrics;
    const next = submit(launch(['--resume', out, '--epochs', String(length + 2)]), `${log}2`);
    await endOf(next);
    assert.is(readRun(out).metrics.length, length + 2, readFileSync(`${log}2`, 'utf8'));
  },
  { timeout: 600 },
);

test.run();
