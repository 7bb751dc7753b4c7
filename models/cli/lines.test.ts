/** What `--json` writes while it runs: lines of its form, and nothing else. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { parseExperiment } from '../experiments/readExperiment.ts';
import { makePlan } from '../experiments/plan.ts';
import { Store } from '../experiments/store.ts';
import { LINE_FORMS } from './lineForms.ts';
import { outputOf } from './testing/outputOf.ts';

const test = suite('models/cli/lines');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-lines-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const program = fileURLToPath(new URL('lrd.ts', import.meta.url));
type Line = Readonly<Record<string, unknown>> & { readonly event: string };

function call(
  command: 'train' | 'experiment',
  ...args: readonly string[]
): { status: number | null; stderr: string; lines: Line[] } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...FROM_SOURCE, program, command, ...args], {
    encoding: 'utf8',
  });
  assert.ok(stdout === '' || stdout.endsWith('\n'), stdout);
  const lines = stdout
    .split('\n')
    .slice(0, -1)
    .map((text) => JSON.parse(text) as Line);
  for (const line of lines) LINE_FORMS[command].read(line, JSON.stringify(line));
  return { status, stderr, lines };
}

const MINE = JSON.stringify({
  version: 1,
  name: 'mine',
  title: 'Three ends',
  seeds: 1,
  settings: { recipe: 'fcnet', data: 'digits', optimizer: 'sgdm', width: 4, epochs: 2, limit: 200 },
  arms: [
    { id: 'good' },
    { id: 'high', settings: { learningRate: 1e30 } },
    { id: 'bad', settings: { keepProbability: 0.25 } },
  ],
});

test('an experiment says what happens as it runs: cells, epochs, how far the whole is, what failed', () => {
  const [file, out] = [join(scratch, 'mine.json'), join(scratch, 'out')];
  writeFileSync(file, MINE);
  const experiment = parseExperiment(MINE, 'mine.json');
  const plan = makePlan({ experiment, scale: 'full', overlay: {}, seeds: 1, only: undefined });
  const bad = plan.cells.find(({ arm }) => arm === 'bad');
  assert.ok(bad !== undefined);
  // A run that cannot be gone on with.
  const run = join(new Store(out).prepare(bad), 'run');
  mkdirSync(run);
  writeFileSync(join(run, 'config.json'), '{}');
  for (const workers of ['1', '2']) {
    const { status, stderr, lines } = call(
      'experiment',
      file,
      '--backend',
      'cpu',
      '--out',
      out,
      '--json',
      '--workers',
      workers,
    );
    assert.is(status, 1, stderr);
    assert.match(stderr, /lrd: 1 of 3 cells failed: bad\/seed=1: .*config\.json: not a run's settings.*\n$/);
    const [first] = lines;
    assert.equal(first, {
      event: 'plan',
      experiment: 'mine',
      title: 'Three ends',
      scale: 'full',
      out,
      cells: 3,
      epochs: 6,
    });
    const of = (event: string, arm?: string): Line[] =>
      lines.filter((line) => line.event === event && (arm === undefined || line['arm'] === arm));
    if (workers === '1') {
      assert.equal(
        of('cell', 'good').map(({ state, epochs, of: all }) => [state, epochs, all]),
        [
          ['running', 0, 2],
          ['finished', 2, 2],
        ],
      );
      assert.equal(
        of('epoch', 'good').map(({ number, seed, epoch }) => [number, seed, epoch]),
        [
          [0, 1, 1],
          [0, 1, 2],
        ],
      );
      assert.is(of('start', 'good').length, 1);
      assert.is(of('cell', 'high').at(-1)?.['state'], 'diverged');
      // Behind an epoch and behind a cell.
      const [early, ...later] = of('overview');
      assert.equal([early?.['cells'], early?.['done']], [3, 0]);
      assert.ok((early?.['secondsLeft'] as number) > 0);
      assert.ok(later.length >= 3);
    }
    assert.is(of('cell', 'bad').at(-1)?.['state'], 'failed');
    assert.match(String(of('cell', 'bad').at(-1)?.['note']), /config\.json/);
    assert.equal(of('overview').at(-1)?.['states'], { finished: 1, diverged: 1, failed: 1 });
    const { done, failed } = lines.at(-1) ?? {};
    assert.is(lines.at(-1)?.event, 'end');
    assert.is(done, 2);
    assert.match(JSON.stringify(failed), /^\[\{"number":2,"arm":"bad","seed":1,"note":".*"\}\]$/);
  }
  const list = call('experiment', file, '--out', out, '--list', '--json');
  assert.equal(
    list.lines.map(({ event, state }) => [event, state]),
    [
      ['cell', 'finished'],
      ['cell', 'diverged'],
      ['cell', 'failed'],
      ['overview', undefined],
    ],
  );
});

test('a run has lines of the same family, and both print their form', async () => {
  const { status, stderr, lines } = call(
    'train',
    'fcnet',
    '--data',
    'digits',
    '--limit',
    '200',
    '--width',
    '4',
    '--epochs',
    '2',
    '--backend',
    'cpu',
    '--out',
    join(scratch, 'run'),
    '--json',
  );
  assert.is(status, 0, stderr);
  assert.equal(
    lines.map(({ event }) => event),
    ['start', 'epoch', 'epoch', 'end'],
  );
  for (const [command, ...args] of [
    ['train', '--schema'],
    ['experiment', '--schema', '--json'],
  ] as const) {
    const stdout = await outputOf([command, ...args]);
    const { $schema, oneOf } = JSON.parse(stdout) as {
      $schema: string;
      oneOf: { properties: { event: { const: string } } }[];
    };
    assert.match($schema, /2020-12/);
    assert.ok(oneOf.map(({ properties }) => properties.event.const).includes('epoch'));
  }
});

test('the experiments that there are, for programs', () => {
  const { lines } = call('experiment', '--json');
  assert.ok(lines.length > 5 && lines.every(({ event }) => event === 'experiment'));
  assert.ok(lines.some(({ experiment }) => experiment === 'table1'));
});

test('a control follows what measures its factor, in the same call; a task that is too early says so, and the next one goes on', () => {
  const settings = { recipe: 'fcnet', data: 'digits', optimizer: 'adam', width: 4, epochs: 1, limit: 200 };
  const file = join(scratch, 'measured.json');
  writeFileSync(
    file,
    JSON.stringify({
      version: 1,
      name: 'measured',
      title: 'A measured factor',
      seeds: 2,
      settings,
      arms: [
        { id: 'control', like: 'magma', measured: true, control: true },
        { id: 'magma', settings: { keepProbability: 0.5, mask: 'magma' } },
      ],
    }),
  );
  const experiment = (...args: readonly string[]): ReturnType<typeof call> =>
    call('experiment', file, '--backend', 'cpu', '--json', ...args);
  const ended = (lines: readonly Line[]): unknown[] =>
    lines.filter(({ event, state }) => event === 'cell' && state === 'finished').map(({ arm, seed }) => `${arm as string} ${seed as number}`); // prettier-ignore

  const whole = experiment('--out', join(scratch, 'measured'));
  assert.is(whole.status, 0, whole.stderr);
  assert.match(whole.stderr, /control waits for the mean factor that seed 1 of magma measures, and follows it/);
  assert.equal(ended(whole.lines), ['magma 1', 'magma 2', 'control 1', 'control 2']);

  const tasks = join(scratch, 'tasks');
  const early = experiment('--out', tasks, '--cell', '0');
  assert.is(early.status, 1);
  assert.match(
    early.stderr,
    /control take a mean factor that has not been measured yet: seed 1 of magma must be run first/,
  );
  assert.equal(ended(experiment('--out', tasks, '--cell', '1').lines), ['magma 1']);
  assert.equal(ended(experiment('--out', tasks, '--cell', '0').lines), ['control 1']);
});

test.run();
