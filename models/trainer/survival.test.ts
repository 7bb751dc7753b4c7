import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { readRun } from './runFolder.ts';
import type { HostTensor } from './safetensors.ts';
import { readArchive, writeArchive } from './safetensors.ts';

/** How many kills the proof takes: `LRD_KILLS=30 node --import tsx models/trainer/survival.test.ts` is the long one. */
const KILLS = Number(process.env['LRD_KILLS'] ?? 3);

const test = suite('models/trainer/survival');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-survival-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const program = fileURLToPath(new URL('../cli/lrd.ts', import.meta.url));
const loader = import.meta.resolve('tsx');

function start(args: readonly string[]): { child: ChildProcess; ended: Promise<number | null>; stderr: () => string } {
  const child = spawn(process.execPath, ['--import', loader, program, 'train', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { child, ended, stderr: () => stderr };
}

/** Runs to the end; the exit code must be as said. Returns what stood on stderr. */
async function complete(args: readonly string[], status = 0): Promise<string> {
  const { ended, stderr } = start(args);
  assert.is(await ended, status, stderr());
  return stderr();
}

const base = (out: string, epochs: number): string[] =>
  `fcnet --data digits --optimizer adam --keep 0.5 --width 100 --seed 3 --epochs ${epochs} --backend wasm --checkpoint-seconds 0`
    .split(' ')
    .concat('--out', out);
const latest = (run: string): string => join(run, 'checkpoint', 'latest.safetensors');

/** A random moment: one time in six while the program starts, else within a second of the first checkpoint that it writes. */
async function randomMoment(child: ChildProcess, checkpoint: string): Promise<void> {
  const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const written = (): number => (existsSync(checkpoint) ? statSync(checkpoint).mtimeMs : 0);
  const before = written();
  if (Math.random() < 1 / 6) {
    await pause(1500 * Math.random());
    return;
  }
  while (written() === before && child.exitCode === null) await pause(5);
  await pause(1000 * Math.random());
}

/** Bits of every tensor of a run's checkpoint, and the metrics without their times. */
function outcome(run: string): { tensors: [string, number[]][]; metrics: object[] } {
  const { tensors } = readArchive(latest(run));
  const bits = [...tensors].map(([name, { values }]): [string, number[]] => [
    name,
    [...new Int32Array(values.buffer, values.byteOffset, values.length)],
  ]);
  return { tensors: bits, metrics: readRun(run).metrics.map((m) => ({ ...m, seconds: 0, inputSeconds: 0 })) };
}

test(
  `killed ${KILLS} times at random moments and resumed, a run ends with the same bits and metrics as one left alone`,
  async () => {
    const epochs = 20 * KILLS;
    const [whole, broken] = [join(scratch, 'whole'), join(scratch, 'broken')];
    await complete(base(whole, epochs));
    let kills = 0;
    let args = base(broken, epochs);
    let beforeFirstCheckpoint = 0;
    while (kills < KILLS) {
      const { child, ended, stderr } = start(args);
      await randomMoment(child, latest(broken));
      const running = child.exitCode === null;
      child.kill('SIGKILL');
      const status = await ended;
      if (!running) assert.is(status, 0, stderr());
      if (!running) break;
      kills += 1;
      if (!existsSync(join(broken, 'config.json'))) {
        // Killed while it was still starting: there is no run yet, so it is begun again.
        beforeFirstCheckpoint += 1;
        rmSync(broken, { recursive: true, force: true });
      } else {
        args = ['--resume', broken, '--checkpoint-seconds', '0'];
      }
    }
    assert.ok(kills >= Math.min(KILLS, 3), `only ${kills} kills met a running process`);
    process.stderr.write(`${kills} kills, ${beforeFirstCheckpoint} of them before there was a run\n`);
    if (!existsSync(join(broken, 'config.json')) || readRun(broken).metrics.length < epochs) await complete(args);
    assert.equal(outcome(broken), outcome(whole));
    assert.not.ok(existsSync(`${latest(broken)}.part`));
  },
  { timeout: 600 },
);

test(
  'Ctrl-C stops behind a checkpoint, says how to go on, and the run goes on from there',
  async () => {
    const run = join(scratch, 'interrupted');
    const { child, ended, stderr } = start(base(run, 400));
    while (!existsSync(latest(run))) await new Promise((resolve) => setTimeout(resolve, 50));
    child.kill('SIGINT');
    assert.is(await ended, 1);
    assert.match(stderr(), /stopping after this step/);
    assert.match(stderr(), /lrd: stopped in epoch \d+ after \d+ batches; go on with: lrd train --resume/);
    const done = readRun(run).metrics.length;
    await complete(['--resume', run, '--epochs', String(done + 2)]);
    assert.is(readRun(run).metrics.length, done + 2);
    assert.match(await complete(['--resume', run], 2), /has done its \d+ epochs; give --epochs for more/);
  },
  { timeout: 120 },
);

test(
  'a corrupt or foreign checkpoint is named, and nothing that was written is lost',
  async () => {
    const run = join(scratch, 'corrupt');
    await complete(base(run, 2));
    const metrics = readFileSync(join(run, 'metrics.jsonl'), 'utf8');
    const damage = async (change: (copy: string) => void, pattern: RegExp, status = 1): Promise<void> => {
      const copy = join(scratch, 'damaged');
      rmSync(copy, { recursive: true, force: true });
      cpSync(run, copy, { recursive: true });
      change(copy);
      assert.match(await complete(['--resume', copy, '--epochs', '3'], status), pattern);
      assert.is(readFileSync(join(copy, 'metrics.jsonl'), 'utf8'), metrics);
    };
    await damage(
      (copy) => truncateSync(latest(copy), 5000),
      /damaged\/checkpoint\/latest.safetensors: not a safetensors file/,
    );
    await damage((copy) => writeFileSync(latest(copy), 'hello'), /not a safetensors file that can be used: 5 bytes/);
    await damage(
      (copy) => writeArchive(latest(copy), { tensors: new Map(), metadata: {} }),
      /not a checkpoint of this program/,
    );
    await damage((copy) => {
      const { tensors, metadata } = readArchive(latest(copy));
      const smaller = new Map([
        ...tensors,
        ['parameter/fc1/bias', { shape: [2], values: Float32Array.of(1, 2) }] as const,
      ]);
      writeArchive(latest(copy), { tensors: smaller, metadata });
    }, /parameter fc1\/bias must be of shape \[100\], got \[2\]/);
    await damage((copy) => rmSync(join(copy, 'config.json')), /not a run/);
  },
  { timeout: 120 },
);

test('an archive comes back as it was written, and one that cannot be written leaves the old one', () => {
  const path = join(scratch, 'a.safetensors');
  const tensors = new Map<string, HostTensor>([
    ['w', { shape: [2, 2], values: Float32Array.of(1, -0, NaN, 2 ** -149) }],
    ['n', { shape: [3], values: Int32Array.of(1, -2, 3) }],
    ['empty', { shape: [0], values: new Float32Array() }],
  ]);
  writeArchive(path, { tensors, metadata: { note: 'ä' } });
  const back = readArchive(path);
  assert.equal(back.metadata, { note: 'ä' });
  const bitsOf = (all: ReadonlyMap<string, HostTensor>): unknown[] =>
    [...all].map(([name, { shape, values }]) => [name, shape, [...new Uint8Array(values.buffer)]]);
  assert.equal(bitsOf(back.tensors), bitsOf(tensors));
  const bytes = readFileSync(path);
  // A folder in the way of the neighbour that is written first.
  mkdirSync(`${path}.part`);
  assert.throws(() => writeArchive(path, { tensors, metadata: {} }), /a\.safetensors: cannot be written \(EISDIR/);
  assert.equal(readFileSync(path), bytes);
});

test.run();
