import * as tf from '@tensorflow/tfjs';
import { createOptimizer } from '../../models/recipes/optimizers.ts';
import type { Group } from '../harness/measure.ts';
import { Unavailable } from '../harness/measure.ts';
import type { FigureResult } from '../harness/results.ts';
import type { TfjsBackend } from '../lanes/tfjs.ts';
import { drain, selectBackend, tfjsLane } from '../lanes/tfjs.ts';
import { resNet34 } from '../lanes/workload.ts';
import { epochGroups } from './epoch.ts';
import type { Suite } from './suite.ts';

/** The optimizer's own part of a step against tfjs's Adam without LRD. */
function optimizerGroup(backend: TfjsBackend, limit: number): Group {
  const settings = { rule: 'adam', workload: resNet34(), keepProbability: 0.5 } as const;
  const [lrd, own] = [tfjsLane(backend, 'lrd', settings), tfjsLane(backend, 'own', settings)];
  return {
    name: `optimizer's part of a step, ${settings.workload.name}, ${backend}`,
    elements: settings.workload.elements,
    lanes: [lrd, own],
    pairs: [{ lane: lrd.name, over: own.name, limit: { kind: 'at most', value: limit } }],
  };
}

const exactly = (value: number): FigureResult['value'] => ({ median: value, low: value, high: value });

/** Tensors and bytes that 1,000 steps leave behind, and what is left after `dispose`. */
async function leaks(backend: TfjsBackend): Promise<readonly FigureResult[]> {
  try {
    await selectBackend(backend);
  } catch (error) {
    if (error instanceof Unavailable) return [];
    throw error;
  }
  const empty = tf.memory();
  const variables = [[64, 64], [64], [3]].map((shape) => tf.tidy(() => tf.variable(tf.zeros(shape))));
  const gradients = variables.map(({ name, shape }) => ({ name, tensor: tf.fill(shape, 0.01) }));
  const settings = { learningRate: undefined, momentum: undefined, weightDecay: undefined, seed: 1n };
  const optimizer = createOptimizer('adam', { ...settings, keepProbability: 0.5 });
  optimizer.applyGradients([...gradients]);
  const first = tf.memory();
  for (let step = 0; step < 1000; step++) optimizer.applyGradients([...gradients]);
  await drain(backend);
  const last = tf.memory();
  optimizer.dispose();
  tf.dispose(variables);
  tf.dispose(gradients.map(({ tensor }) => tensor));
  await drain(backend);
  const after = tf.memory();
  const limit = { kind: 'at most', value: 0 } as const;
  return [
    { name: 'left by 1,000 steps', unit: 'tensors', value: exactly(last.numTensors - first.numTensors), limit },
    { name: 'left by 1,000 steps', unit: 'bytes', value: exactly(last.numBytes - first.numBytes), limit },
    { name: 'left after dispose', unit: 'tensors', value: exactly(after.numTensors - empty.numTensors), limit },
    { name: 'left after dispose', unit: 'bytes', value: exactly(after.numBytes - empty.numBytes), limit },
  ];
}

const leakGroup = (backend: TfjsBackend): Group => ({
  name: `leaks, adam, ${backend}`,
  lanes: [],
  pairs: [],
  figures: () => leaks(backend),
});

/** The bounds that the drop-in optimizers were built to keep. */
export const dropIn: Suite = {
  name: 'drop-in',
  title: 'Bounds of the drop-in optimizers',
  about: "Training in TensorFlow.js with LRD against tfjs's own optimizers, with the bounds that were set.",
  extra: true,
  groups: () => [
    ...epochGroups('wasm', { net: 'fcnet', rule: 'adam', batch: 128 }),
    optimizerGroup('wasm', 0.3),
    optimizerGroup('webgpu', 0.25),
    leakGroup('cpu'),
    leakGroup('wasm'),
    leakGroup('webgpu'),
  ],
  budget: () => ({ groupMs: 30_000, slowMs: 60_000 }),
};
