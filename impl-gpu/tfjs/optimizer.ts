import * as tf from '@tensorflow/tfjs';
import { MASK_STATE } from '../../spec/family.ts';
import type { RuleName } from '../../spec/rules.ts';
import { parseSeed } from '../random.ts';
import { sizeOf } from '../shape.ts';
import {
  InvalidArgumentError,
  SYNONYMS,
  checkKeepProbability,
  checkNames,
  isRecord,
  resolveHyper,
  show,
  stateNames,
} from '../validate.ts';
import { Binding, UPDATE, sameShape } from './binding.ts';
import type { Configuration, LrdOptions, Settings } from './configuration.ts';
import {
  checkDrawn,
  checkGradientOptions,
  checkKeep,
  checkLearningRate,
  configure,
  optionNames,
  valueAt,
} from './configuration.ts';
import { stateSize } from '../engines/engine.ts';
import type { Exchange } from './exchange.ts';
import { addPending, clearPending, meansOfPending } from './accumulation.ts';
import type { ParameterGroup } from './groups.ts';
import type { NamedTensor } from './savedForm.ts';
import { fromWeights, toWeights } from './savedForm.ts';
import type { Schedule } from './schedules.ts';
import type { GroupHyper, StepMemory } from './stepSettings.ts';
import { takeStep } from './step.ts';
import { createStepper } from './steppers/choose.ts';
import { needed } from './extensions.ts';
import { extension as stepperExtension } from './steppers/extensions.ts';
import type { Stepper } from './steppers/stepper.ts';

/** How far the momentum of a variable agrees with its gradients: Magma's factor. */
export interface VariableAlignment {
  /** The variable's. */
  readonly name: string;
  /** Elements. */
  readonly size: number;
  /** The smoothed sigmoid of the cosine over the temperature, in (0, 1). */
  readonly alignment: number;
}

/** What may be set between steps. */
const SETTINGS = ['learningRate', 'keepProbability', 'weightDecay', 'sparsity'];

/** Gradients by name, null where there is none. tfjs lists a variable that two of a model's layers share twice: it has one gradient. */
function toEntries(gradients: tf.NamedTensorMap | NamedTensor[]): Map<string, tf.Tensor | null> {
  if (!(Array.isArray(gradients) ? gradients.every(isRecord) : isRecord(gradients))) {
    throw new InvalidArgumentError(
      `gradients must be an object of tensors by name, or a list of { name, tensor }, got ${show(gradients)}`,
    );
  }
  const pairs = Array.isArray(gradients)
    ? gradients.map(({ name, tensor }): [string, tf.Tensor | undefined] => [name, tensor])
    : Object.entries(gradients);
  const entries = new Map<string, tf.Tensor | null>();
  for (const [name, tensor] of pairs) {
    const gradient = tensor ?? null;
    if (entries.has(name) && entries.get(name) !== gradient) {
      throw new InvalidArgumentError(`gradients must name each variable once, got ${JSON.stringify(name)} twice`);
    }
    entries.set(name, gradient);
  }
  return entries;
}

/**
 * Learning Rate Dropout (Lin et al., TNNLS 2022, Algorithm 1) over a base rule, as a `tf.Optimizer`: it goes wherever one
 * does (`model.compile`, `minimize`, `applyGradients`).
 *
 * Variables find their bits in the mask stream by their places, which they get in order of joining: those of the first list that is given,
 * else those with a gradient; whoever comes later takes the next free place. A variable without a gradient stands still and keeps its
 * place; its state is made at its first gradient.
 */
export abstract class LrdOptimizer extends tf.Optimizer {
  static {
    // A setting under the name that another library has for it would be taken by nobody.
    for (const name of Object.keys(SYNONYMS)) {
      Object.defineProperty(this.prototype, name, { set: () => checkNames('settings', [name], SETTINGS) });
    }
  }

  /** The base rule, by its name in `spec/rules.ts`. */
  readonly rule: RuleName;
  readonly #configuration: Configuration;
  readonly #binding: Binding;
  readonly #steppers = new Map<tf.KernelBackend, Stepper>();
  #settings: Settings;
  #seed: bigint;
  #memory: StepMemory;
  #exchange: Exchange | undefined;
  #resolved = new Map<ParameterGroup | undefined, GroupHyper>();
  /** The learning rate that `#resolved` is for. */
  #resolvedRate: number | undefined;
  /** Calls since the last step, where several make one. */
  #calls = 0;
  #disposed = false;

  protected constructor(rule: RuleName, options: LrdOptions) {
    super();
    this.rule = rule;
    const configuration = configure(rule, options);
    this.#configuration = configuration;
    this.#settings = configuration.settings;
    this.#seed = configuration.seed;
    this.#memory = configuration.memory;
    this.#binding = new Binding({
      names: [
        ...stateNames(rule, configuration.hyper),
        ...(configuration.mask?.stateNames(rule, configuration.hyper) ?? []),
        ...(configuration.trained === undefined ? [] : [UPDATE]),
      ],
      shapeOf: (shape, name) => this.#stateShape(shape, name),
    });
    this.#refuseAssignments();
  }

  /** The probability p that an update is kept, of the next step; may be set between steps, to a number or a schedule. */
  get keepProbability(): number {
    return this.#at(this.#settings.keepProbability);
  }
  set keepProbability(value: number | Schedule) {
    const checked = checkKeep(value);
    const { trained, mask } = this.#configuration;
    checkDrawn(mask, value);
    if (trained !== undefined) {
      needed('comparators', 'trained').resolveTrained(trained, checked);
      this.#memory = { ...this.#memory, trainedValues: this.#memory.trainedValues.map(() => checked as number) };
    }
    this.#settings = { ...this.#settings, keepProbability: checked };
  }

  /** With `trained`: p of each scope as the last step used it, that of the ungrouped variables last. Else empty. */
  get trainedKeepProbabilities(): readonly number[] {
    return this.#memory.trainedValues;
  }

  /** That of the next step; may be set between steps, to a number or a schedule. Groups with a learning rate of their own keep it. */
  get learningRate(): number {
    return this.#at(this.#settings.learningRate);
  }
  set learningRate(value: number | Schedule) {
    this.#settings = { ...this.#settings, learningRate: checkLearningRate(this.rule, value) };
  }

  /** The same as setting `learningRate`, under the name that tfjs's SGD uses. */
  setLearningRate(value: number): void {
    this.learningRate = value;
  }

  /** May be set between steps; groups with a decay of their own keep it. */
  get weightDecay(): number {
    return this.#settings.weightDecay;
  }
  set weightDecay(value: number) {
    if ((value as unknown) === undefined) throw new InvalidArgumentError('weightDecay must be a number, got undefined');
    resolveHyper(this.rule, { weightDecay: value });
    this.#settings = { ...this.#settings, weightDecay: value };
    this.#resolved = new Map();
  }

  /** The share of elements that Sparse Gradients holds still; may be set between steps. 0 without it. */
  get sparsity(): number {
    return this.#settings.gradientOptions.sparsity ?? 0;
  }
  set sparsity(value: number) {
    if ((value as unknown) === undefined) throw new InvalidArgumentError('sparsity must be a number, got undefined');
    const gradientOptions = checkGradientOptions({ ...this.#settings.gradientOptions, sparsity: value });
    this.#settings = { ...this.#settings, gradientOptions };
  }

  /**
   * With a mask that scales by the alignment of momentum and gradient: that of each masked variable as its last step used it, read from where
   * it lies. Empty with any other mask, and without variables that have had a gradient.
   */
  async alignments(): Promise<readonly VariableAlignment[]> {
    this.#live();
    const { groups } = this.#configuration;
    const measured = this.#binding.slots.flatMap(({ name, label, shape, count, state }) => {
      const alignment = state?.[MASK_STATE.alignment];
      return alignment === undefined || count === 0 || groups.of(label)?.excluded === true
        ? []
        : [{ name, size: sizeOf(shape), values: alignment.data() }];
    });
    return Promise.all(
      measured.map(async ({ name, size, values }) => ({ name, size, alignment: (await values)[0] as number })),
    );
  }

  /** The seed of the masks, as "0x..." of 16 digits. */
  get seed(): string {
    return `0x${this.#seed.toString(16).padStart(16, '0')}`;
  }

  /**
   * Gives places in the mask stream to the variables that have none yet, in this order. Called by itself with every list; worth calling
   * ahead when some variables will have gradients only later.
   */
  bind(variables: readonly tf.Variable[]): void {
    this.#live();
    if (!Array.isArray(variables) || !variables.every((variable) => variable instanceof tf.Variable)) {
      throw new InvalidArgumentError(`variables must be a list of tf.Variable, got ${show(variables)}`);
    }
    this.#binding.place(variables);
    this.#configuration.groups.meet(this.#binding.slots.map(({ label }) => label));
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
    this.#live();
    const result = super.computeGradients(f, varList);
    try {
      // The map leaves out the listed variables without a gradient; their places must not depend on that.
      const listed = varList ?? Object.keys(result.grads).map((name) => tf.engine().registeredVariables[name]);
      this.bind(listed.filter((variable): variable is tf.Variable => variable?.trainable === true));
    } catch (error) {
      tf.dispose([result.value, result.grads]);
      throw error;
    }
    return result;
  }

  override applyGradients(gradients: tf.NamedTensorMap | NamedTensor[]): void {
    this.#live();
    const entries = toEntries(gradients);
    const variables = new Map([...entries].map(([name, gradient]) => [name, this.#check(name, gradient)]));
    this.bind([...variables.values()]);
    const { accumulate = 1 } = this.#settings.gradientOptions;
    if (accumulate === 1 && this.#calls === 0) {
      this.#step(entries, variables);
      return;
    }
    addPending(this.#binding, entries);
    this.#calls += 1;
    if (this.#calls >= accumulate) this.flush();
  }

  /**
   * With `accumulate`: steps with the gradients that are pending, divided by their number, before there are as many as a step takes. Does
   * nothing when there are none. `flushAtEpochEnd` calls it for `model.fit`.
   */
  flush(): void {
    this.#live();
    if (this.#calls === 0) return;
    if (this.#binding.awaits) {
      throw new InvalidArgumentError(
        'variables must be known before gradients that were loaded are applied to them: bind() them, or take a step, first',
      );
    }
    const registered = tf.engine().registeredVariables;
    const gone = this.#binding.slots.filter(({ name, pending }) => pending !== undefined && !(name in registered));
    if (gone.length > 0) {
      for (const slot of gone) {
        slot.pending?.dispose();
        slot.pending = undefined;
      }
      const names = gone.map(({ name }) => JSON.stringify(name)).join(', ');
      throw new InvalidArgumentError(
        `variables must live until their gradients are applied, ${names} was disposed with some pending; they are dropped`,
      );
    }
    tf.tidy(() => {
      const means = meansOfPending(this.#binding, this.#calls);
      this.#step(means, new Map([...means.keys()].map((name) => [name, registered[name] as tf.Variable])));
    });
    clearPending(this.#binding);
    this.#calls = 0;
  }

  /** One optimizer step on gradients that have been checked. */
  #step(gradients: ReadonlyMap<string, tf.Tensor | null>, variables: ReadonlyMap<string, tf.Variable>): void {
    const { groups, trained, engine, mask } = this.#configuration;
    const { learningRate } = this;
    if (learningRate !== this.#resolvedRate) this.#resolved = new Map();
    this.#resolvedRate = learningRate;
    const settings = {
      rule: this.rule,
      seed: this.#seed,
      step: this.iterations + 1,
      keepProbability: checkKeepProbability(this.keepProbability),
      mask,
      gradientOptions: this.#settings.gradientOptions,
      groups,
      hyperOf: (group: ParameterGroup | undefined): GroupHyper => this.#hyperOf(group, learningRate),
      trained,
      stepsAverage: engine === 'gpujs',
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

  /**
   * The state as a list of tensors, as tfjs's optimizers give theirs, at any moment. The first two tensors are made for the list and the
   * caller's to free; the others are the optimizer's own.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    this.#live();
    const form = {
      variables: this.#binding.kept,
      calls: this.#calls,
      memory: this.#memory,
      seed: this.seed,
    };
    return [await this.saveIterations(), ...toWeights(form, this.#binding.form)];
  }

  /**
   * Takes what `getWeights` gave, in place of all state that there is. It finds its variables in the next list: by name and shape or, since
   * a model that is loaded again may have all of its variables renamed, by order. An optimizer that was given no seed takes the saved one.
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    this.#live();
    const { iterations, saved } = await fromWeights(weights, this.rule, this.#binding.form);
    const { memory = this.#memory, seed, variables, calls } = saved;
    const scopes = this.#memory.trainedValues.length;
    if (memory.trainedValues.length !== scopes) {
      throw new InvalidArgumentError(
        `weights must hold ${scopes} trained keep probabilities, got ${show(memory.trainedValues)}`,
      );
    }
    const next = seed !== undefined && this.#configuration.drawn ? parseSeed(seed) : this.#seed;
    await this.extractIterations([iterations]);
    this.#release();
    this.#binding.restore(variables);
    this.#calls = calls;
    this.#memory = memory;
    this.#seed = next;
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { hyper, engine, trained, groups, mask } = this.#configuration;
    const { gradientOptions, keepProbability, ...settings } = this.#settings;
    return {
      ...hyper,
      ...settings,
      ...(mask?.agreement === true ? {} : { keepProbability }),
      ...(mask === undefined ? {} : { mask: { ...mask.request } }),
      seed: this.seed,
      ...(engine === 'fused' ? {} : { engine }),
      ...gradientOptions,
      ...(trained === undefined ? {} : { trained: { ...trained } }),
      groups: groups.toConfig(),
    } as unknown as tf.serialization.ConfigDict;
  }

  /** Frees the state. The optimizer cannot be used afterwards. */
  override dispose(): void {
    this.#release();
    this.#disposed = true;
  }

  override toString(): string {
    const { keepProbability, learningRate, seed, iterations } = this;
    return `${this.getClassName()} { keepProbability: ${keepProbability}, learningRate: ${learningRate}, seed: '${seed}', iterations: ${iterations} }`;
  }

  /** What `console.log` shows in Node, Deno and Bun. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  #live(): void {
    if (this.#disposed) throw new Error('this optimizer is disposed');
  }

  #release(): void {
    this.#exchange?.dispose();
    for (const stepper of this.#steppers.values()) stepper.dispose();
    this.#steppers.clear();
    this.#binding.release();
    this.#calls = 0;
  }

  #at(value: number | Schedule): number {
    return valueAt(value, this.iterations + 1);
  }

  /** What can only be given to the constructor says so when it is assigned to, instead of taking a value that nobody reads. */
  #refuseAssignments(): void {
    const { rule } = this;
    const values: Record<string, unknown> = { ...this.getConfig(), rule };
    for (const name of [...optionNames(rule), 'rule']) {
      const accessor = Object.getOwnPropertyDescriptor(LrdOptimizer.prototype, name);
      if (accessor?.set !== undefined) continue;
      Object.defineProperty(this, name, {
        configurable: true,
        get: () => (accessor === undefined ? values[name] : (accessor.get?.call(this) as unknown)),
        set: (value: unknown) => {
          throw new InvalidArgumentError(
            `${name} must be given when the optimizer is made, it cannot be set to ${show(value)} afterwards`,
          );
        },
      });
    }
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
    if (gradient !== null && !(gradient instanceof tf.Tensor)) {
      throw new InvalidArgumentError(`the gradient of ${JSON.stringify(name)} must be a tensor, got ${show(gradient)}`);
    }
    if (gradient !== null && (!sameShape(gradient.shape, variable.shape) || gradient.dtype !== 'float32')) {
      throw new InvalidArgumentError(
        `the gradient of ${JSON.stringify(name)} must be float32 of shape [${variable.shape.join(', ')}], ` +
          `got ${gradient.dtype} of shape [${gradient.shape.join(', ')}]`,
      );
    }
    if (gradient?.isDisposed === true) {
      throw new InvalidArgumentError(`the gradient of ${JSON.stringify(name)} must not be disposed`);
    }
    const slot = this.#binding.find(name);
    if (slot !== undefined && !sameShape(slot.shape, variable.shape)) {
      throw new InvalidArgumentError(
        `variable ${JSON.stringify(name)} must keep its shape [${slot.shape.join(', ')}], got [${variable.shape.join(', ')}]`,
      );
    }
    return variable;
  }

  /** A state tensor's shape: the variable's own, but for the ring of `sgdm-avg` and a mask's one number. */
  #stateShape(shape: readonly number[], key: string): number[] {
    if (stateSize(key, 2) === 1) return [];
    if (key !== 'ring') return [...shape];
    const window = this.#configuration.hyper['window'] as number;
    stepperExtension('average')?.checkRing(window, sizeOf(shape));
    return [window, ...shape];
  }

  /** The same objects for all variables of a group, so that the planner computes a group's scalars once. */
  #hyperOf(group: ParameterGroup | undefined, learningRate: number): GroupHyper {
    let hyper = this.#resolved.get(group);
    if (hyper === undefined) {
      const whole = {
        ...this.#configuration.hyper,
        learningRate: group?.learningRate ?? learningRate,
        weightDecay: group?.weightDecay ?? this.weightDecay,
      };
      hyper = { whole, undecayed: { ...whole, weightDecay: 0 } };
      this.#resolved.set(group, hyper);
    }
    return hyper;
  }

  #stepper(): Stepper {
    const backend = tf.backend();
    let stepper = this.#steppers.get(backend);
    if (stepper === undefined) {
      stepper = createStepper(tf.getBackend(), this.#configuration.engine);
      this.#steppers.set(backend, stepper);
    }
    return stepper;
  }
}
