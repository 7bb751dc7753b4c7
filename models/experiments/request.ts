import { parseMask } from '../trainer/masks.ts';
import type { Regularizers as TrainerRegularizers } from '../trainer/regularizers.ts';
import type { TrainingRequest } from '../runs/request.ts';
import type { Schedule, ScheduleTarget, Schedules } from '../trainer/schedules/schedule.ts';
import type { Phase, Regularizers } from './settings.ts';
import type { Cell } from './store.ts';

const TARGETS: readonly (ScheduleTarget & keyof Phase)[] = ['learningRate', 'weightDecay', 'sparsity'];

function schedulesOf(phases: readonly Phase[]): Schedules {
  const entries = TARGETS.flatMap((target): [ScheduleTarget, Schedule][] => {
    const values = phases.flatMap((phase): [number, number][] => {
      const value = phase[target];
      return value === undefined ? [] : [[phase.from, value]];
    });
    return values.length === 0 ? [] : [[target, { kind: 'epochs', values }]];
  });
  return Object.fromEntries(entries);
}

function regularizersOf(given: Regularizers, phases: readonly Phase[]): TrainerRegularizers {
  const {
    retain,
    labelNoise,
    centralize,
    gradientNoise,
    gradientKeepProbability,
    frozen,
    sparseReading = 'gradients',
  } = given;
  const entries = Object.entries({
    standardDropout: retain,
    noisyLabels: labelNoise,
    centralize,
    noiseEta: gradientNoise,
    gradientKeepProbability,
  }).filter(([, value]) => value !== undefined);
  const sparse: TrainerRegularizers =
    // One mask from the first step on, laid over the updates: its elements keep their first values.
    frozen === 'elements'
      ? { sparsity: 0.5, sparseReading: 'updates' }
      : phases.some(({ sparsity }) => sparsity !== undefined)
        ? { sparsity: 0, sparseReading }
        : {};
  return { ...Object.fromEntries(entries), ...sparse, ...(frozen === 'tensors' ? { frozenTensors: true } : {}) };
}

/** A cell as the trainer takes it, without the place where it runs. */
export function toRequest({ settings, seed }: Cell): TrainingRequest {
  const {
    phases = [],
    regularizers = {},
    window,
    momentum,
    polynomial,
    warmup,
    weightDecay = 0,
    mask,
    ...rest
  } = settings;
  const { learningRate } = settings;
  const hyper = Object.fromEntries(Object.entries({ momentum, window }).filter(([, value]) => value !== undefined));
  return {
    ...rest,
    ...(mask === undefined ? {} : { mask: parseMask(mask) }),
    // Said even where there is none: a recipe has defaults of its own.
    weightDecay,
    hyper: hyper as Record<string, number>,
    regularizers: regularizersOf(regularizers, phases),
    schedules: {
      learningRate:
        warmup !== undefined
          ? { kind: 'warmup', steps: warmup }
          : polynomial !== undefined
            ? { kind: 'polynomial', power: polynomial }
            : { kind: 'epochs', values: [[1, learningRate]] },
      ...schedulesOf(phases),
    },
    seed: BigInt(seed),
  };
}
