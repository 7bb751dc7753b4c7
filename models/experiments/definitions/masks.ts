import type { Arm, Experiment, Figure, Metric } from '../experiment.ts';
import { RULE_TITLES } from '../../recipes/ruleTitles.ts';
import { WITHOUT, controlLabel, lrdLabel, mnist, rescaled, small } from './arms.ts';
import type { TableRule } from './arms.ts';

/** The kinds of mask on the network of TNNLS IV-A.1, with the controls that tell a mask from a smaller step. */
const RULES = ['sgdm', 'adam', 'rmsprop'] as const satisfies readonly TableRule[];

/** p of the papers. */
const KEEP = 0.5;
/** Magma's mean step: p times an alignment between sigmoid(-1/2) = .38 and sigmoid(1/2) = .62, so from .19 to .31. */
const MAGMA = 0.25;

function armsOf(rule: TableRule): Arm[] {
  const base = mnist(rule);
  const group = `FCNet on MNIST, ${RULE_TITLES[rule]}`;
  const baseline = `${rule}/none`;
  const arm = (id: string, label: string, settings: Arm['settings'], control = false): Arm => ({
    id: `${rule}/${id}`,
    group,
    label,
    settings,
    ...(id === 'none' ? {} : { baseline }),
    ...(control ? { control } : {}),
  });
  const half = { ...base, keepProbability: KEEP };
  return [
    arm('none', WITHOUT, base),
    arm('lrd', lrdLabel(KEEP), half),
    arm(`lr*${KEEP}`, controlLabel(KEEP), rescaled(base, KEEP), true),
    arm('lrd-inverse', `control: ${lrdLabel(KEEP)}, times 1/p`, { ...half, mask: 'lrd:factor=inverse' }, true),
    arm('skip-update', `SkipUpdate, p = ${KEEP}`, { ...half, mask: 'skip-update' }),
    arm('magma', `Magma, p = ${KEEP}`, { ...half, mask: 'magma' }),
    arm(`lr*${MAGMA}`, controlLabel(MAGMA), rescaled(base, MAGMA), true),
    arm('cautious', 'Cautious', { ...base, mask: 'cautious' }),
  ];
}

const arms = RULES.flatMap(armsOf);
const metrics: readonly Metric[] = ['trainLoss', 'testAccuracy'];
const figure: Figure = {
  place: 'Kinds of mask',
  about: 'a fully connected network on MNIST',
  columns: RULES.length,
  panels: metrics.flatMap((metric) =>
    RULES.map((rule) => ({
      title: RULE_TITLES[rule] as string,
      metric,
      arms: arms.map(({ id }) => id).filter((id) => id.startsWith(`${rule}/`)),
    })),
  ),
};

export const masks: Experiment = {
  name: 'masks',
  title: 'Kinds of mask: LRD, SkipUpdate, Magma and Cautious, with controls',
  paper: 'masking',
  places: 'no table of its own: the network and the length are those of TNNLS Table I and Fig. 4',
  seeds: 3,
  metric: 'testAccuracy',
  further: [{ metric: 'testLoss', published: {} }],
  arms,
  figures: [figure],
  targets: [
    { arms: '', metric: 'trainLoss', value: 0.1 },
    { arms: '', metric: 'testAccuracy', value: 97 },
  ],
  claims: [
    'Masked updates, scaled by 1/p, do better than the dense optimizer, and Magma does better still. The paper says it of language models; ' +
      'of this network it says nothing.',
  ],
  notes: [
    'Every arm of a seed has the same initial values and the same order of examples; differences are paired by seed, on the last epoch.',
    'Rates are those of TNNLS IV-A for every arm: none was tuned, so an arm that would want another rate is not shown at its best.',
    'LRD steps by p on average, SkipUpdate and LRD times 1/p by 1, Magma by p times its alignment: the arms with a scaled rate and without ' +
      'a mask are what a smaller step alone does.',
    'A mask falls on each weight matrix and each bias vector as a whole (SkipUpdate, Magma) or on each element (LRD, Cautious); nothing is left out.',
  ],
  small,
};
