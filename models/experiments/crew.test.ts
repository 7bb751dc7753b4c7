import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import type { CellOutcome } from './results.ts';
import { collectResults } from './results.ts';

/** How many workers are killed: `LRD_KILLS=20 node --import tsx models/experiments/crew.test.ts` is the long proof. */
const KILLS = Number(process.env['LRD_KILLS'] ?? 3);

const test = suite('models/experiments/crew');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-crew-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const program = fileURLToPath(new URL('../cli/lrd.ts', import.meta.url));
const loader = import.meta.resolve('tsx');
/** Two arms of Table I on the embedded digits. */
const call = (out: string, ...more: readonly string[]): string[] =>
  ['--import', loader, program, 'experiment', 'table1', '--only', '^mnist/adam/p=(1|0.5)/', '--data', 'digits', '--width', '48']
    .concat(['--epochs', String(10 * KILLS), '--seeds', '1', '--backend', 'cpu', '--checkpoint-seconds', '0', '--out', out, ...more]); // prettier-ignore

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
    const alone = spawnSync(process.execPath, call(whole), { encoding: 'utf8' });
    assert.is(alone.status, 0, alone.stderr);
    assert.match(alone.stdout, /2 of 2 cells done/);
    const crew = spawn(process.execPath, call(broken, '--workers', '2'), { stdio: ['ignore', 'pipe', 'pipe'] });
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
    const again = spawnSync(process.execPath, call(broken, '--workers', '2'), { encoding: 'utf8' });
    assert.is(again.status, 0, again.stderr);
    assert.equal(cellsOf(broken), before);
    const listed = spawnSync(process.execPath, call(broken, '--list'), { encoding: 'utf8' });
    assert.match(listed.stdout, new RegExp(`finished +${10 * KILLS}/${10 * KILLS} +mnist/adam/p=0.5/seed=1`));
    assert.match(listed.stdout, /2 finished/);
  },
  { timeout: 300 },
);

test('wrong calls are one line that names the argument', () => {
  const refuse = (args: readonly string[], pattern: RegExp, status = 2): void => {
    const { stderr, stdout, status: code } = spawnSync(process.execPath, ['--import', loader, program, 'experiment', ...args, '--out', join(scratch, 'refused')], { encoding: 'utf8' }); // prettier-ignore
    assert.match(stderr, pattern);
    assert.is(stderr.trimEnd().split('\n').length, 1, stderr);
    assert.is(code, status);
    assert.is(stdout, '');
  };
  refuse(['table9'], /NAME must be one of fig1, table1, .*; got "table9"/);
  refuse(['fig8', '--scale', 'small', '--data-dir', scratch], /imagenet.*(fetch|login|image-net|--data-dir)/, 1);
});

test.run();
