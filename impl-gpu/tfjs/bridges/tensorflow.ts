/**
 * Everything that this project knows of tfjs-node's internals, in one place (4.22.0, `nodejs_kernel_backend.ts` and
 * `binding/tfjs_backend.cc`): a tensor is a record in `tensorMap` with the number of a TensorFlow handle, or with values that
 * were not handed over yet; `binding.executeOp` runs any operation of TensorFlow on such numbers, whatever their types, while
 * the methods above it refuse types that tfjs lacks. Handles made here are freed by hand: no `tidy` knows of them.
 */
import * as tf from '@tensorflow/tfjs';
import { requireTfjsVersion } from './version.ts';

/** TensorFlow's numbers for types (`tf_datatype.h`), as far as they are used here. */
export const TYPES = {
  float32: 1,
  int32: 3,
  uint8: 4,
  int64: 9,
  bool: 10,
  uint16: 17,
  complex128: 18,
  uint32: 22,
  uint64: 23,
} as const;
export type TypeNumber = (typeof TYPES)[keyof typeof TYPES];

/** The binding's number of a TensorFlow tensor. */
export type Handle = number;

/** An operation's attribute, as the binding takes it. */
export interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

interface TensorRecord {
  shape: readonly number[];
  dtype: number;
  values: unknown;
  /** Below 0: not handed over yet. */
  id: number;
  readonly refCount: number;
}

/** The native part: `tfjs_binding.d.ts`. */
interface Binding {
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_SHAPE: number;
  createTensor(shape: readonly number[], dtype: number, values: unknown): Handle;
  deleteTensor(id: Handle): void;
  getNumOfTensors(): number;
  tensorDataSync(id: Handle): unknown;
  executeOp(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly Handle[],
    outputs: number,
  ): { readonly id: Handle }[];
}

interface TensorflowBackend extends tf.KernelBackend {
  readonly binding: Binding;
  /** Asked of the binding once, when the backend starts. */
  readonly isUsingGpuDevice: boolean;
  /** `get` of an unknown id asks tfjs to move it here and fails oddly: ask `has` first. */
  readonly tensorMap: {
    has(dataId: object): boolean;
    get(dataId: object): TensorRecord;
    set(dataId: object, record: TensorRecord): void;
  };
}

/** TensorFlow below tfjs. Every handle that `tensor` and `run` give is the caller's to free, or to hand over with `replace`. */
export interface Tensorflow {
  /** Whether its memory is a GPU's. */
  readonly gpu: boolean;
  tensor(shape: readonly number[], type: TypeNumber, values: Float32Array | Int32Array | Uint8Array): Handle;
  /** Runs an operation with one output. */
  run(operation: string, attributes: readonly Attribute[], ...inputs: readonly Handle[]): Handle;
  /** Runs an operation with `outputs` outputs, and gives their handles. */
  runMany(operation: string, attributes: readonly Attribute[], outputs: number, inputs: readonly Handle[]): Handle[];
  /** Runs an operation without an output. */
  act(operation: string, attributes: readonly Attribute[], ...inputs: readonly Handle[]): void;
  free(handle: Handle): void;
  /** The values of a handle of int32. */
  words(handle: Handle): Int32Array;
  /** A tensor's handle, which stays tfjs's; values that tfjs kept back are handed over to TensorFlow first. */
  handle(tensor: tf.TensorInfo): Handle;
  /** How many tensors share the record. */
  refCount(tensor: tf.TensorInfo): number;
  /** Another tensor of the same record. */
  share(tensor: tf.TensorInfo): tf.TensorInfo;
  /** Gives a variable another handle, which becomes tfjs's. Tensors that share data with it keep the old one. */
  replace(variable: tf.Variable, handle: Handle): void;
  /** A tensor of tfjs on a handle, which becomes tfjs's. */
  adopt(shape: readonly number[], type: 'float32' | 'bool', handle: Handle): tf.Tensor;
  /** Frees a variable's handle and leaves it without one: `replace` must follow. */
  withdraw(variable: tf.Variable): void;
  /** Handles that are alive, for tests of leaks. */
  alive(): number;
  readonly attribute: {
    type(name: string, value: TypeNumber): Attribute;
    flag(name: string, value: boolean): Attribute;
    whole(name: string, value: number): Attribute;
    number(name: string, value: number): Attribute;
    text(name: string, value: string): Attribute;
    shape(name: string, value: readonly number[]): Attribute;
  };
}

/** Frees what `work` has owned when it is over, well or not. */
export function withOwned<T>({ free }: Pick<Tensorflow, 'free'>, work: (own: (handle: Handle) => Handle) => T): T {
  const owned: Handle[] = [];
  try {
    return work((handle) => {
      owned.push(handle);
      return handle;
    });
  } finally {
    owned.forEach((handle) => free(handle));
  }
}

const known = new WeakMap<object, Tensorflow>();

/** TensorFlow below the registered `tensorflow` backend. Throws when tfjs is another version or its internals are not as expected. */
export function tensorflow(backend = tf.findBackend('tensorflow') as TensorflowBackend | null): Tensorflow {
  if (!backend) throw new Error('the tensorflow backend is not registered: await useTensorflow() first');
  const before = known.get(backend);
  if (before) return before;
  requireTfjsVersion();
  const { binding, tensorMap } = backend;
  if (typeof (binding as Partial<Binding> | undefined)?.executeOp !== 'function') {
    throw new Error(
      'the binding of the tensorflow backend was not found: @tensorflow/tfjs-node must be exactly 4.22.0',
    );
  }
  const record = (tensor: tf.TensorInfo): TensorRecord => {
    if (!tensorMap.has(tensor.dataId)) {
      throw new Error('a tensor of the tensorflow backend was expected; this one is disposed or foreign');
    }
    return tensorMap.get(tensor.dataId);
  };
  const { TF_ATTR_TYPE, TF_ATTR_BOOL, TF_ATTR_INT, TF_ATTR_FLOAT, TF_ATTR_STRING, TF_ATTR_SHAPE } = binding;
  const adopt: Tensorflow['adopt'] = (shape, type, id) => {
    const dataId = {};
    tensorMap.set(dataId, {
      shape,
      dtype: TYPES[type],
      values: null,
      id,
      refCount: 1,
    });
    return tf.engine().makeTensorFromTensorInfo({ dataId, shape: [...shape], dtype: type }, backend);
  };
  const bridge: Tensorflow = {
    gpu: backend.isUsingGpuDevice,
    tensor: (shape, type, values) => binding.createTensor(shape, type, values),
    run: (operation, attributes, ...inputs) => {
      const [output] = binding.executeOp(operation, attributes, inputs, 1);
      return (output as { readonly id: Handle }).id;
    },
    runMany: (operation, attributes, outputs, inputs) =>
      binding.executeOp(operation, attributes, inputs, outputs).map(({ id }) => id),
    act: (operation, attributes, ...inputs) => void binding.executeOp(operation, attributes, inputs, 0),
    free: (handle) => binding.deleteTensor(handle),
    words: (handle) => binding.tensorDataSync(handle) as Int32Array,
    handle: (tensor) => {
      const data = record(tensor);
      if (data.values !== null && data.values !== undefined) {
        data.id = binding.createTensor(data.shape, data.dtype, data.values);
        data.values = null;
      }
      return data.id;
    },
    refCount: (tensor) => record(tensor).refCount,
    share: ({ dataId, shape, dtype }) => {
      backend.incRef(dataId);
      return { dataId, shape: [...shape], dtype };
    },
    replace: (variable, id) => {
      const data = record(variable);
      if (data.refCount === 1) {
        if (data.id >= 0) binding.deleteTensor(data.id);
        data.id = id;
        data.values = null;
        return;
      }
      const tensor = adopt(variable.shape, 'float32', id);
      variable.assign(tensor);
      tensor.dispose();
    },
    adopt,
    withdraw: (variable) => {
      const data = record(variable);
      binding.deleteTensor(data.id);
      data.id = -1;
    },
    alive: () => binding.getNumOfTensors(),
    attribute: {
      type: (name, value) => ({ name, type: TF_ATTR_TYPE, value }),
      flag: (name, value) => ({ name, type: TF_ATTR_BOOL, value }),
      whole: (name, value) => ({ name, type: TF_ATTR_INT, value }),
      number: (name, value) => ({ name, type: TF_ATTR_FLOAT, value }),
      text: (name, value) => ({ name, type: TF_ATTR_STRING, value }),
      shape: (name, value) => ({ name, type: TF_ATTR_SHAPE, value }),
    },
  };
  known.set(backend, bridge);
  return bridge;
}
