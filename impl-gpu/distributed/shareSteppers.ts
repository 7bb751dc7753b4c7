/** The two halves of a replica's step on a backend of tfjs, with the reduction between them. */
import * as tf from '@tensorflow/tfjs';
import { createArrayShareEngine } from '../engines/arrayShares.ts';
import type { StepPlan, TensorBuffers } from '../engines/engine.ts';
import { WIRE_SLACK } from '../engines/shares.ts';
import { createWasmShareEngine } from '../engines/wasmShares.ts';
import { cpuStorage } from '../tfjs/bridges/cpu.ts';
import { bringHome } from '../tfjs/bridges/residence.ts';
import { isFused } from '../tfjs/bridges/version.ts';
import { wasmHeap } from '../tfjs/bridges/wasm.ts';
import type { StepEntry } from '../tfjs/steppers/stepper.ts';

/** Numbers at the beginning of a wire that belong to no element: the weight, whose sum over the replicas tells whether they fit. */
export const HEADER = 1;

/**
 * Steps a replica's entries. `reduce` gets the wire, the weight and then the packed shares, and replaces it by the sum over the replicas.
 */
export interface ShareStepper {
  step(
    plan: StepPlan,
    entries: readonly (StepEntry | null)[],
    weight: number,
    reduce: (wire: Float32Array) => void,
  ): void;
  /** Frees what the stepper holds; the variables stay usable. */
  dispose(): void;
}

type Entries = readonly (StepEntry | null)[];

function roomFor(entries: Entries): number {
  return HEADER + WIRE_SLACK + entries.reduce((sum, entry) => sum + (entry?.variable.size ?? 0), 0);
}

/** In place on tfjs-wasm's own heap, the wire too. */
function onHeap(): ShareStepper {
  const heap = wasmHeap();
  const allocate = (bytes: number): number => {
    const pointer = heap.allocate(bytes);
    if (pointer === 0) throw new Error(`the wasm backend has no room for ${bytes} bytes`);
    return pointer;
  };
  const engine = createWasmShareEngine(heap.memory, { allocate, free: (pointer) => heap.free(pointer) });
  let wire = { pointer: 0, elements: 0 };

  const wireFor = (entries: Entries): number => {
    const elements = roomFor(entries);
    if (elements > wire.elements) {
      if (wire.elements > 0) heap.free(wire.pointer);
      wire = { pointer: 0, elements: 0 };
      wire = { pointer: allocate(4 * elements), elements };
    }
    return wire.pointer;
  };
  const own = (variable: tf.Variable): number => {
    bringHome(variable);
    if (heap.refCount(variable) > 1) heap.detach(variable);
    return heap.pointer(variable);
  };

  return {
    step(plan, entries, weight, reduce) {
      const buffers = entries.map((entry): TensorBuffers<number> | null => {
        if (entry === null) return null;
        bringHome(entry.gradient);
        const state = Object.fromEntries(Object.entries(entry.state).map(([name, slot]) => [name, own(slot)]));
        return { parameter: own(entry.variable), gradient: heap.pointer(entry.gradient), state };
      });
      const start = wireFor(entries);
      const shares = start + 4 * HEADER;
      const packed = engine.pack(plan, buffers, weight, shares);
      // The heap may have grown since: views are made when everything has its place.
      const view = new Float32Array(heap.memory.buffer, start, HEADER + packed);
      view[0] = weight;
      reduce(view);
      engine.apply(plan, buffers, shares);
      for (const entry of entries) if (entry !== null) heap.written(entry.variable, entry.variable.size);
    },
    dispose() {
      engine.dispose();
      if (wire.elements > 0) heap.free(wire.pointer);
      wire = { pointer: 0, elements: 0 };
    },
  };
}

/** How a backend's tensors become arrays and back. */
interface Storage {
  /** Of a variable: an array to be written, which the variable has as its values afterwards. */
  parameter(variable: tf.Variable): Float32Array;
  gradient(gradient: tf.Tensor): Float32Array;
  state(slot: tf.Variable): Float32Array;
  /** Hands an array that has been written to its variable. */
  settle(variable: tf.Variable, values: Float32Array): void;
}

function onArrays(storage: Storage): ShareStepper {
  const engine = createArrayShareEngine();
  let wire = new Float32Array(0);
  return {
    step(plan, entries, weight, reduce) {
      const buffers = entries.map((entry): TensorBuffers<Float32Array> | null => {
        if (entry === null) return null;
        return {
          parameter: storage.parameter(entry.variable),
          gradient: storage.gradient(entry.gradient),
          state: Object.fromEntries(Object.entries(entry.state).map(([name, slot]) => [name, storage.state(slot)])),
        };
      });
      const elements = roomFor(entries);
      if (wire.length < elements) wire = new Float32Array(elements);
      const shares = wire.subarray(HEADER);
      const packed = engine.pack(plan, buffers, weight, shares);
      wire[0] = weight;
      reduce(wire.subarray(0, HEADER + packed));
      engine.apply(plan, buffers, shares);
      entries.forEach((entry, index) => {
        const stepped = buffers[index];
        if (entry === null || stepped === null || stepped === undefined) return;
        storage.settle(entry.variable, stepped.parameter);
        for (const [name, slot] of Object.entries(entry.state))
          storage.settle(slot, stepped.state[name] as Float32Array);
      });
    },
    dispose: () => undefined,
  };
}

/** The cpu backend's own arrays: parameters are copied, since `data()` has handed them out, and state is written where it lies. */
function cpuArrays(): Storage {
  const storage = cpuStorage();
  const fresh = (variable: tf.Variable): Float32Array => {
    bringHome(variable);
    const copy = storage.values(variable).slice();
    if (storage.refCount(variable) > 1) {
      const tensor = tf.tensor(copy, variable.shape);
      variable.assign(tensor);
      tensor.dispose();
    } else storage.replace(variable, copy);
    return copy;
  };
  return {
    parameter: fresh,
    gradient: (gradient) => {
      bringHome(gradient);
      return storage.values(gradient);
    },
    state: (slot) => {
      bringHome(slot);
      return storage.refCount(slot) > 1 ? fresh(slot) : storage.writable(slot);
    },
    settle: () => undefined,
  };
}

/** Values are read and assigned. What was assigned last is kept here, so that it need not be read back. */
function assignedArrays(): Storage {
  const known = new WeakMap<object, Float32Array>();
  const read = (tensor: tf.Tensor): Float32Array => (known.get(tensor.dataId) ?? tensor.dataSync<'float32'>()).slice();
  return {
    parameter: read,
    gradient: (gradient) => gradient.dataSync<'float32'>(),
    state: read,
    settle: (variable, values) => {
      const tensor = tf.tensor(values, variable.shape);
      variable.assign(tensor);
      known.set(variable.dataId, values);
      tensor.dispose();
    },
  };
}

/** For a backend of tfjs whose values can be read at once. */
export function createShareStepper(backend: string): ShareStepper {
  if (backend === 'wasm' && isFused()) return onHeap();
  return onArrays(backend === 'cpu' && isFused() ? cpuArrays() : assignedArrays());
}
