import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { renderToy } from '../../models/report/toy.ts';
import { runs } from '../testing/properties.ts';
import { descend, endOf } from './descent.ts';
import { runToy } from './runToy.ts';
import { BOX, eigenvalues, hessian, PAPER_OPTIMUM, STATIONARY_POINTS, surface, surfaceGradient } from './surface.ts';

const test = suite('impl-ref/toy');
const point = fc.record({
  x: fc.double({ min: BOX.x[0], max: BOX.x[1], noNaN: true }),
  y: fc.double({ min: BOX.y[0], max: BOX.y[1], noNaN: true }),
});

test('[LRD-EQ-009] the function at points worked out by hand', () => {
  assert.is(surface({ x: 0, y: 2 }), 14.203125);
  assert.is(surface({ x: -1, y: 1 }), 0.5 ** 2 + 0.25 ** 2 + 0.625 ** 2);
  assert.is(surface({ x: -1, y: 2 }), 1.5 ** 2 + 2.75 ** 2 + 6.375 ** 2);
});

test('[LRD-EQ-009] gradient and Hessian agree with central differences', () => {
  fc.assert(
    fc.property(point, ({ x, y }) => {
      const h = 1e-5;
      const gradient = surfaceGradient({ x, y });
      const second = hessian({ x, y });
      const scale = 1 + surface({ x, y });
      const difference = (f: (d: number) => number): number => (f(h) - f(-h)) / (2 * h);
      const close = (a: number, b: number): void => assert.ok(Math.abs(a - b) <= 1e-6 * scale * 10, `${a} and ${b}`);
      close(
        gradient.x,
        difference((d) => surface({ x: x + d, y })),
      );
      close(
        gradient.y,
        difference((d) => surface({ x, y: y + d })),
      );
      close(
        second.xx,
        difference((d) => surfaceGradient({ x: x + d, y }).x),
      );
      close(
        second.xy,
        difference((d) => surfaceGradient({ x: x + d, y }).y),
      );
      close(
        second.xy,
        difference((d) => surfaceGradient({ x, y: y + d }).x),
      );
      close(
        second.yy,
        difference((d) => surfaceGradient({ x, y: y + d }).y),
      );
    }),
    runs(200),
  );
});

test("[LRD-EQ-009] the stationary points are where the gradient vanishes; the paper's optimum is none of them", () => {
  const values = { globalMinimum: 0.053717241043, localMinimum: 0.27533531784, saddle: 1.359460802395 };
  for (const [name, at] of Object.entries(STATIONARY_POINTS)) {
    const { x, y } = surfaceGradient(at);
    // A point to half a unit of the twelfth decimal leaves a gradient of at most that times the largest curvature, 125.
    assert.ok(Math.hypot(x, y) <= 125.5 * Math.SQRT2 * 5e-13, `${name}: ${x}, ${y}`);
    assert.ok(Math.abs(surface(at) - values[name as keyof typeof values]) < 1e-12, name);
  }
  const gradient = surfaceGradient(PAPER_OPTIMUM);
  assert.ok(Math.abs(gradient.x - 1.6479) < 1e-4 && Math.abs(gradient.y + 1.3282) < 1e-4);
  assert.ok(Math.abs(surface(PAPER_OPTIMUM) - 0.0726869456) < 1e-10);
  assert.ok(eigenvalues(hessian(STATIONARY_POINTS.saddle))[0] < 0);
});

test('[LRD-DEC-004] the better minimum is the sharper one by every measure', () => {
  const better = hessian(STATIONARY_POINTS.globalMinimum);
  const worse = hessian(STATIONARY_POINTS.localMinimum);
  const [low, high] = eigenvalues(better);
  const [otherLow, otherHigh] = eigenvalues(worse);
  for (const [got, expected] of [
    [low, 5.115],
    [high, 125.291],
    [otherLow, 10.089],
    [otherHigh, 52.003],
  ] as const) {
    assert.ok(Math.abs(got - expected) < 1e-3, `${got} and ${expected}`);
  }
  assert.ok(high > otherHigh && low + high > otherLow + otherHigh && low * high > otherLow * otherHigh);
  assert.ok(surface(STATIONARY_POINTS.globalMinimum) < surface(STATIONARY_POINTS.localMinimum));
});

test('[LRD-DEC-005] from rest at the local minimum Adam with learning rate dropout goes nowhere', () => {
  const starts = Array.from({ length: 50 }, () => STATIONARY_POINTS.localMinimum);
  for (const learningRate of [0.001, 0.01]) {
    const paths = descend(
      starts,
      1000,
      { rule: 'adam', hyper: { learningRate }, masks: { kind: 'stream', seed: 1 } },
      1000,
    );
    for (const path of paths) assert.is(endOf(path[1] ?? { x: 0, y: 0 }), 'local');
  }
});

test('a descent keeps its first point and one every so many steps, and each start has masks of its own', () => {
  const options = { rule: 'sgdm', hyper: { learningRate: 1e-4 }, masks: { kind: 'stream', seed: 3 } } as const;
  const start = { x: -2, y: 1 };
  const all = descend([start, start], 6, options);
  const some = descend([start, start], 6, options, 3);
  assert.equal(
    all.map((path) => path.length),
    [7, 7],
  );
  assert.equal(
    some,
    all.map((path) => [path[0], path[3], path[6]]),
  );
  assert.not.equal(all[0], all[1]);
  const g = surfaceGradient(start);
  const moved = all[0]?.[1] ?? start;
  assert.ok(moved.x === start.x || moved.x === start.x - 1e-4 * g.x);
});

test('ends are within .05 of a minimum', () => {
  const { globalMinimum, localMinimum } = STATIONARY_POINTS;
  assert.is(endOf({ x: globalMinimum.x + 0.04, y: globalMinimum.y }), 'global');
  assert.is(endOf({ x: localMinimum.x, y: localMinimum.y - 0.04 }), 'local');
  assert.is(endOf({ x: localMinimum.x, y: localMinimum.y - 0.06 }), 'elsewhere');
  assert.is(endOf({ x: Number.NaN, y: 0 }), 'elsewhere');
});

const small = { rules: ['adam', 'adamw'], steps: 40, grid: 3, seed: 5 } as const;

test('the toy counts every start in every arm, at equal steps and at steps divided by p', () => {
  const result = runToy({ ...small, keepProbability: 0.25 });
  assert.equal(
    result.counts.map(({ rule, keepProbability, steps }) => [rule, keepProbability, steps]),
    ['adam', 'adamw'].flatMap((rule) => [
      [rule, 1, 40],
      [rule, 0.25, 40],
      [rule, 0.25, 160],
      [rule, 1, 160],
    ]),
  );
  for (const { ends } of result.counts) assert.is(ends.global + ends.local + ends.elsewhere, 9);
  assert.is(result.seed, '0x0000000000000005');
  assert.equal(
    result.panels.map(({ paths }) => paths.length),
    [5, 5, 5, 5],
  );
  // Without decay AdamW is Adam.
  assert.equal(result.panels[1]?.paths, result.panels[3]?.paths);
  assert.equal(result, runToy({ ...small, keepProbability: 0.25 }));
});

test('wrong options are refused in one line', () => {
  assert.throws(() => runToy({ ...small, keepProbability: 0 }), /^keepProbability must be in \[2\^-16, 1\], got 0$/);
  assert.throws(() => runToy({ ...small, steps: 0 }), /^steps must be a whole number in \[1, 10\^6\], got 0$/);
  assert.throws(() => runToy({ ...small, grid: 101 }), /^grid must be a whole number in \[1, 100\], got 101$/);
  assert.throws(() => runToy({ ...small, seed: -1 }), /^seed must be/);
  assert.throws(
    () => runToy({ ...small, learningRate: -1 }),
    /^learningRate must be a finite number of at least 0, got -1$/,
  );
});

test('the page holds a panel for each arm, well-formed paths, and needs nothing from elsewhere', () => {
  const html = renderToy(runToy({ ...small, starts: [{ x: -3, y: 2 }] })).replace(/<script>[^]*<\/script>/, '');
  assert.is(html.match(/<svg class="picture"/g)?.length, 4);
  assert.not.match(html, /NaN|undefined|https?:/);
  assert.match(html, /Descent paths of Adam, LRD, p = 0.5/);
  assert.is(html.match(/<tr>/g)?.length, 1 + 8);
});

test.run();
