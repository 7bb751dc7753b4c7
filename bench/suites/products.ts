import * as tf from '@tensorflow/tfjs';
import type { Group, LaneSource } from '../harness/measure.ts';
import type { FigureResult } from '../harness/results.ts';
import { spread } from '../harness/statistics.ts';
import { ROOFLINE_OPERATIONS, rooflineLane } from '../lanes/roofline.ts';
import { selectBackend } from '../lanes/tfjs.ts';
import { threads } from '../lanes/threads.ts';
import type { Suite } from './suite.ts';

const LIMIT = 'in registers, a product and a sum rounded each';
const RELAXED_LIMIT = 'in registers, fused (relaxed SIMD)';

interface Shape {
  readonly name: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** Those of a hidden layer of FCNet with a batch of 128, and one that is as broad as it is long. */
const SHAPES: readonly Shape[] = [
  { name: 'forward, 128 x 1000 x 1000', m: 128, n: 1000, k: 1000 },
  { name: 'gradient of the input, 128 x 1000 x 1000', m: 128, n: 1000, k: 1000, transposeB: true },
  { name: 'gradient of the weights, 1000 x 1000 x 128', m: 1000, n: 1000, k: 128, transposeA: true },
  { name: '512 x 512 x 512', m: 512, n: 512, k: 512 },
];

function productLane({ name, m, n, k, transposeA = false, transposeB = false }: Shape): LaneSource {
  return {
    name,
    open: async () => {
      await selectBackend('wasm');
      const uniform = (shape: [number, number], seed: number): tf.Tensor2D =>
        tf.randomUniform(shape, -1, 1, 'float32', seed);
      const [a, b] = [uniform(transposeA ? [k, m] : [m, k], 1), uniform(transposeB ? [n, k] : [k, n], 2)];
      let last = tf.matMul(a, b, transposeA, transposeB);
      return {
        name,
        prepare: () => selectBackend('wasm'),
        sample: () => {
          last.dispose();
          last = tf.matMul(a, b, transposeA, transposeB);
          return undefined;
        },
        close: () => tf.dispose([a, b, last]),
      };
    },
  };
}

const group = (): Group => ({
  name: `products of FCNet on wasm, ${threads()} ${threads() === 1 ? 'thread' : 'threads'}`,
  lanes: [rooflineLane(LIMIT, false), rooflineLane(RELAXED_LIMIT, true), ...SHAPES.map(productLane)],
  pairs: [],
  figures: (rounds) => {
    const flops = (name: string, operations: number): number[] | undefined =>
      rounds.get(name)?.map((ms) => operations / (1e6 * ms));
    const limits = [LIMIT, RELAXED_LIMIT].map((name) => flops(name, ROOFLINE_OPERATIONS));
    const roof = limits[1] ?? limits[0];
    return [
      ...[LIMIT, RELAXED_LIMIT].flatMap((name, i): FigureResult[] => {
        const values = limits[i];
        return values === undefined
          ? []
          : [{ name: `one thread's limit: ${name}`, unit: 'GFLOP/s', value: spread(values) }];
      }),
      ...SHAPES.flatMap(({ name, m, n, k }): FigureResult[] => {
        const values = flops(name, 2 * m * n * k);
        if (values === undefined) return [];
        const share = roof?.map((limit, i) => (values[i] as number) / (threads() * limit));
        return [
          { name, unit: 'GFLOP/s', value: spread(values) },
          ...(share === undefined ? [] : [{ name: `${name}: share of the limit`, unit: '', value: spread(share) }]),
        ];
      }),
    ];
  },
});

/** Matrix products on wasm against what 128-bit vectors can do. */
export const products: Suite = {
  name: 'products',
  title: 'Products on WebAssembly, and their limit',
  about:
    'What a training step of FCNet consists of for the most part, against sums of products that never leave the registers: two units of four lanes at most, whatever the processor has beyond 128 bits. With relaxed SIMD a product is added with one rounding, in one instruction.',
  groups: () => [group()],
  extra: true,
};
