/**
 * Pipes, devices, folders, sockets, loops of links, files that the kernel makes up, names that a terminal would obey: in the place of every file and folder
 * that the command reads or writes. Each call ends with one line or does its work, and nothing but regular files is replaced.
 *
 * The suite makes every eighth of the calls; `LRD_PLACES=all npm run ts -- models/cli/places.test.ts` makes all of them, in some minutes.
 */
import { fork, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { runTraining } from '../runs/runTraining.ts';
import type { Answer } from './testing/callee.ts';

const test = suite('models/cli/places');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-places-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** Where the calls are made: what lies above it is theirs too. */
const home = join(scratch, 'above', 'home');

const PLACES = ['fifo', 'fifo.json', './fifo.js', 'to-fifo', 'folder', 'folder.json', './folder.js', 'socket', 'loop', 'dangling', 'file', './file.json', 'file/below',
  'run-of-pipes', 'run-of-zeros', '/dev/null', '/dev/zero', '/dev/full', '/dev/tty', '/dev/stdin', '/proc', '/proc/self', '/proc/self/mem', '/proc/self/fd/0', '/proc/1/environ', '/proc/kmsg',
  '/sys/kernel', '', '.', '..', '~', '-', '--', 'x'.repeat(300), Array.from({ length: 30 }, () => 'y'.repeat(200)).join('/'), 'no\nwhere', 'a\u001b[31mb', '\u202egnp.exe', 'new\\x',
  'not/there/yet'] as const; // prettier-ignore

const SMALL = '--data digits --width 4 --limit 50 --epochs 1 --backend cpu';
/** PLACE is one of the above, OUT a name that nothing has. */
const CALLS = [
  `train fcnet ${SMALL} --out OUT --init PLACE`,
  'train PLACE --data digits --limit 50 --epochs 1 --backend cpu --out OUT',
  'train fcnet --data PLACE --limit 50 --epochs 1 --backend cpu --out OUT',
  'train fcnet --data mnist --data-dir PLACE --limit 50 --epochs 1 --backend cpu --width 4 --out OUT',
  'train resnet14 --data imagenet --data-dir PLACE --limit 1 --epochs 1 --backend cpu --out OUT',
  'train ssd300 --data-dir PLACE --limit 1 --epochs 1 --backend cpu --out OUT',
  'train gpt --data PLACE --epochs 1 --epoch-steps 1 --width 16 --context 4 --layers 1 --batch-size 1 --backend cpu --out OUT',
  `train fcnet ${SMALL} --out PLACE`,
  'train --resume PLACE',
  'evaluate PLACE',
  'evaluate run --data-dir PLACE',
  'experiment PLACE --list --out OUT',
  'experiment table1 --scale small --only mnist/sgdm/p=1/seed=1 --epochs 1 --recipe fcnet --data digits --backend cpu --out PLACE',
  'experiment table1 --scale small --list --out PLACE',
  'experiment table1 --scale small --on slurm --dry-run --prologue PLACE --out HOME/OUT',
  'experiment table1 --cancel --out PLACE',
  'experiment table1 --scale small --recipe PLACE --only mnist/sgdm/p=1/ --list --out OUT',
  'experiment table1 --scale small --data PLACE --list --out OUT',
  'runs PLACE',
  'diff PLACE run',
  'diff run PLACE',
  'report PLACE --out OUT',
  'report run --out PLACE',
  'report run --json PLACE',
  'export PLACE',
  'export run --out PLACE',
  'export run --to tfjs --out PLACE',
  'conformance --adapter module:PLACE --only LRD-MASK-003',
  'conformance --adapter ref --only LRD-MASK-003/adam --json PLACE',
  'conformance --adapter ref --only LRD-MASK-003/adam --html PLACE',
  'conformance init python --out PLACE',
  'bench reference --only zzz --compare PLACE',
  'bench reference --only zzz --json PLACE',
  'bench reference --only zzz --html PLACE',
  'toy --steps 5 --grid 2 --out PLACE',
  'data list --data-dir PLACE',
  'data verify mnist --data-dir PLACE',
  'data verify imagenet --data-dir PLACE',
  'data verify voc --data-dir PLACE',
  'setup tensorflow --wheel PLACE --dir OUT',
  'pack --data imagenet --data-dir /dev/null --out PLACE',
].map((text) => text.split(' '));

const all = process.env['LRD_PLACES'] === 'all';
const EVERY = all ? 1 : 8;

/** In every call and every place a different eighth, so that each of both comes up. */
const chosen = CALLS.flatMap((words, i) =>
  PLACES.flatMap((place, j) => ((i + 3 * j) % EVERY === 0 ? [{ words, place, out: `out-${i}-${j}` }] : [])),
);

/** Milliseconds after which a call counts as one that never ends. */
const PATIENCE = 120_000;
/** Calls of one process: what it needs is bounded for all of them together. */
const CALLS_OF_A_PROCESS = 300;
const MEGABYTES = 1500;

let child: ChildProcess | undefined;
test.after(() => void child?.kill('SIGKILL'));

function start(): Promise<ChildProcess> {
  const program = fileURLToPath(new URL('testing/callee.ts', import.meta.url));
  const started = fork(program, [], {
    cwd: home,
    execArgv: ['--max-old-space-size=700', '--no-warnings', ...FROM_SOURCE],
    env: { ...process.env, LRD_DATA: join(scratch, 'no-data'), XDG_CACHE_HOME: join(scratch, 'no-cache') },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return new Promise((resolve) => started.once('message', () => resolve(started)));
}

/** The answer to a call, or how the process ended instead. */
async function call(words: readonly string[]): Promise<Answer | string> {
  child ??= await start();
  const asked = child;
  return new Promise<Answer | string>((resolve) => {
    const done = (came: Answer | string): void => {
      clearTimeout(timer);
      asked.removeAllListeners('message');
      asked.removeAllListeners('exit');
      if (typeof came === 'string') {
        asked.kill('SIGKILL');
        child = undefined;
      }
      resolve(came);
    };
    const timer = setTimeout(() => done(`no answer after ${PATIENCE / 1000} s`), PATIENCE);
    asked.once('message', (came: Answer) => done(came));
    asked.once('exit', (status, signal) => done(`it ended with ${signal ?? status}`));
    asked.send(words);
  });
}

/** What is wrong with an answer. */
function faults({ status, stderr, megabytes }: Answer, out: string): string[] {
  const told = stderr.split('\n').filter((line) => line.startsWith('lrd: ') && !line.startsWith('lrd: note: '));
  const wrong: (readonly [boolean, string])[] = [
    [![0, 1, 2].includes(status), `exit code ${status}`],
    [/internal error|\n\s+at /.test(stderr), 'a stack trace'],
    [status !== 0 && told.length !== 1, `${told.length} lines`],
    [status === 2 && existsSync(join(home, out)), 'a wrong call left something'],
    // oxlint-disable-next-line no-control-regex -- these are looked for
    [/[\u0000-\u0008\u000b-\u001f\u007f\u202e]/.test(stderr), 'what a terminal would obey'],
    [megabytes > MEGABYTES, `${megabytes} MB`],
  ];
  return wrong.filter(([is]) => is).map(([, what]) => what);
}

const pipes = ['fifo', 'fifo.json', 'fifo.js', 'run-of-pipes/config.json'];

test.before(async () => {
  mkdirSync(home, { recursive: true });
  const at = (name: string): string => join(home, name);
  await runTraining({
    recipe: 'fcnet',
    data: 'digits',
    width: 4,
    epochs: 1,
    limit: 50,
    seed: 1n,
    backend: 'cpu',
    out: at('run'),
  });
  for (const name of ['folder', 'folder.json', 'folder.js', 'run-of-pipes', 'run-of-zeros']) mkdirSync(at(name));
  assert.is(spawnSync('mkfifo', pipes.map(at)).status, 0);
  symlinkSync('loop', at('loop'));
  symlinkSync('nowhere', at('dangling'));
  symlinkSync('fifo', at('to-fifo'));
  symlinkSync('/dev/zero', at('run-of-zeros/config.json'));
  writeFileSync(at('file'), 'hello\n');
  writeFileSync(at('file.json'), '{}');
  // A socket stays when whoever listened is killed.
  const listener = "require('node:net').createServer().listen('socket', () => process.kill(process.pid, 'SIGKILL'))";
  spawnSync(process.execPath, ['-e', listener], { cwd: home });
  assert.ok(lstatSync(at('socket')).isSocket());
});

test.when(process.platform === 'linux', 'the places are those of Linux')(
  `${chosen.length} of ${CALLS.length * PLACES.length} calls`,
  async () => {
    const wrong: string[] = [];
    let calls = 0;
    let largest = 0;
    for (const { words, place, out } of chosen) {
      const given = words.map((word) =>
        word
          .replace('HOME', () => home)
          .replace('OUT', () => out)
          .replace('PLACE', () => place),
      );
      const came = await call(given);
      const name = given.map((word) => JSON.stringify(word.slice(0, 60))).join(' ');
      if (typeof came === 'string') wrong.push(`${name}: ${came}`);
      else {
        largest = Math.max(largest, came.megabytes);
        const found = faults(came, out);
        if (found.length > 0) wrong.push(`${name}: ${found.join(', ')}: ${came.stderr.slice(0, 600)}`);
      }
      if (++calls % CALLS_OF_A_PROCESS === 0) {
        child?.kill('SIGKILL');
        child = undefined;
      }
    }
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
    process.stderr.write(`${calls} calls, at most ${largest.toFixed(0)} MB\n`);
  },
  { timeout: all ? 3600 : 300 },
);

test('pipes, sockets, links and folders are what they were', () => {
  for (const name of pipes) assert.ok(lstatSync(join(home, name)).isFIFO(), name);
  assert.ok(lstatSync(join(home, 'socket')).isSocket());
  assert.is(readlinkSync(join(home, 'loop')), 'loop');
  assert.is(readlinkSync(join(home, 'to-fifo')), 'fifo');
  assert.is(readlinkSync(join(home, 'dangling')), 'nowhere');
  assert.ok(lstatSync('/dev/null').isCharacterDevice());
  assert.ok(lstatSync('/dev/full').isCharacterDevice());
  assert.ok(readFileSync(join(home, 'run', 'config.json'), 'utf8').startsWith('{'));
});

test.run();
