import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { diagnoseGpu } from 'learning-rate-dropout/gpu';
import { readRun } from './runFolder.ts';
import { complete, completeProgram, lastLine, latest } from './testing/command.ts';

const test = suite('models/runs/lostDevice');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-lost-device-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));
const found = await diagnoseGpu();
const withAdapter = test.when(found.chosen !== undefined, found.why);

/** `lrd train ARGS` in a process where the GPU goes away as soon as there is a checkpoint, in the middle of whatever is under way. */
function losingWords(args: readonly string[], checkpoint: string): string[] {
  const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    import { existsSync } from 'node:fs';
    import { main } from ${url('../cli/main.ts')};
    import { reportErrors } from ${url('../cli/errors.ts')};
    import { useWebGpu } from 'learning-rate-dropout';
    const timer = setInterval(async () => {
      if (!existsSync(process.argv[1])) return;
      clearInterval(timer);
      (await useWebGpu()).device.destroy();
    }, 20);
    await reportErrors(() => main(['train', ...process.argv.slice(2)]));
    clearInterval(timer);`;
  return [process.execPath, ...FROM_SOURCE, '--input-type=module', '-e', program, checkpoint, ...args];
}

withAdapter(
  'a run whose GPU device is lost ends with one line and exit code 1, and goes on from its last checkpoint',
  async () => {
    const run = join(scratch, 'run');
    const args =
      'fcnet --data digits --width 8 --epochs 500 --seed 1 --optimizer adam --keep 0.5 --backend webgpu --checkpoint-seconds 0';
    const stderr = await completeProgram(losingWords([...args.split(' '), '--out', run], latest(run)), 1);
    assert.match(
      lastLine(stderr),
      /^lrd: the GPU device was lost \(destroyed.*\); the checkpoint of epoch \d+ after \d+ batches is kept; go on with: lrd train --resume \S+run$/,
    );
    assert.not.match(stderr, /internal error|at .*\.ts:\d/);
    const before = readFileSync(latest(run));
    const done = readRun(run).metrics.length;
    // The checkpoint is good, also for another backend.
    await complete(['--resume', run, '--backend', 'wasm', '--epochs', String(done + 2)]);
    assert.is(readRun(run).metrics.length, done + 2);
    assert.ok(Buffer.compare(readFileSync(latest(run)), before) !== 0);
  },
  { timeout: 240 },
);

test.run();
