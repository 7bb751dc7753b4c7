/** Ways in which a failing case may be plainer, tried one after the other on what has remained. */
import { MASK_STATE } from 'learning-rate-dropout/spec';
import type { Case } from '../protocol/types.ts';
import type { Position } from './finding.ts';

/** A plainer case with the same element in it, or undefined where it is as plain already. */
export type Simplification = (example: Case, position: Position) => Case | undefined;

/** Nothing behind the step that is wrong. */
const cutSteps: Simplification = (example, { index }) =>
  index + 1 >= example.gradients.length
    ? undefined
    : {
        ...example,
        gradients: example.gradients.slice(0, index + 1),
        ...(Array.isArray(example.masks) ? { masks: example.masks.slice(0, index + 1) as string[][] } : {}),
      };

const isPlain = (values: unknown): values is readonly number[] => Array.isArray(values);

/** One tensor of one element. */
const oneElement: Simplification = (example, { tensor, element }) => {
  const parameter = example.parameters[tensor];
  if (parameter === undefined || !isPlain(parameter.values)) return undefined;
  if (example.parameters.length === 1 && parameter.values.length === 1) return undefined;
  const pick = (values: readonly number[] | undefined): number[] => [values?.[element] ?? 0];
  return {
    ...example,
    parameters: [{ ...parameter, name: 'w', shape: [1], values: pick(parameter.values) }],
    gradients: example.gradients.map((step) => {
      const gradient = step[tensor] ?? null;
      return [isPlain(gradient) ? pick(gradient) : gradient];
    }),
    ...(Array.isArray(example.masks)
      ? { masks: (example.masks as string[][]).map((step) => [step[tensor]?.[element] ?? '']) }
      : {}),
    ...(example.state === undefined
      ? {}
      : {
          state: Object.fromEntries(
            Object.entries(example.state).map(([name, tensors]) => [
              name,
              [name === MASK_STATE.alignment ? (tensors[tensor] ?? []) : pick(tensors[tensor])],
            ]),
          ),
        }),
  };
};

const replaceParameters =
  (to: number, where: (x: number) => boolean): Simplification =>
  (example) =>
    example.parameters.some(({ values }) => isPlain(values) && values.some(where))
      ? {
          ...example,
          parameters: example.parameters.map((parameter) => ({
            ...parameter,
            values: isPlain(parameter.values) ? parameter.values.map((x) => (where(x) ? to : x)) : parameter.values,
          })),
        }
      : undefined;

const replaceGradients =
  (to: number, where: (x: number) => boolean): Simplification =>
  (example) =>
    example.gradients.some((step) => step.some((values) => isPlain(values) && values.some(where)))
      ? {
          ...example,
          gradients: example.gradients.map((step) =>
            step.map((values) => (isPlain(values) ? values.map((x) => (where(x) ? to : x)) : values)),
          ),
        }
      : undefined;

const odd = (x: number): boolean => x !== 1;
const tiny = (x: number): boolean => x !== 0 && Math.abs(x) < 2 ** -126;

export const SIMPLIFICATIONS: readonly Simplification[] = [
  cutSteps,
  oneElement,
  replaceParameters(1, odd),
  replaceGradients(1, odd),
  replaceParameters(-0, tiny),
  replaceGradients(Number.NaN, (x) => !Number.isFinite(x) && !Number.isNaN(x)),
];
