import type * as tf from '@tensorflow/tfjs';
import type { ScalarName, StepPlan, TensorPlan } from '../../engines/engine.ts';
import { KEEP_ALL, isElementwise, kernelState } from '../../engines/engine.ts';
import type { Algebra } from '../../engines/formulas.ts';
import { update } from '../../engines/formulas.ts';
import { bringHome } from '../bridges/residence.ts';
import type { Attribute, Handle, Tensorflow } from '../bridges/tensorflow.ts';
import { TYPES, tensorflow as openTensorflow } from '../bridges/tensorflow.ts';
import { hostStepper } from './host.ts';
import type { StepEntry, Stepper } from './stepper.ts';
import { hasNativeOperations } from '../bridges/tensorflowAddon.ts';
import { NativeSteps } from './tensorflowNative.ts';
import { TrainingOperations } from './tensorflowTraining.ts';
import { MaskSource } from './tensorflowMasks.ts';

/** One variable's step on TensorFlow. */
interface Part {
  readonly plan: TensorPlan;
  readonly entry: StepEntry;
}

/** What makes a step. */
export interface Ways {
  /** Whether masks are drawn by TensorFlow, as on a GPU. */
  readonly onDevice: boolean;
  /** Whether the addon's own operation steps. */
  readonly native: boolean;
}

/** What this TensorFlow has. */
export function waysOf(tensorflow: Tensorflow): Ways {
  return { onDevice: tensorflow.gpu, native: hasNativeOperations(tensorflow) };
}

/** float32 scalars of one step as tensors, made when first asked for. */
class ScalarPool {
  readonly #tensorflow: Tensorflow;
  readonly #handles = new Map<number, Handle>();

  constructor(tensorflow: Tensorflow) {
    this.#tensorflow = tensorflow;
  }

  get(value: number): Handle {
    let handle = this.#handles.get(value);
    if (handle === undefined) {
      handle = this.#tensorflow.tensor([], TYPES.float32, Float32Array.of(value));
      this.#handles.set(value, handle);
    }
    return handle;
  }

  clear(): void {
    for (const handle of this.#handles.values()) this.#tensorflow.free(handle);
    this.#handles.clear();
  }
}

/** The operations of `engines/formulas.ts` on handles. All results are kept in `made`. */
function algebraOf(tensorflow: Tensorflow, made: Set<Handle>): Algebra<Handle> {
  const float: readonly Attribute[] = [tensorflow.attribute.type('T', TYPES.float32)];
  const operation =
    (name: string) =>
    (...inputs: readonly Handle[]): Handle => {
      const result = tensorflow.run(name, float, ...inputs);
      made.add(result);
      return result;
    };
  return {
    add: operation('AddV2'),
    sub: operation('Sub'),
    mul: operation('Mul'),
    div: operation('Div'),
    sqrt: operation('Sqrt'),
    max: operation('Maximum'),
  };
}

/**
 * Steps by the operation that `lrd setup tensorflow` compiled into the addon. Where there is none, as on a GPU, on TensorFlow's own operations: its fused
 * training operations where they compute the same formula, else the formula of `engines/formulas.ts` an operation at a time. A dropped
 * coordinate is selected then, so that it keeps its bits: TensorFlow's kernels flush subnormal numbers in arithmetic, but not in selecting.
 * Other kinds of mask than the element-wise are the array engine's then. So is an empty tensor whose factor is measured: it has no step, but its
 * alignment goes on.
 */
export function tensorflowStepper(ways = waysOf(openTensorflow())): Stepper {
  const tensorflow = openTensorflow();
  const { onDevice } = ways;
  const native = ways.native ? new NativeSteps(tensorflow) : undefined;
  const float: readonly Attribute[] = [tensorflow.attribute.type('T', TYPES.float32)];
  const masks = new MaskSource(tensorflow, onDevice);
  const training = new TrainingOperations(tensorflow);
  const scalars = new ScalarPool(tensorflow);

  /** The new parameter where it is kept, and the new state in place; `mask` undefined keeps all. */
  const byFormula = ({ plan, entry }: Part, mask: Handle | undefined): void => {
    const made = new Set<Handle>();
    try {
      const { kernel } = plan;
      const names = kernelState(kernel);
      const old = tensorflow.handle(entry.variable);
      const next = update(kernel, algebraOf(tensorflow, made), {
        parameter: old,
        gradient: tensorflow.handle(entry.gradient),
        state: names.map((name) => tensorflow.handle(entry.state[name] as tf.Variable)),
        scalar: (name: ScalarName) => scalars.get(plan.scalars[name]),
        zero: scalars.get(0),
      });
      let parameter = next.parameter;
      if (mask !== undefined) {
        parameter = tensorflow.run('Select', float, mask, next.parameter, old);
        made.add(parameter);
      }
      const results: (readonly [tf.Variable, Handle])[] = [
        [entry.variable, parameter],
        ...names.map((name, k) => [entry.state[name] as tf.Variable, next.state[k] as Handle] as const),
      ];
      for (const [variable, handle] of results) {
        // The gradient itself, where a formula hands it on, stays its owner's.
        const own = made.delete(handle) ? handle : tensorflow.run('Identity', float, handle);
        tensorflow.replace(variable, own);
      }
    } finally {
      for (const handle of made) tensorflow.free(handle);
    }
  };

  const stepPart = (part: Part, mask: Handle | undefined): void => {
    if (!training.step(part.plan, part.entry, mask, (value) => scalars.get(value))) byFormula(part, mask);
  };

  return {
    step: (plan: StepPlan, entries, extent) => {
      const here = (tensor: TensorPlan): boolean =>
        native === undefined ? isElementwise(tensor) : tensor.measure === null || tensor.size > 0;
      if (plan.tensors.some((tensor) => tensor !== null && !here(tensor))) {
        const aside = plan.tensors.map((tensor) => (tensor === null || here(tensor) ? null : tensor));
        // A new one each time: it must not remember values that TensorFlow replaces in the next step.
        hostStepper().step(
          { ...plan, tensors: aside },
          entries.map((entry, index) => (aside[index] === null ? null : entry)),
          extent,
        );
      }
      const parts = plan.tensors.flatMap((tensor, index): Part[] => {
        if (tensor !== null && !here(tensor)) return [];
        const entry = entries[index];
        return tensor === null || entry === null || entry === undefined || tensor.size === 0
          ? []
          : [{ plan: tensor, entry }];
      });
      for (const { entry } of parts) {
        [entry.variable, entry.gradient, ...Object.values(entry.state)].forEach(bringHome);
      }
      if (native !== undefined) {
        native.step(plan, parts);
        return;
      }
      const masked = parts.filter((part) => part.plan.threshold < KEEP_ALL);
      try {
        masks.each(
          { key: plan.key, stream: 'mask', step: plan.step },
          masked.map(({ plan: { base, size, threshold }, entry }) => ({
            base,
            size,
            threshold,
            shape: entry.variable.shape,
          })),
          (index, mask) => stepPart(masked[index] as Part, mask),
        );
        for (const part of parts) if (part.plan.threshold === KEEP_ALL) stepPart(part, undefined);
      } finally {
        scalars.clear();
      }
    },
    dispose: () => {
      training.dispose();
    },
  };
}
