import * as assert from 'uvu/assert';
import { REQUIREMENTS } from 'learning-rate-dropout/spec';
import { suite } from '../harness/suite.ts';
import { judge } from '../judge/run.ts';
import { HONEST_VARIANTS, PLANTED_FAULTS } from './faults.ts';
import { openPlanted } from './implementation.ts';
import { judgeFaults } from './matrix.ts';

const test = suite('conformance/planted');
const seed = Number(process.env['LRD_SEED'] ?? 3);

for (const { name, changes } of HONEST_VARIANTS) {
  test(`nothing is found in a correct implementation: ${name}`, async () => {
    const { verdicts } = await judge(openPlanted(name, changes), { adapter: name, seed, runs: 12 });
    const failed = verdicts.filter(({ status }) => status === 'failed');
    assert.equal(
      failed.map(({ property, counterexample }) => [property, counterexample?.message]),
      [],
    );
  });
}

for (const { name, what, caughtBy, changes } of PLANTED_FAULTS) {
  test(`[${caughtBy}] catches an implementation that ${what} (${name})`, async () => {
    const { requirements } = await judge(openPlanted(name, changes()), {
      adapter: name,
      seed,
      only: [caughtBy],
      firstFinding: true,
      shrink: false,
    });
    assert.ok(requirements.some(({ requirement, status }) => requirement === caughtBy && status === 'failed'));
  });
}

test('who works on the matrix together takes each fault once', async () => {
  const next = Int32Array.of(PLANTED_FAULTS.length - 2);
  const parts = await Promise.all([judgeFaults(seed, next), judgeFaults(seed, next)]);
  assert.equal(
    parts.map((rows) => rows.map(([index, { fault, caught }]) => [index, fault, caught])),
    [
      [[PLANTED_FAULTS.length - 2, PLANTED_FAULTS.at(-2)?.name, true]],
      [[PLANTED_FAULTS.length - 1, PLANTED_FAULTS.at(-1)?.name, true]],
    ],
  );
});

test('there are at least 25 faults, over every area of what binds implementations', () => {
  assert.ok(PLANTED_FAULTS.length >= 25);
  const areaOf = (id: string): string => id.split('-')[1] as string;
  const areas = new Set(REQUIREMENTS.filter(({ binds }) => binds === 'implementation').map(({ id }) => areaOf(id)));
  const covered = new Set(PLANTED_FAULTS.map(({ caughtBy }) => areaOf(caughtBy)));
  assert.equal(
    [...areas].filter((area) => !covered.has(area)),
    [],
  );
});

test.run();
