/** What a network would need, against what there is, before any of it is made. */
import { totalmem } from 'node:os';
import type { RuleName } from 'learning-rate-dropout/spec';
import { RULES } from 'learning-rate-dropout/spec';
import { JobError } from '../errors.ts';
import { measureNets } from '../nets/builder.ts';
import { megabytes } from '../storage/inputs.ts';

/**
 * Of the 4.29 GB that WebAssembly can address, what tensors of this size find room in: a network of 4.0 GB was trained (FCNet of width 14,100 with
 * AMSGrad), but could not go on from its checkpoint, one of 3.4 GB (width 13,000) could.
 */
const WASM_BYTES = 0.8 * 2 ** 32;

/** Bytes that the process may have: the machine's, or its control group's. */
function bytesAllowed(): number {
  const limit = process.constrainedMemory();
  // No limit is said as 0 or as 2^64.
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

interface Wanted {
  readonly rule: RuleName;
  /** As `--backend` names it. */
  readonly backend: string;
  /** Of `sgdm-avg`: gradients that are kept. */
  readonly window?: number;
}

/**
 * Throws a `JobError` when a network cannot be trained for want of memory: each parameter has its value, its gradient and the optimizer's state, 4
 * bytes each. Activations come on top; they are small beside what is refused here.
 */
export function checkMemory(build: () => void, { rule, backend, window = 1 }: Wanted): void {
  const { parameters, statistics } = measureNets(build);
  const { state } = RULES[rule];
  const states = rule === 'sgdm-avg' ? window : state.length;
  const needed = 4 * (parameters * (2 + states) + statistics);
  const [allowed, whose] = backend === 'wasm' ? [WASM_BYTES, 'WebAssembly has room for'] : [bytesAllowed(), 'this process may have']; // prettier-ignore
  if (needed <= allowed) return;
  const count = parameters.toLocaleString('en');
  const smaller = states > state.length ? '--window or --width' : '--width';
  throw new JobError(
    `the network has ${count} parameters: their values, gradients and the state of ${rule} need ${megabytes(needed)}, ${whose} ${megabytes(allowed)}; choose a smaller ${smaller}`,
  );
}
