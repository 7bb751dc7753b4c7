import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';
import type { Diagnosis, DrawnFinding, JudgeRunOptions } from '../judge/run.ts';
import { judge } from '../judge/run.ts';
import { openPlanted } from '../planted/implementation.ts';
import type { Behaviour } from '../planted/implementation.ts';
import { diagnose } from './diagnose.ts';
import { kindOf, likeness } from './features.ts';
import { MISTAKES } from './mistakes.ts';
import { VARIANTS } from './variants.ts';

const test = suite('conformance/diagnosis');

const rateOf = (hyper: Readonly<Record<string, unknown>>): number => hyper['learningRate'] as number;

async function diagnosesOf(
  changes: Partial<Behaviour>,
  options: Partial<JudgeRunOptions>,
): Promise<readonly Diagnosis[]> {
  const drawn = new Map<string, DrawnFinding>();
  const judgement = await judge(openPlanted('foreign', changes), {
    adapter: 'foreign',
    seed: 5,
    runs: 12,
    statistics: false,
    drawn: (property, finding) => drawn.set(property, finding),
    ...options,
  });
  return diagnose(judgement, drawn);
}

async function causesOf(
  changes: Partial<Behaviour>,
  options: Partial<JudgeRunOptions>,
): Promise<(string | undefined)[]> {
  return (await diagnosesOf(changes, options)).map(({ mistake }) => mistake);
}

test('every variant is one of a mistake that the kit knows', () => {
  const names = new Set(MISTAKES.map(({ name }) => name));
  assert.equal(
    VARIANTS.filter(({ mistake }) => !names.has(mistake)),
    [],
  );
});

test('kinds are as like as their large effects', () => {
  assert.is(likeness('a: +all; b: +much', 'a: +all; b: +much'), 1);
  assert.ok(likeness('a: +all; b: +some', 'a: +all') > likeness('a: +some; b: +all', 'a: +some'));
  assert.is(likeness('a: +all', 'a: -all'), 0);
  assert.is(likeness('one message', 'another'), 0);
});

test('a number beside its interval by a rounding is another kind than one far from it', () => {
  const kind = (got: string): string =>
    kindOf({
      message: 'step 2, w[1] is kept and lands outside its interval',
      expected: '[0.1, 0.2]; reference 0.15',
      got,
    });
  assert.is(kind('0.20000001'), 'step #, w is kept and lands outside its interval, by a rounding');
  assert.is(kind('0.3'), 'step #, w is kept and lands outside its interval');
});

// The evidence is that of the cases as they were drawn: once shrunk to one step of ones, these mistakes look alike.
const foreign = { masks: ['given', 'own'], features: [] } as const;
for (const [mistake, changes] of [
  ['masked-gradient', { gradient: (g, keep) => (keep ? g : 0) }],
  [
    'momentum-reset',
    { state: (_before, after, keep) => (keep ? after : { ...after, ...('buf' in after ? { buf: 0 } : { m: 0 }) }) },
  ],
  ['rescaled', { gradient: (g, _keep, { p, rule }) => (rule === 'sgdm' ? g / p : g) }],
] as const satisfies readonly (readonly [string, Partial<Behaviour>])[]) {
  test(`a program that replays masks and tells nothing else is told its mistake: ${mistake}`, async () => {
    assert.is((await causesOf({ ...foreign, ...changes }, { only: ['/sgdm', 'EQ-008', 'NUM', 'PROTO'] }))[0], mistake);
  });
}

// Numbers that nothing was made for: they are solved for, and said.
for (const [words, changes] of [
  [
    'the step is multiplied by p^-0.7',
    { update: (theta, delta, keep, { hyper, p }) => (keep ? theta - rateOf(hyper) * delta * p ** -0.7 : theta) },
  ],
  ['gradients are clipped at 0.37 without being asked', { gradient: (g) => Math.max(-0.37, Math.min(0.37, g)) }],
  [
    'the momentum of dropped coordinates is multiplied by 0.3',
    {
      state: (_before, after, keep) =>
        keep || !('buf' in after) ? after : { ...after, buf: 0.3 * (after['buf'] ?? 0) },
    },
  ],
] as const satisfies readonly (readonly [string, Partial<Behaviour>])[]) {
  test(`the number of a mistake is said: ${words}`, async () => {
    assert.is(
      (await diagnosesOf({ ...foreign, ...changes }, { only: ['/sgdm', 'EQ-008', 'RULE-009', 'NUM'] }))[0]?.words,
      words,
    );
  });
}

test('the number of a mistake on the stream is said', async () => {
  const [first] = await diagnosesOf({ maskStep: (step) => step + 37 }, { only: ['STREAM'] });
  assert.is(first?.words, "the stream's first step is step 38");
});

test('what no number explains is of no known kind', async () => {
  // Another number for every coordinate.
  const [first] = await diagnosesOf(
    {
      ...foreign,
      update: (theta, delta, keep, { hyper, element }) =>
        keep ? theta - rateOf(hyper) * delta * (1 + Math.sin(element + 1) / 7) : theta,
    },
    { only: ['/sgdm', 'EQ-008', 'RULE-009', 'NUM'] },
  );
  assert.is(first?.words, 'a mistake of no known kind');
});

test('two mistakes at once are two causes', async () => {
  const causes = await causesOf(
    { gradient: (g, keep) => (keep ? g : 0), refuses: () => undefined },
    { only: ['/sgdm', 'ERROR', 'EQ-008'] },
  );
  assert.ok(causes.includes('masked-gradient'));
  assert.ok(causes.length > 1);
});

test('what is right has no cause', async () => {
  assert.equal(await causesOf({}, { only: ['/sgdm'] }), []);
});

test.run();
