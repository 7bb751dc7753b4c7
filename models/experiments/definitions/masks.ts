import type { Arm, Experiment, Figure, Metric, Selection } from '../experiment.ts';
import type { RuleName } from 'learning-rate-dropout/spec';
import { RULE_TITLES } from '../../recipes/ruleTitles.ts';
import type { Overlay, Settings } from '../settings.ts';
import { WITHOUT, cifar, controlLabel, lrdLabel, mnist, rescaled, small } from './arms.ts';

/** p of the papers. */
const KEEP = 0.5;

/** An arm at the rate that was given. */
interface Kind {
  readonly id: string;
  readonly label: string;
  readonly settings: Settings;
  readonly control?: boolean;
  /** Of a control without a mask: the kind whose mean step it takes, and what that is. */
  readonly like?: string;
  /** Left out: what that kind's runs measure. */
  readonly times?: number;
}

/** The kinds of mask, with the controls that tell a mask from a smaller step. */
function kindsOf(base: Settings, masked: Overlay): readonly Kind[] {
  const all = { ...base, ...masked } as Settings;
  const half = { ...all, keepProbability: KEEP };
  const rescaling = (like: string, times: number): Kind => ({
    id: `lr*${times}`,
    label: controlLabel(times),
    settings: rescaled(base, times),
    control: true,
    like,
    times,
  });
  const measured = (like: string, label: string): Kind => ({
    id: `lr*${like}`,
    label: `control: p = 1, learning rate × the mean factor of ${label}`,
    settings: base,
    control: true,
    like,
  });
  return [
    { id: 'none', label: WITHOUT, settings: base },
    { id: 'lrd', label: lrdLabel(KEEP), settings: half },
    rescaling('lrd', KEEP),
    { id: 'lrd-inverse', label: `control: ${lrdLabel(KEEP)}, times 1/p`, settings: { ...half, mask: 'lrd:factor=inverse' }, control: true }, // prettier-ignore
    { id: 'skip-update', label: `SkipUpdate, p = ${KEEP}`, settings: { ...half, mask: 'skip-update' } },
    { id: 'magma', label: `Magma, p = ${KEEP}`, settings: { ...half, mask: 'magma' } },
    measured('magma', 'Magma'),
    { id: 'cautious', label: 'Cautious', settings: { ...all, mask: 'cautious' } },
  ];
}

interface Rates {
  /** In front of the arms' ids. */
  readonly id: string;
  readonly group: string;
  /** What the rate of `base` is. */
  readonly given: string;
  readonly base: Settings;
  /** Of the arms that have a mask. */
  readonly masked?: Overlay;
}

/** Every kind at the rate that is given, then every kind at the best of its own; a rescaled rate is the best of the kind that it stands for. */
function armsOf({ id: prefix, group, given, base, masked = {} }: Rates): Arm[] {
  const kinds = kindsOf(base, masked);
  const atGiven = kinds.map(({ id, label, settings, control, like, times }): Arm => ({
    id: `${prefix}/${id}`,
    group: `${group}, ${given}`,
    label,
    settings,
    ...(id === 'none' ? {} : { baseline: `${prefix}/none` }),
    ...(control === undefined ? {} : { control }),
    ...(like === undefined ? {} : { like: `${prefix}/${like}` }),
    ...(like !== undefined && times === undefined ? { measured: true } : {}),
  }));
  const atBest = kinds.map(({ id, label, settings, control, like, times }): Arm => ({
    id: `${prefix}/best/${id}`,
    group: `${group}, the best rate of each`,
    label,
    settings: like === undefined ? settings : base,
    rate: { of: `${prefix}/best/${like ?? id}`, times: times ?? 1 },
    ...(id === 'none' ? {} : { baseline: `${prefix}/best/none` }),
    ...(control === undefined ? {} : { control }),
    ...(like === undefined ? {} : { like: `${prefix}/best/${like}` }),
    ...(like !== undefined && times === undefined ? { measured: true } : {}),
  }));
  return [...atGiven, ...atBest];
}

/** Charts of two metrics, a column a rule. */
function figureOf(
  place: string,
  about: string,
  { arms, rules, metrics, best }: { arms: readonly Arm[]; rules: readonly RuleName[]; metrics: readonly Metric[]; best: boolean }, // prettier-ignore
): Figure {
  return {
    place,
    about,
    columns: rules.length,
    panels: metrics.flatMap((metric) =>
      rules.map((rule) => ({
        title: RULE_TITLES[rule] as string,
        metric,
        arms: arms.flatMap(({ id, rate }) => (id.startsWith(`${rule}/`) && (rate !== undefined) === best ? [id] : [])),
      })),
    ),
  };
}

const PAIRED =
  'Every arm of a seed has the same initial values and the same order of examples; differences are paired by seed, on the last epoch.';
const MEANS =
  'LRD steps by p on average, SkipUpdate and LRD times 1/p by 1, Magma by p times its alignment, as its first seed measured it: the arms with a ' +
  'scaled rate and without a mask are what a smaller step alone does, of the rate that is given or of the best rate of the mask that they stand for.';

const MNIST_RULES = ['sgdm', 'adam', 'rmsprop', 'amsgrad', 'radam'] as const;
const mnistArms = MNIST_RULES.flatMap((rule) =>
  armsOf({ id: rule, group: `FCNet on MNIST, ${RULE_TITLES[rule]}`, given: 'the paper’s rate', base: mnist(rule) }),
);
/** A tenth of the epochs of TNNLS IV-A.1, a sixth of its training examples held out. */
const MNIST_SELECTION: Selection = {
  factors: [0.25, 0.5, 1, 2, 4, 8],
  settings: { epochs: 10, validation: 10_000 },
  small: { epochs: 2, validation: 400 },
  metric: 'validationAccuracy',
};
const mnistFigure = (place: string, about: string, best: boolean): Figure =>
  figureOf(place, about, { arms: mnistArms, rules: MNIST_RULES, metrics: ['trainLoss', 'testAccuracy'], best });

/** What the papers say that networks of pictures can be asked. */
const CLAIMS: readonly string[] = [
  'LRD trains faster and generalises better than the optimizer without it (TNNLS).',
  'Masked updates, scaled by 1/p, do better than the dense optimizer, and Magma does better still. The paper says it of language models; ' +
    'of this network it says nothing.',
];

/** The kinds of mask on the network of TNNLS IV-A.1. */
export const masks: Experiment = {
  name: 'masks',
  title: 'Kinds of mask: LRD, SkipUpdate, Magma and Cautious, with controls',
  paper: 'masking',
  places: 'no table of its own: the network and the length are those of TNNLS Table I and Fig. 4',
  seeds: 3,
  metric: 'testAccuracy',
  further: [{ metric: 'testLoss', published: {} }],
  arms: mnistArms,
  selection: MNIST_SELECTION,
  figures: [
    mnistFigure('Kinds of mask', 'a fully connected network on MNIST, the paper’s rates', false),
    mnistFigure('Kinds of mask at their best rates', 'the same, each at the rate that was chosen for it', true),
  ],
  targets: [
    { arms: '', metric: 'trainLoss', value: 0.1 },
    { arms: '', metric: 'testAccuracy', value: 97 },
  ],
  claims: CLAIMS,
  notes: [
    PAIRED,
    'Rates of the first tables are those of TNNLS IV-A for every arm. Those of the others were chosen for each arm by one seed on a short run, ' +
      'on examples of the training set that were held out; the runs that are compared train on the whole of it.',
    MEANS,
    'A mask falls on each weight matrix and each bias vector as a whole (SkipUpdate, Magma) or on each element (LRD, Cautious); nothing is left out.',
  ],
  small,
};

const CIFAR_RULES = ['sgdm', 'adam'] as const;
/** The schedule of TNNLS IV-A.2 on a network that a processor can train. */
const cifarArms = CIFAR_RULES.flatMap((rule) =>
  armsOf({
    id: rule,
    group: `ResNet-14 on CIFAR-10, ${RULE_TITLES[rule]}`,
    given: 'the paper’s rate',
    base: { ...cifar(rule), recipe: 'resnet14' },
  }),
);
const cifarFigure = (place: string, about: string, best: boolean): Figure =>
  figureOf(place, about, {
    arms: cifarArms,
    rules: CIFAR_RULES,
    metrics: ['trainLoss', 'testAccuracy'],
    best,
  });

/** The kinds of mask on a residual network that a processor can train, with the schedule of TNNLS IV-A.2. */
export const masksResnet: Experiment = {
  name: 'masks-resnet',
  title: 'Kinds of mask on a residual network, with controls',
  paper: 'masking',
  places: 'no table of its own: data and schedule are those of TNNLS IV-A.2, the network has 14 layers in place of 34',
  seeds: 3,
  metric: 'testAccuracy',
  further: [{ metric: 'testLoss', published: {} }],
  arms: cifarArms,
  selection: {
    factors: [0.25, 0.5, 1, 2, 4, 8],
    settings: { epochs: 20, validation: 10_000, phases: undefined },
    small: { epochs: 2, validation: 64, phases: undefined },
    metric: 'validationAccuracy',
  },
  figures: [
    cifarFigure('Kinds of mask, ResNet-14', 'a residual network on CIFAR-10, the paper’s rates', false),
    cifarFigure(
      'Kinds of mask at their best rates, ResNet-14',
      'the same, each at the rate that was chosen for it',
      true,
    ),
  ],
  targets: [{ arms: '', metric: 'testAccuracy', value: 90 }],
  claims: CLAIMS,
  notes: [
    PAIRED,
    'Rates of the first tables are those of TNNLS IV-A for every arm. Those of the others were chosen for each arm by one seed in 20 epochs at a fixed rate, ' +
      'on examples of the training set that were held out; the runs that are compared train on the whole of it.',
    MEANS,
    'A mask falls on each tensor as a whole (SkipUpdate, Magma) or on each element (LRD, Cautious); nothing is left out.',
  ],
  small,
};

const GPT_RULES = ['adamw', 'rmsprop'] as const;
/** Ten epochs of 200 steps. */
const GPT_BASE: Omit<Settings, 'optimizer'> = {
  recipe: 'gpt',
  data: 'kjv',
  keepProbability: 1,
  learningRate: 0.001,
  batchSize: 32,
  epochs: 10,
  epochSteps: 200,
  warmup: 100,
};
/** What the masks of arXiv 2602.15322 leave out: embeddings, norms, the head. */
const EXCLUDED = ['embedding/*', 'positions/*', '*norm*', 'head/*'];
const gptArms = GPT_RULES.flatMap((rule) =>
  armsOf({
    id: rule,
    group: `gpt on kjv, ${RULE_TITLES[rule]}`,
    given: 'rate .001',
    base: { ...GPT_BASE, optimizer: rule, ...(rule === 'adamw' ? { weightDecay: 0.1 } : {}) },
    masked: { maskExclude: EXCLUDED },
  }),
);
const gptFigure = (place: string, about: string, best: boolean): Figure =>
  figureOf(place, about, { arms: gptArms, rules: GPT_RULES, metrics: ['trainLoss', 'testLoss'], best });

/** The kinds of mask on a small language model, where their paper claims an effect. */
export const gptMasks: Experiment = {
  name: 'gpt-masks',
  title: 'Kinds of mask on a small language model',
  paper: 'masking',
  places: 'no table of its own: the paper’s models have from 60 million parameters on, this one has .9',
  seeds: 3,
  metric: 'testLoss',
  further: [{ metric: 'trainLoss', published: {} }],
  arms: gptArms,
  selection: {
    factors: [0.5, 1, 2, 4, 8],
    settings: { epochs: 3, validation: 256 },
    small: { epochs: 1, validation: 8 },
    metric: 'validationLoss',
  },
  figures: [
    gptFigure('Kinds of mask, gpt', 'a decoder of bytes on the King James Version, rate .001', false),
    gptFigure('Kinds of mask at their best rates, gpt', 'the same, each at the rate that was chosen for it', true),
  ],
  targets: [{ arms: '', metric: 'testLoss', value: 2.5 }],
  claims: [
    'SkipUpdate improves on the dense optimizer, and Magma on SkipUpdate: at 1 billion parameters by 19 % of the perplexity against Adam. RMSprop with ' +
      'masks matches or exceeds Adam.',
  ],
  notes: [
    PAIRED,
    'Losses are in bits a byte. The rate rises over 100 steps and falls as a cosine to 0 over the rest. Of the first tables it is .001 for every arm; of the others ' +
      'it was chosen for each arm by one seed in 600 steps, on the last windows of the training text, which were held out.',
    MEANS,
    'Embeddings, positions, norms and the head are not masked. A block of SkipUpdate and Magma is a tensor.',
  ],
  small: () => ({
    data: 'genesis',
    width: 16,
    layers: 1,
    context: 16,
    batchSize: 4,
    epochs: 2,
    epochSteps: 10,
    warmup: 5,
  }),
};
