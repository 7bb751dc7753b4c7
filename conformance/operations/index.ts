import { ARRAYS } from './arrayOperations.ts';
import { ELEMENTWISE } from './elementwiseOperations.ts';
import type { Operation } from './operation.ts';
import { WINDOWS } from './windowOperations.ts';

/** All operations that are tried. */
export const OPERATIONS: readonly Operation[] = [...ELEMENTWISE, ...ARRAYS, ...WINDOWS];

/** Gradients of tfjs-core that none of them tries, and why. */
export const UNTRIED: Readonly<Record<string, string>> = {
  ComplexAbs: 'complex numbers: no variable is one',
};
