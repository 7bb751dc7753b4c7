import { MASK_STATE, RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import { createOptimizer } from 'learning-rate-dropout/ref';
import type {
  Masks,
  OptimizerState,
  Parameter,
  Scheduled,
  ScheduledHyper,
  StepResult,
} from 'learning-rate-dropout/ref';
import { expandCase } from '../protocol/expand.ts';
import { ALL_KINDS, drawnFault, drawsNothing } from '../protocol/kinds.ts';
import { select } from './outcome.ts';
import type { Adapter, Case, CaseHyper, HyperValue, Outcome, StepRecord } from '../protocol/types.ts';

const toBits = (mask: Uint8Array): string => Array.from(mask).join('');

/** A protocol array holds one value a step of the case; the reference takes a function of the optimizer's step. */
function schedule<T extends HyperValue>(value: T | readonly T[], firstStep: number): Scheduled<T> {
  if (!Array.isArray(value)) return value as T;
  const values = value as readonly T[];
  return (step: number) => values[Math.max(0, Math.min(values.length - 1, step - firstStep))] as T;
}

function scheduleHyper(hyper: CaseHyper | undefined, firstStep: number): ScheduledHyper {
  return Object.fromEntries(Object.entries(hyper ?? {}).map(([name, value]) => [name, schedule(value, firstStep)]));
}

function toRecord(state: OptimizerState, names: readonly string[], masks: readonly (Uint8Array | null)[]): StepRecord {
  return {
    parameters: state.tensors.map(({ values }) => Array.from(values)),
    masks: masks.map((mask) => (mask === null ? null : toBits(mask))),
    state: Object.fromEntries(
      names
        .filter((name) => state.tensors.some(({ slots }) => slots[name] !== undefined))
        .map((name) => [name, state.tensors.map(({ slots }) => Array.from(slots[name] ?? []))]),
    ),
  };
}

/**
 * What the reference makes of a case, step by step.
 *
 * @throws RangeError on a wrong argument
 */
export function referenceSteps(example: Case, fallbackSeed = '0x0'): StepResult[] {
  const firstStep = example.firstStep ?? 1;
  const expanded = expandCase(example);
  const fault = drawnFault(example);
  if (fault !== undefined) throw new RangeError(fault);
  for (const gradients of example.gradients) {
    if (gradients.length !== example.parameters.length) {
      throw new RangeError(`gradients must have ${example.parameters.length} tensors, got ${gradients.length}`);
    }
  }
  const given = Array.isArray(example.masks) ? expanded : undefined;
  const masks: Masks =
    given === undefined
      ? { kind: 'stream', seed: example.seed ?? fallbackSeed }
      : {
          kind: 'given',
          mask: (step, tensor) => {
            const bits = given.steps[step - firstStep]?.tensors[tensor]?.mask;
            if (bits === undefined) throw new RangeError(`masks must have an entry for step ${step}, tensor ${tensor}`);
            return Uint8Array.from(bits, Number);
          },
        };
  const parameters = example.parameters.map((parameter, k): Parameter => ({
    name: parameter.name,
    shape: parameter.shape,
    values: expanded.tensors[k]?.values ?? [],
    ...(parameter.excluded === undefined ? {} : { excluded: parameter.excluded }),
    ...(parameter.hyper === undefined ? {} : { hyper: scheduleHyper(parameter.hyper, firstStep) }),
    ...(parameter.keepProbability === undefined
      ? {}
      : { keepProbability: schedule(parameter.keepProbability, firstStep) }),
  }));
  const p = example.keepProbability === undefined ? 1 : example.keepProbability;
  const optimizer = createOptimizer(parameters, {
    rule: example.rule as RuleName,
    hyper: scheduleHyper(example.hyper, firstStep),
    ...(drawsNothing(example) && p !== null ? {} : { keepProbability: p === null ? null : schedule(p, firstStep) }),
    ...(example.mask === undefined ? {} : { mask: example.mask }),
    masks,
  });
  let state = optimizer.init({ firstStep, ...(example.state === undefined ? {} : { state: example.state }) });
  return expanded.steps.map(({ tensors }) => {
    const done = optimizer.step(
      state,
      tensors.map(({ gradient }) => gradient),
    );
    ({ state } = done);
    return done;
  });
}

function runCase(example: Case, fallbackSeed: string): StepRecord[] {
  const names = [...RULES[example.rule as RuleName].state, ...Object.values(MASK_STATE)];
  return referenceSteps(example, fallbackSeed).map(({ state, report }) =>
    select(toRecord(state, names, report.masks), example.report),
  );
}

/** The float64 reference as an implementation to be judged: it follows the stream and replays given masks. */
export function openReference(): Adapter {
  let cases = 0;
  return {
    implementation: {
      name: 'ref',
      language: 'typescript',
      precision: 'float64',
      rules: Object.keys(RULES),
      masks: ['stream', 'given'],
      features: ['state', 'resume', 'base', 'schedule', 'groups', 'null-gradient'],
      kinds: ALL_KINDS,
    },
    run: (example): Promise<Outcome> => {
      cases += 1;
      try {
        return Promise.resolve({ kind: 'result', steps: runCase(example, `0x${cases.toString(16)}`) });
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        return Promise.resolve({ kind: 'errored', code: 'invalid-argument', message: error.message });
      }
    },
    close: () => Promise.resolve(),
  };
}
