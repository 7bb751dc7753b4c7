/** Holds the answer to a case against what each step may give, from the implementation's own numbers of the step before. */
import type { RuleName } from 'learning-rate-dropout/spec';
import { RULES } from 'learning-rate-dropout/spec';
import { BASE_RULES, layout, parseSeed, streamMask } from 'learning-rate-dropout/ref';
import type { HyperOf } from 'learning-rate-dropout/ref';
import { expandCase, stateNames } from '../protocol/expand.ts';
import type { ExpandedCase, Hyper } from '../protocol/expand.ts';
import type { Case, Implementation, StepRecord } from '../protocol/types.ts';
import { expectedStep, machineOf, scalarsOf } from './expected.ts';
import type { ElementState } from './expected.ts';
import { Finding, show } from './finding.ts';
import type { Position } from './finding.ts';
import { contains, hull, point } from './interval.ts';
import type { Interval } from './interval.ts';

/**
 * What to look at:
 *
 * - `kept`: the values of kept coordinates
 * - `dropped`: the bits of dropped coordinates
 * - `state`: reported state
 * - `still`: tensors without a gradient
 * - `masks`: reported masks on the stream
 * - `reported`: reported masks against what moved
 */
export type Aspect = 'kept' | 'dropped' | 'state' | 'still' | 'masks' | 'reported';

export interface JudgeOptions {
  readonly look: readonly Aspect[];
  /** Only these elements are judged. Default all. */
  readonly where?: (position: Position) => boolean;
  /** Only these state names. Default all. */
  readonly states?: readonly string[];
  /** False: intervals are carried from the first step instead of starting anew from each step's report. Default true. */
  readonly reseed?: boolean;
}

type Mask = readonly ('0' | '1' | '?')[];

/** The stream's mask of every step and tensor; undefined where there is no gradient. */
export function expectedMasks(example: Case, expanded: ExpandedCase): (string | undefined)[][] {
  const bases = layout(expanded.tensors.map(({ size }) => size));
  const key = parseSeed(example.seed ?? '0x0');
  return expanded.steps.map(({ step, tensors }) =>
    tensors.map(({ gradient, keepProbability }, k) => {
      if (gradient === null) return undefined;
      const position = { key, step, stream: 'mask', base: bases[k] ?? 0 } as const;
      return Array.from(streamMask(position, expanded.tensors[k]?.size ?? 0, keepProbability)).join('');
    }),
  );
}

/** The reference's kept value for one element, for the reader of a counterexample. */
function referenceValue(
  rule: RuleName,
  hyper: Hyper,
  count: number,
  parameter: number,
  gradient: number,
  state: ElementState,
): string {
  if (rule === 'sgdm-avg') return '';
  const slots: Record<string, Float64Array> = {};
  for (const [name, { lo, hi }] of Object.entries(state.slots)) {
    if (lo !== hi) return '';
    slots[name] = Float64Array.of(lo);
  }
  const { learningRate, weightDecay } = hyper as { learningRate: number; weightDecay: number };
  const coupled = RULES[rule].decay === 'coupled';
  const g = coupled ? gradient + weightDecay * parameter : gradient;
  const run = BASE_RULES[rule] as (
    g: Float64Array,
    s: typeof slots,
    t: number,
    h: HyperOf<RuleName>,
  ) => {
    deltaW: Float64Array;
  };
  const delta =
    (run(Float64Array.of(g), slots, count, hyper as never).deltaW[0] ?? 0) + (coupled ? 0 : weightDecay * parameter);
  return `; reference ${show(parameter - learningRate * delta)}`;
}

const range = ({ lo, hi }: Interval): string =>
  lo === -Infinity && hi === Infinity ? 'anything' : lo === hi ? show(lo) : `[${show(lo)}, ${show(hi)}]`;

/** @throws Finding at the first thing that is wrong */
export function judgeSteps(
  example: Case,
  records: readonly StepRecord[],
  implementation: Implementation,
  options: JudgeOptions,
): void {
  const { look, where = () => true, reseed = true } = options;
  const expanded = expandCase(example);
  const rule = expanded.rule as RuleName;
  const machine = machineOf(implementation);
  const wrong = (message: string, expected: string, got: string, position?: Position): Finding =>
    new Finding(message, { expected, got, cases: [example], position });

  checkShape(example, expanded, records, wrong);
  const stream = example.masks === 'stream' ? expectedMasks(example, expanded) : undefined;
  const counts = expanded.tensors.map(() => (example.state === undefined ? 0 : (example.firstStep ?? 1) - 1));
  let values = expanded.tensors.map((tensor) => [...tensor.values]);
  let carried: Interval[][] = values.map((tensor) => tensor.map((x) => machine.tensor.exact(x)));
  const states: ElementState[][] = expanded.tensors.map(({ size }, k) =>
    Array.from({ length: size }, (_, i) => ({
      history: [],
      slots: Object.fromEntries(
        Object.entries(example.state ?? {})
          .filter(([name]) => name !== 'ring')
          .map(([name, tensors]) => [name, machine.tensor.exact(tensors[k]?.[i] ?? 0)]),
      ),
    })),
  );
  const lastReported: (readonly number[] | undefined)[][] = [];

  for (const [index, { step, tensors }] of expanded.steps.entries()) {
    const record = records[index] as StepRecord;
    const after = record.parameters;
    const next = values.map((tensor) => [...tensor]);
    const nextCarried = carried.map((tensor) => [...tensor]);
    for (const [k, { gradient, hyper, keepProbability, mask: given }] of tensors.entries()) {
      const name = expanded.tensors[k]?.name ?? '';
      const at = (i: number): string => `step ${step}, ${name}[${i}]`;
      const position = (element: number): Position => ({ index, tensor: k, element });
      const moved = after?.[k];
      if (gradient === null) {
        if (moved !== undefined) {
          for (const [i, old] of (values[k] ?? []).entries()) {
            if (look.includes('still') && !Object.is(moved[i], old)) {
              throw wrong(`${at(i)} moved, though its tensor has no gradient`, show(old), show(moved[i]), position(i));
            }
            next[k]?.splice(i, 1, moved[i] as number);
          }
        }
        for (const [slot, reported] of Object.entries(record.state ?? {})) {
          const old = lastReported[index - 1]?.[k] === undefined ? undefined : records[index - 1]?.state?.[slot]?.[k];
          for (const [i, x] of (reported[k] ?? []).entries()) {
            const was = old?.[i] ?? example.state?.[slot]?.[k]?.[i] ?? 0;
            if (look.includes('still') && slot !== 'ring' && !Object.is(x, was) && !(x === 0 && was === 0)) {
              throw wrong(
                `${at(i)}: ${slot} moved, though its tensor has no gradient`,
                show(was),
                show(x),
                position(i),
              );
            }
          }
        }
        continue;
      }
      const count = (counts[k] = (counts[k] ?? 0) + 1);
      const scalars = scalarsOf(machine, rule, hyper, count);
      const reported = record.masks?.[k] ?? undefined;
      const expectedBits = stream?.[index]?.[k];
      if (look.includes('masks') && expectedBits !== undefined && reported !== undefined && reported !== expectedBits) {
        const i = Array.from(expectedBits).findIndex((bit, j) => bit !== reported[j]);
        throw wrong(
          `${at(i)}: the mask is not the stream's (seed ${example.seed}, p ${keepProbability})`,
          expectedBits.slice(0, 128),
          reported.slice(0, 128),
          position(i),
        );
      }
      // p = 1 keeps everything, whatever is reported.
      const whole = keepProbability === 1 && given === undefined;
      const bits = whole ? undefined : (reported ?? given ?? expectedBits ?? '?'.repeat(gradient.length));
      if (look.includes('reported') && reported !== undefined) {
        const truth = given ?? (whole ? '1'.repeat(reported.length) : reported);
        if (reported !== truth)
          throw wrong(`step ${step}, ${name}: the reported mask is not the one that holds`, truth, reported);
      }
      const mask = (bits === undefined ? Array.from(gradient, () => '1') : Array.from(bits)) as Mask;
      const names = stateNames(rule, hyper).filter((slot) => slot !== 'ring');
      for (const [i, g] of gradient.entries()) {
        const before = reseed ? machine.tensor.exact(values[k]?.[i] ?? 0) : (carried[k]?.[i] as Interval);
        const old = states[k]?.[i] as ElementState;
        const expected = expectedStep(machine, scalars, before, machine.tensor.exact(g), old);
        const judged = where(position(i));
        const was = values[k]?.[i] ?? 0;
        const now = moved?.[i];
        const bit = mask[i];
        if (now !== undefined && judged) {
          const changed = !Object.is(now, was);
          if (bit === '0' && look.includes('dropped') && changed) {
            throw wrong(`${at(i)} is dropped and must keep its bits`, show(was), show(now), position(i));
          }
          if (bit === '0' && look.includes('reported') && changed) {
            throw wrong(`${at(i)} moved, though its reported mask is 0`, show(was), show(now), position(i));
          }
          const fits = contains(expected.parameter, now);
          if (bit === '1' && look.includes('reported') && !changed && !contains(expected.parameter, was)) {
            throw wrong(
              `${at(i)} did not move, though its reported mask is 1`,
              range(expected.parameter),
              show(now),
              position(i),
            );
          }
          if (look.includes('kept') && ((bit === '1' && !fits) || (bit === '?' && !fits && changed))) {
            const reference = referenceValue(rule, hyper, count, was, g, old);
            throw wrong(
              `${at(i)} is kept and lands outside its interval`,
              `${range(expected.parameter)}${reference}`,
              show(now),
              position(i),
            );
          }
        }
        const nextState: Record<string, Interval> = { ...expected.state.slots };
        for (const slot of names) {
          const x = record.state?.[slot]?.[k]?.[i];
          const interval = expected.state.slots[slot];
          if (x === undefined || interval === undefined) continue;
          if (look.includes('state') && judged && (options.states ?? names).includes(slot) && !contains(interval, x)) {
            throw wrong(`${at(i)}: ${slot} lies outside its interval`, range(interval), show(x), position(i));
          }
          if (reseed) nextState[slot] = machine.tensor.exact(x);
        }
        (states[k] as ElementState[])[i] = { ...expected.state, slots: nextState };
        if (now !== undefined) (next[k] as number[])[i] = now;
        const reachable = bit === '1' ? expected.parameter : bit === '0' ? before : hull(expected.parameter, before);
        (nextCarried[k] as Interval[])[i] = now !== undefined && reseed ? point(now) : reachable;
      }
    }
    lastReported.push(expanded.tensors.map((_, k) => Object.values(record.state ?? {})[0]?.[k]));
    values = next;
    carried = nextCarried;
  }
}

/** An answer must be as long as its case, before anything in it can be judged. */
function checkShape(
  example: Case,
  expanded: ExpandedCase,
  records: readonly StepRecord[],
  wrong: (message: string, expected: string, got: string) => Finding,
): void {
  const same = (what: string, expected: number, got: number): void => {
    if (expected !== got) throw wrong(`${what} has the wrong length`, String(expected), String(got));
  };
  same('steps', expanded.steps.length, records.length);
  const known: readonly string[] = RULES[expanded.rule as RuleName].state;
  for (const [index, record] of records.entries()) {
    const stranger = Object.keys(record.state ?? {}).find((slot) => !known.includes(slot));
    if (stranger !== undefined) {
      throw wrong('state has a name that its rule does not know', known.join(', ') || 'no state', stranger);
    }
    if (example.report === undefined || example.report.includes('parameters')) {
      if (record.parameters === undefined) throw wrong('parameters are missing', 'parameters in every step', 'none');
    }
    const { parameters, masks } = record;
    if (parameters !== undefined) same('parameters', expanded.tensors.length, parameters.length);
    if (masks !== undefined) same('masks', expanded.tensors.length, masks.length);
    for (const [k, { name, size }] of expanded.tensors.entries()) {
      if (parameters !== undefined) same(`parameters of ${name}`, size, parameters[k]?.length ?? 0);
      const mask = masks?.[k];
      const still = expanded.steps[index]?.tensors[k]?.gradient === null;
      if (mask !== undefined && mask !== null && !still) same(`the mask of ${name}`, size, mask.length);
      for (const [slot, tensors] of Object.entries(record.state ?? {})) {
        const length = tensors[k]?.length ?? 0;
        if (slot !== 'ring' && length !== 0) same(`${slot} of ${name}`, size, length);
      }
    }
  }
}
