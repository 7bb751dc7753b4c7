import { createOptimizer } from '../optimizer.ts';
import type { OptimizerOptions } from '../optimizer.ts';
import { STATIONARY_POINTS, surfaceGradient } from './surface.ts';
import type { Point } from './surface.ts';

/** Where a descent ended: within .05 of a minimum, or neither (the flat edge x = 0, a saddle, out of the box, not there yet). */
export type End = 'global' | 'local' | 'elsewhere';

/** Which minimum a point belongs to. */
export function endOf({ x, y }: Point): End {
  const near = (at: Point): boolean => Math.hypot(x - at.x, y - at.y) < 0.05;
  if (near(STATIONARY_POINTS.globalMinimum)) return 'global';
  return near(STATIONARY_POINTS.localMinimum) ? 'local' : 'elsewhere';
}

/**
 * Descents on eq. (9) with its exact gradient, from several starts at once: the rules are elementwise, so the starts are
 * the elements of two tensors, x and y, and each coordinate of each start has mask bits of its own.
 *
 * @param every - which points of a path to keep: the first, and that after every so many steps
 * @returns the paths, by start
 */
export function descend(starts: readonly Point[], steps: number, options: OptimizerOptions, every = 1): Point[][] {
  const optimizer = createOptimizer(
    [
      { name: 'x', shape: [starts.length], values: starts.map(({ x }) => x) },
      { name: 'y', shape: [starts.length], values: starts.map(({ y }) => y) },
    ],
    options,
  );
  let state = optimizer.init();
  const paths = starts.map((start) => [start]);
  for (let t = 1; t <= steps; t++) {
    const [xs, ys] = state.tensors.map(({ values }) => values) as [Float64Array, Float64Array];
    const gradients = [new Float64Array(starts.length), new Float64Array(starts.length)] as const;
    for (let i = 0; i < starts.length; i++) {
      const gradient = surfaceGradient({ x: xs[i] as number, y: ys[i] as number });
      gradients[0][i] = gradient.x;
      gradients[1][i] = gradient.y;
    }
    ({ state } = optimizer.step(state, gradients));
    if (t % every !== 0) continue;
    for (const [i, path] of paths.entries()) {
      path.push({ x: state.tensors[0]?.values[i] as number, y: state.tensors[1]?.values[i] as number });
    }
  }
  return paths;
}
