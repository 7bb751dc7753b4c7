/**
 * An optimizer's state as tfjs saves it, a list of named tensors:
 *
 *     iter          the steps, as in tfjs's own optimizers
 *     lrd/record    the rest that is no tensor: a JSON text in UTF-8, four bytes to an int32, padded with spaces
 *     NAME/STATE    for each variable in the order of the places: its state, as far as it has been made
 *     NAME/pending  for each variable that has some: the sum of the gradients since the last step
 *
 * Lists with `lrd/counts` in second place (the step counts, and then the state of every variable) are read too.
 */
import * as tf from '@tensorflow/tfjs';
import type { RuleName } from '../../spec/rules.ts';
import { InvalidArgumentError } from '../validate.ts';
import type { Saved, StateForm } from './binding.ts';
import { sameShape } from './binding.ts';
import type { StepMemory } from './stepSettings.ts';
import { checkMemory } from './configuration.ts';

/** A tensor with its name, as tfjs passes gradients and weights in lists. */
export interface NamedTensor {
  /** Whose it is and what it holds, as `dense_Dense1/kernel/m`; `iter` is the step count. */
  readonly name: string;
  /** Its values. `setWeights` copies them; who made it disposes it. */
  readonly tensor: tf.Tensor;
}

const RECORD = 'lrd/record';
const COUNTS = 'lrd/counts';
const PENDING = 'pending';

/** What a saved optimizer holds. */
export interface SavedForm {
  readonly variables: readonly Saved[];
  /** Gradients since the last step. */
  readonly calls: number;
  readonly memory: StepMemory | undefined;
  /** As "0x..."; undefined in lists that do not tell. */
  readonly seed: string | undefined;
}

interface VariableRecord {
  readonly name: string;
  readonly label: string;
  readonly shape: readonly number[] | null;
  readonly count: number;
  /** Whether its state has been made, and whether it has pending gradients. */
  readonly made: boolean;
  readonly pending: boolean;
}

const WORD = 4;

/** What follows the iterations. The first tensor is the caller's to free, the others the optimizer's own. */
export function toWeights({ variables, calls, memory, seed }: SavedForm, { names }: StateForm): NamedTensor[] {
  const records = variables.map(({ name, label, shape, count, state, pending }): VariableRecord => ({
    name,
    label,
    shape: shape ?? null,
    count,
    made: state !== undefined,
    pending: pending !== undefined,
  }));
  const text = new TextEncoder().encode(JSON.stringify({ state: names, variables: records, calls, memory, seed }));
  const padded = new Uint8Array(Math.ceil(text.length / WORD) * WORD).fill(0x20);
  padded.set(text);
  return [
    { name: RECORD, tensor: tf.tensor1d(new Int32Array(padded.buffer)) },
    ...variables.flatMap(({ name, state }) =>
      Object.entries(state ?? {}).map(([key, tensor]) => ({ name: `${name}/${key}`, tensor })),
    ),
    ...variables.flatMap(({ name, pending }) =>
      pending === undefined ? [] : [{ name: `${name}/${PENDING}`, tensor: pending }],
    ),
  ];
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const refuse = (rule: string, got: unknown): never => {
  throw new InvalidArgumentError(`weights must be ${rule}, got ${typeof got === 'string' ? got : JSON.stringify(got)}`);
};

function readRecord(values: Int32Array): {
  readonly state: unknown;
  readonly variables: readonly VariableRecord[];
  readonly calls: number;
  readonly memory: unknown;
  readonly seed: unknown;
} {
  const bytes = new Uint8Array(Int32Array.from(values).buffer);
  let record: Partial<ReturnType<typeof readRecord>> | null;
  try {
    record = JSON.parse(new TextDecoder().decode(bytes)) as typeof record;
  } catch {
    return refuse(`those of getWeights(), ${RECORD} a JSON text`, 'something else');
  }
  const { variables, calls } = record ?? {};
  const sound = (variable: Partial<VariableRecord> | null): boolean =>
    typeof variable?.name === 'string' &&
    typeof variable.label === 'string' &&
    isWhole(variable.count) &&
    (variable.shape === null || (Array.isArray(variable.shape) && variable.shape.every(isWhole)));
  if (!Array.isArray(variables) || !variables.every(sound) || !isWhole(calls)) {
    return refuse(`those of getWeights(), ${RECORD} with variables and calls`, record);
  }
  return record as ReturnType<typeof readRecord>;
}

/** The list before there were records: every variable's state, named after it. */
function recordOfCounts(counts: Int32Array, rest: readonly NamedTensor[], rule: RuleName, names: readonly string[]) {
  const expected = counts.length * names.length;
  if (rest.length !== expected) refuse(`${expected} tensors of state for ${rule}`, String(rest.length));
  return {
    state: names,
    variables: Array.from(counts, (count, k): VariableRecord => {
      const first = rest[k * names.length];
      const name = first?.name.slice(0, -`/${names[0]}`.length) ?? String(k);
      const shape = first?.tensor.shape ?? null;
      return {
        name,
        label: name,
        shape: names[0] === 'ring' ? (shape?.slice(1) ?? null) : shape,
        count,
        made: true,
        pending: false,
      };
    }),
    calls: 0,
    memory: undefined,
    seed: undefined,
  };
}

/**
 * Reads what `toWeights` gave, with the iterations before it. All of it is checked before a tensor is made. Throws
 * `InvalidArgumentError`.
 */
export async function fromWeights(
  weights: readonly NamedTensor[],
  rule: RuleName,
  form: StateForm,
): Promise<{ readonly iterations: NamedTensor; readonly saved: SavedForm }> {
  const { names } = form;
  if (!Array.isArray(weights)) return refuse('the list that getWeights() gives', typeof weights);
  const [iterations, second, ...rest] = weights as readonly NamedTensor[];
  const ofRecord = second?.name.endsWith(RECORD) === true;
  if (iterations === undefined || second === undefined || !(ofRecord || second.name.endsWith(COUNTS))) {
    return refuse(`those of getWeights(), with ${RECORD} in second place`, second === undefined ? 'nothing' : JSON.stringify(second.name)); // prettier-ignore
  }
  const [steps] = await iterations.tensor.data<'int32'>();
  if (!isWhole(steps)) refuse('those of getWeights(), with a whole number of steps in first place', steps);
  const values = await second.tensor.data<'int32'>();
  const record = ofRecord ? readRecord(values) : recordOfCounts(values, rest, rule, names);
  if (JSON.stringify(record.state) !== JSON.stringify(names)) {
    refuse(`the state (${names.join(', ')}) of ${rule}`, record.state);
  }
  // What is to come, in order, and where it belongs.
  const made = record.variables.flatMap((variable) => (variable.made ? names.map((key) => ({ variable, key })) : []));
  const pending = record.variables.flatMap((variable) => (variable.pending ? [{ variable, key: PENDING }] : []));
  const expected = [...made, ...pending];
  if (rest.length !== expected.length) refuse(`${expected.length} tensors of state for ${rule}`, String(rest.length));
  expected.forEach(({ variable, key }, index) => {
    const { name, tensor } = rest[index] as NamedTensor;
    if (!name.endsWith(`/${key}`)) refuse(`the state (${names.join(', ')}) of ${rule}`, name);
    const shape =
      variable.shape === null ? null : key === PENDING ? [...variable.shape] : form.shapeOf(variable.shape, key);
    if (tensor.dtype !== 'float32' || (shape !== null && !sameShape(tensor.shape, shape))) {
      refuse(
        `float32 of shape [${(shape ?? []).join(', ')}] for ${name}`,
        `${tensor.dtype} of shape [${tensor.shape.join(', ')}]`,
      );
    }
  });
  const memory = record.memory === undefined ? undefined : checkMemory(record.memory);
  // Copies, so that the caller may free what was given. All states come before all pending gradients.
  let next = 0;
  const take = (): tf.Variable => tf.tidy(() => tf.variable((rest[next++] as NamedTensor).tensor.clone(), false));
  const states = record.variables.map(({ made: has }) =>
    has ? Object.fromEntries(names.map((key) => [key, take()])) : undefined,
  );
  const variables = record.variables.map(({ name, label, shape, count, pending: has }, index): Saved => ({
    name,
    label,
    shape: shape ?? undefined,
    count,
    state: states[index],
    pending: has ? take() : undefined,
  }));
  return {
    iterations,
    saved: {
      variables,
      calls: record.calls,
      memory,
      seed: typeof record.seed === 'string' ? record.seed : undefined,
    },
  };
}
