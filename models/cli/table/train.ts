import { RULES } from 'learning-rate-dropout/spec';
import type { HyperParameter } from 'learning-rate-dropout/spec';
import {
  backend,
  batchSize,
  checkpointSeconds,
  context,
  crop,
  dataDir,
  dataNames,
  epochSteps,
  epochs,
  json,
  layers,
  limit,
  validation,
  width,
} from './common.ts';
import {
  ABOVE_0,
  FROM_0,
  PROBABILITY,
  choice,
  command,
  file,
  flag,
  folder,
  group,
  list,
  number,
  seed,
  text,
} from './row.ts';
import type { Option } from './row.ts';

/** `epsilonMode` -> `epsilon-mode`. */
export const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** A rule's hyper-parameter that is an option of its own: which rules have it, and what it is there. */
type Owners = readonly (readonly [rule: string, parameter: HyperParameter])[];

function ownersOf(name: string): Owners {
  return Object.entries(RULES).flatMap(([rule, { hyper }]) => {
    const table: Readonly<Record<string, HyperParameter>> = hyper;
    return Object.hasOwn(table, name) ? [[rule, table[name] as HyperParameter] as const] : [];
  });
}

/** `.9 (sgdm), 0 (rmsprop)`, or one value where the rules agree. */
function defaultOf(owners: Owners): string {
  const values = [...new Set(owners.map(([, { default: value }]) => String(value)))];
  if (values.length === 1) return values[0] as string;
  return owners.map(([rule, { default: value }]) => `${value} (${rule})`).join(', ');
}

/** Of one rule and another, so that the rule's own range is checked once the rule is known (`readHyper` in `train.ts`). */
function hyper(name: string, value: string, about: string): Option<string | undefined> {
  const owners = ownersOf(name);
  const choices = [
    ...new Set(owners.flatMap(([, parameter]) => (parameter.kind === 'choice' ? parameter.values : []))),
  ];
  return {
    ...text({ value, about: `${about} Of ${owners.map(([rule]) => rule).join(', ')}.`, default: defaultOf(owners) }),
    ...(choices.length === 0 ? {} : { choices }),
  };
}

const hyperFlag = (name: string, about: string): Option<boolean> =>
  flag({
    about: `${about} Of ${ownersOf(name)
      .map(([rule]) => rule)
      .join(', ')}.`,
  });

/** The options of hyper-parameters that some rules have. A test holds them to the table of `spec/`. */
export const HYPER = group('Optimizer:', {
  momentum: hyper('momentum', 'B', 'Decay of the buffer of past steps, in [0, 1).'),
  dampening: hyper('dampening', 'D', 'Share of a new gradient that the buffer leaves out, in [0, 1].'),
  nesterov: hyperFlag('nesterov', "Nesterov's momentum."),
  beta1: hyper('beta1', 'B', 'Decay of the first moment, in [0, 1).'),
  beta2: hyper('beta2', 'B', 'Decay of the second moment, in [0, 1).'),
  rho: hyper('rho', 'R', 'Decay of the mean of squares, in [0, 1).'),
  epsilon: hyper('epsilon', 'E', 'What is added to the root of the second moment, above 0.'),
  window: hyper('window', 'N', 'Gradients that are averaged, k of eq. (10), of at least 1.'),
  centered: hyperFlag('centered', 'Divide by the standard deviation in place of the root of the mean square.'),
  'epsilon-placement': hyper('epsilonPlacement', 'PLACE', 'Where epsilon stands: outside the root, or inside.'),
  'epsilon-mode': hyper(
    'epsilonMode',
    'MODE',
    'Whether epsilon is added to the corrected moment, or as Kingma and Ba write.',
  ),
  'max-of': hyper('maxOf', 'FORM', 'What the maximum is taken of, and how it is corrected.'),
  variant: hyper('variant', 'FORM', "PyTorch's, the authors', or the paper's."),
});

/** `lrd train`. */
export const TRAIN = command({
  summary: 'train a network and leave a run folder',
  about:
    'Trains one network. Its run folder holds the settings, a line of metrics an epoch, the environment and a checkpoint; Ctrl-C stops ' +
    'behind one, and lrd train --resume DIR goes on to the same bits.',
  words: {
    recipe: {
      about: 'The network with what it is trained with; the path of a module that exports one of your own.',
      orPath: true,
      choices: async () => (await import('../../recipes/catalogue.ts')).RECIPE_NAMES,
    },
  },
  options: {
    ...group('Data:', {
      data: choice(
        dataNames,
        {
          value: 'D',
          about: 'The data set; the path of a module that exports one of your own, or for gpt of a text.',
          default: "the recipe's",
        },
        true,
      ),
      'data-dir': dataDir,
      limit,
      validation,
      augment: choice(async () => (await import('../../data/augmentation.ts')).AUGMENTATIONS, {
        value: 'HOW',
        about: 'What training does to images.',
        default: "the data set's",
      }),
    }),
    ...group('Learning rate dropout and optimizer:', {
      keep: number({
        ...PROBABILITY,
        value: 'P',
        about: 'The probability p that an update is kept; 1 is the optimizer without LRD.',
        default: '1',
      }),
      mask: text({
        value: 'KIND[:OPTION=VALUE,...]',
        about:
          'Another kind of mask: skip-update (whole tensors, times 1/p), magma (whole tensors, times the alignment of momentum and ' +
          'gradient) or cautious (where update and gradient agree, without --keep), as in magma:temperature=2. Options: granularity, ' +
          'factor, decay; of magma temperature, smoothing, first-alignment, moment, moment-decay, moment-time, cosine-epsilon; of ' +
          'cautious mean-floor, normalization. With a mask --keep is .5 unless given.',
        default: 'lrd',
      }),
      'mask-exclude': list(
        text({
          value: 'PATTERN',
          about: 'Parameters that take the plain step of the optimizer, by name; * stands for any run of characters.',
          default: 'none',
        }),
      ),
      optimizer: choice(async () => (await import('../../recipes/optimizers.ts')).OPTIMIZERS, {
        value: 'R',
        about: "The optimizer's rule.",
        default: 'sgdm; of gpt adamw',
      }),
      lr: number({ ...ABOVE_0, value: 'A', about: 'The learning rate.', default: "the rule's" }),
      'weight-decay': number({
        ...FROM_0,
        value: 'L',
        about: 'Weight decay.',
        default: "the recipe's, else the rule's",
      }),
      regularizer: list(
        text({
          value: 'X[:V]',
          about:
            "The papers' comparators, alone or with LRD: gradient-dropout (DG), gradient-noise (NG), gradient-centralization (GC), " +
            'noisy-labels (NL), standard-dropout (SD), sparse-gradients (SG), sparse-updates, clip-value, clip-norm, trained-keep.',
          default: 'none',
        }),
      ),
      schedule: list(
        text({
          value: 'T=FORM',
          about:
            'How lr, keep, weight-decay or sparsity go over the run: constant, step:EPOCHS, step-early:EPOCHS, polynomial, cosine, warmup:STEPS, ' +
            'linear:LAST, restarts, taper:SCHEME, follow:RATE=VALUE,..., epochs:EPOCH=VALUE,...',
          default: "the recipe's",
        }),
      ),
      engine: choice(async () => (await import('../../runs/request.ts')).ENGINES, {
        value: 'E',
        about: "The optimizer's kernels: this package's, or gpu.js ones.",
        default: 'fused',
      }),
    }),
    ...HYPER,
    ...group('Training:', {
      epochs,
      'epoch-steps': epochSteps,
      'batch-size': batchSize,
      seed: seed({
        about: 'Of everything that is drawn: masks, order of examples, first values. In [0, 2^64), also as 0x...',
        default: 'drawn; config.json says it',
      }),
      backend: { ...backend, default: 'auto' },
    }),
    ...group('Network:', {
      width,
      init: file({ about: 'Parameters to start with, a safetensors file.', default: 'drawn from the seed' }),
      crop,
      layers,
      context,
      evaluate: choice(async () => (await import('../../tasks/segmentation/evaluations.ts')).EVALUATIONS, {
        value: 'HOW',
        about: 'pspnet: whether tests see a picture at once, or by windows of the crop.',
        default: 'whole',
      }),
    }),
    ...group('The run:', {
      out: folder({
        about: 'The folder of the run, which must not hold one.',
        default: 'runs/, named after the settings',
      }),
      resume: folder({
        about:
          "Go on from a run's checkpoint; takes --epochs, --data-dir, --backend, --checkpoint-seconds and --data-parallel beside it, everything else is " +
          "the run's.",
      }),
      'checkpoint-seconds': checkpointSeconds,
      'data-parallel': flag({
        about:
          'Started by mpirun or srun: all processes train one network together, each on its part of every batch. Needs koffi and Open MPI or ' +
          'MPICH; on the backends cpu, wasm and node.',
      }),
      json: flag({
        about: 'Write a line of JSON to stdout at the start, after each epoch and at the end, and no progress.',
      }),
      schema: flag({ about: 'Print the form of these lines (JSON Schema), and train nothing.' }),
      tensorboard: flag({ about: 'Write event files for TensorBoard into the folder.' }),
    }),
  },
  examples: [
    ['lrd train fcnet --data digits', 'FCNet on the embedded digits, without LRD'],
    ['lrd train fcnet --optimizer adam --keep 0.5', 'Adam with LRD, p = .5'],
    ['lrd train resnet34 --keep 0.5 --schedule lr=step:100,150', "CIFAR-10 as in the paper's IV-A.2"],
    [
      'lrd train fcnet --optimizer rmsprop --mask skip-update',
      'whole tensors are skipped, the others step twice as far',
    ],
    ['lrd train fcnet --keep 0.5 --data-parallel', 'started by mpirun: one network on all its processes'],
    ['lrd train ./recipe.js --data ./set.js', 'a network and data of your own (models/README.md)'],
    ['lrd train --resume runs/fcnet-digits-sgdm-p1-s1', 'go on where a run was stopped'],
  ],
});

/** What `lrd train --resume DIR` takes beside it. */
export const WITH_RESUME: readonly string[] = [
  'resume',
  'epochs',
  'data-dir',
  'backend',
  'checkpoint-seconds',
  'data-parallel',
  'json',
];

/** `lrd evaluate`. */
export const EVALUATE = command({
  summary: "test the network of a run's last checkpoint again",
  words: { run: { about: 'The folder of a run.', required: true, path: 'folder' } },
  options: {
    'data-dir': { ...dataDir, default: "the run's" },
    backend: { ...backend, default: "the run's" },
    json,
  },
  examples: [['lrd evaluate runs/fcnet-digits-sgdm-p1-s1', "the figures of the run's last line of metrics again"]],
});
