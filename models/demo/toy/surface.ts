/** Eq. (9) of the paper as the page draws it. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The part of the plane that the paper's Fig. 3 shows. */
export const BOX = { x: [-4, 0], y: [-2, 3] } as const;

/** To four decimals; spec/SPECIFICATION.md says why (-0.74, 1.40) is neither. */
export const GLOBAL_MINIMUM: Point = { x: -0.7494, y: 1.4165 };
export const LOCAL_MINIMUM: Point = { x: -1.5036, y: -0.3336 };

export interface Value {
  readonly f: number;
  readonly dx: number;
  readonly dy: number;
}

/** f(x, y) = (1.5 - x^2 + xy)^2 + (2.25 - x^2 + xy^2)^2 + (2.625 - x^2 + xy^3)^2, eq. (9), with its gradient. */
export function evaluate(x: number, y: number): Value {
  const y2 = y * y;
  const r1 = 1.5 - x * x + x * y;
  const r2 = 2.25 - x * x + x * y2;
  const r3 = 2.625 - x * x + x * y2 * y;
  return {
    f: r1 * r1 + r2 * r2 + r3 * r3,
    dx: 2 * (r1 * (y - 2 * x) + r2 * (y2 - 2 * x) + r3 * (y2 * y - 2 * x)),
    dy: 2 * (r1 * x + r2 * 2 * x * y + r3 * 3 * x * y2),
  };
}

/** Where a descent is: within .05 of a minimum, far outside the box, or under way. */
export type Place = 'global' | 'local' | 'gone' | 'elsewhere';

export function placeOf({ x, y }: Point): Place {
  const near = (at: Point): boolean => Math.hypot(x - at.x, y - at.y) < 0.05;
  if (near(GLOBAL_MINIMUM)) return 'global';
  if (near(LOCAL_MINIMUM)) return 'local';
  return Math.abs(x) < 50 && Math.abs(y) < 50 ? 'elsewhere' : 'gone';
}
