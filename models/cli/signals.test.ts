/** Ctrl-C and SIGTERM end the command, whatever it is waiting for or computing: with what it says then, or by the signal itself. */
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { openServer } from '../data/testing/server.ts';
import { runTraining } from '../runs/runTraining.ts';
import { latest } from '../runs/testing/command.ts';

const test = suite('models/cli/signals');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-signals-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const program = fileURLToPath(new URL('lrd.ts', import.meta.url));
const at = (name: string): string => join(scratch, name);

interface Situation {
  readonly args: readonly string[];
  /** Looked for again and again until it holds: then comes the signal. */
  readonly reached: (said: string) => boolean;
  /** The exit code, or the signal that ended it. */
  readonly ends: number | 'signal';
  readonly says?: RegExp;
  /** Where nobody reads what it writes. */
  readonly unread?: boolean;
  /** A pipe that stays open. */
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A pipe that is full, and that nobody reads. */
function fullPipe(name: string): number {
  assert.is(spawnSync('mkfifo', [at(name)]).status, 0);
  const pipe = openSync(at(name), constants.O_RDWR | constants.O_NONBLOCK);
  try {
    for (;;) writeSync(pipe, Buffer.alloc(4096));
  } catch (error) {
    assert.is((error as NodeJS.ErrnoException).code, 'EAGAIN');
  }
  return pipe;
}

/** Milliseconds in which a situation must come about, on a machine that does much else. */
const PATIENCE = 120_000;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

/** Sends the signal when the situation is reached. What would never end fails by the test's own time. */
async function check(name: string, signal: NodeJS.Signals, situation: Situation): Promise<void> {
  const { args, reached, ends, says = /^/, unread = false, stdin, env = {} } = situation;
  const pipe = unread ? fullPipe(`${name}-${signal}`.replaceAll(' ', '-')) : undefined;
  const child = spawn(process.execPath, [...FROM_SOURCE, program, ...args], {
    cwd: scratch,
    env: { ...process.env, ...env },
    stdio: [stdin === undefined ? 'ignore' : 'pipe', pipe ?? 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr?.on('data', (piece: Buffer) => (said += piece.toString()));
  child.stdout?.on('data', (piece: Buffer) => (said += piece.toString()));
  if (stdin !== undefined) child.stdin?.write(stdin);
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('exit', (...how) => resolve(how)),
  );
  try {
    const until = performance.now() + PATIENCE;
    while (!reached(said)) {
      assert.is(child.exitCode, null, `${name}: ended too early: ${said}`);
      assert.ok(performance.now() < until, `${name}: not reached: ${said}`);
      await pause();
    }
    child.kill(signal);
    const [status, by] = await ended;
    assert.equal([status, by], ends === 'signal' ? [null, signal] : [ends, null], `${name}, ${signal}: ${said}`);
    assert.match(said, says, name);
  } finally {
    child.kill('SIGKILL');
    if (pipe !== undefined) closeSync(pipe);
  }
}

const trains = (name: string, ...more: readonly string[]): string[] =>
  `train fcnet --data digits --width 4 --limit 20 --epochs 100000 --backend cpu --checkpoint-seconds 0 --out ${at(name)}`
    .split(' ')
    .concat(more);

const BUSY = "process.stderr.write('BUSY\\n'); while (true);";

test(
  'in the middle of what keeps the program busy, and of what it waits for',
  async () => {
    const server = await openServer();
    server.behave('/mnist/train-images-idx3-ubyte.gz', (_, response) => {
      response.writeHead(200, { 'content-length': 9_912_422 });
      response.write('x');
    });
    await runTraining({
      recipe: 'fcnet',
      data: 'digits',
      width: 4,
      epochs: 1,
      limit: 20,
      seed: 1n,
      backend: 'cpu',
      out: at('locked'),
    });
    writeFileSync(
      join(at('locked'), 'lock-0001.json'),
      JSON.stringify({ id: 'x', host: 'elsewhere', pid: 5, started: null }),
    );
    // A network whose parts never end: it is built, or computes its first step.
    const net = (
      build: string,
      forward: string,
    ): string => `export const recipe = ({ tf, modelNet, imageRecipe }) => imageRecipe({
      name: 'busy', title: 'busy', width: 'units', defaults: { data: 'digits', batchSize: 8, epochs: 1 },
      build: () => { ${build}
        const variable = tf.variable(tf.zeros([64, 10]));
        return { name: 'busy', parameters: [{ name: 'w', variable }], statistics: [], dispose: () => variable.dispose(), forward: () => { ${forward} } }; } });`;
    writeFileSync(at('builds.js'), net(BUSY, ''));
    writeFileSync(at('steps.js'), net('', BUSY));
    writeFileSync(at('loads.js'), BUSY);
    writeFileSync(at('waits.js'), "export const recipe = async () => { process.stderr.write('BUSY\\n'); await new Promise((resolve) => setTimeout(resolve, 1e8)); };"); // prettier-ignore
    const busy = (said: string): boolean => said.includes('BUSY');
    const situations: Readonly<Record<string, Situation>> = {
      'a module that is loaded': { args: ['train', './loads.js'], reached: busy, ends: 'signal' },
      'a module that waits': { args: ['train', './waits.js'], reached: busy, ends: 'signal' },
      'a data set that is loaded': { args: ['train', 'fcnet', '--data', './loads.js'], reached: busy, ends: 'signal' },
      'a network that is built': {
        args: ['train', './builds.js', '--backend', 'cpu', '--out', at('built')],
        reached: busy,
        ends: 'signal',
      },
      'a first step': {
        args: ['train', './steps.js', '--backend', 'cpu', '--out', at('step')],
        reached: busy,
        ends: 'signal',
      },
      "another machine's lock": {
        args: ['train', '--resume', at('locked')],
        reached: (said) => said.includes('watching for'),
        ends: 1,
        says: /^lrd: .*locked: process 5 on elsewhere is training in this folder.*lock-0001\.json/m,
      },
      'a download that stands still': {
        args: ['data', 'fetch', 'mnist', '--data-dir', at('fetched')],
        env: { LRD_DATA_MIRROR: server.base },
        reached: () =>
          existsSync(join(at('fetched'), '.mnist.fetch')) &&
          readdirSync(join(at('fetched'), '.mnist.fetch')).length > 0,
        ends: 'signal',
      },
      'half a line on stdin': {
        args: ['conformance', 'serve', '--adapter', 'ref'],
        stdin: '{"cmd":"start","version":1}\n{"cmd":',
        reached: (said) => said.includes('"implementation"'),
        ends: 'signal',
      },
      'a program that does not answer': {
        args: ['conformance', '--adapter', 'cmd:echo BUSY >&2; touch asked; sleep 1000'],
        reached: () => existsSync(at('asked')),
        ends: 'signal',
      },
      'output that nobody reads': {
        args: trains('unread', '--json'),
        unread: true,
        reached: () => existsSync(latest(at('unread'))),
        ends: 1,
        says: /lrd: stopped in epoch \d+ after \d+ batches; go on with/,
      },
    };
    try {
      // Two at a time, with one signal each and the other in the next call.
      const queue = Object.entries(situations).map(
        (entry, k) => [...entry, (['SIGINT', 'SIGTERM'] as const)[k % 2]] as const,
      );
      const lane = async (): Promise<void> => {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
          const [name, situation, signal] = next;
          await check(name, signal as NodeJS.Signals, situation);
        }
      };
      await Promise.all([lane(), lane()]);
    } finally {
      await server.close();
    }
  },
  { timeout: 300 },
);

test.run();
