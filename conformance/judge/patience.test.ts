import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';
import { judgeAdapters } from '../judgeAdapters.ts';
import { PLANTED_FAULTS } from '../planted/faults.ts';
import { openPlanted } from '../planted/implementation.ts';
import { NoAnswerError, OutOfTimeError } from '../protocol/types.ts';
import type { Adapter, Case } from '../protocol/types.ts';
import { reportToText } from '../report/terminal.ts';
import { judge } from './run.ts';
import type { Verdict } from './run.ts';

const test = suite('conformance/patience');

/** An adapter that counts conversations, and answers when `wait` says so. */
function watched(inner: Adapter, wait: (example: Case) => Promise<void>): { adapter: Adapter; atOnce: () => number } {
  let [now, most] = [0, 0];
  const adapter: Adapter = {
    implementation: inner.implementation,
    run: async (example, until = Infinity) => {
      now += 1;
      most = Math.max(most, now);
      try {
        if (performance.now() >= until) throw new OutOfTimeError();
        await wait(example);
        return await inner.run(example);
      } finally {
        now -= 1;
      }
    },
    close: () => inner.close(),
  };
  return { adapter, atOnce: () => most };
}

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test(
  'when time runs out, every property has had its first cases before any has its second ones, and what is lost is said',
  async () => {
    const { adapter, atOnce } = watched(openPlanted('slow', { masks: ['given'] }), () => later(4));
    const options = { adapter: 'slow', seed: 1, only: ['LRD-RULE-', 'LRD-MASK-003'] } as const;
    const whole = (await judge(openPlanted('slow', { masks: ['given'] }), options)).verdicts;
    // As long as the first round and a part of the second need, whatever this machine is busy with: the clock is the number of cases.
    let asked = 0;
    const limit = 4 * whole.length;
    const counted: Adapter = {
      ...adapter,
      run: async (example, until) => {
        if (++asked > limit) throw new OutOfTimeError();
        return adapter.run(example, until);
      },
    };
    const { verdicts, requirements } = await judge(counted, options);
    assert.is(atOnce(), 1, 'one conversation at a time');
    assert.ok(verdicts.every(({ status }) => status !== 'failed'));
    const judged = verdicts.filter(({ property }) => property !== 'LRD-PROTO-001');
    for (const { property, cases, status, reason } of judged) {
      const all = whole.find((one) => one.property === property) as Verdict;
      assert.ok(cases >= Math.min(2, all.cases), `${property} has had its first cases`);
      if (cases < all.cases) assert.match(`${status} ${reason}`, /time ran out: \d+ of \d+ cases asked/);
    }
    assert.ok(judged.some(({ reason = '' }) => /shows in \d+ % of the cases, with all of them in \d+ %/.test(reason)));
    assert.ok(requirements.every(({ status }) => status !== 'failed'));
  },
  { timeout: 300 },
);

test(
  'what no time was left for is not judged, and a run without a single case has not passed',
  async () => {
    const inner = openPlanted('late');
    const options = { adapter: 'late', seed: 1, only: ['LRD-RULE-001', 'LRD-MASK-00[34]/sgdm$'] } as const;
    const { requirements, verdicts } = await judge(inner, { ...options, until: 0 });
    assert.ok(verdicts.every(({ status, reason }) => status === 'skipped' && /time ran out/.test(reason ?? '')));
    assert.ok(requirements.every(({ status }) => status === 'skipped'));
    const report = await judgeAdapters(
      { names: [], open: () => Promise.resolve(inner) },
      { adapters: ['late'], only: options.only, minutes: 1e-9 },
    );
    assert.not(report.passed);
    assert.match(reportToText(report), /^nothing was judged/);
  },
  { timeout: 300 },
);

test(
  'a requirement of which a part was never seen does not pass',
  async () => {
    let asked = 0;
    const inner = openPlanted('half');
    const adapter: Adapter = {
      ...inner,
      run: async (example) => {
        if (++asked > 3) throw new OutOfTimeError();
        return inner.run(example);
      },
    };
    const { requirements } = await judge(adapter, { adapter: 'half', seed: 1, only: ['LRD-ALG-007'] });
    const verdict = requirements.find(({ requirement }) => requirement === 'LRD-ALG-007');
    assert.is(verdict?.status, 'skipped');
    assert.match(verdict?.reason ?? '', /time ran out before LRD-ALG-007\/sgdm-avg/);
  },
  { timeout: 300 },
);

test(
  '[LRD-PROTO-001] a case without an answer is a finding once, however often it comes, and the rest is judged',
  async () => {
    const inner = openPlanted('deaf to adam');
    const adapter: Adapter = {
      ...inner,
      run: (example) =>
        example.rule === 'adam' ? Promise.reject(new NoAnswerError('no answer after 60 s')) : inner.run(example),
    };
    const report = await judgeAdapters(
      { names: [], open: () => Promise.resolve(adapter) },
      { adapters: ['deaf'], only: ['LRD-ALG-00[78]', 'LRD-RULE-00[14]'] },
    );
    const [judgement] = report.judgements;
    const status = (id: string): string | undefined =>
      judgement?.requirements.find(({ requirement }) => requirement === id)?.status;
    assert.is(status('LRD-PROTO-001'), 'failed');
    assert.is(status('LRD-RULE-001'), 'passed');
    assert.is(status('LRD-RULE-004'), 'skipped');
    assert.is(status('LRD-ALG-007'), 'skipped', 'adam has not been seen');
    const text = reportToText(report);
    assert.is(text.match(/the protocol is broken/g)?.length, 1, text);
    assert.match(text, /not judged: .*no valid answer in LRD-ALG-00[78]\/adam/);
  },
  { timeout: 300 },
);

test(
  'a program that never answers is given up after three cases',
  async () => {
    let asked = 0;
    const inner = openPlanted('dead');
    const adapter: Adapter = {
      ...inner,
      run: () => {
        asked += 1;
        return Promise.reject(new NoAnswerError('no answer after 60 s'));
      },
    };
    await judge(adapter, { adapter: 'dead', seed: 1 });
    assert.is(asked, 3);
  },
  { timeout: 300 },
);

test(
  'the masks of a program that refuses SGD without momentum are judged all the same',
  async () => {
    const fault = PLANTED_FAULTS.find(({ name }) => name === 'inverted');
    for (const [changes, expected] of [
      [fault?.changes(), 'failed'],
      [{ masks: ['own'] }, 'passed'],
    ] as const) {
      const refusing = openPlanted('x', {
        ...changes,
        refuses: ({ rule, hyper }) => (rule === 'sgdm' && hyper?.['momentum'] === 0 ? 'division by zero' : undefined),
      });
      const { requirements } = await judge(refusing, { adapter: 'x', seed: 1, only: ['LRD-MASK-001'] });
      assert.is(requirements.find(({ requirement }) => requirement === 'LRD-MASK-001')?.status, expected);
    }
  },
  { timeout: 300 },
);

test(
  'a wrong update is shown in a case of one element, with its numbers written out',
  async () => {
    const fault = PLANTED_FAULTS.find(({ name }) => name === 'rescaled');
    const { verdicts } = await judge(openPlanted('x', fault?.changes()), {
      adapter: 'x',
      seed: 3,
      only: ['LRD-ALG-007/sgdm$', 'LRD-ALG-007/adam$', 'LRD-MASK-003/sgdm$'],
    });
    const shown = verdicts.flatMap(({ counterexample }) => (counterexample === undefined ? [] : [counterexample]));
    assert.is(shown.length, 2);
    for (const { cases, formula = [] } of shown) {
      assert.equal(cases[0]?.parameters[0]?.values, [1]);
      assert.equal(cases[0]?.gradients, [[[1]]]);
      assert.match(formula.join('\n'), /kept: w0? = 1 - 0\.1 \* 1 = 0\.9|kept: w0? = 1 - 0\.001 \* 1 = 0\.999/);
    }
  },
  { timeout: 300 },
);

test.run();
