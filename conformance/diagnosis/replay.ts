/** Whether a known mistake, made on purpose, answers a failing case with the very numbers that came. */
import type { Position } from '../judge/finding.ts';
import type { DrawnFinding, Evidence } from '../judge/run.ts';
import { HONEST, openPlanted } from '../planted/implementation.ts';
import type { Behaviour } from '../planted/implementation.ts';
import { expandCase } from '../protocol/expand.ts';
import { ALL_KINDS, drawsNothing } from '../protocol/kinds.ts';
import type { Case, Implementation, StepRecord } from '../protocol/types.ts';

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

/** What arithmetic in another order may differ by, and what a mistake's numbers may be off by at most. */
export const TOLERANCE = {
  float64: { noise: 1e-13, most: 1e-9 },
  float32: { noise: 3e-6, most: 2e-5 },
} as const;
/** Of what is wrong, the part that a mistake need not account for. */
const UNEXPLAINED = 1e-3;

export async function answersOf(
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

/** A finding that can be made again. */
export interface Told {
  readonly cases: readonly Case[];
  /** What came. */
  readonly steps: readonly (readonly StepRecord[])[];
  readonly position: Position | undefined;
  /** What the honest implementation answers. */
  readonly honest: readonly (readonly StepRecord[] | undefined)[];
  /** Whether it draws the masks that were told. */
  readonly sameMasks: boolean;
  /** The numbers of the first step in which it is wrong, with how far, and the case until then. */
  readonly wrong: readonly (readonly [Spot, number])[];
  readonly begin: Case | undefined;
  /** By how much a mistake's numbers may differ from what came, relative to them. */
  readonly tolerance: number;
}

/** A number in an answer. */
export interface Spot {
  readonly example: number;
  readonly step: number;
  /** A slot of the state; undefined for the parameter. */
  readonly slot: string | undefined;
  readonly tensor: number;
  readonly element: number;
}

/** The number at a spot; undefined where it is not told. */
export function numberAt(
  answers: readonly (readonly StepRecord[] | undefined)[],
  { example, step, slot, tensor, element }: Spot,
): number | undefined {
  const record = answers[example]?.[step];
  const lists = slot === undefined ? record?.parameters : record?.state?.[slot];
  return lists?.[tensor]?.[element];
}

/** How far apart two numbers are, relative to them; Infinity where that has no size. */
function apart(x: number, y: number): number {
  if (Object.is(x, y) || (Number.isNaN(x) && Number.isNaN(y))) return 0;
  const most = Math.max(Math.abs(x), Math.abs(y));
  return Number.isFinite(x) && Number.isFinite(y) && most > 0 ? Math.abs(x - y) / most : Infinity;
}

/** The numbers of the first step in which something is off, with how far they are. */
export function firstWrong({ steps, honest }: Pick<Told, 'steps' | 'honest'>, noise: number): [Spot, number][] {
  const wrong: [Spot, number][] = [];
  for (const [example, records] of steps.entries()) {
    for (const [step, { parameters = [], state = {} }] of records.entries()) {
      const lists = [[undefined, parameters] as const, ...Object.entries(state).filter(([name]) => name !== 'ring')];
      for (const [slot, tensors] of lists) {
        for (const [tensor, list] of tensors.entries()) {
          for (const [element, x] of list.entries()) {
            const spot = { example, step, slot, tensor, element };
            const y = numberAt(honest, spot);
            if (y !== undefined && apart(x, y) > noise) wrong.push([spot, apart(x, y)]);
          }
        }
      }
      if (wrong.length > 0) break;
    }
  }
  return wrong;
}

/** Decisions that matter where masks follow the stream, and nowhere else. */
const STREAM_ONLY: ReadonlySet<string> = new Set([
  'bases',
  'key',
  'maskStep',
  'threshold',
  'keeps',
  'half',
  'maskStream',
  'tensorStream',
]);

/** Decisions that no mask of LRD depends on. */
const NUMBERS_ONLY: ReadonlySet<string> = new Set([
  'hyper',
  'gradient',
  'coupled',
  'correction',
  'direction',
  'state',
  'update',
  'still',
  'restored',
  'initialCount',
  'vectors',
  'ownMoment',
  'moment',
  'cosine',
  'measured',
  'alignment',
  'inverse',
  'mean',
  'factor',
  'decay',
]);

/** Whether a mistake can show in cases at all. */
export const concerns = (changes: Partial<Behaviour>, { cases }: Pick<Told, 'cases'>): boolean =>
  cases.some(({ masks }) => masks === 'stream') || !Object.keys(changes).every((name) => STREAM_ONLY.has(name));

const MASK_CASES = new WeakMap<Case, Case>();

/** The case, its masks alone; the same one each time. */
function masksOf(example: Case): Case {
  const masks = MASK_CASES.get(example) ?? { ...example, report: ['masks'] };
  MASK_CASES.set(example, masks);
  return masks;
}

/** Whether the masks that were told on the stream are those that an implementation draws: quick to find out, and needed for all else. */
async function drawsTheSame(
  changes: Partial<Behaviour>,
  { cases, steps }: Pick<Told, 'cases' | 'steps'>,
): Promise<boolean> {
  const adapter = openPlanted('replay', ableTo(changes));
  for (const [i, example] of cases.entries()) {
    const told = steps[i] ?? [];
    if (example.masks !== 'stream' || !told.some(({ masks }) => masks?.some((mask) => mask !== null) === true))
      continue;
    const outcome = await adapter.run(masksOf(example));
    if (outcome.kind !== 'result') return false;
    for (const [t, { masks = [] }] of told.entries()) {
      if (masks.some((mask, k) => mask !== null && (outcome.steps[t]?.masks?.[k] ?? mask) !== mask)) return false;
    }
  }
  return true;
}

const touchesMasks = (changes: Partial<Behaviour>): boolean =>
  Object.keys(changes).some((name) => !NUMBERS_ONLY.has(name));

/** A case until a step. */
function cut(example: Case, steps: number): Case {
  return {
    ...example,
    gradients: example.gradients.slice(0, steps),
    ...(Array.isArray(example.masks)
      ? { masks: (example.masks as readonly (readonly string[])[]).slice(0, steps) }
      : {}),
  };
}

/**
 * Whether an implementation makes any number of the first step that is wrong, or none could be looked at: quick to find out where many
 * steps follow.
 */
async function begins(
  changes: Partial<Behaviour>,
  { wrong, begin, steps, position, tolerance }: Told,
): Promise<boolean> {
  const first = wrong[0]?.[0];
  if (begin === undefined || first === undefined) return true;
  // The element that was found may go wrong later.
  const found =
    position === undefined ||
    wrong.some(([spot]) => spot.tensor === position.tensor && spot.element === position.element);
  if (!found) return true;
  const answers = await answersOf(changes, [begin]);
  return wrong.some(([spot]) => {
    const [got, made] = [numberAt(steps, spot), numberAt(answers, { ...spot, example: 0 })];
    return got !== undefined && made !== undefined && near(got, made, tolerance);
  });
}

/** Which of the two an implementation reproduces. */
export async function reproduces(changes: Partial<Behaviour>, told: Told): Promise<Reproduced | undefined> {
  if (touchesMasks(changes) ? !(await drawsTheSame(changes, told)) : !told.sameMasks) return undefined;
  if (!(await begins(changes, told))) return undefined;
  return compare(await answersOf(changes, told.cases), told);
}

function compare(
  answers: readonly (readonly StepRecord[] | undefined)[],
  { steps, position, tolerance }: Pick<Told, 'steps' | 'position' | 'tolerance'>,
): Reproduced | undefined {
  const all = (only: (last: boolean) => Partial<Position> | undefined): boolean =>
    answers.every(
      (answer, i) => answer !== undefined && agree(steps[i] ?? [], answer, tolerance, only(i === answers.length - 1)),
    );
  if (all(() => undefined)) return 'whole';
  if (position === undefined) return undefined;
  const { tensor, element } = position;
  return all((last) => (last ? position : { tensor, element })) ? 'element' : undefined;
}

/** A finding as something to make again; undefined where the honest implementation makes it, or nobody can. */
export async function toldOf(
  { evidence, position }: DrawnFinding,
  precision: Implementation['precision'],
): Promise<Told | undefined> {
  const cases = evidence.flatMap((one) => replayable(one) ?? []);
  if (cases.length === 0 || cases.length < evidence.length) return undefined;
  const { noise, most } = TOLERANCE[precision];
  const steps = evidence.map((one) => one.steps);
  const sameMasks = await drawsTheSame({}, { cases, steps });
  const honest = await answersOf({}, cases);
  const how = sameMasks ? compare(honest, { steps, position, tolerance: noise }) : undefined;
  if (how === 'whole') return undefined;
  const all = firstWrong({ steps, honest }, noise);
  const gap = all.reduce((largest, [, size]) => Math.max(largest, size), 0);
  // Of one case: that in which the first of them is.
  const wrong = all.filter(([{ example }]) => example === all[0]?.[0].example);
  const example = cases[wrong[0]?.[0].example ?? 0];
  return {
    wrong,
    begin: example === undefined || wrong[0] === undefined ? undefined : cut(example, wrong[0][0].step + 1),
    cases,
    steps,
    honest,
    sameMasks,
    tolerance: Math.min(most, Math.max(noise, UNEXPLAINED * gap)),
    // Where the element alone is as it should be, the mistake is elsewhere.
    position: how === 'element' ? undefined : position,
  };
}
