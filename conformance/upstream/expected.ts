/**
 * Tests of tfjs-core that do not pass after `enableTraining()`, and why. A failure that none of these explains is a regression; an
 * entry that explains none, on a backend that it names, is out of date. Both end the lane with exit code 1.
 */
import type { Outcome, Task } from './task.ts';

type Backend = Task['backend'];

/** Failures of one kind. */
export interface Expected {
  readonly backends: readonly Backend[];
  /** The test's name: its file, a colon, its suites and title. */
  readonly test: RegExp;
  /** What the test says; any message where left out. */
  readonly message?: RegExp;
  readonly reason: string;
  /** The test draws at random, and passes now and then. */
  readonly sometimes?: true;
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
    backends: ['cpu', 'wasm', 'tensorflow'],
    test: /^ops\/mirror_pad_test: mirrorPad (grad|gradient with clones)$/,
    reason: 'intended: what was mirrored belongs to the gradient, which tfjs leaves out',
  },
  {
    backends: ['cpu', 'wasm', 'webgpu', 'tensorflow'],
    test: /^gradients_test: gradients errors if relevant ops are missing grads$/,
    reason: 'intended: a logical operation has the gradient 0 here',
  },
  {
    backends: ['cpu', 'wasm', 'webgpu', 'tensorflow'],
    test: /^ops\/depthwise_conv2d_test: .* gradients throws error on dilations > 1$/,
    reason: 'intended: dilated convolutions have a gradient here',
  },
  {
    backends: ['cpu', 'wasm', 'webgpu'],
    test: /^ops\/avg_pool_test: avgPool gradient x=\[3,3,1\] f=\[3,3\] s=1 p=explicit$/,
    reason:
      'intended: an average over what lies inside the picture has the gradient of that, not of one over the whole window',
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
  {
    backends: ['wasm'],
    test: /^ops\/image\/threshold_test: threshold method otsu/,
    message: /Operands could not be broadcast together/,
    reason: 'stock: an image is counted row by row (DenseBincount), not whole',
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
  {
    backends: ['tensorflow'],
    test: /pool/,
    message: /TF Backend supports only 'valid' and 'same' padding while padding was (NUMBER|EXPLICIT)$/,
    reason: 'stock: averages, and pools in three dimensions, take no padding in pixels',
  },
  {
    backends: ['tensorflow'],
    test: /^ops\/(avg_pool_3d_test: avgPool3d x=\[1,1,1,1,1\] f=\[1,1,3\] s=1 p=valid|diag_test: diag bool|leaky_relu_test: leakyrelu int32|step_test: step kernel with int32 tensor|scatter_nd_test)/,
    message: /Invalid TF_Status: 3/,
    reason: 'stock: TensorFlow takes no such type, no negative size, and no scalar in place of a vector',
  },
  {
    backends: ['tensorflow'],
    test: /^ops\/conv2d_transpose_test: .*input=8x8x8,output=4x4x8/,
    reason: 'stock: TensorFlow refuses an output that its input does not fit',
  },
  {
    backends: ['tensorflow'],
    test: /^ops\/einsum_test: einsum (2d matrix calculate trace|nonexistent dimension)/,
    reason: 'stock: TensorFlow takes equations that tfjs refuses',
  },
  {
    backends: ['tensorflow'],
    test: /^ops\/pool_test: pool max x=\[2,2,3\] f=\[1,1\] s=2 p=1 fractional outputs default rounding$/,
    reason: 'stock: windows of one element that lie outside the picture, which tfjs takes for the picture itself',
  },
  {
    backends: ['tensorflow'],
    test: /^ops\/(round_test: round int32|sign_test: sign|tan_test: tan numbers exceed|unique_test: unique 1d tensor with NaN)/,
    reason: "stock: TensorFlow's own rules for NaN, integers and large angles",
  },
  {
    backends: ['tensorflow'],
    test: /^ops\/multinomial_test: multinomial creates the same data given the same seed$/,
    reason: 'stock: TensorFlow draws anew in spite of the seed',
    sometimes: true,
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
    stale: whole ? [...counts].filter(([entry, count]) => count === 0 && !entry.sometimes).map(([entry]) => entry) : [],
  };
}
