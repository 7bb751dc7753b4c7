/**
 * gpu.js's mode headlessgl: given masks only. It needs the package `gl`, which compiles for minutes and which this checkout leaves out,
 * and a display. `LRD_GPUJS` names the folder of another installation of gpu.js that has it:
 *
 *     LRD_GPUJS=/somewhere/node_modules/gpu.js xvfb-run npm run ts -- impl-gpu/gpujs/headlessgl.test.ts
 */
import { createRequire } from 'node:module';
import { build } from 'esbuild';
import * as assert from 'uvu/assert';
import { found, openBrowser } from '../../conformance/harness/testing/chromium.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { planStep } from '../engines/plan.ts';
import type { GpuJsEngine } from './index.ts';
import { createGpuJsEngine, planAverage } from './index.ts';

const test = suite('impl-gpu/gpujs on headlessgl');
const require = createRequire(import.meta.url);
const gpujs = require(process.env['LRD_GPUJS'] ?? 'gpu.js') as { GPU: { isHeadlessGLSupported: boolean } };
const there = gpujs.GPU.isHeadlessGLSupported;
const reason = 'gpu.js has no headless GL here: it takes the package gl and a display';

const SIZE = 1300;
const values = Float32Array.from({ length: SIZE }, (_, i) => Math.sin(i + 1));
const gradients = Float32Array.from({ length: SIZE }, (_, i) => 1 + Math.cos(i));
const mask = Uint8Array.from({ length: SIZE }, (_, i) => (i % 3 === 0 ? 1 : 0));
// Among the dropped: what a texture would not give back.
values.set([NaN, -0], 1);
values.set([1e-42, Infinity], 4);

async function trace(mode: 'webasm' | 'headlessgl', rule: 'adam' | 'rmsprop' | 'sgdm-avg'): Promise<Float32Array> {
  const engine: GpuJsEngine<Float32Array> = await createGpuJsEngine({ mode, module: gpujs });
  const parameter = engine.array(values);
  const gradient = engine.array(gradients);
  const state = Object.fromEntries(['m', 'v', 'gavg', 'buf'].map((name) => [name, engine.array(SIZE)]));
  const ring = engine.array(2 * SIZE);
  const hyper =
    rule === 'rmsprop' ? { centered: true, momentum: 0.5, weightDecay: 0.1 } : rule === 'adam' ? {} : { window: 2 };
  for (let step = 1; step <= 3; step++) {
    const tensors = [{ base: 0, size: SIZE, count: step, hyper, keepProbability: 0.5 }];
    const request = { key: [1, 2], step, tensors } as const;
    if (rule === 'sgdm-avg') engine.stepAverage(planAverage(request), [{ parameter, gradient, ring }], [mask]);
    else engine.step(planStep({ rule, ...request }), [{ parameter, gradient, state }], [mask]);
  }
  engine.dispose();
  return parameter.data;
}

const whenThere = test.when(there, reason);
for (const rule of ['adam', 'rmsprop', 'sgdm-avg'] as const) {
  whenThere(`${rule}: kept parameters follow webasm's, dropped ones keep their bits`, async () => {
    const [got, expected] = [await trace('headlessgl', rule), await trace('webasm', rule)];
    for (let i = 0; i < SIZE; i++) {
      const [x, y] = [got[i] as number, expected[i] as number];
      if (mask[i] === 0) assert.ok(Object.is(x, values[i]), `dropped element ${i}: ${values[i]} became ${x}`);
      else assert.ok(Math.abs(x - y) <= 1e-5 * Math.max(1, Math.abs(y)), `kept element ${i}: ${x}, not ${y}`);
    }
  });
}

whenThere('a mask that would have to be drawn is refused', async () => {
  const engine = await createGpuJsEngine({ mode: 'headlessgl', module: gpujs });
  const tensors = [{ base: 0, size: 4, count: 1, hyper: { momentum: 0 }, keepProbability: 0.5 }];
  const plan = planStep({ rule: 'sgdm', key: [1, 2], step: 1, tensors });
  const buffers = { parameter: engine.array(4), gradient: engine.array(4), state: {} };
  assert.throws(
    () => engine.step(plan, [buffers]),
    (error: Error) => error.message === 'gpu.js has no 32-bit integers in mode headlessgl to draw a mask: give masks',
  );
  engine.dispose();
});

test.when(!there, 'it is here')('where it is not, the error says what it takes, in one line', async () => {
  const message = await createGpuJsEngine({ mode: 'headlessgl', module: gpujs }).then(
    () => 'an engine',
    (error: Error) => error.message,
  );
  assert.is(message, 'gpu.js runs in mode headlessgl only with the package gl and a display (DISPLAY)');
});

/** The same kernels on a page's WebGL 1, which translates and runs them as headless GL does. */
const PAGE = `
import * as gpujs from 'gpu.js/dist/gpu-browser.js';
import { createGpuJsEngine } from './index.ts';
import { planStep } from '../engines/plan.ts';
class OnWebGl extends gpujs.GPU {
  constructor({ mode }) { super({ mode: mode === 'headlessgl' ? 'webgl' : mode }); }
}
globalThis.trace = async (mode, values, gradients, mask) => {
  const engine = await createGpuJsEngine({ mode, module: { GPU: OnWebGl, input: gpujs.input } });
  const size = values.length;
  const [parameter, gradient] = [engine.array(Float32Array.from(values)), engine.array(Float32Array.from(gradients))];
  const state = Object.fromEntries(['m', 'v', 'vmax'].map((name) => [name, engine.array(size)]));
  for (let step = 1; step <= 3; step++) {
    const tensors = [{ base: 0, size, count: step, hyper: { weightDecay: 0.1 }, keepProbability: 0.5 }];
    const plan = planStep({ rule: 'amsgrad', key: [1, 2], step, tensors });
    engine.step(plan, [{ parameter, gradient, state }], [Uint8Array.from(mask)]);
  }
  engine.dispose();
  return [...parameter.data];
};`;

test.when(found.path !== undefined, found.reason)(
  "in a page, on WebGL 1: kept parameters follow webasm's, dropped ones keep their bits",
  async () => {
    const { outputFiles } = await build({
      stdin: { contents: PAGE, resolveDir: import.meta.dirname, loader: 'ts' },
      bundle: true,
      format: 'iife',
      platform: 'browser',
      write: false,
    });
    const browser = await openBrowser({ webgpu: false });
    try {
      const page = await browser.newPage();
      await page.addScriptTag({ content: outputFiles[0]?.text ?? '' });
      const run = (mode: string): Promise<number[]> =>
        page.evaluate(
          ([mode, ...rest]) =>
            (globalThis as unknown as { trace: (...all: unknown[]) => Promise<number[]> }).trace(mode, ...rest),
          [mode, [...values], [...gradients], [...mask]] as const,
        );
      const [got, expected] = [await run('headlessgl'), await run('webasm')];
      for (let i = 0; i < SIZE; i++) {
        const [x, y] = [got[i] as number, expected[i] as number];
        if (mask[i] === 0) assert.ok(Object.is(x, values[i]), `dropped element ${i}: ${values[i]} became ${x}`);
        else assert.ok(x !== values[i] && Math.abs(x - y) <= 1e-5, `kept element ${i}: ${x}, not ${y}`);
      }
    } finally {
      await browser.close();
    }
  },
  { timeout: 120 },
);

test.run();
