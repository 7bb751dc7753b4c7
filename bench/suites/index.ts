import { step } from './step.ts';
import type { Suite } from './suite.ts';

/** All suites, in the order in which `lrd bench` runs them. */
export const SUITES: readonly Suite[] = [step];
