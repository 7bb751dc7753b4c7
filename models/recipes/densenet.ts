import { denseNet } from '../nets/densenet.ts';
import { checkImages, imageRecipe } from './images.ts';
import { CIFAR_DEFAULTS } from './recipe.ts';

/** DenseNet-121 of TNNLS IV-A.2. */
export const DENSENET121 = imageRecipe({
  name: 'densenet121',
  title: 'DenseNet-121 with growth 32 for CIFAR (TNNLS IV-A.2)',
  width: 'growth: feature maps that a layer adds, 32',
  defaults: { data: 'cifar100', ...CIFAR_DEFAULTS },
  check: (set) => checkImages('densenet121', set, 8),
  build: (set, { width, ...options }) =>
    denseNet('densenet121', {
      classes: set.classes.length,
      ...options,
      ...(width === undefined ? {} : { growth: width }),
    }),
});
