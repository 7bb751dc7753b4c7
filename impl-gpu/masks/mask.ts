/** A kind of mask as the planner takes it. */
import { LAYOUT, STREAMS } from '../../spec/stream.ts';
import type { Kernel, Measure } from '../engines/engine.ts';
import { KEEP_ALL } from '../engines/engine.ts';
import type { Mask } from '../engines/plan.ts';
import { philox4x32 } from '../philox.ts';
import { firstMoment } from './formulas.ts';
import { alignment, mean } from './measure.ts';
import type { MaskOptions, MaskRequest } from './resolve.ts';
import { isPlainLrd, maskState, resolveOptions } from './resolve.ts';

const drawn = new Uint32Array(4);

/** s_t = keep s_(t-1) + add s~ + start: at a tensor's first gradient what `firstAlignment` says stands for s_0. */
function measureOf(options: MaskOptions, kernel: Kernel, count: number): Measure | null {
  const { factor, smoothing, firstAlignment, temperature, cosineEpsilon, moment, momentDecay, momentTime } = options;
  const scalesDecay = options.decay === 'scaled';
  if (factor === 'mean') {
    return mean({ factor, floor: options.normalization === 'count' ? 0 : options.meanFloor }, scalesDecay);
  }
  if (factor !== 'alignment') return null;
  const measured = count === 1 && firstAlignment === 'measured';
  const first = firstAlignment === 'one' ? 1 : 0.5;
  return alignment(
    {
      factor,
      temperature,
      keep: count === 1 ? 0 : smoothing,
      add: measured ? 1 : 1 - smoothing,
      start: count === 1 && !measured ? smoothing * first : 0,
      epsilon: cosineEpsilon,
      own: moment === 'own' || firstMoment(kernel) === undefined,
      muKeep: momentDecay,
      before: momentTime === 'before',
    },
    scalesDecay,
  );
}

/**
 * A kind of mask, for `planStep` and for optimizers. Throws `InvalidArgumentError` naming option, value and rule, as `MaskRequest` has them.
 */
export function resolveMask(request: MaskRequest): Mask {
  const options = resolveOptions(request);
  const whole = options.granularity === 'tensor';
  return {
    request: { ...request },
    agreement: options.draw === 'agreement',
    plainLrd: isPlainLrd(options),
    stateNames: (rule, hyper) => maskState(options, rule, hyper),
    apply: ({ kernel, scalars, threshold }, count) => {
      const inverse = options.factor === 'inverse' ? KEEP_ALL / threshold : 1;
      const agreeing = {
        ...kernel,
        agreement: options.draw === 'agreement',
        plain: kernel.decoupled && options.decay === 'plain',
      };
      return {
        kernel: agreeing,
        scalars: {
          ...scalars,
          rate: scalars.rate * inverse,
          shrink: options.decay === 'scaled' ? scalars.shrink * inverse : scalars.shrink,
        },
        threshold,
        measure: measureOf(options, agreeing, count),
      };
    },
    keeps: whole
      ? (key, step, base, threshold) => {
          if (threshold >= KEEP_ALL) return true;
          const block = base / LAYOUT.halvesPerBlock;
          philox4x32(block >>> 0, Math.floor(block / 2 ** 32), step, STREAMS.tensorMask, key, drawn);
          return ((drawn[0] as number) & 0xffff) < threshold;
        }
      : undefined,
  };
}
