import * as tf from '@tensorflow/tfjs';
import { KEEP_PROBABILITY } from '../../spec/rules.ts';
import type { RuleName } from '../../spec/rules.ts';
import type { Seed } from '../random.ts';
import { parseSeed, randomSeed } from '../random.ts';
import { sizeOf } from '../shape.ts';
import type { HyperValues } from '../validate.ts';
import { InvalidArgumentError, checkKeepProbability, resolveHyper, stateNames } from '../validate.ts';
import { Binding, UPDATE, sameShape } from './binding.ts';
import type { Exchange } from './exchange.ts';
import type { GradientOptions } from './gradients.ts';
import { Accumulator, GRADIENT_OPTIONS, checkGradientOptions, withoutDecay } from './gradients.ts';
import type { ParameterGroup } from './groups.ts';
import { checkGroups } from './groups.ts';
import type { NamedTensor } from './savedForm.ts';
import { fromWeights, toWeights } from './savedForm.ts';
import type { GroupHyper, SparsePattern, StepMemory } from './step.ts';
import { takeStep } from './step.ts';
import { checkRing } from './steppers/average.ts';
import type { EngineName } from './steppers/choose.ts';
import { ENGINES, createStepper, requireGpuJs } from './steppers/choose.ts';
import type { Stepper } from './steppers/stepper.ts';
import { resolveTrained } from './trainedKeepProbability.ts';
import type { ResolvedTrained, TrainedKeepProbability } from './trainedKeepProbability.ts';

/** What every optimizer takes beside its rule's own hyper-parameters. */
export interface LrdOptions extends GradientOptions {
  /** The probability p that a scalar parameter's update is kept, in [2^-16, 1]. Default .5; 1 is the base rule itself. */
  readonly keepProbability?: number;
  /**
   * `fused` (the default): this package's kernels. `gpujs`: gpu.js kernels, on the same device under webgpu and over host data elsewhere;
   * the masks are the same. gpu.js must be there: `await loadGpuJs()` first.
   */
  readonly engine?: EngineName;
  /** Of the mask stream: a bigint, a safe integer or "0x...", in [0, 2^64). Drawn at random when left out; `getConfig` tells. */
  readonly seed?: Seed;
  /** Trains p beside the parameters, from `keepProbability` on. Experimental; costs one more copy of the parameters. */
  readonly trained?: TrainedKeepProbability;
  /** Different settings for some variables; the first group whose pattern matches a variable's name holds. */
  readonly groups?: readonly ParameterGroup[];
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
  readonly #engine: EngineName;
  readonly #groups: readonly ParameterGroup[];
  readonly #seed: bigint;
  #keepProbability: number;
  #learningRate: number;
  #weightDecay: number;
  readonly #binding: Binding;
  #disposed = false;
  readonly #steppers = new Map<tf.KernelBackend, Stepper>();
  #resolved = new Map<ParameterGroup | undefined, GroupHyper>();
  #gradientOptions: GradientOptions;
  readonly #accumulator = new Accumulator();
  readonly #trained: ResolvedTrained | undefined;
  #memory: StepMemory;
  #exchange: Exchange | undefined;

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
      trainedValues?: readonly number[];
    };
    const isOfGradients = ([name]: [string, unknown]): boolean => (GRADIENT_OPTIONS as string[]).includes(name);
    this.#gradientOptions = checkGradientOptions(Object.fromEntries(Object.entries(others).filter(isOfGradients)));
    const hyper = Object.entries(others).filter((entry) => !isOfGradients(entry));
    this.#hyper = resolveHyper(rule, Object.fromEntries(hyper) as HyperValues);
    this.#keepProbability = checkKeepProbability(keepProbability);
    this.#seed = seed === undefined ? randomSeed() : parseSeed(seed);
    this.#groups = checkGroups(rule, groups);
    if (trained !== undefined) this.#trained = resolveTrained(trained, this.#keepProbability);
    this.#memory = {
      sparse: sparsePattern ?? { extent: 0, step: 0 },
      trainedValues:
        this.#trained === undefined
          ? []
          : (trainedValues ??
            Array.from(
              { length: this.#trained.scope === 'global' ? 1 : this.#groups.length + 1 },
              () => this.#keepProbability,
            )),
    };
    this.#binding = new Binding({
      names: [...stateNames(rule, this.#hyper), ...(this.#trained === undefined ? [] : [UPDATE])],
      shapeOf: (shape, name) => this.#stateShape(shape, name),
    });
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
      this.#memory = { ...this.#memory, trainedValues: this.#memory.trainedValues.map(() => value) };
    }
  }

  /** With `trained`: p of each scope as the last step used it, that of the ungrouped variables last. Else empty. */
  get trainedKeepProbabilities(): readonly number[] {
    return this.#memory.trainedValues;
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
    if (this.#disposed) throw new Error('this optimizer is disposed');
    this.#binding.bind(variables);
  }

  /**
   * Takes each step together with other processes: `distributed` does. Throws when one is there already.
   *
   * @internal
   */
  join(exchange: Exchange): void {
    if (this.#exchange !== undefined) throw new InvalidArgumentError('optimizer must not be distributed already');
    this.#exchange = exchange;
  }

  override computeGradients(
    f: () => tf.Scalar,
    varList?: tf.Variable[],
  ): { value: tf.Scalar; grads: tf.NamedTensorMap } {
    const result = super.computeGradients(f, varList);
    // The map leaves out variables without a gradient; their place in the stream must not depend on that.
    if (!this.#binding.bound) {
      const registered = Object.values(tf.engine().registeredVariables);
      this.bind((varList ?? registered).filter(({ trainable }) => trainable));
    }
    return result;
  }

  override applyGradients(gradients: tf.NamedTensorMap | NamedTensor[]): void {
    if (this.#disposed) throw new Error('this optimizer is disposed');
    const entries = toEntries(gradients);
    const variables = new Map([...entries].map(([name, gradient]) => [name, this.#check(name, gradient)]));
    if (!this.#binding.bound) this.bind([...variables.values()]);
    const foreign = [...entries.keys()].find((name) => this.#binding.find(name) === undefined);
    if (foreign !== undefined) {
      throw new InvalidArgumentError(
        `gradients must be for the variables of the first step (${this.#binding.slots.map(({ name }) => name).join(', ')}), got one for ` +
          `${JSON.stringify(foreign)}; call bind() with all variables before the first step`,
      );
    }
    const { accumulate = 1 } = this.#gradientOptions;
    if (accumulate === 1) {
      this.#step(entries, variables);
      return;
    }
    this.#accumulator.add(entries);
    if (this.#accumulator.pending < accumulate) return;
    const means = this.#accumulator.take();
    const registered = tf.engine().registeredVariables;
    this.#step(means, new Map([...means.keys()].map((name) => [name, registered[name] as tf.Variable])));
    for (const mean of means.values()) mean.dispose();
  }

  /** One optimizer step on gradients that have been checked. */
  #step(gradients: ReadonlyMap<string, tf.Tensor | null>, variables: ReadonlyMap<string, tf.Variable>): void {
    const settings = {
      rule: this.rule,
      seed: this.#seed,
      step: this.iterations + 1,
      keepProbability: this.#keepProbability,
      gradientOptions: this.#gradientOptions,
      groups: this.#groups,
      hyperOf: (group: ParameterGroup | undefined): GroupHyper => this.#hyperOf(group),
      trained: this.#trained,
      stepsAverage: this.#engine === 'gpujs',
      stepper: (): Stepper => this.#stepper(),
      exchange: this.#exchange,
    };
    const take = (): void => {
      this.#memory = takeStep(settings, this.#memory, this.#binding, { gradients, variables });
    };
    // What an exchange makes of the gradients goes with the step.
    if (this.#exchange === undefined) take();
    else tf.tidy(take);
    this.incrementIterations();
  }

  /** [iterations, step counts, then each variable's state in list order], as tfjs's optimizers give theirs. */
  override async getWeights(): Promise<NamedTensor[]> {
    if (this.#accumulator.pending > 0) {
      const { accumulate } = this.#gradientOptions;
      throw new Error(
        `weights must be taken between steps, ${this.#accumulator.pending} of ${accumulate} gradients are pending`,
      );
    }
    return [await this.saveIterations(), ...toWeights(this.#binding.slots)];
  }

  /**
   * Takes what `getWeights` gave. The state is bound by its order to the variables of the next step, because a model that is
   * loaded again may have its variables renamed; shapes are checked then.
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    const { iterations, restored } = await fromWeights(weights, this.rule, this.#binding.form.names);
    await this.extractIterations([iterations]);
    this.#release();
    this.#binding.restore(restored);
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
      sparsePattern: { ...this.#memory.sparse },
      ...(this.#trained === undefined
        ? {}
        : { trained: { ...this.#trained }, trainedValues: [...this.#memory.trainedValues] }),
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
    this.#exchange?.dispose();
    for (const stepper of this.#steppers.values()) stepper.dispose();
    this.#steppers.clear();
    this.#binding.release();
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
    const slot = this.#binding.find(name);
    if (slot !== undefined && !sameShape(slot.shape, variable.shape)) {
      throw new InvalidArgumentError(
        `variable ${JSON.stringify(name)} must keep its shape [${slot.shape.join(', ')}], got [${variable.shape.join(', ')}]`,
      );
    }
    return variable;
  }

  /** A state tensor's shape: the variable's own, but for the ring of `sgdm-avg`. */
  #stateShape(shape: readonly number[], key: string): number[] {
    if (key !== 'ring') return [...shape];
    const window = this.#hyper['window'] as number;
    checkRing(window, sizeOf(shape));
    return [window, ...shape];
  }

  /** The same objects for all variables of a group, so that the planner computes a group's scalars once. */
  #hyperOf(group: ParameterGroup | undefined): GroupHyper {
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
