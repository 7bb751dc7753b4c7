/**
 * What gpu.js does with innocent code, one test a trap, on the installed version: the wrong way is still wrong, the way that the
 * kernels here take is right. A test that fails after an update says which precaution may go.
 */
import { createRequire } from 'node:module';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { streamMask } from '../../impl-ref/index.ts';
import { PHILOX_VECTORS } from '../../spec/stream.ts';
import { openGpu } from '../device/gpu.ts';
import { planStep } from '../engines/plan.ts';
import type * as Engines from './index.ts';
import type { GpuJsEngine } from './engine.ts';
import { createGpuJsEngine, loadGpuJs } from './index.ts';
import type { GpuJsInstance, GpuJsModule } from './module.ts';
import { GPUJS_VERSION } from './module.ts';
import { MASK_SETTINGS } from './philox.ts';

const test = suite('impl-gpu/gpujs/traps');
const require = createRequire(import.meta.url);
const gpujs = require('gpu.js') as GpuJsModule;

type Helper = { source: string; settings: { argumentTypes: readonly string[]; returnType: string } };
const integers = (count: number): string[] => Array.from({ length: count }, () => 'Integer');
const helper = (source: string, count: number): Helper => ({
  source,
  settings: { argumentTypes: integers(count), returnType: 'Integer' },
});

/** The results of a kernel of four threads over integer arguments. */
function run(
  mode: 'cpu' | 'webasm',
  source: string,
  values: readonly number[] = [],
  functions: readonly object[] = [],
): number[] {
  const gpu: GpuJsInstance = new gpujs.GPU({ mode });
  const kernel = gpu.createKernel(source, { output: [4], argumentTypes: integers(values.length), functions });
  const result = Array.from(kernel(...values) as Float32Array);
  assert.is(kernel.kernel.constructor.mode, mode);
  kernel.kernel.destroy();
  return result;
}

const quietly = <T>(body: () => T): T => {
  const { warn } = console;
  console.warn = () => undefined;
  try {
    return body();
  } finally {
    console.warn = warn;
  }
};

test('the version is the one whose internals are known', () => {
  const { version } = require('gpu.js/package.json') as { version: string };
  assert.is(version, GPUJS_VERSION);
  const { peerDependencies } = require('../../package.json') as { peerDependencies: Record<string, string> };
  assert.is(peerDependencies['gpu.js'], GPUJS_VERSION);
});

test('an integer local decays to float32 and loses its low bits; a helper argument keeps them', () => {
  // (2^24 + 1) & 255 = 1.
  const local = 'function k(n) { let x = n | 0; return x & 255; }';
  assert.is(run('cpu', local, [16777217])[0], 1);
  assert.is(run('webasm', local, [16777217])[0], 0);
  const low = helper('function low(x) { return x & 255; }', 1);
  const argument = 'function k(n) { return low(n | 0); }';
  for (const mode of ['cpu', 'webasm'] as const) assert.is(run(mode, argument, [16777217], [low])[0], 1);
});

test('Math.imul is a float32 product; halves within one expression wrap exactly', () => {
  const product = Math.imul(0x12345679, 0xd2511f53) & 0xffff;
  assert.is(
    run('cpu', 'function k(n) { return Math.imul(n, 40503) & 65535; }', [0x12345679])[0],
    Math.imul(0x12345679, 40503) & 0xffff,
  );
  assert.is.not(
    run('webasm', 'function k(n) { return Math.imul(n, 40503) & 65535; }', [0x12345679])[0],
    Math.imul(0x12345679, 40503) & 0xffff,
  );
  const low = helper('function low(a) { return (((a | 0) * 8019 + (((a | 0) * 53841) << 16)) | 0) & 65535; }', 1);
  for (const mode of ['cpu', 'webasm'] as const) {
    assert.is(run(mode, 'function k(n) { return low(n); }', [0x12345679], [low])[0], product);
  }
});

test('a large literal that is an argument by itself passes through float32; beside an operator it does not', () => {
  const low = helper('function low(x) { return x & 255; }', 1);
  assert.is(run('cpu', 'function k() { return low(-766435501); }', [], [low])[0], 83);
  assert.is(run('webasm', 'function k() { return low(-766435501); }', [], [low])[0], 64);
  assert.is(run('webasm', 'function k(n) { return low((n + -1640531527) | 0); }', [0], [low])[0], -1640531527 & 255);
  // The kernels have no such literal, so no minifier can fold one into that place.
  for (const { source } of MASK_SETTINGS.functions) assert.not.match(source, /[(,] *-?\d{6,}[,)]/);
});

test('a helper whose argument types are not declared gets wrong ones', () => {
  const source = 'function k() { return twice(this.thread.x + 0.5); }';
  const undeclared = { source: 'function twice(x) { return x + x; }', settings: {} };
  assert.equal(run('cpu', source, [], [undeclared]), [1, 3, 5, 7]);
  assert.equal(run('webasm', source, [], [undeclared]), [0, 2, 4, 6]);
  const settings = { argumentTypes: ['Number'], returnType: 'Number' };
  assert.equal(run('webasm', source, [], [{ ...undeclared, settings }]), [1, 3, 5, 7]);
  for (const { settings: declared } of MASK_SETTINGS.functions) {
    assert.is(declared.returnType, 'Integer');
    assert.ok(declared.argumentTypes.length > 0);
  }
});

test('a loop of a variable length ends after 1000 turns; the window of sgdm-avg is a literal, and longer ones are summed whole', async () => {
  const loop = 'function k(n) { let s = 0.5; for (let i = 0; i < n; i++) { s += 1; } return s; }';
  assert.is(run('webasm', loop, [1500])[0], 1000.5);
  const engine = await createGpuJsEngine({ mode: 'webasm' });
  const window = 1500;
  const [parameter, gradient] = [engine.array(1), engine.array(Float32Array.of(1))];
  const ring = engine.array(new Float32Array(window).fill(1));
  const tensor = { base: 0, size: 1, threshold: 65536, rate: 1, decay: 0, window, row: 7 };
  engine.stepAverage({ key: [1, 2], step: 1, tensors: [tensor] }, [{ parameter, gradient, ring }]);
  assert.is(parameter.data[0], -1);
  engine.dispose();
});

test('createKernelMap, which would write all states at once, is not there on webasm and webgpu', () => {
  interface Maps {
    createKernelMap(
      map: object,
      kernel: unknown,
      settings: object,
    ): { (a: readonly number[]): unknown; readonly kernel: { readonly constructor: { readonly mode: string } } };
  }
  const twice = Object.assign((a: number) => a + a, { toString: () => 'function twice(a) { return a + a; }' });
  const root = 'function root(a) { return twice(a[this.thread.x]); }';
  const { GPU } = gpujs as unknown as { GPU: new (settings: object) => Maps };
  const kernel = new GPU({ mode: 'webasm' }).createKernelMap({ twice }, root, { output: [4] });
  quietly(() => kernel([1, 2, 3, 4]));
  assert.is(kernel.kernel.constructor.mode, 'cpu');
});

test('gpu.js falls back to cpu mode with a warning; the engine makes that an error', async () => {
  const { GPU, input } = gpujs;
  class Falling extends GPU {
    override createKernel(source: string, settings: object): ReturnType<GpuJsInstance['createKernel']> {
      return super.createKernel(source, { ...settings, returnType: 'Matrix(2)' });
    }
  }
  const engine = await createGpuJsEngine({ mode: 'webasm', module: { GPU: Falling, input } });
  await loadGpuJs(gpujs);
  const [parameter, gradient] = [engine.array(4), engine.array(4)];
  const kernel = {
    family: 'gradient',
    coupled: false,
    decoupled: false,
    nesterov: false,
    centered: false,
    inside: false,
    buffered: false,
    agreement: false,
    plain: false,
  } as const;
  const scalars = {
    rate: 1,
    decay: 0,
    shrink: 0,
    firstKeep: 0,
    firstAdd: 0,
    secondKeep: 0,
    secondAdd: 0,
    momentum: 0,
    epsilon: 0,
    maxScale: 0,
  };
  const tensor = { kernel, scalars, base: 0, size: 4, threshold: 65536, measure: null };
  assert.throws(
    () => quietly(() => engine.step({ key: [1, 2], step: 1, tensors: [tensor] }, [{ parameter, gradient, state: {} }])),
    (error: Error) => /^gpu.js must run in mode webasm, it fell back to cpu: return type/.test(error.message),
  );
});

test('webgpu: gpu.js still asks for `navigator`, builds behind a promise and allocates each result: webgpu.ts is needed', async () => {
  const { device } = await openGpu();
  const scope = globalThis as { navigator?: { gpu?: unknown } };
  const before = Object.getOwnPropertyDescriptor(scope, 'navigator');
  assert.is(scope.navigator?.gpu, undefined);
  assert.throws(() => new gpujs.GPU({ mode: 'webgpu' }), /not supported/);
  // An adapter whose one device is the one that is open.
  const adapter = { limits: device.limits, requestDevice: () => Promise.resolve(device) };
  const navigator = { gpu: { requestAdapter: () => Promise.resolve(adapter) } };
  Object.defineProperty(scope, 'navigator', { value: navigator, configurable: true, writable: true });
  try {
    const settings = { output: [4], argumentTypes: ['Number'], pipeline: true, immutable: true };
    const kernel = new gpujs.GPU({ mode: 'webgpu' }).createKernel('function k(a) { return a; }', settings);
    const internals = kernel.kernel as unknown as { readonly built: boolean };
    const pending = kernel(1);
    assert.instance(pending, Promise);
    assert.is(internals.built, false);
    const first = (await pending) as { readonly buffer: GPUBuffer };
    const second = (await kernel(2)) as { readonly buffer: GPUBuffer };
    assert.ok(internals.built);
    assert.is.not(first.buffer, second.buffer);
  } finally {
    if (before === undefined) Reflect.deleteProperty(scope, 'navigator');
    else Object.defineProperty(scope, 'navigator', before);
  }
  device.destroy();
});

test('Philox in the kernels gives the published answers', () => {
  for (const mode of ['cpu', 'webasm'] as const) {
    for (const { counter, key, words } of PHILOX_VECTORS) {
      // The byte of the block for many thresholds tells its eight halves exactly: half < T.
      const source =
        'function k(c0, c1, c2, c3, k0, k1, threshold) { return round0(c0, c1, c2, c3, k0, k1, threshold); }';
      const halves = words.flatMap((word) => [word & 0xffff, word >>> 16]);
      for (const threshold of halves.flatMap((half) => [half, half + 1])) {
        const values = [...counter, ...key].map((word) => word | 0);
        const [byte] = run(mode, source, [...values, threshold], MASK_SETTINGS.functions);
        const expected = halves.reduce((sum, half, i) => sum + (half < threshold ? 2 ** i : 0), 0);
        assert.is(byte, expected, `${mode}, threshold ${threshold}`);
      }
    }
  }
});

/** Bundles the engine as a page would, minified and with names kept, and imports the result from a folder of its own. */
async function bundled(link: boolean): Promise<typeof Engines> {
  const folder = mkdtempSync(join(tmpdir(), 'lrd-gpujs-'));
  const { outputFiles, warnings } = await build({
    entryPoints: [resolve(import.meta.dirname, 'index.ts')],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    minify: true,
    keepNames: true,
    write: false,
  });
  assert.is(warnings.length, 0);
  const file = join(folder, 'bundle.mjs');
  writeFileSync(file, outputFiles[0]?.text ?? '');
  if (link) symlinkSync(resolve(import.meta.dirname, '../../node_modules'), join(folder, 'node_modules'));
  try {
    return (await import(pathToFileURL(file).href)) as typeof Engines;
  } finally {
    // Kept until the process ends: the optional import looks from here.
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  }
}

test('a bundle needs no gpu.js to be built; without it the error says how to get it, in one line', async () => {
  const { createGpuJsEngine: create } = await bundled(false);
  const message = await create({ mode: 'cpu' }).then(
    () => 'an engine',
    (error: Error) => error.message,
  );
  assert.match(
    message,
    /^gpu\.js is not installed: npm install gpu\.js@\S+ \(in a bundle pass it: await import\('gpu\.js'\)\)$/,
  );
  const wrong = await create({ mode: 'cpu', module: {} }).then(
    () => 'an engine',
    (error: Error) => error.message,
  );
  assert.match(wrong, /^gpu\.js must be version /);
  const mode = await create({ mode: 'gpu' as 'cpu', module: gpujs }).then(
    () => 'an engine',
    (error: Error) => error.message,
  );
  assert.is(mode, 'mode must be one of cpu, webasm, webgpu, headlessgl, got "gpu"');
});

test('minified, with names kept, the kernels draw the same masks', async () => {
  const { createGpuJsEngine: create, planAverage } = await bundled(true);
  for (const mode of ['cpu', 'webasm'] as const) {
    const engine = await create({ mode });
    const size = 1100;
    const [parameter, gradient, ring] = [
      engine.array(size),
      engine.array(new Float32Array(size).fill(-1)),
      engine.array(size),
    ];
    const tensors = [{ base: 64, size, count: 1, hyper: { window: 1, learningRate: 1 }, keepProbability: 0.5 }];
    engine.stepAverage(planAverage({ key: [1, 0xdeadbeef], step: 9, tensors }), [{ parameter, gradient, ring }]);
    const expected = streamMask({ key: [1, 0xdeadbeef], stream: 'mask', step: 9, base: 64 }, size, 0.5);
    assert.is(
      parameter.data.findIndex((x, i) => x !== expected[i]),
      -1,
    );
    engine.dispose();
  }
});

for (const name of ['gpu-browser.js', 'gpu-browser.min.js']) {
  test(`gpu.js's build for browsers, ${name}, draws the same masks in every mode`, async () => {
    const module: unknown = require(`gpu.js/dist/${name}`);
    const { device } = await openGpu();
    const size = 700;
    const expected = streamMask({ key: [1, 0xdeadbeef], stream: 'mask', step: 9, base: 64 }, size, 0.5);
    const tensors = [{ base: 64, size, count: 1, hyper: { momentum: 0, learningRate: 1 }, keepProbability: 0.5 }];
    const plan = planStep({ rule: 'sgdm', key: [1, 0xdeadbeef], step: 9, tensors });
    const drawn = async <Data>(engine: GpuJsEngine<Data>): Promise<void> => {
      const [parameter, gradient] = [engine.array(size), engine.array(new Float32Array(size).fill(-1))];
      engine.step(plan, [{ parameter, gradient, state: {} }]);
      const got = await engine.read(parameter);
      assert.is(
        got.findIndex((x, i) => x !== expected[i]),
        -1,
        engine.mode,
      );
      engine.dispose();
    };
    for (const mode of ['cpu', 'webasm'] as const) await drawn(await createGpuJsEngine({ mode, module }));
    await drawn(await createGpuJsEngine({ mode: 'webgpu', device, module }));
    device.destroy();
    await loadGpuJs(gpujs);
  });
}

test.run();
