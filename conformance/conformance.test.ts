import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as assert from 'uvu/assert';
import {
  REPORT_SCHEMA,
  UnknownAdapterError,
  openAdapter,
  reportToHtml,
  reportToJson,
  reportToText,
  runConformance,
} from './index.ts';
import { suite } from './harness/suite.ts';
import { openPlanted } from './planted/implementation.ts';
import { PLANTED_FAULTS } from './planted/faults.ts';
import { judge } from './judge/run.ts';
import { makeReport } from './report/report.ts';

const test = suite('conformance');
const seed = Number(process.env['LRD_SEED'] ?? 2);

/** A Python 3 that runs; undefined where there is none. */
function findPython(): string | undefined {
  for (const python of ['/usr/bin/python3', 'python3']) {
    try {
      execFileSync(python, ['-c', 'import json, math'], { stdio: 'ignore' });
      return python;
    } catch {
      // The next one.
    }
  }
  return undefined;
}

for (const adapter of ['ref', 'js'] as const) {
  test(
    `[LRD-PROTO-001] ${adapter} passes everything that it can be judged on`,
    async () => {
      const report = await runConformance({ adapters: [adapter], seed });
      assert.ok(report.passed, reportToText(report));
    },
    { timeout: 300 },
  );
}

const python = findPython();
const example = `cmd:${python ?? ''} conformance/examples/python/lrd_adapter.py`;
const whenPython = test.when(python !== undefined, 'no Python 3 on this machine');

whenPython(
  'a plain Python program passes over the protocol, with the stream and with its own masks',
  async () => {
    const report = await runConformance({
      adapters: [example, `${example} --own-masks`],
      seed,
      only: [
        'LRD-MASK-00[1-9]',
        'LRD-RULE-00[14]/',
        'LRD-STREAM-00',
        'LRD-EQ-',
        'LRD-ERROR-00[134]',
        'LRD-PROTO',
        'LRD-FAM-0(03|04|07|10|11|15|16)$',
      ],
    });
    assert.ok(report.passed, reportToText(report));
  },
  { timeout: 300 },
);

test('the report follows its schema, and its page carries every failure', async () => {
  const fault = PLANTED_FAULTS.find(({ name }) => name === 'momentum-reset');
  assert.ok(fault);
  const judgement = await judge(openPlanted('x', fault.changes()), {
    adapter: "cmd:it's <mine>",
    seed,
    only: ['LRD-MASK-004'],
  });
  const kills = [{ fault: 'a', what: 'b', caughtBy: 'LRD-MASK-004', failed: ['LRD-MASK-004'], caught: true }];
  const report = makeReport({ seed, judgements: [judgement], unavailable: [{ adapter: 'y', reason: 'none' }], kills });
  assert.not(report.passed);
  const validate = new Ajv2020({ allowUnionTypes: true }).compile(REPORT_SCHEMA);
  assert.ok(validate(JSON.parse(reportToJson(report))), JSON.stringify(validate.errors));
  const page = reportToHtml(report);
  assert.not.match(page, /<mine>/);
  assert.not.match(page, /(src|href)="http/);
  assert.match(page, /--only LRD-MASK-004\/sgdm/);
  const text = reportToText(report);
  assert.match(
    text,
    /again {5}npx lrd conformance --adapter 'cmd:it'\\''s <mine>' --seed 2 --only LRD-MASK-004\/sgdm\$/,
  );
  // Two steps show a reset momentum; one step cannot.
  const [small] = judgement.verdicts.find(({ status }) => status === 'failed')?.counterexample?.cases ?? [];
  assert.ok((small?.gradients.length ?? 9) <= 2, JSON.stringify(small));
});

test('a program that cannot be greeted is a finding; an adapter that does not exist is a wrong call', async () => {
  const report = await runConformance({ adapters: ['cmd:exit 3'], seed });
  assert.not(report.passed);
  assert.match(reportToText(report), /exit code 3/);
  try {
    await openAdapter('tfjs-gpu');
    assert.unreachable();
  } catch (error) {
    assert.instance(error, UnknownAdapterError);
    assert.match((error as Error).message, /--adapter must be one of ref, js.*got "tfjs-gpu"/);
  }
});

test('a module is judged in process, and its answers are held against the schemas', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lrd-module-'));
  const write = (name: string, steps: string): string => {
    const file = join(folder, name);
    const implementation = `{ name: 'm', language: 'js', precision: 'float64', rules: ['sgdm'], masks: ['own'], features: [] }`;
    writeFileSync(
      file,
      `export const createAdapter = () => ({ implementation: ${implementation}, close: async () => {},
        run: async (example) => example.parameters[0].values.length >= 0 ? { kind: 'result', steps: ${steps} } : {} });`,
    );
    return `module:${file}`;
  };
  const judgeModule = async (adapter: string): Promise<string> =>
    reportToText(await runConformance({ adapters: [adapter], seed, only: ['LRD-RULE-001'] }));
  // Parameters that never move, and answers that are no answers.
  const still = write(
    'still.mjs',
    'example.gradients.map(() => ({ parameters: example.parameters.map((p) => p.values) }))',
  );
  assert.match(await judgeModule(still), /LRD-RULE-001 \(MUST\)[^]*lands outside its interval/);
  assert.match(await judgeModule(write('wrong.mjs', `[{ parameters: 'none' }]`)), /LRD-PROTO-001 \(MUST\)/);
  rmSync(folder, { recursive: true });
});

test('the same seed finds the same counterexample', async () => {
  const fault = PLANTED_FAULTS.find(({ name }) => name === 'rescaled');
  assert.ok(fault);
  const run = async (): Promise<string> => {
    const { verdicts } = await judge(openPlanted('x', fault.changes()), {
      adapter: 'x',
      seed: 5,
      only: ['LRD-ALG-007/adam'],
    });
    return JSON.stringify(verdicts.map(({ counterexample }) => counterexample));
  };
  const [first, second] = [await run(), await run()];
  assert.ok(first.length > 100);
  assert.is(first, second);
});

test.run();
