import type { Arm, Experiment } from '../experiment.ts';
import type { Regularizers } from '../settings.ts';
import type { Printed } from './arms.ts';
import { RULE_TITLES } from '../../recipes/ruleTitles.ts';
import { accuracy, cifar, scaledRate, small } from './arms.ts';
import { ADAM_AND_SGDM, rowsByRule } from './figures.ts';

/** A line of Table II or of arXiv v1 Table 3: a name, what is done, and the accuracies of Adam and SGDM. */
type Line = readonly [
  id: string,
  label: string,
  lrd: boolean,
  regularizers: Regularizers | undefined,
  adam: Printed | undefined,
  sgdm: Printed | undefined,
];

function armsOf(lines: readonly Line[], place: string): Arm[] {
  return ADAM_AND_SGDM.flatMap((rule) => {
    const group = `ResNet-34 on CIFAR-10, ${RULE_TITLES[rule]}`;
    const base = cifar(rule);
    const baseline = `${rule}/none`;
    const arms = lines.map(([id, label, lrd, regularizers, adam, sgdm]): Arm => {
      const settings = { ...base, keepProbability: lrd ? 0.5 : 1 };
      return {
        id: `${rule}/${id}`,
        group,
        label,
        settings: regularizers === undefined ? settings : { ...settings, regularizers },
        ...(id === 'none' ? {} : { baseline }),
        ...accuracy(rule === 'adam' ? adam : sgdm, place),
      };
    });
    return [...arms, scaledRate(rule, group, base, 0.5, baseline)];
  });
}

const TARGETS: Experiment['targets'] = ADAM_AND_SGDM.flatMap((rule) => [
  { arms: `${rule}/`, metric: 'trainLoss', value: 0.5 } as const,
  { arms: `${rule}/`, metric: 'testAccuracy', value: 85 } as const,
]);

const table2Arms = armsOf(
  [
    ['none', 'no regularization', false, undefined, [93.05, 0.27], [95.25, 0.16]],
    ['sd', 'standard dropout (SD)', false, { retain: 0.9 }, [93.98, 0.38], [95.36, 0.25]],
    ['nl', 'noisy labels (NL)', false, { labelNoise: 0.1 }, [92.73, 0.34], [95.29, 0.23]],
    ['gc', 'gradient centralization (GC)', false, { centralize: true }, [92.69, 0.21], [95.4, 0.14]],
    ['lrd', 'LRD', true, undefined, [93.77, 0.26], [95.54, 0.2]],
    ['lrd+sd', 'LRD and SD', true, { retain: 0.9 }, [94.7, 0.39], [95.58, 0.27]],
  ],
  'TNNLS Table II',
);

export const table2: Experiment = {
  name: 'table2',
  title: 'LRD beside other regularizers',
  paper: 'tnnls',
  places: 'Table II and Fig. 11',
  seeds: 5,
  metric: 'testAccuracy',
  arms: table2Arms,
  figures: [rowsByRule('Fig. 11', 'ResNet-34 on CIFAR-10 with different regularization methods', table2Arms)],
  targets: TARGETS,
  claims: [
    'LRD speeds up training, while standard dropout and noisy labels slow it down.',
    'LRD and standard dropout together are better than each alone.',
  ],
  notes: [
    'Standard dropout stands where the authors’ compiled network has it: behind the stem, inside each block, and on projection shortcuts.',
  ],
  small,
};

const arxivArms = armsOf(
  [
    ['none', 'no regularization', false, undefined, 93.05, 95.3],
    ['sd', 'standard dropout (SD)', false, { retain: 0.9 }, 94.05, 95.33],
    ['ng', 'noise gradient (NG)', false, { gradientNoise: 0.1 }, 93.7, 95],
    ['nl', 'noisy labels (NL)', false, { labelNoise: 0.05 }, 92.59, 94.61],
    ['lrd', 'LRD', true, undefined, 93.77, 95.54],
    ['lrd+sd', 'LRD and SD', true, { retain: 0.9 }, 94.73, 95.58],
    ['lrd+ng', 'LRD and NG', true, { gradientNoise: 0.1 }, 93.92, 95.26],
  ],
  'arXiv v1 Table 3',
);

export const arxivTable3: Experiment = {
  name: 'arxiv-table3',
  title: 'LRD beside other regularizers, first version',
  paper: 'arxiv',
  places: 'Table 3 and Fig. 11',
  seeds: 5,
  metric: 'testAccuracy',
  arms: arxivArms,
  figures: [rowsByRule('Fig. 11', 'ResNet-34 on CIFAR-10 with different regularization strategies', arxivArms)],
  targets: TARGETS,
  claims: [
    'LRD speeds up training, the other methods hinder it; LRD and another method together are better than without.',
  ],
  notes: [
    '"n ~ N(0, 0.1)" with the decay of Neelakantan et al. is read as a variance of .1 / (1 + t)^.55, t from 0.',
    'The number of trials is not given in this version; five are run, as in the later one.',
  ],
  small,
};

const dgArms = armsOf(
  [
    ['none', 'without LRD', false, undefined, undefined, undefined],
    ['dg', 'dropout on gradients (DG), p = 0.5', false, { gradientKeepProbability: 0.5 }, undefined, undefined],
    ['lrd', 'LRD, p = 0.5', true, undefined, undefined, undefined],
  ],
  'arXiv v1 section 4.6',
);

export const arxivDg: Experiment = {
  name: 'arxiv-dg',
  title: 'Dropout on gradients',
  paper: 'arxiv',
  places: 'section 4.6 and Fig. 12',
  seeds: 5,
  metric: 'testAccuracy',
  arms: dgArms,
  figures: [rowsByRule('Fig. 12', 'LRD against dropout on gradients, ResNet-34 on CIFAR-10', dgArms)],
  targets: TARGETS,
  claims: ['Dropout on gradients has no positive effect on training.'],
  notes: [
    'The data gradient is masked, before L2 is added and without a factor 1/p. The paper prints no figures here.',
  ],
  small,
};

const RETAIN = [1, 0.9, 0.8, 0.7, 0.6];
const RETAINED: readonly Printed[] = [93.05, 94.05, 94.08, 93.34, 92.89];
const sdArms = RETAIN.map((retain, k): Arm => ({
  id: `adam/sd=${retain}`,
  group: 'ResNet-34 on CIFAR-10, Adam',
  label: retain === 1 ? 'no SD' : `SD, retain ${retain}`,
  settings: retain === 1 ? cifar('adam') : { ...cifar('adam'), regularizers: { retain } },
  ...(retain === 1 ? {} : { baseline: 'adam/sd=1' }),
  ...accuracy(RETAINED[k], 'arXiv v1 Table 4'),
}));

export const arxivTable4: Experiment = {
  name: 'arxiv-table4',
  title: 'The rate of standard dropout',
  paper: 'arxiv',
  places: 'Table 4 and Fig. 13',
  seeds: 5,
  metric: 'testAccuracy',
  arms: sdArms,
  figures: [
    {
      place: 'Fig. 13',
      about: 'different retain probabilities of standard dropout, Adam',
      columns: 2,
      panels: (['trainAccuracy', 'testAccuracy'] as const).map((metric) => ({
        title: 'Adam',
        metric,
        arms: sdArms.map(({ id }) => id),
      })),
    },
  ],
  targets: [{ arms: 'adam/', metric: 'trainLoss', value: 0.5 }],
  claims: ['Standard dropout is sensitive to its rate: the less is retained, the worse the convergence.'],
  notes: [],
  small,
};
