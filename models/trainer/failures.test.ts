import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { JobError } from '../errors.ts';
import { outOfMemory } from './failures.ts';
import { appendLine, writeWhole } from './files.ts';
import { readRun } from './runFolder.ts';
import { complete, completeProgram, lastLine, latest, outcome, smallRun, trainWords } from './testing/command.ts';

const test = suite('models/trainer/failures');
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
      /^lrd: \S+latest\.safetensors: cannot be written \(ENOSPC: .*\); the checkpoint of epoch 3 after 0 batches is kept; go on with: lrd train --resume \S+run$/,
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
      /^lrd: \S+latest\.safetensors: cannot be written \(EFBIG: .*\); the checkpoint of epoch 3 after 0/,
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
    import { appendLine, writeWhole } from ${JSON.stringify(new URL('files.ts', import.meta.url).href)};
    import { readFileSync, readdirSync } from 'node:fs';
    const [folder] = process.argv.slice(1);
    writeWhole(folder + '/whole', 'old');
    const messages = [];
    const attempt = (act) => { try { act(); return true; } catch (error) { messages.push(error.name + ' ' + error.message); return false; } };
    let lines = 0;
    while (attempt(() => appendLine(folder + '/lines', 'x'.repeat(999)))) lines += 1;
    attempt(() => writeWhole(folder + '/whole', 'y'.repeat(50000)));
    console.log(JSON.stringify({ lines, messages, bytes: readFileSync(folder + '/lines').length, whole: readFileSync(folder + '/whole', 'utf8'), files: readdirSync(folder) }));`;
    const words = [
      process.execPath,
      '--import',
      import.meta.resolve('tsx'),
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
    assert.match(line, /^JobError \S+\/lines: cannot be written \(ENOSPC/);
    assert.match(whole, /^JobError \S+\/whole: cannot be written \(ENOSPC/);
  },
);

test('a folder that cannot be written to is named before anything is trained', async () => {
  const file = join(scratch, 'a-file');
  writeFileSync(file, '');
  const message = await complete(smallRun(join(file, 'run'), 1), 1);
  assert.match(message, /^lrd: --out \S+run: cannot be made \(ENOTDIR: .*\)\n$/);
  assert.throws(() => appendLine(join(scratch, 'none', 'x'), ''), /x: cannot be written \(ENOENT/);
  assert.throws(() => writeWhole(join(scratch, 'none', 'x'), ''), /x: cannot be written \(ENOENT/);
  assert.not.ok(existsSync(join(scratch, 'none')));
});

test('a loss that is no longer finite leaves the checkpoint from before, exit code 1', async () => {
  const run = join(scratch, 'diverged');
  // The learning rate explodes at the start of the third epoch.
  const args = [...smallRun(run, 4), '--schedule', 'lr=epochs:3=1e30'];
  args[args.indexOf('adam')] = 'sgdm';
  const message = lastLine(await complete(args, 1));
  assert.match(
    message,
    /^lrd: training stopped: (the loss|element \d+ of parameter \S+) at step 2\d is (NaN|-?Infinity), no longer finite\. A smaller learning rate, .* may help; the checkpoint of epoch 3 after \d batches is kept$/,
  );
  assert.is(readRun(run).metrics.length, 2);
  for (const [name, bits] of outcome(run).tensors) {
    if (!name.startsWith('parameter/')) continue;
    const bytes = Buffer.from(bits, 'base64');
    const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    assert.ok(values.every(Number.isFinite), name);
  }
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
  assert.is(outOfMemory(thrown(() => (1).toFixed(1000))), undefined);
  assert.is(outOfMemory(new Error('Array buffer allocation failed')), undefined);
  assert.is(outOfMemory(undefined), undefined);
});

test.run();
