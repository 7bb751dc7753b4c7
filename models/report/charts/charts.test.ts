import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { madeRun, madeRuns } from '../testing/runs.ts';
import { armsOf, runBlock } from '../runBlock.ts';
import { STYLE } from '../style.ts';
import { extentOf, linesOf, meanOf, smoothed } from './lines.ts';
import { COLOURS, firstView, strokeOf } from './model.ts';
import type { Chart } from './model.ts';
import { pictures } from './picture.ts';
import { keptRows } from './thin.ts';
import { formatTick, logTicks, niceTicks } from './ticks.ts';

const test = suite('models/report/charts');

const chartOf = (block: ReturnType<typeof runBlock>, title: string): Chart => {
  const found = block.charts.find((chart) => chart.title === title);
  if (found === undefined) throw new Error(`no chart ${title}`);
  return found;
};

test('runs that differ in nothing but the seed are one arm: its mean, its band, its number of seeds', () => {
  const runs = madeRuns();
  const arms = armsOf(runs);
  assert.equal(
    arms.map(({ column, label, runs: members }) => [column, label, members.length]),
    [['Adam', 'without LRD', 3], ['SGDM', 'without LRD', 3], ['Adam', 'LRD, p = 0.5', 3], ['SGDM', 'LRD, p = 0.5', 3]],
  ); // prettier-ignore
  const block = runBlock(runs);
  const lines = linesOf(block, chartOf(block, 'Adam: training loss'), firstView(block));
  assert.equal(lines.map(({ label, count }) => [label, count]), [['without LRD: mean of 3 seeds', 3], ['LRD, p = 0.5: mean of 3 seeds', 3]]); // prettier-ignore
  const losses = runs.slice(0, 3).map(({ metrics }) => metrics[4]?.trainLoss as number);
  const [line] = lines;
  assert.ok(Math.abs((line?.points[4]?.[1] as number) - meanOf(losses)) < 1e-6);
  assert.ok(Math.abs((line?.band?.[4]?.[1] as number) - Math.min(...losses)) < 1e-6);
  assert.ok(Math.abs((line?.band?.[4]?.[2] as number) - Math.max(...losses)) < 1e-6);
  assert.is(linesOf(block, chartOf(block, 'Adam: training loss'), { ...firstView(block), seeds: 'each' }).length, 6);
});

test('every setting but the seed makes another arm, and labels say which it is', () => {
  const base = { optimizer: 'sgdm', keepProbability: 0.5 };
  const changes: Parameters<typeof madeRun>[0][] = [{}, { learningRate: 0.5 }, { batchSize: 32 }, { hyper: { momentum: 0.5 } }, { width: 0.5 }, { regularizers: { centralize: true } }, { limit: 100 }, { backend: 'cpu' }]; // prettier-ignore
  const arms = armsOf(changes.map((change) => madeRun({ ...base, ...change })));
  assert.is(arms.length, changes.length);
  assert.is(new Set(arms.map(({ label }) => label)).size, changes.length);
  assert.match(arms[1]?.label ?? '', /learning rate 0\.5/);
  assert.is(armsOf([madeRun({ seed: '0x1' }), madeRun({ seed: '0x2', dataSource: '/elsewhere' })]).length, 1);
});

test('an arm is called by its kind of mask; one that follows the signs has no p, and is not without a mask', () => {
  const runs = [
    madeRun({ keepProbability: 1 }),
    madeRun({ keepProbability: 0.5 }),
    madeRun({ keepProbability: 0.5, hyper: { mask: { kind: 'skip-update' } } }),
    madeRun({ keepProbability: 1, hyper: { mask: { kind: 'magma', temperature: 2 } } }),
    madeRun({ keepProbability: 1, hyper: { mask: { kind: 'cautious' } } }),
    madeRun({ keepProbability: 0.5, hyper: { mask: { kind: '<b>' } } }),
  ];
  const arms = armsOf(runs);
  const starts = arms.map(({ label, plain }) => [label.replace(/, (beta1|mask\.).*/, ''), plain]);
  assert.equal(starts, [['without LRD', true], ['LRD, p = 0.5', false], ['SkipUpdate, p = 0.5', false], ['Magma, p = 1', false], ['Cautious', false], ['<b>, p = 0.5', false]]); // prettier-ignore
});

test('a mean ends where its shortest seed does, and the others go on weakly', () => {
  const runs = [
    madeRun({ seed: '0x1', epochs: 12 }, { epochs: 12 }),
    madeRun({ seed: '0x2', epochs: 12 }, { epochs: 5 }),
  ];
  const block = runBlock(runs);
  const lines = linesOf(block, chartOf(block, 'Adam: training loss'), firstView(block));
  assert.equal(lines.map(({ faint, points }) => [faint, points.length]), [[true, 8], [false, 5]]); // prettier-ignore
});

test('the running mean is that of TensorBoard: without a pull to zero, and through gaps', () => {
  assert.equal(smoothed([3, 3, null, 3], 0.9), [3, 3, null, 3].map((value) => value && Number(value.toFixed(12)))); // prettier-ignore
  const [first, second] = smoothed([0, 1], 0.5) as [number, number];
  assert.is(first, 0);
  assert.ok(Math.abs(second - 2 / 3) < 1e-12);
});

test('means, running means and axes of the largest numbers are finite, whatever the values', () => {
  const value = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(1e308, -1e308, 5e-324, 0),
  );
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 30 }), fc.boolean(), fc.boolean(), (values, logarithmic, cut) => {
      assert.ok(Number.isFinite(meanOf(values)));
      for (const one of smoothed(values, 0.9)) assert.ok(Number.isFinite(one));
      const line = { label: 'a', arm: { label: 'a', style: 0 }, faint: false, count: 1, points: values.map((y, x) => [x + 1, y] as const) };
      const view = { axis: 'epoch', scale: 'own', smoothing: 0, seeds: 'mean', cut, hidden: new Set<string>() } as const;
      const extent = extentOf([[line]], { logarithmic, logarithmicX: false, view });
      if (extent === undefined) {
        assert.ok(logarithmic && values.every((y) => !(y > 0)));
        return;
      }
      const [low, high] = extent.y;
      assert.ok(Number.isFinite(low) && Number.isFinite(high) && low < high, `${low} to ${high}`);
      if (logarithmic) assert.ok(low > 0);
      const ticks = logarithmic ? logTicks(low, high) : niceTicks(low, high);
      assert.ok(ticks.length <= 50 && ticks.every(Number.isFinite), ticks.join(' '));
      if (!cut) for (const y of values) if (!logarithmic || y > 0) assert.ok(y >= low && y <= high);
    }),
    { numRuns: 300 },
  ); // prettier-ignore
});

test('charts of a row have the same axes, and a cut axis says that it is', () => {
  const block = runBlock(madeRuns());
  const [adam, sgdm] = pictures(block, 1000);
  const ticks = (svg: string | undefined): string[] => [...(svg ?? '').matchAll(/<text[^>]*>([^<]*)</g)].map(([, text]) => text as string); // prettier-ignore
  assert.ok(ticks(adam).length > 6);
  assert.equal(ticks(adam), ticks(sgdm));
  const chart = chartOf(block, 'Adam: test accuracy');
  const view = firstView(block);
  const lines = [linesOf(block, chart, view)];
  const options = { logarithmic: false, logarithmicX: false };
  assert.is(extentOf(lines, { ...options, view })?.cut, false);
  assert.is(extentOf(lines, { ...options, view: { ...view, cut: true } })?.cut, true);
});

test('of a long run the extremes stay', () => {
  const values = Array.from({ length: 200_000 }, (_, k) => (k === 123_457 ? 1e9 : k === 77_777 ? -1e9 : Math.sin(k)));
  const kept = keptRows(values.length, [values], 2000);
  assert.ok(kept !== undefined && kept.length <= 2000);
  for (const row of [0, 77_777, 123_457, 199_999]) assert.ok(kept?.includes(row), String(row));
  assert.is(keptRows(10, [values.slice(0, 10)], 10), undefined);
});

test('ticks read as people write numbers', () => {
  assert.equal([0, 0.5, 1000, 20000, 1e7, 2.5e-5, 1e308].map(formatTick), ['0', '0.5', '1000', '20,000', '1e7', '2.5e-5', '1e308']); // prettier-ignore
  assert.equal(niceTicks(0, 12, 6, 1), [0, 2, 4, 6, 8, 10, 12]);
  assert.ok(logTicks(1e-300, 1e300).length < 12);
});

/** Colours as the style sheet has them, of one theme. */
function palette(theme: 'light' | 'dark'): number[][] {
  const [light, dark] = STYLE.split('prefers-color-scheme: dark') as [string, string];
  return COLOURS.map((name) => {
    const hex = new RegExp(`${name}: #([0-9a-f]{6})`).exec(theme === 'light' ? light : dark)?.[1];
    if (hex === undefined) throw new Error(`${name} is no #rrggbb`);
    return [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
  });
}

const toLinear = (c: number): number => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);

/** sRGB to CIELAB, D65. */
function toLab(linear: readonly number[]): number[] {
  const [r, g, b] = linear as [number, number, number];
  const x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505;
  const y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  const z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089;
  const f = (t: number): number => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  return [116 * f(y) - 16, 500 * (f(x) - f(y)), 200 * (f(y) - f(z))];
}

/** Machado, Oliveira and Fernandes 2009, severity 1, on linear light. */
const SEEN_AS: Readonly<Record<string, readonly (readonly number[])[]>> = {
  everybody: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopes: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopes: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}; // prettier-ignore

test('the colour-blind can tell the colours, and each stands out from the page', () => {
  for (const theme of ['light', 'dark'] as const) {
    for (const [who, matrix] of Object.entries(SEEN_AS)) {
      const labs = palette(theme).map((rgb) => {
        const linear = rgb.map(toLinear);
        return toLab(matrix.map((row) => Math.min(1, Math.max(0, row.reduce((sum, c, k) => sum + c * (linear[k] as number), 0)))));
      }); // prettier-ignore
      labs.forEach((a, i) => {
        labs.slice(i + 1).forEach((b, k) => {
          const away = Math.hypot(...a.map((c, at) => c - (b[at] as number)));
          assert.ok(
            away > 10,
            `${theme}, ${who}: ${COLOURS[i]} and ${COLOURS[i + 1 + k]} are ${away.toFixed(1)} apart`,
          );
        });
      });
    }
    const paper = theme === 'light' ? 0.93 : 0.0145;
    for (const [k, rgb] of palette(theme).entries()) {
      const [r, g, b] = rgb.map(toLinear) as [number, number, number];
      const own = 0.2126 * r + 0.7152 * g + 0.0722 * b;
      const ratio = (Math.max(own, paper) + 0.05) / (Math.min(own, paper) + 0.05);
      assert.ok(ratio > 2.8, `${theme}: ${COLOURS[k]} has contrast ${ratio.toFixed(2)}`);
    }
  }
  const strokes = Array.from({ length: 28 }, (_, style) => strokeOf({ label: '', style }));
  assert.is(new Set(strokes.map(({ colour, dash }) => `${colour} ${dash}`)).size, 28);
});

test.run();
