/**
 * What lies behind a tensor of tfjs, for tests and measurements of the command's package. No promise: a minor version may change any of it.
 *
 * @internal
 */
export { wasmHeap } from './bridges/wasm.ts';
export { webGpuStorage } from './bridges/webgpu.ts';
export { tensorflow } from './bridges/tensorflow.ts';
export { hasNativeOperations } from './bridges/tensorflowAddon.ts';
