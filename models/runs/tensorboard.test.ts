import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { silentProgress } from '../trainer/progress.ts';
import { resumeTraining, runTraining } from './runTraining.ts';
import { scalarsEvent, startEvent, stepOf, versionEvent } from '../tensorboard/event.ts';
import { crc32c, encodeRecord, maskedCrc, readRecords } from '../tensorboard/record.ts';
import { eventFiles, openEvents } from '../tensorboard/writer.ts';

const test = suite('models/runs/tensorboard');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-tensorboard-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** A python with the package tensorboard: `LRD_PYTHON`, or the one on the path. */
const python = process.env['LRD_PYTHON'] ?? 'python3';
const hasTensorBoard = spawnSync(python, ['-c', 'import tensorboard']).status === 0;
const withTensorBoard = test.when(
  hasTensorBoard,
  `${python} has no package tensorboard; pip install tensorboard, and LRD_PYTHON names another python`,
);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('CRC-32C of the catalogue (RFC 3720, B.4), and its masked form', () => {
  assert.is(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.is(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.is(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
  assert.is(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assert.is(crc32c(new Uint8Array()), 0);
  assert.is(maskedCrc(new Uint8Array()), 0xa282ead8);
});

test('events are the bytes that tensorboard 2.21 writes', () => {
  const wallTime = 1.5;
  assert.is(
    hex(encodeRecord(versionEvent(wallTime))),
    '1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c',
  );
  assert.is(
    hex(encodeRecord(startEvent(wallTime, 300))),
    '100000000000000095fbfe1809000000000000f83f10ac023a020801713b788a',
  );
  const scalars = scalarsEvent(wallTime, 2 ** 33 + 5, { 'train/loss': 0.25, a: -3 });
  assert.is(
    hex(encodeRecord(scalars)),
    '2e00000000000000c5cb57fa09000000000000f83f1085808080202a1d0a110a0a747261696e2f6c6f7373150000803e0a080a016115000040c07c748978',
  );
  assert.equal(
    [versionEvent(1), startEvent(1, 300), scalars].map((event) => stepOf(Buffer.from(event))),
    [0, 300, 2 ** 33 + 5],
  );
});

test('records are read up to the first that is cut off or damaged', () => {
  const data = ['a', '', 'ccc'].map((text) => Buffer.from(text));
  const file = Buffer.concat(data.map(encodeRecord));
  const read = (bytes: Buffer): string[] => [...readRecords(bytes)].map((record) => record.data.toString());
  assert.equal(read(file), ['a', '', 'ccc']);
  for (let length = 0; length < file.length; length++) {
    const whole = [17, 33].filter((end) => end <= length).length;
    assert.equal(read(file.subarray(0, length)), ['a', ''].slice(0, whole), `${length} bytes`);
  }
  for (let at = 0; at < file.length; at++) {
    const damaged = Buffer.from(file);
    damaged[at] = (damaged[at] as number) ^ 16;
    assert.equal(read(damaged), ['a', '', 'ccc'].slice(0, at < 17 ? 0 : at < 33 ? 1 : 2), `byte ${at}`);
  }
});

const stepsOf = (path: string): number[] => [...readRecords(readFileSync(path))].map(({ data }) => stepOf(data));

test('a session that goes on cuts off what the one before wrote behind its step, and half a record', () => {
  const folder = join(scratch, 'cut');
  mkdirSync(folder);
  const first = openEvents(folder, 0, () => 5000);
  for (const step of [10, 20, 30]) first.scalars(step, { x: step });
  first.close();
  const [one] = eventFiles(folder) as [string];
  assert.match(one, /events\.out\.tfevents\.0000000005\./);
  appendFileSync(one, encodeRecord(scalarsEvent(1, 40, { x: 1 })).subarray(0, 20));
  const second = openEvents(folder, 20, () => 5000);
  second.scalars(30, { x: 30 });
  second.close();
  const [, two] = eventFiles(folder) as [string, string];
  assert.equal([one, two].map(stepsOf), [
    [0, 10, 20],
    [0, 21, 30],
  ]);
  openEvents(folder, 0, () => 5000).close();
  assert.equal(eventFiles(folder).map(stepsOf), [[0], [0], [0, 1]]);
  assert.throws(() => openEvents(join(folder, 'none'), 0), /cannot be written \(ENOENT/);
});

test(
  'a run writes its curves, and one that goes on has every step once',
  async () => {
    const folder = join(scratch, 'run');
    const stop = new AbortController();
    let epochs = 0;
    const line = (text: string): void => {
      if (/: epoch \d/.test(text) && ++epochs === 2) stop.abort();
    };
    const progress = { step: () => undefined, line };
    const request = { recipe: 'fcnet', data: 'digits', width: 16, epochs: 3, seed: 1n, backend: 'wasm', batchSize: 64 };
    try {
      await runTraining({ ...request, out: folder, tensorBoard: true }, { progress, signal: stop.signal });
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, /stopped in epoch 3 after 0 batches/);
    }
    // What a kill between the last event and its checkpoint leaves behind.
    const [first] = eventFiles(folder) as [string];
    appendFileSync(first, encodeRecord(scalarsEvent(1, 50, { 'batch/loss': 9 })));
    await resumeTraining(
      { folder, epochs: undefined, dataDir: undefined, backend: undefined },
      { progress: silentProgress },
    );
    // 1437 images in batches of 64: 23 steps an epoch.
    assert.equal(eventFiles(folder).map(stepsOf), [[0, 23, 23, 46, 46], [0, 47, 50, 69, 69]]); // prettier-ignore
  },
  { timeout: 60 },
);

const READER = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing import plugin_event_multiplexer
accumulator = EventAccumulator(sys.argv[1]); accumulator.Reload()
scalars = {tag: [[e.step, e.value] for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()['scalars']}
multiplexer = plugin_event_multiplexer.EventMultiplexer(); multiplexer.AddRunsFromDirectory(sys.argv[2]); multiplexer.Reload()
runs = {run: sorted(multiplexer.PluginRunToTagToContent('scalars').get(run, {})) for run in multiplexer.Runs()}
print(json.dumps({'scalars': scalars, 'runs': runs}))
`;

withTensorBoard(
  'TensorBoard itself reads them: values, steps without duplicates, the run by its folder',
  async () => {
    const folder = join(scratch, 'read', 'arm');
    const request = { recipe: 'fcnet', data: 'digits', width: 16, epochs: 2, seed: 1n, backend: 'wasm', batchSize: 64 };
    const controls = { progress: silentProgress };
    await runTraining({ ...request, out: folder, tensorBoard: true }, controls);
    const again = { folder, epochs: 4, dataDir: undefined, backend: undefined };
    const run = await resumeTraining(again, controls);
    const program = join(scratch, 'reader.py');
    writeFileSync(program, READER);
    const { stdout, stderr, status } = spawnSync(python, [program, folder, join(scratch, 'read')], {
      encoding: 'utf8',
    });
    assert.is(status, 0, stderr);
    const { scalars, runs } = JSON.parse(stdout) as {
      scalars: Record<string, [number, number][]>;
      runs: Record<string, string[]>;
    };
    const rounded = (values: number[]): number[] => values.map(Math.fround);
    assert.equal(
      scalars['train/loss'],
      rounded(run.metrics.map(({ trainLoss }) => trainLoss)).map((value, index) => [23 * (index + 1), value]),
    );
    assert.equal(
      scalars['test/accuracy'],
      rounded(run.metrics.map(({ testAccuracy }) => testAccuracy)).map((value, index) => [23 * (index + 1), value]),
    );
    assert.equal(
      scalars['learning_rate']?.map(([step]) => step),
      [23, 46, 50, 69, 92],
    );
    assert.equal(scalars['keep_probability']?.[0], [23, 1]);
    assert.equal(Object.keys(runs), ['arm']);
    assert.ok(
      ['batch/loss', 'learning_rate', 'test/loss', 'train/accuracy'].every((tag) => runs['arm']?.includes(tag)),
    );
  },
  { timeout: 120 },
);

withTensorBoard('a session start takes back what TensorBoard read behind its step', () => {
  const folder = join(scratch, 'orphans');
  mkdirSync(folder);
  const first = openEvents(folder, 0, () => 5000);
  for (const step of [10, 20, 30]) first.scalars(step, { x: step });
  first.close();
  const [one] = eventFiles(folder) as [string];
  const before = readFileSync(one);
  const second = openEvents(folder, 20, () => 9000);
  second.scalars(30, { x: -1 });
  second.close();
  // As it was read before the cut.
  writeFileSync(one, before);
  const program = join(scratch, 'reader.py');
  writeFileSync(program, READER);
  const { stdout, stderr } = spawnSync(python, [program, folder, folder], { encoding: 'utf8' });
  const { scalars } = JSON.parse(stdout === '' ? stderr : stdout) as { scalars: Record<string, unknown> };
  assert.equal(scalars['x'], [[10, 10], [20, 20], [30, -1]]); // prettier-ignore
});

test.run();
