/** Optimizers that run on gpu.js kernels, against the same ones on the fused kernels. */
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import type { LrdOptimizer, LrdOptions } from '../index.ts';
import * as lrd from '../index.ts';
import { drawKept, layOut } from '../../random.ts';

const SEED = 0x0123456789abcdefn;
const SHAPES = [[3, 5], [1], [9, 130], [0], [2, 3, 4]];
const SIZES = SHAPES.map((shape) => shape.reduce((a, b) => a * b, 1));
const { sgdm, sgdmAvg, rmsprop, adam, amsgrad, radam, adamw } = lrd;
const RULES = { sgdm, sgdmAvg, rmsprop, adam, amsgrad, radam, adamw };

const values = (size: number, at: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(1 + i * 12.9898 + at * 78.233));

const variablesOf = (): tf.Variable[] =>
  SHAPES.map((shape, k) => tf.tidy(() => tf.variable(tf.tensor(values(SIZES[k] as number, k), shape))));

const read = (tensors: readonly tf.Tensor[]): Promise<Float32Array[]> =>
  Promise.all(tensors.map(async (tensor) => (await tensor.data<'float32'>()).slice()));

/** Gradients as tensors that tfjs has computed, on whatever device. */
const gradientsOf = (step: number): tf.Tensor[] =>
  SHAPES.map((shape, k) => tf.tidy(() => tf.mul(tf.tensor(values(SIZES[k] as number, 10 * step + k), shape), 2)));

function apply(optimizer: LrdOptimizer, variables: readonly tf.Variable[], gradients: readonly tf.Tensor[]): void {
  optimizer.applyGradients(variables.map(({ name }, k) => ({ name, tensor: gradients[k] as tf.Tensor })));
}

/** Three steps: parameters after each, and the state at the end. */
async function trace(create: (options: LrdOptions) => LrdOptimizer, options: LrdOptions): Promise<Float32Array[]> {
  const variables = variablesOf();
  const optimizer = create({ seed: SEED, ...options });
  const seen: Float32Array[] = [];
  for (let step = 1; step <= 3; step++) {
    const gradients = gradientsOf(step);
    apply(optimizer, variables, gradients);
    tf.dispose(gradients);
    seen.push(...(await read(variables)));
  }
  const [, , ...state] = await optimizer.getWeights();
  seen.push(...(await read(state.map(({ tensor }) => tensor))));
  optimizer.dispose();
  // What an optimizer leaves behind stays usable.
  seen.push(...(await read(variables)));
  tf.dispose(variables);
  return seen;
}

const early = suite('impl-gpu/tfjs/steppers/gpujs');
early('an engine that is unknown, or gpu.js that nobody has loaded, is refused in one line', () => {
  assert.throws(
    () => lrd.adam({ engine: 'cuda' as 'fused' }),
    (error: Error) => error.message === 'engine must be one of fused, gpujs, got "cuda"',
  );
  assert.throws(
    () => lrd.adam({ engine: 'gpujs' }),
    (error: Error) => error.message === 'gpu.js must be loaded before it is used: await loadGpuJs()',
  );
});
early.run();

for (const backend of ['cpu', 'wasm', 'webgpu'] as const) {
  const test = suite(`impl-gpu/tfjs/steppers/gpujs on ${backend}`);
  test.before(async () => {
    await lrd.loadGpuJs();
    await useBackend(backend);
  });

  for (const [rule, factory] of Object.entries(RULES)) {
    test(`${rule} with engine gpujs: the masks of the fused kernels, their values to float32's rounding`, async () => {
      const create = factory as (options: LrdOptions) => LrdOptimizer;
      const more = rule === 'sgdmAvg' ? { window: 2, weightDecay: 0.01 } : {};
      const fused = await trace(create, { keepProbability: 0.5, ...more });
      const gpujs = await trace(create, { keepProbability: 0.5, engine: 'gpujs', ...more });
      assert.is(gpujs.length, fused.length);
      const start = SIZES.map((size, k) => values(size, k));
      const bases = layOut(SIZES);
      gpujs.forEach((tensor, j) => {
        const expected = fused[j] as Float32Array;
        assert.is(tensor.length, expected.length);
        for (const [i, x] of tensor.entries()) {
          const y = expected[i] as number;
          // Three steps, and divisions by numbers as small as epsilon in RAdam and Adam: some hundred roundings.
          if (!(Math.abs(x - y) <= 2e-5 * Math.max(1e-2, Math.abs(y))))
            assert.unreachable(`${j}[${i}]: ${x}, not ${y}`);
        }
      });
      SIZES.forEach((size, k) => {
        const kept = drawKept({ seed: SEED, stream: 'mask', step: 1 }, bases[k] as number, size, 32768);
        for (let i = 0; i < size; i++) {
          const moved = !Object.is(gpujs[k]?.[i], start[k]?.[i]);
          // RAdam's and AdamW's first steps move everything that they keep; so does every other rule here.
          if (moved !== (kept[i] === 1))
            assert.unreachable(`tensor ${k}, element ${i} ${moved ? 'moved' : 'stood still'}`);
        }
      });
    });
  }

  test('clones and arrays taken before a step keep their values; nothing leaks; a configuration names its engine', async () => {
    const variable = tf.variable(tf.tensor1d([1, 2, 3]));
    const gradient = tf.tensor1d([1, 1, 1]);
    const optimizer = lrd.sgdm({ engine: 'gpujs', keepProbability: 1, learningRate: 0.5 });
    assert.is(optimizer.getConfig()['engine'], 'gpujs');
    assert.is(lrd.sgdm().getConfig()['engine'], undefined);
    const step = (): void => optimizer.applyGradients([{ name: variable.name, tensor: gradient }]);
    step();
    const clone = variable.clone();
    const early = await variable.data();
    const tensors = tf.memory().numTensors;
    step();
    step();
    assert.is(tf.memory().numTensors, tensors);
    assert.equal([...(await clone.data())], [0.5, 1.5, 2.5]);
    assert.equal([...early], [0.5, 1.5, 2.5]);
    // buf = 1, 1.9, 2.71
    assert.ok(Math.abs(((await variable.data())[0] as number) - (0.5 - 0.5 * (1.9 + 2.71))) < 1e-6);
    variable.assign(tf.tensor1d([7, 7, 7]));
    step();
    assert.ok(Math.abs(((await variable.data())[2] as number) - (7 - 0.5 * 3.439)) < 1e-5);
    optimizer.dispose();
    tf.dispose([variable, gradient, clone]);
  });

  if (backend === 'webgpu') {
    test('webgpu: steps read nothing back to the host and write a few hundred bytes', async () => {
      const { device } = await lrd.useWebGpu();
      const variable = tf.variable(tf.ones([1000]));
      const optimizer = lrd.adam({ engine: 'gpujs', seed: SEED });
      const cost = (): tf.Scalar => tf.sum(tf.square(variable));
      tf.dispose(optimizer.minimize(cost, false, [variable]) ?? []);
      const buffers = Object.getPrototypeOf(device.createBuffer({ size: 4, usage: 1 })) as GPUBuffer;
      const queues = Object.getPrototypeOf(device.queue) as GPUQueue;
      const mapAsync = Object.getOwnPropertyDescriptor(buffers, 'mapAsync') as PropertyDescriptor;
      const writeBuffer = Object.getOwnPropertyDescriptor(queues, 'writeBuffer') as PropertyDescriptor;
      let maps = 0;
      let written = 0;
      Object.defineProperty(buffers, 'mapAsync', {
        ...mapAsync,
        value(this: GPUBuffer, ...rest: unknown[]): unknown {
          maps += 1;
          return (mapAsync.value as (...rest: unknown[]) => unknown).apply(this, rest);
        },
      });
      Object.defineProperty(queues, 'writeBuffer', {
        ...writeBuffer,
        value(this: GPUQueue, ...rest: unknown[]): unknown {
          written += (rest[4] as number | undefined) ?? (rest[2] as ArrayBuffer).byteLength;
          return (writeBuffer.value as (...rest: unknown[]) => unknown).apply(this, rest);
        },
      });
      try {
        for (let step = 0; step < 5; step++) tf.dispose(optimizer.minimize(cost, false, [variable]) ?? []);
      } finally {
        Object.defineProperty(buffers, 'mapAsync', mapAsync);
        Object.defineProperty(queues, 'writeBuffer', writeBuffer);
      }
      assert.is(maps, 0);
      assert.ok(written > 0 && written / 5 < 1000, `${written / 5} bytes a step`);
      const after = await variable.data();
      assert.ok(after.every((x) => x <= 1) && after.some((x) => x < 1));
      optimizer.dispose();
      variable.dispose();
    });
  }

  test.run();
}
