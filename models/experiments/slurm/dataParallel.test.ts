/** One network on two nodes of a real Slurm, started by `mpirun` in a batch job and by `srun` itself. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { AS_ROOT, launchers, missing } from '../../../conformance/harness/mpi.ts';
import { suite } from '../../../conformance/harness/suite.ts';
import { readRun } from '../../runs/runFolder.ts';
import { outcome, trainWords } from '../../runs/testing/command.ts';
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

const TRAIN =
  'fcnet --data digits --keep 0.5 --width 8 --limit 64 --batch-size 16 --epochs 2 --seed 3 --backend wasm --data-parallel';

onCluster(
  '[LRD-DIST-002] two nodes of Slurm train to the same bits, whether mpirun in a batch job or srun starts them',
  async () => {
    cluster = await startCluster({ folder: join(scratch, 'c'), nodes: 2, shared });
    const program = (out: string): string => quoted(trainWords([...TRAIN.split(' '), '--out', join(shared, out)]));
    const steps = [
      `'${found.get('Open MPI')}' ${program('mpirun')}`,
      ...(found.has('MPICH') ? [`LRD_MPI=libmpich.so.12 srun --mpi=pmi2 ${program('pmi2')}`] : []),
    ];
    const log = join(shared, 'log');
    const environment = Object.entries(AS_ROOT).map(([name, value]) => `export ${name}=${value}`);
    const script = ['set -e', ...environment, ...steps].join('\n');
    const options = ['--parsable', '--nodes=2', '--ntasks=2', `--output=${log}`, `--chdir=${process.cwd()}`];
    const job = cluster.slurm('sbatch', ...options, `--wrap=${script}`).trim();
    for (;;) {
      const state = /JobState=(\w+)/.exec(cluster.slurm('scontrol', 'show', 'job', job))?.[1] ?? '';
      if (!['PENDING', 'CONFIGURING', 'RUNNING', 'COMPLETING'].includes(state)) {
        assert.is(state, 'COMPLETED', readFileSync(log, 'utf8'));
        break;
      }
      await pause(200);
    }
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

test.run();
