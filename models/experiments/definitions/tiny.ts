import type { Experiment } from '../experiment.ts';
import type { Settings } from '../settings.ts';
import { pair, small } from './arms.ts';
import { sideBySide } from './figures.ts';

const CLAIMS = ['LRD shows a better accuracy, and reaches it sooner.'];

const resnext: Settings = {
  recipe: 'resnext50',
  data: 'tiny-imagenet',
  optimizer: 'sgdm',
  keepProbability: 1,
  learningRate: 0.1,
  weightDecay: 5e-4,
  batchSize: 100,
  epochs: 90,
  phases: [
    { from: 31, learningRate: 0.01 },
    { from: 61, learningRate: 0.001 },
  ],
};
const tinyArms = pair({
  id: 'tiny-imagenet',
  group: 'ResNeXt-50 (32x4d) on Tiny ImageNet, SGDM',
  base: resnext,
  place: 'TNNLS Fig. 7',
});

export const fig7: Experiment = {
  name: 'fig7',
  title: 'Tiny ImageNet',
  paper: 'tnnls',
  places: 'Fig. 7',
  seeds: 5,
  metric: 'testAccuracy',
  arms: tinyArms,
  figures: [
    sideBySide('Fig. 7', 'ResNeXt-50 (32x4d) on Tiny ImageNet', tinyArms, [
      ['Training accuracy', 'trainAccuracy'],
      ['Validation accuracy', 'testAccuracy'],
    ]),
  ],
  targets: [{ arms: 'tiny-imagenet/', metric: 'testAccuracy', value: 50 }],
  claims: CLAIMS,
  notes: ['The paper prints no figures here, only curves.'],
  small,
};

const resnet50: Settings = {
  recipe: 'resnet50',
  data: 'imagenet',
  optimizer: 'sgdm',
  keepProbability: 1,
  learningRate: 0.1,
  weightDecay: 5e-4,
  batchSize: 256,
  epochs: 80,
  phases: [
    { from: 21, learningRate: 0.01 },
    { from: 41, learningRate: 0.001 },
    { from: 61, learningRate: 0.0001 },
  ],
};
const imagenetArms = pair({
  id: 'imagenet',
  group: 'ResNet-50 on ImageNet, SGDM',
  base: resnet50,
  place: 'TNNLS Fig. 8',
});

export const fig8: Experiment = {
  name: 'fig8',
  title: 'ImageNet',
  paper: 'tnnls',
  places: 'Fig. 8',
  seeds: 5,
  metric: 'testAccuracy',
  arms: imagenetArms,
  figures: [
    sideBySide('Fig. 8', 'ResNet-50 on ImageNet, validation', imagenetArms, [
      ['Top-1 accuracy', 'testAccuracy'],
      ['Top-5 accuracy', 'top5'],
    ]),
  ],
  targets: [{ arms: 'imagenet/', metric: 'testAccuracy', value: 65 }],
  claims: CLAIMS,
  notes: ['The paper prints no figures here, only curves.'],
  small,
};
