import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { drawNormals } from '../../random.ts';
import { wasmHeap } from '../../tfjs/bridges/wasm.ts';
import type { Geometry } from '../geometry.ts';
import type { Governor } from './runtime.ts';
import { createKernelTeam, createRuntime } from './runtime.ts';
import type { Winograd } from './winograd.ts';
import { createWinograd, takesWinograd } from './winograd.ts';

const test = suite('impl-gpu/trainingKernels/wasm/winograd');
test.before(async () => {
  await useBackend('wasm');
});

interface Case {
  /** [images, height, width, channels] */
  readonly x: [number, number, number, number];
  readonly outputs: number;
  readonly pad: 0 | 1 | 2;
}

/** Odd sides, every padding, more tiles than a block holds, and more channels than a slice holds. */
const CASES: readonly Case[] = [
  { x: [2, 6, 8, 8], outputs: 16, pad: 1 },
  { x: [3, 7, 5, 16], outputs: 8, pad: 0 },
  { x: [1, 9, 11, 24], outputs: 40, pad: 2 },
  { x: [3, 12, 10, 104], outputs: 16, pad: 1 },
  { x: [5, 4, 4, 16], outputs: 104, pad: 1 },
  { x: [5, 4, 4, 520], outputs: 24, pad: 1 },
];

function geometry({ x, outputs, pad }: Case): Geometry {
  return tf.backend_util.computeConv2DInfo(x, [3, 3, x[3], outputs], 1, 1, pad, 'floor');
}

const normals = (count: number, step: number): Float64Array =>
  drawNormals({ seed: 4n, stream: 'augmentation', step }, 0, count).map(Math.fround);

/** y = x * f, dx and df for a given dy, in float64 from the definition. */
function definition(info: Geometry, x: Float64Array, f: Float64Array, dy: Float64Array): Float64Array[] {
  const { batchSize, inHeight, inWidth, inChannels: C, outHeight, outWidth, outChannels: K, padInfo } = info;
  const [y, dx, df] = [new Float64Array(dy.length), new Float64Array(x.length), new Float64Array(f.length)];
  const get = (from: Float64Array, at: number): number => from[at] as number;
  for (let b = 0; b < batchSize; b++) {
    for (let p = 0; p < outHeight; p++) {
      for (let q = 0; q < outWidth; q++) {
        const out = ((b * outHeight + p) * outWidth + q) * K;
        for (let i = 0; i < 3; i++) {
          for (let j = 0; j < 3; j++) {
            const [row, column] = [p + i - padInfo.top, q + j - padInfo.left];
            if (row < 0 || row >= inHeight || column < 0 || column >= inWidth) continue;
            const from = ((b * inHeight + row) * inWidth + column) * C;
            for (let c = 0; c < C; c++) {
              const tap = ((3 * i + j) * C + c) * K;
              for (let k = 0; k < K; k++) {
                y[out + k] = get(y, out + k) + get(x, from + c) * get(f, tap + k);
                dx[from + c] = get(dx, from + c) + get(dy, out + k) * get(f, tap + k);
                df[tap + k] = get(df, tap + k) + get(x, from + c) * get(dy, out + k);
              }
            }
          }
        }
      }
    }
  }
  return [y, dx, df];
}

function place(values: ArrayLike<number>): number {
  const heap = wasmHeap();
  const at = heap.allocate(4 * values.length);
  new Float32Array(heap.memory.buffer).set(values, at / 4);
  return at;
}

function take(at: number, count: number): Float32Array {
  const heap = wasmHeap();
  const values = new Float32Array(heap.memory.buffer).slice(at / 4, at / 4 + count);
  heap.free(at);
  return values;
}

/** y without and with bias and clamp, dx and df. */
function run(winograd: Winograd, info: Geometry, [x, f, dy]: readonly ArrayLike<number>[]): Float32Array[] {
  const [xAt, fAt, dyAt] = [x, f, dy].map((values) => place(values as ArrayLike<number>)) as [number, number, number];
  const size = (count: number): number => place(new Float32Array(count).fill(NaN));
  const { outChannels } = info;
  const [ySize, xSize, fSize] = [dy, x, f].map((values) => (values as ArrayLike<number>).length) as [
    number,
    number,
    number,
  ];
  const [y, clamped, dx, df] = [size(ySize), size(ySize), size(xSize), size(fSize)] as const;
  const bias = place(normals(outChannels, 9));
  winograd.forward(info, xAt, fAt, y, 0, false);
  winograd.forward(info, xAt, fAt, clamped, bias, true);
  winograd.input(info, dyAt, fAt, dx);
  winograd.filter(info, xAt, dyAt, df);
  const results = [take(y, ySize), take(clamped, ySize), take(dx, xSize), take(df, fSize)];
  [xAt, fAt, dyAt, bias].forEach((at) => wasmHeap().free(at));
  return results;
}

const operands = (info: Geometry): [Float64Array, Float64Array, Float64Array] => [
  normals(tf.util.sizeFromShape(info.inShape), 1),
  normals(9 * info.inChannels * info.outChannels, 2),
  normals(tf.util.sizeFromShape(info.outShape), 3),
];

/**
 * The error of float32 that is allowed, root mean square over that of the values. Measured on these cases: up to 7.4e-7, for sums of 4680 products;
 * products summed one by one in float32, in the blocks that the general kernel has, are at 4.2e-7 there.
 */
const RMS_BOUND = 1.2e-6;

function rms(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) ** 2;
  return Math.sqrt(sum / values.length);
}

test(`convolution and both gradients agree with their definition in float64 within ${RMS_BOUND} rms`, () => {
  const winograd = createWinograd(createRuntime(wasmHeap(), createKernelTeam(1)));
  let worst = 0;
  for (const c of CASES) {
    const info = geometry(c);
    const [x, f, dy] = operands(info);
    const [y, dx, df] = definition(info, x, f, dy) as [Float64Array, Float64Array, Float64Array];
    const bias = normals(info.outChannels, 9);
    const clamped = y.map((value, i) => Math.max(0, value + (bias[i % info.outChannels] as number)));
    const expected = [y, clamped, dx, df];
    run(winograd, info, [x, f, dy]).forEach((got, which) => {
      const want = expected[which] as Float64Array;
      const error = rms(want.map((value, i) => (got[i] as number) - value)) / rms(want);
      // A NaN, as of an element that was not written, is no number below the bound.
      assert.ok(error < RMS_BOUND, `${JSON.stringify(c)}, result ${which}: ${error}`);
      worst = Math.max(worst, error);
    });
  }
  process.stderr.write(`worst root mean square error ${worst.toExponential(1)} of the values'\n`);
});

test('two and three threads give the bits of one', async () => {
  const always: Governor = { share: () => true, record: () => undefined };
  const cases: readonly Case[] = [
    { x: [8, 12, 12, 64], outputs: 64, pad: 1 },
    { x: [5, 6, 6, 128], outputs: 136, pad: 1 },
  ];
  for (const threads of [2, 3]) {
    const alone = createWinograd(createRuntime(wasmHeap(), createKernelTeam(1)));
    const runtime = { ...createRuntime(wasmHeap(), createKernelTeam(threads)), governor: always };
    for (let i = 0; runtime.team.ready() < threads - 1; i++) {
      assert.ok(i < 500, 'helpers stand ready within 5 s');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const shared = { parts: 0 };
    const team = {
      ready: () => runtime.team.ready(),
      run: (work: Parameters<typeof runtime.team.run>[0]) => {
        const parts = runtime.team.run(work);
        shared.parts += parts;
        return parts;
      },
    };
    const together = createWinograd({ ...runtime, team });
    for (const c of cases) {
      const info = geometry(c);
      const values = operands(info);
      const [one, many] = [run(alone, info, values), run(together, info, values)];
      one.forEach((result, which) => {
        const same =
          Buffer.compare(Buffer.from(result.buffer), Buffer.from((many[which] as Float32Array).buffer)) === 0;
        assert.ok(same, `${threads} threads, ${JSON.stringify(c)}, result ${which}`);
      });
    }
    assert.ok(shared.parts > 0, 'the helpers were not used');
  }
});

test('taken for 3 x 3 filters with stride 1, enough tiles and channels in eights', () => {
  const info = (
    x: Case['x'],
    outputs: number,
    more: { size?: number; stride?: number; dilation?: number } = {},
  ): Geometry => {
    const { size = 3, stride = 1, dilation = 1 } = more;
    const filter: [number, number, number, number] = [size, size, x[3], outputs];
    return tf.backend_util.computeConv2DInfo(x, filter, stride, dilation, (dilation * (size - 1)) / 2, 'floor');
  };
  assert.ok(takesWinograd(info([8, 8, 8, 16], 16)));
  assert.not.ok(takesWinograd(info([8, 8, 8, 3], 16)));
  assert.not.ok(takesWinograd(info([8, 8, 8, 16], 10)));
  assert.not.ok(takesWinograd(info([8, 8, 8, 16], 16, { stride: 2 })));
  assert.not.ok(takesWinograd(info([8, 8, 8, 16], 16, { dilation: 2 })));
  assert.not.ok(takesWinograd(info([8, 8, 8, 16], 16, { size: 5 })));
  assert.not.ok(takesWinograd(info([1, 4, 4, 16], 16)));
  // A single pixel fills a quarter of its tile.
  assert.not.ok(takesWinograd(info([64, 1, 1, 16], 16)));
});

test.run();
