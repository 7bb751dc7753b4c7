/** What a page does with the engines, bundled for a browser by `browser.test.ts`: posts a line for each check. */
import {
  createJsEngine,
  createWasmEngine,
  createWasmPool,
  createWebGpuEngine,
  diagnoseGpu,
  openGpu,
  planStep,
} from '../../index.ts';

const SIZE = 300_001;
const GRADIENT = 4 * SIZE;

async function report(line: string): Promise<void> {
  await fetch('/report', { method: 'POST', body: line });
}

const plan = planStep({
  rule: 'sgdm',
  key: [1, 2],
  step: 1,
  tensors: [{ base: 0, size: SIZE, count: 1, hyper: { momentum: 0, learningRate: 1 }, keepProbability: 0.5 }],
});
const expected = new Float32Array(SIZE);
createJsEngine().step(plan, [{ parameter: expected, gradient: new Float32Array(SIZE).fill(1), state: {} }]);
const kept = expected.reduce((count, x) => count - x, 0);
const same = (values: Float32Array): string => `${values.every((x, i) => x === expected[i])}, ${kept} kept`;

async function run(): Promise<void> {
  const plain = new WebAssembly.Memory({ initial: 40 });
  new Float32Array(plain.buffer, GRADIENT, SIZE).fill(1);
  createWasmEngine(plain).step(plan, [{ parameter: 0, gradient: GRADIENT, state: {} }]);
  await report(`wasm ${same(new Float32Array(plain.buffer, 0, SIZE))}`);

  const shared = new WebAssembly.Memory({ initial: 40, maximum: 40, shared: true });
  new Float32Array(shared.buffer, GRADIENT, SIZE).fill(1);
  const pool = await createWasmPool(shared, 3);
  pool.step(plan, [{ parameter: 0, gradient: GRADIENT, state: {} }]);
  await report(`pool ${same(new Float32Array(shared.buffer, 0, SIZE).slice())}`);
  await pool.dispose();

  const { attempts, chosen } = await diagnoseGpu();
  await report(`source ${attempts.map(({ source }) => source).join(', ')}`);
  if (chosen === undefined) return;
  const { device } = await openGpu();
  const buffer = (usage: number): GPUBuffer => device.createBuffer({ size: 4 * SIZE, usage });
  const [parameter, gradient, target] = [buffer(0x84), buffer(0x88), buffer(0x09)] as const;
  device.queue.writeBuffer(gradient, 0, new Float32Array(SIZE).fill(1));
  createWebGpuEngine(device).step(plan, [{ parameter, gradient, state: {} }]);
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(parameter, 0, target, 0, 4 * SIZE);
  device.queue.submit([encoder.finish()]);
  await target.mapAsync(1);
  await report(`webgpu ${same(new Float32Array(target.getMappedRange()))}`);
}

await run().catch((error: unknown) => report(`error ${String(error)}`));
await report('end');
