import * as tf from '@tensorflow/tfjs';
import type { Factor, MaskKind } from '../../spec/family.ts';
import { MASK_KINDS } from '../../spec/family.ts';
import type { StepPlan } from '../engines/engine.ts';
import { KEEP_ALL } from '../engines/engine.ts';
import type { MaskRequest } from '../masks/resolve.ts';
import type { Slot } from '../tfjs/binding.ts';
import type { Exchange, StepInput } from '../tfjs/exchange.ts';
import { keptTensor } from '../tfjs/steppers/keptTensor.ts';
import type { LrdOptimizer } from '../tfjs/optimizer.ts';
import type { NamedTensor } from '../tfjs/savedForm.ts';
import { averageDirection, checkAverages } from '../tfjs/steppers/average.ts';
import type { AverageEntry } from '../tfjs/steppers/stepper.ts';
import type { StepEntry } from '../tfjs/steppers/stepper.ts';
import { InvalidArgumentError, UnsupportedError } from '../validate.ts';
import type { Group } from './group.ts';
import { agreeOn, gatherTexts } from './group.ts';
import type { ShareStepper } from './shareSteppers.ts';
import { HEADER, createShareStepper } from './shareSteppers.ts';

/** What travels at a step: every gradient, or only the kept coordinates of the step direction. */
export type Reduction = 'kept' | 'whole';

/** How the replicas of `distributed` meet. */
export interface ReplicaOptions {
  /** Default: `kept` where it is exact, else `whole`. */
  readonly reduction?: Reduction;
  /** Steps between two comparisons of the parameters' bits over all processes; the first step has one too. Default 100. */
  readonly checkEvery?: number;
}

/** How far the sum of the processes' weights may be from 1: they are added in float32. */
const WEIGHT_TOLERANCE = 1e-4;

/** Bits of a message about a step: the flags, then one for each variable. */
const WORD = 31;

/** Factors of a mask that are made of the gradient. */
const MEASURED: readonly Factor[] = ['alignment', 'mean'];

/** Why only the whole gradient can be reduced; undefined where the kept coordinates of the step direction suffice. */
function keptObstacle(optimizer: LrdOptimizer): string | undefined {
  const config = optimizer.getConfig();
  if (optimizer.rule !== 'sgdm' && optimizer.rule !== 'sgdm-avg') {
    return `the second moment of ${optimizer.rule} is not linear in the gradient`;
  }
  const clip = ['clipValue', 'clipNorm', 'clipGlobalNorm'].find((name) => config[name] !== undefined);
  if (clip !== undefined) return `${clip} needs the whole gradient`;
  if (config['trained'] !== undefined) return 'a trained keep probability needs the whole gradient';
  const mask = config['mask'] as MaskRequest | undefined;
  if (mask !== undefined) {
    const { draw, factor }: MaskKind = MASK_KINDS[mask.kind];
    const measured = draw === 'agreement' || MEASURED.includes(mask.factor ?? factor);
    return measured
      ? `the mask of ${mask.kind} depends on the whole gradient`
      : `the engines take a step of ${mask.kind} in one piece`;
  }
  if (config['engine'] === 'gpujs') return "gpu.js's kernels take a step in one piece";
  return undefined;
}

/** Two numbers that tell one array's bits from another's. */
function checksum(values: Float32Array, [a, b]: readonly [number, number]): [number, number] {
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  let [first, second] = [a, b];
  for (let i = 0; i < words.length; i++) {
    // FNV-1a by words, and a sum that sees the order.
    first = Math.imul(first ^ (words[i] as number), 0x01000193);
    second = (second + Math.imul(first, 0x9e3779b1)) | 0;
  }
  return [first, second];
}

function refuseWebGpu(): void {
  if (tf.getBackend() === 'webgpu') {
    throw new UnsupportedError(
      'many processes train on the cpu, wasm or tensorflow backend: a step cannot wait for what webgpu has computed',
    );
  }
}

/**
 * One process's part in training a model over many: `replicaOf(optimizer)` after `distributed(optimizer, group)`. Every step is collective: all
 * processes take it, each with the gradient of its own share of the batch.
 */
export class Replica implements Exchange {
  /** The processes that train together. */
  readonly group: Group;
  /** What is reduced on every step: `kept` coordinates alone, or the `whole` gradient. */
  readonly reduction: Reduction;
  /** Why the whole gradient is reduced; undefined where only kept coordinates are. */
  readonly reason: string | undefined;
  readonly kept?: NonNullable<Exchange['kept']>;
  /**
   * What this process wants all others to know behind the next step: up to 31 bits of the caller's meaning, as "stop". After the step
   * `flags` holds what any process has set.
   */
  flags = 0;
  readonly #checkEvery: number;
  readonly #steppers = new Map<tf.KernelBackend, ShareStepper>();
  #weight: number;
  #wire = new Float32Array(0);
  #compared = false;

  constructor(group: Group, optimizer: LrdOptimizer, { reduction, checkEvery = 100 }: ReplicaOptions = {}) {
    if (!Number.isInteger(checkEvery) || checkEvery < 1) {
      throw new InvalidArgumentError(`checkEvery must be a whole number of at least 1, got ${checkEvery}`);
    }
    this.group = group;
    this.#weight = 1 / group.size;
    this.#checkEvery = checkEvery;
    const obstacle = keptObstacle(optimizer);
    if (reduction !== undefined && reduction !== 'kept' && reduction !== 'whole') {
      throw new InvalidArgumentError(`reduction must be one of kept, whole, got ${JSON.stringify(reduction)}`);
    }
    if (reduction === 'kept' && obstacle !== undefined) {
      throw new InvalidArgumentError(`reduction must be whole, got kept: ${obstacle}`);
    }
    this.reason = reduction === 'whole' ? 'asked for' : obstacle;
    this.reduction = reduction ?? (obstacle === undefined ? 'kept' : 'whole');
    if (this.reduction === 'kept') {
      this.kept = {
        step: (plan, entries) => this.#stepKept(plan, entries),
        average: (seed, step, entries) => this.#averageKept(seed, step, entries),
      };
    }
  }

  /**
   * This process's share of the next batch: its rows over the rows of all, in [0, 1]; over the processes they sum to 1. Default 1 / size.
   * A process without rows has 0, and takes its steps with no gradients.
   */
  get weight(): number {
    return this.#weight;
  }
  set weight(value: number) {
    if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError(`weight must be in [0, 1], got ${value}`);
    this.#weight = value;
  }

  /** Gives all processes the variables' values on process 0. Collective. */
  synchronize(variables: readonly tf.Variable[]): void {
    refuseWebGpu();
    for (const variable of variables) {
      const values = variable.dataSync<'float32'>().slice();
      this.group.broadcast(values, 0);
      if (this.group.rank > 0) tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)));
    }
  }

  /** Throws unless the variables have the same bits on all processes. Collective. */
  compare(variables: readonly tf.Variable[], when: string): void {
    const sum = variables.reduce<[number, number]>(
      (so, variable) => checksum(variable.dataSync<'float32'>(), so),
      [0x811c9dc5 | 0, 0],
    );
    if (!agreeOn(this.group, sum)) {
      throw new Error(
        `the parameters differ between the processes ${when}; before the first step all must have the same: replicaOf(optimizer).synchronize(variables)`,
      );
    }
  }

  meet(step: number, slots: readonly Slot[], { gradients, variables }: StepInput): StepInput {
    refuseWebGpu();
    if (!this.#compared || step % this.#checkEvery === 0) {
      this.compare(
        // A place is kept for a variable that is gone, or that a checkpoint has and this model not.
        slots.flatMap(({ name }) => tf.engine().registeredVariables[name] ?? []),
        `before step ${step}`,
      );
      this.#compared = true;
    }
    const anywhere = this.#agree(slots, gradients);
    const present = slots.filter((_, index) => anywhere[index]);
    const all = new Map(variables);
    for (const { name } of present) all.set(name, registered(name));
    const own = (slot: Slot): tf.Tensor => gradients.get(slot.name) ?? tf.zeros([...slot.shape]);
    const met = this.reduction === 'kept' ? present.map(own) : this.#mean(present, gradients);
    return { gradients: new Map(present.map(({ name }, index) => [name, met[index] as tf.Tensor])), variables: all };
  }

  /** Which variables have a gradient anywhere; the flags on the way. One bit each. */
  #agree(slots: readonly Slot[], gradients: ReadonlyMap<string, tf.Tensor | null>): boolean[] {
    const words = new Int32Array(1 + Math.ceil(slots.length / WORD));
    words[0] = this.flags;
    slots.forEach(({ name }, index) => {
      const word = 1 + Math.floor(index / WORD);
      if ((gradients.get(name) ?? null) !== null) words[word] = (words[word] as number) | (1 << (index % WORD));
    });
    this.group.allReduce(words, 'or');
    this.flags = words[0];
    return slots.map((_, index) => (((words[1 + Math.floor(index / WORD)] as number) >> (index % WORD)) & 1) === 1);
  }

  #room(elements: number): Float32Array {
    if (this.#wire.length < elements) this.#wire = new Float32Array(elements);
    return this.#wire.subarray(0, elements);
  }

  /** The gradients' mean over the processes, weighted by their shares. */
  #mean(slots: readonly Slot[], gradients: ReadonlyMap<string, tf.Tensor | null>): tf.Tensor[] {
    const weight = this.#weight;
    const sizes = slots.map(({ shape }) => shape.reduce((product, extent) => product * extent, 1));
    const wire = this.#room(sizes.reduce((sum, size) => sum + size, HEADER));
    wire.fill(0);
    wire[0] = weight;
    let at = HEADER;
    slots.forEach(({ name }, index) => {
      const gradient = gradients.get(name) ?? null;
      // 0 times an infinite value would be NaN: a process without rows has no share.
      if (gradient !== null && weight > 0) {
        const values = gradient.dataSync<'float32'>();
        for (let i = 0; i < values.length; i++) wire[at + i] = weight * (values[i] as number);
      }
      at += sizes[index] as number;
    });
    this.#reduce(wire);
    at = HEADER;
    return slots.map(({ shape }, index) => {
      const end = at + (sizes[index] as number);
      const mean = tf.tensor(wire.slice(at, end), [...shape]);
      at = end;
      return mean;
    });
  }

  #stepKept(plan: StepPlan, entries: readonly (StepEntry | null)[]): void {
    const backend = tf.backend();
    let stepper = this.#steppers.get(backend);
    if (stepper === undefined) {
      stepper = createShareStepper(tf.getBackend());
      this.#steppers.set(backend, stepper);
    }
    stepper.step(plan, entries, this.#weight, (wire) => this.#reduce(wire));
  }

  /** Eq. (10): the ring holds this process's weighted shares of the last gradients, and their mean is its share of the direction. */
  #averageKept(seed: bigint, step: number, entries: readonly AverageEntry[]): void {
    const weight = this.#weight;
    const checked = checkAverages(entries).filter(({ variable }) => variable.size > 0);
    const parts = checked.map((entry) => {
      const { variable, gradient, hyper, base, threshold } = entry;
      const decay = hyper['weightDecay'] as number;
      const share = tf.mul(decay > 0 ? tf.add(gradient, tf.mul(variable, decay)) : gradient, weight);
      const direction = averageDirection(entry, weight > 0 ? share : tf.zerosLike(gradient)).dataSync<'float32'>();
      const kept =
        threshold < KEEP_ALL ? keptTensor({ seed, stream: 'mask', step }, base, variable, threshold) : undefined;
      return { entry, direction, kept, bits: kept?.dataSync<'bool'>() };
    });
    const wire = this.#room(parts.reduce((sum, { direction }) => sum + direction.length, HEADER));
    wire[0] = weight;
    let at = HEADER;
    for (const { direction, bits } of parts) {
      for (let i = 0; i < direction.length; i++)
        if (bits === undefined || bits[i] === 1) wire[at++] = direction[i] as number;
    }
    this.#reduce(wire.subarray(0, at));
    at = HEADER;
    for (const { entry, direction, kept, bits } of parts) {
      const { variable, hyper } = entry;
      const sum = Float32Array.from(direction, (_, i) =>
        bits === undefined || bits[i] === 1 ? (wire[at++] as number) : 0,
      );
      const moved = tf.sub(variable, tf.mul(tf.tensor(sum, variable.shape), hyper['learningRate'] as number));
      variable.assign(kept === undefined ? moved : tf.where(kept, moved, variable));
    }
  }

  #reduce(wire: Float32Array): void {
    this.group.allReduce(wire, 'sum');
    const total = wire[0] as number;
    if (Math.abs(total - 1) > WEIGHT_TOLERANCE) {
      throw new InvalidArgumentError(`weights must sum to 1 over the processes, got ${total}`);
    }
  }

  /**
   * `getWeights` as one process would give it: the sum of the shares where the state is shared out, the state itself otherwise.
   * Collective. The tensors are the caller's to free.
   */
  async mergedWeights(optimizer: LrdOptimizer): Promise<NamedTensor[]> {
    const weights = await optimizer.getWeights();
    if (weights.some(({ name }) => name.endsWith('/pending'))) {
      throw new Error(
        'weights of many processes must be taken between steps, some gradients are pending: flush() first',
      );
    }
    return weights.map(({ name, tensor }, index) => {
      if (index < 2) return { name, tensor };
      const values = tensor.dataSync<'float32'>().slice();
      if (this.reduction === 'kept') this.group.allReduce(values, 'sum');
      return { name, tensor: tf.tensor(values, tensor.shape) };
    });
  }

  /**
   * `setWeights` with what one process gave: where the state is shared out, process 0 takes it and the others zeros, with the same counts.
   */
  async takeWeights(optimizer: LrdOptimizer, weights: NamedTensor[]): Promise<void> {
    if (this.reduction === 'whole' || this.group.rank === 0) return optimizer.setWeights(weights);
    const zeros = weights.map(({ name, tensor }, index) => ({
      name,
      tensor: index < 2 ? tensor : tf.zerosLike(tensor),
    }));
    await optimizer.setWeights(zeros);
    for (const { tensor } of zeros.slice(2)) tensor.dispose();
  }

  /** Frees what it holds for the steps; the optimizer does so when it is disposed. */
  dispose(): void {
    for (const stepper of this.#steppers.values()) stepper.dispose();
    this.#steppers.clear();
    this.#wire = new Float32Array(0);
  }
}

function registered(name: string): tf.Variable {
  return tf.engine().registeredVariables[name] as tf.Variable;
}

/** What is different between two configurations, as "seed is 1 on process 0, 2 on process 1". */
function difference(texts: readonly string[]): string | undefined {
  const configs = texts.map((text) => JSON.parse(text) as Record<string, unknown>);
  const first = configs[0] as Record<string, unknown>;
  for (const [rank, config] of configs.entries()) {
    for (const key of new Set([...Object.keys(first), ...Object.keys(config)])) {
      const [a, b] = [first[key], config[key]].map((value) => JSON.stringify(value) ?? 'none');
      if (a !== b) return `${key} is ${a} on process 0 and ${b} on process ${rank}`;
    }
  }
  return undefined;
}

const replicas = new WeakMap<LrdOptimizer, Replica>();

/** An optimizer's part in a group; undefined before `distributed`. */
export function replicaOf(optimizer: LrdOptimizer): Replica | undefined {
  return replicas.get(optimizer);
}

/**
 * Lets an optimizer take its steps together with those of the other processes of a group, each on its share of the batch, as one process would on
 * the whole batch. Collective. With a group of one it steps as before.
 *
 *     const group = await lrd.mpi();
 *     const optimizer = lrd.distributed(lrd.sgdm({ learningRate: 0.1, seed: 7n }), group);
 *
 * SGD, with momentum or along the mean of gradients, reduces the kept coordinates only; other rules, clipping and a trained p reduce the whole
 * gradient. `replicaOf(optimizer)` tells which, takes uneven shares, and compares parameters.
 *
 * @throws InvalidArgumentError when the optimizers' settings differ between the processes: seeds that were drawn do
 * @throws UnsupportedError on the webgpu backend
 */
export function distributed<Optimizer extends LrdOptimizer>(
  optimizer: Optimizer,
  group: Group,
  options: ReplicaOptions = {},
): Optimizer {
  refuseWebGpu();
  const replica = new Replica(group, optimizer, options);
  const differs = difference(gatherTexts(group, JSON.stringify({ rule: optimizer.rule, ...optimizer.getConfig() })));
  if (differs !== undefined) {
    throw new InvalidArgumentError(`the optimizers must have the same settings on all processes: ${differs}`);
  }
  if (group.size > 1) optimizer.join(replica);
  replicas.set(optimizer, replica);
  return optimizer;
}
