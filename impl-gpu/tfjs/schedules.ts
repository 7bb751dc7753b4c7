import { InvalidArgumentError, checkNames, show } from '../validate.ts';

interface Warmed {
  /** Steps in which the value rises in a straight line to its first one, before the schedule starts. Default 0. */
  readonly warmup?: number;
}

/**
 * A value by step: plain data, so that it is saved with an optimizer's configuration. With k the steps done (0 at the first one, warm-up not
 * counted):
 *
 *     piecewise     values[i], i the number of boundaries that are at most k
 *     exponential   max(minimum, initial factor^(k / every)); the exponent is rounded down with `staircase`
 *     polynomial    final + (initial - final) (1 - min(k, steps) / steps)^power
 *     cosine        final + (initial - final) (1 + cos(pi min(k, steps) / steps)) / 2
 *
 * Sources: PSPNet, section 5.1, for `polynomial`; Loshchilov and Hutter 2017, eq. (5), for `cosine`.
 */
export type Schedule = Warmed &
  (
    | { readonly schedule: 'piecewise'; readonly boundaries: readonly number[]; readonly values: readonly number[] }
    | {
        readonly schedule: 'exponential';
        readonly initial: number;
        readonly factor: number;
        /** Steps for one factor. Default 1. */
        readonly every?: number;
        /** Default 0. */
        readonly minimum?: number;
        /** Default false. */
        readonly staircase?: boolean;
      }
    | {
        readonly schedule: 'polynomial';
        readonly initial: number;
        readonly steps: number;
        /** Default 0. */
        readonly final?: number;
        /** Default 1: a straight line. */
        readonly power?: number;
      }
    | {
        readonly schedule: 'cosine';
        readonly initial: number;
        readonly steps: number;
        /** Default 0. */
        readonly final?: number;
      }
  );

type Check = readonly [rule: string, holds: (value: unknown) => boolean];
const isNumber = (x: unknown): x is number => typeof x === 'number' && Number.isFinite(x);
const isCount = (x: unknown): boolean => Number.isSafeInteger(x) && (x as number) >= 1;
const number: Check = ['must be a finite number', isNumber];
const positive: Check = ['must be a finite number above 0', (x) => isNumber(x) && x > 0];
const count: Check = ['must be a whole number of at least 1', isCount];
const warmup: Check = ['must be a whole number of at least 0', (x) => x === 0 || isCount(x)];
const flag: Check = ['must be true or false', (x) => typeof x === 'boolean'];
const numbers: Check = ['must be a list of finite numbers', (x) => Array.isArray(x) && x.every(isNumber)];
const rising: Check = [
  'must be a list of whole numbers of at least 1, each above the one before',
  (x) =>
    Array.isArray(x) && x.every((value, i) => isCount(value) && (i === 0 || (value as number) > (x[i - 1] as number))),
];
const optional = ([rule, holds]: Check): Check => [rule, (x) => x === undefined || holds(x)];

const ramp = { initial: number, steps: count, final: optional(number) };
const FIELDS: Readonly<Record<Schedule['schedule'], Readonly<Record<string, Check>>>> = {
  piecewise: { boundaries: rising, values: numbers },
  exponential: {
    initial: number,
    factor: positive,
    every: optional(count),
    minimum: optional(number),
    staircase: optional(flag),
  },
  polynomial: { ...ramp, power: optional(positive) },
  cosine: ramp,
};

/** The value of a step, counted from 1. */
export function valueAt(schedule: Schedule, step: number): number {
  const { warmup = 0 } = schedule;
  if (step <= warmup) return (valueAt({ ...schedule, warmup: 0 }, 1) * step) / warmup;
  const k = step - 1 - warmup;
  switch (schedule.schedule) {
    case 'piecewise':
      return schedule.values[schedule.boundaries.filter((boundary) => boundary <= k).length] as number;
    case 'exponential': {
      const { initial, factor, every = 1, minimum = 0, staircase = false } = schedule;
      const exponent = k / every;
      return Math.max(minimum, initial * factor ** (staircase ? Math.floor(exponent) : exponent));
    }
    case 'polynomial': {
      const { initial, steps, final = 0, power = 1 } = schedule;
      return final + (initial - final) * (1 - Math.min(k, steps) / steps) ** power;
    }
    case 'cosine': {
      const { initial, steps, final = 0 } = schedule;
      return final + ((initial - final) * (1 + Math.cos((Math.PI * Math.min(k, steps)) / steps))) / 2;
    }
  }
}

/**
 * A schedule after checking every field, and with `check` what it starts and ends with. Throws `InvalidArgumentError` naming the option, the
 * field, the value and the rule.
 */
export function checkSchedule(name: string, given: object, check: (value: unknown) => void): Schedule {
  const fields = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const kind = fields['schedule'] as Schedule['schedule'];
  if (typeof kind !== 'string' || !Object.hasOwn(FIELDS, kind)) {
    throw new InvalidArgumentError(
      `${name} must be a number or a schedule (schedule: ${Object.keys(FIELDS).join(', ')}), got ${show(given)}`,
    );
  }
  const checks = { ...FIELDS[kind], warmup: optional(warmup) };
  checkNames(`${name}'s fields`, Object.keys(fields), ['schedule', ...Object.keys(checks)]);
  for (const [field, [rule, holds]] of Object.entries(checks)) {
    if (!holds(fields[field])) throw new InvalidArgumentError(`${name}.${field} ${rule}, got ${show(fields[field])}`);
  }
  const schedule = fields as unknown as Schedule;
  if (schedule.schedule === 'piecewise' && schedule.values.length !== schedule.boundaries.length + 1) {
    throw new InvalidArgumentError(
      `${name}.values must be one more than the boundaries, got ${schedule.values.length} for ${schedule.boundaries.length}`,
    );
  }
  const ends =
    schedule.schedule === 'piecewise'
      ? schedule.values
      : [schedule.initial, valueAt(schedule, Number.MAX_SAFE_INTEGER)];
  ends.forEach(check);
  check(valueAt(schedule, 1));
  return schedule;
}
