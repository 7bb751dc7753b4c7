/** An optimizer's state as tfjs saves it: a list of named tensors. */
import * as tf from '@tensorflow/tfjs';
import type { RuleName } from '../../spec/rules.ts';
import { InvalidArgumentError } from '../validate.ts';
import type { Restored, Slot } from './binding.ts';
import { UPDATE } from './binding.ts';

/** A tensor with its name, as tfjs passes gradients and weights in lists. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: tf.Tensor;
}

const COUNTS = 'lrd/counts';

/** [step counts, then each variable's state in list order]: what follows the iterations. The counts are the caller's to free. */
export function toWeights(slots: readonly Slot[]): NamedTensor[] {
  const counts = tf.tensor1d(
    slots.map(({ count }) => count),
    'int32',
  );
  return [
    { name: COUNTS, tensor: counts },
    ...slots.flatMap(({ name, state, update }) => [
      ...Object.entries(state).map(([key, tensor]) => ({ name: `${name}/${key}`, tensor })),
      ...(update === undefined ? [] : [{ name: `${name}/${UPDATE}`, tensor: update }]),
    ]),
  ];
}

/** Reads what `toWeights` gave, with the iterations before it. `keys` are the names of the state of `rule`. */
export async function fromWeights(
  weights: readonly NamedTensor[],
  rule: RuleName,
  keys: readonly string[],
): Promise<{ readonly iterations: NamedTensor; readonly restored: Restored }> {
  const [iterations, counts, ...rest] = weights;
  if (iterations === undefined || counts === undefined || !counts.name.endsWith(COUNTS)) {
    const got = counts === undefined ? 'nothing' : JSON.stringify(counts.name);
    throw new InvalidArgumentError(`weights must be those of getWeights(), with ${COUNTS} in second place, got ${got}`);
  }
  const countValues = Array.from(await counts.tensor.data<'int32'>());
  if (rest.length !== countValues.length * keys.length) {
    throw new InvalidArgumentError(
      `weights must hold ${countValues.length * keys.length} tensors of state for ${rule}, got ${rest.length}`,
    );
  }
  const wrong = rest.find(({ name }, index) => !name.endsWith(`/${keys[index % keys.length]}`));
  if (wrong !== undefined) {
    throw new InvalidArgumentError(`weights must be the state (${keys.join(', ')}) of ${rule}, got ${wrong.name}`);
  }
  const tensors = await Promise.all(
    rest.map(async ({ name, tensor }) => ({
      name,
      shape: tensor.shape,
      values: (await tensor.data<'float32'>()).slice(),
    })),
  );
  return { iterations, restored: { counts: countValues, tensors } };
}
