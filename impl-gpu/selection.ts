/** What `--only` means, wherever something is chosen by name. */
import { foreignText } from './foreignText.ts';
import { InvalidArgumentError } from './validate.ts';

/** One regular expression of a selection. Throws `InvalidArgumentError` when it is none. */
function selectionPattern(argument: string, pattern: string | RegExp): RegExp {
  if (pattern instanceof RegExp) return pattern;
  try {
    return new RegExp(pattern);
  } catch {
    throw new InvalidArgumentError(`${argument} must be a regular expression, got ${JSON.stringify(pattern)}`);
  }
}

/**
 * Items whose name one of `patterns` matches, in their order; all of them where there are no patterns. A pattern is a regular
 * expression that may match anywhere in a name.
 *
 * @param argument the argument's name, for messages
 * @param what what the names are names of, in the singular ("a property")
 * @throws InvalidArgumentError on a pattern that is no regular expression, or that matches no name at all
 */
export function select<T>(
  argument: string,
  what: string,
  patterns: readonly (string | RegExp)[],
  items: readonly T[],
  nameOf: (item: T) => string,
): readonly T[] {
  const expressions = patterns.map((pattern) => selectionPattern(argument, pattern));
  for (const expression of expressions) {
    if (items.some((item) => expression.test(nameOf(item)))) continue;
    const examples = items.slice(0, 3).map(nameOf).join(', ');
    throw new InvalidArgumentError(
      `${argument} must match ${what}${examples === '' ? '' : ` (${examples}, ...)`}, got ${foreignText(JSON.stringify(expression.source), 100)}`,
    );
  }
  if (expressions.length === 0) return items;
  return items.filter((item) => expressions.some((expression) => expression.test(nameOf(item))));
}
