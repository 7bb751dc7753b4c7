import * as tf from '@tensorflow/tfjs';
import { KEEP_PROBABILITY, RULES } from '../../spec/rules.ts';
import type { RuleName } from '../../spec/rules.ts';
import { THRESHOLD } from '../../spec/stream.ts';
import { planStep, thresholdOf } from '../engines/plan.ts';
import { planAverage, requireGpuJs } from '../gpujs/index.ts';
import type { Seed } from '../random.ts';
import { keyOf, layOut, parseSeed, randomSeed } from '../random.ts';
import { sizeOf } from '../shape.ts';
import type { HyperValues } from '../validate.ts';
import { InvalidArgumentError, UnsupportedError, checkKeepProbability, resolveHyper, stateNames } from '../validate.ts';
import type { DrawContext, GradientEntry, GradientOptions } from './gradients.ts';
import {
  Accumulator,
  GRADIENT_OPTIONS,
  centralizes,
  checkGradientOptions,
  sparseMask,
  transformGradients,
  transformsGradients,
  withoutDecay,
} from './gradients.ts';
import type { ParameterGroup } from './groups.ts';
import { checkGroups, groupOf } from './groups.ts';
import { keptTensor } from './keptTensor.ts';
import { averageStep, checkRing } from './steppers/average.ts';
import type { AverageEntry } from './steppers/average.ts';
import { cpuStepper } from './steppers/cpu.ts';
import { gpuJsStepper } from './steppers/gpujs.ts';
import { hostStepper } from './steppers/host.ts';
import type { Stepper } from './steppers/stepper.ts';
import { tensorflowStepper } from './steppers/tensorflow.ts';
import { wasmStepper } from './steppers/wasm.ts';
import { webGpuStepper } from './steppers/webgpu.ts';
import { moveKeepProbability, resolveTrained } from './trainedKeepProbability.ts';
import type { TrainedKeepProbability } from './trainedKeepProbability.ts';

/** What every optimizer takes beside its rule's own hyper-parameters. */
export interface LrdOptions extends GradientOptions {
  /** The probability p that a scalar parameter's update is kept, in [2^-16, 1]. Default .5; 1 is the base rule itself. */
  readonly keepProbability?: number;
  /**
   * `fused` (the default): this package's kernels. `gpujs`: gpu.js kernels, on the same device under webgpu and over host data elsewhere;
   * the masks are the same. gpu.js must be there: `await loadGpuJs()` first.
   */
  readonly engine?: (typeof ENGINES)[number];
  /** Of the mask stream: a bigint, a safe integer or "0x...", in [0, 2^64). Drawn at random when left out; `getConfig` tells. */
  readonly seed?: Seed;
  /** Trains p beside the parameters, from `keepProbability` on. Experimental; costs one more copy of the parameters. */
  readonly trained?: TrainedKeepProbability;
  /** Different settings for some variables; the first group whose pattern matches a variable's name holds. */
  readonly groups?: readonly ParameterGroup[];
}

/** A tensor with its name, as tfjs passes gradients and weights in lists. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: tf.Tensor;
}

/** `getConfig`'s memory of trained keep probabilities: each scope's p. */
type TrainedValues = readonly number[];

/** The pattern that Sparse Gradients holds: its share, and the step that drew it. */
interface SparsePattern {
  readonly extent: number;
  readonly step: number;
}

/** One variable's place in the mask stream, its own step count and its state. */
interface Slot {
  readonly name: string;
  readonly shape: readonly number[];
  readonly base: number;
  /** Gradients that it has had. */
  count: number;
  readonly state: Readonly<Record<string, tf.Variable>>;
  /** With a trained p: what the last step would have subtracted had nothing been dropped, alpha deltaW; 0 without a gradient. */
  readonly update: tf.Variable | undefined;
}

/** Weights from `setWeights`, waiting for the variables that they belong to. */
interface Restored {
  readonly counts: readonly number[];
  readonly tensors: readonly {
    readonly name: string;
    readonly values: Float32Array;
    readonly shape: readonly number[];
  }[];
}

const ENGINES = ['fused', 'gpujs'] as const;
const COUNTS = 'lrd/counts';
/** The saved name of a slot's `update`. */
const UPDATE = 'update';

function createStepper(backend: string, engine: (typeof ENGINES)[number]): Stepper {
  if (engine === 'gpujs') return gpuJsStepper(backend);
  switch (backend) {
    case 'wasm':
      return wasmStepper();
    case 'cpu':
      return cpuStepper();
    case 'webgpu':
      return webGpuStepper();
    case 'tensorflow':
      return tensorflowStepper();
    default:
      return hostStepper();
  }
}

function toEntries(gradients: tf.NamedTensorMap | NamedTensor[]): Map<string, tf.Tensor | null> {
  const pairs = Array.isArray(gradients)
    ? gradients.map(({ name, tensor }): [string, tf.Tensor | null] => [name, (tensor as tf.Tensor | undefined) ?? null])
    : Object.entries(gradients).map(([name, tensor]): [string, tf.Tensor | null] => [
        name,
        (tensor as tf.Tensor | undefined) ?? null,
      ]);
  const entries = new Map(pairs);
  if (entries.size !== pairs.length) {
    const twice = pairs.find(([name], index) => pairs.findIndex(([other]) => other === name) !== index);
    throw new InvalidArgumentError(`gradients must name each variable once, got ${JSON.stringify(twice?.[0])} twice`);
  }
  return entries;
}

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((extent, axis) => extent === b[axis]);

/**
 * Learning Rate Dropout (Lin et al., TNNLS 2022, Algorithm 1) over a base rule, as a `tf.Optimizer`: it goes wherever one
 * does (`model.compile`, `minimize`, `applyGradients`).
 *
 * The variables of the first use, in their order, fix where each finds its bits in the mask stream; the state belongs to the
 * variable, whatever its place in later lists. Variables without a gradient stand still and keep their place.
 */
export abstract class LrdOptimizer extends tf.Optimizer {
  /** The base rule, by its name in `spec/rules.ts`. */
  readonly rule: RuleName;
  readonly #hyper: HyperValues;
  readonly #engine: (typeof ENGINES)[number];
  readonly #groups: readonly ParameterGroup[];
  readonly #seed: bigint;
  #keepProbability: number;
  #learningRate: number;
  #weightDecay: number;
  #slots: Map<string, Slot> | undefined;
  #extent = 0;
  #restored: Restored | undefined;
  #disposed = false;
  readonly #steppers = new Map<tf.KernelBackend, Stepper>();
  #resolved = new Map<ParameterGroup | undefined, { readonly whole: HyperValues; readonly undecayed: HyperValues }>();
  #gradientOptions: GradientOptions;
  #sparse: SparsePattern;
  readonly #accumulator = new Accumulator();
  readonly #trained: Required<TrainedKeepProbability> | undefined;
  #trainedValues: TrainedValues = [];

  protected constructor(rule: RuleName, options: LrdOptions) {
    super();
    this.rule = rule;
    const {
      keepProbability = KEEP_PROBABILITY.default,
      seed,
      groups = [],
      trained,
      engine = 'fused',
      ...rest
    } = options;
    if (!ENGINES.includes(engine)) {
      throw new InvalidArgumentError(`engine must be one of ${ENGINES.join(', ')}, got ${JSON.stringify(engine)}`);
    }
    if (engine === 'gpujs') requireGpuJs();
    this.#engine = engine;
    const { sparsePattern, trainedValues, ...others } = withoutForeign(rest) as {
      sparsePattern?: SparsePattern;
      trainedValues?: TrainedValues;
    };
    const isOfGradients = ([name]: [string, unknown]): boolean => (GRADIENT_OPTIONS as string[]).includes(name);
    this.#gradientOptions = checkGradientOptions(Object.fromEntries(Object.entries(others).filter(isOfGradients)));
    const hyper = Object.entries(others).filter((entry) => !isOfGradients(entry));
    this.#hyper = resolveHyper(rule, Object.fromEntries(hyper) as HyperValues);
    this.#sparse = sparsePattern ?? { extent: 0, step: 0 };
    this.#keepProbability = checkKeepProbability(keepProbability);
    this.#seed = seed === undefined ? randomSeed() : parseSeed(seed);
    this.#groups = checkGroups(rule, groups);
    if (trained !== undefined) {
      this.#trained = resolveTrained(trained, this.#keepProbability);
      const scopes = this.#trained.scope === 'global' ? 1 : this.#groups.length + 1;
      this.#trainedValues = trainedValues ?? Array.from({ length: scopes }, () => this.#keepProbability);
    }
    this.#learningRate = this.#hyper['learningRate'] as number;
    this.#weightDecay = this.#hyper['weightDecay'] as number;
  }

  /** The probability p that an update is kept; may be set between steps. */
  get keepProbability(): number {
    return this.#keepProbability;
  }
  set keepProbability(value: number) {
    this.#keepProbability = checkKeepProbability(value);
    if (this.#trained !== undefined) {
      resolveTrained(this.#trained, value);
      this.#trainedValues = this.#trainedValues.map(() => value);
    }
  }

  /** With `trained`: p of each scope as the last step used it, that of the ungrouped variables last. Else empty. */
  get trainedKeepProbabilities(): readonly number[] {
    return this.#trainedValues;
  }

  /** May be set between steps; groups with a learning rate of their own keep it. */
  get learningRate(): number {
    return this.#learningRate;
  }
  set learningRate(value: number) {
    resolveHyper(this.rule, { learningRate: value });
    this.#learningRate = value;
    this.#resolved = new Map();
  }

  /** The same as setting `learningRate`, under the name that tfjs's SGD uses. */
  setLearningRate(value: number): void {
    this.learningRate = value;
  }

  /** May be set between steps; groups with a decay of their own keep it. */
  get weightDecay(): number {
    return this.#weightDecay;
  }
  set weightDecay(value: number) {
    resolveHyper(this.rule, { weightDecay: value });
    this.#weightDecay = value;
    this.#resolved = new Map();
  }

  /** The share of elements that Sparse Gradients holds still; may be set between steps. 0 without it. */
  get sparsity(): number {
    return this.#gradientOptions.sparsity ?? 0;
  }
  set sparsity(value: number) {
    this.#gradientOptions = checkGradientOptions({ ...this.#gradientOptions, sparsity: value });
  }

  /** The seed of the masks, as "0x..." of 16 digits. */
  get seed(): string {
    return `0x${this.#seed.toString(16).padStart(16, '0')}`;
  }

  /**
   * Fixes the list of variables, and with it each one's place in the mask stream, ahead of the first step. Called by itself
   * on first use; worth calling when some variables will have gradients only later. Throws when another list is bound already.
   */
  bind(variables: readonly tf.Variable[]): void {
    this.#bind(variables.map(({ name, shape }) => ({ name, shape })));
  }

  override computeGradients(
    f: () => tf.Scalar,
    varList?: tf.Variable[],
  ): { value: tf.Scalar; grads: tf.NamedTensorMap } {
    const result = super.computeGradients(f, varList);
    // The map leaves out variables without a gradient; their place in the stream must not depend on that.
    if (this.#slots === undefined) {
      const registered = Object.values(tf.engine().registeredVariables);
      this.bind((varList ?? registered).filter(({ trainable }) => trainable));
    }
    return result;
  }

  override applyGradients(gradients: tf.NamedTensorMap | NamedTensor[]): void {
    if (this.#disposed) throw new Error('this optimizer is disposed');
    const entries = toEntries(gradients);
    const variables = new Map([...entries].map(([name, gradient]) => [name, this.#check(name, gradient)]));
    if (this.#slots === undefined) this.bind([...variables.values()]);
    const slots = this.#slots as Map<string, Slot>;
    const foreign = [...entries.keys()].find((name) => !slots.has(name));
    if (foreign !== undefined) {
      throw new InvalidArgumentError(
        `gradients must be for the variables of the first step (${[...slots.keys()].join(', ')}), got one for ` +
          `${JSON.stringify(foreign)}; call bind() with all variables before the first step`,
      );
    }
    const { accumulate = 1 } = this.#gradientOptions;
    if (accumulate === 1) {
      this.#step(entries, variables, slots);
      return;
    }
    this.#accumulator.add(entries);
    if (this.#accumulator.pending < accumulate) return;
    const means = this.#accumulator.take();
    const registered = tf.engine().registeredVariables;
    this.#step(means, new Map([...means.keys()].map((name) => [name, registered[name] as tf.Variable])), slots);
    for (const mean of means.values()) mean.dispose();
  }

  /** One optimizer step on gradients that have been checked. */
  #step(
    entries: ReadonlyMap<string, tf.Tensor | null>,
    variables: ReadonlyMap<string, tf.Variable>,
    slots: ReadonlyMap<string, Slot>,
  ): void {
    const step = this.iterations + 1;
    const ordered = [...slots.values()];
    const options = this.#gradientOptions;
    const sparse = this.sparsity === this.#sparse.extent ? this.#sparse : { extent: this.sparsity, step };
    const context: DrawContext = { seed: this.#seed, step, sparseStep: sparse.step };
    const hypers = ordered.map(({ name }) => this.#hyperOf(groupOf(this.#groups, name)));
    const coupled = RULES[this.rule].decay === 'coupled';
    const trainedValues = this.#moveTrained(ordered, entries);
    const settings = ordered.map(({ name, shape }, index) => {
      const group = groupOf(this.#groups, name);
      const { whole, undecayed } = hypers[index] as { whole: HyperValues; undecayed: HyperValues };
      const fixed = group?.excluded === true ? 1 : (group?.keepProbability ?? this.#keepProbability);
      return {
        hyper: coupled && centralizes(options, shape) ? undecayed : whole,
        // With a trained p the engine steps everything, and the mask is laid on afterwards: the whole update must be known.
        keepProbability: this.#scopeOf(group) === undefined ? fixed : 1,
      };
    });
    const request = {
      key: keyOf(this.#seed),
      step,
      tensors: ordered.map(({ name, base, shape, count }, index) => ({
        base,
        size: sizeOf(shape),
        count: (entries.get(name) ?? null) === null ? 0 : count + 1,
        ...(settings[index] as (typeof settings)[number]),
      })),
    };
    const plan = this.rule === 'sgdm-avg' ? undefined : planStep({ rule: this.rule, ...request });
    const average = plan === undefined && this.#engine === 'gpujs' ? planAverage(request) : undefined;
    tf.tidy(() => {
      const raw = ordered.map(({ name, base }): GradientEntry | null => {
        const gradient = entries.get(name) ?? null;
        return gradient === null ? null : { variable: variables.get(name) as tf.Variable, gradient, base };
      });
      const decayOf = (index: number): number => (coupled ? (hypers[index]?.whole['weightDecay'] as number) : 0);
      const gradients = transformsGradients(options)
        ? transformGradients(options, context, raw, decayOf)
        : raw.map((entry) => entry?.gradient ?? null);
      const overlays = raw.map((entry, index) =>
        entry === null ? undefined : this.#overlay(ordered[index] as Slot, entry, context, trainedValues),
      );
      const stepped = ordered.map(({ state, base, count }, index) => {
        const entry = raw[index] ?? null;
        if (entry === null) return null;
        const { variable } = entry;
        return { variable, gradient: gradients[index] as tf.Tensor, state, base, count: count + 1, ...settings[index] };
      });
      if (average !== undefined) {
        this.#stepper().average?.(average, stepped);
      } else if (plan === undefined) {
        const present = stepped.filter((entry) => entry !== null);
        averageStep(
          this.#seed,
          step,
          present.map((entry) => ({ ...entry, ring: entry.state['ring'] as tf.Variable }) as AverageEntry),
        );
      } else {
        this.#stepper().step(plan, stepped, this.#extent);
      }
      for (const [index, { update, shape }] of ordered.entries()) {
        const overlay = overlays[index];
        if (overlay === undefined) update?.assign(tf.zeros([...shape]));
        else overlay();
      }
    });
    this.#trainedValues = trainedValues;
    this.#sparse = sparse;
    for (const slot of ordered) if ((entries.get(slot.name) ?? null) !== null) slot.count += 1;
    this.incrementIterations();
  }

  /** Which trained p a variable follows; undefined for none. */
  #scopeOf(group: ParameterGroup | undefined): number | undefined {
    if (this.#trained === undefined || group?.excluded === true || group?.keepProbability !== undefined)
      return undefined;
    if (this.#trained.scope === 'global') return 0;
    return group === undefined ? this.#groups.length : this.#groups.indexOf(group);
  }

  /** Every trained p after this gradient: moved by -alpha <g_next, deltaW> over its variables, deltaW of the step before. */
  #moveTrained(slots: readonly Slot[], gradients: ReadonlyMap<string, tf.Tensor | null>): TrainedValues {
    const trained = this.#trained;
    if (trained === undefined) return this.#trainedValues;
    if (tf.getBackend() === 'webgpu') {
      throw new UnsupportedError('a trained keep probability needs synchronous reads, which the webgpu backend lacks');
    }
    const estimates = this.#trainedValues.map(() => 0);
    for (const { name, update } of slots) {
      const gradient = gradients.get(name) ?? null;
      const scope = this.#scopeOf(groupOf(this.#groups, name));
      if (gradient === null || scope === undefined || update === undefined) continue;
      const product = tf.tidy(() => tf.sum(tf.mul(gradient, update)).dataSync()[0] as number);
      estimates[scope] = (estimates[scope] as number) - product;
    }
    return this.#trainedValues.map((p, scope) => moveKeepProbability(trained, p, estimates[scope] as number));
  }

  /**
   * What is left to do for a variable behind the engine's step, where a mask has to see the whole move first: a trained p's,
   * and Sparse Gradients on updates. Made before the step, because it holds the old values; dropped elements get their bits back.
   */
  #overlay(slot: Slot, entry: GradientEntry, context: DrawContext, trainedValues: TrainedValues): () => void {
    const { variable, base } = entry;
    const scope = this.#scopeOf(groupOf(this.#groups, slot.name));
    const masksUpdates = this.sparsity > 0 && this.#gradientOptions.sparseReading === 'updates';
    if (scope === undefined && !masksUpdates) return () => undefined;
    const old = variable.clone();
    const select = (kept: tf.Tensor): void => variable.assign(tf.where(kept, variable, old));
    return () => {
      if (scope !== undefined) {
        slot.update?.assign(tf.sub(old, variable));
        const threshold = thresholdOf(trainedValues[scope] as number);
        if (threshold < THRESHOLD.scale) {
          const { seed, step } = context;
          select(keptTensor({ seed, stream: 'mask', step }, base, variable, threshold));
        }
      }
      if (masksUpdates) select(sparseMask(this.#gradientOptions, context, entry));
    };
  }

  /** [iterations, step counts, then each variable's state in list order], as tfjs's optimizers give theirs. */
  override async getWeights(): Promise<NamedTensor[]> {
    if (this.#accumulator.pending > 0) {
      const { accumulate } = this.#gradientOptions;
      throw new Error(
        `weights must be taken between steps, ${this.#accumulator.pending} of ${accumulate} gradients are pending`,
      );
    }
    const slots = [...(this.#slots?.values() ?? [])];
    const counts = tf.tensor1d(
      slots.map(({ count }) => count),
      'int32',
    );
    return [
      await this.saveIterations(),
      { name: COUNTS, tensor: counts },
      ...slots.flatMap(({ name, state, update }) => [
        ...Object.entries(state).map(([key, tensor]) => ({ name: `${name}/${key}`, tensor })),
        ...(update === undefined ? [] : [{ name: `${name}/${UPDATE}`, tensor: update }]),
      ]),
    ];
  }

  /**
   * Takes what `getWeights` gave. The state is bound by its order to the variables of the next step, because a model that is
   * loaded again may have its variables renamed; shapes are checked then.
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    const [iterations, counts, ...rest] = weights;
    if (iterations === undefined || counts === undefined || !counts.name.endsWith(COUNTS)) {
      const got = counts === undefined ? 'nothing' : JSON.stringify(counts.name);
      throw new InvalidArgumentError(
        `weights must be those of getWeights(), with ${COUNTS} in second place, got ${got}`,
      );
    }
    const keys = this.#savedNames();
    const countValues = Array.from(await counts.tensor.data<'int32'>());
    if (rest.length !== countValues.length * keys.length) {
      throw new InvalidArgumentError(
        `weights must hold ${countValues.length * keys.length} tensors of state for ${this.rule}, got ${rest.length}`,
      );
    }
    const wrong = rest.find(({ name }, index) => !name.endsWith(`/${keys[index % keys.length]}`));
    if (wrong !== undefined) {
      throw new InvalidArgumentError(
        `weights must be the state (${keys.join(', ')}) of ${this.rule}, got ${wrong.name}`,
      );
    }
    const tensors = await Promise.all(
      rest.map(async ({ name, tensor }) => ({
        name,
        shape: tensor.shape,
        values: (await tensor.data<'float32'>()).slice(),
      })),
    );
    await this.extractIterations([iterations]);
    this.#release();
    this.#restored = { counts: countValues, tensors };
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...this.#hyper,
      learningRate: this.#learningRate,
      weightDecay: this.#weightDecay,
      keepProbability: this.#keepProbability,
      seed: this.seed,
      ...(this.#engine === 'fused' ? {} : { engine: this.#engine }),
      ...(this.#gradientOptions as tf.serialization.ConfigDict),
      sparsePattern: { ...this.#sparse },
      ...(this.#trained === undefined
        ? {}
        : { trained: { ...this.#trained }, trainedValues: [...this.#trainedValues] }),
      groups: this.#groups.map((group) => ({ ...group })) as unknown as tf.serialization.ConfigDictArray,
    };
  }

  /** Frees the state. The optimizer cannot be used afterwards. */
  override dispose(): void {
    this.#release();
    this.#disposed = true;
  }

  #release(): void {
    this.#accumulator.dispose();
    for (const stepper of this.#steppers.values()) stepper.dispose();
    this.#steppers.clear();
    for (const { state, update } of this.#slots?.values() ?? []) {
      for (const tensor of Object.values(state)) tensor.dispose();
      update?.dispose();
    }
    this.#slots = undefined;
    this.#restored = undefined;
  }

  /** The variable that a gradient is for, after all that can be wrong with the pair has been ruled out. */
  #check(name: string, gradient: tf.Tensor | null): tf.Variable {
    const variable = tf.engine().registeredVariables[name];
    if (variable === undefined) {
      throw new InvalidArgumentError(`gradients must be for registered variables, got one for ${JSON.stringify(name)}`);
    }
    if (variable.dtype !== 'float32') {
      throw new InvalidArgumentError(`variable ${JSON.stringify(name)} must be of type float32, got ${variable.dtype}`);
    }
    if (gradient !== null && (!sameShape(gradient.shape, variable.shape) || gradient.dtype !== 'float32')) {
      throw new InvalidArgumentError(
        `the gradient of ${JSON.stringify(name)} must be float32 of shape [${variable.shape.join(', ')}], ` +
          `got ${gradient.dtype} of shape [${gradient.shape.join(', ')}]`,
      );
    }
    const slot = this.#slots?.get(name);
    if (slot !== undefined && !sameShape(slot.shape, variable.shape)) {
      throw new InvalidArgumentError(
        `variable ${JSON.stringify(name)} must keep its shape [${slot.shape.join(', ')}], got [${variable.shape.join(', ')}]`,
      );
    }
    return variable;
  }

  #bind(list: readonly { readonly name: string; readonly shape: readonly number[] }[]): void {
    if (this.#disposed) throw new Error('this optimizer is disposed');
    if (this.#slots !== undefined) {
      const bound = [...this.#slots.keys()];
      if (bound.length === list.length && list.every(({ name }, index) => name === bound[index])) return;
      throw new InvalidArgumentError(
        `variables must stay those of the first use (${bound.join(', ')}), got ${list.map(({ name }) => name).join(', ')}`,
      );
    }
    const keys = this.#savedNames();
    const restored = this.#restored;
    if (restored !== undefined) this.#checkRestored(restored, list, keys);
    const bases = layOut(list.map(({ shape }) => sizeOf(shape)));
    const slots = list.map(({ name, shape }, index): Slot => {
      const state = keys.map((key, k): [string, tf.Variable] => {
        const saved = restored?.tensors[index * keys.length + k];
        const stateShape = this.#stateShape(shape, key);
        const make = (): tf.Tensor =>
          saved === undefined ? tf.zeros(stateShape) : tf.tensor(saved.values, stateShape);
        return [key, tf.tidy(() => tf.variable(make(), false))];
      });
      return {
        name,
        shape: [...shape],
        base: bases[index] as number,
        count: restored?.counts[index] ?? 0,
        state: Object.fromEntries(state.filter(([key]) => key !== UPDATE)),
        update: state.find(([key]) => key === UPDATE)?.[1],
      };
    });
    this.#extent = slots.reduce((end, { base, shape }) => Math.max(end, base + sizeOf(shape)), 0);
    this.#slots = new Map(slots.map((slot) => [slot.name, slot]));
    this.#restored = undefined;
  }

  #checkRestored(
    { counts, tensors }: Restored,
    list: readonly { readonly name: string; readonly shape: readonly number[] }[],
    keys: readonly string[],
  ): void {
    if (counts.length !== list.length) {
      throw new InvalidArgumentError(`weights must be for ${list.length} variables, got state of ${counts.length}`);
    }
    tensors.forEach(({ name, shape }, index) => {
      const variable = list[Math.floor(index / keys.length)] as { name: string; shape: readonly number[] };
      if (!sameShape(shape, this.#stateShape(variable.shape, keys[index % keys.length] as string))) {
        throw new InvalidArgumentError(
          `state ${name} must have the shape [${variable.shape.join(', ')}] of ${variable.name}, got [${shape.join(', ')}]`,
        );
      }
    });
  }

  /** What is kept for each variable, in order: the rule's state, and the last update where p is trained. */
  #savedNames(): string[] {
    return [...stateNames(this.rule, this.#hyper), ...(this.#trained === undefined ? [] : [UPDATE])];
  }

  /** A state tensor's shape: the variable's own, but for the ring of `sgdm-avg`. */
  #stateShape(shape: readonly number[], key: string): number[] {
    if (key !== 'ring') return [...shape];
    const window = this.#hyper['window'] as number;
    checkRing(window, sizeOf(shape));
    return [window, ...shape];
  }

  /** The same objects for all variables of a group, so that the planner computes a group's scalars once. */
  #hyperOf(group: ParameterGroup | undefined): { readonly whole: HyperValues; readonly undecayed: HyperValues } {
    let hyper = this.#resolved.get(group);
    if (hyper === undefined) {
      const whole = {
        ...this.#hyper,
        learningRate: group?.learningRate ?? this.#learningRate,
        weightDecay: group?.weightDecay ?? this.#weightDecay,
      };
      hyper = { whole, undecayed: withoutDecay(whole) };
      this.#resolved.set(group, hyper);
    }
    return hyper;
  }

  #stepper(): Stepper {
    const backend = tf.backend();
    let stepper = this.#steppers.get(backend);
    if (stepper === undefined) {
      stepper = createStepper(tf.getBackend(), this.#engine);
      this.#steppers.set(backend, stepper);
    }
    return stepper;
  }
}

/** A configuration without the `customObjects` that tfjs adds when it loads one, and without fields left undefined. */
function withoutForeign(values: object): object {
  return Object.fromEntries(
    Object.entries(values).filter(([name, value]) => name !== 'customObjects' && value !== undefined),
  );
}
