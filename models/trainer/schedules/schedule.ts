import { KEEP_PROBABILITY, RULES } from 'learning-rate-dropout/spec';
import { Type } from '@sinclair/typebox';
import type { Static, TLiteral } from '@sinclair/typebox';
import { UsageError } from '../../errors.ts';
import { FROM_0, byField, oneOf, wholeFrom } from '../../storage/form.ts';
import type { Read } from '../../storage/form.ts';

const epochs = Type.Optional(wholeFrom(1));
const epochList = Type.Array(wholeFrom(1), { maxItems: 10_000 });
const epochsPerRate = Type.Optional(Type.Array(wholeFrom(1), { minItems: 1, maxItems: 100 }));
const kind = <const K extends string>(name: K): TLiteral<K> => Type.Literal(name);

/** The forms of a schedule, by their `kind`. What is left out has the default that is said. */
const FORMS = {
  /** The base itself, throughout: what takes a recipe's own schedule away. */
  constant: Type.Object({ kind: kind('constant') }),
  /**
   * base gamma^(milestones before the epoch): "reduced at the 100th epoch" (TNNLS 2022, IV-A) means that epochs 1 to 100 run at
   * the first rate; `early`: 1 to 99, as in the authors' code. Default gamma .1.
   */
  step: Type.Object({
    kind: kind('step'),
    milestones: epochList,
    gamma: Type.Optional(FROM_0),
    early: Type.Optional(Type.Boolean()),
  }),
  /** base (1 - (step - 1) / steps)^power over `epochs` epochs (Zhao et al. 2017, section 5.1). Default power .9. */
  polynomial: Type.Object({ kind: kind('polynomial'), power: Type.Optional(FROM_0), epochs }),
  /** minimum + (base - minimum) (1 + cos(pi (step - 1) / steps)) / 2 (Loshchilov and Hutter 2017, eq. (5)). Default minimum 0. */
  cosine: Type.Object({ kind: kind('cosine'), minimum: Type.Optional(FROM_0), epochs }),
  /**
   * From base / steps at the first step in a straight line to base at the `steps`th, then as `cosine` over what is left of `epochs` epochs (GPT-2's and
   * most language models' schedule). Default minimum 0.
   */
  warmup: Type.Object({ kind: kind('warmup'), steps: wholeFrom(1), minimum: Type.Optional(FROM_0), epochs }),
  /** From base at the first step in a straight line to `last` at the last step of `epochs` epochs. */
  linear: Type.Object({ kind: kind('linear'), last: FROM_0, epochs }),
  /**
   * The third paper's annealing with warm restarts (Table 1): base, base / 10 ... base / 10^4 in three phases, each rate
   * for `epochsPerRate[phase]` epochs. Default 50, 20, 20.
   */
  restarts: Type.Object({ kind: kind('restarts'), epochsPerRate }),
  /** The third paper's weight decay or sparsity beside those rates (Table 1); base is not used. */
  taper: Type.Object({ kind: kind('taper'), scheme: oneOf(['01', '02', '21', '22', '23']), epochsPerRate }),
  /** A value by learning rate: that of the smallest listed rate that is not below the step's, else that of the largest. */
  follow: Type.Object({ kind: kind('follow'), values: Type.Array(Type.Tuple([FROM_0, FROM_0]), { minItems: 1 }) }),
  /** A value from each listed epoch on; base before the first. */
  epochs: Type.Object({ kind: kind('epochs'), values: Type.Array(Type.Tuple([wholeFrom(1), FROM_0])) }),
};

/** The schemes of "Adapting Regularization with Learning Rate", Table 1: 01 and 02 taper weight decay, 21 to 23 sparsity. */
export type TaperScheme = Static<typeof FORMS.taper>['scheme'];

/**
 * How a value goes over a run, as plain data: it stands in `config.json`. Epochs and steps count from 1; "base" is the value that
 * the run was given (`--lr`, `--keep` ...). The forms and their defaults: `FORMS`.
 */
export type Schedule = { readonly [Kind in keyof typeof FORMS]: Read<(typeof FORMS)[Kind]> }[keyof typeof FORMS];

const schedule = Type.Optional(byField<Schedule>('kind', Object.values(FORMS)));

/** At most one schedule a target, as `config.json` holds them. */
export const SCHEDULES = Type.Object(
  { learningRate: schedule, keepProbability: schedule, weightDecay: schedule, sparsity: schedule },
  { additionalProperties: false },
);

/** At most one schedule a target. */
export type Schedules = Read<typeof SCHEDULES>;

/** What a schedule can move. */
export type ScheduleTarget = keyof Schedules;

/** What a schedule is read against. */
export interface ScheduleContext {
  /** The value that the run was given. */
  readonly base: number;
  /** Optimizer steps of an epoch. */
  readonly stepsPerEpoch: number;
  /** Epochs that a schedule without `epochs` of its own stretches over. */
  readonly epochs: number;
  /** The learning rate by step, for `follow`. */
  readonly learningRate?: (step: number) => number;
}

const RATES = 5;
const EPOCHS_PER_RATE: readonly number[] = [50, 20, 20];
const DECAYS = {
  '01': [1e-4, 1e-4, 8e-4, 1.6e-3, 1.6e-3],
  '02': [1e-4, 1e-4, 4e-4, 8e-4, 8e-4],
} as const;
const EXTENTS = { '21': 0.5, '22': 0.8, '23': 0.3 } as const;

/** Which phase and which of its rates an epoch has, both from 0; behind the last phase its last rate holds. */
function annealingPosition(epoch: number, epochsPerRate: readonly number[]): { phase: number; rate: number } {
  let first = 1;
  for (const [phase, length] of epochsPerRate.entries()) {
    if (epoch < first + RATES * length) return { phase, rate: Math.floor((epoch - first) / length) };
    first += RATES * length;
  }
  return { phase: epochsPerRate.length - 1, rate: RATES - 1 };
}

/** The value by step, from 1: a pure function, so that a resumed run needs nothing but its position. */
export function compileSchedule(schedule: Schedule, context: ScheduleContext): (step: number) => number {
  const { base, stepsPerEpoch, learningRate } = context;
  const byEpoch =
    (value: (epoch: number) => number): ((step: number) => number) =>
    (step) =>
      value(Math.ceil(step / stepsPerEpoch));
  const steps = (epochs = context.epochs): number => epochs * stepsPerEpoch;
  switch (schedule.kind) {
    case 'constant':
      return () => base;
    case 'step': {
      const { milestones, gamma = 0.1, early = false } = schedule;
      return byEpoch((epoch) => {
        const passed = milestones.filter((last) => (early ? last <= epoch : last < epoch)).length;
        return base * gamma ** passed;
      });
    }
    case 'polynomial': {
      const { power = 0.9 } = schedule;
      const total = steps(schedule.epochs);
      return (step) => base * (1 - Math.min(step - 1, total) / total) ** power;
    }
    case 'cosine': {
      const { minimum = 0 } = schedule;
      const total = steps(schedule.epochs);
      return (step) => {
        const angle = (Math.PI * Math.min(step - 1, total)) / total;
        return minimum + ((base - minimum) * (1 + Math.cos(angle))) / 2;
      };
    }
    case 'warmup': {
      const { steps: rise, minimum = 0 } = schedule;
      const rest = Math.max(1, steps(schedule.epochs) - rise);
      return (step) => {
        if (step <= rise) return (base * step) / rise;
        const angle = (Math.PI * Math.min(step - 1 - rise, rest)) / rest;
        return minimum + ((base - minimum) * (1 + Math.cos(angle))) / 2;
      };
    }
    case 'linear': {
      const { last } = schedule;
      const total = steps(schedule.epochs);
      return (step) => (step >= total ? last : base + ((last - base) * (step - 1)) / (total - 1));
    }
    case 'restarts': {
      const { epochsPerRate = EPOCHS_PER_RATE } = schedule;
      return byEpoch((epoch) => base / 10 ** annealingPosition(epoch, epochsPerRate).rate);
    }
    case 'taper': {
      const { scheme, epochsPerRate = EPOCHS_PER_RATE } = schedule;
      return byEpoch((epoch) => {
        const { phase, rate } = annealingPosition(epoch, epochsPerRate);
        if (scheme === '01' || scheme === '02') return DECAYS[scheme][rate] as number;
        // Sparsity is there only in the first phase, from its third rate on.
        return phase === 0 && rate >= 2 ? EXTENTS[scheme] : 0;
      });
    }
    case 'follow': {
      const ascending = [...schedule.values].sort(([a], [b]) => a - b);
      const largest = ascending.at(-1);
      if (largest === undefined) throw new UsageError('a schedule that follows the learning rate must list values');
      if (learningRate === undefined) throw new UsageError('the learning rate must not follow itself');
      // A rate may differ from the listed one by the rounding of base gamma^k.
      return (step) => (ascending.find(([rate]) => learningRate(step) <= rate * (1 + 1e-12)) ?? largest)[1];
    }
    case 'epochs': {
      const ascending = [...schedule.values].sort(([a], [b]) => a - b);
      return byEpoch((epoch) => ascending.findLast(([first]) => first <= epoch)?.[1] ?? base);
    }
  }
}

/** The schedules with their lengths written out, so that a run that goes on for more epochs keeps the ones it began with. */
export function resolveSchedules(schedules: Schedules, epochs: number): Schedules {
  const resolve = (schedule: Schedule): Schedule => {
    const { kind } = schedule;
    const stretches = kind === 'polynomial' || kind === 'cosine' || kind === 'linear' || kind === 'warmup';
    return stretches ? { epochs, ...schedule } : schedule;
  };
  return Object.fromEntries(Object.entries(schedules).map(([target, schedule]) => [target, resolve(schedule)]));
}

interface Bound {
  readonly text: string;
  readonly holds: (value: number) => boolean;
}

const RATE: Bound = { text: RULES.sgdm.hyper.learningRate.text, holds: (x) => x >= 0 && x < Infinity };
const BOUNDS: Readonly<Record<ScheduleTarget, Bound>> = {
  learningRate: RATE,
  keepProbability: {
    text: KEEP_PROBABILITY.text,
    holds: (x) => x >= KEEP_PROBABILITY.minimum && x <= KEEP_PROBABILITY.maximum,
  },
  weightDecay: RATE,
  sparsity: { text: 'must be in [0, 1 - 2^-16]', holds: (x) => x >= 0 && x <= 1 - 2 ** -16 },
};

/** Values by step of all targets that have a schedule. */
export type Rates = { readonly [Target in ScheduleTarget]?: (step: number) => number };

/**
 * Compiles a run's schedules against its base values. Throws a `UsageError` when a value leaves its range in one of the run's
 * epochs: no form turns within an epoch, so its first and last step say it.
 */
export function compileSchedules(
  schedules: Schedules,
  bases: Readonly<Record<ScheduleTarget, number>>,
  { epochs, stepsPerEpoch }: Pick<ScheduleContext, 'epochs' | 'stepsPerEpoch'>,
): Rates {
  const compile = (target: ScheduleTarget, learningRate?: (step: number) => number): ((step: number) => number) => {
    const base = bases[target];
    const schedule = schedules[target];
    if (schedule === undefined) return () => base;
    const context = { base, stepsPerEpoch, epochs };
    return compileSchedule(schedule, learningRate === undefined ? context : { ...context, learningRate });
  };
  const learningRate = compile('learningRate');
  const targets = (Object.keys(BOUNDS) as ScheduleTarget[]).filter((target) => schedules[target] !== undefined);
  const rates = targets.map((target): [ScheduleTarget, (step: number) => number] => [
    target,
    target === 'learningRate' ? learningRate : compile(target, learningRate),
  ]);
  for (const [target, rate] of rates) {
    for (let epoch = 1; epoch <= epochs; epoch++) {
      for (const step of [(epoch - 1) * stepsPerEpoch + 1, epoch * stepsPerEpoch]) {
        const { text, holds } = BOUNDS[target];
        const value = rate(step);
        if (!holds(value)) {
          throw new UsageError(`the schedule of ${target} ${text}, got ${value} in epoch ${epoch}`);
        }
      }
    }
  }
  return Object.fromEntries(rates);
}
