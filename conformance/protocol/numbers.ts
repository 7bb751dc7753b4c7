/**
 * Numbers on the wire. JSON has no NaN, no infinities, and most writers lose the sign of -0: these four are strings.
 */
const NAMED: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
  ['-0', -0],
]);

/** Fields whose strings are words or bits, not numbers. */
const WORDS: ReadonlySet<string> = new Set([
  'cmd',
  'masks',
  'seed',
  'rule',
  'name',
  'message',
  'reason',
  'code',
  'issue',
  'report',
  'implementation',
  'epsilonMode',
  'epsilonPlacement',
  'maxOf',
  'variant',
]);

function encode(_key: string, value: unknown): unknown {
  if (typeof value !== 'number') return value;
  if (Number.isFinite(value) && !Object.is(value, -0)) return value;
  return Object.is(value, -0) ? '-0' : String(value);
}

/** One protocol line, without its newline. */
export function stringify(message: unknown): string {
  return JSON.stringify(message, encode);
}

function decode(value: unknown): unknown {
  if (typeof value === 'string') return NAMED.get(value) ?? value;
  if (Array.isArray(value)) {
    // Long plain arrays are the rule: leave them alone unless a string is in them.
    return value.some((item) => typeof item !== 'number') ? value.map(decode) : value;
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, WORDS.has(key) ? item : decode(item)]));
  }
  return value;
}

/** The named numbers of a parsed message as numbers. */
export function revive<T>(message: T): T {
  return decode(message) as T;
}
