import type { RuleName } from '../../spec/rules.ts';
import { InvalidArgumentError, checkKeepProbability, resolveHyper } from '../validate.ts';

/** Settings for the variables whose name matches. What is left out is as for the others. */
export interface ParameterGroup {
  /** Variable names; `*` stands for any run of characters, as in `*bias*`. */
  readonly match: string | readonly string[];
  readonly learningRate?: number;
  readonly weightDecay?: number;
  readonly keepProbability?: number;
  /** True: never masked. The variable keeps its place in the stream. */
  readonly excluded?: boolean;
}

const FIELDS = ['match', 'learningRate', 'weightDecay', 'keepProbability', 'excluded'];

/** Groups after checking every field. Throws `InvalidArgumentError` naming the field, the value and the rule. */
export function checkGroups(rule: RuleName, groups: readonly ParameterGroup[]): readonly ParameterGroup[] {
  for (const group of groups) {
    const { match, learningRate, weightDecay, keepProbability, excluded } = group;
    const unknown = Object.keys(group).find((field) => !FIELDS.includes(field));
    if (unknown !== undefined) {
      throw new InvalidArgumentError(
        `a group's fields must be among ${FIELDS.join(', ')}, got ${JSON.stringify(unknown)}`,
      );
    }
    const patterns = typeof match === 'string' ? [match] : match;
    if (!Array.isArray(patterns) || patterns.some((pattern) => typeof pattern !== 'string') || patterns.length === 0) {
      throw new InvalidArgumentError(
        `a group's match must be a pattern or a list of them, got ${JSON.stringify(match)}`,
      );
    }
    if (learningRate !== undefined) resolveHyper(rule, { learningRate });
    if (weightDecay !== undefined) resolveHyper(rule, { weightDecay });
    if (keepProbability !== undefined) checkKeepProbability(keepProbability);
    if (excluded !== undefined && typeof excluded !== 'boolean') {
      throw new InvalidArgumentError(`a group's excluded must be true or false, got ${JSON.stringify(excluded)}`);
    }
  }
  return groups.map((group) => ({ ...group }));
}

function matches(pattern: string, name: string): boolean {
  const escaped = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`).test(name);
}

/** The first group that a variable's name matches. */
export function groupOf(groups: readonly ParameterGroup[], name: string): ParameterGroup | undefined {
  return groups.find(({ match }) =>
    (typeof match === 'string' ? [match] : match).some((pattern) => matches(pattern, name)),
  );
}
