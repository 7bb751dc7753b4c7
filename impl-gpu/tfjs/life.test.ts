/** The life of an optimizer: who joins when, what is saved and found again, what waits between steps. */
import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { parseSeed, streamMask } from '../../impl-ref/index.ts';
import { useBackend } from '../../models/backend.ts';
import { FACTORIES } from '../../models/recipes/optimizers.ts';
import { drawWords, layOut, uniform } from '../random.ts';
import { tensorflowMissing } from '../tensorflow/load.ts';
import * as lrd from './index.ts';
import type { LrdOptimizer, LrdOptions } from './index.ts';

const SEED = 0x51ed270b27b4f00dn;

function numbers(count: number, position: number): Float32Array {
  const words = drawWords({ seed: 5n, stream: 'augmentation', step: position }, 0, count);
  return Float32Array.from(words, (word) => 2 * uniform(word) - 1);
}

const make = (shape: number[], position: number, name?: string): tf.Variable =>
  tf.tidy(() => tf.variable(tf.tensor(numbers(tf.util.sizeFromShape(shape), position), shape), true, name));

const valuesOf = async (tensors: readonly tf.Tensor[]): Promise<number[][]> =>
  Promise.all(tensors.map(async (tensor) => [...(await tensor.data<'float32'>())]));

const dispose = (...tensors: readonly (tf.Tensor | undefined)[]): void =>
  tensors.forEach((tensor) => tensor?.dispose());

/** The first two of the list were made for it. */
const freeWeights = (weights: readonly lrd.NamedTensor[]): void =>
  dispose(...weights.slice(0, 2).map(({ tensor }) => tensor));

/** What `model.save` and `loadLayersModel` do to a configuration: JSON, and every string camel-cased but those under `name`. */
function throughModel(value: unknown, key?: string): unknown {
  if (typeof value === 'string') {
    return key === 'name' ? value : value.replace(/_+(\w|$)/g, (_, letter: string) => letter.toUpperCase());
  }
  if (Array.isArray(value)) return value.map((item) => throughModel(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, throughModel(item, name)]));
}

async function copyOf(
  optimizer: LrdOptimizer,
  create: (options: Record<string, unknown>) => LrdOptimizer,
  between: (config: unknown) => unknown = (config) => JSON.parse(JSON.stringify(config)),
): Promise<LrdOptimizer> {
  const copy = create(between(optimizer.getConfig()) as Record<string, unknown>);
  const weights = await optimizer.getWeights();
  await copy.setWeights(weights);
  freeWeights(weights);
  return copy;
}

let names = 0;
/** A name that no variable of this process has. */
const unique = (stem: string): string => `${stem}-life${names++}`;

const rejection = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (error as Error).message,
  );

async function saved(model: tf.LayersModel): Promise<tf.io.ModelArtifacts> {
  let artifacts: tf.io.ModelArtifacts | undefined;
  const handler = tf.io.withSaveHandler(async (given) => {
    artifacts = given;
    return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
  });
  await model.save(handler, { includeOptimizer: true });
  return artifacts as tf.io.ModelArtifacts;
}

const OPTIONS: readonly LrdOptions[] = [
  {},
  { accumulate: 3 },
  { keepProbability: 1, clipValue: 0.5, clipGlobalNorm: 0.7 },
  { gradientKeepProbability: 0.6, noiseEta: 0.01, centralize: true },
  { sparsity: 0.5 },
  { sparsity: 0.5, sparseReading: 'updates', accumulate: 2 },
  {
    groups: [
      { match: ['a-*', 'x_y*'], learningRate: 0.01 },
      { match: '*', keepProbability: 0.3 },
    ],
  },
  { keepProbability: { schedule: 'polynomial', initial: 0.9, final: 0.1, steps: 7 } },
];

const missing = tensorflowMissing('node');

for (const backend of ['cpu', 'wasm', 'webgpu', 'node'] as const) {
  const runs = backend !== 'node' || missing === undefined;
  const test = suite(`impl-gpu/tfjs/life on ${backend}`).when(runs, missing ?? '');
  test.before(async () => {
    if (runs) await useBackend(backend);
  });
  /** Steps are slow on a software adapter. */
  const few = backend === 'webgpu';

  test('[LRD-STREAM-003] whoever joins takes the next place, and nobody else moves', async () => {
    const shapes = [[70], [3, 5], [129], [1], [64]];
    const variables = shapes.map((shape, k) => make(shape, k));
    const optimizer = lrd.sgdm({ keepProbability: 0.5, learningRate: 1, momentum: 0.9, seed: SEED });
    const order = [2, 0, 4, 1, 3];
    const bases = layOut(order.map((k) => tf.util.sizeFromShape(shapes[k] as number[])));
    const joins = [[2], [0, 2], [4, 0], [3, 1], [0, 1, 2, 3, 4]];
    // Named in the order of joining where several join at once.
    const lists = [[2], [0, 2], [4, 0], [1, 3], [0, 1, 2, 3, 4]];
    for (const [index, list] of lists.entries()) {
      assert.is(list.length, (joins[index] as number[]).length);
      const before = await valuesOf(variables);
      const gradients = list.map((k) => tf.ones(shapes[k] as number[]));
      optimizer.applyGradients(
        list.map((k, i) => ({ name: (variables[k] as tf.Variable).name, tensor: gradients[i] as tf.Tensor })),
      );
      const after = await valuesOf(variables);
      after.forEach((values, k) => {
        const base = bases[order.indexOf(k)] as number;
        const mask = streamMask({ key: parseSeed(SEED), stream: 'mask', step: index + 1, base }, values.length, 0.5);
        values.forEach((value, i) =>
          assert.is(value !== before[k]?.[i], list.includes(k) && mask[i] === 1, `step ${index + 1}, ${k}`),
        );
      });
      dispose(...gradients);
    }
    optimizer.dispose();
    dispose(...variables);
  });

  test('minimize without a list keeps state for those with a gradient alone, beside other models', async () => {
    const stranger = tf.tidy(() => tf.variable(tf.zeros([100_000])));
    const own = make([3], 1);
    const optimizer = lrd.adam({ seed: 1 });
    const before = tf.memory().numBytes;
    const floats = (): number => (tf.memory().numBytes - before) / 4;
    optimizer.minimize(() => tf.sum(tf.square(own)));
    assert.is(floats(), 2 * 3);
    optimizer.minimize(() => tf.sum(tf.square(own)));
    assert.is(floats(), 2 * 3);
    // Given a list, all of it has places, and state only where there was a gradient.
    const listed = lrd.adam({ seed: 1 });
    listed.minimize(() => tf.sum(tf.square(own)), false, [stranger, own]);
    assert.is(floats(), 4 * 3);
    const late = tf.ones([100_000]);
    listed.applyGradients({ [stranger.name]: late });
    const [base] = [0];
    const mask = streamMask({ key: parseSeed(1), stream: 'mask', step: 2, base }, 100_000, 0.5);
    const [values] = await valuesOf([stranger]);
    assert.ok(values?.every((value, i) => (value !== 0) === (mask[i] === 1)));
    optimizer.dispose();
    listed.dispose();
    dispose(stranger, own, late);
  });

  test(
    'saved at any moment and loaded, it goes on as if nothing had been: every rule, every option, variables that join',
    async () => {
      const rules = Object.entries(FACTORIES);
      const history = fc.record({
        rule: fc.nat(rules.length - 1),
        options: fc.nat(OPTIONS.length - 1),
        // Which of three variables have a gradient, by step.
        steps: fc.array(fc.subarray([0, 1, 2]), { minLength: 1, maxLength: 8 }),
        // Before which steps it is saved and loaded, and how often.
        saves: fc.array(fc.record({ at: fc.nat(8), twice: fc.boolean() }), { minLength: 1, maxLength: 3 }),
      });
      await fc.assert(
        fc.asyncProperty(history, async ({ rule, options, steps, saves }) => {
          const [name, create] = rules[rule] as (typeof rules)[number];
          const given = { ...OPTIONS[options], seed: SEED, ...(name === 'sgdm-avg' ? { window: 3 } : {}) };
          const shapes = [[4, 6], [65], [3]];
          const stems = ['a', 'x_y', 'b'].map(unique);
          const one = shapes.map((shape, k) => make(shape, k, `${stems[k]}/1`));
          const straight = create(given);
          let other: LrdOptimizer = create(given);
          // The groups' patterns must hold for both.
          const two = shapes.map((shape, k) => make(shape, k, `${stems[k]}/2`));
          // In the order of joining, which a set keeps.
          const joined = new Set<number>();
          for (let step = 0; step < Math.max(steps.length, 9); step++) {
            for (const { twice } of saves.filter(({ at }) => at === step)) {
              for (let time = 0; time < (twice ? 2 : 1); time++) {
                const copy = await copyOf(other, create, (config) => throughModel(JSON.parse(JSON.stringify(config))));
                assert.is(copy.iterations, straight.iterations);
                other.dispose();
                other = copy;
              }
            }
            const present = steps[step];
            if (present === undefined || present.length === 0) continue;
            // Who is new and steps first behind a load could be an old one renamed: then the old ones are to be bound.
            other.bind([...joined].map((k) => two[k] as tf.Variable));
            for (const k of present) joined.add(k);
            tf.tidy(() => {
              for (const [optimizer, variables] of [
                [straight, one],
                [other, two],
              ] as const) {
                optimizer.applyGradients(
                  present.map((k) => {
                    const shape = shapes[k] as number[];
                    const tensor = tf.tensor(numbers(tf.util.sizeFromShape(shape), 100 + 10 * step + k), shape);
                    return { name: (variables[k] as tf.Variable).name, tensor };
                  }),
                );
              }
            });
          }
          assert.equal(await valuesOf(two), await valuesOf(one), name);
          straight.dispose();
          other.dispose();
          dispose(...one, ...two);
        }),
        { numRuns: few ? 12 : 60, seed: 18 },
      );
    },
    { timeout: 240 },
  );

  test('a frozen layer stays frozen through model.save and loadLayersModel, and the groups go on', async () => {
    const build = (): tf.Sequential => {
      const model = tf.sequential();
      model.add(tf.layers.dense({ inputShape: [4], units: 3, name: `my_layer${backend}_in` }));
      model.add(tf.layers.dense({ units: 1, name: `my_layer${backend}_out` }));
      return model;
    };
    const groups = [
      { match: `my_layer${backend}_in/*`, learningRate: 0 },
      { match: '*/bias', keepProbability: 1, learningRate: 0.1 },
    ];
    const x = tf.tensor2d(numbers(32, 1), [8, 4]);
    const y = tf.tensor2d(numbers(8, 2), [8, 1]);
    const fit = (model: tf.LayersModel): Promise<tf.History> =>
      model.fit(x, y, { epochs: 1, batchSize: 8, shuffle: false, verbose: 0, yieldEvery: 'never' });
    for (const steps of [0, 1]) {
      const model = build();
      model.compile({ optimizer: lrd.sgdm({ groups, seed: 3 }), loss: 'meanSquaredError' });
      for (let step = 0; step < steps; step++) await fit(model);
      // Loaded beside the first one, so that tfjs renames its variables: `.../bias_1`.
      const loaded = await tf.loadLayersModel(tf.io.fromMemory(await saved(model)));
      const before = await valuesOf(loaded.getWeights());
      await fit(loaded);
      await fit(model);
      const after = await valuesOf(loaded.getWeights());
      assert.equal(after.slice(0, 2), before.slice(0, 2));
      assert.not.equal(after[3], before[3]);
      assert.equal(after, await valuesOf(model.getWeights()));
      model.dispose();
      loaded.dispose();
    }
    dispose(x, y);
  });

  test('a pattern that matches no variable is warned of once', () => {
    const variable = make([3], 1);
    const optimizer = lrd.sgdm({ groups: [{ match: ['nobody*', '*'] }] });
    const gradient = tf.ones([3]);
    const said: unknown[] = [];
    const { warn } = console;
    console.warn = (...words: unknown[]) => void said.push(words.join(' '));
    try {
      for (let step = 0; step < 3; step++) optimizer.applyGradients({ [variable.name]: gradient });
    } finally {
      console.warn = warn;
    }
    assert.is(said.length, 1);
    assert.match(String(said[0]), /the pattern "nobody\*" of a group matches none of the variables/);
    optimizer.dispose();
    dispose(variable, gradient);
  });

  test("a variable never gets a stranger's moments: found by name and shape, by order where all is renamed, else refused", async () => {
    const [a, b, c] = [make([3], 1, unique('a')), make([3], 2, unique('b')), make([4], 3, unique('c'))] as const;
    const gradientsOf = (list: readonly tf.Variable[]): Record<string, tf.Tensor> =>
      Object.fromEntries(list.map(({ name, shape }, k) => [name, tf.fill(shape, k + 1)]));
    const apply = (optimizer: LrdOptimizer, list: readonly tf.Variable[]): void =>
      tf.tidy(() => optimizer.applyGradients(gradientsOf(list)));
    const first = lrd.adam({ seed: 2 });
    apply(first, [a, b, c]);
    const load = (): Promise<LrdOptimizer> => copyOf(first, lrd.adam);
    const momentOf = async (optimizer: LrdOptimizer, name: string): Promise<number | undefined> => {
      const weights = await optimizer.getWeights();
      const found = weights.find((weight) => weight.name === `${name}/m`);
      const value = found === undefined ? undefined : (await found.tensor.data())[0];
      freeWeights(weights);
      return value;
    };
    const close = (got: number | undefined, expected: number): void =>
      assert.ok(got !== undefined && Math.abs(got - expected) < 1e-6, `${got} instead of ${expected}`);

    // Frozen a: b is found by its name, and a's state is kept.
    const frozen = await load();
    apply(frozen, [b]);
    close(await momentOf(frozen, b.name), 0.9 * 0.2 + 0.1);
    close(await momentOf(frozen, a.name), 0.1);

    // Renamed as a whole: by order.
    const renamed = [make([3], 1, unique('r')), make([3], 2, unique('s')), make([4], 3, unique('t'))] as const;
    const again = await load();
    apply(again, renamed);
    close(await momentOf(again, renamed[1].name), 0.9 * 0.2 + 0.2);

    // Renamed and one of them missing, or shapes that differ, or a mixture that might be either: refused, and nothing has moved.
    const before = await valuesOf([a, b, c, ...renamed]);
    for (const list of [[renamed[1]], [renamed[2], renamed[0], renamed[1]], [a, renamed[1], c]]) {
      const optimizer = await load();
      assert.throws(() => apply(optimizer, list), /saved state must be for these variables/);
      assert.is(optimizer.iterations, 1);
      optimizer.dispose();
    }
    assert.equal(await valuesOf([a, b, c, ...renamed]), before);

    // One of another shape beside those that have kept their names is new.
    const fresh = make([5], 4, unique('n'));
    const joined = await load();
    apply(joined, [fresh, a]);
    close(await momentOf(joined, fresh.name), 0.1);
    close(await momentOf(joined, a.name), 0.9 * 0.1 + 0.2);
    for (const optimizer of [first, frozen, again, joined]) optimizer.dispose();
    dispose(a, b, c, fresh, ...renamed);
  });

  test('variables that are renumbered are told by the rest of their names, wherever they stand', async () => {
    const stems = ['a', 'b', 'c'].map(unique);
    const named = (suffix: string): tf.Variable[] => stems.map((stem, k) => make([3], k, `${stem}/kernel${suffix}`));
    const first = named('');
    const again = named('_1');
    const step = (optimizer: LrdOptimizer, list: readonly tf.Variable[], order: readonly number[]): void =>
      tf.tidy(() =>
        optimizer.applyGradients(
          order.map((k) => ({ name: (list[k] as tf.Variable).name, tensor: tf.fill([3], k + 1) })),
        ),
      );
    const straight = lrd.adam({ seed: 2, keepProbability: 1 });
    // Frozen at first: the last one joined first.
    step(straight, first, [2]);
    step(straight, first, [0, 1, 2]);
    const loaded = await copyOf(straight, lrd.adam);
    const before = await valuesOf(first);
    again.forEach((variable, k) => variable.assign(tf.tensor1d(before[k] as number[])));
    step(straight, first, [0, 1, 2]);
    step(loaded, again, [0, 1, 2]);
    assert.equal(await valuesOf(again), await valuesOf(first));
    // One of them beside one that is new: the order would hand moments on to a stranger.
    const other = await copyOf(straight, lrd.adam);
    const stranger = make([3], 9, unique('d'));
    assert.throws(() => step(other, [again[1], again[2], stranger] as tf.Variable[], [0, 1, 2]), /must be for these/);
    for (const optimizer of [straight, loaded, other]) optimizer.dispose();
    dispose(...first, ...again, stranger);
  });

  test('a seed that was drawn gives way to the saved one, a given one does not', async () => {
    const variable = make([3], 1);
    const first = lrd.sgdm();
    const weights = await first.getWeights();
    const [drawn, given] = [lrd.sgdm(), lrd.sgdm({ seed: 9 })];
    await drawn.setWeights(weights);
    await given.setWeights(weights);
    assert.is(drawn.seed, first.seed);
    assert.is(given.seed, '0x0000000000000009');
    freeWeights(weights);
    dispose(variable);
  });

  test('foreign weights are refused before anything changes', async () => {
    const variable = make([3], 1);
    const optimizer = lrd.adam({ seed: 4 });
    const gradient = tf.ones([3]);
    optimizer.applyGradients({ [variable.name]: gradient });
    const weights = await optimizer.getWeights();
    const [iterations, record, m, v] = weights as [lrd.NamedTensor, lrd.NamedTensor, lrd.NamedTensor, lrd.NamedTensor];
    const wrong = tf.zeros([4]);
    const text = tf.tensor1d([0x7b7b7b7b], 'int32');
    const negative = tf.scalar(-1, 'int32');
    for (const [list, pattern] of [
      [[], /must be those of getWeights\(\), with lrd\/record in second place, got nothing/],
      [[iterations, m], /with lrd\/record in second place/],
      [[iterations, record, m], /must be 2 tensors of state for adam, got 1/],
      [[iterations, record, v, m], /must be the state \(m, v\) of adam/],
      [
        [iterations, record, { ...m, tensor: wrong }, v],
        /must be float32 of shape \[3\] for .*, got float32 of shape \[4\]/,
      ],
      [[iterations, { ...record, tensor: text }, m, v], /lrd\/record a JSON text/],
      [[{ ...iterations, tensor: negative }, record, m, v], /a whole number of steps in first place, got -1/],
    ] as const) {
      assert.match(await rejection(optimizer.setWeights([...list])), pattern);
    }
    assert.match(await rejection(lrd.adam({ trained: { rate: 0 } }).setWeights(weights)), /state \(m, v, update\)/);
    assert.is(optimizer.iterations, 1);
    optimizer.applyGradients({ [variable.name]: gradient });
    freeWeights(weights);
    optimizer.dispose();
    dispose(variable, gradient, wrong, text, negative);
  });

  test('a layer that two models within a model share is stepped once', async () => {
    const layer = tf.layers.dense({ units: 3, inputShape: [3], useBias: false, kernelInitializer: 'zeros' });
    const inner = (): tf.LayersModel => {
      const input = tf.input({ shape: [3] });
      return tf.model({ inputs: input, outputs: layer.apply(input) as tf.SymbolicTensor });
    };
    const input = tf.input({ shape: [3] });
    const parts = [inner(), inner()].map((model) => model.apply(input) as tf.SymbolicTensor);
    const model = tf.model({ inputs: input, outputs: tf.layers.add().apply(parts) as tf.SymbolicTensor });
    assert.is(model.trainableWeights.length, 2);
    model.compile({
      optimizer: lrd.sgdm({ keepProbability: 1, momentum: 0, learningRate: 0.1 }),
      loss: 'meanSquaredError',
    });
    const ones = tf.ones([4, 3]);
    await model.fit(ones, ones, { epochs: 1, verbose: 0 });
    // d/dw of mean (2 sum w - 1)^2 at 0, over three outputs: -4 / 3.
    const [kernel] = await valuesOf(layer.getWeights());
    for (const value of kernel ?? []) assert.ok(Math.abs(value - 0.4 / 3) < 1e-6, String(value));
    model.dispose();
    dispose(ones);
  });

  test('dropout layers of models within models draw, each at a place of its own, and so do two models of one optimizer', async () => {
    const retain = 0.5;
    const inner = (): tf.Sequential => {
      const model = tf.sequential();
      model.add(new lrd.StandardDropout({ retain, inputShape: [64] } as object));
      return model;
    };
    const optimizer = lrd.sgdm({ seed: 6 });
    const wrapped = tf.layers.timeDistributed({
      layer: new lrd.StandardDropout({ retain }),
    });
    const input = tf.input({ shape: [64] });
    const sequence = tf.layers.reshape({ targetShape: [1, 64] }).apply(input);
    const nested = tf.model({
      inputs: input,
      outputs: [inner().apply(input), inner().apply(input), wrapped.apply(sequence)] as tf.SymbolicTensor[],
    });
    lrd.attachDropout(nested, optimizer);
    const alone = inner();
    lrd.attachDropout(alone, optimizer);
    const ones = tf.ones([2, 64]);
    const outputs = tf.tidy(() => nested.apply(ones, { training: true }) as tf.Tensor[]);
    const other = tf.tidy(() => alone.apply(ones, { training: true }) as tf.Tensor);
    const drawn = await valuesOf([...outputs, other]);
    assert.is(new Set(drawn.map((values) => values.join())).size, 4);
    for (const values of drawn) assert.ok(values.includes(0) && values.includes(2));
    dispose(...outputs, other, ones);
  });

  test('pending gradients go on into the next epoch; flush steps with their mean, a callback at each epoch end', async () => {
    const [flushed, plain] = [make([40], 1), make([40], 1)];
    const [a, b] = [lrd.adam({ seed: SEED, accumulate: 3 }), lrd.adam({ seed: SEED })];
    const parts = [2, 3, 4, 5].map((position) => tf.tensor1d(numbers(40, position)));
    for (const tensor of parts) a.applyGradients({ [flushed.name]: tensor });
    assert.is(a.iterations, 1);
    a.flush();
    assert.is(a.iterations, 2);
    a.flush();
    assert.is(a.iterations, 2);
    const mean = tf.tidy(() => tf.div(tf.add(tf.add(parts[0] as tf.Tensor, parts[1] as tf.Tensor), parts[2] as tf.Tensor), 3)); // prettier-ignore
    b.applyGradients({ [plain.name]: mean });
    b.applyGradients({ [plain.name]: parts[3] as tf.Tensor });
    assert.equal(await valuesOf([flushed]), await valuesOf([plain]));

    const model = tf.sequential();
    model.add(tf.layers.dense({ inputShape: [2], units: 1 }));
    const optimizer = lrd.sgdm({ accumulate: 4, seed: 1 });
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const [x, y] = [tf.ones([6, 2]), tf.ones([6, 1])];
    const fit = { epochs: 3, batchSize: 1, verbose: 0, yieldEvery: 'never' } as const;
    await model.fit(x, y, fit);
    // 18 gradients: four whole steps, and two gradients pending.
    assert.is(optimizer.iterations, 4);
    await model.fit(x, y, { ...fit, callbacks: [lrd.flushAtEpochEnd(optimizer)] });
    assert.is(optimizer.iterations, 4 + 2 + 2 + 2);
    model.dispose();
    a.dispose();
    b.dispose();
    dispose(flushed, plain, mean, x, y, ...parts);
  });

  test('gradients that were loaded wait for their variables', async () => {
    const variable = make([3], 1, unique('late'));
    const optimizer = lrd.sgdm({ accumulate: 3, keepProbability: 1, momentum: 0, learningRate: 1, seed: 1 });
    const [gradient, before] = [tf.ones([3]), await valuesOf([variable])];
    optimizer.applyGradients({ [variable.name]: gradient });
    const loaded = await copyOf(optimizer, lrd.sgdm);
    assert.throws(() => loaded.flush(), /variables must be known before gradients that were loaded are applied/);
    assert.is(loaded.iterations, 0);
    loaded.bind([variable]);
    loaded.flush();
    assert.is(loaded.iterations, 1);
    const [after] = await valuesOf([variable]);
    assert.equal(
      after,
      before[0]?.map((value) => Math.fround(value - 1)),
    );
    optimizer.dispose();
    loaded.dispose();
    dispose(variable, gradient);
  });

  test('a variable that was disposed with gradients pending is named, and the others go on', async () => {
    const [gone, stays] = [make([3], 1, `gone-${backend}`), make([3], 2)];
    const optimizer = lrd.sgdm({ accumulate: 2, seed: 1 });
    const gradient = tf.ones([3]);
    optimizer.applyGradients({ [gone.name]: gradient, [stays.name]: gradient });
    gone.dispose();
    const [before] = await valuesOf([stays]);
    assert.throws(
      () => optimizer.applyGradients({ [stays.name]: gradient }),
      new RegExp(`must live until their gradients are applied, "gone-${backend}" was disposed`),
    );
    assert.equal((await valuesOf([stays]))[0], before);
    assert.is(optimizer.iterations, 0);
    optimizer.flush();
    assert.is(optimizer.iterations, 1);
    optimizer.dispose();
    dispose(stays, gradient);
  });

  test(
    'a gradient may be a variable or share its memory: all are read before any variable moves',
    async () => {
      const rules = Object.entries(FACTORIES);
      await fc.assert(
        fc.asyncProperty(
          fc.nat(rules.length - 1),
          fc.array(fc.record({ from: fc.nat(2), how: fc.constantFrom('self', 'clone', 'reshape', 'copy') }), {
            minLength: 3,
            maxLength: 3,
          }),
          async (rule, sources) => {
            const [name, create] = rules[rule] as (typeof rules)[number];
            const options = { seed: SEED, learningRate: 0.1, ...(name === 'sgdm-avg' ? { window: 2 } : {}) };
            const shared = [0, 1, 2].map((k) => make([70], k));
            const apart = [0, 1, 2].map((k) => make([70], k));
            const [one, two] = [create(options), create(options)];
            for (let step = 0; step < 2; step++) {
              const copies = (await valuesOf(apart)).map((values) => tf.tensor1d(values));
              tf.tidy(() => {
                const view = ({ from, how }: (typeof sources)[number]): tf.Tensor => {
                  const source = shared[from] as tf.Variable;
                  if (how === 'self') return source;
                  if (how === 'clone') return source.clone();
                  return how === 'reshape' ? tf.reshape(tf.reshape(source, [7, 10]), [70]) : tf.add(source, 0);
                };
                one.applyGradients(shared.map((v, k) => ({ name: v.name, tensor: view(sources[k] as (typeof sources)[number]) }))); // prettier-ignore
                two.applyGradients(apart.map((v, k) => ({ name: v.name, tensor: copies[sources[k]?.from as number] as tf.Tensor }))); // prettier-ignore
              });
              dispose(...copies);
            }
            assert.equal(await valuesOf(shared), await valuesOf(apart), name);
            one.dispose();
            two.dispose();
            dispose(...shared, ...apart);
          },
        ),
        { numRuns: few ? 10 : 40, seed: 18 },
      );
    },
    { timeout: 240 },
  );

  test.run();
}
