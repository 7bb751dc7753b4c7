/** Whether a known mistake, made on purpose, answers a failing case with the very numbers that came. */
import type { Evidence } from '../judge/run.ts';
import { PLANTED_FAULTS } from '../planted/faults.ts';
import { HONEST, openPlanted } from '../planted/implementation.ts';
import type { Behaviour } from '../planted/implementation.ts';
import { expandCase } from '../protocol/expand.ts';
import type { Case, Implementation, StepRecord } from '../protocol/types.ts';

/** The mistake alone, able to do all that the protocol knows: what a planted fault cannot do besides is no part of the mistake. */
function ableTo(changes: Partial<Behaviour>): Partial<Behaviour> {
  return { ...changes, masks: HONEST.masks, features: HONEST.features, reportsMasks: true, refuses: () => undefined };
}

/** The case with the masks that were drawn as given ones; undefined where they cannot be seen. */
function replayable({ example, steps }: Evidence): Case | undefined {
  const own = example.masks === undefined || example.masks === 'own';
  if (!own || example.keepProbability === null || example.keepProbability === 1) return example;
  const { seed: _, ...rest } = example;
  let before: readonly (readonly number[])[] = expandCase(example).tensors.map(({ values }) => values);
  const given: string[][] = [];
  for (const { masks, parameters } of steps) {
    if (parameters === undefined) return undefined;
    // Where it was not told, what moved was kept.
    given.push(
      parameters.map((tensor, k) => {
        const moved = tensor.map((x, i) => (Object.is(x, before[k]?.[i]) ? '0' : '1')).join('');
        return masks?.[k] ?? moved;
      }),
    );
    before = parameters;
  }
  return { ...rest, masks: given };
}

function near(x: number, y: number, tolerance: number): boolean {
  if (Object.is(x, y)) return true;
  if (!Number.isFinite(x) || !Number.isFinite(y)) return Number.isNaN(x) && Number.isNaN(y);
  // -0 and 0 are told apart: losing the one is a mistake of its own.
  if (x === 0 && y === 0) return false;
  return Math.abs(x - y) <= tolerance * Math.max(Math.abs(x), Math.abs(y));
}

/** Whether two answers agree in all that both of them tell. */
function agree(left: readonly StepRecord[], right: readonly StepRecord[], tolerance: number): boolean {
  const lists = (a: readonly (readonly number[])[], b: readonly (readonly number[])[]): boolean =>
    a.every((list, k) => list.every((x, i) => near(x, b[k]?.[i] ?? NaN, tolerance)));
  return left.every((record, t) => {
    const other = right[t];
    if (other === undefined) return false;
    if (
      record.parameters !== undefined &&
      other.parameters !== undefined &&
      !lists(record.parameters, other.parameters)
    )
      return false;
    for (const [k, mask] of (record.masks ?? []).entries()) {
      const told = other.masks?.[k];
      if (mask !== null && told !== null && told !== undefined && mask !== told) return false;
    }
    return Object.entries(record.state ?? {}).every(
      ([name, tensors]) => name === 'ring' || other.state?.[name] === undefined || lists(tensors, other.state[name]),
    );
  });
}

const TOLERANCE = { float64: 1e-9, float32: 2e-5 } as const;

async function answersOf(
  changes: Partial<Behaviour>,
  cases: readonly Case[],
): Promise<(readonly StepRecord[] | undefined)[]> {
  const adapter = openPlanted('replay', ableTo(changes));
  const answers: (readonly StepRecord[] | undefined)[] = [];
  for (const example of cases) {
    try {
      const outcome = await adapter.run(example);
      answers.push(outcome.kind === 'result' ? outcome.steps : undefined);
    } catch {
      // A case that not even a mistake can run.
      answers.push(undefined);
    }
  }
  return answers;
}

/** For each finding that the honest implementation does not reproduce: the planted faults that do. */
export async function reproductions(
  evidence: ReadonlyMap<string, readonly Evidence[]>,
  { precision }: Implementation,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const tolerance = TOLERANCE[precision];
  const usable = new Map<string, { cases: Case[]; steps: (readonly StepRecord[])[] }>();
  for (const [property, items] of evidence) {
    const cases = items.map(replayable);
    if (cases.some((example) => example === undefined)) continue;
    const told = { cases: cases as Case[], steps: items.map(({ steps }) => steps) };
    const honest = await answersOf({}, told.cases);
    const same = honest.every((steps, i) => steps !== undefined && agree(told.steps[i] ?? [], steps, tolerance));
    if (!same) usable.set(property, told);
  }
  const found = new Map<string, Set<string>>([...usable.keys()].map((property) => [property, new Set()]));
  for (const { name, changes } of PLANTED_FAULTS) {
    for (const [property, { cases, steps }] of usable) {
      const answers = await answersOf(changes(), cases);
      if (answers.every((answer, i) => answer !== undefined && agree(steps[i] ?? [], answer, tolerance))) {
        found.get(property)?.add(name);
      }
    }
  }
  return found;
}
