import * as tf from '@tensorflow/tfjs';
import type * as webgpu from '@tensorflow/tfjs-backend-webgpu';
import type { AdapterDescription, AdapterKind } from '../device/gpu.ts';
import { openGpu, standIns } from '../device/gpu.ts';
import { UnsupportedError } from '../validate.ts';

/** What `useWebGpu` started. */
export interface WebGpuInUse {
  /** The device that tfjs and the engines share. */
  readonly device: GPUDevice;
  /** What the adapter says of itself, and whether it is software. */
  readonly adapter: AdapterDescription;
}

let inUse: WebGpuInUse | undefined;

/** tfjs refuses to make its backend where `navigator.gpu` is missing, as in Node. */
function provideNavigator(adapter: GPUAdapter): void {
  const scope = globalThis as { navigator?: { gpu?: unknown; userAgent?: string } };
  if (scope.navigator === undefined) {
    Object.defineProperty(scope, 'navigator', { value: { userAgent: 'Node.js' }, configurable: true, writable: true });
  }
  const { navigator } = scope as { navigator: { gpu?: unknown } };
  if (navigator.gpu === undefined) {
    const gpu = { requestAdapter: () => Promise.resolve(adapter) };
    standIns.add(gpu);
    Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
  }
}

/**
 * Imported only when a device is open: at load it looks for the globals that opening one puts in place. Within `try`, so that bundlers
 * take the optional peer for what it is where it is not installed.
 */
async function importBackend(): Promise<typeof webgpu> {
  try {
    return await import('@tensorflow/tfjs-backend-webgpu');
  } catch (error) {
    throw new UnsupportedError(
      `@tensorflow/tfjs-backend-webgpu does not load: install it in the version of @tensorflow/tfjs, ${tf.version_core}`,
      { cause: error },
    );
  }
}

/**
 * Makes WebGPU tfjs's backend, in browsers and in Node, on a device that the engines (and gpu.js) share. `kind` asks for a
 * `hardware` or `software` adapter; `auto` takes the best. Throws when there is none: tfjs itself would go on with its cpu
 * backend without a word. A second call returns the device of the first, if it is of that kind.
 */
export async function useWebGpu(kind: AdapterKind = 'auto'): Promise<WebGpuInUse> {
  const fits = inUse !== undefined && (kind === 'auto' || (kind === 'software') === inUse.adapter.software);
  if (inUse === undefined || !fits) {
    const { device, adapter, description } = await openGpu(kind);
    provideNavigator(adapter);
    const { WebGPUBackend } = await importBackend();
    if (tf.findBackendFactory('webgpu') !== null) tf.removeBackend('webgpu');
    tf.registerBackend('webgpu', () => new WebGPUBackend(device, adapter.info), 3);
    inUse = { device, adapter: description };
    void device.lost.then(() => (inUse = undefined));
  }
  if (!(await tf.setBackend('webgpu'))) throw new Error('the webgpu backend of tfjs did not start');
  return inUse;
}
