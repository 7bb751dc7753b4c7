import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { renderBenchReport } from '../report/html.ts';
import { compare, moved } from './compare.ts';
import type { Budget, Lane, LaneSource } from './measure.ts';
import { Unavailable, runGroup, turns } from './measure.ts';
import type { BenchResult, GroupResult } from './results.ts';
import { keeps } from './results.ts';
import { median, pairedRatio, spread } from './statistics.ts';
import { bytes, duration, groupText } from './table.ts';

const test = suite('bench/harness');

const BUDGET: Budget = { groupMs: 50, turnMs: 1, minRounds: 4, maxRounds: 6, slowMs: 1000 };

/** A lane on a clock of its own: takes the given milliseconds, one after the other. */
function lane(name: string, times: readonly number[], more: Partial<Lane> = {}): LaneSource {
  let turn = 0;
  return {
    name,
    open: () => ({
      name,
      sample: () => Promise.resolve(times[turn++ % times.length]),
      ...more,
    }),
  };
}

test('medians and quartiles', () => {
  assert.is(median([3, 1, 2]), 2);
  assert.is(median([4, 1, 2, 3]), 2.5);
  assert.equal(spread([5, 1, 4, 2, 3]), { median: 3, low: 2, high: 4 });
});

test('a ratio taken turn by turn is blind to a load that meets both sides', () => {
  const load = [1, 5, 2, 9, 1, 3];
  const ratio = pairedRatio(load.map((x) => 2 * x), load.map((x) => 4 * x)); // prettier-ignore
  assert.equal(ratio, { median: 0.5, low: 0.5, high: 0.5 });
});

test('lanes take turns; times are a step of their own clock, ratios and shares are paired', async () => {
  const [order, names] = [[] as string[], ['a', 'b', 'copy']];
  const noted = (name: string): Partial<Lane> => ({ prepare: () => void order.push(name) });
  const result = await runGroup(
    {
      name: 'g',
      elements: 1000,
      lanes: [
        lane('a', [20], { ...noted('a'), steps: 2, copyLane: 'copy', bytesMoved: 28_000, extraBytes: () => 7 }),
        lane('b', [40], noted('b')),
        lane('copy', [5], noted('copy')),
      ],
      pairs: [{ lane: 'a', over: 'b', limit: { kind: 'at most', value: 0.2 } }],
    },
    BUDGET,
  );
  const [a, b] = result.lanes;
  assert.is(a?.ms.median, 10);
  assert.is(b?.ms.median, 40);
  assert.ok(Math.abs((a?.nsPerElement?.median ?? 0) - 1e4) < 1e-6);
  assert.is(a?.shareOfCopy?.median, 0.5);
  assert.is(a?.extraBytes, 7);
  assert.is(result.ratios[0]?.ratio.median, 0.25);
  const rounds = Array.from({ length: a?.turns ?? 0 }, (_, round) => turns(3, round));
  assert.equal(order.slice(-3 * rounds.length), rounds.flat().map((turn) => names[turn])); // prettier-ignore
  assert.match(groupText(result), /a over b +0\.25 .* at most 0\.20: MISSED/);
});

test('each lane has each place, and follows each other one, equally often', () => {
  for (let count = 1; count <= 12; count++) {
    const [places, followers] = [new Map<string, number>(), new Map<string, number>()];
    const seen = (map: Map<string, number>, key: string): void => void map.set(key, (map.get(key) ?? 0) + 1);
    for (let round = 0; round < 2 * count; round++) {
      const row = turns(count, round);
      assert.equal(
        [...row].sort((a, b) => a - b),
        [...row.keys()],
      );
      row.forEach((lane, place) => {
        seen(places, `${lane} at ${place}`);
        if (place > 0) seen(followers, `${lane} behind ${row[place - 1]}`);
      });
    }
    assert.is(places.size, count * count);
    assert.is(followers.size, count * (count - 1));
    for (const often of [...places.values(), ...followers.values()]) assert.is(often, 2);
  }
});

test('a lane that cannot run is left out with its reason, one that fails ends the run', async () => {
  const group = (error: Error) => ({
    name: 'g',
    lanes: [lane('a', [1]), { name: 'x', open: () => Promise.reject(error) }],
    pairs: [{ lane: 'a', over: 'x' }],
  });
  const result = await runGroup(group(new Unavailable('no adapter')), BUDGET);
  assert.equal(result.skipped, [{ name: 'x', reason: 'no adapter' }]);
  assert.equal(result.ratios, []);
  let thrown = '';
  await runGroup(group(new Error('broken')), BUDGET).catch((error: Error) => (thrown = error.message));
  assert.is(thrown, 'broken');
});

test('a sample that throws ends the run, and lanes are closed', async () => {
  let closed = 0;
  let samples = 0;
  const failing: Partial<Lane> = {
    sample: () => {
      if (++samples > 3) throw new Error('the step failed');
      return undefined;
    },
    close: () => void closed++,
  };
  let thrown = '';
  await runGroup({ name: 'g', lanes: [lane('a', [1], failing)], pairs: [] }, BUDGET).catch(
    (error: Error) => (thrown = error.message),
  );
  assert.is(thrown, 'the step failed');
  assert.is(closed, 1);
});

test('a slow lane is left out and says how slow it is', async () => {
  const wait = (): Promise<undefined> => new Promise((done) => setTimeout(() => done(undefined), 30));
  const slow = { name: 'slow', open: (): Lane => ({ name: 'slow', sample: wait }) };
  const result = await runGroup({ name: 'g', lanes: [slow], pairs: [] }, { ...BUDGET, slowMs: 10 });
  assert.match(result.skipped[0]?.reason ?? '', /a step takes 0\.0 s; --full runs it/);
});

const at = (middle: number): GroupResult['lanes'][number]['ms'] => ({ median: middle, low: middle * 0.95, high: middle * 1.05 }); // prettier-ignore

function resultOf(ms: number, processor = 'x'): BenchResult {
  const group: GroupResult = {
    name: 'adam, 1,000 in 1 tensor, wasm',
    elements: 1000,
    tensors: 1,
    lanes: [{ name: 'a <b>', ms: at(ms), turns: 5, nsPerElement: at(ms * 1e3), bytesMoved: 28_000 }],
    ratios: [{ lane: 'a <b>', over: 'b', ratio: at(0.5), limit: { kind: 'at most', value: 0.4 } }],
    figures: [],
    skipped: [],
    noise: 0,
  };
  const suites = [{ name: 'step', title: 'Step', about: 'About', seconds: 1, groups: [group] }];
  return { version: 1, command: 'lrd bench', environment: { processor }, warnings: ['noisy'], suites };
}

test('a comparison names what left the spread, and machines that differ', () => {
  assert.equal(compare(resultOf(10), resultOf(10.5)).changes, []);
  const { changes, compared, warnings } = compare(resultOf(10), resultOf(20, 'y'));
  assert.is(compared, 2);
  assert.is(changes.length, 1);
  assert.is(changes[0]?.factor, 2);
  assert.equal(warnings, ['processor differs: x then, y now']);
  assert.not(moved({ median: 1, low: 0.9, high: 1.1 }, { median: 1.15, low: 1.05, high: 1.2 }));
});

test('a limit is kept from its own side', () => {
  assert.ok(keeps({ kind: 'at most', value: 0.22 }, 0.22));
  assert.not(keeps({ kind: 'at most', value: 0.22 }, 0.23));
  assert.not(keeps({ kind: 'at least', value: 0.8 }, 0.79));
});

test('units', () => {
  assert.equal([0.0000005, 0.02, 3, 4321].map(duration), ['0.50 ns', '20.0 us', '3.00 ms', '4.32 s']);
  assert.equal([0, 17, 2048, 1.5 * 2 ** 30].map(bytes), ['0 B', '17 B', '2.00 KiB', '1.50 GiB']);
});

test('the report is a page of its own, with names escaped', () => {
  const html = renderBenchReport(resultOf(10)).replaceAll(/<script[^]*?<\/script>/g, '');
  assert.match(html, /Bounds: 0 of 1 kept/);
  assert.match(html, /a &lt;b&gt;/);
  assert.not.match(html, /<b>|(src|href)="(?!#)|url\(|@import/);
});

test.run();
