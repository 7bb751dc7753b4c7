import { sizeOf } from 'learning-rate-dropout/internal';
import { fcNet } from '../nets/fcnet.ts';
import { imageRecipe } from './images.ts';

/** The fully connected network of TNNLS IV-A.1. */
export const FCNET = imageRecipe({
  name: 'fcnet',
  title: 'fully connected, two hidden layers of 1000 ReLU units (TNNLS IV-A.1)',
  width: 'units of a hidden layer, 1000',
  defaults: { data: 'mnist', batchSize: 128, epochs: 100 },
  build: (set, options) => fcNet({ inputs: sizeOf(set.shape), classes: set.classes.length, ...options }),
});
