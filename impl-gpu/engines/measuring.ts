/** Measuring by assembled functions: their calls, and the factor that their results give. */
import type { Call, Measure, Stage, StepPlan, Sums, TensorBuffers, TensorPlan } from './engine.ts';
import { MEASURED, SCALARS, TOGETHER, modeOf, withFactor } from './engine.ts';
import { callsOf, pointersOf, valuesOf } from './wasm.ts';

/** The slot of the first state. */
const MOMENT = 2;

/** A call that measures elements `first` to `last` - 1 of a tensor. */
interface MeasuringCall extends Call {
  readonly first: number;
  readonly last: number;
}

/** The calls that measure a tensor, one or `TOGETHER` stretches each, in order. */
export function measureCalls(
  position: Pick<StepPlan, 'key' | 'step'>,
  tensor: TensorPlan,
  buffers: TensorBuffers<number>,
): readonly MeasuringCall[] {
  const { kernel, measure, size } = tensor;
  if (measure === null) return [];
  const { alone, together, reads, scalars } = measure.wasm(tensor);
  const pointers = pointersOf(buffers, reads);
  const calls: MeasuringCall[] = [];
  for (let first = 0, last; first < size; first = last) {
    const several = size - first >= TOGETHER * MEASURED;
    const count = Math.min(MEASURED, size - first);
    last = first + (several ? TOGETHER * count : count);
    const values = valuesOf(position, tensor, pointers, scalars, first, count);
    calls.push({ kernel, work: several ? together : alone, values, first, last });
  }
  return calls;
}

/**
 * A tensor with its measured factor in its scalars.
 * @param results - of its stretches, in order
 * @param alignment - its state of that name
 */
export function applyMeasured(
  tensor: TensorPlan,
  results: readonly (Sums | undefined)[],
  alignment: Float32Array | undefined,
): TensorPlan {
  const { measure, scalars, size } = tensor;
  if (measure === null) return tensor;
  return {
    ...tensor,
    scalars: withFactor(scalars, measure, measure.wasm(tensor).factor(results as Sums[], size, alignment)),
  };
}

/** As `applyMeasured`, with the alignment in a memory. */
export function applyMeasuredIn(
  memory: WebAssembly.Memory,
  tensor: TensorPlan,
  results: readonly (Sums | undefined)[],
  { state }: TensorBuffers<number>,
): TensorPlan {
  const at = tensor.measure === null ? undefined : state['alignment'];
  return applyMeasured(tensor, results, at === undefined ? undefined : new Float32Array(memory.buffer, at, 1));
}

/**
 * Whether a tensor may be measured on the way of its step, which does not ask for the factor: one that is dropped whole, measured by the alignment
 * with the rule's own moment. Each stretch is then measured and stepped while a cache holds it.
 */
export function isMeasuredOnTheWay(tensor: TensorPlan): boolean {
  const { kernel, measure } = tensor;
  const measured = measure?.measured;
  return measured?.of === 'alignment' && !measured.own && !kernel.plain && modeOf(tensor) === 'none';
}

/** `Measure.inMemory` of all measures. */
export const inMemory: Measure['inMemory'] = (memory, run, position, tensor, buffers) => {
  const onTheWay = isMeasuredOnTheWay(tensor);
  const step = (plan: TensorPlan, first: number, last: number): void =>
    callsOf(position, plan, buffers, first, last).forEach(run);
  const results = measureCalls(position, tensor, buffers).map((call) => {
    const sums = run(call);
    if (onTheWay) step(tensor, call.first, call.last);
    return sums;
  });
  const measured = applyMeasuredIn(memory, tensor, results, buffers);
  if (!onTheWay) step(measured, 0, tensor.size);
};

/** `Measure.onStage` of all measures. An own moment, the only state of its work, goes on. */
export function onStage(
  { slots, pointers, instanceOf }: Stage,
  tensor: TensorPlan,
  { parameter, gradient, state }: TensorBuffers<Float32Array>,
): TensorPlan {
  const work = tensor.measure?.wasm(tensor);
  if (work === undefined) return tensor;
  const run = instanceOf(tensor.kernel, work.alone);
  const arrays = [parameter, gradient, ...work.reads.map((name) => state[name] as Float32Array)];
  const values = SCALARS.map((name) => work.scalars[name]);
  const results: (Sums | undefined)[] = [];
  for (let first = 0; first < tensor.size; first += MEASURED) {
    const count = Math.min(MEASURED, tensor.size - first);
    arrays.forEach((array, i) => slots[i]?.set(array.subarray(first, first + count)));
    results.push(run(count, 0, 0, 0, 0, 0, ...pointers, ...values));
    if (work.writes) arrays[MOMENT]?.set((slots[MOMENT] as Float32Array).subarray(0, count), first);
  }
  return applyMeasured(tensor, results, state['alignment']);
}
