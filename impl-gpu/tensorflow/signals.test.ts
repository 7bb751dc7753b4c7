/** Signals during TensorFlow's products (`native/signals.cc`). */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { installationFolder } from './installation.ts';
import { nativeVersion } from './native.ts';

const test = suite('impl-gpu/tensorflow/signals');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-signals-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** Whether the addon has this package's source in it: one of npm's, or of an earlier version, is as it was. */
function isOurs(): boolean {
  try {
    return readFileSync(join(installationFolder('node'), 'tfjs_binding.node')).includes(nativeVersion());
  } catch {
    return false;
  }
}

const from = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
const program = join(scratch, 'program.mts');
writeFileSync(
  program,
  `import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import * as tf from ${JSON.stringify(import.meta.resolve('@tensorflow/tfjs'))};
import { useBackend } from ${from('../../models/backend.ts')};
await useBackend('node');
let taken = 0;
process.on('SIGUSR2', () => taken++);
process.on('SIGINT', () => taken++);
const child = spawnSync(process.execPath, ['-e', "process.stdout.write(require('fs').readFileSync('/proc/self/status', 'utf8'))"], { encoding: 'utf8' });
const [a, b] = [tf.randomUniform([128, 784]), tf.randomUniform([784, 1000])];
const expected = tf.matMul(a, b).dataSync();
console.log('begun');
const end = Date.now() + 1500;
let wrong = 0;
while (Date.now() < end) {
  for (let i = 0; i < 20; i++) {
    const found = tf.matMul(a, b);
    if (found.dataSync().some((value, k) => value !== expected[k])) wrong++;
    found.dispose();
  }
  await setImmediate();
}
console.log(JSON.stringify({ taken, wrong, blocked: /SigBlk:\\s*(\\w+)/.exec(child.stdout)?.[1] }));
`,
);

const runs = test.when(
  process.platform === 'linux' && isOurs(),
  'needs what lrd setup tensorflow builds from this source, on Linux',
);

/** Runs the program, with signals once it has begun. Its exit, or the signal that ended it, and its last line. */
async function outcome(
  flags: readonly string[],
  signals: readonly NodeJS.Signals[],
): Promise<readonly [unknown, string]> {
  const child = spawn(process.execPath, [...flags, ...FROM_SOURCE, program], {
    stdio: ['ignore', 'pipe', 'ignore'],
    cwd: scratch,
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)));
  while (!said.includes('begun') && child.exitCode === null && child.signalCode === null) await pause(20);
  // Over well before the products are.
  const until = Date.now() + 800;
  while (signals.length > 0 && Date.now() < until && child.exitCode === null && child.signalCode === null) {
    for (const signal of signals) child.kill(signal);
    await pause(1);
  }
  return [await ended, said.trim().split('\n').at(-1)];
}

runs('signals that the process handles reach it during products, which have the same bits, and children block nothing', async () => {
  for (const flags of [[], ['--v8-pool-size=0']]) {
    const [code, line] = await outcome(flags, ['SIGUSR2', 'SIGINT']);
    assert.is(code, 0);
    const { taken, wrong, blocked } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    assert.ok((taken as number) > 20, `${taken}`);
    assert.is(wrong, 0);
    assert.is(blocked, '0000000000000000');
  }
}); // prettier-ignore

runs('training can be profiled', async () => {
  const [code, line] = await outcome(['--cpu-prof', '--cpu-prof-interval', '300', `--cpu-prof-dir=${scratch}`], []);
  assert.is(code, 0);
  assert.is((JSON.parse(line) as { wrong: number }).wrong, 0);
});

runs('what no one handles ends the process as ever', async () => {
  const [code] = await outcome([], ['SIGTERM']);
  assert.is(code, 'SIGTERM');
});

test.run();
