/** Whether a known mistake, made on purpose, answers a failing case with the very numbers that came. */
import type { Position } from '../judge/finding.ts';
import type { DrawnFinding, Evidence } from '../judge/run.ts';
import { PLANTED_FAULTS } from '../planted/faults.ts';
import { HONEST, openPlanted } from '../planted/implementation.ts';
import type { Behaviour } from '../planted/implementation.ts';
import { expandCase } from '../protocol/expand.ts';
import { ALL_KINDS, drawsNothing } from '../protocol/kinds.ts';
import type { Case, Implementation, StepRecord } from '../protocol/types.ts';
import { MISTAKES } from './mistakes.ts';
import { VARIANTS } from './variants.ts';

/** The mistake alone, able to do all that the protocol knows: what a planted fault cannot do besides is no part of the mistake. */
function ableTo(changes: Partial<Behaviour>): Partial<Behaviour> {
  const { masks, features } = HONEST;
  return { ...changes, masks, features, kinds: ALL_KINDS, reportsMasks: true, refuses: () => undefined };
}

/** The case with the masks that were drawn as given ones; undefined where they cannot be seen. */
function replayable({ example, steps }: Evidence): Case | undefined {
  const own = example.masks === undefined || example.masks === 'own';
  if (drawsNothing(example)) return example;
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

/** Whether two answers agree in all that both of them tell; `only`: of this element, up to this step, and in every mask. */
function agree(
  left: readonly StepRecord[],
  right: readonly StepRecord[],
  tolerance: number,
  only?: Partial<Position>,
): boolean {
  const lists = (a: readonly (readonly number[])[], b: readonly (readonly number[])[]): boolean =>
    a.every(
      (list, k) =>
        (only?.tensor !== undefined && only.tensor !== k) ||
        list.every((x, i) => (only?.element ?? i) !== i || near(x, b[k]?.[i] ?? NaN, tolerance)),
    );
  return left.slice(0, only?.index === undefined ? left.length : only.index + 1).every((record, t) => {
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

/**
 * How much of what came a mistake makes: everything, or the element that is wrong. The latter where a mistake is made in a part of
 * the elements only, or beside another.
 */
export type Reproduced = 'whole' | 'element';

/** By property, of the findings that the honest implementation does not reproduce: the mistakes that do, by name. */
export type Reproductions = ReadonlyMap<string, ReadonlyMap<string, Reproduced>>;

interface Told {
  readonly cases: readonly Case[];
  readonly steps: readonly (readonly StepRecord[])[];
  readonly position: Position | undefined;
}

/** Decisions that matter where masks follow the stream, and nowhere else. */
const STREAM_ONLY: ReadonlySet<string> = new Set([
  'bases',
  'key',
  'maskStep',
  'threshold',
  'keeps',
  'half',
  'tensorStream',
]);

/** Whether a mistake can show in cases at all. */
const concerns = (changes: Partial<Behaviour>, { cases }: Told): boolean =>
  cases.some(({ masks }) => masks === 'stream') || !Object.keys(changes).every((name) => STREAM_ONLY.has(name));

/** Whether the masks that were told on the stream are those that an implementation draws: quick to find out, and needed for all else. */
async function drawsTheSame(changes: Partial<Behaviour>, { cases, steps }: Told): Promise<boolean> {
  const adapter = openPlanted('replay', ableTo(changes));
  for (const [i, example] of cases.entries()) {
    const told = steps[i] ?? [];
    if (example.masks !== 'stream' || !told.some(({ masks }) => masks?.some((mask) => mask !== null) === true))
      continue;
    const outcome = await adapter.run({ ...example, report: ['masks'] });
    if (outcome.kind !== 'result') return false;
    for (const [t, { masks = [] }] of told.entries()) {
      if (masks.some((mask, k) => mask !== null && (outcome.steps[t]?.masks?.[k] ?? mask) !== mask)) return false;
    }
  }
  return true;
}

/** Which of the two an implementation reproduces. */
async function reproduces(changes: Partial<Behaviour>, told: Told, tolerance: number): Promise<Reproduced | undefined> {
  if (!(await drawsTheSame(changes, told))) return undefined;
  const answers = await answersOf(changes, told.cases);
  const all = (only: (last: boolean) => Partial<Position> | undefined): boolean =>
    answers.every(
      (answer, i) =>
        answer !== undefined && agree(told.steps[i] ?? [], answer, tolerance, only(i === answers.length - 1)),
    );
  if (all(() => undefined)) return 'whole';
  const { position } = told;
  if (position === undefined) return undefined;
  const { tensor, element } = position;
  return all((last) => (last ? position : { tensor, element })) ? 'element' : undefined;
}

/** What each known mistake makes of the findings. */
export async function reproductions(
  drawn: ReadonlyMap<string, DrawnFinding>,
  { precision }: Implementation,
): Promise<Reproductions> {
  const tolerance = TOLERANCE[precision];
  const usable = new Map<string, Told>();
  const found = new Map<string, Map<string, Reproduced>>();
  for (const [property, { evidence, position }] of drawn) {
    const cases = evidence.flatMap((one) => replayable(one) ?? []);
    if (cases.length === 0 || cases.length < evidence.length) continue;
    const told = { cases, steps: evidence.map(({ steps }) => steps), position };
    const honest = await reproduces({}, told, tolerance);
    if (honest === 'whole') continue;
    // Where the element alone is as it should be, the mistake is elsewhere.
    usable.set(property, honest === 'element' ? { ...told, position: undefined } : told);
    found.set(property, new Map());
  }
  const hypotheses = [
    ...PLANTED_FAULTS.flatMap(({ name, changes }) =>
      MISTAKES.filter(({ faults }) => faults.includes(name)).map((mistake) => ({ name: mistake.name, changes })),
    ),
    ...VARIANTS.map(({ mistake, changes }) => ({ name: mistake, changes: () => changes })),
  ];
  for (const { name, changes } of hypotheses) {
    for (const [property, told] of usable) {
      const known = found.get(property);
      if (known?.get(name) === 'whole') continue;
      const made = changes();
      if (!concerns(made, told)) continue;
      const how = await reproduces(made, told, tolerance);
      if (how !== undefined) known?.set(name, how);
    }
  }
  return found;
}
