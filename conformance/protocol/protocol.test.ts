import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';
import { openReference } from '../adapters/reference.ts';
import { judge } from '../judge/run.ts';
import { openChild } from './child.ts';
import { revive, stringify } from './numbers.ts';
import { faultOf } from './schemas.ts';
import { serveAdapter } from './serve.ts';
import type { Adapter, Case } from './types.ts';
import { ProtocolError } from './types.ts';

const test = suite('conformance/protocol');

const EXAMPLE: Case = {
  rule: 'sgdm',
  hyper: { learningRate: 0.5, momentum: 0 },
  masks: 'own',
  parameters: [{ name: 'w', shape: [2], values: [1, -0] }],
  gradients: [[[0.5, Number.NaN]]],
};

const GREETING = {
  version: 1,
  implementation: { name: 'x', language: 'js', precision: 'float64', rules: ['sgdm'], masks: ['own'], features: [] },
};

const scratch = mkdtempSync(join(tmpdir(), 'lrd-protocol-'));
let programs = 0;
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** A program that greets, then does `body` for each request; `answer(object)` and `raw(text)` write. */
function program(body: string, greeting: unknown = GREETING): string {
  const source = `
    const raw = (text) => process.stdout.write(text);
    const answer = (message) => raw(JSON.stringify(message) + '\\n');
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const request = JSON.parse(line);
      if (request.cmd === 'start') return answer(${JSON.stringify(greeting)});
      if (request.cmd === 'stop') return process.exit(0);
      ${body}
    });`;
  const file = join(scratch, `program${++programs}.cjs`);
  writeFileSync(file, source);
  return `exec "${process.execPath}" "${file}"`;
}

async function failure(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
  } catch (error) {
    assert.instance(error, ProtocolError, String(error));
    return (error as Error).message;
  }
  throw new Error('no ProtocolError was thrown');
}

async function caseFailure(body: string): Promise<string> {
  const adapter = await openChild(program(body), { caseSeconds: 1 });
  try {
    return await failure(() => adapter.run(EXAMPLE));
  } finally {
    await adapter.close();
  }
}

const OK = `{ seq: request.seq, result: { steps: [{ parameters: [[0.75, 1]] }] } }`;

test('numbers survive the wire, NaN, infinities and -0 included', () => {
  fc.assert(
    fc.property(fc.array(fc.double()), (values) => {
      const message = { steps: [{ parameters: [values], masks: ['0101', null] }] };
      const back = revive(JSON.parse(stringify(message)) as typeof message);
      assert.is(back.steps[0]?.masks[0], '0101');
      values.forEach((x, i) => assert.ok(Object.is(back.steps[0]?.parameters[0]?.[i], x)));
    }),
    { seed: Number(process.env['LRD_SEED'] ?? 7), numRuns: 200, includeErrorInReport: true },
  );
});

test('schemas accept the messages of the protocol and name what is wrong in others', () => {
  const line = JSON.parse(stringify({ cmd: 'run', seq: 1, case: EXAMPLE })) as object;
  assert.is(faultOf('run', line), undefined);
  assert.is(faultOf('started', GREETING), undefined);
  assert.match(faultOf('run', { ...line, seq: -1 }) ?? '', /seq must be >= 0; got -1/);
  assert.match(faultOf('run', { ...line, extra: 1 }) ?? '', /extra/);
  assert.match(faultOf('result', { seq: 1, result: { steps: [{ parameters: [['nan']] }] } }) ?? '', /parameters/);
  assert.match(faultOf('result', { seq: 1, result: { steps: [{ masks: ['012'] }] } }) ?? '', /masks/);
  assert.match(faultOf('errored', { seq: 1, errored: { code: 'oops', message: 'x' } }) ?? '', /code/);
  assert.match(faultOf('skipped', { seq: 1, skipped: { reason: '' } }) ?? '', /reason/);
});

test('a program that follows the protocol answers, case after case', async () => {
  const adapter = await openChild(program(`answer(${OK});`));
  for (let i = 0; i < 3; i++) {
    assert.equal(await adapter.run(EXAMPLE), { kind: 'result', steps: [{ parameters: [[0.75, 1]] }] });
  }
  await adapter.close();
});

test('an answer may come in pieces', async () => {
  const body = `const text = JSON.stringify(${OK}); raw(text.slice(0, 9)); setTimeout(() => { raw(text.slice(9)); raw(String.fromCharCode(10)); }, 50);`;
  const adapter = await openChild(program(body));
  assert.is((await adapter.run(EXAMPLE)).kind, 'result');
  await adapter.close();
});

const FAULTS: readonly (readonly [string, string, RegExp])[] = [
  ['silence is a finding', '', /no answer after 1 s/],
  ['half a line is a finding', `raw('{"seq":1,');`, /no answer after 1 s, and 9 bytes of an unfinished line/],
  ['garbage is a finding', `raw('hello' + String.fromCharCode(10));`, /not JSON: hello/],
  [
    'a bare NaN is a finding',
    `raw('{"seq":1,"result":{"steps":[{"parameters":[[NaN]]}]}}' + String.fromCharCode(10));`,
    /bare NaN/,
  ],
  [
    'a crash is a finding, with its last words',
    `console.error('out of luck'); process.exit(3);`,
    /exit code 3.*out of luck/,
  ],
  [
    'a crash in the middle of a line is a finding',
    `process.stdout.write('{', () => process.exit(0));`,
    /in the middle of a line/,
  ],
  ['another seq is a finding', `answer({ ...${OK}, seq: 99 });`, /seq must be 1, got 99/],
  ['a surplus field is a finding', `answer({ ...${OK}, more: 1 });`, /more/],
  [
    'no result, skipped or errored is a finding',
    `answer({ seq: request.seq });`,
    /must have one of result, skipped, errored/,
  ],
  [
    'an endless line is a finding',
    `for (let i = 0; i < 17; i++) raw('x'.repeat(2 ** 20));`,
    /longer than 2097\d+ bytes/,
  ],
];
for (const [title, body, expected] of FAULTS) {
  test(`[LRD-PROTO-001] ${title}`, async () => assert.match(await caseFailure(body), expected));
}

test('[LRD-PROTO-001] an answer that nothing asked for is a finding', async () => {
  const adapter = await openChild(program(`answer(${OK}); answer(${OK});`));
  await adapter.run(EXAMPLE);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.match(await failure(() => adapter.run(EXAMPLE)), /nothing asked for/);
  await adapter.close();
});

test('[LRD-PROTO-001] a wrong greeting, and a program that does not exist, are findings', async () => {
  assert.match(await failure(() => openChild(program('', { version: 2 }))), /version|implementation/);
  assert.match(await failure(() => openChild('/nonexistent/program')), /ended/);
});

test('after a broken exchange the program is started anew', async () => {
  const adapter = await openChild(program(`if (request.case.rule === 'adam') process.exit(1); answer({ ...${OK} });`), {
    caseSeconds: 5,
  });
  await failure(() => adapter.run({ ...EXAMPLE, rule: 'adam' }));
  await failure(() => adapter.run(EXAMPLE).then(() => Promise.reject(new ProtocolError('answered'))));
  await adapter.close();
});

/** The reference behind streams, as `serve` runs it behind stdin and stdout. */
async function overStreams(adapter: Adapter, lines: readonly unknown[]): Promise<Record<string, unknown>[]> {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const done = serveAdapter(adapter, input, output);
  input.end(lines.map((line) => (typeof line === 'string' ? line : stringify(line))).join('\n'));
  await done;
  output.end();
  let text = '';
  for await (const chunk of output) text += String(chunk);
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('serving answers what the adapter answers, and refuses what is no request', async () => {
  const answers = await overStreams(openReference(), [
    { cmd: 'start', version: 1 },
    { cmd: 'run', seq: 4, case: EXAMPLE },
    'no json',
    { cmd: 'dance' },
    { cmd: 'run', seq: 5, case: { ...EXAMPLE, keepProbability: 7 } },
    { cmd: 'run', seq: 6, case: { rule: 'sgdm' } },
    { cmd: 'stop' },
  ]);
  assert.is(faultOf('started', answers[0]), undefined);
  assert.equal(answers[1], {
    seq: 4,
    result: { steps: [{ parameters: [[0.75, 'NaN']], masks: ['11'], state: {} }] },
  });
  assert.is(faultOf('result', answers[1]), undefined);
  for (const answer of answers.slice(2)) assert.is(faultOf('errored', answer), undefined, JSON.stringify(answer));
  assert.match(JSON.stringify(answers[4]), /keepProbability must be in/);
  assert.is(answers.length, 6);
});

test('[LRD-PROTO-001] a program that breaks the protocol fails the run, and nothing else is blamed', async () => {
  const adapter = await openChild(program(`raw('hello' + String.fromCharCode(10));`));
  const { requirements, verdicts } = await judge(adapter, { adapter: 'x', seed: 1, only: ['LRD-RULE-001'] });
  assert.is(verdicts[0]?.status, 'failed');
  assert.equal(
    requirements.filter(({ status }) => status === 'failed').map((r) => r.requirement),
    ['LRD-PROTO-001'],
  );
  await adapter.close();
});

test.run();
