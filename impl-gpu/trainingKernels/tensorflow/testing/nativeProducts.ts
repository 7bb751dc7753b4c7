/**
 * Holds the products and convolutions of the addon against their definitions in float64, and prints as JSON what is wrong and a hash of all results. A process of its own, since
 * the addon chooses its instruction set (`LRD_INSTRUCTIONS`) and its threads (`TF_NUM_INTRAOP_THREADS`) once.
 */
import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs';
import { useBackend } from '../../../../models/backend.ts';
import { tensorflow } from '../../../tfjs/bridges/tensorflow.ts';
import { nativeProducts } from '../products.ts';

await useBackend('node');
const bridge = tensorflow();
const products = nativeProducts(bridge);
const hash = createHash('sha256');
const wrong: string[] = [];
let cases = 0;

/** Numbers below 1 with some zeros, the same in every process. */
function numbers(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state < 2 ** 28 ? 0 : state / 2 ** 31 - 1;
  });
}

function tensorOf(values: Float32Array, shape: readonly number[]): tf.Tensor {
  return tf.tensor(values, [...shape], 'float32');
}

const size = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

interface Found {
  readonly shape: readonly number[];
  readonly handle: number | undefined;
}

/** `expected` and the sum of the magnitudes of what is added, which its rounding grows with. */
function judge(
  name: string,
  { shape, handle }: Found,
  expected: (at: number) => readonly [value: number, magnitude: number],
): void {
  cases++;
  if (handle === undefined) {
    wrong.push(`${name}: not finite`);
    return;
  }
  const made = bridge.adopt(shape, 'float32', handle);
  const values = made.dataSync<'float32'>().slice();
  made.dispose();
  hash.update(new Uint8Array(values.buffer));
  for (let at = 0; at < values.length; at++) {
    const [value, magnitude] = expected(at);
    const found = values[at] as number;
    if (Math.abs(found - value) > 2e-6 * magnitude + 1e-30) {
      wrong.push(`${name}: ${found} at ${at} in place of ${value}`);
      return;
    }
  }
}

/** Around the widths of tiles and panels, panels in slices, lines that meet in few sets of a cache, and enough for several threads. */
const PRODUCTS: readonly (readonly [m: number, n: number, k: number])[] = [
  [1, 1, 1],
  [7, 10, 3],
  [8, 16, 16],
  [9, 17, 15],
  [33, 48, 64],
  [65, 49, 31],
  [5, 95, 1025],
  [128, 10, 1000],
  [130, 203, 77],
  [256, 24, 300],
  [512, 50, 1030],
  [1000, 10, 128],
  [129, 301, 2050],
];

if (products !== undefined) {
  for (const [m, n, k] of PRODUCTS) {
    for (const [a, b] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      // prettier-ignore
      for (const clamp of [false, true]) {
        const [left, right, row] = [numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3)];
        const tensors = [tensorOf(left, a ? [k, m] : [m, k]), tensorOf(right, b ? [n, k] : [k, n]), tensorOf(row, [n])];
        const [x, y, bias] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor];
        const handle = products.multiply(x, y, { a, b }, clamp ? { bias, clamp } : {});
        judge(`[${m}, ${k}] x [${k}, ${n}], turned ${a} and ${b}, clamp ${clamp}`, { shape: [m, n], handle }, (at) => {
          const [i, j] = [Math.floor(at / n), at % n];
          let [sum, magnitude] = clamp ? [row[j] as number, Math.abs(row[j] as number)] : [0, 0];
          for (let q = 0; q < k; q++) {
            const term = (left[a ? q * m + i : i * k + q] as number) * (right[b ? j * k + q : q * n + j] as number);
            sum += term;
            magnitude += Math.abs(term);
          }
          return [clamp ? Math.max(0, sum) : sum, magnitude];
        });
        tf.dispose(tensors);
      }
    }
  }
}

type Shape4D = readonly [number, number, number, number];

/** Odd and even extents, one tile, many blocks of tiles, panels of each width, and sums in several parts. */
const CONVOLUTIONS: readonly (readonly [x: Shape4D, outputs: number, pad: number])[] = [
  [[1, 3, 3, 16], 16, 0],
  [[1, 1, 1, 16], 16, 1],
  [[2, 5, 4, 16], 48, 1],
  [[3, 4, 7, 32], 16, 2],
  [[1, 6, 6, 48], 80, 1],
  [[2, 9, 8, 16], 112, 0],
  [[5, 16, 15, 16], 32, 1],
  [[9, 14, 14, 32], 16, 1],
];

if (products !== undefined) {
  for (const [shape, outputs, pad] of CONVOLUTIONS) {
    const [images, height, width, inputs] = shape;
    const above: Shape4D = [images, height + 2 * pad - 2, width + 2 * pad - 2, outputs];
    const taps: Shape4D = [3, 3, inputs, outputs];
    const [x, filter, dy, row] = [
      numbers(size(shape), 4),
      numbers(size(taps), 5),
      numbers(size(above), 6),
      numbers(outputs, 7),
    ];
    const tensors = [tensorOf(x, shape), tensorOf(filter, taps), tensorOf(dy, above), tensorOf(row, [outputs])];
    const [tx, tfilter, tdy, bias] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    const name = `[${shape}] to ${outputs}, pad ${pad}`;

    /** Value and magnitude of each element of the result, of an input and of a filter that each product belongs to. */
    const sums = {
      y: new Float64Array(2 * size(above)),
      x: new Float64Array(2 * size(shape)),
      filter: new Float64Array(2 * size(taps)),
    };
    const add = (to: Float64Array, at: number, term: number): void => {
      to[2 * at] = (to[2 * at] as number) + term;
      to[2 * at + 1] = (to[2 * at + 1] as number) + Math.abs(term);
    };
    for (let n = 0; n < images; n++) {
      for (let p = 0; p < above[1]; p++) {
        for (let q = 0; q < above[2]; q++) {
          for (let i = 0; i < 3; i++) {
            for (let j = 0; j < 3; j++) {
              const [h, w] = [p + i - pad, q + j - pad];
              if (h < 0 || h >= height || w < 0 || w >= width) continue;
              for (let c = 0; c < inputs; c++) {
                const from = ((n * height + h) * width + w) * inputs + c;
                for (let o = 0; o < outputs; o++) {
                  const [tap, to] = [
                    ((3 * i + j) * inputs + c) * outputs + o,
                    ((n * above[1] + p) * above[2] + q) * outputs + o,
                  ];
                  const [value, weight, slope] = [x[from] as number, filter[tap] as number, dy[to] as number];
                  add(sums.y, to, value * weight);
                  add(sums.x, from, slope * weight);
                  add(sums.filter, tap, value * slope);
                }
              }
            }
          }
        }
      }
    }
    // Winograd's transforms add several neighbours before they multiply: errors grow with the magnitudes around, not with an element's own.
    const around = (of: Float64Array): number =>
      of.reduce((most, value, at) => (at % 2 === 1 ? Math.max(most, value) : most), 0);
    const [yMost, xMost, filterMost] = [around(sums.y), around(sums.x), around(sums.filter)];
    judge(name, { shape: above, handle: products.convolve(tx, tfilter, pad, false) }, (at) => [
      sums.y[2 * at] as number,
      yMost,
    ]);
    judge(
      `${name}, with a bias and a clamp`,
      { shape: above, handle: products.convolve(tx, tfilter, pad, false, { bias, clamp: true }) },
      (at) => [Math.max(0, (sums.y[2 * at] as number) + (row[at % outputs] as number)), yMost + 1],
    );
    judge(`${name}, gradient of the input`, { shape, handle: products.convolve(tdy, tfilter, 2 - pad, true) }, (at) => [
      sums.x[2 * at] as number,
      xMost,
    ]);
    judge(`${name}, gradient of the filter`, { shape: taps, handle: products.filterGradient(tx, tdy, pad) }, (at) => [
      sums.filter[2 * at] as number,
      filterMost,
    ]);
    tf.dispose(tensors);
  }
}

/** So large that many threads share a sum, and small ones of theirs would change its order: for the hash alone. */
if (products !== undefined) {
  const [shape, outputs]: readonly [Shape4D, number] = [[2, 24, 24, 512], 64];
  const above: Shape4D = [2, 24, 24, outputs];
  const taps: Shape4D = [3, 3, 512, outputs];
  const tensors = [shape, taps, above].map((extents, k) => tensorOf(numbers(size(extents), 8 + k), extents));
  const [x, filter, dy] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor];
  for (const [extents, handle] of [
    [above, products.convolve(x, filter, 1, false)],
    [shape, products.convolve(dy, filter, 1, true)],
    [taps, products.filterGradient(x, dy, 1)],
  ] as const) {
    const made = bridge.adopt(extents, 'float32', handle as number);
    hash.update(new Uint8Array(made.dataSync<'float32'>().slice().buffer));
    made.dispose();
  }
  tf.dispose(tensors);
}

console.log(JSON.stringify({ has: products !== undefined, cases, wrong, hash: hash.digest('hex') }));
