import type { RuleName } from '../../spec/rules.ts';
import { KEEP_PROBABILITY, RULES } from '../../spec/rules.ts';
import type { Mask } from '../engines/plan.ts';
import type { MaskRequest } from '../masks/resolve.ts';
import type { Seed } from '../random.ts';
import { parseSeed, randomSeed } from '../random.ts';
import type { HyperValues } from '../validate.ts';
import {
  InvalidArgumentError,
  UnsupportedError,
  checkKeepProbability,
  checkNames,
  isRecord,
  resolveHyper,
  show,
} from '../validate.ts';
import type { Check, GradientOptions } from './gradientOptions.ts';
import { GRADIENT_OPTIONS } from './gradientOptions.ts';
import type { ParameterGroup } from './groups.ts';
import { Groups } from './groups.ts';
import type { Schedule } from './schedules.ts';
import type { StepMemory } from './stepSettings.ts';
import type { EngineName } from './steppers/choose.ts';
import { ENGINES, requireGpuJs } from './steppers/choose.ts';
import { extension, needed } from './extensions.ts';
import { needed as neededOfSteppers } from './steppers/extensions.ts';
import type { ResolvedTrained, TrainedKeepProbability } from './trainedKeepProbability.ts';

/** What every optimizer takes beside its rule's own hyper-parameters. */
export interface LrdOptions extends GradientOptions {
  /**
   * The probability p that a scalar parameter's update is **kept**, in [2^-16, 1], or a schedule of it. Default .5; 1 is the base rule itself, bit for
   * bit, and draws nothing. The smaller, the slower: on MNIST (FCNet, 3 epochs, two seeds) the area under the training loss of SGDM and Adam
   * grew by 20 % at p = .5 and to 2.4 to 2.5 times at p = .1. The step's own cost hardly depends on it.
   * A bundle for browsers calls `useSchedules()` before it gives a schedule.
   */
  readonly keepProbability?: number | Schedule;
  /**
   * `fused` (the default): this package's kernels, the faster ones by far (`lrd bench step`). `gpujs`: gpu.js kernels, on the same device under webgpu and over host data elsewhere;
   * the masks are the same. gpu.js must be there: `await loadGpuJs()` first.
   */
  readonly engine?: EngineName;
  /**
   * Of the mask stream: a bigint, a safe integer or "0x...", in [0, 2^64). Drawn at random when left out; `getConfig` tells. The same seed gives the
   * same masks on every backend, whatever the batch size.
   */
  readonly seed?: Seed;
  /**
   * Another kind of mask than learning rate dropout's: `{ kind: 'magma', temperature: 2 }`, `{ kind: 'skip-update' }`, `{ kind: 'cautious' }`
   * (which has no keep probability). Variables of a group with `excluded` take the base rule's step. A bundle for browsers calls
   * `useMasks()` first.
   */
  readonly mask?: MaskRequest;
  /**
   * Trains p beside the parameters, from `keepProbability` on. Experimental; costs one more copy of the parameters. A bundle for browsers
   * calls `useComparators()` first.
   */
  readonly trained?: TrainedKeepProbability;
  /** Different settings for some variables; the first group whose pattern matches a variable's name holds. */
  readonly groups?: readonly ParameterGroup[];
}

/** Options that may change between steps. */
export interface Settings {
  readonly keepProbability: number | Schedule;
  readonly learningRate: number | Schedule;
  readonly weightDecay: number;
  readonly gradientOptions: GradientOptions;
}

/** All that an optimizer is made of, checked. */
export interface Configuration {
  readonly settings: Settings;
  readonly hyper: HyperValues;
  readonly engine: EngineName;
  /** Another kind of mask than learning rate dropout's. */
  readonly mask: Mask | undefined;
  readonly seed: bigint;
  /** Whether the seed was drawn, because none was given. */
  readonly drawn: boolean;
  readonly groups: Groups;
  readonly trained: ResolvedTrained | undefined;
  readonly memory: StepMemory;
}

const OPTIONS = ['keepProbability', 'mask', 'engine', 'seed', 'trained', 'groups'] as const;
/** What saved configurations hold beside options. tfjs adds the first one when it loads one. */
const FOREIGN = ['customObjects', 'sparsePattern', 'trainedValues'];

/** The names of all options of a rule's optimizer. */
export function optionNames(rule: RuleName): readonly string[] {
  return [...Object.keys(RULES[rule].hyper), ...OPTIONS, ...GRADIENT_OPTIONS];
}

/** Before the first step, and where there are no comparators that would remember anything. */
const NO_MEMORY: StepMemory = { sparse: { extent: 0, step: 0 }, trainedValues: [] };

/** What a saved optimizer gives as its memory. Throws `InvalidArgumentError`. */
export const checkMemory = (value: unknown): StepMemory => extension('comparators')?.checkMemory(value) ?? NO_MEMORY;

/** Whether an option's value is meant as a schedule. */
export const isSchedule = (value: unknown): value is Schedule => typeof value === 'object' && value !== null;

/** A value of the step that is counted from 1. */
export const valueAt = (value: number | Schedule, step: number): number =>
  isSchedule(value) ? needed('schedules', 'a schedule').valueAt(value, step) : value;

const checkSchedule = (name: string, value: Schedule, check: (value: unknown) => void): Schedule =>
  needed('schedules', 'a schedule').checkSchedule(name, value, check);

const pick = (values: object, names: readonly string[]): object =>
  Object.fromEntries(Object.entries(values).filter(([name]) => names.includes(name)));

/** The option that is no extension's. */
const ACCUMULATE: Check = {
  text: 'must be a whole number of at least 1',
  holds: (x) => Number.isInteger(x) && (x as number) >= 1,
};

function gradientCheck(name: keyof GradientOptions): Check | undefined {
  if (name === 'accumulate') return ACCUMULATE;
  return needed(name.startsWith('clip') ? 'clipping' : 'comparators', name).checks[name];
}

/**
 * Checks those that are given. Throws `InvalidArgumentError` naming option, value and rule, and `UnsupportedError` on one whose
 * extension is not there.
 */
export function checkGradientOptions(options: GradientOptions): GradientOptions {
  const given = GRADIENT_OPTIONS.filter((name) => options[name] !== undefined);
  for (const name of given) {
    const value = options[name];
    const check = gradientCheck(name);
    if (check?.holds(value) === false) throw new InvalidArgumentError(`${name} ${check.text}, got ${show(value)}`);
  }
  return Object.fromEntries(given.map((name) => [name, options[name]]));
}

/** A learning rate or its schedule. Throws `InvalidArgumentError`. */
export function checkLearningRate(rule: RuleName, value: unknown): number | Schedule {
  const check = (rate: unknown): void => void resolveHyper(rule, { learningRate: rate as number });
  if (isSchedule(value)) return checkSchedule('learningRate', value, check);
  if (value === undefined) throw new InvalidArgumentError('learningRate must be a number or a schedule, got undefined');
  check(value);
  return value as number;
}

/** A keep probability or its schedule. Throws `InvalidArgumentError`. */
export function checkKeep(value: unknown): number | Schedule {
  return isSchedule(value)
    ? checkSchedule('keepProbability', value, checkKeepProbability)
    : checkKeepProbability(value);
}

/** Throws `InvalidArgumentError` on a keep probability for a mask that draws nothing. */
export function checkDrawn(mask: Mask | undefined, keepProbability: unknown): void {
  if (mask?.agreement !== true || keepProbability === undefined) return;
  throw new InvalidArgumentError(
    `keepProbability must be left out with mask.kind ${mask.request.kind}, got ${show(keepProbability)}`,
  );
}

/** The kind of mask that options ask for; undefined: learning rate dropout itself. */
function resolveKind(
  rule: RuleName,
  { mask: request, trained, engine, keepProbability }: LrdOptions,
): Mask | undefined {
  if (request === undefined) return undefined;
  const mask = neededOfSteppers('masks', 'a kind of mask').resolveMask(request);
  if (mask.plainLrd) return undefined;
  checkDrawn(mask, keepProbability);
  const { kind } = mask.request;
  if (trained !== undefined) throw new InvalidArgumentError(`trained must be left out with mask.kind ${kind}`);
  if (engine === 'gpujs' || rule === 'sgdm-avg') {
    throw new UnsupportedError(
      `mask.kind ${kind} runs on the fused engines and every rule but sgdm-avg, got ${engine === 'gpujs' ? 'engine gpujs' : rule}`,
    );
  }
  return mask;
}

/** Every option checked, and defaults in place of those left out. Throws `InvalidArgumentError` naming option, value and rule. */
export function configure(rule: RuleName, given: unknown): Configuration {
  if (!isRecord(given)) {
    const meant = typeof given === 'number' ? `{ learningRate: ${given} }` : '{ learningRate: 0.001 }';
    throw new InvalidArgumentError(`${rule} takes an object of options, as in ${meant}, got ${show(given)}`);
  }
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Omit<
    LrdOptions,
    'groups'
  > & { learningRate?: unknown; groups?: unknown; sparsePattern?: unknown; trainedValues?: unknown };
  const known = optionNames(rule);
  checkNames(
    `${rule}'s options`,
    Object.keys(options).filter((name) => !FOREIGN.includes(name)),
    known,
  );
  const mask = resolveKind(rule, options as LrdOptions);
  const preset = mask?.agreement === true ? 1 : KEEP_PROBABILITY.default;
  const { keepProbability = preset, engine = 'fused', seed, trained, sparsePattern } = options;
  if (!ENGINES.includes(engine)) {
    throw new InvalidArgumentError(`engine must be one of ${ENGINES.join(', ')}, got ${show(engine)}`);
  }
  const rate = options.learningRate === undefined ? undefined : checkLearningRate(rule, options.learningRate);
  const scheduled = isSchedule(rate);
  const hyper = resolveHyper(rule, {
    ...pick(options, Object.keys(RULES[rule].hyper)),
    // A schedule's values have been checked.
    learningRate: scheduled ? undefined : rate,
  } as HyperValues);
  const groups = new Groups(rule, options.groups ?? [], mask !== undefined);
  for (const group of groups.list) checkDrawn(mask, group.keepProbability);
  const keep = checkKeep(keepProbability);
  const moved = trained === undefined ? undefined : needed('comparators', 'trained').resolveTrained(trained, keep);
  const scopes = moved === undefined ? 0 : moved.scope === 'global' ? 1 : groups.list.length + 1;
  const memory = checkMemory({
    sparse: sparsePattern ?? NO_MEMORY.sparse,
    trainedValues: options.trainedValues ?? Array.from({ length: scopes }, () => keep),
  });
  if (memory.trainedValues.length !== scopes) {
    throw new InvalidArgumentError(`trainedValues must be ${scopes} numbers, got ${show(memory.trainedValues)}`);
  }
  const gradientOptions = checkGradientOptions(pick(options, GRADIENT_OPTIONS));
  const parsed = seed === undefined ? randomSeed() : parseSeed(seed);
  if (engine === 'gpujs') requireGpuJs();
  return {
    settings: {
      keepProbability: keep,
      learningRate: rate ?? (hyper['learningRate'] as number),
      weightDecay: hyper['weightDecay'] as number,
      gradientOptions,
    },
    hyper,
    engine,
    mask,
    seed: parsed,
    drawn: seed === undefined,
    groups,
    trained: moved,
    memory,
  };
}
