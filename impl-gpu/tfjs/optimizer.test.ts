import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { createOptimizer, parseSeed, streamMask } from '../../impl-ref/index.ts';
import type { OptimizerState } from '../../impl-ref/index.ts';
import { useBackend } from '../../models/backend.ts';
import { FACTORIES } from '../../models/recipes/optimizers.ts';
import type { RuleName } from '../../spec/rules.ts';
import { tensorflowMissing } from '../tensorflow/load.ts';
import { drawWords, layOut, uniform } from '../random.ts';
import * as lrd from './index.ts';
import type { LrdOptimizer } from './index.ts';

const SEED = 0x0123456789abcdefn;
const SHAPES = [[3, 5], [1], [65], [2, 3, 4]];

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Numbers in (-1, 1) with many magnitudes, the same on every run. */
function numbers(count: number, position: number): Float32Array {
  const words = drawWords({ seed: 99n, stream: 'augmentation', step: position }, 0, 2 * count);
  return Float32Array.from({ length: count }, (_, i) => {
    const sign = 2 * uniform(words[2 * i] as number) - 1;
    return sign * 2 ** -Math.floor(8 * uniform(words[2 * i + 1] as number));
  });
}

function makeVariables(): tf.Variable[] {
  return SHAPES.map((shape, k) => tf.tidy(() => tf.variable(tf.tensor(numbers(sizeOf(shape), 1000 + k), shape))));
}

function makeGradients(step: number): tf.Tensor[] {
  return SHAPES.map((shape, k) => tf.tensor(numbers(sizeOf(shape), step * 10 + k), shape));
}

async function read(tensors: readonly tf.Tensor[]): Promise<Float32Array[]> {
  return Promise.all(tensors.map(async (tensor) => (await tensor.data<'float32'>()).slice()));
}

function apply(optimizer: LrdOptimizer, variables: readonly tf.Variable[], gradients: readonly tf.Tensor[]): void {
  optimizer.applyGradients(variables.map(({ name }, k) => ({ name, tensor: gradients[k] as tf.Tensor })));
}

const maskOf = (step: number, base: number, size: number): Uint8Array =>
  streamMask({ key: parseSeed(SEED), stream: 'mask', step, base }, size, 0.5);

const dispose = (tensors: readonly tf.Tensor[]): void => tensors.forEach((tensor) => tensor.dispose());

const missing = tensorflowMissing('node');

for (const backend of ['cpu', 'wasm', 'webgpu', 'node'] as const) {
  const runs = backend !== 'node' || missing === undefined;
  const test = suite(`impl-gpu/tfjs/optimizer on ${backend}`).when(runs, missing ?? '');
  test.before(async () => {
    if (runs) await useBackend(backend);
  });

  for (const [rule, create] of Object.entries(FACTORIES)) {
    test(`[LRD-MASK-001] ${rule}: masks are the stream's and kept coordinates follow the reference, 20 steps`, async () => {
      const variables = makeVariables();
      const optimizer = create({ keepProbability: 0.5, seed: SEED });
      assert.is(optimizer.rule, rule);
      const bases = layOut(SHAPES.map(sizeOf));
      const start = await read(variables);
      const reference = createOptimizer(
        SHAPES.map((shape, k) => ({ name: `p${k}`, shape, values: start[k] as Float32Array })),
        { rule: rule as RuleName, keepProbability: 0.5, masks: { kind: 'stream', seed: SEED } },
      );
      let state: OptimizerState = reference.init();
      let before = start;
      for (let step = 1; step <= 20; step++) {
        const gradients = makeGradients(step);
        const values = await read(gradients);
        apply(optimizer, variables, gradients);
        const after = await read(variables);
        ({ state } = reference.step(state, values));
        after.forEach((tensor, k) => {
          const mask = maskOf(step, bases[k] as number, tensor.length);
          tensor.forEach((value, i) => {
            const old = before[k]?.[i] as number;
            if (mask[i] === 0) assert.is(value, old, `${rule} step ${step}: a dropped coordinate moved`);
            const expected = state.tensors[k]?.values[i] as number;
            // 20 steps of float32 rounding on values of order 1; the conformance kit derives sharp intervals.
            assert.ok(Math.abs(value - expected) <= 2e-5, `${rule} step ${step}: ${value} instead of ${expected}`);
          });
        });
        before = after;
        dispose(gradients);
      }
      optimizer.dispose();
      dispose(variables);
    });
  }

  test('nothing leaks over 100 steps, and dispose frees all of the state', () => {
    const outside = tf.memory().numTensors;
    const variables = makeVariables();
    const optimizer = lrd.adam({ seed: 1 });
    const gradients = makeGradients(1);
    apply(optimizer, variables, gradients);
    const { numTensors, numBytes } = tf.memory();
    for (let step = 0; step < 100; step++) apply(optimizer, variables, gradients);
    assert.is(tf.memory().numTensors, numTensors);
    assert.is(tf.memory().numBytes, numBytes);
    optimizer.dispose();
    dispose([...variables, ...gradients]);
    assert.is(tf.memory().numTensors, outside);
    assert.throws(() => apply(optimizer, variables, gradients), /disposed/);
  });

  test('clones, reshapes and arrays that were read before a step keep their values', async () => {
    const variable = tf.tidy(() => tf.variable(tf.tensor1d([1, 2, 3, 4])));
    const clone = variable.clone();
    const reshaped = tf.reshape(variable, [2, 2]);
    const array = await variable.data();
    const optimizer = lrd.sgdm({ keepProbability: 1, learningRate: 1, momentum: 0.5 });
    const gradient = tf.ones([4]);
    for (let step = 0; step < 2; step++) optimizer.applyGradients([{ name: variable.name, tensor: gradient }]);
    assert.equal([...(await variable.data())], [-1.5, -0.5, 0.5, 1.5]);
    for (const kept of [await clone.data(), await reshaped.data(), array]) assert.equal([...kept], [1, 2, 3, 4]);
    dispose([variable, clone, reshaped, gradient]);
    optimizer.dispose();
  });

  test('state that was read or cloned between steps keeps its values', async () => {
    const variable = tf.tidy(() => tf.variable(tf.zeros([3])));
    const optimizer = lrd.sgdm({ keepProbability: 1, learningRate: 1, momentum: 0.5 });
    const gradient = tf.ones([3]);
    const step = (): void => optimizer.applyGradients([{ name: variable.name, tensor: gradient }]);
    step();
    step();
    const state = async (): Promise<tf.Tensor> => {
      const { tensor } = (await optimizer.getWeights()).find(({ name }) => name.includes('buf')) as {
        tensor: tf.Tensor;
      };
      return tensor;
    };
    const array = await (await state()).data();
    step();
    assert.equal([...array], [1.5, 1.5, 1.5]);
    const clone = (await state()).clone();
    step();
    assert.equal([...(await clone.data())], [1.75, 1.75, 1.75]);
    assert.equal([...(await (await state()).data())], [1.875, 1.875, 1.875]);
    assert.equal([...(await variable.data())], [-6.125, -6.125, -6.125]);
    dispose([variable, clone, gradient]);
    optimizer.dispose();
  });

  test("an array that made a variable is the caller's and stays as it is", async () => {
    const values = Float32Array.of(1, 2);
    const variable = tf.tidy(() => tf.variable(tf.tensor1d(values)));
    const optimizer = lrd.sgdm({ keepProbability: 1, learningRate: 1 });
    const gradient = tf.ones([2]);
    optimizer.applyGradients([{ name: variable.name, tensor: gradient }]);
    assert.equal([...values], [1, 2]);
    assert.equal([...(await variable.data())], [0, 1]);
    dispose([variable, gradient]);
    optimizer.dispose();
  });

  test('products and convolutions see the new values at once', async () => {
    const matrix = tf.tidy(() => tf.variable(tf.ones([8, 8])));
    const filter = tf.tidy(() => tf.variable(tf.ones([3, 3, 8, 8])));
    const optimizer = lrd.sgdm({ keepProbability: 1, learningRate: 1, momentum: 0 });
    const look = async (): Promise<number[]> => {
      const product = tf.tidy(() => tf.sum(tf.matMul(tf.ones([4, 8]), matrix as tf.Tensor2D)));
      const convolved = tf.tidy(() =>
        tf.sum(tf.conv2d<tf.Tensor4D>(tf.ones([1, 3, 3, 8]), filter as tf.Tensor4D, 1, 'valid')),
      );
      const seen = await read([product, convolved]);
      dispose([product, convolved]);
      return seen.map((values) => values[0] as number);
    };
    assert.equal(await look(), [256, 576]);
    const gradients = [tf.fill([8, 8], -1), tf.fill([3, 3, 8, 8], -1)];
    apply(optimizer, [matrix, filter], gradients);
    assert.equal(await look(), [512, 1152]);
    dispose([matrix, filter, ...gradients]);
    optimizer.dispose();
  });

  test('assign between steps is respected', async () => {
    const variable = tf.tidy(() => tf.variable(tf.tensor1d([1, 1])));
    const optimizer = lrd.sgdm({ keepProbability: 1, learningRate: 1, momentum: 0 });
    const gradient = tf.ones([2]);
    optimizer.applyGradients([{ name: variable.name, tensor: gradient }]);
    tf.tidy(() => variable.assign(tf.tensor1d([10, 20])));
    optimizer.applyGradients([{ name: variable.name, tensor: gradient }]);
    assert.equal([...(await variable.data())], [9, 19]);
    dispose([variable, gradient]);
    optimizer.dispose();
  });

  test('variables without a gradient stand still, keep their place, and state follows the variable, not the list', async () => {
    const variables = makeVariables();
    const all = lrd.sgdm({ seed: SEED, learningRate: 1 });
    all.bind(variables);
    const gradients = makeGradients(1);
    const [w0, , w2] = variables as [tf.Variable, tf.Variable, tf.Variable, tf.Variable];
    const before = await read(variables);
    all.applyGradients({ [w2.name]: gradients[2] as tf.Tensor });
    const mask = maskOf(1, layOut(SHAPES.map(sizeOf))[2] as number, 65);
    const after = await read(variables);
    after[2]?.forEach((value, i) => assert.is(value !== before[2]?.[i], mask[i] === 1));
    assert.equal([after[0], after[1], after[3]], [before[0], before[1], before[3]]);
    // Second step, other way round: w0 has no momentum from w2's gradient.
    const zero = tf.zeros([3, 5]);
    all.applyGradients({ [w0.name]: zero });
    assert.equal((await read([w0]))[0], before[0]);
    dispose([...variables, ...gradients, zero]);
    all.dispose();
  });

  test('minimize finds the list of variables by itself, unused ones included', async () => {
    const used = tf.tidy(() => tf.variable(tf.tensor1d([1, 2])));
    const unused = tf.tidy(() => tf.variable(tf.tensor1d([3])));
    const optimizer = lrd.sgdm({ keepProbability: 1, learningRate: 0.1, momentum: 0 });
    const cost = optimizer.minimize(() => tf.sum(tf.square(used)), true, [unused, used]);
    assert.is((await cost?.data())?.[0], 5);
    assert.equal([...(await used.data())], [0.8, 1.6].map(Math.fround));
    assert.equal([...(await unused.data())], [3]);
    optimizer.minimize(() => tf.add(tf.sum(used), tf.sum(unused)), false, [unused, used]);
    assert.equal([...(await unused.data())], [Math.fround(2.9)]);
    dispose([used, unused, cost as tf.Scalar]);
    optimizer.dispose();
  });

  test('a mistake is named and changes nothing', async () => {
    const variables = makeVariables();
    const gradients = makeGradients(1);
    const optimizer = lrd.adam({ seed: 1 });
    apply(optimizer, variables, gradients);
    const before = await read(variables);
    const [w0] = variables as [tf.Variable];
    const wrongShape = tf.zeros([5, 3]);
    const wrongType = tf.zeros([3, 5], 'int32');
    const send = (name: string, tensor: tf.Tensor) => (): void => optimizer.applyGradients([{ name, tensor }]);
    assert.throws(send(w0.name, wrongShape), /must be float32 of shape \[3, 5\], got float32 of shape \[5, 3\]/);
    assert.throws(send(w0.name, wrongType), /got int32 of shape \[3, 5\]/);
    assert.throws(send('nobody', wrongShape), /registered variables, got one for "nobody"/);
    assert.throws(() => (optimizer.keepProbability = 1.5), /keepProbability must be in \[2\^-16, 1\], got 1.5/);
    assert.throws(() => (optimizer.learningRate = -1), /learningRate must be a finite number of at least 0, got -1/);
    assert.throws(() => (optimizer.weightDecay = NaN), /weightDecay/);
    assert.throws(() => lrd.adam({ keepProbability: 0 }), /keepProbability/);
    assert.throws(() => lrd.adam({ beta1: 1 }), /beta1 must be in \[0, 1\), got 1/);
    assert.throws(() => lrd.adam({ dropout: 0.5 } as object), /dropout/);
    assert.throws(() => lrd.adam({ groups: [{ match: '*', keepProbability: 2 }] }), /keepProbability/);
    assert.throws(() => lrd.adam({ seed: -1 }), /seed must be/);
    assert.is(optimizer.iterations, 1);
    assert.is(optimizer.keepProbability, 0.5);
    assert.is(optimizer.learningRate, 1e-3);
    assert.equal(await read(variables), before);
    dispose([...variables, ...gradients, wrongShape, wrongType]);
    optimizer.dispose();
  });

  test('groups set rates and exclude variables by name', async () => {
    const weight = tf.tidy(() => tf.variable(tf.zeros([1000]), true, `w-${backend}`));
    const bias = tf.tidy(() => tf.variable(tf.zeros([1000]), true, `bias-${backend}`));
    const groups = [{ match: 'bias*', learningRate: 0.5, excluded: true }];
    const optimizer = lrd.sgdm({ keepProbability: 0.1, learningRate: 1, momentum: 0, seed: 3, groups });
    const gradient = tf.ones([1000]);
    apply(optimizer, [weight, bias], [gradient, gradient]);
    const [w, b] = (await read([weight, bias])) as [Float32Array, Float32Array];
    const moved = w.filter((value) => value === -1).length;
    assert.ok(moved > 50 && moved < 170 && w.every((value) => value === -1 || value === 0));
    assert.ok(b.every((value) => value === -0.5));
    dispose([weight, bias, gradient]);
    optimizer.dispose();
  });

  test('weights and configuration restore an optimizer bit for bit, also under renamed variables', async () => {
    for (const [rule, create] of Object.entries(FACTORIES)) {
      const variables = makeVariables();
      const optimizer = create({ seed: SEED, keepProbability: 0.7 });
      for (let step = 1; step <= 3; step++) tf.tidy(() => apply(optimizer, variables, makeGradients(step)));
      const weights = await optimizer.getWeights();
      const copies = (await read(variables)).map((values, k) =>
        tf.tidy(() => tf.variable(tf.tensor(values, SHAPES[k] as number[]))),
      );
      const restored = create(optimizer.getConfig());
      await restored.setWeights(weights);
      assert.is(restored.iterations, 3);
      for (let step = 4; step <= 6; step++) {
        tf.tidy(() => apply(optimizer, variables, makeGradients(step)));
        tf.tidy(() => apply(restored, copies, makeGradients(step)));
      }
      assert.equal(await read(copies), await read(variables), rule);
      dispose([...variables, ...copies, ...weights.slice(0, 2).map(({ tensor }) => tensor)]);
      optimizer.dispose();
      restored.dispose();
    }
  });

  test('weights of another rule or of other shapes are refused', async () => {
    const variables = makeVariables();
    const gradients = makeGradients(1);
    const adam = lrd.adam({ seed: 1 });
    apply(adam, variables, gradients);
    const weights = await adam.getWeights();
    const refusal = async (optimizer: LrdOptimizer): Promise<string> => {
      try {
        await optimizer.setWeights(weights);
      } catch (error) {
        return (error as Error).message;
      }
      return 'accepted';
    };
    assert.match(await refusal(lrd.amsgrad()), /must be the state \(m, v, vmax\) of amsgrad, got \["m","v"\]/);
    assert.match(await refusal(lrd.rmsprop({ momentum: 0.9 })), /must be the state \(v, buf\) of rmsprop/);
    const other = lrd.adam();
    await other.setWeights(weights);
    // Found by name, whatever the order.
    apply(other, [...variables].reverse(), [...gradients].reverse());
    const wider = tf.tidy(() => tf.variable(tf.zeros([3, 6]), true));
    const strange = lrd.adam();
    await strange.setWeights(weights);
    const gradient = tf.zeros([3, 6]);
    assert.throws(
      () => apply(strange, [wider], [gradient]),
      /saved state must be for these variables, by name and shape or, where all names are new, by order/,
    );
    assert.is(strange.iterations, 1);
    dispose([wider, gradient, ...variables, ...gradients, ...weights.slice(0, 2).map(({ tensor }) => tensor)]);
    adam.dispose();
  });

  test(
    'model.compile, fit, save with the optimizer, load, and train on bit for bit',
    async () => {
      const build = (): tf.Sequential => {
        const model = tf.sequential();
        model.add(tf.layers.dense({ inputShape: [4], units: 8, activation: 'relu' }));
        model.add(tf.layers.dense({ units: 1 }));
        return model;
      };
      const model = build();
      model.compile({ optimizer: lrd.adam({ learningRate: 0.02, seed: 5 }), loss: 'meanSquaredError' });
      const x = tf.tensor2d(numbers(64 * 4, 1), [64, 4]);
      const y = tf.tidy(() => tf.sum(x, 1, true));
      const fit = (m: tf.LayersModel): Promise<tf.History> =>
        m.fit(x, y, { epochs: 6, batchSize: 16, shuffle: false, verbose: 0, yieldEvery: 'never' });
      const { history } = await fit(model);
      const losses = history['loss'] as number[];
      assert.ok(losses.at(-1) < 0.7 * (losses[0] as number), losses.join(' '));
      let artifacts: tf.io.ModelArtifacts | undefined;
      await model.save(
        tf.io.withSaveHandler(async (saved) => {
          artifacts = saved;
          return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
        }),
        { includeOptimizer: true },
      );
      const loaded = await tf.loadLayersModel(tf.io.fromMemory(artifacts as tf.io.ModelArtifacts));
      const optimizer = loaded.optimizer as unknown as LrdOptimizer;
      assert.is(optimizer.iterations, 24);
      assert.is(optimizer.seed, '0x0000000000000005');
      assert.equal((await fit(loaded)).history['loss'], (await fit(model)).history['loss']);
      assert.equal(await read(loaded.getWeights()), await read(model.getWeights()));
      dispose([x, y]);
    },
    { timeout: 240 },
  );

  test.run();
}
