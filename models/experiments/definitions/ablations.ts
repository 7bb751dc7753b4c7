import { totalmem } from 'node:os';
import type { Arm, Experiment } from '../experiment.ts';
import type { Settings } from '../settings.ts';
import type { Printed } from './arms.ts';
import { WITHOUT, cifar, lrdLabel, pair, rescaled, small } from './arms.ts';
import { sideBySide } from './figures.ts';

type Pairs = readonly (readonly [value: number, without: Printed, lrd: Printed])[];

const BETAS: Pairs = [
  [0, [94.45, 0.19], [93.91, 0.22]],
  [0.5, [94.67, 0.3], [95.08, 0.29]],
  [0.9, [95.25, 0.16], [95.54, 0.2]],
  [0.99, [92.53, 0.39], [93.36, 0.42]],
];
const betaArms = BETAS.flatMap(([momentum, without, lrd]) =>
  pair({
    id: `beta=${momentum}`,
    group: `ResNet-34 on CIFAR-10, SGDM, β = ${momentum}`,
    base: momentum === 0.9 ? cifar('sgdm') : { ...cifar('sgdm'), momentum },
    published: [without, lrd],
    place: 'TNNLS Table IV',
  }),
);

export const table4: Experiment = {
  name: 'table4',
  title: 'The momentum factor β',
  paper: 'tnnls',
  places: 'Table IV and Fig. 13',
  seeds: 5,
  metric: 'testAccuracy',
  arms: betaArms,
  figures: [
    sideBySide(
      'Fig. 13',
      'ResNet-34 on CIFAR-10 with β = 0',
      betaArms.filter(({ id, control }) => id.startsWith('beta=0/') && control !== true),
      [
        ['(a) training accuracy', 'trainAccuracy'],
        ['(b) test accuracy', 'testAccuracy'],
      ],
    ),
  ],
  targets: [
    { arms: 'beta=', metric: 'trainLoss', value: 0.5 },
    { arms: 'beta=', metric: 'testAccuracy', value: 85 },
  ],
  claims: ['LRD gains when β is not zero; with β = 0 it accelerates convergence and overfits.'],
  notes: ['The authors’ released SGDM ends with an error at β = 0, so that row was not made by it.'],
  small,
};

const BATCHES: Pairs = [
  [32, [93.93, 0.37], [95.24, 0.3]],
  [64, [95.02, 0.31], [95.51, 0.19]],
  [128, [95.25, 0.16], [95.54, 0.2]],
  [256, [95.17, 0.24], [95.4, 0.27]],
  [512, [94.83, 0.21], [94.98, 0.24]],
  [1024, [94.26, 0.19], [94.5, 0.28]],
];
const batchArms = BATCHES.flatMap(([batchSize, without, lrd]) =>
  pair({
    id: `batch=${batchSize}`,
    group: `ResNet-34 on CIFAR-10, SGDM, batch ${batchSize}`,
    base: { ...cifar('sgdm'), batchSize },
    published: [without, lrd],
    place: 'TNNLS Table V',
  }),
);

export const table5: Experiment = {
  name: 'table5',
  title: 'The batch size',
  paper: 'tnnls',
  places: 'Table V',
  seeds: 5,
  metric: 'testAccuracy',
  arms: batchArms,
  figures: [
    {
      place: 'Beside Table V',
      about: 'ResNet-34 on CIFAR-10 by batch size; the paper draws no curves',
      columns: 3,
      panels: BATCHES.map(([batchSize]) => ({
        title: `batch ${batchSize}`,
        metric: 'testAccuracy' as const,
        arms: [`batch=${batchSize}/p=1`, `batch=${batchSize}/p=0.5`],
      })),
    },
  ],
  targets: [{ arms: 'batch=', metric: 'trainLoss', value: 0.5 }],
  claims: ['The smaller the batch, the better the effect of LRD.'],
  notes: ['The learning rate stays .1 for every batch size: the paper names no other.'],
  // Here the batch size is the question, so it shrinks with the rest and stays different from arm to arm.
  small: (settings) => ({ ...small(settings), batchSize: settings.batchSize / 8 }),
};

const WINDOWS: Pairs = [
  [10, [94.52, 0.37], [95.03, 0.34]],
  [100, [93.75, 0.21], [94.46, 0.3]],
  [500, [90.65, 0.29], [91.39, 0.38]],
];
const averaged = (window: number): Settings => ({ ...cifar('sgdm'), optimizer: 'sgdm-avg', window });
const windowArms: readonly Arm[] = [
  ...pair({
    id: 'ema',
    group: 'ResNet-34 on CIFAR-10, EMAvg (eq. 1)',
    base: cifar('sgdm'),
    published: [[95.25, 0.16], [95.54, 0.2]],
    place: 'TNNLS Table VI',
  }), // prettier-ignore
  ...WINDOWS.flatMap(([window, without, lrd]) => {
    const id = `k=${window}`;
    const group = `ResNet-34 on CIFAR-10, mean of ${window} gradients (eq. 10)`;
    const base = averaged(window);
    const tenfold = [1, 0.5].map((keepProbability): Arm => ({
      id: `${id}/p=${keepProbability},lr*10`,
      group,
      label: `control: ${keepProbability === 1 ? WITHOUT : lrdLabel(keepProbability)}, learning rate × 10`,
      settings: rescaled({ ...base, keepProbability }, 10),
      baseline: keepProbability === 1 ? `${id}/p=1` : `${id}/p=1,lr*10`,
      control: true,
    }));
    return [...pair({ id, group, base, published: [without, lrd], place: 'TNNLS Table VI' }), ...tenfold];
  }),
];

/** ResNet-34 for CIFAR at full width; convolutions shrink with its square. */
const RESNET34 = 21_282_122;
const GIGABYTE = 1e9;

function ringMemory({ window, width, recipe }: Settings): string | undefined {
  if (window === undefined) return undefined;
  const share = recipe === 'resnet34' ? ((width ?? 64) / 64) ** 2 : NaN;
  const gigabytes = (window * RESNET34 * share * 4) / GIGABYTE;
  if (!Number.isFinite(gigabytes)) return `the mean of ${window} gradients keeps ${window} copies of the parameters`;
  const have = totalmem() / GIGABYTE;
  const text = `the mean of ${window} gradients keeps ${window} copies of the parameters: ${gigabytes.toFixed(gigabytes < 1 ? 2 : 1)} GB`;
  return gigabytes > have ? `${text}, more than the ${have.toFixed(0)} GB that this machine has` : text;
}

export const table6: Experiment = {
  name: 'table6',
  title: 'Another update of the momentum',
  paper: 'tnnls',
  places: 'Table VI',
  seeds: 5,
  metric: 'testAccuracy',
  arms: windowArms,
  figures: [
    {
      place: 'Beside Table VI',
      about: 'ResNet-34 on CIFAR-10 by the momentum’s update; the paper draws no curves',
      columns: 4,
      panels: ['ema', ...WINDOWS.map(([window]) => `k=${window}`)].map((id) => ({
        title: id === 'ema' ? 'EMAvg' : `Avg (${id.replace('=', ' = ')})`,
        metric: 'testAccuracy' as const,
        arms: [`${id}/p=1`, `${id}/p=0.5`],
      })),
    },
  ],
  targets: [{ arms: '', metric: 'trainLoss', value: 0.5 }],
  claims: ['LRD still contributes to generalization when the momentum is a simple mean of k gradients.'],
  notes: [
    'Eq. (1) with β = .9 and η = 1 sums to 10 gradients, eq. (10) to one: at one learning rate the steps of the two differ by a ' +
      'factor of ten. The paper names no other rate; the arms with ten times the rate show what that does.',
    'Before k gradients are there, the missing ones count as zero.',
  ],
  memory: ringMemory,
  small,
};

const costArms: readonly Arm[] = [1, 0.5].map((keepProbability): Arm => {
  const { phases: _, ...settings } = cifar('sgdm');
  const published = keepProbability === 1 ? 31.3 : 32.5;
  return {
    id: `sgdm/p=${keepProbability}`,
    group: 'ResNet-34 on CIFAR-10, SGDM',
    label: keepProbability === 1 ? WITHOUT : lrdLabel(keepProbability),
    settings: { ...settings, keepProbability, epochs: 2 },
    ...(keepProbability === 1 ? {} : { baseline: 'sgdm/p=1' }),
    published: { metric: 'seconds', mean: published, place: 'TNNLS IV-A.6' },
  };
});

export const cost: Experiment = {
  name: 'cost',
  title: 'What LRD costs',
  paper: 'tnnls',
  places: 'section IV-A.6',
  seeds: 5,
  metric: 'seconds',
  arms: costArms,
  figures: [],
  targets: [],
  claims: ['Training with LRD takes 32.5 s an epoch where it takes 31.3 s without: 3.8 % more.'],
  notes: [
    'The arms take turns, seed by seed; the second epoch counts. Run it with one worker and nothing else beside it. `lrd bench` ' +
      'measures the same in turns of steps, with quartiles.',
  ],
  small: (settings) => ({ ...small(settings), epochs: 2 }),
};
