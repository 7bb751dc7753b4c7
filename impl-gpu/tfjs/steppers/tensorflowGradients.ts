/**
 * Takes gradients out of TensorFlow's memory into a memory of WebAssembly. Reading a tensor makes a new array each time, whose page faults and
 * collection cost more than the step. TensorFlow takes an array at a multiple of 64 bytes without a copy, and its `InplaceUpdate`
 * (`inplace_ops.cc`) writes where its first input lies, so that it fills such an array.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Attribute, Handle, Tensorflow } from '../bridges/tensorflow.ts';
import { TYPES, withOwned } from '../bridges/tensorflow.ts';

/** Below, calls cost more than a new array. */
const LARGE = 16384;
/** `InplaceUpdate` goes element by element: four floats at once, as if they were complex numbers of 16 bytes. */
const WIDTH = 4;
/** Rows are faster than one long one. More than that are not faster still. */
const ROWS = 64;

/** The beginning of the array as TensorFlow knows it. */
interface Target {
  /** [rows, size / rows / WIDTH] complex numbers. */
  readonly memory: Handle;
  /** The number of each row. */
  readonly rows: Handle;
  /** What a gradient of the size is reshaped to. */
  readonly shape: Handle;
}

/** Copies gradients to the beginning of an array. */
export class GradientIntake {
  readonly #tensorflow: Tensorflow;
  readonly #array: Float32Array;
  readonly #reshape: readonly Attribute[];
  readonly #widen: readonly Attribute[];
  readonly #wide: readonly Attribute[];
  readonly #targets = new Map<number, Target>();
  /** Whether TensorFlow writes into the array itself. */
  readonly #shares: boolean;

  /** @param array - at a multiple of 64 bytes */
  constructor(tensorflow: Tensorflow, array: Float32Array) {
    const { attribute } = tensorflow;
    this.#tensorflow = tensorflow;
    this.#array = array;
    this.#reshape = [attribute.type('T', TYPES.float32), attribute.type('Tshape', TYPES.int32)];
    this.#widen = [attribute.type('T', TYPES.float32), attribute.type('type', TYPES.complex128)];
    this.#wide = [attribute.type('T', TYPES.complex128)];
    const trial = Float32Array.of(1, 2, 3, 4);
    const handle = tensorflow.tensor([WIDTH], TYPES.float32, trial);
    this.#update(this.#target(WIDTH), handle);
    tensorflow.free(handle);
    this.#shares = trial.every((value, i) => array[i] === value);
  }

  take(gradient: tf.Tensor): void {
    const { size } = gradient;
    if (this.#shares && size >= LARGE && size % WIDTH === 0) {
      this.#update(this.#target(size), this.#tensorflow.handle(gradient));
    } else this.#array.set(gradient.dataSync<'float32'>());
  }

  dispose(): void {
    for (const target of this.#targets.values()) {
      for (const handle of Object.values<Handle>({ ...target })) this.#tensorflow.free(handle);
    }
  }

  #target(size: number): Target {
    let target = this.#targets.get(size);
    if (target === undefined) {
      const tensorflow = this.#tensorflow;
      const wide = size / WIDTH;
      // The greatest power of two that divides it.
      const rows = Math.min(ROWS, wide & -wide);
      const shape = [rows, wide / rows, WIDTH];
      const floats = tensorflow.tensor(shape, TYPES.float32, this.#array.subarray(0, size));
      target = {
        memory: tensorflow.run('Bitcast', this.#widen, floats),
        rows: tensorflow.tensor(
          [rows],
          TYPES.int32,
          Int32Array.from({ length: rows }, (_, row) => row),
        ),
        shape: tensorflow.tensor([shape.length], TYPES.int32, Int32Array.from(shape)),
      };
      tensorflow.free(floats);
      this.#targets.set(size, target);
    }
    return target;
  }

  #update({ memory, rows, shape }: Target, handle: Handle): void {
    const tensorflow = this.#tensorflow;
    withOwned(tensorflow, (own) => {
      const shaped = own(tensorflow.run('Reshape', this.#reshape, handle, shape));
      const values = own(tensorflow.run('Bitcast', this.#widen, shaped));
      own(tensorflow.run('InplaceUpdate', this.#wide, memory, rows, values));
    });
  }
}
