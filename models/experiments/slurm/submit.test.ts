/** What a submission refuses and what it hands over, with commands of Slurm's names that only write down how they were called. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { outputOf } from '../../cli/testing/outputOf.ts';
import { JobError, UsageError } from '../../errors.ts';

const test = suite('models/experiments/slurm/submit');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-submit-'));
const bin = join(scratch, 'bin');
const calls = join(scratch, 'calls');
const path = process.env['PATH'] ?? '';
test.before(() => {
  // What tasks would run.
  process.argv[1] = fileURLToPath(new URL('../../cli/lrd.ts', import.meta.url));
  mkdirSync(bin);
  process.env['PATH'] = `${bin}${delimiter}${path}`;
});
test.after(() => {
  process.env['PATH'] = path;
  rmSync(scratch, { recursive: true, force: true });
});

/** A command of Slurm's that says what it was called with, and then does `body`. */
function fake(name: string, body: string): void {
  const file = join(bin, name);
  writeFileSync(file, `#!/bin/sh\n{ printf '%s' ${name}; printf '|%s' "$@"; echo; } >>'${calls}'\n${body}\n`);
  chmodSync(file, 0o755);
}
const called = (): string[][] =>
  existsSync(calls) ? readFileSync(calls, 'utf8').trimEnd().split('\n').map((line) => line.split('|')) : []; // prettier-ignore

test.beforeEach(() => {
  rmSync(calls, { force: true });
  fake('sbatch', `echo $(($(wc -l <'${calls}') * 100))`);
  fake('squeue', 'exit 0');
  fake('scancel', 'exit 0');
  fake('scontrol', 'echo "MaxArraySize            = 5"');
});

const MINE = {
  version: 1,
  name: 'mine',
  title: 'Mine',
  seeds: 3,
  settings: { recipe: 'fcnet', data: 'digits', optimizer: 'adam', epochs: 1, width: 4, limit: 8 },
  arms: [{ id: 'a' }, { id: 'b', settings: { keepProbability: 0.5 } }, { id: 'c' }, { id: 'd' }],
};
function mine(change: object = {}): string {
  const file = join(scratch, 'mine.json');
  const arms = MINE.arms.map((arm, k) => ({ ...arm, settings: { learningRate: 0.001 * (k + 1), ...arm.settings } }));
  writeFileSync(file, JSON.stringify({ ...MINE, arms, ...change }));
  return file;
}

const lrd = (...args: readonly string[]): Promise<string> => outputOf(['experiment', ...args]);

async function refused(args: readonly string[], pattern: RegExp): Promise<void> {
  let thrown: unknown;
  try {
    await lrd(...args);
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown instanceof UsageError || thrown instanceof JobError, `${args.join(' ')}: ${String(thrown)}`);
  const { message } = thrown;
  assert.match(message, pattern);
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  assert.not.match(message, /[\u0000-\u001f\u007f-\u009f]/);
  assert.equal(called().filter(([name]) => name === 'sbatch'), [], args.join(' ')); // prettier-ignore
}

test('a wrong call is one line: nothing is submitted, nothing is written', async () => {
  const file = mine();
  const out = join(scratch, 'wrong');
  writeFileSync(join(scratch, 'file'), '');
  const slurm = ['--on', 'slurm'];
  const at = (folder: string, ...more: readonly string[]): string[] => [file, ...slurm, '--out', folder, ...more];
  await refused(at('runs/relative'), /^--out must be an absolute path .*, got "runs\/relative"$/);
  await refused([file, ...slurm], /^--out must be an absolute path .*, got "runs\/experiments"$/);
  await refused(at(join(scratch, 'file')), /^--out must be a folder that can be written, got .*is no folder/);
  await refused(at(join(scratch, 'file', 'below')), /^--out must be a folder that can be written/);
  if (process.platform === 'linux') await refused(at('/proc/none'), /^--out \/proc\/none\/slurm: cannot be made/);
  await refused(at(`${out}"`), /^--out must be a path without double quotes and line ends/);
  await refused(at(`${out}\nx`), /^--out must be a path without double quotes and line ends/);
  await refused(at(out, '--prologue', join(scratch, 'none')), /^--prologue must be a file that can be read, got .*no such file/); // prettier-ignore
  await refused(at(out, '--prologue', scratch), /^--prologue must be a file that can be read, got .*is a folder/);
  for (const word of ['--array=1', '-a1', '--wrap=true', '--parsable']) {
    await refused(at(out, '--', word), new RegExp(`^behind -- there must not be ${word}`));
  }
  await refused(at(out, '--width', '0'), /^--width must be a whole number/);
  await refused(at(out, '--crop', '33'), /^--crop is for pspnet, got fcnet/);
  await refused(at(out, '--data', 'voc'), /^--data must be a set of images/);
  await refused(at(out, '--only', 'nothing'), /^--only must match a cell/);
  await refused(at(out, '--cell', '3'), /exclude each other/);
  await refused([mine({ arms: [{ id: 'a', settings: { mask: 'magme' } }] }), ...slurm, '--out', out], /^mine\.json:1:\d+: arms\[0\]\.settings\.mask must be one of lrd, .*got "magme"/); // prettier-ignore
  for (const name of ['sbatch', 'squeue', 'scancel', 'scontrol']) rmSync(join(bin, name));
  mine();
  process.env['PATH'] = bin;
  try {
    await refused(at(out), /^--on slurm needs sbatch, which is not on the PATH/);
  } finally {
    process.env['PATH'] = `${bin}${delimiter}${path}`;
  }
  assert.not.ok(readdirSync(scratch).some((name) => name.startsWith('wrong')));
});

test('sbatch’s own words are one line, without what a terminal would obey, and leave nothing', async () => {
  const out = join(scratch, 'refused');
  const call = [mine(), '--on', 'slurm', '--out', out];
  const says = async (body: string, pattern: RegExp): Promise<void> => {
    fake('sbatch', body);
    let message = '';
    await lrd(...call).catch((error: Error) => ({ message } = error));
    assert.match(message, pattern);
    assert.not.ok(existsSync(out), 'nothing is left');
  };
  await says('echo "sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: Invalid partition name specified" >&2; exit 1', /^sbatch: invalid partition specified: nope; Batch job submission failed: Invalid partition name specified$/); // prettier-ignore
  await says('printf "sbatch: error: \\033[31mred\\033[0m\\a\\n" >&2; exit 1', /^sbatch: \[31mred \[0m$/);
  await says('exit 3', /^sbatch: failed and does not say why$/);
  await says('echo "Submitted"', /^sbatch: /);
});

test('words behind -- go to sbatch as they are; arrays keep below MaxArraySize; one squeue a listing', async () => {
  const out = join(scratch, 'it’s a $HOME 100% & (odd) name');
  const call = [mine(), '--out', out];
  const extra = ['--comment', 'two words; $x', "--job-name=it's", ''];
  assert.match(await lrd(...call, '--on', 'slurm', '--array-limit', '2', '--', ...extra), /^submitted 12 cells in 12 tasks as jobs 200, 300, 400 /); // prettier-ignore
  const script = join(out, 'slurm', 'mine-full.sh');
  const arrays = called().filter(([name]) => name === 'sbatch');
  assert.equal(arrays, [
    ['sbatch', '--parsable', '--array=0-4%2', ...extra, script, '0'],
    ['sbatch', '--parsable', '--array=0-4%2', '--dependency=afterany:200', ...extra, script, '5'],
    ['sbatch', '--parsable', '--array=0-1%2', '--dependency=afterany:300', ...extra, script, '10'],
  ]); // prettier-ignore
  rmSync(calls);
  fake('squeue', 'echo "200|3|RUNNING|1:00|node7|None"; echo "300|0|PENDING|UNLIMITED||Priority"');
  const listed = await lrd(...call, '--list');
  assert.match(listed, /^ 3 {2}running +0\/1 {2}d\/seed=1 {2}node7, 1:00 left, job 200_3$/m);
  assert.match(listed, /^ 5 {2}queued +0\/1 {2}b\/seed=2 {2}Priority, job 300_0$/m);
  assert.equal(
    called().map(([name]) => name),
    ['squeue'],
  );
  // The same again takes what is neither done nor queued.
  assert.match(await lrd(...call, '--on', 'slurm'), /^submitted 10 cells in 10 tasks .*\(0 done, 2 in the queue\)/);
  // Another plan of the same name.
  rmSync(calls);
  await refused([mine({ settings: { ...MINE.settings, epochs: 2 } }), '--out', out, '--on', 'slurm'], /^--out must not hold another plan of the same name: .* has a\/seed=1 with epochs 1, here it is 2$/); // prettier-ignore
  rmSync(calls, { force: true });
  fake('squeue', 'exit 0');
  assert.match(await lrd(mine(), '--out', out, '--cancel'), /^nothing to cancel/);
  assert.not.ok(called().some(([name]) => name === 'scancel'));
});

test.run();
