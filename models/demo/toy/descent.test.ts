import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { descend, BOX as REFERENCE_BOX, STATIONARY_POINTS, surface, surfaceGradient } from 'learning-rate-dropout/ref';
import { Descent } from './descent.ts';
import { BOX, GLOBAL_MINIMUM, LOCAL_MINIMUM, evaluate, placeOf } from './surface.ts';

const test = suite('models/demo/toy');

test("[LRD-EQ-009] the page's function, gradient and minima are the reference's", () => {
  assert.equal(BOX, REFERENCE_BOX);
  for (let x = BOX.x[0]; x <= BOX.x[1]; x += 0.37) {
    for (let y = BOX.y[0]; y <= BOX.y[1]; y += 0.29) {
      const { f, dx, dy } = evaluate(x, y);
      const expected = surface({ x, y });
      const gradient = surfaceGradient({ x, y });
      const close = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-12 * (1 + Math.abs(b));
      assert.ok(close(f, expected) && close(dx, gradient.x) && close(dy, gradient.y), `${x}, ${y}`);
    }
  }
  const near = (a: { x: number; y: number }, b: { x: number; y: number }): boolean =>
    Math.hypot(a.x - b.x, a.y - b.y) < 1e-4;
  assert.ok(near(GLOBAL_MINIMUM, STATIONARY_POINTS.globalMinimum));
  assert.ok(near(LOCAL_MINIMUM, STATIONARY_POINTS.localMinimum));
  assert.is(placeOf(GLOBAL_MINIMUM), 'global');
  assert.is(placeOf({ x: LOCAL_MINIMUM.x + 0.04, y: LOCAL_MINIMUM.y }), 'local');
  assert.is(placeOf({ x: -3, y: 2 }), 'elsewhere');
  assert.is(placeOf({ x: Number.NaN, y: 2 }), 'gone');
});

for (const rule of ['sgdm', 'rmsprop', 'adam', 'amsgrad', 'radam', 'adamw'] as const) {
  test(`the page's ${rule} descents are the reference's, draw by draw`, () => {
    const learningRate = { sgdm: 1e-4, radam: 5e-4 }[rule as string] ?? 1e-2;
    const start = { x: -3.25, y: 1.5 };
    const descent = new Descent({ rule, learningRate, keepProbability: 0.5, start, seed: 9, draws: 5 });
    for (let t = 0; t < 200; t++) descent.step();
    const options = { rule, hyper: { learningRate, weightDecay: 0 }, masks: { kind: 'stream', seed: 9 } } as const;
    const expected = descend(
      Array.from({ length: 5 }, () => start),
      200,
      { ...options, keepProbability: 0.5 },
    );
    expected.forEach((path, draw) => {
      for (const [t, { x, y }] of path.entries()) {
        const [gotX, gotY] = [descent.paths[draw]?.[2 * t], descent.paths[draw]?.[2 * t + 1]] as [number, number];
        // float32 state against float64: one other mask bit would be a whole step, a hundred times this.
        assert.ok(Math.hypot(gotX - x, gotY - y) < 1e-3, `draw ${draw}, step ${t}: ${gotX}, ${gotY} and ${x}, ${y}`);
      }
    });
  });
}

test.run();
