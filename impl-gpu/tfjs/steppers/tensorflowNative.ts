/**
 * The fused step inside TensorFlow, where `lrd setup tensorflow` compiled it into the addon (`impl-gpu/tensorflow/native`): the stream's
 * draws, every rule and the select in one pass over the buffers of TensorFlow's tensors, in place, over all cores, one call a step. It has the bits of the
 * WASM engine, at p = 1 too. No mask is stored, and no element passes through JavaScript.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Kernel, StepPlan, TensorPlan } from '../../engines/engine.ts';
import { SCALARS, kernelState } from '../../engines/engine.ts';
import { LAYOUT } from '../../../spec/stream.ts';
import { InvalidArgumentError } from '../../validate.ts';
import type { Handle, Tensorflow } from '../bridges/tensorflow.ts';
import { TYPES, withOwned } from '../bridges/tensorflow.ts';
import { nativeOperations } from '../../tensorflow/native.ts';
import type { StepEntry } from './stepper.ts';

/** As `Family` in `native/step.h`. */
const FAMILIES: readonly Kernel['family'][] = ['gradient', 'momentum', 'rmsprop', 'adam', 'amsgrad', 'first-moment'];
/** The bits of `native/step.h`, from 1 up. */
const FLAGS = ['coupled', 'decoupled', 'nesterov', 'centered', 'inside', 'buffered'] as const;
/** Words of a plan ahead of its records, and of a record, as `native/operation.cc` reads them. */
const HEADER = 3;
const RECORD = 8 + SCALARS.length;

/** One variable's step. */
export interface NativePart {
  readonly plan: TensorPlan;
  readonly entry: StepEntry;
}

/** Whether the addon below tfjs was built with this package's source. */
export function hasNativeSteps(tensorflow: Tensorflow): boolean {
  if (tensorflow.gpu) return false;
  const { hold, giveBack } = nativeOperations();
  const { attribute } = tensorflow;
  try {
    withOwned(tensorflow, (own) => {
      const ticket = own(
        tensorflow.run(hold, [attribute.whole('N', 1)], own(tensorflow.tensor([], TYPES.float32, new Float32Array(1)))),
      );
      tensorflow.runMany(giveBack, [attribute.whole('M', 1)], 1, [ticket]).forEach(own);
    });
    return true;
  } catch {
    return false;
  }
}

/** Steps variables by the operation of the addon. */
export class NativeSteps {
  readonly #tensorflow: Tensorflow;
  /** What a variable was given by an earlier step: nobody but TensorFlow's count of owners knows of its memory. */
  readonly #given = new WeakMap<tf.Variable, Handle>();

  constructor(tensorflow: Tensorflow) {
    this.#tensorflow = tensorflow;
  }

  /** Steps all parts, or none and throws. */
  step({ key, step }: StepPlan, parts: readonly NativePart[]): void {
    if (parts.length === 0) return;
    const written = parts.map(({ plan, entry }): tf.Variable[] => [
      entry.variable,
      ...kernelState(plan.kernel).map((name) => entry.state[name] as tf.Variable),
    ]);
    for (const { plan, entry } of parts) {
      if (entry.gradient.size === plan.size) continue;
      throw new InvalidArgumentError(
        `the gradient must have ${plan.size} elements as planned, got ${entry.gradient.size}`,
      );
    }
    this.#exchange(
      this.#words(key, step, parts, written),
      written.flat(),
      parts.map(({ entry }) => this.#tensorflow.handle(entry.gradient)),
    );
  }

  #words(
    key: StepPlan['key'],
    step: number,
    parts: readonly NativePart[],
    written: readonly (readonly tf.Variable[])[],
  ): Int32Array {
    const words = new Int32Array(HEADER + parts.length * RECORD);
    words.set([step, ...key]);
    const numbers = new Float32Array(words.buffer);
    parts.forEach(({ plan: { kernel, scalars, threshold, base } }, index) => {
      const block = base / LAYOUT.halvesPerBlock;
      const own = written[index] as readonly tf.Variable[];
      const at = HEADER + index * RECORD;
      words.set(
        [
          FAMILIES.indexOf(kernel.family),
          FLAGS.reduce((bits, name, bit) => (kernel[name] ? bits | (1 << bit) : bits), 0),
          threshold,
          block,
          Math.floor(block / 2 ** 32),
          own.reduce((bits, variable, k) => (this.#owns(variable) ? bits | (1 << k) : bits), 0),
          own.length - 1,
          index,
        ],
        at,
      );
      numbers.set(
        SCALARS.map((name) => scalars[name]),
        at + 8,
      );
    });
    return words;
  }

  #owns(variable: tf.Variable): boolean {
    const given = this.#given.get(variable);
    return given !== undefined && given === this.#tensorflow.handle(variable);
  }

  /**
   * Hands variables to the addon, which steps them once tfjs has let go of them, and gives them back stepped; where the step fails, as they were.
   * @param gradients - handles, as many as the plan has records
   */
  #exchange(plan: Int32Array, variables: readonly tf.Variable[], gradients: readonly Handle[]): void {
    const tensorflow = this.#tensorflow;
    const { attribute } = tensorflow;
    const { hold, step, giveBack } = nativeOperations();
    const outputs = variables.length;
    withOwned(tensorflow, (own) => {
      const handles = variables.map((variable) => tensorflow.handle(variable));
      const words = own(tensorflow.tensor([plan.length], TYPES.int32, plan));
      const ticket = own(tensorflow.run(hold, [attribute.whole('N', outputs)], ...handles));
      // What somebody else holds keeps its handle, so that the step finds another owner; a gradient may be the variable itself.
      const read = new Set(gradients);
      variables.forEach((variable, k) => {
        if (tensorflow.refCount(variable) === 1 && !read.has(handles[k] as Handle)) tensorflow.withdraw(variable);
      });
      let stepped = false;
      let results: readonly Handle[];
      try {
        results = tensorflow.runMany(
          step,
          [attribute.whole('N', gradients.length), attribute.whole('M', outputs)],
          outputs,
          [ticket, words, ...gradients],
        );
        stepped = true;
      } finally {
        if (!stepped) {
          const back = tensorflow.runMany(giveBack, [attribute.whole('M', outputs)], outputs, [ticket]);
          variables.forEach((variable, k) => tensorflow.replace(variable, back[k] as Handle));
        }
      }
      variables.forEach((variable, k) => {
        const handle = results[k] as Handle;
        tensorflow.replace(variable, handle);
        this.#given.set(variable, handle);
      });
    });
  }
}
