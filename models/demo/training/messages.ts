/** What the page and the worker that trains say to each other. */
import type { RuleName } from 'learning-rate-dropout/spec';

export const BACKENDS = ['webgpu', 'wasm', 'webgl', 'cpu'] as const;
export type Backend = (typeof BACKENDS)[number];

/** A training from its beginning. */
export interface TrainingSettings {
  readonly rule: Exclude<RuleName, 'sgdm-avg'>;
  /** Of the arm with learning rate dropout. */
  readonly keepProbability: number;
  readonly learningRate: number;
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
  | { readonly kind: 'change'; readonly keepProbability: number; readonly learningRate: number };

/** A value for each arm. */
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
