import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { MASK_KINDS, MASK_OPTIONS } from '../../spec/family.ts';
import type { MaskKindName } from '../../spec/family.ts';
import type { RuleName } from '../../spec/rules.ts';
import { learningRateDropout } from '../learningRateDropout.ts';
import { effectiveKeepProbability } from '../masks.ts';
import { createOptimizer } from '../optimizer.ts';
import type { OptimizerOptions, OptimizerState } from '../optimizer.ts';
import { checkMean } from '../testing/hypothesis.ts';
import { bits, hostile, keepProbability, natural, runs, seed, vector } from '../testing/properties.ts';
import { cautious, meanFactor } from './cautious.ts';
import { cosine, magma, nextAlignment } from './magma.ts';
import { maskedUpdate } from './maskedUpdate.ts';
import { resolveMask } from './resolveMask.ts';
import type { MaskRequest } from './resolveMask.ts';
import { skipUpdate } from './skipUpdate.ts';
import { tensorMask } from './tensorMask.ts';

const test = suite('impl-ref/family');

/** A quadratic theta' H theta / 2 + b' theta with a symmetric H of any signature. */
interface Quadratic {
  readonly hessian: readonly (readonly number[])[];
  readonly slope: readonly number[];
}

const SIZE = 5;
/** Coordinates of three blocks. */
const BLOCKS = [[0, 1], [2], [3, 4]] as const;

const quadratic = fc
  .tuple(fc.array(vector(natural, SIZE), { minLength: SIZE, maxLength: SIZE }), vector(natural, SIZE))
  .map(([rows, slope]): Quadratic => ({
    hessian: rows.map((row, i) => row.map((_, j) => ((rows[i]?.[j] as number) + (rows[j]?.[i] as number)) / 2)),
    slope,
  }));

function loss({ hessian, slope }: Quadratic, theta: ArrayLike<number>): number {
  return hessian.reduce(
    (sum, row, i) =>
      sum +
      (theta[i] as number) *
        ((slope[i] as number) + 0.5 * row.reduce((inner, h, j) => inner + h * (theta[j] as number), 0)),
    0,
  );
}

/** x' H x over the given coordinates. */
function curvature({ hessian }: Quadratic, x: ArrayLike<number>, coordinates: readonly number[]): number {
  return coordinates.reduce(
    (sum, i) =>
      sum +
      coordinates.reduce((inner, j) => inner + (x[i] as number) * (hessian[i]?.[j] as number) * (x[j] as number), 0),
    0,
  );
}

/** The expectation of `f` over all 2^count masks of independent bits that are 1 with probability p. */
function expectation(count: number, p: number, f: (mask: readonly (0 | 1)[]) => number): number {
  let sum = 0;
  for (let pattern = 0; pattern < 2 ** count; pattern++) {
    const mask = Array.from({ length: count }, (_, i) => ((pattern >> i) & 1) as 0 | 1);
    sum += mask.reduce<number>((probability, bit) => probability * (bit === 1 ? p : 1 - p), 1) * f(mask);
  }
  return sum;
}

function assertClose(got: number, expected: number, scale: number, what: string): void {
  assert.ok(Math.abs(got - expected) <= 1e-12 * scale, `${what}: ${got} and ${expected}, scale ${scale}`);
}

/** A bound on every intermediate of the two sides. */
function magnitude(f: Quadratic, theta: readonly number[], delta: readonly number[], p: number): number {
  const size = theta.map((w, i) => Math.abs(w) + Math.abs(delta[i] as number) / p);
  const absolute = {
    hessian: f.hessian.map((row) => row.map(Math.abs)),
    slope: f.slope.map(Math.abs),
  };
  return 1e-300 + 4 * loss(absolute, size);
}

const keep = fc.constantFrom(0.5, 0.25, 0.75, 1, 0.0625).map(effectiveKeepProbability);

test('[LRD-FAM-005] on a quadratic SkipUpdate is unbiased but for (1 - p)/(2p) sum_b Delta_b H_bb Delta_b', () => {
  fc.assert(
    fc.property(quadratic, vector(natural, SIZE), vector(natural, SIZE), keep, (f, theta, delta, p) => {
      const expected = expectation(BLOCKS.length, p, (z) => {
        const next = new Float64Array(SIZE);
        for (const [b, block] of BLOCKS.entries()) {
          const values = skipUpdate({
            values: Float64Array.from(block, (i) => theta[i] as number),
            deltaW: Float64Array.from(block, (i) => delta[i] as number),
            kept: z[b] as 0 | 1,
            keepProbability: p,
            learningRate: 1,
            decoupledDecay: 0,
            decay: 'scaled',
          });
          for (const [place, i] of block.entries()) next[i] = values[place] as number;
        }
        return loss(f, next);
      });
      const whole = theta.map((w, i) => w - (delta[i] as number));
      const penalty = BLOCKS.reduce((sum, block) => sum + curvature(f, delta, block), 0);
      const claimed = loss(f, whole) + ((1 - p) / (2 * p)) * penalty;
      assertClose(expected, claimed, magnitude(f, theta, delta, p), `p ${p}`);
    }),
    runs(200),
  );
});

test('[LRD-FAM-006] on a quadratic LRD costs p(1 - p)/2 sum_i H_ii Delta_i^2 over the step by p Delta', () => {
  fc.assert(
    fc.property(quadratic, vector(natural, SIZE), vector(natural, SIZE), keep, (f, theta, delta, p) => {
      const expected = expectation(SIZE, p, (d) =>
        loss(
          f,
          learningRateDropout({
            values: Float64Array.from(theta),
            gradient: Float64Array.from(delta),
            slots: {},
            learningRate: 1,
            direction: (gradient, slots) => ({ deltaW: gradient, slots }),
            decoupledDecay: 0,
            mask: Uint8Array.from(d),
          }).values,
        ),
      );
      const mean = theta.map((w, i) => w - p * (delta[i] as number));
      const penalty = theta.reduce((sum, _, i) => sum + curvature(f, delta, [i]), 0);
      assertClose(expected, loss(f, mean) + ((p * (1 - p)) / 2) * penalty, magnitude(f, theta, delta, 1), `p ${p}`);
    }),
    runs(200),
  );
});

/** One tensor's steps by the optimizer. */
function optimize(
  rule: RuleName,
  values: readonly number[],
  gradients: readonly (readonly number[])[],
  options: Omit<OptimizerOptions, 'rule'>,
): ReturnType<ReturnType<typeof createOptimizer>['step']>[] {
  const optimizer = createOptimizer([{ name: 'w', shape: [values.length], values }], { rule, ...options });
  let state = optimizer.init();
  return gradients.map((gradient) => {
    const result = optimizer.step(state, [gradient]);
    ({ state } = result);
    return result;
  });
}

const trajectory = fc.tuple(
  vector(natural, 4),
  fc.array(vector(natural, 4), { minLength: 1, maxLength: 6 }),
  fc.constantFrom<RuleName>('sgdm', 'rmsprop', 'adam', 'amsgrad', 'radam', 'adamw'),
);
/** Every kind, with the cells that it may be moved to. */
const REQUESTS = Object.entries(MASK_KINDS).flatMap(([kind, { granularities, factors }]) =>
  granularities.flatMap((granularity) =>
    factors.map((factor): MaskRequest => ({ kind: kind as MaskKindName, granularity, factor })),
  ),
);
const request = fc.constantFrom(...REQUESTS);
const withKeep = (mask: MaskRequest, p: number): { mask: MaskRequest; keepProbability?: number } =>
  mask.kind === 'cautious' ? { mask } : { mask, keepProbability: p };

test('[LRD-FAM-002] moments are those of the base rule under every mask', () => {
  fc.assert(
    fc.property(trajectory, request, keepProbability, seed, ([values, gradients, rule], mask, p, s) => {
      // Coupled L2 would let the masked values back into the gradients.
      const masked = optimize(rule, values, gradients, { ...withKeep(mask, p), masks: { kind: 'stream', seed: s } });
      const base = optimize(rule, values, gradients, { keepProbability: null });
      for (const [t, { state }] of base.entries()) {
        for (const [name, slot] of Object.entries(state.tensors[0]?.slots ?? {})) {
          assert.equal(
            bits(masked[t]?.state.tensors[0]?.slots[name] ?? []),
            bits(slot),
            `${rule} ${name} step ${t + 1}`,
          );
        }
      }
    }),
    runs(150),
  );
});

test('[LRD-FAM-001] [LRD-FAM-003] a dropped tensor keeps its bits, whatever the step is', () => {
  fc.assert(
    fc.property(vector(hostile, 3), vector(hostile, 3), seed, (values, gradient, s) => {
      const [result] = optimize('adam', values, [gradient], {
        mask: { kind: 'skip-update' },
        masks: { kind: 'stream', seed: s },
      });
      const kept = tensorMask({ key: [Number(s & 0xffffffffn), Number(s >> 32n)], step: 1, base: 0 }, 0.5);
      assert.equal(Array.from(result?.report.masks[0] ?? []), [kept, kept, kept]);
      if (kept === 0) assert.equal(bits(result?.state.tensors[0]?.values ?? []), bits(values));
    }),
    runs(200),
  );
});

test('[LRD-FAM-012] SkipUpdate with p = 1 is the base rule, bit for bit', () => {
  fc.assert(
    fc.property(trajectory, ([values, gradients, rule]) => {
      const one = optimize(rule, values, gradients, { mask: { kind: 'skip-update' }, keepProbability: 1 });
      const base = optimize(rule, values, gradients, { keepProbability: null });
      assert.equal(bits(one.at(-1)?.state.tensors[0]?.values ?? []), bits(base.at(-1)?.state.tensors[0]?.values ?? []));
    }),
    runs(100),
  );
});

test('[LRD-FAM-004] [LRD-FAM-007] [LRD-FAM-008] [LRD-FAM-010] the optimizer does what the named functions do', () => {
  fc.assert(
    fc.property(
      vector(natural, 4),
      fc.array(vector(natural, 4), { minLength: 1, maxLength: 5 }),
      seed,
      (values, gradients, s) => {
        const masks = { kind: 'stream', seed: s } as const;
        const common = { learningRate: 0.1, decoupledDecay: 0, decay: 'scaled' } as const;
        for (const mask of [{ kind: 'skip-update' }, { kind: 'magma' }, { kind: 'cautious' }] as const) {
          const options = resolveMask(mask);
          const steps = optimize('sgdm', values, gradients, { mask, masks });
          let theta = Float64Array.from(values);
          let alignment: number | undefined;
          for (const [t, { state, report }] of steps.entries()) {
            const deltaW = report.deltaW[0] as Float64Array;
            const gradient = Float64Array.from(gradients[t] as number[]);
            const kept = report.masks[0]?.[0] as 0 | 1;
            const update = { ...common, values: theta, deltaW };
            if (mask.kind === 'skip-update') theta = skipUpdate({ ...update, kept, keepProbability: 0.5 }) as never;
            else if (mask.kind === 'cautious') theta = cautious({ ...update, gradient, options }).values as never;
            else {
              const m = state.tensors[0]?.slots['buf'] as Float64Array;
              const done = magma({ ...update, kept, m, gradient, alignment, options });
              theta = done.values as never;
              alignment = done.alignment;
              assert.is(state.tensors[0]?.slots['alignment']?.[0], alignment);
            }
            assert.equal(bits(state.tensors[0]?.values ?? []), bits(theta), `${mask.kind}, step ${t + 1}`);
          }
        }
      },
    ),
    runs(60),
  );
});

test('[LRD-FAM-003] [LRD-FAM-016] tensors are kept with probability p, independently of each other and of the step before', () => {
  const n = 20_000;
  const draw = (step: number, tensor: number): number => tensorMask({ key: [7, 9], step, base: 64 * tensor }, 0.5);
  let [kept, both, twice] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const step = 2 * i + 1;
    kept += draw(step, 0);
    both += draw(step, 0) * draw(step, 1);
    twice += draw(step, 0) * draw(step + 1, 0);
  }
  for (const [sum, expected] of [
    [kept, 0.5],
    [both, 0.25],
    [twice, 0.25],
  ] as const) {
    const { ok, text } = checkMean(sum, n, expected, 0.05);
    assert.ok(ok, text);
  }
});

test('[LRD-FAM-007] the alignment of parallel, orthogonal and opposite vectors is sigmoid(1/tau), 1/2, sigmoid(-1/tau)', () => {
  const options = { temperature: 2, smoothing: 0, firstAlignment: 'half', cosineEpsilon: 0 } as const;
  const at = (m: number[], g: number[]): number =>
    nextAlignment(0.5, Float64Array.from(m), Float64Array.from(g), options);
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  assertClose(at([2, 4], [1, 2]), sigmoid(0.5), 1, 'parallel');
  assert.is(at([1, 0], [0, 5]), 0.5);
  assert.is(at([0, 0], [0, 5]), 0.5);
  assertClose(at([2, 4], [-1, -2]), sigmoid(-0.5), 1, 'opposite');
  assert.is(cosine(Float64Array.of(1e-6), Float64Array.of(1e-6), 1e-8), 1e-12 / 1e-8);
});

test('[LRD-FAM-007] the alignment of Magma stays between sigmoid(-1/tau) and sigmoid(1/tau), and no factor sees p', () => {
  fc.assert(
    fc.property(trajectory, fc.constantFrom(0.5, 2, 10), seed, ([values, gradients, rule], temperature, s) => {
      const run = (keepProbability: number): ReturnType<typeof optimize> =>
        optimize(rule, values, gradients, {
          mask: { kind: 'magma', temperature },
          keepProbability,
          masks: { kind: 'stream', seed: s },
        });
      const [half, whole] = [run(0.5), run(1)];
      for (const [t, { report }] of half.entries()) {
        const factor = report.factors[0] as number;
        const limit = 1 / (1 + Math.exp(-1 / temperature));
        assert.ok(factor <= limit + 1e-15 && factor >= 1 - limit - 1e-15, `${factor} within ${limit}`);
        assert.is(factor, whole[t]?.report.factors[0]);
      }
    }),
    runs(100),
  );
});

test('[LRD-FAM-011] the mean of a cautious tensor has a floor, and a tensor without elements a factor of 1', () => {
  const options = { meanFloor: 1e-3, normalization: 'mean' } as const;
  assert.is(meanFactor(Uint8Array.of(1, 0, 0, 1), options), 2);
  assert.is(meanFactor(new Uint8Array(4), options), 1000);
  assert.is(meanFactor(new Uint8Array(4), { ...options, normalization: 'count' }), 4);
  assert.is(meanFactor(new Uint8Array(0), options), 1);
});

test('[LRD-FAM-010] signs decide where the product of update and gradient underflows', () => {
  const update = {
    learningRate: 1,
    decoupledDecay: 0,
    decay: 'plain',
    options: resolveMask({ kind: 'cautious' }),
  } as const;
  const { mask } = cautious({
    ...update,
    values: Float64Array.of(0, 0, 0, 0),
    deltaW: Float64Array.of(1e-200, -1e-200, 1e-200, -0),
    gradient: Float64Array.of(1e-200, -1e-200, -1e-200, -1),
  });
  assert.equal(Array.from(mask), [1, 1, 0, 0]);
});

test('[LRD-FAM-013] an excluded tensor takes the bits of the base rule, and nothing of the mask is kept for it', () => {
  fc.assert(
    fc.property(trajectory, request, keepProbability, seed, ([values, gradients, rule], mask, p, s) => {
      const run = (options: Omit<OptimizerOptions, 'rule'>): OptimizerState => {
        const optimizer = createOptimizer([{ name: 'w', shape: [4], values, excluded: true }], { rule, ...options });
        return gradients.reduce((state, gradient) => optimizer.step(state, [gradient]).state, optimizer.init());
      };
      const masked = run({ ...withKeep(mask, p), masks: { kind: 'stream', seed: s } }).tensors[0];
      const base = run({ keepProbability: null }).tensors[0];
      assert.equal(bits(masked?.values ?? []), bits(base?.values ?? []));
      assert.equal(Object.keys(masked?.slots ?? {}), Object.keys(base?.slots ?? {}));
    }),
    runs(100),
  );
});

test('[LRD-FAM-009] a rule without a first moment gets one from the mask, and a rule with one only when asked', () => {
  const own = (rule: RuleName, hyper: Record<string, number>, moment: 'rule' | 'own'): Float64Array | undefined =>
    optimize(rule, [1], [[1], [3]], { hyper, mask: { kind: 'magma', moment }, keepProbability: 1 }).at(-1)?.state
      .tensors[0]?.slots['mu'];
  const expected = [0.9 * ((1 - 0.9) * 1) + (1 - 0.9) * 3];
  for (const [rule, hyper] of [
    ['rmsprop', {}],
    ['rmsprop', { momentum: 0.9 }],
    ['sgdm', { momentum: 0 }],
    ['sgdm-avg', {}],
  ] as const) {
    assert.equal(Array.from(own(rule, hyper, 'rule') ?? []), expected, rule);
  }
  for (const rule of ['sgdm', 'adam', 'amsgrad', 'radam', 'adamw'] as const) {
    assert.is(own(rule, {}, 'rule'), undefined, rule);
    assert.equal(Array.from(own(rule, {}, 'own') ?? []), expected, rule);
  }
});

test('[LRD-FAM-014] decoupled decay is scaled, masked or neither, as asked', () => {
  const update = {
    values: Float64Array.of(8, 8),
    deltaW: Float64Array.of(1, 1),
    mask: [1, 0],
    factor: 2,
    learningRate: 0.5,
    decoupledDecay: 0.25,
  };
  const by = (decay: 'scaled' | 'masked' | 'plain'): number[] => Array.from(maskedUpdate({ ...update, decay }));
  assert.equal(by('scaled'), [8 - 0.5 * 2 * (1 + 0.25 * 8), 8]);
  assert.equal(by('masked'), [8 - 0.5 * (2 * 1 + 0.25 * 8), 8]);
  assert.equal(by('plain'), [8 - 0.5 * (2 * 1 + 0.25 * 8), 8 - 0.5 * 0.25 * 8]);
});

test('[LRD-FAM-015] every option of every kind is checked by name', () => {
  for (const mask of REQUESTS) {
    for (const [name, { parameter, ...option }] of Object.entries(MASK_OPTIONS)) {
      const factors: readonly string[] | undefined = 'factors' in option ? option.factors : undefined;
      const applies = factors === undefined || factors.includes(mask.factor as string);
      const set = (value: unknown): MaskRequest => ({ ...mask, [name]: value });
      if (applies && name !== 'decay') {
        assert.is(resolveMask(set(parameter.default))[name as 'temperature'], parameter.default);
      } else if (!applies) {
        assert.throws(() => resolveMask(set(parameter.default)), new RegExp(`^mask\\.${name} must be left out`));
        continue;
      }
      for (const wrong of [Number.NaN, 'tau', null, {}, -1, true]) {
        assert.throws(
          () => resolveMask(set(wrong)),
          new RegExp(`^mask\\.${name} must`),
          `${name} ${JSON.stringify(wrong)}`,
        );
      }
    }
    assert.throws(() => resolveMask({ ...mask, tau: 2 } as never), /^mask must have only .*, got "tau"$/);
    assert.throws(() => resolveMask({ ...mask, factor: 'two' } as never), /^mask\.factor must be one of /);
  }
  assert.throws(() => resolveMask({ kind: 'skip' } as never), /^mask\.kind must be one of .*, got "skip"$/);
  assert.throws(() => resolveMask({} as never), /^mask\.kind must be one of .*, got undefined$/);
  const parameters = [{ name: 'w', shape: [2], values: [1, 2] }];
  const create = (options: Omit<OptimizerOptions, 'rule'>): unknown =>
    createOptimizer(parameters, { rule: 'adam', ...options });
  assert.throws(
    () => create({ mask: { kind: 'cautious' }, keepProbability: 0.5 }),
    /^keepProbability must be left out with mask\.kind cautious, got 0\.5$/,
  );
  assert.throws(
    () => create({ mask: { kind: 'cautious' }, masks: { kind: 'given', mask: () => [1, 1] } }),
    /^masks must not be given with mask\.kind cautious/,
  );
  const torn = createOptimizer(parameters, {
    rule: 'adam',
    mask: { kind: 'magma' },
    masks: { kind: 'given', mask: () => [1, 0] },
  });
  assert.throws(
    () => torn.step(torn.init(), [[1, 1]]),
    /^the mask of w must be all 0 or all 1 with granularity tensor, got both$/,
  );
});

test.run();
