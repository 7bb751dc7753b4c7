import { readDecimal } from '../../decimal.ts';
import { UsageError } from '../../errors.ts';
import type { Schedule, ScheduleTarget, Schedules, TaperScheme } from './schedule.ts';

/** The largest float32. */
const LARGEST = 3.4028234663852886e38;

/** Targets by the names of the options that give their base values. */
const TARGETS: Readonly<Record<string, ScheduleTarget>> = {
  lr: 'learningRate',
  keep: 'keepProbability',
  'weight-decay': 'weightDecay',
  sparsity: 'sparsity',
};

const GRAMMAR: Readonly<Record<string, string>> = {
  constant: 'constant',
  step: 'step:EPOCH,EPOCH...[:GAMMA]',
  'step-early': 'step-early:EPOCH,EPOCH...[:GAMMA]',
  polynomial: 'polynomial[:POWER]',
  cosine: 'cosine[:MINIMUM]',
  warmup: 'warmup:STEPS[:MINIMUM]',
  linear: 'linear:LAST',
  restarts: 'restarts[:EPOCHS,EPOCHS,EPOCHS]',
  taper: 'taper:SCHEME[:EPOCHS,EPOCHS,EPOCHS]',
  follow: 'follow:RATE=VALUE,RATE=VALUE...',
  epochs: 'epochs:EPOCH=VALUE,EPOCH=VALUE...',
};
const DECAY_SCHEMES = ['01', '02'];
const SPARSITY_SCHEMES = ['21', '22', '23'];

function parseOne(text: string): [ScheduleTarget, Schedule] {
  const equals = text.indexOf('=');
  const target = TARGETS[text.slice(0, Math.max(0, equals))];
  if (target === undefined) {
    throw new UsageError(
      `--schedule must be TARGET=FORM with TARGET one of ${Object.keys(TARGETS).join(', ')}; got ${JSON.stringify(text)}`,
    );
  }
  const [form = '', ...rest] = text.slice(equals + 1).split(':');
  const grammar = Object.hasOwn(GRAMMAR, form) ? GRAMMAR[form] : undefined;
  if (grammar === undefined) {
    throw new UsageError(
      `--schedule's form must be one of ${Object.values(GRAMMAR).join(', ')}; got ${JSON.stringify(text)}`,
    );
  }
  const refuse = (rule: string): never => {
    throw new UsageError(`--schedule ${grammar} ${rule}, got ${JSON.stringify(text)}`);
  };
  const [first, second, ...extra] = rest;
  if (extra.length > 0 || rest.includes('')) refuse('must have its parts apart by single colons');
  const number = (part: string, rule: string, holds: (value: number) => boolean): number => {
    const value = readDecimal(part);
    if (Number.isNaN(value) || !holds(value)) refuse(rule);
    if (Math.abs(value) > LARGEST || (value !== 0 && Math.fround(value) === 0))
      refuse('must have numbers that float32 holds');
    return value;
  };
  const whole = (part: string): number =>
    number(part, 'must have whole numbers of epochs of at least 1', (x) => Number.isInteger(x) && x >= 1);
  const wholes = (part: string): number[] => part.split(',').map(whole);
  const needed = (): string => first ?? refuse('must be given in full');
  const alone = (): void => {
    if (second !== undefined) refuse('must have no more parts');
  };
  const pairs = (key: (part: string) => number): [number, number][] =>
    needed()
      .split(',')
      .map((pair) => {
        const [left = '', right = '', ...more] = pair.split('=');
        if (more.length > 0) refuse('must have one = in each pair');
        return [key(left), number(right, 'must have numbers of at least 0', (x) => x >= 0)];
      });
  const phases = (part: string | undefined): { epochsPerRate?: number[] } =>
    part === undefined ? {} : { epochsPerRate: wholes(part) };
  switch (form) {
    case 'constant':
      if (first !== undefined) refuse('must have no parts');
      return [target, { kind: 'constant' }];
    case 'step':
    case 'step-early': {
      const milestones = wholes(needed());
      if (milestones.some((epoch, index) => index > 0 && epoch <= (milestones[index - 1] as number))) {
        refuse('must have its epochs in ascending order');
      }
      const gamma =
        second === undefined ? {} : { gamma: number(second, 'must have a GAMMA of at least 0', (x) => x >= 0) };
      return [target, { kind: 'step', milestones, ...gamma, ...(form === 'step' ? {} : { early: true }) }];
    }
    case 'polynomial':
      alone();
      if (first === undefined) return [target, { kind: 'polynomial' }];
      return [target, { kind: 'polynomial', power: number(first, 'must have a POWER above 0', (x) => x > 0) }];
    case 'cosine':
      alone();
      if (first === undefined) return [target, { kind: 'cosine' }];
      return [target, { kind: 'cosine', minimum: number(first, 'must have a MINIMUM of at least 0', (x) => x >= 0) }];
    case 'warmup': {
      const steps = number(
        needed(),
        'must have a whole number of STEPS of at least 1',
        (x) => Number.isInteger(x) && x >= 1,
      );
      const minimum = second === undefined ? {} : { minimum: number(second, 'must have a MINIMUM of at least 0', (x) => x >= 0) }; // prettier-ignore
      return [target, { kind: 'warmup', steps, ...minimum }];
    }
    case 'linear':
      alone();
      return [target, { kind: 'linear', last: number(needed(), 'must have a LAST of at least 0', (x) => x >= 0) }];
    case 'restarts':
      alone();
      return [target, { kind: 'restarts', ...phases(first) }];
    case 'taper': {
      const schemes = target === 'weightDecay' ? DECAY_SCHEMES : target === 'sparsity' ? SPARSITY_SCHEMES : undefined;
      if (schemes === undefined) return refuse('must be for weight-decay or sparsity');
      const scheme = needed();
      if (!schemes.includes(scheme)) refuse(`must have a SCHEME among ${schemes.join(', ')} for its target`);
      return [target, { kind: 'taper', scheme: scheme as TaperScheme, ...phases(second) }];
    }
    case 'follow':
      alone();
      if (target === 'learningRate') refuse('must be for another target than lr, which it follows');
      return [
        target,
        { kind: 'follow', values: pairs((part) => number(part, 'must have RATEs above 0', (x) => x > 0)) },
      ];
    default:
      alone();
      return [target, { kind: 'epochs', values: pairs(whole) }];
  }
}

/** Reads the values of `--schedule`, as in `lr=step:100,150`. Throws a `UsageError` that names the value and the rule. */
export function parseSchedules(texts: readonly string[]): Schedules {
  const parsed = texts.map(parseOne);
  const twice = parsed.find(([target], index) => parsed.findIndex(([other]) => other === target) !== index);
  if (twice !== undefined) throw new UsageError(`--schedule must be given once for each target, got ${twice[0]} twice`);
  return Object.fromEntries(parsed);
}
