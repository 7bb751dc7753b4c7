/** Folders of runs and experiments that something has been done to: whatever it is, the commands answer in one line. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { InvalidArgumentError } from 'learning-rate-dropout/internal';
import { suite } from '../../conformance/harness/suite.ts';
import { JobError, UsageError } from '../errors.ts';
import { runTraining } from '../runs/runTraining.ts';
import { outputOf } from './testing/outputOf.ts';

const test = suite('models/cli/mutations');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-mutations-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const SCRIPT = '"><script>alert(1)</script>';
const DEEP = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
/** What takes the place of a value, as JSON's text. */
const VALUES = ['null', '{}', '[]', '[null]', '-1', '0', '0.5', '1e308', '-1e308', '1e999', '9007199254740993', 'true', '""', '"x"', JSON.stringify(SCRIPT),
  '"\\u001b[31m\\n\\u202e"', '{"__proto__":{"x":1}}', DEEP]; // prettier-ignore

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Every place in a value, from the outside in. */
function places(value: Json, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  // Of a list its first and its last stand for all.
  const keys = Array.isArray(value) ? [...new Set([0, value.length - 1])].filter((k) => k >= 0) : Object.keys(value);
  return [
    path,
    ...keys.flatMap((key) => places((value as Record<string | number, Json>)[key] as Json, [...path, key])),
  ];
}

const MARK = 'the value that is exchanged';

/** The text of `value` with another text at a place; undefined takes the field away. */
function changed(value: Json, path: readonly (string | number)[], text: string | undefined): string {
  if (path.length === 0) return text ?? '';
  const copy = structuredClone(value);
  let at = copy as Record<string | number, Json>;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, Json>;
  const last = path.at(-1) as string | number;
  if (text !== undefined) at[last] = MARK;
  else if (Array.isArray(at)) at.splice(Number(last), 1);
  else delete at[last];
  return JSON.stringify(copy).replace(`"${MARK}"`, () => text ?? '');
}

/** Each way in which the text of a file of JSON is spoilt. */
function* spoiltTexts(text: string): Generator<string> {
  const value = JSON.parse(text) as Json;
  let turn = 0;
  for (const path of places(value)) {
    yield changed(value, path, undefined);
    // Not all at every place: each comes in its turn, so that over the places all are met many times.
    for (let k = 0; k < 5; k++) yield changed(value, path, VALUES[turn++ % VALUES.length]);
  }
  yield* [
    '',
    ' ',
    '{',
    text.slice(0, text.length / 2),
    `${text}${text}`,
    `\ufeff${text}`,
    text.replaceAll('"', "'"),
    '\u0000'.repeat(64),
  ];
}

let calls = 0;
let refused = 0;

/** Calls the command here; what it refuses must be one line of ours. Returns the message, if there is one. */
async function call(what: string, args: readonly string[]): Promise<string | undefined> {
  calls += 1;
  try {
    await outputOf(args);
    return undefined;
  } catch (error) {
    const ours = error instanceof JobError || error instanceof UsageError || error instanceof InvalidArgumentError;
    assert.ok(ours, `${what}: ${args.join(' ')}: ${(error as Error).stack}`);
    const { message } = error as Error;
    assert.ok(!message.includes('\n'), `${what}: ${message}`);
    assert.not.match(message, /undefined|\[object|is not a function|Cannot read prop/, what);
    refused += 1;
    return message;
  }
}

const run = join(scratch, 'run');
const page = join(scratch, 'page.html');

/** A copy of the run of which a file is another. */
function copyWith(file: string, text: string): string {
  const copy = join(scratch, 'copy');
  rmSync(copy, { recursive: true, force: true });
  cpSync(run, copy, { recursive: true });
  writeFileSync(join(copy, file), text);
  return copy;
}

async function report(what: string, folder: string): Promise<string | undefined> {
  rmSync(page, { force: true });
  const message = await call(what, ['report', folder, '--out', page]);
  if (message === undefined) {
    const html = readFileSync(page, 'utf8');
    // The page's own script and its data, where there are charts; nothing that a file says becomes another element.
    assert.ok([0, 2].includes(html.match(/<script/g)?.length ?? 0), what);
    assert.match(html, /http-equiv="Content-Security-Policy" content="default-src 'none'/);
  }
  return message;
}

test.before(async () => {
  await runTraining({ recipe: 'fcnet', data: 'digits', width: 4, epochs: 2, limit: 200, seed: 1n, backend: 'cpu', out: run, optimizer: 'adam', keepProbability: 0.5,
    regularizers: { gradientKeepProbability: 0.5, noisyLabels: 0.1 }, schedules: { learningRate: { kind: 'step', milestones: [1] }, keepProbability: { kind: 'epochs', values: [[2, 0.7]] } } }); // prettier-ignore
  const picture = 'data:image/png;base64,iVBORw0KGgo=';
  const box = { corners: [0.1, 0.1, 0.5, 0.5], label: 'cat', colour: '#00ff00', score: 0.9, difficult: false };
  const drawing = {
    name: 'a',
    width: 10,
    height: 8,
    picture,
    truth: { boxes: [box], mask: picture },
    prediction: {},
    legend: [{ label: 'cat', colour: '#00ff00' }],
  };
  writeFileSync(join(run, 'predictions.json'), JSON.stringify([drawing]));
});

test(
  'settings, metrics, predictions and the environment of a run: each spoilt in every place',
  async () => {
    for (const file of ['config.json', 'predictions.json', 'environment.json']) {
      for (const text of spoiltTexts(readFileSync(join(run, file), 'utf8'))) {
        const what = `${file}: ${text.slice(0, 300)}`;
        const folder = copyWith(file, text);
        const message = await report(what, folder);
        if (message !== undefined) assert.ok(message.includes(file), message);
      }
    }
    const [first = '', second = ''] = readFileSync(join(run, 'metrics.jsonl'), 'utf8').split('\n');
    for (const text of spoiltTexts(first)) {
      const message = await report(`metrics: ${text.slice(0, 300)}`, copyWith('metrics.jsonl', `${text}\n${second}\n`));
      if (message !== undefined) assert.match(message, /metrics\.jsonl: line \d/);
    }
    for (const text of [
      '',
      '\n',
      '\n\n',
      `${second}\n${first}\n`,
      `${first}\nnull\n`,
      `${first}\n${first}\n`,
      `${first}\n`.repeat(3),
    ]) {
      await report(`metrics: ${text.slice(0, 300)}`, copyWith('metrics.jsonl', text));
    }
    // What is refused is refused for the right reason, and what is harmless is not.
    assert.is(await report('whole', copyWith('notes.txt', SCRIPT)), undefined);
    const config = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as Json;
    for (const [key, value, rule] of [
      ['keepProbability', '"x"', /config\.json: not a run's settings: keepProbability must be number, got "x"/],
      ['epochs', '0', /epochs must be >= 1, got 0/],
      ['optimizer', '"adan"', /optimizer must be one of sgdm, .*, got "adan"/],
      ['schedules', '{"learningRate":{"kind":"stop"}}', /schedules\.learningRate .*kind/],
    ] as const) {
      assert.match((await report(key, copyWith('config.json', changed(config, [key], value)))) ?? '', rule);
    }
  },
  { timeout: 240 },
);

test(
  'going on with such a run, and testing it again',
  async () => {
    const spoilt = [...spoiltTexts(readFileSync(join(run, 'config.json'), 'utf8'))];
    for (const [index, text] of spoilt.entries()) {
      // A third each, and a third again by the other command: both meet every field.
      if (index % 3 !== 0) continue;
      const what = `config.json: ${text.slice(0, 300)}`;
      const folder = copyWith('config.json', text);
      await call(what, ['evaluate', folder, '--backend', 'cpu']);
      await call(what, ['train', '--resume', folder, '--epochs', '2', '--backend', 'cpu']);
      assert.equal(
        readdirSync(folder).filter((name) => /^lock|part$/.test(name)),
        [],
        what,
      );
    }
    for (const text of [
      '',
      'null',
      '[]',
      '{}',
      '{"host":1}',
      '{"host":"x","pid":"y","started":3}',
      `{"pid":${'9'.repeat(400)}}`,
      SCRIPT,
    ]) {
      const folder = copyWith('lock-0001.json', text);
      // As old as a lock of a machine that is gone.
      await call(`lock: ${text}`, ['evaluate', folder, '--backend', 'cpu']);
    }
  },
  { timeout: 240 },
);

test(
  'a checkpoint whose header or bytes were changed',
  async () => {
    const checkpoint = join('checkpoint', 'latest.safetensors');
    const bytes = readFileSync(join(run, checkpoint));
    const length = Number(bytes.readBigUInt64LE(0));
    const header = bytes.toString('utf8', 8, 8 + length).trimEnd();
    const data = bytes.subarray(8 + length);
    const archive = (text: string): Buffer => {
      const size = Buffer.alloc(8);
      size.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
      return Buffer.concat([size, Buffer.from(text), data]);
    };
    const files: Buffer[] = [];
    const withoutSum = header.replace(/"crc32":"[0-9a-f]{8}",?/, '');
    let turn = 0;
    for (const text of spoiltTexts(withoutSum)) if (turn++ % 4 === 0) files.push(archive(text));
    const { __metadata__: metadata } = JSON.parse(withoutSum) as { __metadata__: Record<string, string> };
    for (const key of ['position', 'optimizer', 'optimizerKeys', 'config']) {
      for (const text of spoiltTexts(metadata[key] as string)) {
        if (turn++ % 8 !== 0) continue;
        files.push(
          archive(
            JSON.stringify({ ...(JSON.parse(withoutSum) as object), __metadata__: { ...metadata, [key]: text } }),
          ),
        );
      }
    }
    for (let k = 0; k < 8; k++) {
      const flipped = Buffer.from(bytes);
      const at = Math.floor((k * bytes.length) / 8);
      flipped[at] = (flipped[at] as number) ^ (1 << k);
      files.push(flipped, bytes.subarray(0, at));
    }
    for (const file of files) {
      const what = file.toString('latin1', 0, 300);
      const copy = copyWith('notes.txt', '');
      writeFileSync(join(copy, checkpoint), file);
      await call(what, ['evaluate', copy, '--backend', 'cpu']);
      if (turn++ % 4 === 0) await call(what, ['train', '--resume', copy, '--epochs', '2', '--backend', 'cpu']);
    }
  },
  { timeout: 240 },
);

test(
  'an experiment whose plan, cells and results were changed',
  async () => {
    const out = join(scratch, 'experiment');
    const settings = {
      recipe: 'fcnet',
      data: 'digits',
      optimizer: 'sgdm',
      keepProbability: 1,
      learningRate: 0.1,
      batchSize: 128,
      epochs: 2,
    };
    const plan = JSON.stringify({
      version: 1,
      experiment: 'table1',
      scale: 'small',
      overlay: {},
      cells: [{ arm: 'mnist/sgdm/p=1', seed: 1, settings }],
    });
    for (const text of spoiltTexts(plan)) {
      rmSync(out, { recursive: true, force: true });
      mkdirSync(out);
      writeFileSync(join(out, 'plan-table1-small.json'), text);
      await report(`plan: ${text.slice(0, 300)}`, out);
    }
    const results = JSON.stringify({
    version: 1,
    kind: 'lrd-experiments',
    experiments: [{ experiment: 'table1', scale: 'small', overlay: {}, cells: [{ arm: 'mnist/sgdm/p=1', seed: 1, settings, outcome: 'finished',
      metrics: readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Json) }] }],
  }); // prettier-ignore
    const path = join(scratch, 'results.json');
    writeFileSync(path, results);
    assert.is(await report('results', path), undefined);
    for (const text of spoiltTexts(results)) {
      writeFileSync(path, text);
      await report(`results: ${text.slice(0, 300)}`, path);
    }
  },
  { timeout: 120 },
);

test('folders where files should be, links in a circle, files that are cut off', async () => {
  for (const file of [
    'config.json',
    'metrics.jsonl',
    'predictions.json',
    'environment.json',
    join('checkpoint', 'latest.safetensors'),
  ]) {
    const folder = (): string => {
      const copy = copyWith('notes.txt', '');
      rmSync(join(copy, file));
      return copy;
    };
    const gone = folder();
    const inPlace = folder();
    for (const command of [
      ['report', gone, '--out', page],
      ['evaluate', gone, '--backend', 'cpu'],
    ])
      await call(`${file} is gone`, command);
    mkdirSync(join(inPlace, file), { recursive: true });
    for (const command of [
      ['report', inPlace, '--out', page],
      ['evaluate', inPlace, '--backend', 'cpu'],
      ['train', '--resume', inPlace, '--backend', 'cpu'],
    ])
      await call(`${file} is a folder`, command);
    const circle = folder();
    symlinkSync('config.json', join(circle, file));
    await call(`${file} is a circle`, ['report', circle, '--out', page]);
    const cut = copyWith('notes.txt', '');
    truncateSync(join(cut, file), 40);
    for (const command of [
      ['report', cut, '--out', page],
      ['evaluate', cut, '--backend', 'cpu'],
    ])
      await call(`${file} is cut off`, command);
  }
});

test('that was more than 600 calls, in no more memory than a run takes', () => {
  assert.ok(calls >= 600, `${calls} calls`);
  assert.ok(refused > calls / 2, `${refused} of ${calls} refused`);
  const peak = process.resourceUsage().maxRSS / 2 ** 20;
  assert.ok(peak < 1.5, `${peak.toFixed(2)} GiB`);
  process.stderr.write(`${calls} calls, ${refused} refused, at most ${(1024 * peak).toFixed(0)} MiB\n`);
});

test.run();
