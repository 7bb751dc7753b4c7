import { checkResNetWidth, resNet, smallResNet } from '../nets/resnet.ts';
import type { ResNetName } from '../nets/resnet.ts';
import type { ImageRecipe } from './images.ts';
import { checkImages, imageRecipe } from './images.ts';
import type { RecipeDefaults } from './recipe.ts';
import { CIFAR_DEFAULTS, FILTERS, steps } from './recipe.ts';

function residual(name: ResNetName, title: string, defaults: RecipeDefaults, side: number): ImageRecipe {
  return imageRecipe({
    name,
    title,
    width: name === 'resnext50' ? `${FILTERS}; a multiple of 16` : FILTERS,
    defaults,
    check: (set, width) => {
      checkImages(name, set, side);
      if (width !== undefined) checkResNetWidth(name, width);
    },
    build: (set, options) => resNet(name, { classes: set.classes.length, ...options }),
  });
}

/** The third paper's section 3 and Table 1: batches of 50, three annealing phases of 250, 100 and 100 epochs. */
function small(n: number, title: string): ImageRecipe {
  const name = `resnet${6 * n + 2}`;
  return imageRecipe({
    name,
    title,
    width: 'filters of the first stage, 16',
    defaults: {
      data: 'cifar10',
      batchSize: 50,
      epochs: 450,
      weightDecay: 1e-4,
      schedules: { learningRate: { kind: 'restarts' } },
    },
    check: (set) => checkImages(name, set, 8),
    build: (set, options) => smallResNet(name, { n, classes: set.classes.length, ...options }),
  });
}

const CIFAR10 = { data: 'cifar10', ...CIFAR_DEFAULTS } as const;

/** The residual networks of the papers. */
export const RESNETS: readonly ImageRecipe[] = [
  residual('resnet18', 'ResNet-18 for CIFAR (TNNLS figure 1)', CIFAR10, 8),
  residual('resnet34', 'ResNet-34 for CIFAR (TNNLS IV-A.2)', CIFAR10, 8),
  residual('resnet101', 'ResNet-101 for CIFAR (TNNLS figure 1)', CIFAR10, 8),
  small(2, 'ResNet with 6n + 2 = 14 layers, "Shallow Resnet" (Adapting Regularization, section 3)'),
  small(5, 'ResNet with 6n + 2 = 32 layers (Adapting Regularization, section 3)'),
  residual(
    'resnext50',
    'ResNeXt-50 32x4d for Tiny ImageNet (TNNLS IV-A.3)',
    { data: 'tiny-imagenet', batchSize: 100, epochs: 90, weightDecay: 5e-4, schedules: steps(30, 60) },
    32,
  ),
  residual(
    'resnet50',
    'ResNet-50 for ImageNet (TNNLS IV-A.4)',
    { data: 'imagenet', batchSize: 256, epochs: 80, weightDecay: 5e-4, schedules: steps(20, 40, 60) },
    32,
  ),
];
