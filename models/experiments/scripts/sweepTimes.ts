/**
 * What sweeps cost beside the training, on a real Slurm of two nodes on this machine (root, Debian's `slurm-wlm` and `munge`):
 *
 *     npm run build && npm run -s ts -- models/experiments/scripts/sweepTimes.ts
 *
 * Submitting 1,000 cells, listing them as they wait and as they are done, and the idle time between two cells of a task. The program is the built
 * one, in a process of its own each time. A bound is printed with `kept` or `MISSED`, and MISSED gives exit code 1; beside it stands the processor's
 * time, which is what a busy machine does not change much.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readPlan } from '../plan.ts';
import { Store } from '../store.ts';
import { startCluster, whyNoCluster } from '../testing/cluster.ts';

const program = fileURLToPath(new URL('../../dist/models/cli/lrd.js', import.meta.url));
const why = existsSync(program) ? whyNoCluster() : 'the program is not built: npm run build';
if (why !== undefined) throw new Error(why);

/** Of a paper's size, times 20 seeds. */
const ARMS = 50;
const SEEDS = 20;
const CELLS = ARMS * SEEDS;
/** Of each cell that is done: a line of metrics an epoch. */
const EPOCHS = 100;
const scratch = mkdtempSync(join(tmpdir(), 'lrd-times-'));
const cluster = await startCluster({ folder: join(scratch, 'c'), nodes: 2 });

/** A call that was timed. */
interface Timed {
  readonly stdout: string;
  /** By the wall's clock. */
  readonly seconds: number;
  /** On a processor, the program's own. */
  readonly processor: number;
}

/** Lets the program say at its end how long it was on a processor. */
const WITH_TIMES = [
  '--import',
  "data:text/javascript,process.on('exit',()=>{const{user,system}=process.cpuUsage();process.stderr.write('processor '+(user+system))})",
];

/** `lrd experiment ARGS` in a process of its own. */
function lrd(...args: readonly string[]): Timed {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [...WITH_TIMES, program, 'experiment', ...args], { encoding: 'utf8', env: cluster.env, maxBuffer: 1 << 28 }); // prettier-ignore
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
  return { stdout, seconds, processor: Number(/processor (\d+)$/.exec(stderr)?.[1]) / 1e6 };
}

function say(what: string, { seconds, processor }: Pick<Timed, 'seconds'> & Partial<Timed>, bound: number): void {
  const kept = seconds < bound;
  if (!kept) process.exitCode = 1;
  const busy = processor === undefined ? '' : `, ${processor.toFixed(2)} s on a processor`;
  console.log(
    `${what.padEnd(58)} ${seconds.toFixed(2).padStart(6)} s${busy}, below ${bound} s: ${kept ? 'kept' : 'MISSED'}`,
  );
}

/** The slower of two calls: the first reads what the machine has not in memory. */
function twice(what: string, bound: number, args: readonly string[], expected: RegExp): void {
  const calls = [lrd(...args), lrd(...args)];
  for (const { stdout } of calls) {
    if (!expected.test(stdout)) throw new Error(`${what}: ${stdout.slice(-300)}`);
  }
  say(
    what,
    calls.reduce((slower, call) => (call.seconds > slower.seconds ? call : slower)),
    bound,
  );
}

/** When a file was last written, in seconds. */
const writtenAt = (...path: readonly string[]): number => statSync(join(...path)).mtimeMs / 1000;

/** Seconds between the last epoch of a cell and the beginning of the next run, of the cells that one task runs. */
function idleTimes(out: string, ...settings: readonly string[]): readonly number[] {
  lrd(
    'table1',
    '--only=^mnist/(sgdm|adam)/',
    ...settings,
    '--epochs=2',
    '--width=16',
    '--backend=wasm',
    `--out=${out}`,
  );
  const runs = readdirSync(join(out, 'cells')).map((name) => join(out, 'cells', name, 'run'));
  const spans = runs.map((run) => ({ begun: writtenAt(run, 'config.json'), ended: writtenAt(run, 'metrics.jsonl') }));
  spans.sort((a, b) => a.begun - b.begun);
  return spans.slice(1).map(({ begun }, k) => begun - (spans[k]?.ended ?? 0));
}

/** Files of MNIST's names and sizes, of noise. */
function noise(folder: string): string {
  mkdirSync(join(folder, 'mnist'), { recursive: true });
  for (const [prefix, count] of [
    ['train', 60_000],
    ['t10k', 10_000],
  ] as const) {
    const head = (...words: readonly number[]): Buffer => Buffer.from(words.flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255])); // prettier-ignore
    const bytes = (size: number, most: number): Buffer => Buffer.from(Uint8Array.from({ length: size }, (_, k) => (k * 2_654_435_761) % most)); // prettier-ignore
    writeFileSync(join(folder, 'mnist', `${prefix}-images-idx3-ubyte`), Buffer.concat([head(0x803, count, 28, 28), bytes(count * 784, 251)])); // prettier-ignore
    writeFileSync(join(folder, 'mnist', `${prefix}-labels-idx1-ubyte`), Buffer.concat([head(0x801, count), bytes(count, 10)])); // prettier-ignore
  }
  return folder;
}

try {
  console.log(`load average ${(loadavg()[0] as number).toFixed(1)} on ${availableParallelism()} cores`);
  const out = join(scratch, 'sweep');
  const file = join(scratch, 'thousand.json');
  const arms = Array.from({ length: ARMS }, (_, k) => ({ id: `lr=${(k + 1) / 1000}`, settings: { learningRate: (k + 1) / 1000 } })); // prettier-ignore
  const settings = { recipe: 'fcnet', data: 'digits', optimizer: 'adam', epochs: EPOCHS };
  writeFileSync(
    file,
    JSON.stringify({ version: 1, name: 'thousand', title: 'A thousand', seeds: SEEDS, settings, arms }),
  );
  const call = [file, `--out=${out}`];
  const submitted = lrd(...call, '--on=slurm', '--', '--hold');
  if (!submitted.stdout.startsWith(`submitted ${CELLS} cells in ${CELLS} tasks`)) throw new Error(submitted.stdout);
  say(`submitting ${CELLS} cells`, submitted, 5);
  twice(`--list of ${CELLS} cells that wait in the queue`, 2, [...call, '--list'], new RegExp(`${CELLS} queued$`, 'm'));
  twice(`submitting again: nothing is left`, 5, [...call, '--on=slurm'], /^nothing to submit/);
  const store = new Store(out);
  const line = `${JSON.stringify({ epoch: 1, trainLoss: 0.123456789, trainAccuracy: 97.65625, testLoss: 0.23456789, testAccuracy: 96.875, seconds: 1.23456789, learningRate: 0.001, keepProbability: 0.5, weightDecay: 0 })}\n`; // prettier-ignore
  for (const cell of store.plans().flatMap((path) => readPlan(path).cells)) {
    mkdirSync(join(store.prepare(cell), 'run'), { recursive: true });
    writeFileSync(join(store.folder(cell), 'run', 'metrics.jsonl'), line.repeat(EPOCHS));
    writeFileSync(join(store.folder(cell), 'claim-0001.json'), '{"released":true}\n');
    store.writeResult(cell, { outcome: 'finished', attempts: 1 });
  }
  lrd(...call, '--cancel');
  twice(`--list of ${CELLS} cells that are done`, 2, [...call, '--list'], new RegExp(`${CELLS} finished$`, 'm'));
  const worst = (times: readonly number[]): Pick<Timed, 'seconds'> => ({ seconds: Math.max(...times) });
  say('between two cells of a task, on the digits', worst(idleTimes(join(scratch, 'digits'), '--seeds=2', '--data=digits')), 1); // prettier-ignore
  say('between two cells of a task, on a set of MNIST’s size', worst(idleTimes(join(scratch, 'mnist'), '--seeds=1', '--limit=2000', `--data-dir=${noise(join(scratch, 'data'))}`)), 1); // prettier-ignore
} finally {
  await cluster.down();
  rmSync(scratch, { recursive: true, force: true });
}
