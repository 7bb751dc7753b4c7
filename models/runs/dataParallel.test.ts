import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tensorflowMissing } from 'learning-rate-dropout/tensorflow';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { launchers, missing, startUnderMpi, underMpi } from '../../conformance/harness/mpi.ts';
import type { Ended, Mpi } from '../../conformance/harness/mpi.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { readArchive } from '../storage/safetensors.ts';
import { readRun } from './runFolder.ts';
import { complete, completeProgram, latest, outcome, trainWords } from './testing/command.ts';
import { drawVoc } from './testing/voc.ts';
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

/** A call of `lrd` among several, `models/cli/testing/several.ts`: its exit code and what stood on stderr. */
interface Said {
  readonly code: number;
  readonly stderr: string;
}

const several = fileURLToPath(new URL('../cli/testing/several.ts', import.meta.url));

/** The words of a program that does several `lrd train ARGS`. */
function severalWords(calls: readonly string[], ...more: readonly string[]): string[] {
  const trains = calls.map((args) => ['train', ...words(args), ...more]);
  return [process.execPath, ...FROM_SOURCE, several, JSON.stringify(trains), ...more];
}

/** What each of several calls said. */
function separate(stderr: string): Said[] {
  return [...stderr.matchAll(/^# \d+\n([^]*?)^= (\d+)$/gm)].map(([, text = '', code]) => ({
    code: Number(code),
    stderr: text,
  }));
}

/** Several `lrd train ARGS --data-parallel`, by the same processes. */
async function trainSeveral(kind: Mpi, ranks: number, calls: readonly string[]): Promise<Said[]> {
  const { code, stderr } = await underMpi({ kind, ranks, command: severalWords(calls, '--data-parallel') });
  assert.is(code, 0, stderr);
  const said = separate(stderr);
  assert.is(said.length, calls.length, stderr);
  return said;
}

/** As `trainSeveral`; all succeed. Returns what stood on stderr. */
async function succeedSeveral(kind: Mpi, ranks: number, calls: readonly string[]): Promise<string[]> {
  const said = await trainSeveral(kind, ranks, calls);
  for (const { code, stderr } of said) assert.is(code, 0, stderr);
  return said.map(({ stderr }) => stderr);
}

function train(kind: Mpi, ranks: number, args: string, environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return underMpi({ kind, ranks, command: trainWords([...words(args), '--data-parallel']), environment });
}

/** What the program itself said: `mpirun` has more to say of processes that fail. */
const saying = ({ stderr }: Ended): string[] => stderr.split('\n').filter((line) => line.startsWith('lrd: '));

const parameters = (run: string): [string, ArrayLike<number>][] =>
  [...readArchive(latest(run)).tensors]
    .filter(([name]) => /^(parameter|optimizer)\//.test(name))
    .map(([name, { values }]) => [name, values]);

/** The optimizer's record, without the numbers that networks of one process have in their variables' names. */
const isRecord = (name: string): boolean => name.endsWith('lrd/record');
const recordOf = (values: ArrayLike<number>): string =>
  Buffer.from(Int32Array.from(values).buffer)
    .toString()
    .trimEnd()
    .replaceAll(/"(\w+)_\d+\//g, '"$1/');

/** All of a run's checkpoint, bit for bit, and its metrics. */
function assertSame(run: string, expected: string): void {
  const [own, other] = [outcome(run), outcome(expected)];
  const plain = ({ tensors, metrics }: typeof own): unknown => [tensors.filter(([name]) => !isRecord(name)), metrics];
  assert.equal(plain(own), plain(other));
  const records = (path: string): unknown =>
    [...readArchive(latest(path)).tensors].flatMap(([name, { values }]) =>
      isRecord(name) ? [[name, recordOf(values)]] : [],
    );
  assert.equal(records(run), records(expected));
}

/** Equal but for rounding: metrics, parameters, and the optimizer's state, which may be as far apart as said. */
function assertNear(run: string, expected: string, apart = 2e-6): void {
  const figures = (path: string): number[] =>
    readRun(path).metrics.flatMap(({ trainLoss, testLoss, trainAccuracy, testAccuracy }) => [trainLoss, testLoss, trainAccuracy, testAccuracy]);
  const [a, b] = [figures(run), figures(expected)];
  assert.is(a.length, b.length);
  a.forEach((x, i) => assert.ok(Math.abs(x - (b[i] as number)) <= 1e-5 * Math.max(1, Math.abs(x)), `${x}, ${b[i]}`));
  const theirs = new Map(parameters(expected));
  for (const [name, values] of parameters(run)) {
    const other = theirs.get(name) as ArrayLike<number>;
    if (isRecord(name)) {
      assert.is(recordOf(values), recordOf(other));
      continue;
    }
    const far = Math.max(...Array.from(values, (x, i) => Math.abs(x - (other[i] as number))));
    assert.ok(far <= apart, `${name}: ${far}`);
  }
}

/** What one process trains, and what several do with the same call. */
const BATCH_69 = SMALL.replace('--batch-size 50', '--batch-size 69');
const DETECTION = `ssd300 --data voc --data-dir ${folder} --width 4 --keep 0.5 --lr 0.001 --batch-size 3 --epochs 1 --seed 5 --augment none --backend wasm`;
const SEGMENTATION = `pspnet --data voc --data-dir ${folder} --width 2 --keep 0.5 --lr 0.01 --batch-size 4 --epochs 1 --seed 5 --augment none --crop 49 --backend wasm`;
const NODE = SMALL.replace('--backend wasm', '--backend node');
const node = tensorflowMissing('node') === undefined;

/** Each process has had statistics of its own, and the checkpoint their mean. */
function assertAveraged(run: string): void {
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
}

const [one, uneven, alone, boxes] = ['one', 'uneven', 'alone', 'boxes'].map((name) => join(folder, name)) as [string, string, string, string];
let saidAlone = '';
test.before(async () => {
  await drawVoc(folder, 4);
  const calls = [`${SMALL} --out ${one}`, `${BATCH_69} --out ${uneven}`, `${DETECTION} --out ${boxes}`, `${SMALL} --data-parallel --out ${alone}`];
  const said = separate(await completeProgram(severalWords(calls)));
  assert.equal(
    said.map(({ code }) => code),
    calls.map(() => 0),
  );
  saidAlone = said.at(-1)?.stderr ?? '';
});

const openMpi = test.when(found.has('Open MPI'), missing('Open MPI'));
const mpich = test.when(found.has('MPICH'), missing('MPICH'));

/** What two processes of Open MPI say of each call. */
const CALLS: Readonly<Record<string, string>> = {
  small: SMALL,
  boxes: DETECTION,
  pixels: SEGMENTATION,
  magma: `fcnet --data digits --limit 40 --epochs 1 --backend wasm --width 4 --seed 1 --mask magma`,
  ...(node ? { node: NODE } : {}),
  webgpu: 'fcnet --data digits --backend webgpu',
  word: 'fcnet --data digits --batch-size x',
};
const two = (name: string): string => join(folder, 'two', name);
let ended: Promise<Map<string, Said>> | undefined;
const byTwo = (): Promise<Map<string, Said>> =>
  (ended ??= trainSeveral(
    'Open MPI',
    2,
    Object.entries(CALLS).map(([name, args]) => `${args} --out ${two(name)}`),
  ).then((said) => new Map(Object.keys(CALLS).map((name, index) => [name, said[index] as Said]))));
const saidOf = async (name: string): Promise<string> => {
  const { code, stderr } = (await byTwo()).get(name) as Said;
  assert.is(code, 0, stderr);
  return stderr;
};

openMpi(
  '[LRD-DIST-001] [LRD-DIST-010] two processes of Open MPI train what one does, but for rounding, and say how',
  async () => {
    assert.match(await saidOf('small'), /^2 processes over Open MPI [\d.]+: kept coordinates alone are reduced$/m);
    assertNear(two('small'), one);
    assert.is(readRun(two('small')).config.processes, 2);
    assert.is(readArchive(latest(two('small'))).metadata['processes'], '2');
  },
  { timeout: 180 },
);

openMpi(
  '[LRD-DIST-001] two processes train the SSD300 that one does',
  async () => {
    await saidOf('boxes');
    // Gradients are sums over up to 90,000 places of a picture.
    assertNear(two('boxes'), boxes, 2e-4);
  },
  { timeout: 180 },
);

openMpi(
  'two processes train a PSPNet, whose running statistics are averaged',
  async () => {
    await saidOf('pixels');
    const [metrics] = readRun(two('pixels')).metrics;
    for (const value of [metrics?.trainLoss, metrics?.testLoss, metrics?.meanIoU]) assert.ok(Number.isFinite(value));
    assertAveraged(two('pixels'));
  },
  { timeout: 180 },
);

openMpi.when(node, tensorflowMissing('node') ?? '')(
  '[LRD-DIST-001] two processes train on TensorFlow what one does on wasm',
  async () => {
    assert.match(await saidOf('node'), /kept coordinates alone are reduced$/m);
    assertNear(two('node'), one);
  },
  { timeout: 180 },
);

openMpi(
  '[LRD-DIST-006] a mask that depends on the gradient has it reduced whole, and the run says so',
  async () => {
    assert.match(
      await saidOf('magma'),
      /^2 processes over Open MPI [\d.]+: the whole gradient is reduced \(the mask of magma depends on the whole gradient\)$/m,
    );
  },
  { timeout: 180 },
);

mpich(
  '[LRD-DIST-001] four processes of MPICH do, one of which has no row in some batches; Adam reduces whole gradients and says so',
  async () => {
    const four = join(folder, 'four');
    const [, adam] = await succeedSeveral('MPICH', 4, [
      `${BATCH_69} --out ${four}`,
      `fcnet --data digits --optimizer adam --limit 40 --epochs 1 --backend cpu --width 4 --out ${join(folder, 'adam')}`,
    ]);
    assertNear(four, uneven);
    assert.match(
      adam as string,
      /^4 processes over MPICH [\d.]+: the whole gradient is reduced \(the second moment of adam is not linear in the gradient\)$/m,
    );
  },
  { timeout: 180 },
);

/** A network with batch normalisation, on a drawn CIFAR-10. */
const data = join(folder, 'cifar');
const NORMALISED = `resnet14 --data cifar10 --data-dir ${data} --width 1 --keep 0.5 --batch-size 8 --seed 5 --backend wasm`;

/** Which epoch a run's checkpoint is in. */
const epochOf = (run: string): number =>
  (JSON.parse(readArchive(latest(run)).metadata['position'] as string) as { epoch: number }).epoch;

/** A run of two processes of which one is killed behind a checkpoint. */
const dead = join(folder, 'dead');
let killing: Promise<void> | undefined;
const killed = (): Promise<void> => (killing ??= kill());
async function kill(): Promise<void> {
  const pids = join(folder, 'pid');
  const command = ['sh', '-c', `echo $$ > ${pids}-$OMPI_COMM_WORLD_RANK; exec "$@"`, 'sh'].concat(
    trainWords([...words(SMALL.replace('--epochs 2', '--epochs 4000')), '--data-parallel', '--out', dead]),
  );
  const { child, ended: over } = startUnderMpi({ kind: 'Open MPI', ranks: 2, command });
  while (!existsSync(latest(dead)) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
  process.kill(Number(readFileSync(`${pids}-1`, 'utf8')), 'SIGKILL');
  assert.is.not((await over).code, 0);
}

openMpi('a process that dies takes the others along, behind the last checkpoint', () => killed(), { timeout: 120 });

openMpi(
  '[LRD-DIST-008] a run that was stopped, or of which a process died, goes on to the same bits, running statistics too; saving at every step changes nothing',
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
    const { child, ended: over, stderr } = startUnderMpi({ kind: 'Open MPI', ranks: 2, command });
    while (!existsSync(latest(run)) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
    // mpirun passes this one on.
    child.kill('SIGUSR2');
    const end = await over;
    assert.is(end.code, 1, stderr());
    assert.match(
      saying(end).join('\n'),
      /^lrd: stopped in epoch \d+ after \d+ batches; go on with: lrd train --resume \S+$/,
    );
    const straight = join(folder, 'straight');
    await killed();
    const [epochs, died] = [epochOf(run), epochOf(dead)];
    await succeedSeveral('Open MPI', 2, [
      `--resume ${run} --epochs ${epochs}`,
      `${NORMALISED} --epochs ${epochs} --out ${straight}`,
      `--resume ${dead} --epochs ${died}`,
    ]);
    assertSame(run, straight);
    assertAveraged(run);
    assert.is(readRun(dead).metrics.length, died);
    // One process takes up the sum of the shares.
    const more = await complete(['--resume', run, '--epochs', String(epochs + 1)]);
    assert.match(more, /2 processes wrote the checkpoint, 1 go on: equal but for rounding/);
  },
  { timeout: 240 },
);

openMpi(
  'what is wrong with a call is one line, of process 0 alone, and nothing is written',
  async () => {
    const out = join(folder, 'wrong');
    const refused = async (args: string, code: number, environment?: Readonly<Record<string, string>>): Promise<string> => {
      const said = await train('Open MPI', 2, `${args} --out ${out}`, environment);
      assert.is(said.code, code, said.stderr);
      assert.not.ok(existsSync(out));
      const lines = saying(said);
      assert.is(lines.length, 1, said.stderr);
      return lines[0] as string;
    };
    for (const [name, line] of [
      ['webgpu', /^lrd: --backend must be cpu, wasm or node with --data-parallel, got webgpu: [^\n]*\n$/],
      ['word', /^lrd: --batch-size [^\n]*\n$/],
    ] as const) {
      const { code, stderr } = (await byTwo()).get(name) as Said;
      assert.is(code, 2, stderr);
      assert.match(stderr, line);
      assert.not.ok(existsSync(two(name)));
    }
    assert.is(
      await refused('fcnet --data digits --backend cpu --batch-size 1', 2),
      'lrd: --batch-size must be at least the number of processes, 2, got 1',
    );
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
    const said = await underMpi({
      kind: 'Open MPI',
      ranks: 1,
      command: [...trainWords([...common, '--lr', '0.1']), ':', '-np', '1', ...trainWords([...common, '--lr', '0.2'])],
    });
    assert.is(said.code, 2, said.stderr);
    assert.equal(saying(said), [
      'lrd: all processes must be started alike: learningRate is 0.1 on process 0 and 0.2 on process 1',
    ]);
    assert.not.ok(existsSync(out));
  },
  { timeout: 120 },
);

test('without mpirun one process says so and trains', () => {
  assert.match(saidAlone, /^--data-parallel: not started by mpirun: one process$/m);
  assertSame(alone, one);
});

test.run();
