/** What the areas share: which implementations a property is for, what it asks of them, and how it compares answers. */
import fc from 'fast-check';
import { RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Hyper } from '../../protocol/expand.ts';
import type { Case, Feature, Implementation, StepRecord } from '../../protocol/types.ts';
import { caseOf, plainMasks, semanticMasks } from '../arbitrary.ts';
import type { CaseOptions } from '../arbitrary.ts';
import { Finding, show } from '../finding.ts';
import { judgeSteps } from '../judgeSteps.ts';
import type { JudgeOptions } from '../judgeSteps.ts';
import { Skip } from '../property.ts';
import type { Context } from '../property.ts';

/** The rules of the specification, simplest first. */
export const RULE_NAMES = Object.keys(RULES) as RuleName[];

/** Why an implementation cannot be judged: a feature that it does not declare. */
export const lacks =
  (...features: readonly Feature[]) =>
  (implementation: Implementation): string | undefined => {
    const missing = features.filter((feature) => !implementation.features.includes(feature));
    return missing.length === 0 ? undefined : `does not declare ${missing.join(', ')}`;
  };
/** The same for a source of masks. */
export const lacksMasks =
  (source: 'stream' | 'given') =>
  (implementation: Implementation): string | undefined =>
    implementation.masks.includes(source)
      ? undefined
      : source === 'stream'
        ? 'does not follow the mask stream'
        : 'cannot replay given masks';
/** The first of several reasons. */
export const first =
  (...reasons: readonly ((implementation: Implementation) => string | undefined)[]) =>
  (implementation: Implementation): string | undefined => {
    for (const reason of reasons) {
      const text = reason(implementation);
      if (text !== undefined) return text;
    }
    return undefined;
  };
/** The same for a rule. */
export const lacksRule =
  (rule: RuleName) =>
  (implementation: Implementation): string | undefined =>
    implementation.rules.includes(rule) ? undefined : `has no rule ${rule}`;

/** Rules of the specification that an implementation has; it may have others, by any name, which the kit does not know. */
export const knownRules = ({ rules }: Pick<Implementation, 'rules'>): readonly RuleName[] =>
  rules.filter((name): name is RuleName => Object.hasOwn(RULES, name));

/** Why an implementation cannot be judged where any rule would do. */
export const NO_RULE = 'has no rule of the specification';

/**
 * A rule for the properties that need only one: the simplest that there is.
 *
 * @throws Skip where there is none
 */
export function someRule(implementation: Implementation): RuleName {
  const rule = RULE_NAMES.find((name) => implementation.rules.includes(name));
  if (rule === undefined) throw new Skip(NO_RULE);
  return rule;
}

/**
 * Cases of any rule that the implementation has; rules of its own, which the kit does not know, are left out.
 *
 * @throws Skip where nothing is left
 */
export function casesOfAnyRule({ implementation }: Context, options: Omit<CaseOptions, 'rule'>): fc.Arbitrary<Case> {
  const rules = knownRules(implementation);
  if (rules.length === 0) throw new Skip(NO_RULE);
  return fc.constantFrom(...rules).chain((rule) => caseOf({ ...options, rule }));
}

/** Draws cases and holds each answer against its intervals. */
export async function judged(
  context: Context,
  options: Omit<CaseOptions, 'masks'> & Partial<Pick<CaseOptions, 'masks'>>,
  look: JudgeOptions,
  change: (example: Case) => Case = (example) => example,
  runs?: number,
): Promise<void> {
  const masks = options.masks ?? semanticMasks(context.implementation);
  await context.check(
    caseOf({ ...options, masks }),
    async (drawn) => {
      const example = change(drawn);
      judgeSteps(example, await context.ask(example), context.implementation, look);
    },
    runs,
  );
}

/** Two runs must agree in everything that `pick` takes from them, bit for bit. */
export function same(
  what: string,
  left: readonly (readonly number[])[],
  right: readonly (readonly number[])[],
  cases: readonly Case[],
  index?: number,
): void {
  for (const [k, tensor] of left.entries()) {
    for (const [i, x] of tensor.entries()) {
      const y = right[k]?.[i];
      if (!Object.is(x, y))
        throw new Finding(`${what}: tensor ${k}, element ${i}`, {
          expected: show(x),
          got: show(y),
          cases,
          position: index === undefined ? undefined : { index, tensor: k, element: i },
        });
    }
  }
}

/** `same` for every step's parameters and, where both report it, state. */
export function sameSteps(
  what: string,
  left: readonly StepRecord[],
  right: readonly StepRecord[],
  cases: readonly Case[],
): void {
  for (const [index, record] of left.entries()) {
    const other = right[index] ?? {};
    same(`${what}, step ${index + 1}, parameters`, record.parameters ?? [], other.parameters ?? [], cases, index);
    for (const [name, tensors] of Object.entries(record.state ?? {})) {
      if (other.state !== undefined)
        same(`${what}, step ${index + 1}, ${name}`, tensors, other.state[name] ?? [], cases, index);
    }
  }
}

/** For cases that the base rule must match: given masks need p < 1 to be read at all, so they do not serve. */
export function whole(implementation: Implementation): 'ones-stream' | 'ones-own' {
  return implementation.masks.includes('stream') ? 'ones-stream' : 'ones-own';
}

/** One step of two elements, everything kept, with these hyper-parameters. */
export function withHyper(
  implementation: Implementation,
  rule: RuleName,
  hyper: Readonly<Record<string, unknown>>,
): Case {
  const source = plainMasks(implementation);
  return {
    rule,
    hyper: hyper as Hyper,
    keepProbability: source === 'ones-given' ? 0.5 : 1,
    masks: source === 'ones-given' ? [['11']] : source === 'ones-stream' ? 'stream' : 'own',
    ...(source === 'ones-given' ? {} : { seed: '0x1' }),
    parameters: [{ name: 'w', shape: [2], values: [1, -1] }],
    gradients: [[[0.5, 0.25]]],
  };
}

/** Whether a rule keeps a second moment. */
export const isAdaptive = (rule: RuleName): boolean => rule !== 'sgdm' && rule !== 'sgdm-avg';
