import { keepThreshold } from '../masks.ts';
import { halves } from '../stream.ts';
import type { StreamPosition } from '../stream.ts';

/**
 * z ~ Bernoulli(T / 2^16) for one tensor and step: whether the half at the tensor's base, in the stream `tensorMask`, is below T.
 * p = 1 draws nothing.
 *
 * Source: arXiv 2602.15322, Algorithm 1, one draw a block and step.
 *
 * @throws RangeError when `keepProbability` is outside [2^-16, 1]
 */
export function tensorMask(position: Omit<StreamPosition, 'stream'>, keepProbability: number): 0 | 1 {
  const threshold = keepThreshold(keepProbability);
  if (keepProbability === 1) return 1;
  const [half] = halves({ ...position, stream: 'tensorMask' }, 1) as Iterable<number>;
  return (half as number) < threshold ? 1 : 0;
}
