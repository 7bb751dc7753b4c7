import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { launchers, missing, startUnderMpi, underMpi } from '../../conformance/harness/mpi.ts';
import type { Ended, Mpi } from '../../conformance/harness/mpi.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { readArchive } from '../storage/safetensors.ts';
import { readRun } from './runFolder.ts';
import { complete, latest, outcome, trainWords } from './testing/command.ts';
import { drawCifar10 } from './testing/cifar.ts';

const test = suite('models/runs/dataParallel');
const found = launchers();
const folder = mkdtempSync(join(tmpdir(), 'lrd-data-parallel-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

/** Batches of 50 rows, the last one of 10: uneven for four. Everything random in a step is drawn by the row's place in the batch. */
const SMALL =
  'fcnet --data digits --keep 0.5 --width 32 --limit 210 --batch-size 50 --seed 3 --epochs 2 --backend wasm ' +
  '--regularizer noisy-labels:0.2 --regularizer standard-dropout:0.8 --weight-decay 0.001 --nesterov';
const words = (text: string): string[] => text.split(' ');

function train(kind: Mpi, ranks: number, args: string, environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return underMpi({ kind, ranks, command: trainWords([...words(args), '--data-parallel']), environment });
}

async function succeed(kind: Mpi, ranks: number, args: string): Promise<string> {
  const { code, stderr } = await train(kind, ranks, args);
  assert.is(code, 0, stderr);
  return stderr;
}

/** What the program itself said: `mpirun` has more to say of processes that fail. */
const saying = ({ stderr }: Ended): string[] => stderr.split('\n').filter((line) => line.startsWith('lrd: '));

const parameters = (run: string): [string, ArrayLike<number>][] =>
  [...readArchive(latest(run)).tensors]
    .filter(([name]) => /^(parameter|optimizer)\//.test(name))
    .map(([name, { values }]) => [name, values]);

/** Equal but for rounding: metrics, parameters, and the optimizer's state. */
function assertNear(run: string, expected: string): void {
  const figures = (path: string): number[] =>
    readRun(path).metrics.flatMap(({ trainLoss, testLoss, trainAccuracy, testAccuracy }) => [trainLoss, testLoss, trainAccuracy, testAccuracy]);
  const [a, b] = [figures(run), figures(expected)];
  assert.is(a.length, b.length);
  a.forEach((x, i) => assert.ok(Math.abs(x - (b[i] as number)) <= 1e-5 * Math.max(1, Math.abs(x)), `${x}, ${b[i]}`));
  const theirs = new Map(parameters(expected));
  for (const [name, values] of parameters(run)) {
    const other = theirs.get(name) as ArrayLike<number>;
    const far = Math.max(...Array.from(values, (x, i) => Math.abs(x - (other[i] as number))));
    assert.ok(far <= 2e-6, `${name}: ${far}`);
  }
}

const one = join(folder, 'one');
test.before(() => complete([...words(SMALL), '--out', one]).then(() => undefined));

const openMpi = test.when(found.has('Open MPI'), missing('Open MPI'));
const mpich = test.when(found.has('MPICH'), missing('MPICH'));

const two = join(folder, 'two');
openMpi(
  '[LRD-DIST-001] two processes of Open MPI train what one does, but for rounding, and say how',
  async () => {
    const said = await succeed('Open MPI', 2, `${SMALL} --out ${two}`);
    assert.match(said, /^2 processes over Open MPI [\d.]+: kept coordinates alone are reduced$/m);
    assertNear(two, one);
    assert.is(readRun(two).config.processes, 2);
    assert.is(readArchive(latest(two)).metadata['processes'], '2');
  },
  { timeout: 120 },
);

mpich(
  '[LRD-DIST-001] four processes of MPICH do, one of which has no row in some batches; Adam reduces whole gradients and says so',
  async () => {
    const four = join(folder, 'four');
    await succeed('MPICH', 4, `${SMALL} --batch-size 69 --out ${four}`.replace('--batch-size 50 ', ''));
    const expected = join(folder, 'expected');
    await complete([...words(SMALL.replace('--batch-size 50 ', '--batch-size 69 ')), '--out', expected]);
    assertNear(four, expected);
    const adam = await succeed('MPICH', 4, `fcnet --data digits --optimizer adam --limit 40 --epochs 1 --backend cpu --width 4 --out ${join(folder, 'adam')}`);
    assert.match(adam, /^4 processes over MPICH [\d.]+: the whole gradient is reduced \(the second moment of adam is not linear in the gradient\)$/m);
  },
  { timeout: 180 },
);

/** A network with batch normalisation, on a drawn CIFAR-10. */
const data = join(folder, 'cifar');
const NORMALISED = `resnet14 --data cifar10 --data-dir ${data} --width 1 --keep 0.5 --batch-size 8 --seed 5 --backend wasm`;

openMpi(
  '[LRD-DIST-008] a run that was stopped goes on to the same bits, running statistics too; saving at every step changes nothing',
  async () => {
    drawCifar10(data, 25, 8);
    const run = join(folder, 'stopped');
    const command = trainWords([
      ...words(`${NORMALISED} --epochs 400`),
      '--checkpoint-seconds',
      '0',
      '--data-parallel',
      '--out',
      run,
    ]);
    const { child, ended, stderr } = startUnderMpi({ kind: 'Open MPI', ranks: 2, command });
    while (!existsSync(latest(run)) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
    // mpirun passes this one on.
    child.kill('SIGUSR2');
    const end = await ended;
    assert.is(end.code, 1, stderr());
    assert.match(
      saying(end).join('\n'),
      /^lrd: stopped in epoch \d+ after \d+ batches; go on with: lrd train --resume \S+$/,
    );
    const { epoch } = JSON.parse(readArchive(latest(run)).metadata['position'] as string) as { epoch: number };
    const straight = join(folder, 'straight');
    await succeed('Open MPI', 2, `--resume ${run} --epochs ${epoch}`);
    await succeed('Open MPI', 2, `${NORMALISED} --epochs ${epoch} --out ${straight}`);
    assert.equal(outcome(run), outcome(straight));
    const { tensors } = readArchive(latest(run));
    const names = [...tensors.keys()].filter((name) => name.startsWith('statistic/'));
    assert.ok(names.length > 0);
    let differ = 0;
    for (const name of names) {
      const [mean, a, b] = [name, `process/0/${name}`, `process/1/${name}`].map((key) => tensors.get(key)?.values) as [
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      mean.forEach((x, i) => {
        assert.is(x, Math.fround(((a[i] as number) + (b[i] as number)) / 2), name);
        if (a[i] !== b[i]) differ += 1;
      });
    }
    assert.ok(differ > 0, 'each process has batches of its own');
    // One process takes up the sum of the shares.
    const more = await complete(['--resume', run, '--epochs', String(epoch + 1)]);
    assert.match(more, /2 processes wrote the checkpoint, 1 go on: equal but for rounding/);
  },
  { timeout: 240 },
);

openMpi(
  'a process that dies takes the others along, behind the last checkpoint, from which the run goes on',
  async () => {
    const run = join(folder, 'killed');
    const pids = join(folder, 'pid');
    const command = ['sh', '-c', `echo $$ > ${pids}-$OMPI_COMM_WORLD_RANK; exec "$@"`, 'sh'].concat(
      trainWords([...words(SMALL.replace('--epochs 2', '--epochs 4000')), '--data-parallel', '--out', run]),
    );
    const { child, ended } = startUnderMpi({ kind: 'Open MPI', ranks: 2, command });
    while (!existsSync(latest(run)) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
    process.kill(Number(readFileSync(`${pids}-1`, 'utf8')), 'SIGKILL');
    assert.is.not((await ended).code, 0);
    const { epoch } = JSON.parse(readArchive(latest(run)).metadata['position'] as string) as { epoch: number };
    await succeed('Open MPI', 2, `--resume ${run} --epochs ${epoch}`);
    assert.is(readRun(run).metrics.length, epoch);
  },
  { timeout: 120 },
);

openMpi(
  'what is wrong with a call is one line, of process 0 alone, and nothing is written',
  async () => {
    const out = join(folder, 'wrong');
    const refused = async (args: string, code: number, environment?: Readonly<Record<string, string>>): Promise<string> => {
      const ended = await train('Open MPI', 2, `${args} --out ${out}`, environment);
      assert.is(ended.code, code, ended.stderr);
      assert.not.ok(existsSync(out));
      const lines = saying(ended);
      assert.is(lines.length, 1, ended.stderr);
      return lines[0] as string;
    };
    assert.is(
      await refused('fcnet --data digits --backend cpu --batch-size 1', 2),
      'lrd: --batch-size must be at least the number of processes, 2, got 1',
    );
    assert.match(await refused('fcnet --data digits --backend webgpu', 2), /^lrd: --backend must be cpu, wasm or node with --data-parallel, got webgpu: /);
    assert.match(await refused('fcnet --data digits --batch-size x', 2), /^lrd: --batch-size /);
    assert.match(
      await refused('fcnet --data digits', 1, { LRD_MPI: 'libnothing.so' }),
      /^lrd: --data-parallel: the MPI library libnothing\.so does not load .*; install Open MPI or MPICH/,
    );
  },
  { timeout: 120 },
);

openMpi(
  'processes that were started differently are told apart before the first step',
  async () => {
    const out = join(folder, 'different');
    const common = words(`fcnet --data digits --limit 50 --epochs 1 --seed 1 --width 4 --backend cpu --data-parallel --out ${out}`);
    const ended = await underMpi({
      kind: 'Open MPI',
      ranks: 1,
      command: [...trainWords([...common, '--lr', '0.1']), ':', '-np', '1', ...trainWords([...common, '--lr', '0.2'])],
    });
    assert.is(ended.code, 2, ended.stderr);
    assert.equal(saying(ended), [
      'lrd: all processes must be started alike: learningRate is 0.1 on process 0 and 0.2 on process 1',
    ]);
    assert.not.ok(existsSync(out));
  },
  { timeout: 120 },
);

test('without mpirun one process says so and trains', async () => {
  const alone = join(folder, 'alone');
  const said = await complete([...words(SMALL), '--data-parallel', '--out', alone]);
  assert.match(said, /^--data-parallel: not started by mpirun: one process$/m);
  assert.equal(outcome(alone), outcome(one));
});

test.run();
