/** The law of masks of which one draw decides about a tensor, drawn by the implementation itself. */
import { effectiveKeepProbability } from 'learning-rate-dropout/ref';
import type { MaskRequest } from 'learning-rate-dropout/ref';
import { Finding } from '../judge/finding.ts';
import type { Context } from '../judge/property.ts';
import type { Case } from '../protocol/types.ts';
import { TEST_LEVEL } from './design.ts';
import { binomialPValue, normalPValue } from './tails.ts';

/** Tensors, steps and runs of the sample: 9600 draws show a rate that is off by .06, and a correlation of .12. */
const TENSORS = 32;
const STEPS = 150;
const RUNS = 2;
/** Elements of a tensor: a draw of each would show in every one. */
const SIZE = 3;
const PROBABILITIES = [0.5, 0.3] as const;

function sampleCase(rule: string, mask: MaskRequest, p: number, seed: string): Case {
  return {
    rule,
    hyper: { learningRate: 0.125, weightDecay: 0 },
    mask,
    keepProbability: p,
    masks: 'own',
    seed,
    parameters: Array.from({ length: TENSORS }, (_, k) => ({ name: `w${k}`, shape: [SIZE], values: { fill: 0 } })),
    gradients: Array.from({ length: STEPS }, () => Array.from({ length: TENSORS }, () => ({ fill: 1 }))),
    report: ['parameters', 'masks'],
  };
}

/** Whether each tensor was kept, by step. Throws `Finding` where a tensor is kept in part. */
async function drawRun(context: Context, example: Case): Promise<readonly (readonly boolean[])[]> {
  const steps = await context.ask(example);
  let before: readonly (readonly number[])[] = Array.from({ length: TENSORS }, () => new Array<number>(SIZE).fill(0));
  return steps.map(({ parameters = [], masks }, index) => {
    const kept = Array.from({ length: TENSORS }, (_, k): boolean => {
      const told = masks?.[k];
      const moved = (parameters[k] ?? []).map((x, i) => (Object.is(x, before[k]?.[i]) ? '0' : '1')).join('');
      const bits = told ?? moved;
      if (bits.length !== SIZE || /01|10/.test(bits)) {
        throw new Finding(`step ${index + 1}, w${k}: one draw decides about a tensor, and it is kept in part`, {
          expected: `${'0'.repeat(SIZE)} or ${'1'.repeat(SIZE)}`,
          got: bits,
          cases: [example],
          position: { index, tensor: k, element: Math.max(0, bits.indexOf('0')) },
        });
      }
      return bits.startsWith('1');
    });
    before = parameters;
    return kept;
  });
}

/** Tensors of which a share 1 - p must keep its bits: that none does happens once in 2^64 times at p = 1/2. */
const DELICATE = 64;

/**
 * One step of gradients that are not numbers: what is dropped must keep its bits all the same. Whoever tells no masks is judged by how many
 * tensors do.
 *
 * @throws Finding where fewer do, or more, than are dropped
 */
export async function judgeDelicate(context: Context, rule: string, mask: MaskRequest): Promise<void> {
  const p = 0.5;
  const example: Case = {
    ...sampleCase(rule, mask, p, `0x${(context.seed >>> 0).toString(16)}`),
    parameters: Array.from({ length: DELICATE }, (_, k) => ({ name: `w${k}`, shape: [2], values: [1, -0] })),
    gradients: [Array.from({ length: DELICATE }, () => [Number.NaN, 1])],
  };
  const [{ parameters = [] } = {}] = await context.ask(example);
  const stays = parameters.filter(([left, right]) => Object.is(left, 1) && Object.is(right, -0)).length;
  if (binomialPValue(stays, DELICATE, 1 - p) >= TEST_LEVEL) return;
  throw new Finding('a gradient that is no number reaches tensors that are dropped', {
    expected: `about ${DELICATE * (1 - p)} of ${DELICATE} tensors with the bits that they had`,
    got: String(stays),
    cases: [example],
  });
}

/**
 * Draws a sample at each keep probability and tests it.
 *
 * @throws Finding where the rate is not p, or a tensor's draw depends on its neighbour's or on its own of the step before
 */
export async function judgeTensorMasks(context: Context, rule: string, mask: MaskRequest): Promise<void> {
  for (const [place, p] of PROBABILITIES.entries()) {
    let [kept, neighbours, steps] = [0, 0, 0];
    let example = sampleCase(rule, mask, p, '0x1');
    const expected = [p, effectiveKeepProbability(p)];
    for (let run = 0; run < RUNS; run++) {
      example = sampleCase(rule, mask, p, `0x${(context.seed >>> 0).toString(16)}${place}${run}`);
      const bits = await drawRun(context, example);
      const deviation = (t: number, k: number): number => Number(bits[t]?.[k]) - p;
      for (let t = 0; t < STEPS; t++) {
        for (let k = 0; k < TENSORS; k++) {
          kept += Number(bits[t]?.[k]);
          if (k > 0) neighbours += deviation(t, k) * deviation(t, k - 1);
          if (t > 0) steps += deviation(t, k) * deviation(t - 1, k);
        }
      }
    }
    const draws = RUNS * STEPS * TENSORS;
    const wrong = (what: string, wanted: string, got: number): Finding =>
      new Finding(`${what} at p = ${p}`, { expected: wanted, got: got.toFixed(4), cases: [example] });
    if (expected.every((rate) => binomialPValue(kept, draws, rate) < TEST_LEVEL)) {
      throw wrong('the share of tensors kept', `${p} of ${draws} draws`, kept / draws);
    }
    for (const [sum, pairs, what] of [
      [neighbours, RUNS * STEPS * (TENSORS - 1), 'neighbouring tensors are kept together'],
      [steps, RUNS * (STEPS - 1) * TENSORS, 'a tensor is kept as in the step before'],
    ] as const) {
      const correlation = sum / (pairs * p * (1 - p));
      if (normalPValue(correlation * Math.sqrt(pairs)) < TEST_LEVEL) {
        throw wrong(what, `correlation 0 over ${pairs} pairs`, correlation);
      }
    }
  }
}
