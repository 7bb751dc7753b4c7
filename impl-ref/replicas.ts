import type { RuleName } from '../spec/rules.ts';
import { resolveMask } from './family/resolveMask.ts';
import { createOptimizer } from './optimizer.ts';
import type { OptimizerOptions, OptimizerState, Overrides, Parameter, Start, StepReport } from './optimizer.ts';
import type { Gradient, GradientTransformation } from './transformation.ts';

/**
 * What travels between the replicas at a step: every gradient (`whole`), or only the kept coordinates of the step direction (`kept`).
 */
export type Reduction = 'kept' | 'whole';

/** What `createReplicas` makes replicas of. */
export interface ReplicasOptions extends OptimizerOptions {
  /** How many there are, at least 1. */
  readonly replicas: number;
  /** Default: `kept` where it is exact (`keptObstacle` finds nothing), else `whole`. */
  readonly reduction?: Reduction;
}

/** What one replica brings to a step. */
export interface ReplicaGradients {
  /** Its share of the whole batch, w_r: rows of its own over rows of all. 0 for a replica without rows. */
  readonly weight: number;
  /** By tensor, the mean over its own rows; null for a tensor without a gradient there. */
  readonly gradients: readonly (ArrayLike<number> | null)[];
}

/**
 * All replicas between two steps. Their values, counts and steps are the same. With `kept` each holds its own share of the rule's state,
 * and the shares' sum is the state of one process; with `whole` each holds that state itself.
 */
export type ReplicasState = readonly OptimizerState[];

/** What a step of all replicas gives. */
export interface ReplicasResult {
  /** To go on from. */
  readonly state: ReplicasState;
  /** Numbers that each replica gave into the reduction. No mask and no index is among them. */
  readonly sent: number;
  /** The masks and rates of the step, the same on every replica; its gradients and deltaW are the shares of replica 0. */
  readonly report: StepReport;
}

/** One model on several processes, as pure functions. */
export interface Replicas {
  /** What is reduced: `kept` coordinates, or the `whole` gradient. */
  readonly reduction: Reduction;
  /** The state of all replicas before the first step. */
  init(start?: Start): ReplicasState;
  /**
   * @param given - by replica; the weights sum to 1
   * @throws RangeError when there are not as many as replicas, or the weights do not sum to 1
   */
  step(state: ReplicasState, given: readonly ReplicaGradients[], overrides?: Overrides): ReplicasResult;
  /** The state of one process: what the shares sum to. */
  merge(state: ReplicasState): OptimizerState;
  /** The state of one process taken up by these replicas, however many made it: replica 0 gets it, the others zeros. */
  split(state: OptimizerState): ReplicasState;
}

/** Rules whose state is linear in the gradient. */
const LINEAR: readonly RuleName[] = ['sgdm', 'sgdm-avg'];

/**
 * Why only the whole gradient can be reduced; undefined where the kept coordinates of the step direction suffice. What follows must be linear
 * in the gradient, so that the replicas' shares sum: no second moment, no clipping, no mask or factor made of the gradient. A trained p
 * (`trainKeepProbability`) reads the whole gradient too; it is no option of this optimizer.
 */
export function keptObstacle({
  rule,
  transformations = [],
  mask = { kind: 'lrd' },
}: OptimizerOptions): string | undefined {
  if (!LINEAR.includes(rule)) return `the second moment of ${rule} is not linear in the gradient`;
  const { kind, draw, factor } = resolveMask(mask);
  if (draw === 'agreement' || factor === 'alignment' || factor === 'mean') {
    return `the mask of ${kind} depends on the whole gradient`;
  }
  const clip = transformations.find(({ stage }) => stage === 'clip');
  return clip === undefined ? undefined : `${clip.name} needs the whole gradient`;
}

/** The memory of `weigh`, and its name. */
const WEIGHT = 'replicaWeight';

/**
 * g + L2 -> w_r (g + L2), before the moments: the share enters the buffer weighted, because the weight of another step may differ. (A
 * weight at the reduction instead would weigh old gradients by the new batch's shares.)
 */
const weigh: GradientTransformation = {
  name: WEIGHT,
  stage: 'centralize',
  init: () => ({ weight: 1 }),
  apply: (gradients, state) => {
    const weight = state['weight'] as number;
    // 0 times an infinite value would be NaN: a replica without rows has no share.
    const share = (g: number): number => (weight === 0 ? 0 : weight * g);
    return { gradients: gradients.map((gradient) => gradient?.map(share) ?? null), state };
  },
};

const weighted = (state: OptimizerState, weight: number): OptimizerState => ({
  ...state,
  transformations: { ...state.transformations, [WEIGHT]: { weight } },
});

function sumOf(vectors: readonly ArrayLike<number>[]): Float64Array {
  const sum = Float64Array.from(vectors[0] as ArrayLike<number>);
  for (const vector of vectors.slice(1)) {
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (vector[i] as number);
  }
  return sum;
}

/** One after the other, by tensor, the coordinates that the mask keeps: what a replica sends. */
function pack(vectors: readonly Gradient[], masks: readonly (Uint8Array | null)[]): Float64Array {
  return Float64Array.from(
    vectors.flatMap((vector, k) => Array.from(vector ?? []).filter((_, i) => masks[k]?.[i] === 1)),
  );
}

/** Zeros for a tensor that has a gradient on some other replica: then it has one everywhere. */
function present(given: readonly ReplicaGradients[], sizes: readonly number[]): (ArrayLike<number> | null)[][] {
  const anywhere = sizes.map((_, k) => given.some(({ gradients }) => (gradients[k] ?? null) !== null));
  return given.map(({ gradients }) =>
    sizes.map((size, k) => (anywhere[k] === true ? (gradients[k] ?? new Float64Array(size)) : null)),
  );
}

function checkWeights(given: readonly ReplicaGradients[], replicas: number): void {
  if (given.length !== replicas) throw new RangeError(`given must have ${replicas} replicas, got ${given.length}`);
  for (const { weight } of given) {
    if (!(weight >= 0 && weight <= 1)) throw new RangeError(`weight must be in [0, 1], got ${weight}`);
  }
  const total = given.reduce((sum, { weight }) => sum + weight, 0);
  if (!(Math.abs(total - 1) <= 1e-9)) throw new RangeError(`weights must sum to 1 over the replicas, got ${total}`);
}

/**
 * N replicas that train one model, each on its share of every batch, as one process would on the whole batch.
 *
 * Masks are not exchanged: they are a function of seed, step and position. With `whole` the gradients' weighted mean is reduced. With
 * `kept` each replica runs the rule on its weighted share w_r (g_r + L2), so its momentum is a share of the momentum, and
 *
 *     theta <- d ? theta - alpha sum_r share_r : theta,    share_r: the step direction of replica r
 *
 * needs the sum of the shares where d = 1 only.
 *
 * @throws RangeError on `kept` where it would not be exact
 */
export function createReplicas(parameters: readonly Parameter[], options: ReplicasOptions): Replicas {
  const { replicas, reduction: asked, ...own } = options;
  if (!Number.isInteger(replicas) || replicas < 1) {
    throw new RangeError(`replicas must be a whole number of at least 1, got ${replicas}`);
  }
  const obstacle = keptObstacle(own);
  if (asked === 'kept' && obstacle !== undefined) throw new RangeError(`reduction must be whole: ${obstacle}`);
  const reduction = asked ?? (obstacle === undefined ? 'kept' : 'whole');
  const sizes = parameters.map(({ values }) => values.length);
  const optimizer = createOptimizer(parameters, {
    ...own,
    transformations: reduction === 'kept' ? [...(own.transformations ?? []), weigh] : (own.transformations ?? []),
  });
  const copies = <T>(make: (replica: number) => T): T[] => Array.from({ length: replicas }, (_, r) => make(r));

  const stepWhole: Replicas['step'] = (state, given, overrides) => {
    const all = present(given, sizes);
    // A step on no gradients sends nothing.
    const mean = sizes.map((_, k) =>
      all[0]?.[k] === null
        ? null
        : sumOf(
            all.map((gradients, r) => {
              const { weight } = given[r] as ReplicaGradients;
              return Float64Array.from(gradients[k] as ArrayLike<number>, (g) => (weight === 0 ? 0 : weight * g));
            }),
          ),
    );
    const results = state.map((replica) => optimizer.step(replica, mean, overrides));
    return {
      state: results.map((result) => result.state),
      sent: mean.reduce((sum, gradient) => sum + (gradient?.length ?? 0), 0),
      report: (results[0] as (typeof results)[number]).report,
    };
  };

  const stepKept: Replicas['step'] = (state, given, overrides) => {
    const all = present(given, sizes);
    const results = state.map((replica, r) =>
      optimizer.step(weighted(replica, given[r]?.weight as number), all[r] as (ArrayLike<number> | null)[], overrides),
    );
    const { report } = results[0] as (typeof results)[number];
    const { masks, learningRates, factors } = report;
    const reduced = sumOf(results.map((result) => pack(result.report.deltaW, masks)));
    // The same few operations on every replica, so the same bits.
    const apply = (replica: OptimizerState): Float64Array[] => {
      let next = 0;
      return replica.tensors.map(({ values }, k) =>
        values.map((theta, i) =>
          masks[k]?.[i] === 1
            ? theta - (learningRates[k] as number) * (factors[k] ?? 1) * (reduced[next++] as number)
            : theta,
        ),
      );
    };
    return {
      state: results.map((result, r) => {
        const values = apply(state[r] as OptimizerState);
        const tensors = result.state.tensors.map((tensor, k) => ({ ...tensor, values: values[k] as Float64Array }));
        return { ...result.state, tensors };
      }),
      sent: reduced.length,
      report,
    };
  };

  const split: Replicas['split'] = (state) =>
    copies((r) => ({
      ...state,
      tensors: state.tensors.map((tensor) => ({
        ...tensor,
        slots:
          r === 0 || reduction === 'whole'
            ? tensor.slots
            : Object.fromEntries(Object.entries(tensor.slots).map(([name, slot]) => [name, slot.map(() => 0)])),
      })),
    }));

  return {
    reduction,
    init: (start) => split(optimizer.init(start)),
    step: (state, given, overrides) => {
      checkWeights(given, replicas);
      return reduction === 'kept' ? stepKept(state, given, overrides) : stepWhole(state, given, overrides);
    },
    merge: (state) => {
      const [first] = state as readonly [OptimizerState];
      if (reduction === 'whole') return first;
      const { [WEIGHT]: _, ...transformations } = first.transformations;
      return {
        ...first,
        transformations,
        tensors: first.tensors.map((tensor, k) => ({
          ...tensor,
          slots: Object.fromEntries(
            Object.keys(tensor.slots).map((name) => [
              name,
              sumOf(state.map(({ tensors }) => tensors[k]?.slots[name] as Float64Array)),
            ]),
          ),
        })),
      };
    },
    split,
  };
}
