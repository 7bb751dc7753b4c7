import type { Arm, Experiment, Figure, Metric, Selection } from '../experiment.ts';
import { RULE_TITLES } from '../../recipes/ruleTitles.ts';
import { WITHOUT, controlLabel, lrdLabel, mnist, rescaled, small } from './arms.ts';
import type { TableRule } from './arms.ts';

/** The kinds of mask on the network of TNNLS IV-A.1, with the controls that tell a mask from a smaller step. */
const RULES = ['sgdm', 'adam', 'rmsprop'] as const satisfies readonly TableRule[];

/** p of the papers. */
const KEEP = 0.5;
/** Magma's mean step: p times an alignment between sigmoid(-1/2) = .38 and sigmoid(1/2) = .62, so from .19 to .31. */
const MAGMA = 0.25;

/** A tenth of the epochs of TNNLS IV-A.1, a sixth of its training examples held out. */
const SELECTION: Selection = {
  factors: [0.25, 0.5, 1, 2, 4, 8],
  settings: { epochs: 10, validation: 10_000 },
  small: { epochs: 2, validation: 400 },
  metric: 'validationAccuracy',
};

/** An arm at the paper's rate; which of the others it is compared with stands with them. */
interface Kind {
  readonly id: string;
  readonly label: string;
  readonly settings: Arm['settings'];
  readonly control?: boolean;
  /** Of a control that has no mask: the kind whose mean step it takes. */
  readonly like?: string;
  readonly times?: number;
}

function kindsOf(rule: TableRule): readonly Kind[] {
  const base = mnist(rule);
  const half = { ...base, keepProbability: KEEP };
  const rescaling = (like: string, times: number): Kind => ({
    id: `lr*${times}`,
    label: controlLabel(times),
    settings: rescaled(base, times),
    control: true,
    like,
    times,
  });
  return [
    { id: 'none', label: WITHOUT, settings: base },
    { id: 'lrd', label: lrdLabel(KEEP), settings: half },
    rescaling('lrd', KEEP),
    { id: 'lrd-inverse', label: `control: ${lrdLabel(KEEP)}, times 1/p`, settings: { ...half, mask: 'lrd:factor=inverse' }, control: true }, // prettier-ignore
    { id: 'skip-update', label: `SkipUpdate, p = ${KEEP}`, settings: { ...half, mask: 'skip-update' } },
    { id: 'magma', label: `Magma, p = ${KEEP}`, settings: { ...half, mask: 'magma' } },
    rescaling('magma', MAGMA),
    { id: 'cautious', label: 'Cautious', settings: { ...base, mask: 'cautious' } },
  ];
}

/** Every kind at the paper's rate, then every kind at the best of its own; a rescaled rate is the best of the kind that it stands for. */
function armsOf(rule: TableRule): Arm[] {
  const group = `FCNet on MNIST, ${RULE_TITLES[rule]}`;
  const kinds = kindsOf(rule);
  const atPaper = kinds.map(({ id, label, settings, control }): Arm => ({
    id: `${rule}/${id}`,
    group: `${group}, the paper’s rate`,
    label,
    settings,
    ...(id === 'none' ? {} : { baseline: `${rule}/none` }),
    ...(control === undefined ? {} : { control }),
  }));
  const atBest = kinds.map(({ id, label, settings, control, like, times = 1 }): Arm => ({
    id: `${rule}/best/${id}`,
    group: `${group}, the best rate of each`,
    label,
    settings: like === undefined ? settings : mnist(rule),
    rate: { of: `${rule}/best/${like ?? id}`, times },
    ...(id === 'none' ? {} : { baseline: `${rule}/best/none` }),
    ...(control === undefined ? {} : { control }),
  }));
  return [...atPaper, ...atBest];
}

const arms = RULES.flatMap(armsOf);
const metrics: readonly Metric[] = ['trainLoss', 'testAccuracy'];
const figureOf = (place: string, about: string, prefix: string): Figure => ({
  place,
  about,
  columns: RULES.length,
  panels: metrics.flatMap((metric) =>
    RULES.map((rule) => ({
      title: RULE_TITLES[rule] as string,
      metric,
      arms: arms.map(({ id }) => id).filter((id) => new RegExp(`^${rule}/${prefix}[^/]+$`).test(id)),
    })),
  ),
});

export const masks: Experiment = {
  name: 'masks',
  title: 'Kinds of mask: LRD, SkipUpdate, Magma and Cautious, with controls',
  paper: 'masking',
  places: 'no table of its own: the network and the length are those of TNNLS Table I and Fig. 4',
  seeds: 3,
  metric: 'testAccuracy',
  further: [{ metric: 'testLoss', published: {} }],
  arms,
  selection: SELECTION,
  figures: [
    figureOf('Kinds of mask', 'a fully connected network on MNIST, the paper’s rates', ''),
    figureOf('Kinds of mask at their best rates', 'the same, each at the rate that was chosen for it', 'best/'),
  ],
  targets: [
    { arms: '', metric: 'trainLoss', value: 0.1 },
    { arms: '', metric: 'testAccuracy', value: 97 },
  ],
  claims: [
    'LRD trains faster and generalises better than the optimizer without it (TNNLS).',
    'Masked updates, scaled by 1/p, do better than the dense optimizer, and Magma does better still. The paper says it of language models; ' +
      'of this network it says nothing.',
  ],
  notes: [
    'Every arm of a seed has the same initial values and the same order of examples; differences are paired by seed, on the last epoch.',
    'Rates of the first tables are those of TNNLS IV-A for every arm. Those of the others were chosen for each arm by one seed on a short run, ' +
      'on examples of the training set that were held out; the runs that are compared train on the whole of it.',
    'LRD steps by p on average, SkipUpdate and LRD times 1/p by 1, Magma by p times its alignment: the arms with a scaled rate and without ' +
      'a mask are what a smaller step alone does, of the paper’s rate or of the best rate of the mask that they stand for.',
    'A mask falls on each weight matrix and each bias vector as a whole (SkipUpdate, Magma) or on each element (LRD, Cautious); nothing is left out.',
  ],
  small,
};
