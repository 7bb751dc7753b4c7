import type * as tf from '@tensorflow/tfjs';
import type { TensorBuffers } from '../../engines/engine.ts';
import { wasmEngine } from '../../engines/wasm.ts';
import { bringHome } from '../bridges/residence.ts';
import { wasmHeap } from '../bridges/wasm.ts';
import type { Stepper } from './stepper.ts';

/** The WASM engine in place on tfjs-wasm's own heap: no copy, no allocation. */
export function wasmStepper(): Stepper {
  const heap = wasmHeap();
  const engine = wasmEngine(heap.memory);

  const own = (variable: tf.Variable): number => {
    bringHome(variable);
    if (heap.refCount(variable) > 1) heap.detach(variable);
    return heap.pointer(variable);
  };

  return {
    step: (plan, entries) => {
      const buffers = entries.map((entry): TensorBuffers<number> | null => {
        if (entry === null) return null;
        bringHome(entry.gradient);
        const state = Object.fromEntries(Object.entries(entry.state).map(([name, slot]) => [name, own(slot)]));
        return { parameter: own(entry.variable), gradient: heap.pointer(entry.gradient), state };
      });
      engine.step(plan, buffers);
      for (const entry of entries) if (entry !== null) heap.written(entry.variable, entry.variable.size);
    },
    dispose: () => undefined,
  };
}
