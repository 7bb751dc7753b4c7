/**
 * Checks of what a caller passes, read from the tables in `spec/rules.ts`, so that every optimizer and engine says the same
 * words: argument, value, rule.
 */
import type { RuleName } from '../spec/rules.ts';
import type { HyperParameter, NumberRange } from '../spec/rules.ts';
import { KEEP_PROBABILITY, RULES } from '../spec/rules.ts';

/** A caller's mistake. The message is one line: argument, value, rule. */
export class InvalidArgumentError extends RangeError {
  /** `InvalidArgumentError`. */
  override readonly name = 'InvalidArgumentError';
  /** The protocol's word for it: `invalid-argument`. */
  readonly code = 'invalid-argument';
}

/** Something that is well-formed and that this implementation, backend or device does not do. */
export class UnsupportedError extends Error {
  /** `UnsupportedError`. */
  override readonly name = 'UnsupportedError';
  /** The protocol's word for it: `unsupported`. */
  readonly code = 'unsupported';
}

/** Values of a rule's hyper-parameters by the names of `spec/rules.ts`; what is left out has its default. */
export type HyperValues = Readonly<Record<string, number | string | boolean>>;

/** A value as an error message shows it: on one line, and not too long. */
export function show(value: unknown): string {
  let text: string | undefined;
  try {
    text =
      typeof value === 'string' || (typeof value === 'object' && value !== null) ? JSON.stringify(value) : undefined;
  } catch {
    // Something in it has no JSON: its type says enough.
    text = typeof value;
  }
  const shown = (text ?? String(value)).replace(/\p{Cc}/gu, ' ');
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown;
}

/** Whether a value is an object of named fields: no list, map, date or the like, whose fields would be passed over. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return Object.prototype.toString.call(value) === '[object Object]';
}

/** What other libraries call an option: the first of these that there is. */
export const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  lr: ['learningRate'],
  stepsize: ['learningRate'],
  alpha: ['rho', 'learningRate'],
  p: ['keepProbability'],
  dropout: ['keepProbability'],
  wd: ['weightDecay'],
  l2: ['weightDecay'],
  decay: ['rho', 'weightDecay'],
  eps: ['epsilon'],
  globalclipnorm: ['clipGlobalNorm'],
  maxnorm: ['clipGlobalNorm'],
};

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** The name among those that there are that was probably meant. */
function nearest(name: string, names: readonly string[]): string | undefined {
  const plain = (text: string): string => text.replace(/[_-]/g, '').toLowerCase();
  const given = plain(name);
  const synonym = Object.hasOwn(SYNONYMS, given) ? SYNONYMS[given]?.find((other) => names.includes(other)) : undefined;
  if (synonym !== undefined) return synonym;
  const [best] = names.map((other) => ({ other, far: distance(given, plain(other)) })).sort((a, b) => a.far - b.far);
  if (best !== undefined && best.far <= Math.max(2, name.length / 4)) return best.other;
  // Shortened, as keepProb, or with more to it, as useNesterov.
  return names.find((other) => {
    const [short, long] = [given, plain(other)].sort((a, b) => a.length - b.length) as [string, string];
    return short.length > 3 && long.includes(short);
  });
}

/** Throws `InvalidArgumentError`, with all names that there are and the nearest, for one that is not among them. */
export function checkNames(what: string, given: readonly string[], names: readonly string[]): void {
  const unknown = given.find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const meant = nearest(unknown, names);
  throw new InvalidArgumentError(
    `${what} must be among ${names.join(', ')}, got ${show(unknown)}${meant === undefined ? '' : `: did you mean ${meant}?`}`,
  );
}

function checkRange(name: string, value: unknown, range: NumberRange): number {
  const inside =
    typeof value === 'number' &&
    (range.openMinimum === true ? value > range.minimum : value >= range.minimum) &&
    (range.openMaximum === true ? value < range.maximum : value <= range.maximum) &&
    (range.integer !== true || Number.isInteger(value));
  if (!inside) throw new InvalidArgumentError(`${name} ${range.text}, got ${show(value)}`);
  return value;
}

/** A value that keeps its parameter's rule. Throws `InvalidArgumentError`. */
export function checkValue(name: string, value: unknown, rule: HyperParameter): number | string | boolean {
  switch (rule.kind) {
    case 'number':
      return checkRange(name, value, rule);
    case 'choice':
      if (typeof value === 'string' && rule.values.includes(value)) return value;
      break;
    case 'flag':
      if (typeof value === 'boolean') return value;
      break;
  }
  throw new InvalidArgumentError(`${name} ${rule.text}, got ${show(value)}`);
}

/** A base rule's name. Throws `InvalidArgumentError` with the names that there are. */
export function checkRule(rule: string): RuleName {
  if (Object.hasOwn(RULES, rule)) return rule as RuleName;
  throw new InvalidArgumentError(`rule must be one of ${Object.keys(RULES).join(', ')}, got ${show(rule)}`);
}

/**
 * All hyper-parameters of `rule`: those given, checked, and the defaults of the others.
 * Throws `InvalidArgumentError` on a value outside its range and on a name that the rule does not have.
 */
export function resolveHyper(rule: RuleName, given: HyperValues = {}): HyperValues {
  const table: Readonly<Record<string, HyperParameter>> = RULES[rule].hyper;
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(table, name)) {
      throw new InvalidArgumentError(`${name} must be one of ${rule}'s ${Object.keys(table).join(', ')}`);
    }
  }
  const values: Record<string, number | string | boolean> = {};
  for (const [name, parameter] of Object.entries(table)) {
    const value = given[name];
    values[name] = value === undefined ? parameter.default : checkValue(name, value, parameter);
  }
  return values;
}

/** A keep probability in [2^-16, 1]. */
export function checkKeepProbability(value: unknown): number {
  return checkRange('keepProbability', value, KEEP_PROBABILITY);
}

/** The names of the state that `rule` keeps with these (resolved) hyper-parameters, in the order of `spec/rules.ts`. */
export function stateNames(rule: RuleName, hyper: HyperValues): readonly string[] {
  switch (rule) {
    case 'sgdm':
      return hyper['momentum'] === 0 ? [] : ['buf'];
    case 'rmsprop':
      return [
        'v',
        ...(hyper['centered'] === true ? ['gavg'] : []),
        ...((hyper['momentum'] as number) > 0 ? ['buf'] : []),
      ];
    case 'sgdm-avg':
    case 'adam':
    case 'amsgrad':
    case 'radam':
    case 'adamw':
      return RULES[rule].state;
  }
}
