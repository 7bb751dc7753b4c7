/** What of a finding tells one mistake from another, beside the property that found it. */
import type { DrawnFinding } from '../judge/run.ts';

/** Sizes of an effect, as `statistics/measure.ts` words them, and what weight they have. */
const WEIGHTS: Readonly<Record<string, number>> = { all: 4, most: 3.5, half: 3, much: 2, some: 1, little: 0.3 };

/** A number that lands beside its interval by a rounding, rather than by another formula. */
function isRounding({ expected, got }: Pick<DrawnFinding, 'expected' | 'got'>): boolean {
  const ends = /^\[?(-?[\d.e+-]+)(?:, (-?[\d.e+-]+)\])?/
    .exec(expected)
    ?.slice(1)
    .filter((text) => text !== undefined);
  const x = Number(got);
  if (ends === undefined || ends.length === 0 || !Number.isFinite(x) || x === 0) return false;
  return ends.some((end) => Math.abs(Number(end) - x) <= 3e-7 * Math.abs(x));
}

/** The kind of a finding: what its tests are about, or its message with numbers, names and places left out. */
export function kindOf(finding: Pick<DrawnFinding, 'message' | 'expected' | 'got' | 'traits'>): string {
  const { message, traits } = finding;
  if (traits !== undefined) return traits.join('; ');
  const kind = message
    .replaceAll(/\w+\[\d+\]/g, 'w')
    .replaceAll(/\(.*\)/g, '')
    .replaceAll(/-?\d[\d.e+-]*/g, '#')
    .slice(0, 80);
  return isRounding(finding) ? `${kind}, by a rounding` : kind;
}

function traitsOf(kind: string): Map<string, { sign: string; weight: number }> {
  return new Map(
    kind.split('; ').map((trait) => {
      const [, about = trait, sign = '', size = ''] = /^(.*): ([+-]?)(.*)$/.exec(trait) ?? [];
      return [size in WEIGHTS ? about : trait, { sign, weight: WEIGHTS[size] ?? 3 }];
    }),
  );
}

/** How much two kinds have in common, in [0, 1]: the large effects count most. */
export function likeness(a: string, b: string): number {
  if (a === b) return 1;
  const [left, right] = [traitsOf(a), traitsOf(b)];
  let [shared, all] = [0, 0];
  for (const about of new Set([...left.keys(), ...right.keys()])) {
    const [x, y] = [left.get(about), right.get(about)];
    const [low, high] = [x?.weight ?? 0, y?.weight ?? 0].sort((first, second) => first - second) as [number, number];
    all += high;
    if (x?.sign === y?.sign) shared += low;
  }
  return shared / all;
}
