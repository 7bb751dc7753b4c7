import type { RuleName } from '../../spec/rules.ts';
import { unnumbered } from './binding.ts';
import { InvalidArgumentError, checkKeepProbability, checkNames, resolveHyper, show } from '../validate.ts';

/** Settings for the variables whose name matches. What is left out is as for the others. */
export interface ParameterGroup {
  /** Variable names; `*` stands for any run of characters, as in `*bias*`. */
  readonly match: string | readonly string[];
  /** At least 0. Default: the optimizer's. */
  readonly learningRate?: number;
  /** At least 0; 0 takes the variables from decay. Default: the optimizer's. */
  readonly weightDecay?: number;
  /** p of these variables, in [2^-16, 1]. Default: the optimizer's. */
  readonly keepProbability?: number;
  /** True: never masked. The variable keeps its place in the stream. */
  readonly excluded?: boolean;
}

const FIELDS = ['match', 'learningRate', 'weightDecay', 'keepProbability', 'excluded'];

/** A pattern as a saved configuration has it: tfjs camel-cases every string that it loads but those under `name`. */
interface NamedPattern {
  readonly name: string;
}

function patternsOf(match: unknown): string[] {
  const list = Array.isArray(match) ? match : [match];
  const patterns = list.map((pattern) => (pattern as NamedPattern | null)?.name ?? (pattern as unknown));
  if (patterns.length === 0 || !patterns.every((pattern) => typeof pattern === 'string')) {
    throw new InvalidArgumentError(`a group's match must be a pattern or a list of them, got ${show(match)}`);
  }
  return patterns;
}

function checkGroup(rule: RuleName, group: unknown): ParameterGroup {
  if (typeof group !== 'object' || group === null || Array.isArray(group)) {
    throw new InvalidArgumentError(`a group must be an object with a match, got ${show(group)}`);
  }
  checkNames("a group's fields", Object.keys(group), FIELDS);
  const given = Object.fromEntries(Object.entries(group).filter(([, value]) => value !== undefined));
  const { match, learningRate, weightDecay, keepProbability, excluded } = given as Partial<ParameterGroup>;
  if (learningRate !== undefined) resolveHyper(rule, { learningRate });
  if (weightDecay !== undefined) resolveHyper(rule, { weightDecay });
  if (keepProbability !== undefined) checkKeepProbability(keepProbability);
  if (excluded !== undefined && typeof excluded !== 'boolean') {
    throw new InvalidArgumentError(`a group's excluded must be true or false, got ${show(excluded)}`);
  }
  return { ...given, match: patternsOf(match) };
}

/** Whether `*` for any run of characters makes the pattern the name. A star is widened at most once for each character of the name. */
function matches(pattern: string, name: string): boolean {
  let [at, p] = [0, 0];
  /** Where the last star stood, and how far it has been stretched. */
  let [star, stretched] = [-1, 0];
  while (at < name.length) {
    if (pattern[p] === '*') {
      star = p++;
      stretched = at;
    } else if (pattern[p] === name[at]) {
      p += 1;
      at += 1;
    } else if (star >= 0) {
      p = star + 1;
      at = ++stretched;
    } else return false;
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}

/** The groups of an optimizer, and which one a variable is in: found once for each name. */
export class Groups {
  readonly list: readonly ParameterGroup[];
  readonly #exact = new Map<string, number>();
  readonly #starred: readonly { readonly pattern: string; readonly group: number }[];
  #idle: Set<string>;
  readonly #known = new Map<string, ParameterGroup | undefined>();
  readonly #strict: boolean;

  /**
   * Checks every field. Throws `InvalidArgumentError` naming the field, the value and the rule.
   * @param strict - whether an excluded group's pattern must match a variable
   */
  constructor(rule: RuleName, groups: unknown, strict = false) {
    this.#strict = strict;
    if (!Array.isArray(groups)) {
      throw new InvalidArgumentError(
        `groups must be a list, as in [{ match: '*bias*', excluded: true }], got ${show(groups)}`,
      );
    }
    this.list = groups.map((group) => checkGroup(rule, group));
    const patterns = this.list.flatMap(({ match }, group) =>
      (match as readonly string[]).map((pattern) => ({ pattern, group })),
    );
    for (const { pattern, group } of patterns) {
      if (!this.#exact.has(pattern)) this.#exact.set(pattern, group);
    }
    this.#starred = patterns.filter(({ pattern }) => pattern.includes('*'));
    this.#idle = new Set(patterns.map(({ pattern }) => pattern));
  }

  /** The first group with a pattern that the name matches. */
  of(name: string): ParameterGroup | undefined {
    if (this.list.length === 0) return undefined;
    if (!this.#known.has(name)) this.#known.set(name, this.list[this.#indexOf(name)]);
    return this.#known.get(name);
  }

  #indexOf(name: string): number {
    const exact = this.#exact.get(name) ?? Infinity;
    // Sorted by group: the first starred one is the lowest.
    const starred = this.#starred.find(({ pattern, group }) => group < exact && matches(pattern, name))?.group;
    return starred ?? (exact === Infinity ? -1 : exact);
  }

  /**
   * Tells of the variables that have joined. A pattern that none of the first ones matches is tried on names without tfjs's number, which
   * a model has when it is loaded again beside the one that was saved; if that finds none either, it is warned of, once, or refused where an
   * exclusion goes unseen.
   */
  meet(names: readonly string[]): void {
    if (this.#idle.size === 0 || names.length === 0) return;
    const idle = [...this.#idle].filter((pattern) => !names.some((name) => matches(pattern, name)));
    const unmet = idle.find(
      (pattern) =>
        this.#strict &&
        this.list.some(({ match, excluded }) => excluded === true && match.includes(pattern)) &&
        !names.some((name) => matches(pattern, unnumbered(name))),
    );
    if (unmet !== undefined) {
      throw new InvalidArgumentError(
        `an excluded group's match must match a variable (${names.slice(0, 8).join(', ')}${names.length > 8 ? ' ...' : ''}), got ${show(unmet)}`,
      );
    }
    this.#idle = new Set();
    for (const pattern of idle) {
      const group = this.list.findIndex(({ match }) => match.includes(pattern));
      const renamed = names.filter((name) => matches(pattern, unnumbered(name)));
      for (const name of renamed) {
        const other = this.#indexOf(name);
        if (other === -1 || group < other) this.#known.set(name, this.list[group]);
      }
      if (renamed.length === 0) {
        console.warn(
          `learning-rate-dropout: the pattern ${JSON.stringify(pattern)} of a group matches none of the variables ` +
            `${names.slice(0, 8).join(', ')}${names.length > 8 ? ' ...' : ''}`,
        );
      }
    }
  }

  /** As `getConfig` saves them. */
  toConfig(): object[] {
    return this.list.map((group) => ({
      ...group,
      match: (group.match as readonly string[]).map((name): NamedPattern => ({ name })),
    }));
  }
}
