import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { outputOf } from '../cli/testing/outputOf.ts';
import type { CellOutcome } from './results.ts';
import { collectResults } from './results.ts';

/** How many workers are killed: `LRD_KILLS=20 npm run ts -- models/experiments/crew.test.ts` is the long proof. */
const KILLS = Number(process.env['LRD_KILLS'] ?? 2);

const test = suite('models/experiments/crew');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-crew-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const program = fileURLToPath(new URL('../cli/lrd.ts', import.meta.url));
const EPOCHS = 8 * KILLS;
/** Two arms of Table I on the embedded digits. */
const call = (out: string): string[] =>
  ['table1', '--only', '^mnist/adam/p=(1|0.5)/', '--data', 'digits', '--width', '32', '--epochs', String(EPOCHS)]
    .concat(['--seeds', '1', '--backend', 'cpu', '--checkpoint-seconds', '0', '--out', out]); // prettier-ignore

const inProcess = (args: readonly string[]): Promise<string> => outputOf(['experiment', ...args]);

/** Processes whose parent is `pid`, from /proc. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false;
      }
    })
    .map(Number);
}

const cellsOf = (root: string): CellOutcome[] => (collectResults(root) ?? []).flatMap(({ cells }) => cells);
const epochs = (root: string): number => cellsOf(root).reduce((sum, { metrics }) => sum + metrics.length, 0);
const withoutTimes = (root: string): unknown =>
  cellsOf(root).map(({ arm, metrics }) => [arm, metrics.map((line) => ({ ...line, seconds: 0, inputSeconds: 0 }))]);

test.when(process.platform === 'linux', 'finds worker processes through /proc')(
  `with ${KILLS} workers killed on the way, a crew ends with the results of one that was left alone`,
  async () => {
    const [whole, broken] = [join(scratch, 'whole'), join(scratch, 'broken')];
    assert.match(await inProcess(call(whole)), /2 of 2 cells done/);
    const args = [...FROM_SOURCE, program, 'experiment', ...call(broken), '--workers', '2'];
    const crew = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    crew.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    crew.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<number | null>((resolve) => crew.on('close', resolve));
    let kills = 0;
    for (let seen = 0; kills < KILLS && crew.exitCode === null;) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      // After each kill some epoch must have been done, so that the crew never gives up.
      if (epochs(broken) <= seen) continue;
      seen = epochs(broken);
      const workers = childrenOf(crew.pid as number);
      const victim = workers[Math.floor(Math.random() * workers.length)];
      if (victim === undefined) continue;
      process.kill(victim, 'SIGKILL');
      kills += 1;
    }
    assert.is(await ended, 0, stderr);
    assert.is(kills, KILLS, 'the crew was done before all kills');
    assert.match(stdout, /2 of 2 cells done/);
    assert.match(stderr, /worker ended with SIGKILL/);
    assert.match(stderr, /taken up again, attempt 2/);
    assert.equal(withoutTimes(broken), withoutTimes(whole));
    // What is done is not done again.
    const before = cellsOf(broken);
    await inProcess(call(broken));
    assert.equal(cellsOf(broken), before);
    const listed = await inProcess([...call(broken), '--list']);
    assert.match(listed, new RegExp(`finished +${EPOCHS}/${EPOCHS} +mnist/adam/p=0.5/seed=1`));
    assert.match(listed, /2 finished/);
  },
  { timeout: 540 },
);

test.when(process.platform !== 'win32', 'Windows ends a process by any signal')(
  'the end of its terminal stops a crew, each worker behind a checkpoint',
  async () => {
    const out = join(scratch, 'hung-up');
    const args = [...FROM_SOURCE, program, 'experiment', ...call(out), '--epochs', '4000', '--workers', '2'];
    const crew = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    crew.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<number | null>((resolve) => crew.on('close', resolve));
    while (cellsOf(out).filter(({ metrics }) => metrics.length > 0).length < 2 && crew.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    crew.kill('SIGHUP');
    assert.is(await ended, 1, stderr);
    assert.match(stderr, /stopped with 2 cells to do; the same command goes on/);
    // One that is ended at once leaves its lock.
    assert.is(stderr.match(/] lrd: stopped in epoch/g)?.length, 2, stderr);
    const left = readdirSync(out, { recursive: true }).filter((name) => String(name).includes('lock-'));
    assert.equal(left, []);
  },
  { timeout: 120 },
);

test.when(process.platform !== 'win32', 'Windows ends a process by any signal')(
  'one task that is told to stop as it starts takes a step first, and ends with 75; while another process has its cell too',
  async () => {
    const out = join(scratch, 'told');
    const words = call(out).flatMap((word) =>
      word === '--only' ? ['--cell', '6'] : word.startsWith('^') ? [] : [word],
    );
    const args = [...FROM_SOURCE, program, 'experiment', ...words, '--epochs', '4000'];
    /** A task, and what it has said; `signal` is sent once that is `when`. */
    const start = (when: RegExp, signal: NodeJS.Signals): { said: () => string; end: () => Promise<number | null> } => {
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      let text = '';
      const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
      const end = async (): Promise<number | null> => {
        while (!when.test(text) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 10));
        child.kill(signal);
        return ended;
      };
      return { said: () => text, end };
    };
    const first = start(/1 cell, /, 'SIGUSR2');
    assert.is(await first.end(), 75, first.said());
    assert.match(first.said(), /^lrd: stopped in epoch 1 after 1 batches; the same command goes on$/m);
    const owner = start(/goes on in epoch 1 after 1 batches/, 'SIGHUP');
    while (!/goes on in epoch/.test(owner.said())) await new Promise((resolve) => setTimeout(resolve, 10));
    const other = start(/waiting for them/, 'SIGTERM');
    assert.is(await other.end(), 75, other.said());
    assert.match(
      other.said(),
      /^lrd: stopped while 1 of 1 cells were run by other processes; the same command goes on$/m,
    );
    assert.is(await owner.end(), 75, owner.said());
  },
  { timeout: 120 },
);

test('wrong calls are one line that names the argument', async () => {
  const refuse = async (args: readonly string[], pattern: RegExp): Promise<void> => {
    let message = 'no error';
    await inProcess([...args, '--out', join(scratch, 'refused')]).catch((error: Error) => ({ message } = error));
    assert.match(message, pattern);
    assert.not.match(message, /\n/);
  };
  await refuse(['table9'], /NAME must be one of fig1, table1, .*; got "table9"/);
  await refuse(['table1', 'table2'], /takes NAME alone, got also "table2"/);
  await refuse(['table1', '--scale', 'tiny'], /--scale must be one of full, small; got "tiny"/);
  await refuse(['table1', '--only', '('], /--only must be a regular expression, got "\("/);
  await refuse(
    ['table1', '--workers', '0'],
    /--workers must be a whole number of at least 1 and at most 1,024, got "0"/,
  );
  await refuse(['table1', '--recipe', 'lenet'], /--recipe must be one of fcnet, .*; got "lenet"/);
  // Data that nothing stands in for: said before anything is made.
  await refuse(['fig8', '--scale', 'small', '--data-dir', scratch], /imagenet/);
  assert.not.ok(existsSync(join(scratch, 'refused')));
});

test.run();
