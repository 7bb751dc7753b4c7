/** Holds the answer to a case against what each step may give, from the implementation's own numbers of the step before. */
import type { RuleName } from 'learning-rate-dropout/spec';
import { MASK_STATE, RULES } from 'learning-rate-dropout/spec';
import { BASE_RULES, layout, parseSeed, streamMask, tensorMask } from 'learning-rate-dropout/ref';
import type { HyperOf } from 'learning-rate-dropout/ref';
import { expandCase, stateNames } from '../protocol/expand.ts';
import type { ExpandedCase, Hyper } from '../protocol/expand.ts';
import { maskStateNames } from '../protocol/kinds.ts';
import type { Case, Implementation, StepRecord } from '../protocol/types.ts';
import { cellOf } from './cell.ts';
import { expectedStep, machineOf, scalarsOf } from './expected.ts';
import type { ElementState, ElementStep, Factored } from './expected.ts';
import { Finding, show } from './finding.ts';
import type { Position } from './finding.ts';
import { contains, hull, point } from './interval.ts';
import type { Interval } from './interval.ts';

/**
 * What to look at:
 *
 * - `kept`: the values of kept coordinates
 * - `dropped`: the bits of dropped coordinates; with decay that no mask reaches, their values
 * - `state`: reported state, a mask's own included
 * - `still`: tensors without a gradient
 * - `masks`: reported masks on the stream, of signs, and of one draw a tensor
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
      const size = expanded.tensors[k]?.size ?? 0;
      const base = bases[k] ?? 0;
      if (expanded.mask?.granularity === 'tensor') {
        return String(tensorMask({ key, step, base }, keepProbability)).repeat(size);
      }
      const position = { key, step, stream: 'mask', base } as const;
      return Array.from(streamMask(position, size, keepProbability)).join('');
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

/**
 * The mask of a tensor that one draw decides about, seen from what moved: all kept or all dropped. Where everything may be what a dropped
 * tensor is, nothing is known.
 */
function inferWhole(was: readonly number[], now: readonly number[] | undefined, steps: readonly ElementStep[]): Mask {
  const stays = steps.every(({ dropped }, i) => {
    const x = now?.[i];
    return x === undefined || Object.is(x, was[i]) || contains(dropped, x);
  });
  return was.map(() => (stays ? '?' : '1'));
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
          .filter(([name]) => name !== 'ring' && name !== MASK_STATE.alignment)
          .map(([name, tensors]) => [name, machine.tensor.exact(tensors[k]?.[i] ?? 0)]),
      ),
    })),
  );
  let alignments: readonly (Interval | undefined)[] = expanded.tensors.map((_, k) => {
    const x = example.state?.[MASK_STATE.alignment]?.[k]?.[0];
    return x === undefined ? undefined : machine.tensor.exact(x);
  });
  const lastReported: (readonly number[] | undefined)[][] = [];

  for (const [index, { step, tensors }] of expanded.steps.entries()) {
    const record = records[index] as StepRecord;
    const after = record.parameters;
    const next = values.map((tensor) => [...tensor]);
    const nextCarried = carried.map((tensor) => [...tensor]);
    const nextAlignments = [...alignments];
    for (const [k, { gradient, hyper, keepProbability, plain, mask: given }] of tensors.entries()) {
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
          // Before its first gradient a tensor has no alignment, whatever stands for one.
          if (slot === MASK_STATE.alignment && counts[k] === 0) continue;
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
      const cell = plain ? undefined : expanded.mask;
      const befores = gradient.map((_, i) =>
        reseed ? machine.tensor.exact(values[k]?.[i] ?? 0) : (carried[k]?.[i] as Interval),
      );
      const stepsOf = (factored?: Factored): ElementStep[] =>
        gradient.map((g, i) =>
          expectedStep(
            machine,
            scalars,
            befores[i] as Interval,
            machine.tensor.exact(g),
            states[k]?.[i] as ElementState,
            factored,
          ),
        );
      const base = stepsOf();
      const made =
        cell === undefined
          ? undefined
          : cellOf(machine, {
              mask: cell,
              rule,
              hyper,
              keepProbability,
              onStream: stream !== undefined,
              count,
              steps: base,
              before: states[k] ?? [],
              previous: alignments[k],
              reportedAlignment: record.state?.[MASK_STATE.alignment]?.[k]?.[0],
              reported,
            });
      const steps =
        cell === undefined || made === undefined ? base : stepsOf({ factor: made.factor, decay: cell.decay });
      const maskNames = maskStateNames(cell, rule, hyper);
      if (made?.alignment !== undefined) {
        const x = record.state?.[MASK_STATE.alignment]?.[k]?.[0];
        const judged = look.includes('state') && (options.states ?? maskNames).includes(MASK_STATE.alignment);
        if (x !== undefined && judged && !contains(made.alignment, x)) {
          throw wrong(`step ${step}, ${name}: its alignment lies outside its interval`, range(made.alignment), show(x));
        }
        nextAlignments[k] = x !== undefined && reseed ? machine.tensor.exact(x) : made.alignment;
      }
      // p = 1 keeps everything, whatever is reported.
      const whole = keepProbability === 1 && given === undefined && cell?.draw !== 'agreement';
      const bits = whole ? undefined : (reported ?? given ?? expectedBits ?? '?'.repeat(gradient.length));
      if (look.includes('reported') && reported !== undefined) {
        const truth = given ?? (whole ? '1'.repeat(reported.length) : reported);
        if (reported !== truth)
          throw wrong(`step ${step}, ${name}: the reported mask is not the one that holds`, truth, reported);
      }
      let mask = (bits === undefined ? Array.from(gradient, () => '1') : Array.from(bits)) as Mask;
      if (made?.agreement !== undefined) {
        mask = made.agreement.map((agreed, i) => {
          if (agreed === undefined) return (reported?.[i] as '0' | '1' | undefined) ?? '?';
          return agreed ? '1' : '0';
        });
        const i = reported === undefined ? -1 : mask.findIndex((bit, j) => bit !== reported[j]);
        if (look.includes('masks') && i >= 0) {
          throw wrong(
            `${at(i)}: the mask is not whether step and gradient agree in sign`,
            mask.join('').slice(0, 128),
            (reported ?? '').slice(0, 128),
            position(i),
          );
        }
      } else if (cell?.granularity === 'tensor') {
        const i = mask.findIndex((bit) => bit !== mask[0]);
        if (look.includes('masks') && i >= 0) {
          throw wrong(
            `${at(i)}: one draw decides about a tensor, and its mask differs within`,
            (mask[0] ?? '').repeat(mask.length).slice(0, 128),
            mask.join('').slice(0, 128),
            position(i),
          );
        }
        if (mask.includes('?')) mask = inferWhole(values[k] ?? [], moved, steps);
      }
      const names = [...stateNames(rule, hyper), ...maskNames].filter(
        (slot) => slot !== 'ring' && slot !== MASK_STATE.alignment,
      );
      for (const [i, g] of gradient.entries()) {
        const old = states[k]?.[i] as ElementState;
        const expected = steps[i] as ElementStep;
        const mu = made?.mu?.[i];
        const slots = mu === undefined ? expected.state.slots : { ...expected.state.slots, [MASK_STATE.moment]: mu };
        // Decay that no mask reaches moves dropped coordinates too.
        const decays = cell?.decay === 'plain' && rule === 'adamw' && (hyper['weightDecay'] as number) > 0;
        const judged = where(position(i));
        const was = values[k]?.[i] ?? 0;
        const now = moved?.[i];
        const bit = mask[i];
        if (now !== undefined && judged) {
          const changed = !Object.is(now, was);
          if (bit === '0' && look.includes('dropped') && decays && !contains(expected.dropped, now)) {
            throw wrong(`${at(i)} is dropped and must only decay`, range(expected.dropped), show(now), position(i));
          }
          if (bit === '0' && look.includes('dropped') && changed && !decays) {
            throw wrong(`${at(i)} is dropped and must keep its bits`, show(was), show(now), position(i));
          }
          if (bit === '0' && look.includes('reported') && changed && !decays) {
            throw wrong(`${at(i)} moved, though its reported mask is 0`, show(was), show(now), position(i));
          }
          const fits = contains(expected.parameter, now);
          const stays = decays ? contains(expected.dropped, now) : !changed;
          if (bit === '1' && look.includes('reported') && !changed && !contains(expected.parameter, was)) {
            throw wrong(
              `${at(i)} did not move, though its reported mask is 1`,
              range(expected.parameter),
              show(now),
              position(i),
            );
          }
          if (look.includes('kept') && ((bit === '1' && !fits) || (bit === '?' && !fits && !stays))) {
            const reference = cell === undefined ? referenceValue(rule, hyper, count, was, g, old) : '';
            throw wrong(
              `${at(i)} is kept and lands outside its interval`,
              `${range(expected.parameter)}${reference}`,
              show(now),
              position(i),
            );
          }
        }
        const nextState: Record<string, Interval> = { ...slots };
        for (const slot of names) {
          const x = record.state?.[slot]?.[k]?.[i];
          const interval = slots[slot];
          if (x === undefined || interval === undefined) continue;
          if (look.includes('state') && judged && (options.states ?? names).includes(slot) && !contains(interval, x)) {
            throw wrong(`${at(i)}: ${slot} lies outside its interval`, range(interval), show(x), position(i));
          }
          if (reseed) nextState[slot] = machine.tensor.exact(x);
        }
        (states[k] as ElementState[])[i] = { ...expected.state, slots: nextState };
        if (now !== undefined) (next[k] as number[])[i] = now;
        const { parameter, dropped } = expected;
        const reachable = bit === '1' ? parameter : bit === '0' ? dropped : hull(parameter, dropped);
        (nextCarried[k] as Interval[])[i] = now !== undefined && reseed ? point(now) : reachable;
      }
    }
    lastReported.push(expanded.tensors.map((_, k) => Object.values(record.state ?? {})[0]?.[k]));
    values = next;
    carried = nextCarried;
    alignments = nextAlignments;
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
  const known: readonly string[] = [
    ...RULES[expanded.rule as RuleName].state,
    ...(expanded.mask?.factor === 'alignment' ? Object.values(MASK_STATE) : []),
  ];
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
        if (slot !== 'ring' && length !== 0) {
          same(`${slot} of ${name}`, slot === MASK_STATE.alignment ? 1 : size, length);
        }
      }
    }
  }
}
