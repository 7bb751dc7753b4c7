import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';
import { testFiles } from './bundle.ts';
import { EXPECTED, judge } from './expected.ts';
import { runLane } from './lane.ts';
import { OPTIMIZER_EXPECTED } from './optimizers.ts';
import type { Outcome } from './task.ts';

const test = suite('conformance/upstream');

const failed = (name: string, message = 'no'): Outcome => ({ name, passed: false, message });

test('a failure that nothing explains is a regression, and an explanation of nothing is out of date', () => {
  const known = { backends: ['cpu' as const], test: /^a: b$/, message: /^no$/, reason: 'because' };
  const other = { backends: ['wasm' as const], test: /./, reason: 'elsewhere' };
  const outcomes = [failed('a: b'), failed('a: b', 'yes'), failed('c: d'), { name: 'e', passed: true, message: '' }];
  const verdict = judge(outcomes, 'cpu', true, [known, other]);
  assert.equal(verdict.regressions, [outcomes[1], outcomes[2]]);
  assert.is(verdict.passed, 1);
  assert.equal([...verdict.expected.values()], [1]);
  assert.equal(verdict.stale, []);
  assert.equal(judge([], 'cpu', true, [known, other]).stale, [known]);
  assert.equal(judge([], 'cpu', false, [known, other]).stale, []);
});

test('every expected failure has a reason, and tests of tfjs-core are found', () => {
  for (const { reason } of [...EXPECTED, ...OPTIMIZER_EXPECTED]) assert.ok(reason.length > 20, reason);
  assert.ok(testFiles().length > 250);
});

test(
  'wasm, disposed of and started again between suites: all of tfjs-core passes but what is expected',
  async () => {
    const { outcomes } = await runLane({ backend: 'wasm', training: true, kept: false, optimizers: false });
    const { passed, regressions, stale } = judge(outcomes, 'wasm', true);
    assert.equal(regressions, []);
    assert.equal(stale, []);
    assert.ok(passed > 4000, `${passed} passed`);
    assert.ok(outcomes.length - passed <= 200, `${outcomes.length - passed} failed`);
  },
  { timeout: 300 },
);

test(
  'cpu: gradients, pools and convolutions of tfjs-core pass but what is expected',
  async () => {
    const files = /gradients|pool|conv2d|select|where|cumsum|mirror_pad|resize|mat_mul/;
    const { outcomes } = await runLane({ backend: 'cpu', training: true, kept: true, optimizers: false, files });
    assert.equal(judge(outcomes, 'cpu', false).regressions, []);
    assert.ok(outcomes.length > 400, `${outcomes.length} ran`);
  },
  { timeout: 120 },
);

test(
  "our optimizers at keep probability 1 in tfjs-core's own suites of theirs",
  async () => {
    const { outcomes } = await runLane({ backend: 'wasm', training: true, kept: true, optimizers: true });
    const { regressions } = judge(outcomes, 'wasm', true, OPTIMIZER_EXPECTED);
    assert.equal(regressions, []);
    assert.ok(outcomes.length >= 16, `${outcomes.length} ran`);
  },
  { timeout: 120 },
);

test.run();
