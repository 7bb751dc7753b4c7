import type { ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { JobError } from '../errors.ts';
import { readCheckpoint } from './checkpoint.ts';
import { readRun } from './runFolder.ts';
import { resumeTraining, runTraining } from './runTraining.ts';
import type { HostTensor } from '../storage/safetensors.ts';
import { readArchive, writeArchive, writeTensors } from '../storage/safetensors.ts';
import { stepOf } from '../tensorboard/event.ts';
import { readRecords } from '../tensorboard/record.ts';
import { eventFiles } from '../tensorboard/writer.ts';
import { drawCifar10 } from './testing/cifar.ts';
import { complete, latest, outcome, smallRun, start } from './testing/command.ts';

/** How many kills each proof takes: `LRD_KILLS=30 npm run ts -- models/runs/survival.test.ts` is the long one. */
const KILLS = Number(process.env['LRD_KILLS'] ?? 3);

const test = suite('models/runs/survival');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-survival-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** A random moment: one time in six while the program starts, else soon after the first checkpoint that it writes. */
async function randomMoment(child: ChildProcess, checkpoint: string): Promise<void> {
  const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const written = (): number => (existsSync(checkpoint) ? statSync(checkpoint).mtimeMs : 0);
  const before = written();
  if (Math.random() < 1 / 6) {
    await pause(1500 * Math.random());
    return;
  }
  while (written() === before && child.exitCode === null) await pause(5);
  await pause(700 * Math.random());
}

/** Leaves one run alone, kills and resumes the other `KILLS` times, and compares bits and metrics. Returns both folders. */
async function survives(name: string, begin: (out: string) => string[], epochs: number): Promise<[string, string]> {
  const [whole, broken] = [join(scratch, `${name}-whole`), join(scratch, `${name}-broken`)];
  await complete(begin(whole));
  let kills = 0;
  let args = begin(broken);
  let beforeFirstCheckpoint = 0;
  while (kills < KILLS) {
    const { child, ended, stderr } = start(args);
    await randomMoment(child, latest(broken));
    const running = child.exitCode === null;
    child.kill('SIGKILL');
    const status = await ended;
    if (!running) assert.is(status, 0, stderr());
    assert.ok(running, `the run was over after ${kills} kills`);
    kills += 1;
    if (!existsSync(join(broken, 'config.json'))) {
      // Killed while it was still starting: there is no run yet, so it is begun again.
      beforeFirstCheckpoint += 1;
      rmSync(broken, { recursive: true, force: true });
    } else {
      args = ['--resume', broken, '--checkpoint-seconds', '0'];
    }
  }
  process.stderr.write(`${name}: ${kills} kills, ${beforeFirstCheckpoint} of them before there was a run\n`);
  if (!existsSync(join(broken, 'config.json')) || readRun(broken).metrics.length < epochs) await complete(args);
  const [there, here] = [outcome(broken), outcome(whole)];
  assert.equal(there.metrics, here.metrics);
  // Tensor by tensor: a comparison of everything would print for minutes.
  assert.equal(there.tensors.map(([tensor]) => tensor), here.tensors.map(([tensor]) => tensor)); // prettier-ignore
  for (const [index, [tensor, bits]] of here.tensors.entries()) {
    assert.ok(there.tensors[index]?.[1] === bits, `${tensor} has other bits`);
  }
  assert.not.ok(existsSync(`${latest(broken)}.part`));
  return [whole, broken];
}

test(
  `killed ${KILLS} times at random moments and resumed, a run ends with the same bits and metrics as one left alone`,
  async () => {
    await survives('fcnet', (out) => smallRun(out, 8 * KILLS), 8 * KILLS);
  },
  { timeout: 300 + 90 * KILLS },
);

/** The scalars of the epochs in a run's event files, without their times, and the steps of its batches. */
function curves(run: string): { epochs: string[]; batches: number[] } {
  const events = eventFiles(run).flatMap((path) => [...readRecords(readFileSync(path))].map(({ data }) => data));
  const with_ = (tag: string): Buffer[] => events.filter((event) => event.includes(tag));
  return {
    epochs: with_('train/loss').map((event) => event.subarray(9).toString('base64')),
    batches: with_('batch/loss').map(stepOf),
  };
}

test(
  `a ResNet with batch normalisation, augmentation, regularizers and schedules survives ${KILLS} kills likewise, its curves without a step twice`,
  async () => {
    const data = join(scratch, 'data');
    drawCifar10(data, 40, 10);
    const epochs = 8 * KILLS;
    const settings =
      `resnet14 --data cifar10 --data-dir ${data} --augment crop-flip --width 2 --batch-size 8 --epochs ${epochs} ` +
      '--optimizer adam --keep 0.5 --lr 0.01 --regularizer DG --regularizer NG:1e-6 --regularizer GC --regularizer NL ' +
      '--regularizer SD --regularizer SG:0.2 --schedule lr=cosine --schedule keep=linear:1 --schedule sparsity=epochs:3=0.4 ' +
      '--seed 5 --backend wasm --checkpoint-seconds 0 --tensorboard --out';
    const [whole, broken] = await survives('resnet', (out) => [...settings.split(' '), out], epochs);
    assert.equal(curves(broken), curves(whole));
    assert.is(curves(whole).epochs.length, epochs);
    const statistics = [...readArchive(latest(whole)).tensors].filter(([name]) => name.startsWith('statistic/'));
    assert.ok(statistics.some(([, { values }]) => values.some((value) => value !== 0 && value !== 1)));
  },
  { timeout: 300 + 90 * KILLS },
);

test(
  'Ctrl-C stops behind a checkpoint, says how to go on, and the run goes on from there',
  async () => {
    const run = join(scratch, 'interrupted');
    const { child, ended, stderr } = start(smallRun(run, 400));
    while (!existsSync(latest(run))) await new Promise((resolve) => setTimeout(resolve, 50));
    child.kill('SIGINT');
    assert.is(await ended, 1);
    assert.match(stderr(), /stopping after this step/);
    assert.not.ok(existsSync(join(run, 'lock-0001.json')));
    assert.match(stderr(), /lrd: stopped in epoch \d+ after \d+ batches; go on with: lrd train --resume/);
    const done = readRun(run).metrics.length;
    const [, batches] = /after (\d+) batches/.exec(stderr()) as unknown as [string, string];
    const resumed = await complete(['--resume', run, '--epochs', String(done + 2)]);
    assert.match(resumed, new RegExp(`interrupted: goes on in epoch ${done + 1} after ${batches} batches\\n`));
    assert.is(readRun(run).metrics.length, done + 2);
    assert.match(await complete(['--resume', run], 2), /has done its \d+ epochs; give --epochs for more/);
  },
  { timeout: 120 },
);

test(
  'a terminal that is closed stops behind a checkpoint too, though nothing more can be written to it',
  async () => {
    const run = join(scratch, 'hung-up');
    const { child, ended } = start(smallRun(run, 4000));
    while (!existsSync(latest(run))) await new Promise((resolve) => setTimeout(resolve, 50));
    child.stderr?.destroy();
    // One comes from the shell, another from the terminal.
    const again = setInterval(() => child.kill('SIGHUP'), 3);
    const status = await ended;
    clearInterval(again);
    // Null: it came when all was done, and Node had given up its signals.
    assert.ok(status === 1 || status === null, `exit code ${status}`);
    assert.not.ok(existsSync(join(run, 'lock-0001.json')));
    const done = readRun(run).metrics.length;
    const { epoch, batch } = readCheckpoint(run, readRun(run).config).position;
    assert.is(epoch, done + 1);
    assert.match(
      await complete(['--resume', run, '--epochs', String(done + 1)]),
      new RegExp(`hung-up: goes on in epoch ${epoch} after ${batch} batches\\n`),
    );
  },
  { timeout: 120 },
);

test(
  'a corrupt or foreign checkpoint is named, and nothing that was written is lost',
  async () => {
    const run = join(scratch, 'corrupt');
    const request = { recipe: 'fcnet', data: 'digits', optimizer: 'adam', keepProbability: 0.5, width: 100, seed: 3n };
    await runTraining({ ...request, epochs: 2, backend: 'wasm', out: run });
    const metrics = readFileSync(join(run, 'metrics.jsonl'), 'utf8');
    const damage = async (change: (copy: string) => void | Promise<void>, pattern: RegExp): Promise<void> => {
      const copy = join(scratch, 'damaged');
      rmSync(copy, { recursive: true, force: true });
      cpSync(run, copy, { recursive: true });
      await change(copy);
      let message = 'no error';
      try {
        await resumeTraining({ folder: copy, epochs: 3 });
      } catch (error) {
        assert.instance(error, JobError);
        ({ message } = error as Error);
      }
      assert.match(message, pattern);
      assert.is(readFileSync(join(copy, 'metrics.jsonl'), 'utf8'), metrics);
    };
    await damage(
      (copy) => truncateSync(latest(copy), 5000),
      /damaged\/checkpoint\/latest.safetensors: not a safetensors file/,
    );
    await damage((copy) => writeFileSync(latest(copy), 'hello'), /not a safetensors file that can be used: 5 bytes/);
    await damage((copy) => {
      const bytes = readFileSync(latest(copy));
      bytes[bytes.length - 1000] = (bytes.at(-1000) ?? 0) ^ 1;
      writeFileSync(latest(copy), bytes);
    }, /not a safetensors file that can be used: its checksum is [0-9a-f]{8}, it was written with [0-9a-f]{8}/);
    await damage(
      (copy) => writeArchive(latest(copy), { tensors: new Map(), metadata: {} }),
      /not a checkpoint of this program/,
    );
    const relabel = async (copy: string, change: (metadata: Record<string, string>) => Record<string, string>): Promise<void> => {
      const { tensors, metadata } = readArchive(latest(copy));
      await writeArchive(latest(copy), { tensors, metadata: { ...metadata, ...change(metadata) } });
    };
    await damage(
      (copy) => relabel(copy, () => ({ format: '1' })),
      /a checkpoint of format 1, this version reads 2; go on with the version that wrote it, or start the run again/,
    );
    await damage(
      (copy) => relabel(copy, ({ config }) => ({ config: (config ?? '').replaceAll('"0x0000000000000003"', '"0x4"') })),
      /of another run: its seed is "0x4", config\.json's "0x0000000000000003"/,
    );
    await damage(async (copy) => {
      const { tensors, metadata } = readArchive(latest(copy));
      const smaller = new Map([
        ...tensors,
        ['parameter/fc1/bias', { shape: [2], values: Float32Array.of(1, 2) }] as const,
      ]);
      await writeArchive(latest(copy), { tensors: smaller, metadata });
    }, /parameter fc1\/bias must be of shape \[100\] and type F32, got \[2\] of F32/);
    await damage((copy) => rmSync(join(copy, 'config.json')), /not a run/);
  },
  { timeout: 120 },
);

test('an archive comes back as it was written, and one that cannot be written leaves the old one', async () => {
  const path = join(scratch, 'a.safetensors');
  const tensors = new Map<string, HostTensor>([
    ['w', { shape: [2, 2], values: Float32Array.of(1, -0, NaN, 2 ** -149) }],
    ['n', { shape: [3], values: Int32Array.of(1, -2, 3) }],
    ['empty', { shape: [0], values: new Float32Array() }],
  ]);
  await writeArchive(path, { tensors, metadata: { note: 'ä' } });
  const back = readArchive(path);
  assert.equal(back.metadata, { note: 'ä' });
  const bitsOf = (all: ReadonlyMap<string, HostTensor>): unknown[] =>
    [...all].map(([name, { shape, values }]) => [name, shape, [...new Uint8Array(values.buffer)]]);
  assert.equal(bitsOf(back.tensors), bitsOf(tensors));
  const bytes = readFileSync(path);
  // A tensor that does not come.
  const lost = { name: 'w', shape: [2], dtype: 'float32', values: () => Promise.reject(new JobError('the device is lost')) } as const;
  const rejection = async (promise: Promise<void>): Promise<string> => promise.then(() => 'no error', (error: Error) => error.message); // prettier-ignore
  assert.is(await rejection(writeTensors(path, [lost], {})), 'the device is lost');
  assert.equal(readFileSync(path), bytes);
  assert.equal(readdirSync(scratch).filter((name) => name.includes('a.safetensors')), ['a.safetensors']); // prettier-ignore
  const folder = join(scratch, 'folder.safetensors');
  mkdirSync(folder);
  assert.match(await rejection(writeArchive(folder, { tensors, metadata: {} })), /cannot be written \(is a folder, not a file\)/);
});

test.run();
