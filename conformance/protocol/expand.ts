/** A case with everything that it leaves out or abbreviates written out, as an implementation in TypeScript wants it. */
import { MASK_STATE, RULES } from 'learning-rate-dropout/spec';
import type { HyperParameter, RuleName } from 'learning-rate-dropout/spec';
import type { Mask } from 'learning-rate-dropout/ref';
import { expandMask, isPlainMask } from './kinds.ts';
import type { Case, CaseHyper, Fill, HyperValue } from './types.ts';

export type Hyper = Readonly<Record<string, HyperValue>>;

export interface ExpandedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly size: number;
  readonly values: readonly number[];
  readonly excluded: boolean;
}

export interface ExpandedStep {
  /** The optimizer's step, from 1. */
  readonly step: number;
  readonly tensors: readonly {
    readonly gradient: readonly number[] | null;
    /** Every hyper-parameter of the rule, defaults included. Not validated. */
    readonly hyper: Hyper;
    /** Takes the base rule's step: excluded, or nothing is masked. */
    readonly plain: boolean;
    /** 1 for an excluded tensor, for the base rule, and where nothing is drawn. Not validated. */
    readonly keepProbability: number;
    /** Given bits; undefined where the case gives none. */
    readonly mask?: string;
  }[];
}

export interface ExpandedCase {
  readonly rule: string;
  /** Another kind of mask than learning rate dropout's, options and all; of tensors that are not `plain`. */
  readonly mask?: Mask;
  readonly tensors: readonly ExpandedTensor[];
  readonly steps: readonly ExpandedStep[];
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

function fillOut(values: readonly number[] | Fill, size: number): readonly number[] {
  // Not `'fill' in values`: arrays have a method of that name.
  return Array.isArray(values) ? (values as readonly number[]) : new Array<number>(size).fill((values as Fill).fill);
}

function at<T extends HyperValue>(value: T | readonly T[], index: number): T {
  return Array.isArray(value) ? ((value as readonly T[])[index] as T) : (value as T);
}

function hyperAt(hyper: CaseHyper | undefined, index: number): Hyper {
  return Object.fromEntries(Object.entries(hyper ?? {}).map(([name, value]) => [name, at(value, index)]));
}

/** The rule's defaults; empty for a rule that does not exist. */
export function defaultsOf(rule: string): Hyper {
  if (!Object.hasOwn(RULES, rule)) return {};
  const table: Readonly<Record<string, HyperParameter>> = RULES[rule as RuleName].hyper;
  return Object.fromEntries(Object.entries(table).map(([name, parameter]) => [name, parameter.default]));
}

export function expandCase(example: Case): ExpandedCase {
  const tensors = example.parameters.map((parameter) => {
    const size = sizeOf(parameter.shape);
    return {
      name: parameter.name,
      shape: parameter.shape,
      size,
      values: fillOut(parameter.values, size),
      excluded: parameter.excluded ?? false,
    };
  });
  const defaults = defaultsOf(example.rule);
  const given = Array.isArray(example.masks) ? (example.masks as readonly (readonly string[])[]) : undefined;
  const steps = example.gradients.map((gradients, index) => ({
    step: (example.firstStep ?? 1) + index,
    tensors: example.parameters.map((parameter, k) => {
      const gradient = gradients[k] ?? null;
      const mask = given?.[index]?.[k];
      const p = parameter.keepProbability ?? example.keepProbability;
      const plain = parameter.excluded === true || example.keepProbability === null;
      const whole = plain || p === null || p === undefined;
      return {
        gradient: gradient === null ? null : fillOut(gradient, tensors[k]?.size ?? 0),
        plain,
        hyper: { ...defaults, ...hyperAt(example.hyper, index), ...hyperAt(parameter.hyper, index) },
        keepProbability: whole ? 1 : at(p, index),
        ...(mask === undefined || whole ? {} : { mask }),
      };
    }),
  }));
  const mask = example.mask === undefined ? undefined : expandMask(example.mask);
  const other = mask === undefined || isPlainMask(mask) ? {} : { mask };
  return { rule: example.rule, ...other, tensors, steps };
}

/** The names of the state that a rule keeps with these hyper-parameters. */
export function stateNames(rule: RuleName, hyper: Hyper): readonly string[] {
  if (rule === 'sgdm') return hyper['momentum'] === 0 ? [] : ['buf'];
  if (rule === 'rmsprop') {
    return ['v', ...(hyper['centered'] === true ? ['gavg'] : []), ...(hyper['momentum'] === 0 ? [] : ['buf'])];
  }
  return RULES[rule].state;
}

/** What is wrong with the sizes in a case, in one line; undefined when they fit. */
export function sizeFault(example: Case): string | undefined {
  const sizes = example.parameters.map(({ shape }) => sizeOf(shape));
  const differ = (what: string, expected: number, got: number | undefined): string | undefined =>
    got === expected ? undefined : `${what} must have ${expected} elements, got ${got}`;
  const faults = [
    ...example.parameters.map(({ name, values }, k) =>
      Array.isArray(values) ? differ(`values of ${name}`, sizes[k] as number, values.length) : undefined,
    ),
    ...example.gradients.flatMap((step, t) => [
      differ(`gradients of step ${t + 1}`, sizes.length, step.length),
      ...step.map((gradient, k) =>
        Array.isArray(gradient) ? differ(`gradient ${k} of step ${t + 1}`, sizes[k] ?? 0, gradient.length) : undefined,
      ),
    ]),
    ...(Array.isArray(example.masks) ? (example.masks as readonly (readonly string[])[]) : []).flatMap((step, t) =>
      sizes.map((size, k) => differ(`mask ${k} of step ${t + 1}`, size, step[k]?.length)),
    ),
    ...Object.entries(example.state ?? {}).flatMap(([name, tensors]) =>
      name === 'ring'
        ? []
        : sizes.map((size, k) =>
            differ(`state ${name} of tensor ${k}`, name === MASK_STATE.alignment ? 1 : size, tensors[k]?.length),
          ),
    ),
  ];
  return faults.find((fault) => fault !== undefined);
}
