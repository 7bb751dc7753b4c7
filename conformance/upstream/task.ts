/** What a process has to do. */
export interface Task {
  readonly backend: 'cpu' | 'wasm' | 'webgpu' | 'tensorflow';
  /** Whether `enableTraining()` is called; without, the tests meet tfjs as it comes. */
  readonly training: boolean;
  /** Whether one backend lives through all suites; else each suite disposes of it and starts another, as tfjs's own runs do. */
  readonly kept: boolean;
  /** Whether the optimizers under test are this project's, with keep probability 1. */
  readonly optimizers: boolean;
  readonly bundle: string;
  readonly report: string;
}

/** One test. `name` is `file: suites test`, without the environment's name. */
export interface Outcome {
  readonly name: string;
  readonly passed: boolean;
  readonly message: string;
}
