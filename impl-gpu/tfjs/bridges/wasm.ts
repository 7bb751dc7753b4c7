/**
 * Everything that this project knows of tfjs-backend-wasm's internals, in one place (4.22.0, `backend_wasm.ts`):
 * tensors live in one `WebAssembly.Memory` at `dataIdMap.get(dataId).memoryOffset`, and XNNPACK keeps packed copies of
 * weights under the record's `id`.
 */
import * as tf from '@tensorflow/tfjs';
import { requireTfjsVersion } from './version.ts';

interface TensorRecord {
  id: number;
  readonly memoryOffset: number;
  readonly refCount: number;
}

interface WasmBackend extends tf.KernelBackend {
  readonly wasm: {
    readonly asm?: Readonly<Record<string, unknown>>;
    readonly wasmMemory?: unknown;
    readonly HEAPU8: Uint8Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    readonly tfjs: {
      registerTensor(id: number, size: number, memoryOffset: number): void;
      disposeData(id: number): void;
    };
  };
  dataIdNextNumber: number;
  /** `get` of an unknown id asks tfjs to move it here and fails oddly: ask `has` first. */
  readonly dataIdMap: { has(dataId: object): boolean; get(dataId: object): TensorRecord };
  makeOutput(shape: readonly number[], dtype: tf.DataType): tf.TensorInfo;
}

/** tfjs-wasm's heap. Pointers are byte offsets; they hold until the tensor is disposed or its variable reassigned. */
export interface WasmHeap {
  /** The heap itself. It may grow at any call of tfjs, which detaches every view: make views anew. */
  readonly memory: WebAssembly.Memory;
  pointer(tensor: tf.TensorInfo): number;
  /** The same for a kernel's input, which tfjs lets live on another backend: it is brought over first. */
  input(tensor: tf.TensorInfo): number;
  /** How many tensors share the data; above 1, writing in place would change a clone. */
  refCount(tensor: tf.TensorInfo): number;
  /** Must follow every write in place: XNNPACK's packed copy of the old weights is dropped. `size` in elements. */
  written(tensor: tf.TensorInfo, size: number): void;
  allocate(bytes: number): number;
  free(pointer: number): void;
  makeOutput(shape: readonly number[], dtype?: tf.DataType): tf.TensorInfo;
  /** Another tensor on the same data. */
  share(tensor: tf.TensorInfo): tf.TensorInfo;
  /** Gives a variable data of its own, bit for bit, leaving what it held to those that share it. */
  detach(variable: tf.Variable): void;
}

const heaps = new WeakMap<object, WasmHeap>();

function findMemory(backend: WasmBackend): WebAssembly.Memory {
  const { asm, wasmMemory, HEAPU8 } = backend.wasm;
  for (const candidate of [wasmMemory, ...Object.values(asm ?? {})]) {
    if (candidate instanceof WebAssembly.Memory && candidate.buffer === HEAPU8.buffer) return candidate;
  }
  throw new Error('the heap of the wasm backend was not found: @tensorflow/tfjs-backend-wasm must be exactly 4.22.0');
}

/** The heap of a wasm backend, of the registered one unless given. Throws when tfjs is another version or its internals are not as expected. */
export function wasmHeap(of: object | undefined = tf.findBackend('wasm')): WasmHeap {
  const backend = of as WasmBackend | undefined;
  if (!backend) throw new Error("the wasm backend is not registered: await tf.setBackend('wasm') first");
  const known = heaps.get(backend);
  if (known) return known;
  requireTfjsVersion();
  const record = (tensor: tf.TensorInfo): TensorRecord => {
    if (!backend.dataIdMap.has(tensor.dataId)) {
      throw new Error('a tensor of the wasm backend was expected; this one is disposed or foreign');
    }
    return backend.dataIdMap.get(tensor.dataId);
  };
  const heap: WasmHeap = {
    memory: findMemory(backend),
    pointer: (tensor) => record(tensor).memoryOffset,
    input: (tensor) => backend.dataIdMap.get(tensor.dataId).memoryOffset,
    refCount: (tensor) => record(tensor).refCount,
    written: (tensor, size) => {
      const data = record(tensor);
      backend.wasm.tfjs.disposeData(data.id);
      data.id = backend.dataIdNextNumber++;
      backend.wasm.tfjs.registerTensor(data.id, size, data.memoryOffset);
    },
    // `>>> 0`: emscripten returns a signed number for addresses above 2 GiB.
    allocate: (bytes) => backend.wasm._malloc(bytes) >>> 0,
    free: (pointer) => backend.wasm._free(pointer),
    makeOutput: (shape, dtype = 'float32') => backend.makeOutput([...shape], dtype),
    share: ({ dataId, shape, dtype }) => {
      backend.incRef(dataId);
      return { dataId, shape, dtype };
    },
    detach: (variable) => {
      const copy = backend.makeOutput(variable.shape, 'float32');
      const from = record(variable).memoryOffset;
      backend.wasm.HEAPU8.copyWithin(record(copy).memoryOffset, from, from + variable.size * 4);
      const tensor = tf.engine().makeTensorFromTensorInfo(copy, backend);
      variable.assign(tensor);
      tensor.dispose();
    },
  };
  heaps.set(backend, heap);
  return heap;
}
