/**
 * TensorFlow's fused training operations (`ResourceApplyAdam` and its like, `training_ops.cc`): one pass over a variable and its
 * state, where an operation at a time takes ten. They work in place on TensorFlow's own variables, so that each tensor of state
 * has one behind it, which shares its memory with the variable of tfjs.
 *
 * They form 1 - beta in float32 from a float32 beta, as TensorFlow's optimizers do: relative to 1 - .999 that is 1.3e-5.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Scalars, TensorPlan } from '../../engines/engine.ts';
import { kernelState } from '../../engines/engine.ts';
import type { Attribute, Handle, Tensorflow } from '../bridges/tensorflow.ts';
import { TYPES } from '../bridges/tensorflow.ts';
import type { StepEntry } from './stepper.ts';

/** `ResourceHandle::ANONYMOUS_NAME`: a variable of its own at every call. */
const ANONYMOUS = 'cd2c89b7-88b7-44c8-ad83-06c2a9158347';

/** Stands for a state that a rule does not have. */
const SCRATCH = '';

/** A call of a fused operation: variables and scalars around the gradient, in the operation's order. */
interface Call {
  readonly operation: string;
  /** Attributes that are true. */
  readonly flags: readonly string[];
  /** State behind the parameter, by name; `SCRATCH` starts as the gradient and is thrown away. */
  readonly state: readonly string[];
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** The fused operation for a planned step, or undefined where none computes its formula. */
function callOf({ kernel, scalars }: TensorPlan): Call | undefined {
  const { rate, firstKeep, firstAdd, secondKeep, momentum, epsilon, maxScale }: Scalars = scalars;
  switch (kernel.family) {
    case 'gradient':
      return { operation: 'ResourceApplyGradientDescent', flags: [], state: [], before: [rate], after: [] };
    case 'momentum':
      // accum = accum * momentum + g: the first step, which forgets the buffer, and dampening are others.
      if (firstKeep !== momentum || firstAdd !== 1) return undefined;
      return {
        operation: 'ResourceApplyMomentum',
        flags: kernel.nesterov ? ['use_nesterov'] : [],
        state: ['buf'],
        before: [rate],
        after: [momentum],
      };
    case 'rmsprop':
      if (kernel.centered || kernel.inside || kernel.buffered || !lerps(secondKeep)) return undefined;
      // Adam whose first moment is the gradient: m + (g - m) * 1 with m = g.
      return adamCall([SCRATCH, 'v'], [0, 0, rate, 0, secondKeep, epsilon]);
    case 'adam':
      if (!lerps(firstKeep) || !lerps(secondKeep)) return undefined;
      return adamCall(['m', 'v'], [0, 0, rate, firstKeep, secondKeep, epsilon]);
    case 'amsgrad':
      if (maxScale !== 1 || !lerps(firstKeep) || !lerps(secondKeep)) return undefined;
      return {
        ...adamCall(['m', 'v', 'vmax'], [0, 0, rate, firstKeep, secondKeep, epsilon]),
        operation: 'ResourceApplyAdamWithAmsgrad',
      };
    case 'first-moment':
      return undefined;
  }
}

/** m + (g - m) * (1 - beta), as these operations have it, loses a small g to a large m when beta is small. */
const lerps = (beta: number): boolean => beta >= 0.5;

/** beta1_power and beta2_power are 0: the corrections are in `rate` and `epsilon` already. */
function adamCall(state: readonly string[], before: readonly number[]): Call {
  return { operation: 'ResourceApplyAdam', flags: [], state, before, after: [] };
}

/** TensorFlow's variable behind one of tfjs's. */
interface Resource {
  readonly handle: Handle;
  /** What was read from it, or written to it, last: while tfjs's variable holds that, both have the same memory. */
  shared: Handle | undefined;
}

/** Steps variables by fused operations, in place. */
export class TrainingOperations {
  readonly #tensorflow: Tensorflow;
  readonly #resources = new Map<tf.Variable, Resource>();
  readonly #dtype: readonly Attribute[];
  readonly #float: readonly Attribute[];

  constructor(tensorflow: Tensorflow) {
    this.#tensorflow = tensorflow;
    this.#dtype = [tensorflow.attribute.type('dtype', TYPES.float32)];
    this.#float = [tensorflow.attribute.type('T', TYPES.float32)];
  }

  /** False where no fused operation computes this step: nothing was done. */
  step(
    plan: TensorPlan,
    { variable, gradient, state }: StepEntry,
    mask: Handle | undefined,
    scalar: (value: number) => Handle,
  ): boolean {
    const call = callOf(plan);
    if (call === undefined) return false;
    const tensorflow = this.#tensorflow;
    const { kernel, scalars } = plan;
    const owned: Handle[] = [];
    const run = (operation: string, ...inputs: readonly Handle[]): Handle => {
      const result = tensorflow.run(operation, this.#float, ...inputs);
      owned.push(result);
      return result;
    };
    const scratch: Handle[] = [];
    try {
      let g = tensorflow.handle(gradient);
      if (kernel.coupled) g = run('AddV2', g, run('Mul', scalar(scalars.decay), tensorflow.handle(variable)));
      const parameter = this.#resource(variable);
      if (kernel.decoupled) {
        // Decay first; where the mask drops the step, the decay goes with it.
        const decayed = tensorflow.run('Mul', this.#float, scalar(1 - scalars.shrink), tensorflow.handle(variable));
        this.#write(parameter, decayed);
        // Held by its variable alone, it is stepped without a copy.
        tensorflow.free(decayed);
        parameter.shared = undefined;
      } else this.#lend(variable, mask === undefined);
      const inputs = call.state.map((name): Handle => {
        if (name !== SCRATCH) return this.#lend(state[name] as tf.Variable, true);
        const resource = { handle: this.#create(variable.shape), shared: undefined };
        scratch.push(resource.handle);
        this.#write(resource, g);
        return resource.handle;
      });
      let done = false;
      try {
        tensorflow.act(
          call.operation,
          [
            ...this.#float,
            tensorflow.attribute.flag('use_locking', false),
            ...call.flags.map((name) => tensorflow.attribute.flag(name, true)),
          ],
          parameter.handle,
          ...inputs,
          ...call.before.map(scalar),
          g,
          ...call.after.map(scalar),
        );
        done = true;
      } finally {
        for (const name of kernelState(kernel)) this.#takeBack(state[name] as tf.Variable);
        // With decoupled decay nothing was lent: after a failure the variable is as it was.
        if (mask === undefined && (done || !kernel.decoupled)) this.#takeBack(variable);
      }
      if (mask !== undefined) {
        const stepped = tensorflow.run('ReadVariableOp', this.#dtype, parameter.handle);
        owned.push(stepped);
        const selected = tensorflow.run('Select', this.#float, mask, stepped, tensorflow.handle(variable));
        tensorflow.replace(variable, selected);
        this.#write(parameter, selected);
      }
      return true;
    } finally {
      for (const handle of owned) tensorflow.free(handle);
      for (const handle of scratch) this.#destroy(handle);
    }
  }

  /** Frees TensorFlow's variables; those of tfjs keep their values. */
  dispose(): void {
    for (const { handle } of this.#resources.values()) this.#destroy(handle);
    this.#resources.clear();
  }

  /** The resource of a variable, with its present values. `inPlace`: tfjs lets go of the memory, and `takeBack` must follow. */
  #lend(variable: tf.Variable, inPlace: boolean): Handle {
    const resource = this.#resource(variable);
    const handle = this.#tensorflow.handle(variable);
    // Memory of another origin may be a caller's own array: it is copied when written to, because tfjs holds on to it.
    if (handle !== resource.shared) this.#write(resource, handle);
    else if (inPlace && this.#tensorflow.refCount(variable) === 1) this.#tensorflow.withdraw(variable);
    return resource.handle;
  }

  #takeBack(variable: tf.Variable): void {
    const resource = this.#resource(variable);
    const handle = this.#tensorflow.run('ReadVariableOp', this.#dtype, resource.handle);
    this.#tensorflow.replace(variable, handle);
    resource.shared = handle;
  }

  #write(resource: Resource, handle: Handle): void {
    this.#tensorflow.act('AssignVariableOp', this.#dtype, resource.handle, handle);
    resource.shared = handle;
  }

  #resource(variable: tf.Variable): Resource {
    let resource = this.#resources.get(variable);
    if (resource === undefined) {
      resource = { handle: this.#create(variable.shape), shared: undefined };
      this.#resources.set(variable, resource);
    }
    return resource;
  }

  #create(shape: readonly number[]): Handle {
    const { attribute } = this.#tensorflow;
    return this.#tensorflow.run('VarHandleOp', [
      ...this.#dtype,
      attribute.shape('shape', shape),
      attribute.text('container', ''),
      attribute.text('shared_name', ANONYMOUS),
    ]);
  }

  #destroy(handle: Handle): void {
    this.#tensorflow.act('DestroyResourceOp', [this.#tensorflow.attribute.flag('ignore_lookup_error', true)], handle);
    this.#tensorflow.free(handle);
  }
}
