import { cost } from './cost.ts';
import { dropIn } from './dropIn.ts';
import { engines } from './engines.ts';
import { epoch } from './epoch.ts';
import { mask } from './mask.ts';
import { masks } from './masks.ts';
import { parallel } from './parallel.ts';
import { products } from './products.ts';
import { reference } from './reference.ts';
import { resnet34 } from './resnet34.ts';
import { silent } from './silent.ts';
import { scale } from './scale.ts';
import { step } from './step.ts';
import type { Suite } from './suite.ts';
import { train } from './train.ts';

/** All suites, in the order in which `lrd bench` runs them. */
export const SUITES: readonly Suite[] = [
  step,
  cost,
  mask,
  masks,
  scale,
  silent,
  epoch,
  train,
  resnet34,
  reference,
  engines,
  dropIn,
  products,
  parallel,
];
