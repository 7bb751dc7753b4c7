/**
 * Everything that this project knows of tfjs-backend-cpu's internals (4.22.0, `backend_cpu.ts`): a tensor's values are a
 * typed array in `data.get(dataId).values`, which `data()` and `dataSync()` hand out without copying.
 */
import * as tf from '@tensorflow/tfjs';
import { putUnread, unreadOf } from './unread.ts';
import { requireTfjsVersion } from './version.ts';

interface TensorRecord {
  values?: unknown;
  readonly refCount: number;
}

interface CpuBackend extends tf.KernelBackend {
  /** `get` of an unknown id asks tfjs to move it here and fails oddly: ask `has` first. */
  readonly data: {
    has(dataId: object): boolean;
    get(dataId: object): TensorRecord;
  };
  makeTensorInfo(shape: number[], dtype: 'float32', values: Float32Array): tf.TensorInfo;
}

/** The cpu backend's storage. */
export interface CpuStorage {
  /** The array itself: to be read, never written. */
  values(tensor: tf.TensorInfo): Float32Array;
  /** The array of a kernel's float32 input, which tfjs lets live on another backend: it is brought over first. To be read, never written. */
  input(tensor: tf.TensorInfo): Float32Array;
  /** A new float32 tensor that takes the array over. */
  make(shape: readonly number[], values: Float32Array): tf.TensorInfo;
  /** Puts another array in its place. Arrays that were handed out before keep the old values. */
  replace(tensor: tf.TensorInfo, values: Float32Array): void;
  /**
   * An array to be written in place, of the tensor's values: its own as long as nobody has read the tensor since this was called
   * before, else a copy, which takes its place. Tensors that share the data see what is written.
   */
  writable(tensor: tf.TensorInfo): Float32Array;
  /** How many tensors share the data. */
  refCount(tensor: tf.TensorInfo): number;
}

/** Storage of the registered cpu backend. Throws when tfjs is another version or its internals are not as expected. */
export function cpuStorage(): CpuStorage {
  requireTfjsVersion();
  const backend = tf.findBackend('cpu') as CpuBackend;
  const record = (tensor: tf.TensorInfo): TensorRecord => {
    const found = backend.data.has(tensor.dataId) ? backend.data.get(tensor.dataId) : undefined;
    if (found === undefined || !(unreadOf(found) !== undefined || found.values instanceof Float32Array)) {
      throw new Error('a float32 tensor of the cpu backend was expected; this one is disposed or foreign');
    }
    return found;
  };
  return {
    values: (tensor) => record(tensor).values as Float32Array,
    input: ({ dataId }) => backend.data.get(dataId).values as Float32Array,
    make: (shape, values) => backend.makeTensorInfo([...shape], 'float32', values),
    replace: (tensor, values) => {
      record(tensor).values = values;
    },
    writable: (tensor) => {
      const found = record(tensor);
      const own = unreadOf(found);
      if (own !== undefined) return own;
      const copy = (found.values as Float32Array).slice();
      putUnread(found, copy);
      return copy;
    },
    refCount: (tensor) => record(tensor).refCount,
  };
}
