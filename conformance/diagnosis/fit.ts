/**
 * The number of a known kind of mistake, from what came. A family (`families.ts`) is solved for its number on one wrong number of one
 * finding; what comes of it is no evidence yet, for one equation always has a solution. It counts where it makes everything else too: the
 * rest of that case, and other findings, which the number was not taken from.
 */
import { halves } from 'learning-rate-dropout/ref';
import { HONEST } from '../planted/implementation.ts';
import type { Behaviour } from '../planted/implementation.ts';
import { expandCase } from '../protocol/expand.ts';
import type { ExpandedTensor } from '../protocol/expand.ts';
import { drawsNothing } from '../protocol/kinds.ts';
import { NUMBER_MEMBERS, REAL_FAMILIES, STREAM_MEMBERS } from './families.ts';
import type { RealFamily } from './families.ts';
import { answersOf, numberAt, reproduces } from './replay.ts';
import type { Reproduced, Spot, Told } from './replay.ts';

/** A mistake with its number. */
export interface Fitted {
  readonly mistake: string;
  /** With the number in them; undefined where nobody would have written it. */
  readonly words: string | undefined;
  /** By property: what it makes. */
  readonly makes: ReadonlyMap<string, Reproduced>;
}

/** Findings that numbers are taken from, of each sort: the smallest ones. */
const SOURCES = 3;
/** Wrong numbers of a finding that a family is solved for. */
const SPOTS = 2;
/** Solutions of one family for one number. */
const ROOTS = 3;
/** Members of one family that are looked at more closely. */
const LIKELY = 6;

const sizeOf = ({ steps }: Told): number =>
  steps.flat().reduce((sum, { parameters = [], masks = [] }) => sum + parameters.flat().length + masks.length, 0);

/** A number, as short as it may be; `plain` where it is one that a person would write. */
interface Solution {
  readonly value: number;
  readonly text: string;
  readonly plain: boolean;
}

/** The shortest number, or fraction, that is as good as x within `slack`. */
function plainest(x: number, slack: number): Solution {
  if (Math.abs(x) <= Math.max(slack, 1e-20)) return { value: 0, text: '0', plain: true };
  for (let digits = 1; digits <= 4; digits++) {
    const value = Number(x.toPrecision(digits));
    if (Math.abs(value - x) <= slack) return { value, text: String(value), plain: true };
  }
  for (let below = 3; below <= 12; below++) {
    const above = Math.round(x * below);
    if (above !== 0 && Math.abs(above / below - x) <= slack) {
      return { value: above / below, text: `${above}/${below}`, plain: true };
    }
  }
  for (let digits = 5; digits <= 15; digits++) {
    const value = Number(x.toPrecision(digits));
    if (Math.abs(value - x) <= slack) {
      return { value, text: String(Number(x.toPrecision(Math.min(digits, 6)))), plain: false };
    }
  }
  return { value: x, text: String(Number(x.toPrecision(6))), plain: false };
}

type Residual = (c: number) => Promise<number>;

/** Where a residual changes its sign between two numbers, by halving and by the secant in turn (Dekker). */
async function between(residual: Residual, low: number, high: number, atLow: number, atHigh: number): Promise<number> {
  let [a, b, fa, fb] = [low, high, atLow, atHigh];
  for (let i = 0; i < 60 && fb !== 0 && Math.abs(b - a) > 1e-15 * Math.max(Math.abs(a), Math.abs(b)); i++) {
    const secant = b - (fb * (b - a)) / (fb - fa);
    const inside = secant > Math.min(a, b) && secant < Math.max(a, b);
    const c = i % 3 === 2 || !inside ? (a + b) / 2 : secant;
    const fc = await residual(c);
    if (Number.isNaN(fc)) break;
    if (Math.sign(fc) === Math.sign(fb)) [b, fb] = [c, fc];
    else [a, fa, b, fb] = [b, fb, c, fc];
  }
  return Math.abs(fa) < Math.abs(fb) ? a : b;
}

/** Numbers with which a family makes one wrong number. */
async function roots(residual: Residual, grid: readonly number[]): Promise<number[]> {
  const values: [number, number][] = [];
  for (const c of grid) {
    const r = await residual(c);
    if (Number.isFinite(r)) values.push([c, r]);
    // Nothing that this family changes is in this number.
    if (values.length === 4 && values.every(([, value]) => value === values[0]?.[1])) return [];
  }
  const found: number[] = [];
  const [first, second] = [values[0], values[1]];
  if (first !== undefined && second !== undefined && first[1] !== second[1]) {
    // A line, as most are.
    const c = first[0] - (first[1] * (second[0] - first[0])) / (second[1] - first[1]);
    const r = await residual(c);
    if (Math.abs(r) < 1e-6 * Math.abs(first[1])) {
      const slope = (second[1] - first[1]) / (second[0] - first[0]);
      return [c - r / slope];
    }
  }
  for (const [i, [c, r]] of values.entries()) {
    const next = values[i + 1];
    if (r === 0) found.push(c);
    else if (next !== undefined && next[1] !== 0 && Math.sign(r) !== Math.sign(next[1])) {
      found.push(await between(residual, c, next[0], r, next[1]));
    }
    if (found.length >= ROOTS) break;
  }
  return found;
}

/** The family's numbers for a wrong number, as plain as they may be. */
async function solve({ changes, grid }: RealFamily, told: Told, spot: Spot, noise: number): Promise<Solution[]> {
  const got = numberAt(told.steps, spot);
  if (got === undefined || !Number.isFinite(got) || told.begin === undefined) return [];
  const cases = [told.begin];
  const here = { ...spot, example: 0 };
  const residual: Residual = async (c) => (numberAt(await answersOf(changes(c), cases), here) ?? NaN) - got;
  const before = numberAt(told.steps, { ...spot, step: Math.max(0, spot.step - 1) }) ?? 0;
  // What rounding leaves open.
  const blur = (noise / 100) * Math.max(Math.abs(got), Math.abs(before), Number.MIN_VALUE);
  const plain = [];
  for (const root of await roots(residual, grid)) {
    const h = 1e-4 * Math.max(Math.abs(root), Math.min(...grid.filter((c) => c !== 0).map(Math.abs)));
    const slope = ((await residual(root + h)) - (await residual(root - h))) / (2 * h);
    const slack =
      Number.isFinite(slope) && slope !== 0 ? Math.min(blur / Math.abs(slope), 0.01 * Math.abs(root) + 1e-9) : 0;
    plain.push(plainest(root, Math.max(slack, 1e-12 * Math.abs(root))));
  }
  return plain;
}

/** One draw of masks on the stream, with the bits that were told or seen. */
interface Draw {
  readonly seed: bigint;
  readonly step: number;
  readonly first: number;
  readonly tensor: number;
  readonly tensors: readonly ExpandedTensor[];
  readonly present: readonly boolean[];
  readonly p: number;
  readonly whole: boolean;
  readonly told: boolean;
  readonly bits: string;
}

/** Elements of a mask that are compared, and masks of a case, before the case is run. */
const COMPARED = 32;
const DRAWS = 24;

function drawsOf({ cases, steps }: Told): Draw[] {
  const draws: Draw[] = [];
  for (const [i, example] of cases.entries()) {
    if (example.masks !== 'stream' || drawsNothing(example)) continue;
    const { tensors, steps: asked, mask } = expandCase(example);
    let before: readonly (readonly number[])[] = tensors.map(({ values }) => values);
    for (const [t, { step, tensors: parts }] of asked.entries()) {
      const record = steps[i]?.[t];
      for (const [tensor, { plain, keepProbability: p, gradient }] of parts.entries()) {
        const told = record?.masks?.[tensor];
        const moved = record?.parameters?.[tensor]
          ?.map((x, j) => (Object.is(x, before[tensor]?.[j]) ? '?' : '1'))
          .join('');
        const bits = told ?? moved ?? '';
        if (plain || p === 1 || gradient === null || bits === '') continue;
        draws.push({
          seed: BigInt(example.seed ?? 0),
          step,
          first: example.firstStep ?? 1,
          tensor,
          tensors,
          present: parts.map((part) => part.gradient !== null),
          p,
          whole: mask?.granularity === 'tensor',
          told: typeof told === 'string',
          bits,
        });
      }
      before = record?.parameters ?? before;
    }
  }
  return draws.slice(0, DRAWS);
}

/** Whether an implementation draws these bits. */
function draws(b: Behaviour, { seed, step, first, tensor, tensors, present, p, whole, told, bits }: Draw): boolean {
  const base = b.bases(tensors, present)[tensor] ?? 0;
  const at = (stream: Behaviour['maskStream'], index: number): boolean => {
    const [half = 0] = halves({ key: b.key(seed), step: b.maskStep(step, first) >>> 0, stream, base: index }, 1);
    return b.keeps(half, b.threshold(p));
  };
  if (whole) {
    const { stream, index } = b.tensorStream(base);
    const kept = at(stream, index);
    return told ? bits.startsWith(kept ? '1' : '0') : kept || !bits.includes('1');
  }
  for (let i = 0; i < Math.min(bits.length, COMPARED); i++) {
    if (bits[i] === '?') continue;
    if (at(b.maskStream, b.half(base + i)) !== (bits[i] === '1')) return false;
  }
  return true;
}

/** What a mistake makes of all findings. */
async function tryOn(
  changes: Partial<Behaviour>,
  findings: ReadonlyMap<string, Told>,
): Promise<Map<string, Reproduced>> {
  const makes = new Map<string, Reproduced>();
  for (const [property, told] of findings) {
    const how = await reproduces(changes, told);
    if (how !== undefined) makes.set(property, how);
  }
  return makes;
}

/**
 * Known mistakes with the numbers that explain findings.
 *
 * @param open findings by property that no mistake makes as it is known: numbers are taken from some of them
 * @param all findings that a number is tried on
 * @param noise by which arithmetic in another order may differ
 */
export async function fit(
  open: ReadonlyMap<string, Told>,
  all: ReadonlyMap<string, Told>,
  noise: number,
): Promise<readonly Fitted[]> {
  const fitted: Fitted[] = [];
  const tried = new Set<string>();
  const smallest = [...open].sort(([, a], [, b]) => sizeOf(a) - sizeOf(b));
  /** Admits what makes more than it was taken from: the whole of a case with several wrong numbers, or other findings. */
  const admit = async (
    member: { mistake: string; words: string; changes: Partial<Behaviour> },
    source: Told,
    free: number,
    plain = true,
  ): Promise<void> => {
    const key = `${member.mistake}: ${member.words}`;
    if (tried.has(key)) return;
    if ((await reproduces(member.changes, source)) === undefined) return;
    tried.add(key);
    const makes = await tryOn(member.changes, all);
    const whole = [...makes.values()].filter((how) => how === 'whole').length;
    // A number that nobody would write has been made for its source, unless it serves elsewhere as well.
    if (whole < (plain ? 1 : 2) || (makes.size < 2 && free < 2)) return;
    fitted.push({ mistake: member.mistake, words: plain ? member.words : undefined, makes });
  };

  const numeric = smallest.filter(([, { sameMasks }]) => sameMasks).slice(0, SOURCES);
  for (const [, told] of numeric) {
    const { wrong } = told;
    // What is far off says most about a number.
    const spots = wrong.toSorted(([, a], [, b]) => b - a).slice(0, SPOTS);
    for (const family of REAL_FAMILIES) {
      for (const [spot] of spots) {
        for (const { value, text, plain } of await solve(family, told, spot, noise)) {
          const { mistake } = family;
          const member = { mistake, words: family.words(text), changes: family.changes(value) };
          await admit(member, told, wrong.length, plain);
        }
      }
    }
  }
  for (const [, told] of smallest.slice(0, SOURCES)) {
    for (const member of NUMBER_MEMBERS) await admit(member, told, 2);
  }
  const streamed = smallest.filter(
    ([, { sameMasks, cases }]) => !sameMasks && cases.some(({ masks }) => masks === 'stream'),
  );
  for (const [, told] of streamed.slice(0, 2 * SOURCES)) {
    const drawn = drawsOf(told);
    if (drawn.length === 0) continue;
    const likely = new Map<string, number>();
    for (const member of STREAM_MEMBERS) {
      const behaviour = { ...HONEST, ...member.changes };
      if ((likely.get(member.mistake) ?? 0) >= LIKELY || !drawn.every((draw) => draws(behaviour, draw))) continue;
      likely.set(member.mistake, (likely.get(member.mistake) ?? 0) + 1);
      await admit(member, told, 2);
    }
  }
  return fitted;
}
