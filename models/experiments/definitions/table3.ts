import type { Arm, Experiment } from '../experiment.ts';
import type { Settings } from '../settings.ts';
import type { Printed } from './arms.ts';
import { RULE_TITLES } from '../../recipes/ruleTitles.ts';
import { WITHOUT, accuracy, cifar, lrdLabel, mnist, scaledRate, small } from './arms.ts';
import { ADAM_AND_SGDM, rowsByRule } from './figures.ts';

const PLACE = 'TNNLS Table III';
type Rule = (typeof ADAM_AND_SGDM)[number];
const KEPT = [0.1, 0.3, 0.5, 0.7, 0.9];
/** In the order of the table: p = 1, .1, .3, .5, .7, .9. */
const PUBLISHED: Readonly<Record<Rule, readonly Printed[]>> = {
  adam: [[93.05, 0.27], [93.35, 0.39], [93.96, 0.33], [93.77, 0.26], [93.63, 0.23], [93.35, 0.28]],
  sgdm: [[95.25, 0.16], [94.37, 0.32], [95.42, 0.21], [95.54, 0.2], [95.4, 0.15], [95.26, 0.18]],
}; // prettier-ignore

function grid(id: string, group: string, base: Settings, published?: readonly Printed[]): Arm[] {
  const without = `${id}/p=1`;
  return [
    { id: without, group, label: WITHOUT, settings: base, ...accuracy(published?.[0], PLACE) },
    ...KEPT.map((keepProbability, k): Arm => ({
      id: `${id}/p=${keepProbability}`,
      group,
      label: lrdLabel(keepProbability),
      settings: { ...base, keepProbability },
      baseline: without,
      ...accuracy(published?.[k + 1], PLACE),
    })),
    ...KEPT.map((keepProbability) => scaledRate(id, group, base, keepProbability, without)),
  ];
}

const cifarArms = ADAM_AND_SGDM.flatMap((rule) =>
  grid(`cifar10/${rule}`, `ResNet-34 on CIFAR-10, ${RULE_TITLES[rule]}`, cifar(rule), PUBLISHED[rule]),
);
/** Not in the paper: the same grid where a laptop can run it. */
const mnistArms = ADAM_AND_SGDM.flatMap((rule) =>
  grid(`mnist/${rule}`, `FCNet on MNIST, ${RULE_TITLES[rule]} (not in the paper)`, mnist(rule)),
);

export const table3: Experiment = {
  name: 'table3',
  title: 'The keep probability p',
  paper: 'tnnls',
  places: 'Table III and Fig. 12',
  seeds: 5,
  metric: 'testAccuracy',
  arms: [...cifarArms, ...mnistArms],
  figures: [
    rowsByRule('Fig. 12', 'ResNet-34 on CIFAR-10 with p in {1, .1, .3, .5, .7, .9}', cifarArms),
    rowsByRule('As Fig. 12', 'FCNet on MNIST, which the paper does not show', mnistArms, [
      'trainLoss',
      'trainAccuracy',
      'testAccuracy',
    ]),
  ],
  targets: [
    { arms: 'mnist/', metric: 'trainLoss', value: 0.1 },
    { arms: 'mnist/', metric: 'testAccuracy', value: 97 },
    { arms: 'cifar10/', metric: 'trainLoss', value: 0.5 },
    { arms: 'cifar10/', metric: 'testAccuracy', value: 85 },
  ],
  claims: [
    'For any p LRD speeds up training, and the smaller p, the faster the convergence.',
    'Almost all values of p improve the test accuracy. (The paper’s own table has SGDM with p = .1 below SGDM without LRD.)',
  ],
  notes: ['The MNIST arms are not in the paper: they are the same grid on a network that trains without a GPU.'],
  small,
};
