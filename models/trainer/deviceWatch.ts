import * as tf from '@tensorflow/tfjs';
import { JobError } from '../errors.ts';
import { StoppedError, outOfMemory } from './failures.ts';

/** Waits on a device that may go away. */
export interface DeviceWatch {
  /** The same promise, or a rejection with a `JobError` when the device is lost first: what reads from it may wait forever. */
  guard<T>(promise: Promise<T>): Promise<T>;
  /** The error that the device has come to, if any; waits a moment for one that is on its way. */
  fault(): Promise<JobError | undefined>;
  close(): void;
}

const UNWATCHED: DeviceWatch = {
  guard: (promise) => promise,
  fault: () => Promise.resolve(undefined),
  close: () => undefined,
};

/** Milliseconds for the device to say that it is lost, after an operation on it has failed. */
const GRACE = 500;

/** Watches the current backend's GPU device, where it has one. */
function watchDevice(): DeviceWatch {
  if (tf.getBackend() !== 'webgpu') return UNWATCHED;
  const { device } = tf.backend() as unknown as { readonly device: GPUDevice };
  let failure: JobError | undefined;
  let closed = false;
  const waiting = new Set<(error: JobError) => void>();
  const fail = (error: JobError): void => {
    if (closed) return;
    failure ??= error;
    for (const reject of waiting) reject(failure);
    waiting.clear();
  };
  void device.lost.then(({ reason, message }) => {
    const [said] = message.split('\n');
    fail(new JobError(`the GPU device was lost (${reason}${said === undefined || said === '' ? '' : `: ${said}`})`));
  });
  const onError = ({ error }: GPUUncapturedErrorEvent): void => {
    if (error.constructor.name === 'GPUOutOfMemoryError') {
      fail(new JobError(`the GPU is out of memory (${error.message}); a smaller --batch-size or --width needs less`));
    }
  };
  device.addEventListener('uncapturederror', onError);
  return {
    guard: (promise) => {
      if (failure !== undefined) {
        // Whatever becomes of it is of no interest any more.
        promise.catch(() => undefined);
        return Promise.reject(failure);
      }
      return new Promise((resolve, reject) => {
        waiting.add(reject);
        promise.then(resolve, reject).finally(() => waiting.delete(reject));
      });
    },
    fault: async () => {
      if (failure === undefined) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, GRACE);
          waiting.add(() => {
            clearTimeout(timer);
            resolve();
          });
        });
      }
      return failure;
    },
    close: () => {
      closed = true;
      device.removeEventListener('uncapturederror', onError);
    },
  };
}

/** Runs work on the current backend; where the device is lost or memory runs out, the `JobError` that says so is thrown. */
export async function underWatch<T>(work: (watch: DeviceWatch) => Promise<T>): Promise<T> {
  const watch = watchDevice();
  try {
    return await work(watch);
  } catch (error) {
    if (error instanceof JobError || error instanceof StoppedError) throw error;
    throw (await watch.fault()) ?? outOfMemory(error) ?? error;
  } finally {
    watch.close();
  }
}
