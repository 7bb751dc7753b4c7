/**
 * Tests of tfjs-core that do not pass after `enableTraining()`, and why. A failure that none of these explains is a regression; an
 * entry that explains none, on a backend that it names, is out of date. Both end the lane with exit code 1.
 */
import type { Outcome, Task } from './worker.ts';

type Backend = Task['backend'];

/** Failures of one kind. */
export interface Expected {
  readonly backends: readonly Backend[];
  /** The test's name: its file, a colon, its suites and title. */
  readonly test: RegExp;
  /** What the test says; any message where left out. */
  readonly message?: RegExp;
  readonly reason: string;
}

/** A kernel that the backend has not, and that no network trains with. */
function missing(backends: readonly Backend[], kernels: readonly string[], reason: string): Expected {
  const names = kernels.join('|');
  // A test that expects an error of the operation's own meets this one instead.
  return {
    backends,
    test: /./,
    message: new RegExp(`Kernel '(${names})' not registered|but it was rejected with Erro`),
    reason,
  };
}

export const EXPECTED: readonly Expected[] = [
  {
    backends: ['cpu', 'wasm', 'webgpu', 'tensorflow'],
    test: /^ops\/depthwise_conv2d_test: .* gradients throws error on dilations > 1$/,
    reason: 'intended: dilated convolutions have a gradient here',
  },
  {
    backends: ['webgpu'],
    test: /^ops\/gather_test: gather throws when index is out of bound$/,
    reason: 'stock: a GPU does not look at indices before the kernel has run',
  },
  // wasm
  missing(['wasm'], ['Complex', 'Real', 'Imag', 'FFT', 'IFFT'], 'stock: the backend has no complex numbers'),
  missing(
    ['wasm'],
    ['RaggedGather', 'RaggedRange', 'RaggedTensorToTensor', 'StaticRegexReplace'],
    'stock: ragged tensors and regular expressions prepare data, none of them has a gradient',
  ),
  {
    backends: ['wasm'],
    test: /string|squeeze_test: squeeze (default|specific dimension|all ones|squeeze only ones)$/,
    reason: 'stock: the backend computes nothing on strings',
  },
  {
    backends: ['wasm'],
    test: /^ops\/slice2d_test: slice2d throws when requesting out of bounds slice$/,
    reason: 'stock: the backend does not look at the slice before it copies',
  },
  // tensorflow
  missing(
    ['tensorflow'],
    [
      'BitwiseAnd',
      'DenseBincount',
      'MaxPoolWithArgmax',
      'RaggedGather',
      'RaggedRange',
      'RaggedTensorToTensor',
      'SearchSorted',
      'SparseFillEmptyRows',
      'SparseReshape',
      'SparseSegmentMean',
      'SparseSegmentSum',
      'StaticRegexReplace',
      'StringNGrams',
      'StringSplit',
      'StringToHashBucketFast',
      'Transform',
    ],
    'stock: tfjs-node registers no such kernel, none of them has a gradient',
  ),
  {
    backends: ['tensorflow'],
    test: /string/,
    message: /Invalid TF_Status: 3/,
    reason: 'stock: TensorFlow orders no strings',
  },
];

/** What a run's outcomes mean. */
export interface Verdict {
  readonly passed: number;
  readonly expected: ReadonlyMap<Expected, number>;
  /** Failures that nothing explains. */
  readonly regressions: readonly Outcome[];
  /** Entries that explained nothing. */
  readonly stale: readonly Expected[];
}

/** Holds outcomes against what is expected on a backend. `whole`: all test files ran, so that an entry without a failure is stale. */
export function judge(outcomes: readonly Outcome[], backend: Backend, whole: boolean, entries = EXPECTED): Verdict {
  const counts = new Map(entries.filter(({ backends }) => backends.includes(backend)).map((entry) => [entry, 0]));
  const regressions: Outcome[] = [];
  for (const outcome of outcomes) {
    if (outcome.passed) continue;
    const entry = [...counts.keys()].find(
      ({ test, message }) => test.test(outcome.name) && (message?.test(outcome.message) ?? true),
    );
    if (entry === undefined) regressions.push(outcome);
    else counts.set(entry, (counts.get(entry) ?? 0) + 1);
  }
  return {
    passed: outcomes.filter(({ passed }) => passed).length,
    expected: counts,
    regressions,
    stale: whole ? [...counts].filter(([, count]) => count === 0).map(([entry]) => entry) : [],
  };
}
