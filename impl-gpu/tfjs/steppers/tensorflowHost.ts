/**
 * Masked steps of SGD where TensorFlow's memory is the processor's. TensorFlow would need the mask as a tensor, a copy of the old parameter
 * and a select; the WASM kernel does it all in one pass. Parameters and state live in one WebAssembly memory, laid out as the mask
 * stream is: the gradient is copied in, the new parameter copied out, and the state only when somebody asks for it.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Engine, StepPlan, TensorPlan } from '../../engines/engine.ts';
import { KEEP_ALL, kernelState } from '../../engines/engine.ts';
import { createWasmEngine } from '../../engines/wasm.ts';
import { PAGE } from '../../engines/wasmModule.ts';
import { InvalidArgumentError } from '../../validate.ts';
import type { Handle, Tensorflow } from '../bridges/tensorflow.ts';
import { TYPES } from '../bridges/tensorflow.ts';
import type { StepEntry } from './stepper.ts';
import { GradientIntake } from './tensorflowGradients.ts';

/** The largest layout that has room: a WebAssembly memory ends at 4 GiB. */
export const HOST_ELEMENTS = 2 ** 28;

/** The memory holds a gradient, which all variables share, then all parameters, then all momentum buffers. */
const AREAS = 3;
/** Bytes behind each, so that they fall into different sets of a cache. */
const GAP = 192;
/** Bytes by which parameters miss the alignment at which TensorFlow shares an array instead of copying it. */
const SKEW = 16;

/**
 * Whether a step is taken here: masked, and of a rule whose unmasked step on TensorFlow leaves the same bits in the state, since that must not
 * depend on the mask. The fused operations for the other rules round their moments otherwise.
 */
export function stepsOnHost({ kernel: { family }, threshold }: TensorPlan): boolean {
  return threshold < KEEP_ALL && (family === 'gradient' || family === 'momentum');
}

/** Where a variable is in the memory. */
interface Place {
  readonly parameter: Float32Array;
  readonly state: Readonly<Record<string, Float32Array>>;
  /** What TensorFlow was given last: as long as the variable has that, `parameter` is right. */
  given: Handle | undefined;
}

/** Steps variables in a memory of its own. */
export class HostSteps {
  readonly #tensorflow: Tensorflow;
  readonly #buffer: ArrayBuffer;
  readonly #stride: number;
  readonly #engine: Engine<number>;
  readonly #gradients: GradientIntake;
  readonly #places = new Map<number, Place>();

  /** Elements of the whole layout that it was made for. */
  readonly extent: number;

  /** @param extent - elements of the whole layout, at most `HOST_ELEMENTS` */
  constructor(tensorflow: Tensorflow, extent: number) {
    this.extent = extent;
    this.#tensorflow = tensorflow;
    this.#stride = Math.ceil(extent / 16) * 64 + GAP;
    const memory = new WebAssembly.Memory({ initial: Math.ceil((AREAS * this.#stride) / PAGE) });
    this.#buffer = memory.buffer;
    this.#engine = createWasmEngine(memory);
    this.#gradients = new GradientIntake(tensorflow, new Float32Array(memory.buffer, 0, this.#stride / 4));
  }

  step({ key, step }: StepPlan, plan: TensorPlan, { variable, gradient, state }: StepEntry): void {
    if (gradient.size !== plan.size) {
      throw new InvalidArgumentError(`the gradient must have ${plan.size} elements as planned, got ${gradient.size}`);
    }
    const tensorflow = this.#tensorflow;
    const place = this.#place(plan, Object.keys(state));
    this.#gradients.take(gradient);
    for (const name of kernelState(plan.kernel)) {
      tensorflow.lend(state[name] as tf.Variable, place.state[name] as Float32Array);
    }
    if (tensorflow.handle(variable) !== place.given) place.parameter.set(variable.dataSync<'float32'>());
    place.given = undefined;
    this.#engine.step({ key, step, tensors: [plan] }, [
      {
        parameter: place.parameter.byteOffset,
        gradient: 0,
        state: Object.fromEntries(Object.entries(place.state).map(([name, { byteOffset }]) => [name, byteOffset])),
      },
    ]);
    place.given = tensorflow.tensor(variable.shape, TYPES.float32, place.parameter);
    tensorflow.replace(variable, place.given);
  }

  /** Variables keep their values: what state still lies in the memory keeps that alive. */
  dispose(): void {
    this.#gradients.dispose();
  }

  #place({ base, size }: TensorPlan, names: readonly string[]): Place {
    let place = this.#places.get(base);
    if (place === undefined) {
      const within = (area: number): Float32Array =>
        new Float32Array(this.#buffer, area * this.#stride + 4 * base + (area === 1 ? SKEW : 0), size);
      place = {
        parameter: within(1),
        state: Object.fromEntries(names.map((name, k) => [name, within(2 + k)])),
        given: undefined,
      };
      this.#places.set(base, place);
    }
    return place;
  }
}
