import type { RuleName } from '../../spec/rules.ts';
import { adam } from './adam.ts';
import { adamw } from './adamw.ts';
import { amsgrad } from './amsgrad.ts';
import { radam } from './radam.ts';
import { rmsprop } from './rmsprop.ts';
import type { BaseRule } from './rule.ts';
import { sgdm } from './sgdm.ts';
import { sgdmAvg } from './sgdmAvg.ts';

/** Every base rule by its name in `spec/rules.ts`. */
export const BASE_RULES: { readonly [R in RuleName]: BaseRule<R> } = {
  sgdm,
  'sgdm-avg': sgdmAvg,
  rmsprop,
  adam,
  amsgrad,
  radam,
  adamw,
};
