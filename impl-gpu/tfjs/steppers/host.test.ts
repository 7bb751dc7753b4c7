import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { planStep } from '../../engines/plan.ts';
import { layOut } from '../../random.ts';
import { cpuStepper } from './cpu.ts';
import { hostStepper } from './host.ts';
import type { StepEntry, Stepper } from './stepper.ts';

const test = suite('impl-gpu/tfjs/steppers/host');
test.before(async () => {
  await useBackend('cpu');
});

const SIZES = [5, 9001, 64];

function makeEntries(): StepEntry[] {
  return SIZES.map((size, k) => {
    const values = (scale: number): tf.Tensor =>
      tf.tensor(Float32Array.from({ length: size }, (_, i) => scale * Math.sin(i + k)));
    return {
      variable: tf.tidy(() => tf.variable(values(1))),
      gradient: values(0.01),
      state: { m: tf.tidy(() => tf.variable(values(0))), v: tf.tidy(() => tf.variable(values(0))) },
    };
  });
}

const tensorsOf = (entries: readonly StepEntry[]): tf.Tensor[] =>
  entries.flatMap(({ variable, gradient, state }) => [variable, gradient, ...Object.values(state)]);

const read = (entries: readonly StepEntry[]): Buffer[] =>
  tensorsOf(entries).map((tensor) => Buffer.from(tensor.dataSync<'float32'>().slice().buffer));

function steps(stepper: Stepper, entries: readonly StepEntry[], first: number, last: number): void {
  const bases = layOut(SIZES);
  for (let step = first; step <= last; step++) {
    const tensors = SIZES.map((size, k) => ({
      base: bases[k] as number,
      size,
      count: step,
      hyper: {},
      keepProbability: 0.5,
    }));
    stepper.step(planStep({ rule: 'adam', key: [3, 4], step, tensors }), entries, 10_000);
  }
}

test('[LRD-STREAM-005] values that go through the host have the bits of those that are stepped in place', () => {
  const [host, cpu] = [makeEntries(), makeEntries()];
  steps(hostStepper(), host, 1, 4);
  steps(cpuStepper(), cpu, 1, 4);
  const expected = read(cpu);
  read(host).forEach((bytes, i) => assert.ok(bytes.equals(expected[i] as Buffer), `tensor ${i}`));
  assert.not.ok((expected[4] as Buffer).equals(read(makeEntries())[4] as Buffer));
  tf.dispose(tensorsOf([...host, ...cpu]));
});

test('arrays that were read before a step keep their values, gradients included', () => {
  const entries = makeEntries();
  const stepper = hostStepper();
  steps(stepper, entries, 1, 1);
  const arrays = tensorsOf(entries).map((tensor) => tensor.dataSync<'float32'>());
  const before = read(entries);
  steps(stepper, entries, 2, 3);
  arrays.forEach((array, i) => assert.ok(Buffer.from(array.slice().buffer).equals(before[i] as Buffer), `tensor ${i}`));
  tf.dispose(tensorsOf(entries));
});

test.run();
