import type { Arm, Experiment, Figure, Metric } from '../experiment.ts';
import type { Settings } from '../settings.ts';
import type { Printed, TableRule } from './arms.ts';
import { RULE_TITLES } from '../../recipes/ruleTitles.ts';
import { RATES, WITHOUT, cifar, lrdLabel, mnist, pair, small } from './arms.ts';

type Row = Readonly<Record<TableRule, readonly [without: Printed, lrd: Printed]>>;

const PLACE = 'TNNLS Table I';
const MNIST: Row = {
  sgdm: [[97.75, 0.32], [98.46, 0.28]],
  rmsprop: [[97.92, 0.29], [98.4, 0.25]],
  adam: [[98.06, 0.35], [98.23, 0.38]],
  amsgrad: [[98.09, 0.2], [98.5, 0.31]],
  radam: [[97.97, 0.29], [98.31, 0.26]],
}; // prettier-ignore
const CIFAR10: Row = {
  sgdm: [[95.25, 0.16], [95.54, 0.2]],
  rmsprop: [[92.71, 0.35], [93.68, 0.29]],
  adam: [[93.05, 0.27], [93.77, 0.26]],
  amsgrad: [[93.31, 0.19], [93.73, 0.28]],
  radam: [[94.24, 0.21], [94.61, 0.23]],
}; // prettier-ignore
const CIFAR100: Row = {
  sgdm: [[79.09, 0.14], [79.42, 0.18]],
  rmsprop: [[70.21, 0.43], [74.02, 0.37]],
  adam: [[72.55, 0.36], [74.34, 0.41]],
  amsgrad: [[73.91, 0.26], [75.23, 0.22]],
  radam: [[71.81, 0.3], [73.04, 0.25]],
}; // prettier-ignore

const RULES = Object.keys(RATES) as TableRule[];

/** Where weight decay is coupled, RMSprop also without it: the authors' code drops it from the update of the LRD arm alone. */
function withoutDecay(id: string, group: string, base: Settings): Arm[] {
  return [1, 0.5].map((keepProbability) => ({
    id: `${id}/p=${keepProbability},l2=0`,
    group,
    label: `control: ${keepProbability === 1 ? WITHOUT : lrdLabel(keepProbability)}, no L2`,
    settings: { ...base, keepProbability, weightDecay: 0 },
    baseline: keepProbability === 1 ? `${id}/p=1` : `${id}/p=1,l2=0`,
    control: true,
  }));
}

function row(data: 'mnist' | 'cifar10' | 'cifar100', title: string, published: Row): Arm[] {
  return RULES.flatMap((rule) => {
    const base = data === 'mnist' ? mnist(rule) : cifar(rule, data);
    const [id, group] = [`${data}/${rule}`, `${title}, ${RULE_TITLES[rule]}`];
    const arms = pair({ id, group, base, published: published[rule], place: PLACE });
    return rule === 'rmsprop' && data !== 'mnist' ? [...arms, ...withoutDecay(id, group, base)] : arms;
  });
}

/** Figs. 4 to 6: a column for each rule; training loss, training accuracy and test accuracy from top to bottom. */
function figure(place: string, about: string, data: string, arms: readonly Arm[]): Figure {
  const metrics: readonly Metric[] = ['trainLoss', 'trainAccuracy', 'testAccuracy'];
  return {
    place,
    about,
    columns: RULES.length,
    panels: metrics.flatMap((metric) =>
      RULES.map((rule) => ({
        title: RULE_TITLES[rule] as string,
        metric,
        arms: arms.map(({ id }) => id).filter((id) => id.startsWith(`${data}/${rule}/`)),
      })),
    ),
  };
}

const arms = [
  ...row('mnist', 'FCNet on MNIST', MNIST),
  ...row('cifar10', 'ResNet-34 on CIFAR-10', CIFAR10),
  ...row('cifar100', 'DenseNet-121 on CIFAR-100', CIFAR100),
];

export const table1: Experiment = {
  name: 'table1',
  title: 'Five optimizers with and without LRD',
  paper: 'tnnls',
  places: 'Table I and Figs. 4, 5, 6',
  seeds: 5,
  metric: 'testAccuracy',
  arms,
  figures: [
    figure('Fig. 4', 'a fully connected network on MNIST', 'mnist', arms),
    figure('Fig. 5', 'ResNet-34 on CIFAR-10', 'cifar10', arms),
    figure('Fig. 6', 'DenseNet-121 on CIFAR-100', 'cifar100', arms),
  ],
  targets: [
    { arms: 'mnist/', metric: 'trainLoss', value: 0.1 },
    { arms: 'mnist/', metric: 'testAccuracy', value: 97 },
    { arms: 'cifar10/', metric: 'trainLoss', value: 0.5 },
    { arms: 'cifar10/', metric: 'testAccuracy', value: 85 },
    { arms: 'cifar100/', metric: 'trainLoss', value: 1.5 },
    { arms: 'cifar100/', metric: 'testAccuracy', value: 55 },
  ],
  claims: [
    'LRD raises the test accuracy of every optimizer on every data set.',
    'LRD speeds up training: the loss falls faster, and SGDM with LRD converges about as fast as the adaptive rules.',
  ],
  notes: [
    'Weight decay is given for CIFAR alone; MNIST has none here.',
    '"Reduced by ten times at the 100th and 150th epochs" is read as: epochs 1 to 100 have the first rate.',
    "The authors' released RMSprop drops weight decay from the update of the LRD arm, and only there. Here both arms have it; " +
      'the arms without L2 show what it does.',
    'The learning rate .03 of RAdam is called its default in the paper; the rule’s authors have 1e-3.',
  ],
  small,
};
