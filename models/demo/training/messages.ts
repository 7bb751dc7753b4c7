/** What the page and the worker that trains say to each other. */
import type { MaskRequest } from 'learning-rate-dropout';
import type { RuleName } from 'learning-rate-dropout/spec';

export const BACKENDS = ['webgpu', 'wasm', 'webgl', 'cpu'] as const;
export type Backend = (typeof BACKENDS)[number];

/** The kinds of mask that can be tried: learning rate dropout and its relatives. */
export const MASKS = {
  lrd: { kind: 'lrd' },
  'lrd-inverse': { kind: 'lrd', factor: 'inverse' },
  'skip-update': { kind: 'skip-update' },
  magma: { kind: 'magma' },
  cautious: { kind: 'cautious' },
} as const satisfies Readonly<Record<string, MaskRequest>>;
export type MaskName = keyof typeof MASKS;

/** What may change between two steps of a training. */
export interface Rates {
  /** Of the masked arm; a mask that draws nothing has none. */
  readonly keepProbability: number;
  readonly learningRate: number;
  /** Whether the arm without a mask has the learning rate times the keep probability: the control for a mask that only slows. */
  readonly control: boolean;
}

/** A training from its beginning. */
export interface TrainingSettings extends Rates {
  readonly rule: Exclude<RuleName, 'sgdm-avg'>;
  readonly mask: MaskName;
  /** Units of each hidden layer. */
  readonly width: number;
  readonly seed: number;
}

export type Request =
  /** First of all: finds out what this browser has, and starts the best. */
  | { readonly kind: 'open'; readonly wasmUrl: string }
  /** `auto` takes the best there is. A training under way goes on there. */
  | { readonly kind: 'use'; readonly backend: Backend | 'auto' }
  | { readonly kind: 'begin'; readonly settings: TrainingSettings }
  | { readonly kind: 'run' }
  | { readonly kind: 'pause' }
  /** Between two steps of a training under way. */
  | { readonly kind: 'change'; readonly rates: Rates };

/** A value for each arm: the base rule, and the same with the mask. */
export interface Arms {
  readonly plain: number;
  readonly lrd: number;
}

export interface BackendReport {
  readonly backend: Backend;
  /** Why it cannot be used; undefined where it can. */
  readonly missing: string | undefined;
}

export type Answer =
  | {
      readonly kind: 'using';
      readonly backend: Backend;
      /** What it runs on, such as an adapter's name. */
      readonly on: string;
      readonly why: string;
      readonly others: readonly BackendReport[];
    }
  | { readonly kind: 'begun'; readonly parameters: number }
  | {
      readonly kind: 'progress';
      readonly step: number;
      /** A fraction included. */
      readonly epoch: number;
      /** Optimizer steps a second, those of both arms counted. */
      readonly stepsPerSecond: number;
      /** Mean training loss over the steps of the last epoch's length. */
      readonly loss: Arms;
    }
  /** At an epoch's end: percent of the test images that are recognised. */
  | { readonly kind: 'tested'; readonly epoch: number; readonly accuracy: Arms }
  | { readonly kind: 'state'; readonly running: boolean }
  | { readonly kind: 'failed'; readonly message: string };
