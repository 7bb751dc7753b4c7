/** gpu.js kernels in each mode: the stream's masks, exact dropped bits, state that stays where it is. */
import * as assert from 'uvu/assert';
import { reportToText, runConformance } from '../../conformance/index.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { streamMask } from '../../impl-ref/index.ts';
import type { RuleName } from '../../spec/rules.ts';
import type { Gpu } from '../device/gpu.ts';
import { openGpu } from '../device/gpu.ts';
import { createJsEngine } from '../engines/checked.ts';
import { DeviceLostError } from '../engines/webgpu.ts';
import { planStep } from '../engines/plan.ts';
import { keyOf, layOut } from '../random.ts';
import type { HyperValues } from '../validate.ts';
import { resolveHyper, stateNames } from '../validate.ts';
import type { GpuJsArray, GpuJsEngine, GpuJsMode } from './index.ts';
import { createGpuJsEngine, planAverage } from './index.ts';

const seed = Number(process.env['LRD_SEED'] ?? 20221122);

/** Every kernel with every variant that changes its text. */
const VARIANTS: readonly (readonly [RuleName, HyperValues])[] = [
  ['sgdm', { momentum: 0, weightDecay: 0.01 }],
  ['sgdm', { nesterov: true, dampening: 0.25, weightDecay: 5e-4 }],
  ['rmsprop', { epsilonPlacement: 'inside', momentum: 0.5 }],
  ['rmsprop', { centered: true, momentum: 0.5, weightDecay: 0.1 }],
  ['adam', { epsilonMode: 'hat', weightDecay: 5e-4 }],
  ['amsgrad', { maxOf: 'corrected' }],
  ['radam', { variant: 'original' }],
  ['adamw', {}],
];

function valuesFrom(start: number): () => number {
  let state = start >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 31 - 1;
  };
}

interface Opened {
  readonly engine: GpuJsEngine<unknown>;
  readonly gpu?: Gpu;
}

async function open(mode: GpuJsMode): Promise<Opened> {
  if (mode !== 'webgpu') return { engine: await createGpuJsEngine({ mode }) };
  const gpu = await openGpu();
  return { gpu, engine: await createGpuJsEngine({ mode, device: gpu.device }) };
}

type Arrays = GpuJsArray<unknown>;

/** A step of plain SGD from 0 along -1: what is kept becomes the learning rate 1, what is dropped stays 0. */
async function drawn(
  engine: GpuJsEngine<unknown>,
  { key, step, base, size, keepProbability }: Draw,
): Promise<Float32Array> {
  const plan = planStep({
    rule: 'sgdm',
    key,
    step,
    tensors: [{ base, size, count: 1, hyper: { momentum: 0, learningRate: 1 }, keepProbability }],
  });
  const parameter = engine.array(size);
  const gradient = engine.array(new Float32Array(size).fill(-1));
  engine.step(plan, [{ parameter, gradient, state: {} }]);
  const values = await engine.read(parameter);
  for (const array of [parameter, gradient]) engine.release(array);
  return values;
}

interface Draw {
  readonly key: readonly [number, number];
  readonly step: number;
  readonly base: number;
  readonly size: number;
  readonly keepProbability: number;
}

for (const mode of ['cpu', 'webasm', 'webgpu'] as const) {
  const test = suite(`impl-gpu/gpujs on ${mode}`);
  let opened: Opened;
  const engineOf = (): GpuJsEngine<unknown> => opened.engine;
  test.before(async () => {
    opened = await open(mode);
  });
  test.after(() => {
    opened.engine.dispose();
    opened.gpu?.device.destroy();
  });

  test('[LRD-MASK-001] the mask is the stream, whatever seed, step, place, size and probability', async () => {
    const draws: readonly Draw[] = [
      { key: [seed >>> 0, 0x9abcdef0], step: 1, base: 0, size: 16384 + 1024 + 77, keepProbability: 0.5 },
      // Words with the top bit set, and the largest step.
      { key: [0xffffffff, 0xffffffff], step: 2 ** 32 - 1, base: 64, size: 1000, keepProbability: 0.3 },
      { key: [0x80000000, 0], step: 2 ** 31, base: 2 ** 24 * 8 + 64, size: 200, keepProbability: 0.9 },
      // Blocks that float32 cannot count, and those that an int32 counts below zero.
      { key: [1, 2 ** 31], step: 16777217, base: 2 ** 31 + 64, size: 200, keepProbability: 0.5 },
      { key: [3, 4], step: 5, base: 2 ** 35 - 256, size: 193, keepProbability: 0.5 },
      { key: [5, 6], step: 7, base: 0, size: 5000, keepProbability: 2 ** -16 },
      { key: [5, 6], step: 7, base: 0, size: 5000, keepProbability: 65535 / 65536 },
    ];
    for (const draw of draws) {
      const got = await drawn(engineOf(), draw);
      const { key, step, base, size, keepProbability } = draw;
      const expected = streamMask({ key, stream: 'mask', step, base }, size, keepProbability);
      const wrong = got.findIndex((x, i) => x !== expected[i]);
      assert.is(wrong, -1, `${JSON.stringify(draw)}: element ${wrong}`);
    }
  });

  test('[LRD-MASK-003] dropped parameters keep their bits: NaN, infinities, zeros of both signs and subnormals', async () => {
    const engine = engineOf();
    const specials = [NaN, Infinity, -Infinity, -0, 0, 1e-45, -1e-45, 1.1754942e-38, -5e-39, 3.4e38, 1, -2.5];
    const size = 48;
    const values = Float32Array.from({ length: size }, (_, i) => specials[i % specials.length] as number);
    const kept = Uint8Array.from({ length: size }, (_, i) => (i % 5 === 0 ? 1 : 0));
    for (const [rule, hyper] of VARIANTS) {
      for (const given of [true, false]) {
        const plan = planStep({
          rule,
          key: [seed >>> 0, 1],
          step: 3,
          tensors: [{ base: 128, size, count: 1, hyper, keepProbability: 0.2 }],
        });
        const mask = given
          ? kept
          : Uint8Array.from(streamMask({ key: [seed >>> 0, 1], stream: 'mask', step: 3, base: 128 }, size, 0.2));
        // A gradient without bounds: deltaW of every dropped element is NaN or infinite.
        const gradient = engine.array(new Float32Array(size).map((_, i) => (i % 2 === 0 ? Infinity : NaN)));
        const parameter = engine.array(values);
        const names = stateNames(rule, resolveHyper(rule, hyper));
        const state = Object.fromEntries(names.map((name) => [name, engine.array(size)]));
        engine.step(plan, [{ parameter, gradient, state }], given ? [kept] : undefined);
        const after = await engine.read(parameter);
        const [before, now] = [new Uint32Array(values.buffer), new Uint32Array(after.buffer)];
        for (let i = 0; i < size; i++) {
          if (mask[i] === 1) continue;
          if (before[i] !== now[i]) assert.unreachable(`${rule}, element ${i}: ${values[i]} became ${after[i]}`);
        }
        for (const array of [parameter, gradient, ...Object.values(state)]) engine.release(array);
      }
    }
  });

  test('every rule: six steps over tensors of many sizes, beside the JavaScript engine', async () => {
    const engine = engineOf();
    const js = createJsEngine();
    const sizes = [1, 0, 63, 65, 1300];
    const bases = layOut(sizes);
    const next = valuesFrom(seed);
    for (const [rule, hyper] of VARIANTS) {
      const names = stateNames(rule, resolveHyper(rule, hyper));
      const host = sizes.map((size) => ({
        parameter: Float32Array.from({ length: size }, next),
        gradient: new Float32Array(size),
        state: Object.fromEntries(names.map((name) => [name, new Float32Array(size)])),
      }));
      const tensors = host.map(({ parameter, gradient, state }) => ({
        parameter: engine.array(parameter),
        gradient: engine.array(gradient),
        state: Object.fromEntries(Object.entries(state).map(([name, values]) => [name, engine.array(values)])),
      }));
      for (let step = 1; step <= 6; step++) {
        host.forEach(({ gradient }, k) => {
          // Gradients of one sign and size keep every variant far from cancellation, so that rounding stays rounding.
          gradient.forEach((_, i) => (gradient[i] = 0.5 + 0.25 * next()));
          engine.write(tensors[k]?.gradient as Arrays, gradient);
        });
        const plan = planStep({
          rule,
          key: [7, 8],
          step,
          tensors: sizes.map((size, k) => ({
            base: bases[k] as number,
            size,
            count: k === 3 && step % 2 === 0 ? 0 : step,
            hyper,
            keepProbability: k === 4 ? 1 : 0.5,
          })),
        });
        js.step(plan, host);
        engine.step(plan, tensors);
      }
      for (const [k, { parameter, state }] of tensors.entries()) {
        const expected = host[k] as (typeof host)[number];
        for (const name of ['parameter', ...names]) {
          const got = await engine.read(name === 'parameter' ? parameter : (state[name] as Arrays));
          const want = name === 'parameter' ? expected.parameter : (expected.state[name] as Float32Array);
          const wrong = got.findIndex((x, i) => !(Math.abs(x - (want[i] as number)) <= 4e-5 * (1 + Math.abs(x))));
          assert.is(wrong, -1, `${rule}, ${name} of tensor ${k}: ${got[wrong]}, not ${want[wrong]}`);
        }
        engine.release(parameter);
      }
    }
  });

  test('sgdm-avg: the mean of a ring of gradients, with coupled decay', async () => {
    const engine = engineOf();
    const [size, window, rate, decay] = [1100, 3, 0.5, 0.125];
    const next = valuesFrom(seed + 1);
    const values = Float32Array.from({ length: size }, next);
    const [parameter, gradient, ring] = [engine.array(values), engine.array(size), engine.array(size * window)];
    const rows: number[][] = [];
    const expected = Float64Array.from(values);
    for (let step = 1; step <= 5; step++) {
      const g = Float32Array.from({ length: size }, next);
      engine.write(gradient, g);
      rows.unshift(Array.from(g, (x, i) => x + decay * (expected[i] as number)));
      const mask = streamMask({ key: [9, 9], stream: 'mask', step, base: 192 }, size, 0.5);
      for (let i = 0; i < size; i++) {
        const sum = rows.slice(0, window).reduce((total, row) => total + (row[i] as number), 0);
        if (mask[i] === 1) expected[i] = (expected[i] as number) - (rate * sum) / window;
      }
      const hyper = { learningRate: rate, weightDecay: decay, window };
      const plan = planAverage({
        key: [9, 9],
        step,
        tensors: [{ base: 192, size, count: step, hyper, keepProbability: 0.5 }],
      });
      engine.stepAverage(plan, [{ parameter, gradient, ring }]);
    }
    const got = await engine.read(parameter);
    const wrong = got.findIndex((x, i) => !(Math.abs(x - (expected[i] as number)) < 1e-5));
    assert.is(wrong, -1, `element ${wrong}: ${got[wrong]}, not ${expected[wrong]}`);
    // The newest row lies at (5 - 1) mod 3.
    const row = (await engine.read(ring)).subarray(size, 2 * size);
    assert.ok(Math.abs((row[7] as number) - (rows[0]?.[7] as number)) < 1e-5);
    for (const array of [parameter, gradient, ring]) engine.release(array);
  });

  test('what does not fit is refused before anything is written', async () => {
    const engine = engineOf();
    const plan = planStep({
      rule: 'adam',
      key: keyOf(1n),
      step: 1,
      tensors: [{ base: 0, size: 4, count: 1, hyper: {}, keepProbability: 0.5 }],
    });
    const good = { parameter: engine.array(4), gradient: engine.array(Float32Array.of(1, 1, 1, 1)) };
    const state = { m: engine.array(4), v: engine.array(4) };
    const refused = (message: string, step: () => void): void =>
      assert.throws(step, (error: Error) => error.message === message, message);
    refused('tensors must be 1 as planned, got 0', () => engine.step(plan, []));
    refused('tensor 0 must have buffers: it has a part in this step', () => engine.step(plan, [null]));
    refused('v of tensor 0 must be an array, got undefined', () =>
      engine.step(plan, [{ ...good, state: { m: state.m } }]),
    );
    refused('gradient of tensor 0 must have 4 elements, got 3', () =>
      engine.step(plan, [{ ...good, gradient: engine.array(3), state }]),
    );
    refused('the mask of tensor 0 must have 4 elements, got 5', () =>
      engine.step(plan, [{ ...good, state }], [new Uint8Array(5)]),
    );
    assert.equal(await engine.read(state.m), new Float32Array(4));
    assert.equal(await engine.read(good.parameter), new Float32Array(4));
  });

  if (mode === 'webgpu') {
    test('webgpu: steps allocate nothing after the first, and bring nothing back to the host', async () => {
      const { engine, gpu } = opened;
      const { device } = gpu as Gpu;
      const sizes = [300, 300, 70];
      const bases = layOut(sizes);
      const arrays = (size: number): GpuJsArray<unknown> => engine.array(new Float32Array(size).fill(0.5));
      const tensors = sizes.map((size) => ({
        parameter: arrays(size),
        gradient: arrays(size),
        state: { m: arrays(size), v: arrays(size) },
      }));
      const gradients = tensors.map(({ gradient }) => gradient.data);
      const step = (count: number): void => {
        const request = sizes.map((size, k) => ({
          base: bases[k] as number,
          size,
          count,
          hyper: {},
          keepProbability: 0.5,
        }));
        engine.step(planStep({ rule: 'adam', key: [1, 2], step: count, tensors: request }), tensors);
      };
      step(1);
      const made: string[] = [];
      const names = ['createBuffer', 'createShaderModule', 'createComputePipeline'] as const;
      for (const name of names) {
        const own = device[name].bind(device) as (...rest: unknown[]) => unknown;
        Object.defineProperty(device, name, {
          configurable: true,
          value: (...rest: unknown[]) => {
            made.push(name);
            return own(...rest);
          },
        });
      }
      for (let count = 2; count <= 4; count++) step(count);
      for (const name of names) Reflect.deleteProperty(device, name);
      assert.equal(made, []);
      assert.ok(tensors.every(({ gradient }, k) => gradient.data === gradients[k]));
      assert.ok((await engine.read((tensors[2] as (typeof tensors)[number]).parameter)).some((x) => x !== 0.5));
    });

    test('webgpu: a device that is gone is said to be gone', async () => {
      const { device } = await openGpu();
      const engine = await createGpuJsEngine({ mode: 'webgpu', device });
      device.destroy();
      await device.lost;
      assert.throws(
        () => engine.step({ key: [1, 2], step: 1, tensors: [] }, []),
        (error: Error) => error instanceof DeviceLostError,
      );
      engine.dispose();
    });
  } else {
    test(
      `gpujs-${mode} passes what the kit asks of rules and masks`,
      async () => {
        const only = ['LRD-RULE-00', 'LRD-MASK-003', 'LRD-MASK-004', 'LRD-STREAM-00', 'LRD-STATE-'];
        const report = await runConformance({ adapters: [`gpujs-${mode}`], seed, only });
        assert.ok(report.passed, reportToText(report));
      },
      { timeout: 240 },
    );
  }

  test.run();
}
