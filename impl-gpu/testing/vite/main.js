/** A user's program: the package from the registry's point of view, bundled by Vite. Leaves what it finds in `window.findings`. */
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import simd from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import threaded from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';
import plain from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import * as lrd from 'learning-rate-dropout';
import {
  createJsEngine,
  createWasmEngine,
  createWasmPool,
  createWebGpuEngine,
  diagnoseGpu,
  openGpu,
  planStep,
} from 'learning-rate-dropout/gpu';
import { train } from './train.js';

const SIZE = 300_001;
const GRADIENT = 4 * SIZE;

/** Every engine on one step, against plain JavaScript. */
async function engines() {
  const plan = planStep({
    rule: 'sgdm',
    key: [1, 2],
    step: 1,
    tensors: [{ base: 0, size: SIZE, count: 1, hyper: { momentum: 0, learningRate: 1 }, keepProbability: 0.5 }],
  });
  const expected = new Float32Array(SIZE);
  createJsEngine().step(plan, [{ parameter: expected, gradient: new Float32Array(SIZE).fill(1), state: {} }]);
  const same = (values) => values.every((x, i) => x === expected[i]);
  const findings = { kept: expected.reduce((count, x) => count - x, 0) };

  const memory = new WebAssembly.Memory({ initial: 40 });
  new Float32Array(memory.buffer, GRADIENT, SIZE).fill(1);
  createWasmEngine(memory).step(plan, [{ parameter: 0, gradient: GRADIENT, state: {} }]);
  findings.wasm = same(new Float32Array(memory.buffer, 0, SIZE));

  if (crossOriginIsolated) {
    const shared = new WebAssembly.Memory({ initial: 40, maximum: 40, shared: true });
    new Float32Array(shared.buffer, GRADIENT, SIZE).fill(1);
    const pool = await createWasmPool(shared, 3);
    pool.step(plan, [{ parameter: 0, gradient: GRADIENT, state: {} }]);
    findings.pool = same(new Float32Array(shared.buffer, 0, SIZE).slice());
    await pool.dispose();
  }

  const { attempts, chosen, why } = await diagnoseGpu();
  findings.gpu = { sources: attempts.map(({ source }) => source), why };
  if (chosen === undefined) return findings;
  const { device } = await openGpu();
  const buffer = (usage) => device.createBuffer({ size: 4 * SIZE, usage });
  const parameter = buffer(GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
  const gradient = buffer(GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
  const target = buffer(GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ);
  device.queue.writeBuffer(gradient, 0, new Float32Array(SIZE).fill(1));
  createWebGpuEngine(device).step(plan, [{ parameter, gradient, state: {} }]);
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(parameter, 0, target, 0, 4 * SIZE);
  device.queue.submit([encoder.finish()]);
  await target.mapAsync(GPUMapMode.READ);
  findings.webgpu = same(new Float32Array(target.getMappedRange()));
  device.destroy();
  return findings;
}

/** The optimizers through tfjs, on the backends and with the rules that the test put into `window.work`. */
async function backends() {
  setWasmPaths({
    'tfjs-backend-wasm.wasm': plain,
    'tfjs-backend-wasm-simd.wasm': simd,
    'tfjs-backend-wasm-threaded-simd.wasm': threaded,
  });
  const findings = {};
  for (const { backend, rules, epochs } of globalThis.work) {
    try {
      if (backend === 'webgpu') await lrd.useWebGpu();
      else if (!(await tf.setBackend(backend))) throw new Error('it did not start');
      if (tf.getBackend() !== backend) throw new Error(`tfjs started ${tf.getBackend()} instead`);
      lrd.enableTraining();
      findings[backend] = {};
      for (const rule of rules) findings[backend][rule] = await train(tf, lrd, rule, epochs);
    } catch (error) {
      findings[backend] = String(error);
    }
  }
  return findings;
}

try {
  globalThis.findings = {
    isolated: crossOriginIsolated,
    engines: await engines(),
    backends: await backends(),
  };
} catch (error) {
  globalThis.findings = { error: String(error) };
}
