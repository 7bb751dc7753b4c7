import { DATA_SETS } from '../data/catalogue.ts';
import { TEXT_NAMES } from '../data/texts.ts';
import { RECIPE_NAMES, findRecipe } from '../recipes/catalogue.ts';
import { OPTIMIZERS } from '../recipes/optimizers.ts';
import { METRICS, PAPERS } from './experiment.ts';
import type { ChosenRate, ExperimentFile, FileArm, FileSelection } from './experiment.ts';
import type { Phase, Regularizers, Settings } from './settings.ts';

const DATA = [...new Set([...DATA_SETS, ...TEXT_NAMES, ...RECIPE_NAMES.map((name) => findRecipe(name).defaults.data)])];

type Schema = Readonly<Record<string, unknown>>;
/** A schema for every key, so that none of a type is forgotten. */
type Each<T> = { readonly [K in keyof Required<T>]: Schema };

const number = (description: string, limits: Schema = {}): Schema => ({ type: 'number', ...limits, description });
/** As the command line takes them. */
const whole = (description: string, maximum = 2 ** 31 - 1): Schema => ({
  type: 'integer',
  minimum: 1,
  maximum,
  description,
});
/** Of what is printed on terminals. */
export const NO_CONTROL = '^[^\\u0000-\\u001f\\u007f-\\u009f]*$';
/** What can only be a path: it has a slash, or the ending of a module. */
export const PATH = '^[^\\u0000-\\u001f\\u007f-\\u009f]*([/\\\\]|\\.[cm]?[jt]s$)[^\\u0000-\\u001f\\u007f-\\u009f]*$';
const text = (description: string): Schema => ({
  type: 'string',
  minLength: 1,
  maxLength: 2000,
  pattern: NO_CONTROL,
  description,
});
const one = (names: readonly string[], description: string): Schema => ({ type: 'string', enum: names, description });
/** A name, or the path of a module of one's own: from the folder of the experiment's file. */
const oneOrPath = (names: readonly string[], description: string): Schema => ({
  anyOf: [
    { type: 'string', enum: names, $comment: ", or a module's path such as ./mine.js" },
    { type: 'string', maxLength: 2000, pattern: PATH },
  ],
  description: `${description}; or a module’s path, from the folder of this file on`,
});
const list = (items: Schema, description: string): Schema => ({ type: 'array', items, description });
const record = (properties: Schema, required: readonly string[], description: string): Schema => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
  description,
});

/** What a float32 holds. */
const LARGEST = 3.4028234663852886e38;
const RATE = { minimum: 0, maximum: LARGEST };
/** Half of the smallest float32 is rounded to 0. */
const ABOVE_0 = { exclusiveMinimum: 2 ** -150, maximum: LARGEST };
/** A threshold of 16 bits decides. */
const PROBABILITY = { minimum: 2 ** -16, maximum: 1 };

const PHASE: Each<Phase> = {
  from: whole('the first epoch, counted from 1, that it holds for'),
  learningRate: number('from then on', RATE),
  weightDecay: number('from then on', RATE),
  sparsity: number('share of elements that Sparse Gradients holds still from then on', {
    minimum: 0,
    maximum: 1 - 2 ** -16,
  }),
};

const REGULARIZERS: Each<Regularizers> = {
  retain: number('standard dropout, inverted: the probability that a unit is retained', PROBABILITY),
  labelNoise: number('the probability that a label is replaced by one of the others', { minimum: 0, maximum: 1 }),
  centralize: { type: 'boolean', description: 'gradient centralization' },
  gradientNoise: number('eta of the gradient noise, s^2 = eta / (1 + t)^.55', RATE),
  gradientKeepProbability: number('dropout on gradients: the probability that an element is kept', PROBABILITY),
  frozen: one(['elements', 'tensors'], 'half of the parameters never moves: by elements, or by whole tensors'),
  sparseReading: one(['updates'], 'Sparse Gradients masks updates in place of gradients'),
};

const SETTINGS: Each<Settings> = {
  recipe: oneOrPath(RECIPE_NAMES, 'the network, with the paper’s data, batches and epochs where they are left out'),
  data: oneOrPath(DATA, 'the data set; default: the recipe’s'),
  optimizer: one(OPTIMIZERS, 'the rule'),
  keepProbability: number(
    'p, the probability that an update is kept; 1: no learning rate dropout; default 1, .5 with a mask that is drawn',
    PROBABILITY,
  ),
  mask: text('another kind of mask than learning rate dropout’s, as --mask takes it'),
  learningRate: number('default: the rule’s', ABOVE_0),
  batchSize: whole('default: the recipe’s'),
  epochs: whole('default: the recipe’s'),
  momentum: number('of sgdm or rmsprop; default: the rule’s', { minimum: 0, exclusiveMaximum: 1 }),
  weightDecay: number('default: none', RATE),
  window: whole('gradients that sgdm-avg averages'),
  phases: list(record(PHASE, ['from'], 'a change that holds until the next'), 'changes over the epochs, in order'),
  regularizers: record(REGULARIZERS, [], 'what is done beside learning rate dropout'),
  width: whole('of the network; default: the paper’s'),
  crop: number('of pspnet: the side of the training crops, 8k + 1', { minimum: 25, maximum: 4097 }),
  polynomial: number('the learning rate falls to 0 over the run by this power', ABOVE_0),
  warmup: whole('steps in which the learning rate rises, to fall as a cosine over the rest of the run'),
  maskExclude: list(text('a name; * stands for any run of characters'), 'parameters that are never masked'),
  layers: whole('of gpt: blocks of the network', 1024),
  context: whole('of gpt: bytes that are seen at once', 65_536),
  epochSteps: whole('of gpt: steps of an epoch'),
  limit: whole('the first so many images of the training set and of the test set'),
  validation: whole('training examples that are held out, and tested on by themselves'),
};

/** null takes away what the settings further out give. */
const orNull = (schema: Schema): Schema => {
  const { description, ...rest } = schema;
  return { description, anyOf: [rest, { type: 'null' }] };
};
const SETTINGS_OR_NULL = Object.fromEntries(Object.entries(SETTINGS).map(([key, schema]) => [key, orNull(schema)]));
const settings = (description: string): Schema =>
  record(SETTINGS_OR_NULL, [], `${description}; null takes a setting away`);
/** Every run has these; others can be taken away. */
const ALWAYS = ['recipe', 'data', 'optimizer', 'keepProbability', 'learningRate', 'batchSize', 'epochs'] as const;
const small = (description: string): Schema =>
  record(
    { ...SETTINGS_OR_NULL, ...Object.fromEntries(ALWAYS.map((key) => [key, SETTINGS[key]])) },
    [],
    `${description}; null takes one of the others away`,
  );

const METRIC = one(Object.keys(METRICS), 'a quantity of an epoch');
const PUBLISHED = record(
  {
    metric: METRIC,
    mean: number('as printed'),
    deviation: number('as printed', RATE),
    trials: whole('the number of trials'),
    place: text('where it is printed'),
  },
  ['metric', 'mean', 'place'],
  'a figure that somebody has published, shown beside ours',
);

const RATE_OF: Each<ChosenRate> = {
  of: text('the id of the arm for which it was chosen: its own, or that of one that chooses its own'),
  times: number('what the chosen rate is multiplied by', ABOVE_0),
};

const SELECTION: Each<FileSelection> = {
  factors: {
    ...list(number('a factor', ABOVE_0), 'candidates: the rate of an arm times each, in ascending order'),
    minItems: 1,
  },
  settings: settings('what the runs that choose have instead of an arm’s: epochs, validation'),
  small: small('what --scale small has instead of those'),
  metric: one(['validationLoss', 'validationAccuracy'], 'what decides, at the end of a run'),
};

const ARM: Each<FileArm> = {
  id: {
    ...text('unique in the experiment, as in mnist/adam/p=0.5: what --only is matched against'),
    pattern: '^[!-~]+$',
  },
  group: text('what is compared with each other: a heading of the table; default: the title'),
  label: text('its name within the group; arms of one label have one colour in all charts; default: the id'),
  settings: settings('over those of the experiment'),
  baseline: text('the id of the arm of its group that it is compared with'),
  control: { type: 'boolean', description: 'it is run to rule something out, and is marked so' },
  like: text('of a control without a mask: the id of the arm of its group whose mean step it takes'),
  measured: {
    type: 'boolean',
    description: 'its learning rate is multiplied by the mean factor that the first seed of the arm "like" measured',
  },
  rate: record(
    RATE_OF,
    ['of', 'times'],
    'its learning rate is one that was chosen (selection), in place of its settings’',
  ),
  published: PUBLISHED,
  small: small('what --scale small has instead, in place of the experiment’s'),
};

const PANEL = record(
  { title: text('above the chart'), metric: METRIC, arms: list(text('the id of an arm'), 'the curves') },
  ['title', 'metric', 'arms'],
  'a chart',
);

const FILE: Each<ExperimentFile> = {
  $schema: text('for editors'),
  version: { const: 1, description: 'of this form' },
  name: { ...text('names its plan in the output folder'), pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$' },
  title: text('the heading of its page'),
  about: text('what the comparison is about'),
  paper: one(Object.keys(PAPERS), 'where it is a paper’s'),
  places: { type: 'string', maxLength: 2000, description: 'its tables and figures there' },
  seeds: whole('trials of each arm; default 5', 10_000),
  metric: { ...METRIC, description: 'what is compared; default testAccuracy' },
  further: list(
    record(
      {
        metric: METRIC,
        published: { type: 'object', additionalProperties: PUBLISHED, description: 'by the id of an arm' },
      },
      ['metric', 'published'],
      'another quantity',
    ),
    'quantities that are compared in tables of their own',
  ),
  settings: settings('of every arm'),
  arms: {
    ...list(record(ARM, ['id'], 'a line of the table: settings that are run with several seeds'), 'the arms'),
    minItems: 1,
  },
  selection: record(
    SELECTION,
    ['factors', 'settings', 'metric'],
    'how the rates of arms with rate are chosen: by short runs of one seed on examples that are held out',
  ),
  figures: list(
    record(
      {
        place: text('its name'),
        about: text('what it shows'),
        columns: whole('charts in a row'),
        panels: list(PANEL, 'row by row'),
      },
      ['place', 'about', 'columns', 'panels'],
      'charts beside each other',
    ),
    'curves over the epochs',
  ),
  targets: list(
    record(
      {
        metric: METRIC,
        value: number('the level'),
        arms: { type: 'string', description: 'of the arms whose id begins so; empty: of all' },
      },
      ['metric', 'value', 'arms'],
      'a level whose first crossing is the speed of convergence',
    ),
    'levels',
  ),
  claims: list(text('a sentence'), 'what is said of the outcome, to be held against ours'),
  notes: list(text('a sentence'), 'what else a reader must know'),
  small: small('what --scale small has instead, of every arm'),
};

/** The form of an experiment's file (JSON Schema, draft 7, which editors know). */
export const EXPERIMENT_SCHEMA: Schema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'An experiment for lrd experiment FILE.json',
  ...record(FILE, ['version', 'name', 'title', 'arms'], 'arms of training runs that are compared'),
};
