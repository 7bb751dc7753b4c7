import type { Arm, Experiment } from '../experiment.ts';
import type { Settings } from '../settings.ts';
import { cifar, small } from './arms.ts';
import { sideBySide } from './figures.ts';

const group = 'ResNets on CIFAR-10, SGDM';
const on = (recipe: string): Settings => ({ ...cifar('sgdm'), recipe });
const arms: readonly Arm[] = [
  { id: 'resnet101', group, label: 'ResNet-101', settings: on('resnet101') },
  { id: 'resnet18', group, label: 'ResNet-18', settings: on('resnet18'), baseline: 'resnet101' },
  {
    id: 'resnet101/fixed=elements',
    group,
    label: 'ResNet-101, half of the elements fixed',
    settings: { ...on('resnet101'), regularizers: { frozen: 'elements' } },
    baseline: 'resnet101',
  },
  {
    id: 'resnet101/fixed=tensors',
    group,
    label: 'ResNet-101, half fixed by whole tensors',
    settings: { ...on('resnet101'), regularizers: { frozen: 'tensors' } },
    baseline: 'resnet101',
  },
  {
    id: 'resnet101/p=0.5',
    group,
    label: 'control: ResNet-101, a new half at each step (LRD, p = 0.5)',
    settings: { ...on('resnet101'), keepProbability: 0.5 },
    baseline: 'resnet101',
    control: true,
  },
];

export const fig1: Experiment = {
  name: 'fig1',
  title: 'Half of the parameters fixed to their initial values',
  paper: 'tnnls',
  places: 'Fig. 1',
  seeds: 5,
  metric: 'trainAccuracy',
  arms,
  figures: [
    sideBySide('Fig. 1', 'ResNet-18 and ResNet-101, whole and with half of its parameters fixed', arms, [
      ['(a) training accuracy', 'trainAccuracy'],
      ['(b) loss', 'trainLoss'],
    ]),
  ],
  targets: [
    { arms: 'resnet', metric: 'trainLoss', value: 0.5 },
    { arms: 'resnet', metric: 'trainAccuracy', value: 90 },
  ],
  claims: ['Reducing the amount of parameters to be updated significantly improves the convergence speed.'],
  notes: [
    'The paper names neither optimizer nor settings here: those of ResNet-34 on CIFAR-10 with SGDM are used.',
    'It does not say how the half is chosen: element by element (one mask, drawn at the first step and held) and by whole ' +
      'tensors, until half of the parameters stand still, are both run.',
  ],
  small,
};
