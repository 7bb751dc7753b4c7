/**
 * Everything that this project knows of tfjs-backend-webgpu's internals, in one place (4.22.0, `backend_webgpu.ts`).
 *
 * Variables that an optimizer steps live side by side in one flat buffer, so that one dispatch updates all of them. tfjs
 * binds whole buffers; the four methods of the backend that turn a tensor into a buffer (`tensorToBinding`, `read`, `readSync`,
 * `readToGPU`) are wrapped to know of a slice. A slice is copied when it is read, never cached: a read that was under way when a
 * step came keeps the values of its moment.
 */
import * as tf from '@tensorflow/tfjs';
import { requireTfjsVersion } from './version.ts';

interface TensorRecord {
  values: unknown;
  readonly dtype: string;
  shape: number[];
  refCount: number;
  resource?: GPUBuffer | null;
  external?: boolean;
}

interface WebGpuBackend {
  readonly device: GPUDevice;
  /** `get` of an unknown id asks tfjs to move it here and fails oddly: ask `has` first. */
  readonly tensorMap: {
    has(id: object): boolean;
    get(id: object): TensorRecord;
    set(id: object, record: TensorRecord): void;
  };
  readonly bufferManager: { acquireBuffer(size: number, usage: number): GPUBuffer };
  nextDataId(): number;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  uploadToGPU(id: object): void;
  tensorToBinding(tensor: tf.TensorInfo | null): unknown;
  read(id: object): Promise<unknown>;
  readSync(id: object): unknown;
  readToGPU(id: object): unknown;
  makeTensorInfo(shape: number[], dtype: string): tf.TensorInfo;
  disposeData(id: object): boolean;
}

/** Flags of `GPUBufferUsage`, which Node has no global for: COPY_SRC | COPY_DST | STORAGE. */
const USAGE = 0x04 | 0x08 | 0x80;

/** A stretch of a flat buffer, in bytes. */
interface Slice {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** tfjs's WebGPU backend, as far as an optimizer needs it. */
export interface WebGpuStorage {
  readonly device: GPUDevice;
  /** Submits what tfjs has recorded so far; whatever is submitted afterwards sees its results. */
  flush(): void;
  /** The tensor's own buffer, from offset 0; uploads or copies it there when it has none. */
  buffer(tensor: tf.Tensor): GPUBuffer;
  /** Moves a variable's data into `buffer` at `offset` bytes, unless it is there and unshared; clones keep what they had. */
  adopt(variable: tf.Variable, buffer: GPUBuffer, offset: number): void;
  /** Declares that a variable which was adopted at offset 0, and is not shared, now lives in another buffer. */
  move(variable: tf.Variable, buffer: GPUBuffer): void;
  /** Gives a variable that lives in `buffer` a buffer of its own again. */
  expel(variable: tf.Variable, buffer: GPUBuffer): void;
}

const storages = new WeakMap<object, WebGpuStorage>();

function install(backend: WebGpuBackend): WebGpuStorage {
  const slices = new WeakMap<TensorRecord, Slice>();
  const record = (id: object): TensorRecord => {
    if (!backend.tensorMap.has(id)) {
      throw new Error('a tensor of the webgpu backend was expected; this one is disposed or foreign');
    }
    return backend.tensorMap.get(id);
  };
  const flush = (): void => {
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    backend.submitQueue();
  };
  const copy = (from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, size: number): void => {
    flush();
    const encoder = backend.device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, size);
    backend.device.queue.submit([encoder.finish()]);
  };
  /** A buffer of tfjs's own pool with a slice's present contents. */
  const extract = ({ buffer, offset, size }: Slice): GPUBuffer => {
    const own = backend.bufferManager.acquireBuffer(size, USAGE);
    copy(buffer, offset, own, 0, size);
    return own;
  };
  const sliceOf = (id: object): Slice | undefined => {
    const found = backend.tensorMap.has(id) ? backend.tensorMap.get(id) : undefined;
    const slice = found === undefined ? undefined : slices.get(found);
    return slice !== undefined && found?.resource === slice.buffer ? slice : undefined;
  };
  /** Runs one of tfjs's readers on a copy of a slice. */
  const onCopy = <T>(id: object, slice: Slice, reader: (copyId: object) => T): T => {
    const { shape, dtype } = record(id);
    const info = backend.makeTensorInfo(shape, dtype);
    record(info.dataId).resource = extract(slice);
    const done = (): void => void backend.disposeData(info.dataId);
    const result = reader(info.dataId);
    if (result instanceof Promise) void result.then(done, done);
    else done();
    return result;
  };

  const stock = {
    tensorToBinding: backend.tensorToBinding.bind(backend),
    read: backend.read.bind(backend),
    readSync: backend.readSync.bind(backend),
    readToGPU: backend.readToGPU.bind(backend),
  };
  backend.tensorToBinding = (tensor) =>
    (tensor === null ? undefined : sliceOf(tensor.dataId)) ?? stock.tensorToBinding(tensor);
  const wrap =
    <T>(reader: (id: object) => T) =>
    (id: object): T => {
      const slice = sliceOf(id);
      return slice === undefined ? reader(id) : onCopy(id, slice, reader);
    };
  backend.read = wrap(stock.read);
  backend.readSync = wrap(stock.readSync);
  backend.readToGPU = wrap(stock.readToGPU);

  return {
    device: backend.device,
    flush,
    buffer: (tensor) => {
      const slice = sliceOf(tensor.dataId);
      if (slice !== undefined) return extract(slice);
      backend.uploadToGPU(tensor.dataId);
      return record(tensor.dataId).resource as GPUBuffer;
    },
    adopt: (variable, buffer, offset) => {
      const size = variable.size * 4;
      const slice = sliceOf(variable.dataId);
      const data = record(variable.dataId);
      const inPlace = slice !== undefined && slice.buffer === buffer && slice.offset === offset;
      if (inPlace && data.refCount === 1) return;
      if (inPlace) {
        // Clones and reshapes keep the record, with a buffer of its own; the variable gets a new one over the slice.
        data.resource = extract(slice);
        data.external = false;
      } else if (slice !== undefined) {
        copy(slice.buffer, slice.offset, buffer, offset, size);
      } else {
        backend.uploadToGPU(variable.dataId);
        copy(data.resource as GPUBuffer, 0, buffer, offset, size);
      }
      const dataId = { id: backend.nextDataId() };
      const fresh: TensorRecord = {
        values: null,
        dtype: 'float32',
        shape: [...variable.shape],
        refCount: 1,
        external: true,
        resource: buffer,
      };
      backend.tensorMap.set(dataId, fresh);
      slices.set(fresh, { buffer, offset, size });
      const tensor = tf
        .engine()
        .makeTensorFromDataId(dataId, variable.shape, 'float32', backend as unknown as tf.KernelBackend);
      variable.assign(tensor);
      tensor.dispose();
    },
    move: (variable, buffer) => {
      const data = record(variable.dataId);
      data.resource = buffer;
      slices.set(data, { buffer, offset: 0, size: variable.size * 4 });
    },
    expel: (variable, buffer) => {
      const slice = sliceOf(variable.dataId);
      if (slice === undefined || slice.buffer !== buffer) return;
      const data = record(variable.dataId);
      data.resource = extract(slice);
      data.external = false;
    },
  };
}

/** Storage of the registered webgpu backend. Throws when tfjs is another version or its internals are not as expected. */
export function webGpuStorage(): WebGpuStorage {
  const backend = tf.findBackend('webgpu') as unknown as WebGpuBackend | undefined;
  if (!backend) throw new Error("the webgpu backend is not registered: await tf.setBackend('webgpu') first");
  let storage = storages.get(backend);
  if (storage === undefined) {
    requireTfjsVersion();
    const methods = [
      'tensorToBinding',
      'read',
      'readSync',
      'readToGPU',
      'uploadToGPU',
      'submitQueue',
      'nextDataId',
    ] as const;
    const missing = methods.find((name) => typeof (backend as unknown as Record<string, unknown>)[name] !== 'function');
    if (missing !== undefined) {
      throw new Error(`@tensorflow/tfjs-backend-webgpu must be exactly 4.22.0: its backend has no ${missing}`);
    }
    storage = install(backend);
    storages.set(backend, storage);
  }
  return storage;
}
