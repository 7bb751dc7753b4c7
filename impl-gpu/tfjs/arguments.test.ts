/** What a caller may get wrong: each is one line that says what was meant, before anything has changed. */
import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { inspect } from 'node:util';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../../models/backend.ts';
import { FACTORIES } from '../../models/recipes/optimizers.ts';
import { RULES } from '../../spec/rules.ts';
import * as lrd from './index.ts';
import type { LrdOptimizer } from './index.ts';

/** The message of what is thrown, which must be an `InvalidArgumentError` of one line. */
function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.instance(error, lrd.InvalidArgumentError, String(error));
    const { message } = error as Error;
    assert.not.match(message, /\n/);
    return message;
  }
  return 'accepted';
}

const adam = (options: unknown): LrdOptimizer => lrd.adam(options as object);

for (const backend of ['cpu', 'wasm', 'webgpu'] as const) {
  const test = suite(`impl-gpu/tfjs/arguments on ${backend}`);
  test.before(async () => void (await useBackend(backend)));

  test('options that are none say what was meant', () => {
    for (const [options, pattern] of [
      [1e-3, /^adam takes an object of options, as in \{ learningRate: 0.001 \}, got 0.001$/],
      [null, /takes an object of options, .* got null$/],
      ['adam', /takes an object of options, .* got "adam"$/],
      [[], /takes an object of options, .* got \[\]$/],
      [new Map([['learningRate', 1]]), /takes an object of options, .* got \{\}$/],
      [new Date(0), /takes an object of options, .* got "1970/],
      [{ groups: {} }, /^groups must be a list, as in .*, got \{\}$/],
      [{ groups: [null] }, /^a group must be an object with a match, got null$/],
      [{ groups: [{ match: 3 }] }, /^a group's match must be a pattern or a list of them, got 3$/],
      [{ groups: [{ match: '*', learningRte: 1 }] }, /among match, .* got "learningRte": did you mean learningRate\?$/],
      [{ groups: [{ match: '*', excluded: 'yes' }] }, /excluded must be true or false, got "yes"$/],
      [{ seed: true }, /^seed must be a whole number in \[0, 2\^64\) .*, got true$/],
      [{ seed: null }, /^seed must be .*, got null$/],
      [{ seed: 1.5 }, /^seed must be .*, got 1.5$/],
      [{ keepProbability: '0.5' }, /^keepProbability must be in \[2\^-16, 1\], got "0.5"$/],
      [{ keepProbability: null }, /^keepProbability must be .*, got null$/],
      [{ learningRate: '1e-3' }, /^learningRate must be a finite number of at least 0, got "1e-3"$/],
      [{ engine: 'cuda' }, /^engine must be one of fused, gpujs, got "cuda"$/],
      [{ trained: true }, /^trained must be an object, .*got true$/],
      [{ trained: { rate: 1, minimun: 0.1 } }, /got "minimun": did you mean minimum\?$/],
      [{ clipNorm: -1 }, /^clipNorm must be above 0, got -1$/],
      [{ sparsePattern: { extent: 'half', step: 0 } }, /^sparsePattern must have an extent/],
      [{ trainedValues: [0.5] }, /^trainedValues must be 0 numbers/],
      [{ keepProbabilty: 0.5 }, /^adam's options must be among learningRate, .*: did you mean keepProbability\?$/],
      [{ lr: 1e-3 }, /: did you mean learningRate\?$/],
      [{ learning_rate: 1e-3 }, /: did you mean learningRate\?$/],
      [{ clipnorm: 1 }, /: did you mean clipNorm\?$/],
      [{ keepProb: 0.5 }, /: did you mean keepProbability\?$/],
      [{ global_clipnorm: 1 }, /: did you mean clipGlobalNorm\?$/],
      [{ quux: 1 }, /got "quux"$/],
      [{ learningRate: {} }, /^learningRate must be a number or a schedule \(schedule: piecewise, /],
      [
        { learningRate: { schedule: 'cosine', initial: 1 } },
        /^learningRate.steps must be a whole number of at least 1, got undefined$/,
      ],
      [{ learningRate: { schedule: 'cosine', initial: 1, steps: 2, warmUp: 3 } }, /did you mean warmup\?$/],
      [{ learningRate: { schedule: 'cosine', initial: -1, steps: 2 } }, /at least 0, got -1$/],
      [{ learningRate: { schedule: 'piecewise', boundaries: [3, 2], values: [1, 2, 3] } }, /^learningRate.boundaries/],
      [
        { learningRate: { schedule: 'piecewise', boundaries: [3], values: [1] } },
        /one more than the boundaries, got 1 for 1/,
      ],
      [{ keepProbability: { schedule: 'polynomial', initial: 1, steps: 5 } }, /^keepProbability must be in .*, got 0$/],
    ] as const) {
      assert.match(
        refusal(() => adam(options)),
        pattern,
      );
    }
  });

  test('whatever is passed is taken, or refused as an argument', () => {
    const names = [...Object.keys(RULES.adam.hyper), 'keepProbability', 'seed', 'groups', 'trained', 'clipNorm', 'accumulate']; // prettier-ignore
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), fc.anything()), fc.anything(), (options, other) => {
        for (const given of [options, other]) {
          try {
            adam(given).dispose();
          } catch (error) {
            assert.instance(error, lrd.InvalidArgumentError, String((error as Error).stack));
          }
        }
      }),
      { numRuns: 500, seed: 5 },
    );
  });

  test('an assignment of something else is refused and changes nothing', () => {
    const optimizer = lrd.adam({ seed: 1 });
    const open = optimizer as unknown as Record<string, unknown>;
    const before = JSON.stringify(optimizer.getConfig());
    for (const name of ['learningRate', 'keepProbability', 'weightDecay', 'sparsity']) {
      for (const value of [undefined, null, '0.1', NaN, {}, -1]) {
        assert.match(
          refusal(() => (open[name] = value)),
          new RegExp(`^${name}`),
          `${name} ${JSON.stringify(value)}`,
        );
      }
    }
    for (const [name, meant] of [
      ['lr', 'learningRate'],
      ['p', 'keepProbability'],
      ['l2', 'weightDecay'],
    ] as const) {
      assert.match(
        refusal(() => (open[name] = 0.5)),
        new RegExp(`^settings must be among .*, got "${name}": did you mean ${meant}\\?$`),
      );
    }
    for (const name of ['beta1', 'epsilon', 'seed', 'groups', 'clipNorm', 'engine', 'rule']) {
      assert.match(
        refusal(() => (open[name] = 0.5)),
        new RegExp(`^${name} must be given when the optimizer is made, it cannot be set to 0.5 afterwards$`),
      );
    }
    assert.is(open['beta1'], 0.9);
    assert.is(JSON.stringify(optimizer.getConfig()), before);
    optimizer.dispose();
  });

  test('gradients and variables that are none are refused, and nothing has moved', async () => {
    const [one, two] = [1, 2].map(() => tf.tidy(() => tf.variable(tf.ones([3])))) as [tf.Variable, tf.Variable];
    const gradient = tf.ones([3]);
    const optimizer = lrd.adam({ seed: 1 });
    const apply = (given: unknown): string => refusal(() => optimizer.applyGradients(given as tf.NamedTensorMap));
    const shape = /^gradients must be an object of tensors by name, or a list of \{ name, tensor \}, got /;
    for (const given of [null, undefined, 5, 'x', [null], new Map([[one.name, gradient]]), [[one.name, gradient]]]) {
      assert.match(apply(given), shape);
    }
    for (const second of [5, 'x', {}, [1, 1, 1], true]) {
      assert.match(
        apply({ [one.name]: gradient, [two.name]: second }),
        new RegExp(`^the gradient of "${two.name}" must be a tensor, got `),
      );
    }
    for (const given of [null, one, [null], [gradient]]) {
      assert.match(
        refusal(() => optimizer.bind(given as tf.Variable[])),
        /^variables must be a list of tf.Variable, got /,
      );
    }
    assert.is(optimizer.iterations, 0);
    assert.equal([...(await one.data()), ...(await two.data())], [1, 1, 1, 1, 1, 1]);
    tf.dispose([one, two, gradient]);
    optimizer.dispose();
  });

  test('console.log shows rule, p, learning rate, seed and steps', () => {
    for (const [rule, create] of Object.entries(FACTORIES)) {
      const optimizer = create({ seed: 1, keepProbability: 0.25, learningRate: 0.125 });
      const text = inspect(optimizer);
      assert.match(text, /^Lrd\w+ \{ keepProbability: 0.25, learningRate: 0.125, seed: '0x0{15}1', iterations: 0 \}$/);
      assert.is(text.split(' ')[0]?.toLowerCase(), `lrd${rule.replace('-', '')}`);
      assert.is(String(optimizer), text);
      optimizer.dispose();
    }
  });

  test('patterns: many stars on a long name and many groups take no time worth speaking of', () => {
    const long = `${'a'.repeat(200)}-${backend}`;
    const variables = [long, ...Array.from({ length: 40 }, (_, k) => `layer_${k}/kernel-${backend}`)].map((name) =>
      tf.tidy(() => tf.variable(tf.zeros([1]), true, name)),
    );
    const groups = [
      { match: '*a*a*a*a*a*a*a*a*b', learningRate: 7 },
      { match: Array.from({ length: 40 }, (_, k) => `layer_${k}/kernel-${backend}`), learningRate: 1 },
      { match: `a*-*${backend}`, learningRate: 2 },
    ];
    const optimizer = lrd.sgdm({ groups, keepProbability: 1, momentum: 0 });
    const { warn } = console;
    console.warn = () => undefined;
    const gradient = tf.ones([1]);
    optimizer.applyGradients(Object.fromEntries(variables.map(({ name }) => [name, gradient])));
    console.warn = warn;
    // The first pattern takes a matcher that tries every split hours.
    return Promise.all(variables.map((variable) => variable.data())).then((values) => {
      assert.equal(
        values.map(([value]) => value),
        [-2, ...Array<number>(40).fill(-1)],
      );
      tf.dispose([...variables, gradient]);
      optimizer.dispose();
    });
  });

  test('a schedule gives each step its value, and is saved and restored with the steps', async () => {
    const learningRate = { schedule: 'piecewise', boundaries: [2, 4], values: [1, 0.5, 0.25] } as const;
    const variable = tf.tidy(() => tf.variable(tf.zeros([1])));
    const gradient = tf.ones([1]);
    let optimizer = lrd.sgdm({ learningRate, keepProbability: 1, momentum: 0 });
    const moves: number[] = [];
    for (let step = 1; step <= 6; step++) {
      const rate = optimizer.learningRate;
      const [before] = await variable.data<'float32'>();
      optimizer.applyGradients({ [variable.name]: gradient });
      const [after] = await variable.data<'float32'>();
      moves.push((before as number) - (after as number));
      assert.is(moves.at(-1), rate);
      if (step !== 3) continue;
      const loaded = lrd.sgdm(JSON.parse(JSON.stringify(optimizer.getConfig())) as object);
      const weights = await optimizer.getWeights();
      await loaded.setWeights(weights);
      tf.dispose(weights.slice(0, 2).map(({ tensor }) => tensor));
      optimizer.dispose();
      optimizer = loaded;
    }
    assert.equal(moves, [1, 1, 0.5, 0.5, 0.25, 0.25]);
    optimizer.learningRate = { schedule: 'cosine', initial: 1, final: 0.5, steps: 4, warmup: 8 };
    // Six steps done of eight in which it warms up.
    assert.is(optimizer.learningRate, 7 / 8);
    optimizer.learningRate = 0.125;
    assert.is(optimizer.getConfig()['learningRate'], 0.125);
    tf.dispose([variable, gradient]);
    optimizer.dispose();
  });

  test('a schedule of p draws as a number set before each step does', async () => {
    const [one, two] = [1, 2].map(() => tf.tidy(() => tf.variable(tf.zeros([200])))) as [tf.Variable, tf.Variable];
    const gradient = tf.ones([200]);
    const scheduled = lrd.adam({ seed: 3, keepProbability: { schedule: 'exponential', initial: 0.9, factor: 0.8, minimum: 0.4 } }); // prettier-ignore
    const set = lrd.adam({ seed: 3 });
    for (let step = 1; step <= 5; step++) {
      set.keepProbability = Math.max(0.4, 0.9 * 0.8 ** (step - 1));
      assert.is(scheduled.keepProbability, set.keepProbability);
      scheduled.applyGradients({ [one.name]: gradient });
      set.applyGradients({ [two.name]: gradient });
    }
    assert.equal([...(await one.data())], [...(await two.data())]);
    tf.dispose([one, two, gradient]);
    scheduled.dispose();
    set.dispose();
  });

  test.run();
}
