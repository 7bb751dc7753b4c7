/** The two measures, with what each engine needs of them. */
import type { Kernel, Measure, Measured, Sums, TensorPlan, WasmMeasure } from '../engines/engine.ts';
import { TOGETHER } from '../engines/engine.ts';
import { FLOAT32_MAX, FLOAT32_TINY } from '../engines/plan.ts';
import { F64, I32, assembleRun } from '../engines/wasmModule.ts';
import type { AlignmentMeasure, MeanMeasure } from './formulas.ts';
import { alignmentOf, alignmentScalars, meanFactor, momentState, signState } from './formulas.ts';
import { countAgreement, sumAlignment } from './js.ts';
import { assembleAgreement, assembleAlignment } from './wasm.ts';
import { inMemory, onStage } from '../engines/measuring.ts';
import { createMeasurer } from './webgpu.ts';
import { factorShader, gatherShader, measureShader } from './wgsl.ts';

const inputs = (kernel: Kernel, state: readonly string[]): readonly string[] => [
  'gradient',
  ...(kernel.coupled ? ['parameter'] : []),
  ...state,
];

/** The two functions of a measure. @param results - types of what a stretch gives, or all together where `summed` */
function works(
  name: string,
  results: readonly number[],
  body: (stretches: number) => readonly number[],
  summed: boolean,
): Pick<WasmMeasure, 'alone' | 'together'> {
  const work = (stretches: number, types: readonly number[]): WasmMeasure['alone'] => ({
    name: stretches === 1 ? name : `${name} of ${stretches}`,
    assemble: (shared) => assembleRun(body(stretches), shared, types),
  });
  const all = summed ? results : Array.from({ length: TOGETHER }, () => results).flat();
  return { alone: work(1, results), together: work(TOGETHER, all) };
}

/** A number above 0 as float32 that is above 0 and finite. */
const positive = (value: number): number => Math.min(Math.max(value, FLOAT32_TINY), FLOAT32_MAX);

/** The alignment of momentum and gradient as a factor. */
export function alignment(measure: AlignmentMeasure, scalesDecay: boolean): Measure {
  const { temperature, keep, add, start, epsilon, own, before } = measure;
  const measured: Measured = { of: 'alignment', own, before };
  const name = `measure alignment${own ? '+own' : ''}${before ? '+before' : ''}`;
  const goOn = (state: Float32Array, sums: readonly [number, number, number]): number => {
    const next = alignmentOf(measure, state[0] as number, sums);
    state[0] = next;
    return next;
  };
  return {
    measured,
    scalesDecay,
    state: own ? ['mu', 'alignment'] : ['alignment'],
    arrays: (tensor, buffers) =>
      goOn(buffers.state['alignment'] as Float32Array, sumAlignment(tensor, measure, buffers)),
    wasm: ({ kernel, scalars }: TensorPlan) => ({
      ...works(name, [F64, F64, F64], (stretches) => assembleAlignment(kernel, measure, stretches), false),
      reads: [momentState(kernel, measure)],
      writes: own,
      scalars: alignmentScalars(scalars, measure),
      factor: (results: readonly Sums[], _size, state) => {
        const sums: [number, number, number] = [0, 0, 0];
        for (const result of results) {
          // Three of each stretch.
          [...(result as Iterable<number>)].forEach((sum, k) => (sums[(k % 3) as 0 | 1 | 2] += sum));
        }
        return goOn(state as Float32Array, sums);
      },
    }),
    inMemory,
    onStage,
    webgpu: createMeasurer,
    wgsl: ({ kernel, scalars, size }: TensorPlan) => ({
      name,
      binds: inputs(kernel, [momentState(kernel, measure)]),
      writes: own,
      scalars: alignmentScalars(scalars, measure),
      sumShader: () => measureShader(kernel, measured),
      factorName: 'alignment',
      factorShader: () => factorShader('alignment'),
      gatherShader: () => gatherShader('alignment'),
      numbers: [size, positive(temperature), keep, add, start, Math.min(epsilon, FLOAT32_MAX)],
    }),
  };
}

/** The inverse of the share of elements that agree as a factor. */
export function mean(measure: MeanMeasure, scalesDecay: boolean): Measure {
  const measured: Measured = { of: 'agreement' };
  return {
    measured,
    scalesDecay,
    state: [],
    arrays: (tensor, buffers) => meanFactor(measure, countAgreement(tensor, buffers), tensor.size),
    wasm: ({ kernel, scalars }: TensorPlan) => ({
      ...works('measure agreement', [I32], (stretches) => assembleAgreement(kernel, stretches), true),
      reads: signState(kernel),
      writes: false,
      scalars,
      factor: (results, size) => {
        const kept = results.reduce<number>(
          (sum, result) => sum + (typeof result === 'number' ? result : first(result)),
          0,
        );
        return meanFactor(measure, kept, size);
      },
    }),
    inMemory,
    onStage,
    webgpu: createMeasurer,
    wgsl: ({ kernel, scalars, size }: TensorPlan) => ({
      name: 'measure agreement',
      binds: inputs(kernel, signState(kernel)),
      writes: false,
      scalars,
      sumShader: () => measureShader(kernel, measured),
      factorName: 'mean',
      factorShader: () => factorShader('agreement'),
      gatherShader: () => gatherShader('agreement'),
      numbers: [size, 1, 0, 0, 0, measure.floor === 0 ? 0 : positive(measure.floor)],
    }),
  };
}

function first(numbers: Iterable<number>): number {
  for (const number of numbers) return number;
  return 0;
}
