/**
 * The fused step inside TensorFlow, where `lrd setup tensorflow` compiled it into the addon (`impl-gpu/tensorflow/native`): the stream's
 * draws, every rule and the select in one pass over the buffers of TensorFlow's tensors, in place, over all cores, one call a step. It has the bits of the
 * WASM engine, at p = 1 too. No mask is stored, and no element passes through JavaScript.
 */
import * as tf from '@tensorflow/tfjs';
import type { Kernel, Measured, StepPlan, TensorPlan, WasmMeasure } from '../../engines/engine.ts';
import { MEASURED, SCALARS, kernelState } from '../../engines/engine.ts';
import { applyMeasured, isMeasuredOnTheWay } from '../../engines/measuring.ts';
import { MASK_STATE } from '../../../spec/family.ts';
import { LAYOUT } from '../../../spec/stream.ts';
import { InvalidArgumentError } from '../../validate.ts';
import type { Handle, Tensorflow } from '../bridges/tensorflow.ts';
import { TYPES, withOwned } from '../bridges/tensorflow.ts';
import { nativeOperations } from '../../tensorflow/native.ts';
import type { StepEntry } from './stepper.ts';

/** As `Family` in `native/step.h`. */
const FAMILIES: readonly Kernel['family'][] = ['gradient', 'momentum', 'rmsprop', 'adam', 'amsgrad', 'first-moment'];
/** The bits of `native/step.h`, from 1 up. */
const FLAGS = ['coupled', 'decoupled', 'nesterov', 'centered', 'inside', 'buffered', 'agreement', 'plain'] as const;
/** As `Measured` there. */
const SUMS: readonly Measured['of'][] = ['alignment', 'agreement'];
/** Sums of a stretch, float64 numbers. */
const SUMS_OF_STRETCH = 3;
/** Words of a plan ahead of its records, and of a record, as `native/operation.cc` reads them. */
const HEADER = 3;
const RECORD = 9 + SCALARS.length;
/** Words of a record of a measuring. */
const MEASURE_RECORD = 5 + SCALARS.length;

/** One variable's step. */
export interface NativePart {
  readonly plan: TensorPlan;
  readonly entry: StepEntry;
}

/** Family and flags of a kernel as words of a record. */
const kernelWords = (kernel: Kernel): [family: number, flags: number] => [
  FAMILIES.indexOf(kernel.family),
  FLAGS.reduce((bits, name, bit) => (kernel[name] ? bits | (1 << bit) : bits), 0),
];

/** A measure's kind and way as words of a record. */
const measureWords = (measured: Measured): [of: number, way: number] => [
  SUMS.indexOf(measured.of),
  measured.of === 'alignment' ? Number(measured.own) | (Number(measured.before) << 1) : 0,
];

/** A part that is measured. */
interface MeasuredPart extends NativePart {
  /** Its place in the step. */
  readonly index: number;
  readonly measured: Measured;
  readonly work: WasmMeasure;
  readonly onTheWay: boolean;
}

function measuredParts(parts: readonly NativePart[]): readonly MeasuredPart[] {
  return parts.flatMap(({ plan, entry }, index) => {
    if (plan.measure === null) return [];
    const { measured } = plan.measure;
    return [{ index, plan, entry, measured, work: plan.measure.wasm(plan), onTheWay: isMeasuredOnTheWay(plan) }];
  });
}

/** A state of a measure that has gone on. */
type Alignment = readonly [variable: tf.Variable, value: Float32Array];

/** What sums make of parts: their plans with the factors in them, and their alignments. */
function applySums(
  parts: readonly MeasuredPart[],
  sums: Float64Array,
): { readonly plans: readonly TensorPlan[]; readonly alignments: readonly Alignment[] } {
  const alignments: Alignment[] = [];
  let at = 0;
  const plans = parts.map(({ plan, entry }) => {
    const results = Array.from({ length: Math.ceil(plan.size / MEASURED) }, () =>
      sums.subarray(at, (at += SUMS_OF_STRETCH)),
    );
    const variable = entry.state[MASK_STATE.alignment];
    const alignment = variable?.dataSync<'float32'>().slice();
    if (variable !== undefined && alignment !== undefined) alignments.push([variable, alignment]);
    return applyMeasured(plan, results, alignment);
  });
  return { plans, alignments };
}

function assignAll(alignments: readonly Alignment[]): void {
  for (const [variable, value] of alignments) {
    const tensor = tf.tensor(value, variable.shape);
    variable.assign(tensor);
    tensor.dispose();
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

  /** Steps all parts, or none and throws. Empty tensors have nothing to measure. */
  step({ key, step }: StepPlan, given: readonly NativePart[]): void {
    if (given.length === 0) return;
    for (const { plan, entry } of given) {
      if (entry.gradient.size === plan.size) continue;
      throw new InvalidArgumentError(
        `the gradient must have ${plan.size} elements as planned, got ${entry.gradient.size}`,
      );
    }
    const works = measuredParts(given);
    const { parts, settle, drop } = this.#measured(given, works.filter(({ onTheWay }) => !onTheWay)); // prettier-ignore
    const late = works.filter(({ onTheWay }) => onTheWay);
    const written = parts.map(({ plan, entry }): tf.Variable[] => [
      entry.variable,
      ...kernelState(plan.kernel).map((name) => entry.state[name] as tf.Variable),
    ]);
    let sums: Float64Array;
    try {
      sums = this.#exchange(
        this.#words(key, step, parts, late, written),
        written.flat(),
        parts.map(({ entry }) => this.#tensorflow.handle(entry.gradient)),
        late.length > 0,
      );
    } catch (error) {
      drop();
      throw error;
    }
    settle();
    assignAll(applySums(late, sums).alignments);
  }

  /** The sums in a tensor of their words, which is disposed of. */
  #sumsOf(handle: Handle): Float64Array {
    // A copy begins where float64 numbers may.
    return new Float64Array(this.#tensorflow.words(handle).slice().buffer);
  }

  /**
   * The parts with measured factors in their scalars: those of `works`. The state of the measures themselves goes on by `settle`, once the step has been
   * taken; `drop` leaves it as it was.
   */
  #measured(
    parts: readonly NativePart[],
    works: readonly MeasuredPart[],
  ): {
    readonly parts: readonly NativePart[];
    readonly settle: () => void;
    readonly drop: () => void;
  } {
    if (works.length === 0) return { parts, settle: () => undefined, drop: () => undefined };
    const tensorflow = this.#tensorflow;
    const words = new Int32Array(works.length * MEASURE_RECORD);
    const numbers = new Float32Array(words.buffer);
    works.forEach(({ plan: { kernel }, measured, work }, i) => {
      words.set([...kernelWords(kernel), ...measureWords(measured), work.reads.length], i * MEASURE_RECORD);
      numbers.set(
        SCALARS.map((name) => work.scalars[name]),
        i * MEASURE_RECORD + 5,
      );
    });
    const read = works.flatMap(({ plan: { kernel }, entry, work }) => [
      entry.gradient,
      ...(kernel.coupled ? [entry.variable] : []),
      ...work.reads.map((name) => entry.state[name] as tf.Variable),
    ]);
    /** Own moments, which the operation gives anew, by their variables. */
    const moments = works.flatMap(({ entry, work }) => (work.writes ? [entry.state[work.reads[0] as string] as tf.Variable] : [])); // prettier-ignore
    const { sums, next } = withOwned(tensorflow, (own) => {
      const { attribute } = tensorflow;
      const [total, ...rest] = tensorflow.runMany(
        nativeOperations().measure,
        [attribute.whole('N', read.length), attribute.whole('M', moments.length)],
        1 + moments.length,
        [
          own(tensorflow.tensor([words.length], TYPES.int32, words)),
          ...read.map((tensor) => tensorflow.handle(tensor)),
        ],
      );
      return { sums: this.#sumsOf(own(total as Handle)), next: rest };
    });
    const { plans, alignments } = applySums(works, sums);
    const known: NativePart[] = [...parts];
    works.forEach(({ index, entry }, i) => (known[index] = { plan: plans[i] as TensorPlan, entry }));
    return {
      parts: known,
      settle: () => {
        moments.forEach((variable, i) => tensorflow.replace(variable, next[i] as Handle));
        assignAll(alignments);
      },
      drop: () => next.forEach((handle) => tensorflow.free(handle)),
    };
  }

  #words(
    key: StepPlan['key'],
    step: number,
    parts: readonly NativePart[],
    late: readonly MeasuredPart[],
    written: readonly (readonly tf.Variable[])[],
  ): Int32Array {
    const ways = new Map(late.map(({ index, measured }) => [index, 1 + measureWords(measured)[1]]));
    const words = new Int32Array(HEADER + parts.length * RECORD);
    words.set([step, ...key]);
    const numbers = new Float32Array(words.buffer);
    parts.forEach(({ plan: { kernel, scalars, threshold, base } }, index) => {
      const block = base / LAYOUT.halvesPerBlock;
      const own = written[index] as readonly tf.Variable[];
      const at = HEADER + index * RECORD;
      words.set(
        [
          ...kernelWords(kernel),
          threshold,
          block,
          Math.floor(block / 2 ** 32),
          own.reduce((bits, variable, k) => (this.#owns(variable) ? bits | (1 << k) : bits), 0),
          own.length - 1,
          index,
          ways.get(index) ?? 0,
        ],
        at,
      );
      numbers.set(
        SCALARS.map((name) => scalars[name]),
        at + 9,
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
   * @param measures - whether anything is measured on the way
   * @returns the sums of that
   */
  #exchange(
    plan: Int32Array,
    variables: readonly tf.Variable[],
    gradients: readonly Handle[],
    measures: boolean,
  ): Float64Array {
    const tensorflow = this.#tensorflow;
    const { attribute } = tensorflow;
    const { hold, step, giveBack } = nativeOperations();
    const outputs = variables.length;
    return withOwned(tensorflow, (own) => {
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
          outputs + 1,
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
      const sums = own(results[outputs] as Handle);
      return measures ? this.#sumsOf(sums) : new Float64Array();
    });
  }
}
