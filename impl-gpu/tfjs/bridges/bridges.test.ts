import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { openGpu } from '../../device/gpu.ts';
import { cpuStorage } from './cpu.ts';
import { TFJS_VERSION, requireTfjsVersion } from './version.ts';
import { wasmHeap } from './wasm.ts';
import { webGpuStorage } from './webgpu.ts';

const test = suite('impl-gpu/tfjs/bridges');
const require = createRequire(import.meta.url);

test('another version of tfjs is refused, loudly', () => {
  requireTfjsVersion();
  assert.throws(
    () => requireTfjsVersion('4.23.0'),
    /@tensorflow\/tfjs must be exactly 4.22.0 for the fused engines, got 4.23.0/,
  );
});

test('the pinned version is the last that package.json takes beside it, and the one installed here, for each of the three packages', () => {
  const { peerDependencies } = require('../../../package.json') as { peerDependencies: Record<string, string> };
  for (const name of ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm', '@tensorflow/tfjs-backend-webgpu']) {
    assert.is(peerDependencies[name]?.split(' - ').at(-1), TFJS_VERSION);
    assert.is((require(`${name}/package.json`) as { version: string }).version, TFJS_VERSION);
  }
});

test("wasm: a tensor's pointer leads to its values, a detached variable has bits of its own", async () => {
  await useBackend('wasm');
  const heap = wasmHeap();
  const variable = tf.tidy(() => tf.variable(tf.tensor1d([1.5, -0, NaN])));
  const clone = variable.clone();
  assert.is(heap.refCount(variable), 2);
  const floats = (pointer: number): Float32Array => new Float32Array(heap.memory.buffer, pointer, 3);
  assert.equal([...floats(heap.pointer(variable))], [1.5, -0, NaN]);
  const before = heap.pointer(variable);
  heap.detach(variable);
  assert.is.not(heap.pointer(variable), before);
  assert.is(heap.pointer(clone), before);
  assert.equal([...floats(heap.pointer(variable))], [1.5, -0, NaN]);
  assert.is(heap.refCount(variable), 1);
  [variable, clone].forEach((tensor) => tensor.dispose());
  assert.throws(() => heap.pointer(variable), /disposed or foreign/);
});

test('wasm: without its heap the backend is refused', () => {
  const backend = tf.findBackend('wasm') as unknown as { wasm: object };
  const { wasm } = backend;
  const stranger = Object.create(backend) as object;
  Object.defineProperty(stranger, 'wasm', { value: { ...wasm, asm: {}, wasmMemory: undefined } });
  assert.throws(() => wasmHeap(stranger), /the heap of the wasm backend was not found/);
});

test('cpu: the array is the storage, and replacing it leaves the old one alone', async () => {
  await useBackend('cpu');
  const storage = cpuStorage();
  const tensor = tf.tensor1d([1, 2]);
  const old = storage.values(tensor);
  storage.replace(tensor, Float32Array.of(3, 4));
  assert.equal([...(await tensor.data())], [3, 4]);
  assert.equal([...old], [1, 2]);
  tensor.dispose();
  assert.throws(() => storage.values(tensor), /disposed or foreign/);
});

test('cpu: a writable array is the storage until someone reads the tensor, who keeps what he read', async () => {
  await useBackend('cpu');
  const storage = cpuStorage();
  const given = Float32Array.of(1, 2);
  const tensor = tf.tensor1d(given);
  const first = storage.writable(tensor);
  assert.is.not(first, given);
  first[0] = 5;
  assert.is(storage.writable(tensor), first);
  // Another optimizer's storage knows of it too.
  assert.is(cpuStorage().writable(tensor), first);
  assert.is(storage.refCount(tensor), 1);
  for (const read of [
    () => tensor.data(),
    () => Promise.resolve(tensor.dataSync()),
    () => Promise.resolve(tensor.bufferSync().values),
  ]) {
    const before = storage.writable(tensor);
    const values = [...before];
    const array = await read();
    assert.equal([...array], values);
    const next = storage.writable(tensor);
    assert.is.not(next, before);
    next[0] = (values[0] as number) + 1;
    assert.equal([...array], values);
  }
  assert.equal([...(await tf.tidy(() => tf.add(tensor, 1)).data())], [9, 3]);
  storage.writable(tensor)[1] = 7;
  storage.replace(tensor, Float32Array.of(3, 4));
  assert.equal([...(await tensor.data())], [3, 4]);
  assert.equal([...given], [1, 2]);
  tensor.dispose();
  assert.throws(() => storage.writable(tensor), /disposed or foreign/);
});

test('webgpu: a variable in a flat buffer is read, sliced into products and copied like any other', async () => {
  await useBackend('webgpu');
  const storage = webGpuStorage();
  const buffer = storage.device.createBuffer({ size: 4096, usage: 0x04 | 0x08 | 0x80 });
  const values = Float32Array.from({ length: 12 }, (_, i) => i + 1);
  const variable = tf.tidy(() => tf.variable(tf.tensor2d(values, [3, 4])));
  const clone = variable.clone();
  storage.adopt(variable, buffer, 512);
  assert.equal([...(await variable.data())], [...values]);
  const product = tf.tidy(() => tf.matMul(tf.ones([200, 3]), variable as tf.Tensor2D));
  assert.equal(Array.from((await product.data()).slice(0, 4)), [15, 18, 21, 24]);
  // A read that is under way keeps the values of its moment.
  const pending = variable.data();
  storage.flush();
  storage.device.queue.writeBuffer(buffer, 512, new Float32Array(12).fill(7));
  assert.equal([...(await pending)], [...values]);
  assert.equal(
    [...(await variable.data())],
    Array.from({ length: 12 }, () => 7),
  );
  assert.equal([...(await clone.data())], [...values]);
  const gpu = variable.dataToGPU();
  assert.equal(
    [...(await gpu.tensorRef.data())],
    Array.from({ length: 12 }, () => 7),
  );
  storage.expel(variable, buffer);
  storage.flush();
  storage.device.queue.writeBuffer(buffer, 512, new Float32Array(12).fill(9));
  assert.equal(
    [...(await variable.data())],
    Array.from({ length: 12 }, () => 7),
  );
  [variable, clone, product, gpu.tensorRef].forEach((tensor) => tensor.dispose());
  buffer.destroy();
});

test('webgpu: beside the device that tfjs has, another can be opened', async () => {
  await useBackend('webgpu');
  const { device } = await openGpu();
  device.destroy();
});

test.run();
