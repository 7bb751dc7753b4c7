/** What the page and its worker say to each other. */

/** From the page, once. */
export interface RunRequest {
  readonly adapters: readonly string[];
  readonly only: readonly string[] | undefined;
  readonly seed: number;
  /** Whether to judge the planted faults too. */
  readonly planted: boolean;
  /** Where tfjs-wasm's binary (SIMD, one thread) is to be had. */
  readonly wasmUrl: string;
}

/** From the worker. */
export type WorkerMessage =
  | { readonly kind: 'progress'; readonly adapter: string; readonly done: number; readonly total: number }
  | {
      readonly kind: 'finished';
      readonly passed: boolean;
      /** The report in its three forms. */
      readonly text: string;
      readonly json: string;
      readonly html: string;
    }
  | { readonly kind: 'failed'; readonly message: string };
