/**
 * Holds the fused step inside TensorFlow against the engine on arrays, bit for bit, and prints as JSON what differs. A process of its own, since the
 * addon chooses its instruction set (`LRD_INSTRUCTIONS`) and its threads (`TF_NUM_INTRAOP_THREADS`) once.
 */
import * as tf from '@tensorflow/tfjs';
import { useBackend } from '../../../../models/backend.ts';
import { createArrayEngine } from '../../../engines/checked.ts';
import type { TensorBuffers, TensorPlan } from '../../../engines/engine.ts';
import { MEASURED, stateSize } from '../../../engines/engine.ts';
import { planStep } from '../../../engines/plan.ts';
import { restingValues } from '../../../engines/testing/resting.ts';
import { resolveMask } from '../../../masks/mask.ts';
import type { MaskRequest } from '../../../masks/resolve.ts';
import { keyOf, layOut } from '../../../random.ts';
import type { HyperValues } from '../../../validate.ts';
import { stateNames } from '../../../validate.ts';
import type { RuleName } from '../../../../spec/rules.ts';
import { tensorflow } from '../../bridges/tensorflow.ts';
import { NativeSteps } from '../tensorflowNative.ts';

const SEED = 0x9e3779b97f4a7c15n;
/** Around the widths of vectors, draws and chunks, and one of several portions. */
const SIZES = [1, 7, 8, 15, 16, 17, 63, 64, 65, 127, 1000, 1023, 1024, 1025, 4 * MEASURED + 1001];
/** Of learning rate dropout, and of the other kinds of mask with which their measures and decays are reached. */
const MASKS: readonly { readonly keepProbability: number; readonly mask?: MaskRequest }[] = [
  { keepProbability: 0.5 },
  { keepProbability: 1 },
  { keepProbability: 2 ** -16 },
  { keepProbability: 0.5, mask: { kind: 'lrd', granularity: 'tensor' } },
  { keepProbability: 0.5, mask: { kind: 'magma' } },
  { keepProbability: 0.5, mask: { kind: 'magma', momentTime: 'before' } },
  { keepProbability: 0.5, mask: { kind: 'magma', granularity: 'element' } },
  { keepProbability: 0.5, mask: { kind: 'magma', decay: 'plain', moment: 'own', momentTime: 'before' } },
  { keepProbability: 1, mask: { kind: 'cautious' } },
  { keepProbability: 1, mask: { kind: 'cautious', decay: 'masked', normalization: 'count' } },
];

type Rule = Exclude<RuleName, 'sgdm-avg'>;
const booleans = [false, true] as const;
const VARIANTS: readonly (readonly [Rule, HyperValues])[] = [
  ['sgdm', { momentum: 0 }],
  ['sgdm', { momentum: 0.9, dampening: 0.3 }],
  ['sgdm', { momentum: 0.9, nesterov: true }],
  ...booleans.flatMap((centered) =>
    booleans.flatMap((inside) =>
      [0, 0.5].map(
        (momentum) =>
          ['rmsprop', { centered, momentum, epsilonPlacement: inside ? 'inside' : 'outside' }] as [Rule, HyperValues],
      ),
    ),
  ),
  ['adam', {}],
  ['adam', { epsilonMode: 'hat', beta1: 0 }],
  ['amsgrad', {}],
  ['amsgrad', { maxOf: 'corrected' }],
  ['radam', {}],
  ['adamw', {}],
];

/** What float32 has beside ordinary numbers. */
const SPECIAL = [0, -0, NaN, Infinity, -Infinity, 2 ** -149, -(2 ** -130), 3e38, -3e38, 1e-20, 1e20];

/** Ordinary numbers of many magnitudes, and a special one here and there. */
function values(size: number, pace: number): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => {
    const turn = Math.sin(pace * (i + 1));
    if (i % 13 === 5) return SPECIAL[(i + Math.floor(pace * 10)) % SPECIAL.length] as number;
    return turn * 10 ** (Math.cos(pace * 7 * i) * 6);
  });
}

/** Where a tensor's steps start, and their gradients: anywhere, or about where elements begin to rest. */
const STARTS: readonly {
  tensor(size: number, names: readonly string[], k: number): TensorBuffers<Float32Array>;
  gradient(size: number, count: number, k: number): Float32Array;
}[] = [
  {
    tensor: (size, names, k) => ({
      parameter: values(size, 0.9 + k),
      gradient: new Float32Array(size),
      state: Object.fromEntries(names.map((name) => [name, new Float32Array(stateSize(name, size))])),
    }),
    gradient: (size, count, k) => values(size, 0.3 * count + k),
  },
  {
    tensor: (size, names, k) => {
      const all = restingValues(size, names, k);
      const state = Object.entries(all.state).map(([name, array]) => [name, array.slice(0, stateSize(name, size))]);
      return { ...all, state: Object.fromEntries(state) as TensorBuffers<Float32Array>['state'] };
    },
    gradient: (size, count, k) => restingValues(size, [], 100 * count + k).gradient,
  },
];

const bits = (array: Float32Array): Uint32Array => new Uint32Array(array.slice().buffer);
/** The first element that differs; two NaN are the same. */
const differs = (found: Float32Array, expected: Float32Array): number => {
  const [a, b] = [bits(found), bits(expected)];
  return a.findIndex((word, i) => word !== b[i] && !(Number.isNaN(found[i]) && Number.isNaN(expected[i])));
};

await useBackend('node');
const native = new NativeSteps(tensorflow());
const engine = createArrayEngine();
const bases = layOut(SIZES).map((base) => base + 2 ** 34);
const wrong: string[] = [];
let cases = 0;
for (const [rule, own] of VARIANTS) {
  for (const weightDecay of rule === 'adamw' ? [0.1] : [0, 0.1]) {
    for (const [{ keepProbability, mask: request }, start] of MASKS.flatMap((mask) =>
      STARTS.map((one) => [mask, one] as const),
    )) {
      const hyper = { ...own, weightDecay };
      const mask = request === undefined ? undefined : resolveMask(request);
      const names = [...stateNames(rule, hyper), ...(mask?.stateNames(rule, hyper) ?? [])];
      const arrays = SIZES.map((size, k) => start.tensor(size, names, k));
      const variableOf = (array: Float32Array): tf.Variable =>
        tf.tidy(() => tf.variable(tf.tensor(array.slice()), false));
      const entries = arrays.map(({ parameter, state }) => ({
        variable: variableOf(parameter),
        state: Object.fromEntries(names.map((name) => [name, variableOf(state[name] as Float32Array)])),
      }));
      for (let count = 1; count <= 2; count++) {
        const gradients = arrays.map(({ gradient }, k) => {
          gradient.set(start.gradient(gradient.length, count, k));
          return tf.tensor(gradient.slice());
        });
        const plan = planStep({
          rule,
          key: keyOf(SEED),
          step: count + 2 ** 31,
          tensors: SIZES.map((size, k) => ({
            base: bases[k] as number,
            size,
            count,
            hyper,
            keepProbability,
            ...(mask === undefined ? {} : { mask }),
          })),
        });
        native.step(
          plan,
          entries.map((entry, k) => ({
            plan: plan.tensors[k] as TensorPlan,
            entry: { ...entry, gradient: gradients[k] as tf.Tensor },
          })),
        );
        engine.step(plan, arrays);
        tf.dispose(gradients);
      }
      entries.forEach(({ variable, state }, k) => {
        const expected = arrays[k] as (typeof arrays)[number];
        for (const [name, found, right] of [
          ['parameter', variable, expected.parameter] as const,
          ...names.map((each) => [each, state[each] as tf.Variable, expected.state[each] as Float32Array] as const),
        ]) {
          cases += 1;
          const shown = found.dataSync<'float32'>();
          const at = differs(shown, right);
          if (at < 0) continue;
          wrong.push(
            `${rule} ${JSON.stringify(hyper)}, ${JSON.stringify(request ?? 'lrd')}, p = ${keepProbability}, ${name}[${at}] of ${SIZES[k]}: ${shown[at]}, not ${right[at]}`,
          );
        }
      });
      tf.dispose(entries);
    }
  }
}
process.stdout.write(JSON.stringify({ cases, wrong: wrong.slice(0, 10) }));
