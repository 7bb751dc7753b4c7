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
import { ALL_KINDS } from './kinds.ts';
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

const WITH_KINDS = { ...GREETING.implementation, kinds: { magma: { firstAlignment: 'one', temperature: [2, 4] } } };

/** A program that greets as `greet`, an expression of \`request\`, says, and tells each greeting and case on stderr. */
const greeter = (greet: string): string =>
  program('').replace(/exec "(.*)" "(.*)"/, (_, node: string, file: string) => {
    const source = `
      require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
        const request = JSON.parse(line);
        const answer = (message) => process.stdout.write(JSON.stringify(message) + '\\n');
        if (request.cmd === 'start') return answer(${greet});
        if (request.cmd === 'stop') return process.exit(0);
        answer(${OK});
      });`;
    writeFileSync(file, source);
    return `exec "${node}" "${file}"`;
  });

test('a program is served in the version that it answers: kinds of mask belong to version 2', async () => {
  const implementation = JSON.stringify(GREETING.implementation);
  const kinds = JSON.stringify(WITH_KINDS);
  const open = (greet: string): Promise<Adapter> => openChild(greeter(greet));
  // One that answers 1 to whatever it is asked, one that refuses what it does not know, one that ends.
  for (const greet of [
    `{ version: 1, implementation: ${implementation} }`,
    `request.version === 1 ? { version: 1, implementation: ${implementation} } : { seq: 0, errored: { code: 'invalid-argument', message: 'version must be 1' } }`,
    `request.version === 1 ? { version: 1, implementation: ${implementation} } : process.exit(2)`,
  ]) {
    const adapter = await open(greet);
    assert.is(adapter.implementation.kinds, undefined);
    assert.is((await adapter.run(EXAMPLE)).kind, 'result');
    await adapter.close();
  }
  const second = await open(`{ version: request.version, implementation: ${kinds} }`);
  assert.equal(second.implementation.kinds, WITH_KINDS.kinds);
  await second.close();
  assert.match(
    await failure(() => open(`{ version: 1, implementation: ${kinds} }`)),
    /must have only the fields .*"kinds"/,
  );
  assert.match(
    await failure(() => open(`{ version: 3, implementation: ${kinds} }`)),
    /version must be one of 1, 2; got 3/,
  );
});

test('what is declared of a kind is held against the specification', () => {
  const fault = (kinds: unknown): string | undefined =>
    faultOf('started2', { version: 2, implementation: { ...GREETING.implementation, kinds } });
  assert.is(fault(WITH_KINDS.kinds), undefined);
  assert.is(fault(ALL_KINDS), undefined);
  assert.match(
    fault({ magmma: {} }) ?? '',
    /must have only the fields lrd, skip-update, magma, cautious; got "magmma"/,
  );
  assert.match(fault({ cautious: { temperature: 2 } }) ?? '', /must have only the fields .*got "temperature"/);
  assert.match(fault({ magma: { temperature: 0 } }) ?? '', /temperature/);
  assert.match(fault({ cautious: { factor: ['inverse'] } }) ?? '', /factor/);
});

test('what a program does not declare of a kind is not asked of it', async () => {
  const asked: Case[] = [];
  const reference = openReference();
  const adapter: Adapter = {
    ...reference,
    implementation: {
      ...reference.implementation,
      kinds: { magma: { firstAlignment: 'one', moment: 'own', temperature: 4, decay: ['masked', 'scaled'] } },
    },
    run: (example) => {
      asked.push(example);
      return reference.run(example);
    },
  };
  const { verdicts } = await judge(adapter, { adapter: 'x', seed: 1, runs: 6, only: ['FAM', 'STATE-001/magma'] });
  const failed = verdicts.filter(({ status }) => status === 'failed');
  assert.equal(
    failed.map(({ property, counterexample }) => [property, counterexample?.message]),
    [],
  );
  const masks = asked.flatMap(({ mask, keepProbability }) =>
    mask === undefined || keepProbability === 1 ? [] : [mask],
  );
  assert.ok(masks.length > 100);
  const refused = new Set(['LRD-FAM-015']);
  assert.ok(verdicts.some(({ property, status }) => refused.has(property) && status === 'passed'));
  const right = masks.filter(
    ({ temperature, moment, firstAlignment, decay, kind, granularity }) =>
      kind === 'magma' &&
      temperature === 4 &&
      moment === 'own' &&
      firstAlignment === 'one' &&
      decay !== 'plain' &&
      granularity === undefined,
  );
  // The rest are those that must be refused.
  assert.ok(masks.length - right.length <= 12, `${masks.length - right.length} others`);
  const without = await judge(
    { ...reference, implementation: { ...reference.implementation, kinds: {} } },
    { adapter: 'x', seed: 1, only: ['FAM'] },
  );
  assert.ok(
    without.verdicts.every(
      ({ status, reason }) => status === 'skipped' && reason === 'declares no other kinds of mask',
    ),
  );
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
