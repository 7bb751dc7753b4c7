import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { sgdm } from 'learning-rate-dropout';
import { useBackend } from '../backend.ts';
import { JobError } from '../errors.ts';
import { fcNet } from '../nets/fcnet.ts';
import { saveCheckpoint } from './checkpoint.ts';
import { outOfMemory } from '../trainer/failures.ts';
import { appendLine, writeWhole } from '../storage/files.ts';
import { readRun } from './runFolder.ts';
import { complete, completeProgram, lastLine, latest, outcome, smallRun, trainWords } from './testing/command.ts';

const test = suite('models/runs/failures');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-failures-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const quote = (words: readonly string[]): string => words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');

/** A file system of its own that is `kilobytes` large, in a namespace where any user may mount one. */
const mountWords = (script: string): string[] => ['unshare', '-Urm', 'bash', '-euc', script];
const mounts = spawnSync('unshare', ['-Urm', 'mount', '-t', 'tmpfs', 'tmpfs', scratch]).status === 0;
const withMounts = test.when(mounts, 'unshare -Urm cannot mount a tmpfs here');
const withLimits = test.when(process.platform === 'linux', 'ulimit -f of bash on Linux');

/** The run that the tests below break, after two epochs, and the same left alone for four. */
const begun = join(scratch, 'begun');
const alone = join(scratch, 'alone');
test.before(async () => {
  await complete(smallRun(begun, 2));
  cpSync(begun, alone, { recursive: true });
  await complete(['--resume', alone, '--epochs', '4']);
});

withMounts(
  'on a full disk a run stops with one line, keeps its checkpoint, and goes on to the same bits when there is room',
  async () => {
    const folder = join(scratch, 'small-disk');
    const after = join(scratch, 'after');
    mkdirSync(folder);
    const run = join(folder, 'run');
    // Room for the run and half a checkpoint more.
    const size = Math.ceil((1.5 * readFileSync(latest(begun)).length) / 1024) + 40;
    const resume = trainWords(['--resume', run, '--epochs', '4', '--checkpoint-seconds', '0']);
    const script =
      `mount -t tmpfs -o size=${size}k tmpfs ${quote([folder])}; cp -r ${quote([begun])} ${quote([run])}; ` +
      `status=0; ${quote(resume)} || status=$?; cp -r ${quote([run])} ${quote([after])}; exit $status`;
    const message = lastLine(await completeProgram(mountWords(script), 1));
    assert.match(
      message,
      /^lrd: \S+latest\.safetensors: cannot be written \(the disk is full\); the checkpoint of epoch 3 after 0 batches is kept; go on with: lrd train --resume \S+run$/,
    );
    assert.is(Buffer.compare(readFileSync(latest(after)), readFileSync(latest(begun))), 0);
    assert.equal(readdirSync(join(after, 'checkpoint')), ['latest.safetensors']);
    assert.is(readRun(after).metrics.length, 2);
    await complete(['--resume', after]);
    assert.equal(outcome(after), outcome(alone));
  },
  { timeout: 120 },
);

withLimits(
  'a checkpoint larger than files may be is the same',
  async () => {
    const run = join(scratch, 'file-size');
    cpSync(begun, run, { recursive: true });
    const kilobytes = Math.floor(readFileSync(latest(begun)).length / 2048);
    const resume = trainWords(['--resume', run, '--epochs', '4', '--checkpoint-seconds', '0']);
    const limited = ['bash', '-c', `ulimit -f ${kilobytes}; exec ${quote(resume)}`];
    const message = lastLine(await completeProgram(limited, 1));
    assert.match(
      message,
      /^lrd: \S+latest\.safetensors: cannot be written \(EFBIG\); the checkpoint of epoch 3 after 0/,
    );
    assert.is(Buffer.compare(readFileSync(latest(run)), readFileSync(latest(begun))), 0);
    assert.equal(readdirSync(join(run, 'checkpoint')), ['latest.safetensors']);
  },
  { timeout: 120 },
);

withMounts(
  'a line that does not fit on the disk is taken back, and a file that does not fit leaves the old one',
  () => {
    const folder = join(scratch, 'lines');
    mkdirSync(folder);
    const program = `
    import { appendLine, writeWhole } from ${JSON.stringify(new URL('../storage/files.ts', import.meta.url).href)};
    import { readFileSync, readdirSync } from 'node:fs';
    const [folder] = process.argv.slice(1);
    writeWhole(folder + '/whole', 'old');
    writeWhole(folder + '/lines', '');
    const messages = [];
    const attempt = (act) => { try { act(); return true; } catch (error) { messages.push(error.name + ' ' + error.message); return false; } };
    let lines = 0;
    while (attempt(() => appendLine(folder + '/lines', 'x'.repeat(999)))) lines += 1;
    attempt(() => writeWhole(folder + '/whole', 'y'.repeat(50000)));
    console.log(JSON.stringify({ lines, messages, bytes: readFileSync(folder + '/lines').length, whole: readFileSync(folder + '/whole', 'utf8'), files: readdirSync(folder) }));`;
    const words = [
      process.execPath,
      ...FROM_SOURCE,
      '--input-type=module',
      '-e',
      program,
      folder,
    ];
    const script = `mount -t tmpfs -o size=64k tmpfs ${quote([folder])}; ${quote(words)}`;
    const [command, ...args] = mountWords(script) as [string, ...string[]];
    const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    const result = JSON.parse(stdout === '' ? `"${stderr}"` : stdout) as Record<string, unknown>;
    assert.ok((result['lines'] as number) > 30);
    assert.is(result['bytes'], 1000 * (result['lines'] as number));
    assert.is(result['whole'], 'old');
    assert.equal((result['files'] as string[]).sort(), ['lines', 'whole']);
    const [line, whole] = result['messages'] as [string, string];
    assert.match(line, /^JobError \S+\/lines: cannot be written \(the disk is full/);
    assert.match(whole, /^JobError \S+\/whole: cannot be written \(the disk is full/);
  },
);

test('a folder that cannot be written to is named before anything is trained', async () => {
  const file = join(scratch, 'a-file');
  writeFileSync(file, '');
  const message = await complete(smallRun(join(file, 'run'), 1), 1);
  assert.match(message, /^lrd: --out \S+run: cannot be made \(a part of the path is a file, not a folder\)\n$/);
  assert.throws(() => appendLine(join(scratch, 'none', 'x'), ''), /x: cannot be written \(no such file/);
  assert.throws(() => writeWhole(join(scratch, 'none', 'x'), ''), /x: cannot be written \(no such file/);
  assert.not.ok(existsSync(join(scratch, 'none')));
});

test('a loss that is no longer finite stops training, and the checkpoint from before stays', async () => {
  const run = join(scratch, 'diverged');
  const args = [...smallRun(run, 4), '--schedule', 'lr=epochs:3=1e30'];
  args[args.indexOf('adam')] = 'sgdm';
  assert.match(
    lastLine(await complete(args, 1)),
    /^lrd: training stopped: the loss at step 26 is (NaN|Infinity), no longer finite\. A smaller learning rate, .* may help; the checkpoint of epoch 3 after \d batches is kept$/,
  );
  assert.is(readRun(run).metrics.length, 2);
});

test('a checkpoint with a parameter that is not finite is not written, and the one before stays', async () => {
  const folder = join(scratch, 'poisoned');
  mkdirSync(folder);
  await useBackend('cpu');
  const net = fcNet({ inputs: 4, classes: 2, width: 3, seed: 1n });
  const optimizer = sgdm({ seed: 1 });
  optimizer.bind(net.parameters.map(({ variable }) => variable));
  const { config } = readRun(begun);
  const position = { epoch: 1, batch: 7, sums: { count: 0, loss: 0, correct: 0 }, epochSeconds: 0, secondsBefore: 0 };
  const save = (): Promise<void> => saveCheckpoint(folder, net, optimizer, { config, position, step: 7 });
  await save();
  const before = readFileSync(latest(folder));
  net.parameters[1]?.variable.assign(tf.tensor([1, NaN, Infinity]));
  let message = '';
  try {
    await save();
  } catch (error) {
    assert.instance(error, JobError);
    ({ message } = error as Error);
  }
  assert.match(message, /^training stopped: element 1 of parameter fc1\/bias at step 7 is NaN, no longer finite\. /);
  assert.is(Buffer.compare(readFileSync(latest(folder)), before), 0);
  optimizer.dispose();
  net.dispose();
});

test('running out of memory is told from other errors', () => {
  const thrown = (act: () => unknown): unknown => {
    try {
      act();
    } catch (error) {
      return error;
    }
    return undefined;
  };
  const large = thrown(() => new ArrayBuffer(2 ** 52));
  assert.instance(outOfMemory(large), JobError);
  assert.match(
    outOfMemory(large)?.message ?? '',
    /^out of memory \(Array buffer allocation failed\); a smaller --batch-size/,
  );
  assert.instance(outOfMemory(thrown(() => new Float32Array(2 ** 52))), JobError);
  assert.is(outOfMemory(new RangeError('Maximum call stack size exceeded')), undefined);
  assert.is(outOfMemory(new Error('Array buffer allocation failed')), undefined);
  assert.is(outOfMemory(undefined), undefined);
});

test.run();
