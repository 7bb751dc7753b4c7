/**
 * One network on several processes under `mpirun`. `npm test` has a slice in which the same processes train as much as can be: starting one costs more than
 * a small run. `LRD_DATA_PARALLEL=1 npm run -s ts -- models/runs/dataParallel.test.ts` is the long proof, with kills, Ctrl-C and calls that differ.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tensorflowMissing } from 'learning-rate-dropout/tensorflow';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { launchers, missing, startUnderMpi, underMpi } from '../../conformance/harness/mpi.ts';
import type { Ended, Mpi, Running } from '../../conformance/harness/mpi.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { readArchive } from '../storage/safetensors.ts';
import { readRun } from './runFolder.ts';
import { completeProgram, latest, outcome, trainWords } from './testing/command.ts';
import { drawVoc } from './testing/voc.ts';
import { drawCifar10 } from './testing/cifar.ts';

const LONG = process.env['LRD_DATA_PARALLEL'] === '1';
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
const isLong = 'a part of the long proof, LRD_DATA_PARALLEL=1';

/** A network with batch normalisation, on a drawn CIFAR-10. */
const data = join(folder, 'cifar');
const NORMALISED = `resnet14 --data cifar10 --data-dir ${data} --width 1 --keep 0.5 --batch-size 8 --seed 5 --backend wasm`;

/** What two processes of Open MPI say of each call; they are told to stop in the last one. */
const CALLS: Readonly<Record<string, string>> = {
  small: SMALL,
  boxes: DETECTION,
  pixels: SEGMENTATION,
  magma: `fcnet --data digits --limit 40 --epochs 1 --backend wasm --width 4 --seed 1 --mask magma`,
  ...(node ? { node: NODE } : {}),
  webgpu: 'fcnet --data digits --backend webgpu',
  word: 'fcnet --data digits --batch-size x',
  batch: 'fcnet --data digits --backend cpu --batch-size 1',
  different: 'fcnet --data digits --limit 50 --epochs 1 --seed 1 --width 4 --backend cpu --lr 0.1',
  stopped: `${NORMALISED} --epochs 400 --checkpoint-seconds 0`,
};
const two = (name: string): string => join(folder, 'two', name);
const callsOf = (change: (args: string) => string = (args) => args): string[] =>
  Object.entries(CALLS).map(([name, args]) => `${name === 'different' ? change(args) : args} --out ${two(name)}`);

/** Waits for a file that a program writes, or the program's end. */
async function written(path: string, { child }: Running): Promise<void> {
  while (!existsSync(path) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 10));
}

let ended: Promise<Map<string, Said>> | undefined;
async function trainByTwo(): Promise<Map<string, Said>> {
  drawCifar10(data, 25, 8);
  const other = severalWords(callsOf((args) => args.replace('--lr 0.1', '--lr 0.2')), '--data-parallel');
  const command = [...severalWords(callsOf(), '--data-parallel'), ':', '-np', '1', ...other];
  const running = startUnderMpi({ kind: 'Open MPI', ranks: 1, command });
  await written(latest(two('stopped')), running);
  // mpirun passes this one on.
  running.child.kill('SIGUSR2');
  await running.ended;
  const said = separate(running.stderr());
  assert.is(said.length, Object.keys(CALLS).length, running.stderr());
  return new Map(Object.keys(CALLS).map((name, index) => [name, said[index] as Said]));
}
const byTwo = (): Promise<Map<string, Said>> => (ended ??= trainByTwo());
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

/** Which epoch a run's checkpoint is in. */
const epochOf = (run: string): number =>
  (JSON.parse(readArchive(latest(run)).metadata['position'] as string) as { epoch: number }).epoch;

/** A program for `mpirun` whose processes write their numbers to files. */
function numbered(command: readonly string[]): { readonly command: string[]; readonly pidOf: (rank: number) => number } {
  const pids = mkdtempSync(join(folder, 'pids-'));
  return {
    command: ['sh', '-c', `echo $$ > '${pids}'/\${OMPI_COMM_WORLD_RANK:-$PMI_RANK}; exec "$@"`, 'sh', ...command],
    pidOf: (rank) => Number(readFileSync(join(pids, String(rank)), 'utf8')),
  };
}

openMpi(
  '[LRD-DIST-008] a run that was stopped, or of which a process was killed, goes on to the same bits, running statistics too; saving at every step changes nothing',
  async () => {
    const run = two('stopped');
    const { code, stderr } = (await byTwo()).get('stopped') as Said;
    assert.is(code, 1, stderr);
    assert.match(stderr, /^stopping after this step; go on with: lrd train --resume \S+$/m);
    assert.match(stderr, /^lrd: stopped in epoch \d+ after \d+ batches; go on with: lrd train --resume \S+$/m);
    const [straight, dead] = [join(folder, 'straight'), join(folder, 'dead')];
    const epochs = epochOf(run);
    const calls = [
      `--resume ${run} --epochs ${epochs}`,
      `${NORMALISED} --epochs ${epochs} --out ${straight}`,
      `${SMALL.replace('--epochs 2', '--epochs 4000')} --out ${dead}`,
    ];
    const { command, pidOf } = numbered(severalWords(calls, '--data-parallel'));
    const running = startUnderMpi({ kind: 'Open MPI', ranks: 2, command });
    await written(latest(dead), running);
    // A process that dies takes the others along.
    process.kill(pidOf(1), 'SIGKILL');
    assert.is.not((await running.ended).code, 0);
    assert.equal(
      separate(running.stderr()).map((call) => call.code),
      [0, 0],
      running.stderr(),
    );
    assertSame(run, straight);
    assertAveraged(run);
    // One process takes up the sum of the shares.
    const died = epochOf(dead);
    const alone = [`--resume ${run} --epochs ${epochs + 1}`, `--resume ${dead} --epochs ${died}`];
    const said = separate(await completeProgram(severalWords(alone)));
    for (const call of said) {
      assert.is(call.code, 0, call.stderr);
      assert.match(call.stderr, /2 processes wrote the checkpoint, 1 go on: equal but for rounding/);
    }
    assert.equal([readRun(run).metrics.length, readRun(dead).metrics.length], [epochs + 1, died]);
  },
  { timeout: 240 },
);

openMpi('what is wrong with a call is one line, of process 0 alone, and nothing is written', async () => {
  for (const [name, line] of [
    ['webgpu', /^lrd: --backend must be cpu, wasm or node with --data-parallel, got webgpu: [^\n]*\n$/],
    ['word', /^lrd: --batch-size [^\n]*\n$/],
    ['batch', /^lrd: --batch-size must be at least the number of processes, 2, got 1\n$/],
    ['different', /^lrd: all processes must be started alike: learningRate is 0\.1 on process 0 and 0\.2 on process 1\n$/],
  ] as const) {
    const { code, stderr } = (await byTwo()).get(name) as Said;
    assert.is(code, 2, stderr);
    assert.match(stderr, line);
    assert.not.ok(existsSync(two(name)));
  }
});

const KINDS: readonly Mpi[] = ['Open MPI', 'MPICH'];
const WRONG = 'fcnet --data digits --limit 50 --epochs 1 --seed 1 --width 4 --backend cpu --data-parallel';
/** Given to Node: a version of its own, no koffi. */
const OTHER_NODE = "data:text/javascript,Object.defineProperty(process,'version',{value:'v1.2.3'})";
const NO_KOFFI = `data:text/javascript,${encodeURIComponent(
  `import { register } from 'node:module';
   const hooks = "export const resolve = (name, context, next) => { if (name === 'koffi') throw Object.assign(new Error(''), { code: 'ERR_MODULE_NOT_FOUND' }); return next(name, context); };";
   register('data:text/javascript,' + encodeURIComponent(hooks));`,
)}`;

for (const kind of KINDS) {
  const long = test.when(found.has(kind), missing(kind)).when(LONG, isLong);

  long(
    `${kind}: processes that cannot train together say so in one line, before anything is written`,
    async () => {
      const out = join(folder, `wrong ${kind}`);
      const program = trainWords([...words(WRONG), '--out', out]);
      const [own, ...rest] = program as [string, ...string[]];
      const says = async (command: readonly string[], code: number, line: RegExp, ranks = 2, library?: string): Promise<void> => {
        const environment = library === undefined ? {} : { LRD_MPI: library };
        const said = await underMpi({ kind, ranks, command, environment });
        assert.is(said.code, code, said.stderr);
        const lines = saying(said);
        assert.is(lines.length, 1, said.stderr);
        assert.match(lines[0] as string, line);
        assert.not.match(said.stderr, /^\s+at /m);
        assert.not.ok(existsSync(out));
      };
      const getIt = '; install Open MPI or MPICH \\(Debian: apt install openmpi-bin, or mpich\\), or name its library in LRD_MPI$';
      await says(program, 1, new RegExp(`^lrd: --data-parallel: the MPI library libnothing\\.so does not load .*${getIt}`), 2, 'libnothing.so');
      await says(program, 1, new RegExp(`^lrd: --data-parallel: the MPI library libm\\.so\\.6 does not load .*MPI_Get_library_version.*${getIt}`), 2, 'libm.so.6');
      await says([own, '--import', NO_KOFFI, ...rest], 1, /^lrd: --data-parallel: MPI needs koffi, which is not installed: npm install koffi@\S+$/);
      await says([...program, ':', '-np', '1', own, '--import', OTHER_NODE, ...rest], 2, /^lrd: all processes must be started alike: node is "v\S+" on process 0 and "v1\.2\.3" on process 1$/, 1);
      await says([...program, ':', '-np', '1', ...program.map((word) => (word === '50' ? '51' : word))], 2, /^lrd: all processes must be started alike: limit is 50 on process 0 and 51 on process 1$/, 1);
      await says([...program, '--batch-size', '3'], 2, /^lrd: --batch-size must be at least the number of processes, 4, got 3$/, 4);
    },
    { timeout: 400 },
  );

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    const how = signal === 'SIGKILL' ? 'a process is killed' : `mpirun gets ${signal}`;
    long(
      `[LRD-DIST-008] ${kind}: ${how}: all end, and go on to the bits of an unbroken run`,
      async () => {
        const [run, straight] = [join(folder, `${kind} ${signal}`), join(folder, `${kind} ${signal} straight`)];
        const { command, pidOf } = numbered(
          trainWords([...words(`${SMALL.replace('--epochs 2', '--epochs 4000')} --checkpoint-seconds 0 --data-parallel`), '--out', run]),
        );
        const running = startUnderMpi({ kind, ranks: 2, command });
        await written(latest(run), running);
        const pids = [0, 1].map(pidOf);
        if (signal === 'SIGKILL') process.kill(pids[1] as number, signal);
        else running.child.kill(signal);
        await running.ended;
        const said = running.stderr().split('\n').filter((line) => /^(?:lrd: |stopping )/.test(line));
        if (signal === 'SIGKILL') assert.equal(said, []);
        else assert.match(said.join('\n'), kind === 'MPICH' ? /^stopping after this step\nlrd: stopped in epoch \d+ after \d+ batches; go on with: lrd train --resume .*$/ : /^stopping after this step; go on with: lrd train --resume .*(?:\nlrd: stopped .*)?$/);
        for (const pid of pids) while (existsSync(`/proc/${pid}`)) await new Promise((resolve) => setTimeout(resolve, 20));
        const epochs = epochOf(run);
        for (const args of [
          ['--resume', run, '--epochs', String(epochs)],
          [...words(SMALL.replace('--epochs 2', `--epochs ${epochs}`)), '--out', straight],
        ]) {
          const end = await underMpi({ kind, ranks: 2, command: trainWords([...args, '--data-parallel']) });
          assert.is(end.code, 0, end.stderr);
        }
        assertSame(run, straight);
      },
      { timeout: 300 },
    );
  }
}

test('without mpirun one process says so and trains', () => {
  assert.match(saidAlone, /^--data-parallel: not started by mpirun: one process$/m);
  assertSame(alone, one);
});

test.run();
