/** Hypothesis tests on one sample of masks. Each returns a p-value; none decides by itself. */
import { ELEMENTS, RUNS, SHAPES, SIZES, STEPS } from './design.ts';
import { binomialPValue, chiSquarePValue, normalPValue } from './tails.ts';

/** bits[run][step], tensors one after the other, 0 or 1. */
export type Sample = readonly (readonly Uint8Array[])[];

export interface TestResult {
  readonly name: string;
  readonly pValue: number;
  readonly expected: string;
  readonly got: string;
  /** How far off, in units that do not grow with the sample: a rate less p, a correlation, the logarithm of a ratio. */
  readonly effect: number;
  /** What the test is about, where several tests are about the same. Default: its name. */
  readonly about?: string;
}

const OFFSETS = SIZES.map((_, k) => SIZES.slice(0, k).reduce((sum, n) => sum + n, 0));

/** Expected and got are rates. */
function rate(name: string, kept: number, draws: number, p: number, about = name): TestResult {
  return {
    name,
    about,
    effect: draws === 0 ? 0 : kept / draws - p,
    pValue: binomialPValue(kept, draws, p),
    expected: `${p} of ${draws} draws`,
    got: (kept / draws).toFixed(6),
  };
}

function* rows(sample: Sample): Generator<{ run: number; step: number; bits: Uint8Array }> {
  for (const [run, steps] of sample.entries()) for (const [step, bits] of steps.entries()) yield { run, step, bits };
}

function countOf(bits: Uint8Array, from = 0, to = bits.length): number {
  let kept = 0;
  for (let i = from; i < to; i++) kept += bits[i] as number;
  return kept;
}

export function overallRate(sample: Sample, p: number): TestResult[] {
  let kept = 0;
  for (const { bits } of rows(sample)) kept += countOf(bits);
  return [rate('rate of all draws', kept, RUNS * STEPS * ELEMENTS, p)];
}

/** Rates by tensor, step and position in a block of eight; numbers kept per step against the binomial. */
export function ratesAndCounts(sample: Sample, p: number): TestResult[] {
  const byStep = new Float64Array(STEPS);
  const byTensor = new Float64Array(SIZES.length);
  const byPosition = new Float64Array(8);
  const drawsAt = new Float64Array(8);
  const squares = new Float64Array(SIZES.length);
  for (const { step, bits } of rows(sample)) {
    for (const [k, offset] of OFFSETS.entries()) {
      const size = SIZES[k] as number;
      const kept = countOf(bits, offset, offset + size);
      byTensor[k] = (byTensor[k] as number) + kept;
      byStep[step] = (byStep[step] as number) + kept;
      squares[k] = (squares[k] as number) + (kept - size * p) ** 2 / (size * p * (1 - p));
      for (let i = 0; i < size; i++) {
        byPosition[i % 8] = (byPosition[i % 8] as number) + (bits[offset + i] as number);
        drawsAt[i % 8] = (drawsAt[i % 8] as number) + 1;
      }
    }
  }
  const groups = RUNS * STEPS;
  return [
    ...SIZES.map((size, k) =>
      rate(`rate of tensor [${SHAPES[k]?.join(', ')}]`, byTensor[k] as number, groups * size, p),
    ),
    ...Array.from(byStep, (kept, step) => rate(`rate of step ${step + 1}`, kept, RUNS * ELEMENTS, p, 'rate of a step')),
    ...Array.from(byPosition, (kept, i) =>
      rate(`rate of position ${i} of 8`, kept, drawsAt[i] as number, p, 'rate of a position'),
    ),
    // The small tensor's counts are too far from normal for a chi-square at these levels.
    ...SIZES.flatMap((size, k): TestResult[] =>
      size < 500
        ? []
        : [
            {
              name: `numbers kept per step in tensor [${SHAPES[k]?.join(', ')}] are binomial`,
              pValue: chiSquarePValue(squares[k] as number, groups),
              expected: `sum of squares about ${groups}`,
              got: (squares[k] as number).toFixed(1),
              about: 'numbers kept per step',
              effect: Math.log(Math.max(squares[k] as number, 1e-9) / groups) / 10,
            },
          ],
    ),
  ];
}

class Pairs {
  private both = 0;
  private sum = 0;
  private count = 0;

  /** Pairs (a[i], b[i + shift]) for i in [from, to). */
  add(a: Uint8Array, b: Uint8Array, from: number, to: number, shift: number): void {
    for (let i = from; i < to; i++) {
      const x = a[i] as number;
      const y = b[i + shift] as number;
      this.both += x & y;
      this.sum += x + y;
    }
    this.count += Math.max(0, to - from);
  }

  result(name: string, p: number): TestResult {
    const covariance = this.both - p * this.sum + this.count * p * p;
    const correlation = covariance / (this.count * p * (1 - p));
    return {
      name: `independence: ${name}`,
      pValue: normalPValue(correlation * Math.sqrt(this.count)),
      expected: `correlation 0 over ${this.count} pairs`,
      got: correlation.toFixed(5),
      effect: correlation,
    };
  }
}

const LAGS = [1, 2, 3, 4, 5, 7, 8, 16, 32, 64, 80] as const;

/** Independence across coordinates, rows, steps, tensors and seeds. */
export function pairs(sample: Sample, p: number): TestResult[] {
  const results: TestResult[] = [];
  for (const lag of LAGS) {
    const statistic = new Pairs();
    for (const { bits } of rows(sample)) {
      for (const [k, offset] of OFFSETS.entries()) {
        statistic.add(bits, bits, offset, offset + (SIZES[k] as number) - lag, lag);
      }
    }
    results.push(statistic.result(lag === 80 ? 'neighbouring rows' : `coordinates ${lag} apart`, p));
  }
  for (const [steps, shift] of [
    [1, 0],
    [2, 0],
    [3, 0],
    [8, 0],
    [1, 1],
    [1, -1],
    [1, 8],
  ] as const) {
    const statistic = new Pairs();
    for (const run of sample) {
      for (let t = 0; t + steps < STEPS; t++) {
        const [from, to] = [Math.max(0, -shift), ELEMENTS - Math.max(0, shift)];
        statistic.add(run[t] as Uint8Array, run[t + steps] as Uint8Array, from, to, shift);
      }
    }
    const where = shift === 0 ? 'the same coordinate' : `coordinates ${shift} apart`;
    results.push(statistic.result(`${where}, ${steps} step${steps === 1 ? '' : 's'} apart`, p));
  }
  const between = (name: string, first: number, second: number): void => {
    const statistic = new Pairs();
    const shift = (OFFSETS[second] as number) - (OFFSETS[first] as number);
    const size = Math.min(SIZES[first] as number, SIZES[second] as number);
    for (const { bits } of rows(sample)) {
      statistic.add(bits, bits, OFFSETS[first] as number, (OFFSETS[first] as number) + size, shift);
    }
    results.push(statistic.result(name, p));
  };
  between('two tensors of one size', 0, 1);
  between('two tensors of different sizes', 0, 2);
  for (const late of [0, 1]) {
    const statistic = new Pairs();
    for (let t = 0; t + late < STEPS; t++) {
      statistic.add(sample[0]?.[t + late] as Uint8Array, sample[1]?.[t] as Uint8Array, 0, ELEMENTS, 0);
    }
    results.push(statistic.result(late === 0 ? 'two seeds' : 'two seeds, one step apart', p));
  }
  return results;
}

const AGES = 8;
const GAP_BINS = 12;

/** The law of the intervals between updates: hazards by age, then mean, variance and histogram of whole intervals. */
export function gaps(sample: Sample, p: number): TestResult[] {
  const trials = new Float64Array(AGES + 1);
  const ended = new Float64Array(AGES + 1);
  const histogram = new Float64Array(GAP_BINS + 1);
  let [count, sum, squares] = [0, 0, 0];
  // Coordinate after coordinate, each through all its steps: under the law one long Bernoulli sequence, which is cut off
  // once and not at the end of each coordinate, so that no interval is censored.
  let length = 0;
  for (const run of sample) {
    for (let i = 0; i < ELEMENTS; i++) {
      let age = 0;
      for (let t = 0; t < STEPS; t++) {
        const kept = run[t]?.[i] as number;
        age += 1;
        length += 1;
        if (age <= AGES) {
          trials[age] = (trials[age] as number) + 1;
          ended[age] = (ended[age] as number) + kept;
        }
        if (kept === 0) continue;
        age = 0;
        count += 1;
        sum += length;
        squares += (length - 1 / p) ** 2;
        histogram[Math.min(length, GAP_BINS)] = (histogram[Math.min(length, GAP_BINS)] as number) + 1;
        length = 0;
      }
    }
  }
  const q = 1 - p;
  const variance = q / (p * p);
  // Fourth central moment of the geometric law: q (q^2 + 7q + 1 + q p^2 ... ) in its usual form, variance^2 (9 + p^2 / q).
  const fourth = variance * variance * (9 + (p * p) / q);
  const results: TestResult[] = [];
  for (let age = 1; age <= AGES; age++) {
    results.push(
      rate(
        `P(kept | ${age} step${age === 1 ? '' : 's'} since the last)`,
        ended[age] as number,
        trials[age] as number,
        p,
      ),
    );
  }
  let chi = 0;
  for (let k = 1; k <= GAP_BINS; k++) {
    const share = k === GAP_BINS ? q ** (k - 1) : p * q ** (k - 1);
    chi += ((histogram[k] as number) - count * share) ** 2 / (count * share);
  }
  results.push(
    {
      name: 'E(lambda) = 1/p',
      pValue: normalPValue((sum - count / p) / Math.sqrt(count * variance)),
      expected: (1 / p).toFixed(5),
      got: (sum / count).toFixed(5),
      effect: Math.log((sum / count) * p),
    },
    {
      name: 'Var(lambda) = (1 - p)/p^2',
      pValue: normalPValue((squares - count * variance) / Math.sqrt(count * (fourth - variance * variance))),
      expected: variance.toFixed(5),
      got: (squares / count).toFixed(5),
      effect: Math.log(Math.max(squares / count / variance, 1e-9)),
    },
    {
      name: 'intervals are geometric',
      pValue: chiSquarePValue(chi, GAP_BINS - 1),
      expected: `chi-square about ${GAP_BINS - 1}`,
      got: chi.toFixed(2),
      effect: Math.sqrt(chi / count),
    },
  );
  return results;
}
