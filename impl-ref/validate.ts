import { RULES } from '../spec/rules.ts';
import type { HyperParameter, NumberRange, RuleName } from '../spec/rules.ts';

/** A hyper-parameter's value. */
export type HyperValue = number | string | boolean;

function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : Object.is(value, -0) ? '-0' : String(value);
}

/** @throws RangeError `NAME RULE, got VALUE` when `value` is outside `range` */
export function checkNumber(name: string, range: NumberRange, value: unknown): asserts value is number {
  const inside =
    typeof value === 'number' &&
    (range.openMinimum === true ? value > range.minimum : value >= range.minimum) &&
    (range.openMaximum === true ? value < range.maximum : value <= range.maximum) &&
    (range.integer !== true || Number.isInteger(value));
  if (!inside) throw new RangeError(`${name} ${range.text}, got ${show(value)}`);
}

/** @throws RangeError `NAME RULE, got VALUE` when `value` breaks the hyper-parameter's rule */
export function checkHyper(name: string, parameter: HyperParameter, value: unknown): asserts value is HyperValue {
  switch (parameter.kind) {
    case 'number':
      checkNumber(name, parameter, value);
      return;
    case 'choice':
      if (typeof value === 'string' && parameter.values.includes(value)) return;
      break;
    case 'flag':
      if (typeof value === 'boolean') return;
      break;
  }
  throw new RangeError(`${name} ${parameter.text}, got ${show(value)}`);
}

/** @throws RangeError when there is no rule of this name */
export function checkRule(rule: unknown): asserts rule is RuleName {
  if (typeof rule !== 'string' || !Object.hasOwn(RULES, rule)) {
    throw new RangeError(`rule must be one of ${Object.keys(RULES).join(', ')}, got ${show(rule)}`);
  }
}

/**
 * The rule's hyper-parameters with `given` over the defaults, each checked.
 *
 * @throws RangeError when a name does not belong to the rule or a value breaks its rule
 */
export function resolveHyper(rule: RuleName, given: Readonly<Record<string, unknown>>): Record<string, HyperValue> {
  const table: Readonly<Record<string, HyperParameter>> = RULES[rule].hyper;
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(table, name)) {
      throw new RangeError(`hyper must have only ${Object.keys(table).join(', ')} for ${rule}, got ${show(name)}`);
    }
  }
  return Object.fromEntries(
    Object.entries(table).map(([name, parameter]) => {
      const value = given[name] === undefined ? parameter.default : given[name];
      checkHyper(name, parameter, value);
      return [name, value];
    }),
  );
}
