/** One tensor's step under another kind of mask than learning rate dropout's: its factor, its moment, the mask that signs make. */
import type { Mask } from 'learning-rate-dropout/ref';
import { effectiveKeepProbability } from 'learning-rate-dropout/ref';
import { MASK_STATE } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Hyper } from '../protocol/expand.ts';
import { momentSlot } from '../protocol/kinds.ts';
import type { ElementState, ElementStep, Machine } from './expected.ts';
import { agrees, expectedAlignment, expectedMeanFactor, expectedMoment } from './factors.ts';
import { contains, hull, point } from './interval.ts';
import type { Interval } from './interval.ts';

/** What is known of a tensor before its factor is. */
export interface CellInput {
  readonly mask: Mask;
  readonly rule: RuleName;
  readonly hyper: Hyper;
  readonly keepProbability: number;
  /** Whether masks follow the stream, where p is a multiple of 2^-16. */
  readonly onStream: boolean;
  /** Gradients that the tensor has had, this one included. */
  readonly count: number;
  /** Each element's step with no factor. */
  readonly steps: readonly ElementStep[];
  /** Each element's state before it. */
  readonly before: readonly ElementState[];
  /** The alignment before the step; undefined at the first gradient. */
  readonly previous: Interval | undefined;
  /** The alignment that was reported after it. */
  readonly reportedAlignment: number | undefined;
  /** The mask that was reported. */
  readonly reported: string | undefined;
}

/** What a cell makes of it. */
export interface Cell {
  /** s, by which a kept step is multiplied. */
  readonly factor: Interval;
  /** The mask's own moment after the step, by element, where it keeps one. */
  readonly mu?: readonly Interval[];
  /** After the step, where the factor is one. */
  readonly alignment?: Interval;
  /** Where signs decide: whether each element agrees; undefined where rounding can turn a sign. */
  readonly agreement?: readonly (boolean | undefined)[];
}

const ZERO: Interval = { lo: 0, hi: 0 };

/** Own and given masks hold with p itself, the stream's with a multiple of 2^-16: either inverse is right for the former. */
function inverse(machine: Machine, p: number, onStream: boolean): Interval {
  const exact = machine.tensor.rounded(point(1 / effectiveKeepProbability(p)));
  return onStream ? exact : hull(exact, machine.tensor.rounded(point(1 / p)));
}

function alignmentOf(machine: Machine, input: CellInput): Pick<Cell, 'factor' | 'mu' | 'alignment'> {
  const { mask, rule, hyper, steps, before, previous, count, reportedAlignment: reported } = input;
  const slot = momentSlot(mask, rule, hyper);
  const was = before.map(({ slots }) => slots[slot] ?? ZERO);
  const own = slot === MASK_STATE.moment;
  const moment = (x: Interval, i: number): Interval => expectedMoment(machine, mask.momentDecay, was[i] ?? ZERO, x);
  const now = steps.map(({ state, gradient, raw }, i) =>
    own ? hull(moment(gradient, i), moment(raw, i)) : (state.slots[slot] ?? ZERO),
  );
  const of = (pick: (step: ElementStep) => Interval): Interval => {
    const m = mask.momentTime === 'before' ? was : now;
    return expectedAlignment(machine, mask, count === 1 ? undefined : previous, m, steps.map(pick));
  };
  // A wrapper around an optimizer sees gradients before coupled L2: either reading is right.
  const alignment = hull(
    of(({ gradient }) => gradient),
    of(({ raw }) => raw),
  );
  // The number itself where it is told, and is one that may be.
  const told = reported !== undefined && Number.isFinite(reported) && contains(alignment, reported);
  return {
    alignment,
    factor: told ? machine.tensor.rounded(point(reported)) : alignment,
    ...(own ? { mu: now } : {}),
  };
}

/** @param input - of a tensor with a gradient, which is masked */
export function cellOf(machine: Machine, input: CellInput): Cell {
  const { mask, steps, keepProbability, onStream, reported } = input;
  const agreement =
    mask.draw === 'agreement' ? steps.map(({ direction, gradient }) => agrees(direction, gradient)) : undefined;
  const decided = agreement === undefined ? {} : { agreement };
  switch (mask.factor) {
    case 'one':
      return { ...decided, factor: point(1) };
    case 'inverse':
      return { ...decided, factor: inverse(machine, keepProbability, onStream) };
    case 'alignment':
      return { ...decided, ...alignmentOf(machine, input) };
    case 'mean': {
      const kept = (least: boolean): number =>
        (agreement ?? []).filter((agreed, i) =>
          agreed === undefined ? (reported === undefined ? !least : reported[i] === '1') : agreed,
        ).length;
      return {
        ...decided,
        factor: expectedMeanFactor(machine, mask, { lo: kept(true), hi: kept(false) }, steps.length),
      };
    }
  }
}
