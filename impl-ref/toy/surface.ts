/** A point of the toy's plane. */
export interface Point {
  /** The first parameter. */
  readonly x: number;
  /** The second. */
  readonly y: number;
}

/** The box of eq. (9). */
export const BOX = { x: [-4, 0], y: [-2, 3] } as const;

/** The constants and the powers of y in eq. (9)'s three squares: (c - x^2 + x y^n)^2. */
const TERMS = [
  [1.5, 1],
  [2.25, 2],
  [2.625, 3],
] as const;

/** Eq. (9): f(x, y) = (1.5 - x^2 + xy)^2 + (2.25 - x^2 + xy^2)^2 + (2.625 - x^2 + xy^3)^2. */
export function surface({ x, y }: Point): number {
  return TERMS.reduce((sum, [c, n]) => sum + (c - x * x + x * y ** n) ** 2, 0);
}

/** The gradient of eq. (9): sum of 2 r (r_x, r_y) over the residuals r = c - x^2 + x y^n. */
export function surfaceGradient({ x, y }: Point): Point {
  const square = y * y;
  const r1 = 1.5 - x * x + x * y;
  const r2 = 2.25 - x * x + x * square;
  const r3 = 2.625 - x * x + x * square * y;
  return {
    x: 2 * (r1 * (y - 2 * x) + r2 * (square - 2 * x) + r3 * (square * y - 2 * x)),
    y: 2 * (r1 * x + r2 * 2 * x * y + r3 * 3 * x * square),
  };
}

/** The second derivatives of eq. (9). */
export interface Hessian {
  /** d2f / dx2. */
  readonly xx: number;
  /** d2f / dx dy. */
  readonly xy: number;
  /** d2f / dy2. */
  readonly yy: number;
}

/** The Hessian of eq. (9): sum of 2 (grad r grad r^T + r Hess r). */
export function hessian({ x, y }: Point): Hessian {
  let xx = 0;
  let xy = 0;
  let yy = 0;
  for (const [c, n] of TERMS) {
    const r = c - x * x + x * y ** n;
    const rx = y ** n - 2 * x;
    const ry = n * x * y ** (n - 1);
    xx += 2 * (rx * rx - 2 * r);
    xy += 2 * (rx * ry + r * n * y ** (n - 1));
    yy += 2 * (ry * ry + (n === 1 ? 0 : r * n * (n - 1) * x * y ** (n - 2)));
  }
  return { xx, xy, yy };
}

/** The eigenvalues of a symmetric two by two matrix, the smaller one first. */
export function eigenvalues({ xx, xy, yy }: Hessian): readonly [number, number] {
  const middle = (xx + yy) / 2;
  const radius = Math.hypot((xx - yy) / 2, xy);
  return [middle - radius, middle + radius];
}

/**
 * The stationary points inside the box, to twelve decimals (Newton from a grid). On the edge x = 0 the function is constant,
 * 14.203125, and (0, 0) is a saddle of the plane. The paper's optimum, (-0.74, 1.40), is none of them.
 */
export const STATIONARY_POINTS = {
  globalMinimum: { x: -0.749401668211, y: 1.416493746403 },
  localMinimum: { x: -1.503558040503, y: -0.333616532484 },
  saddle: { x: -1.294490088178, y: 0.528914593974 },
} as const;

/** Where the paper has the optimum. */
export const PAPER_OPTIMUM: Point = { x: -0.74, y: 1.4 };
