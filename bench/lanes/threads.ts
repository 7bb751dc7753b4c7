/**
 * Both sides of a comparison take the same number of threads: the kernels of WASM, TensorFlow's, and PyTorch's. TensorFlow reads its number
 * when it is loaded, so one run has one number.
 */

let count = 1;

/** How many threads every side of this run takes. */
export const threads = (): number => count;

/** Sets the number, before the first lane is opened. */
export function useThreads(number: number): void {
  count = number;
  process.env['TF_NUM_INTRAOP_THREADS'] = String(number);
  process.env['TF_NUM_INTEROP_THREADS'] = '1';
  process.env['OMP_NUM_THREADS'] = String(number);
}
