import type { Arm, Experiment, PaperKey } from '../experiment.ts';
import type { Overlay, Phase, Settings } from '../settings.ts';

/** Table 1 of the paper: five learning rates, three times; 50 epochs for each rate in the first round, 20 in the others. */
const RATES = [0.1, 0.01, 0.001, 0.0001, 0.00001];
const LENGTHS = [50, 20, 20];
const EPOCHS = LENGTHS.reduce((sum, length) => sum + RATES.length * length, 0);
const DECAYS = {
  '01': [0.0001, 0.0001, 0.0008, 0.0016, 0.0016],
  '02': [0.0001, 0.0001, 0.0004, 0.0008, 0.0008],
} as const;
const SPARSITIES = { '21': 0.5, '22': 0.8, '23': 0.3 } as const;
const CONSTANT = [0.001, 0.002, 0.004, 0.008];

/** The table's lines as phases; `at` gives what a line has beside its learning rate. */
function phases(at: (round: number, rate: number) => Omit<Phase, 'from'>): Phase[] {
  let from = 1;
  return LENGTHS.flatMap((length, round) =>
    RATES.map((learningRate, rate): Phase => {
      const phase = { from, learningRate, ...at(round, rate) };
      from += length;
      return phase;
    }),
  );
}

type Net = 'resnet14' | 'resnet32';
type Data = 'cifar10' | 'cifar100';
const NETS: Readonly<Record<Net, string>> = { resnet14: 'Shallow Resnet (14 layers)', resnet32: 'Resnet (32 layers)' };
const SETS: Readonly<Record<Data, string>> = { cifar10: 'CIFAR-10', cifar100: 'CIFAR-100' };

function base(recipe: Net, data: Data, weightDecay: number, changes: readonly Phase[]): Settings {
  return {
    recipe,
    data,
    optimizer: 'sgdm',
    keepProbability: 1,
    learningRate: 0.1,
    weightDecay,
    batchSize: 50,
    epochs: EPOCHS,
    phases: changes,
  };
}

function decayArms(net: Net, data: Data): Arm[] {
  const group = `${NETS[net]} on ${SETS[data]}, weight decay`;
  const constant = CONSTANT.map((decay): Arm => ({
    id: `wd=${decay}`,
    group,
    label: `constant ${decay}`,
    settings: base(
      net,
      data,
      decay,
      phases(() => ({})),
    ),
    ...(decay === 0.001 ? {} : { baseline: 'wd=0.001' }),
  }));
  const schemes = (['01', '02'] as const).map((scheme): Arm => ({
    id: `scheme=${scheme}`,
    group,
    label: `Scheme ${scheme}`,
    settings: base(
      net,
      data,
      DECAYS[scheme][0],
      phases((_, rate) => ({ weightDecay: DECAYS[scheme][rate] as number })),
    ),
    baseline: 'wd=0.001',
  }));
  return [...constant, ...schemes];
}

function sparsityArms(net: Net, data: Data): Arm[] {
  const group = `${NETS[net]} on ${SETS[data]}, gradient sparsity`;
  const schemes = (['21', '22', '23'] as const).flatMap((scheme): Arm[] => {
    // Sparse only in the first round, from its third rate on: epochs 101 to 250.
    const changes = phases((round, rate) => ({ sparsity: round === 0 && rate >= 2 ? SPARSITIES[scheme] : 0 }));
    const settings = base(net, data, 0.0001, changes);
    const label = `Scheme ${scheme} (${100 * SPARSITIES[scheme]} %)`;
    return [
      { id: `scheme=${scheme}`, group, label, settings, baseline: 'dense' },
      {
        id: `scheme=${scheme},updates`,
        group,
        label: `control: ${label}, updates masked`,
        settings: { ...settings, regularizers: { sparseReading: 'updates' } },
        baseline: 'dense',
        control: true,
      },
    ];
  });
  const dense: Arm = {
    id: 'dense',
    group,
    label: 'control: no sparsity',
    settings: base(
      net,
      data,
      0.0001,
      phases(() => ({})),
    ),
    control: true,
  };
  return [dense, ...schemes];
}

/** A tenth of the epochs, so that each line of the table keeps its share. */
const small = (): Overlay => ({ epochs: EPOCHS / 10, limit: 100, width: 8 });

const NOTES = [
  'The paper prints no figures, only curves of five runs as mean, best and worst; drawn so here.',
  '"Mini-batch SGD" is taken with the momentum .9 of the ResNet paper that it cites for the networks; it names none.',
  'Where its text (weight decay of 8e-3 within the schemes) and its Table 1 (at most 1.6e-3) disagree, the table holds.',
];

function taper(number: number, net: Net, data: Data, kind: 'decay' | 'sparsity'): Experiment {
  const arms = kind === 'decay' ? decayArms(net, data) : sparsityArms(net, data);
  const paper: PaperKey = 'taper';
  return {
    name: `taper-fig${number}`,
    title: `${kind === 'decay' ? 'Weight decay' : 'Gradient sparsity'} that follows the learning rate: ${NETS[net]} on ${SETS[data]}`,
    paper,
    places: `Fig. ${number} and Table 1`,
    seeds: 5,
    metric: 'testError',
    arms,
    figures: [
      {
        place: `Fig. ${number}`,
        about: `${NETS[net]} on ${SETS[data]}: mean, best and worst run`,
        columns: 2,
        panels: (['testLoss', 'testError'] as const).map((metric) => ({
          title: metric === 'testLoss' ? 'Test loss' : 'Test error',
          metric,
          arms: arms.filter(({ id }) => !id.endsWith(',updates')).map(({ id }) => id),
        })),
      },
    ],
    targets: [{ arms: '', metric: 'trainLoss', value: data === 'cifar10' ? 0.3 : 1 }],
    claims:
      kind === 'decay'
        ? [
            'In the first round Scheme 01 has the lowest test loss and a constant 1e-3 the highest; in test error a constant 8e-3 is worst.',
            'After the restarts a constant 1e-3 is as good as the schemes in test loss.',
          ]
        : ['No definite conclusions can be drawn from gradient sparsity, but that restarts should be considered.'],
    notes:
      kind === 'decay'
        ? NOTES
        : [
            ...NOTES,
            'One pattern in a run: drawn at epoch 101, held through the two changes of the learning rate, cleared at 251. Whether gradients or ' +
              'updates are masked is not said; both are run.',
          ],
    small,
  };
}

export const tapers: readonly Experiment[] = [
  taper(1, 'resnet14', 'cifar10', 'decay'),
  taper(2, 'resnet32', 'cifar10', 'decay'),
  taper(3, 'resnet14', 'cifar100', 'decay'),
  taper(4, 'resnet32', 'cifar100', 'decay'),
  taper(5, 'resnet32', 'cifar10', 'sparsity'),
  taper(6, 'resnet14', 'cifar100', 'sparsity'),
];
