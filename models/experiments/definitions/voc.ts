import type { Arm, Experiment, Published } from '../experiment.ts';
import type { Overlay, Settings } from '../settings.ts';
import { pair } from './arms.ts';
import { sideBySide } from './figures.ts';

/** Zhao et al. 2017, section 5.1: batches of 16, weight decay 1e-4, 30,000 steps, which are 45 epochs of 10,582 pictures. */
const pspnet: Settings = {
  recipe: 'pspnet',
  data: 'voc',
  optimizer: 'adam',
  keepProbability: 1,
  learningRate: 0.001,
  weightDecay: 1e-4,
  batchSize: 16,
  epochs: 50,
};

const FIG9 = 'TNNLS IV-B and Fig. 9';
const printed = (metric: 'meanIoU' | 'pixelAccuracy', mean: number): Published => ({ metric, mean, place: FIG9 });

const constantRate = pair({
  id: 'voc/adam',
  group: 'PSPNet on VOC 2012 with SBD, Adam',
  base: pspnet,
  place: FIG9,
}).map((arm): Arm => {
  const mean = { 'voc/adam/p=1': 63.7, 'voc/adam/p=0.5': 68.8 }[arm.id];
  return mean === undefined ? arm : { ...arm, published: printed('meanIoU', mean) };
});
const decayingRate = pair({
  id: 'voc/adam,poly',
  group: 'PSPNet on VOC 2012 with SBD, Adam, polynomial decay of the learning rate',
  base: { ...pspnet, polynomial: 0.9 },
  place: FIG9,
});

/** A narrow network on small crops of a few pictures. */
function small({ recipe }: Settings): Overlay {
  return recipe === 'pspnet'
    ? { width: 8, crop: 121, limit: 8, batchSize: 4, epochs: 6 }
    : { width: 4, limit: 8, batchSize: 4, epochs: 6 };
}

export const fig9: Experiment = {
  name: 'fig9',
  title: 'Semantic segmentation',
  paper: 'tnnls',
  places: 'Fig. 9',
  seeds: 5,
  metric: 'meanIoU',
  further: [
    {
      metric: 'pixelAccuracy',
      published: {
        'voc/adam/p=1': printed('pixelAccuracy', 90.5),
        'voc/adam/p=0.5': printed('pixelAccuracy', 92.1),
      },
    },
  ],
  arms: [...constantRate, ...decayingRate],
  figures: [
    sideBySide('Fig. 9', 'PSPNet on VOC 2012, validation', constantRate, [
      ['Mean IoU', 'meanIoU'],
      ['Pixel accuracy', 'pixelAccuracy'],
    ]),
    sideBySide('As Fig. 9', 'the same with polynomial decay of the learning rate', decayingRate, [
      ['Mean IoU', 'meanIoU'],
      ['Pixel accuracy', 'pixelAccuracy'],
    ]),
  ],
  targets: [{ arms: 'voc/', metric: 'meanIoU', value: 50 }],
  claims: [
    'With LRD the network ends at a mean IoU of .688 and a pixel accuracy of .921; without, at .637 and .905.',
    'With LRD the mean IoU is .5 in the 5th epoch; without, not until the 20th.',
  ],
  notes: [
    'The paper gives Adam and its initial learning rate .001; "batch size and weight decay follow" Zhao et al. 2017, and so do crops ' +
      'of 473, the auxiliary loss and the augmentation here.',
    'It does not say whether the rate decays as theirs does, (1 − step / steps)^.9: both readings are run. The printed figures ' +
      'stand with the constant rate, which is what the text names.',
    'It gives no number of epochs; 50 are theirs, rounded up. Nor does it say what the network starts from: here from random values.',
    'Validation is on whole pictures at one scale. How the paper validates is not said.',
  ],
  small,
};

/** Liu et al. 2016, section 3.1: batches of 32, weight decay 5e-4. */
const ssd: Settings = {
  recipe: 'ssd300',
  data: 'voc',
  optimizer: 'adam',
  keepProbability: 1,
  learningRate: 0.001,
  weightDecay: 5e-4,
  batchSize: 32,
  epochs: 100,
};
const FIG10 = 'TNNLS Fig. 10';
const ssdArms = pair({
  id: 'voc/adam',
  group: 'SSD300 on VOC 2007 + 2012, Adam',
  base: ssd,
  place: FIG10,
});
/** Steps 40,000 and 50,000 of 518 an epoch. */
const ssdSteps = pair({
  id: 'voc/adam,steps',
  group: 'SSD300 on VOC 2007 + 2012, Adam, learning rate reduced as in SSD',
  base: {
    ...ssd,
    phases: [
      { from: 78, learningRate: 1e-4 },
      { from: 98, learningRate: 1e-5 },
    ],
  },
  place: FIG10,
});

export const fig10: Experiment = {
  name: 'fig10',
  title: 'Object detection',
  paper: 'tnnls',
  places: 'Fig. 10',
  seeds: 5,
  metric: 'testLoss',
  further: [
    { metric: 'mAP', published: {} },
    { metric: 'mAPArea', published: {} },
  ],
  arms: [...ssdArms, ...ssdSteps],
  figures: [
    sideBySide('Fig. 10', 'SSD300 on VOC 2007 + 2012 trainval, validated on 2007 test', ssdArms, [
      ['Training loss', 'trainLoss'],
      ['Validation loss', 'testLoss'],
    ]),
    sideBySide('As Fig. 10', 'the same with the learning rate reduced as in SSD', ssdSteps, [
      ['Training loss', 'trainLoss'],
      ['Validation loss', 'testLoss'],
    ]),
    sideBySide('Beside Fig. 10', 'detection accuracy, which the paper does not show', ssdArms, [
      ["Mean average precision, VOC 2007's 11 points", 'mAP'],
      ['Mean average precision, area', 'mAPArea'],
    ]),
  ],
  targets: [],
  claims: [
    'LRD causes the training loss and the validation loss to drop faster and lower.',
    'Without LRD the training loss flattens prematurely; the detector with LRD can achieve a higher accuracy.',
  ],
  notes: [
    'The paper prints no figures here, only curves; it shows losses and no average precision, which stands beside them here.',
    'The loss is the multibox loss a matched box: cross-entropy in nats plus smooth L1 of the offsets.',
    '"Other hyper-parameters are the same as in" Liu et al. 2016. Whether that takes in their reductions of the learning rate, after ' +
      '40,000 and 50,000 steps (77 and 97 epochs of 16,551 pictures), is not said: both readings are run.',
    'It does not say what the network starts from: here from random values.',
  ],
  small,
};
