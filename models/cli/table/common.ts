/** Rows that several commands have. */
import { FROM_0, choice, flag, folder, number, whole } from './row.ts';
import type { Range } from './row.ts';

/** Where data sets are. */
export const dataDir = folder({
  about: 'Where data sets are looked for, each in a folder of its name.',
  default: "LRD_DATA, then the user's cache, then /usr/share/datasets",
});

/** Data sets and texts that there are recipes for. */
export const dataNames = async (): Promise<readonly string[]> => {
  const { DATA_SETS } = await import('../../data/catalogue.ts');
  const { TEXT_NAMES } = await import('../../data/texts.ts');
  return [...DATA_SETS, 'voc', ...TEXT_NAMES];
};

/** What computes. */
export const backend = choice(async () => (await import('../../backendNames.ts')).BACKENDS, {
  value: 'B',
  about: 'What computes; auto takes a hardware GPU, else TensorFlow where it is installed, else WebAssembly.',
});

export const checkpointSeconds = number({
  ...FROM_0,
  value: 'S',
  about: 'Time between two checkpoints within an epoch; one is taken at the end of each epoch anyway.',
  unit: 'seconds',
  default: '60',
});

const CROP: Range = {
  rule: 'a whole number of 8k + 1, at least 25 and at most 4097',
  holds: (value) => value >= 25 && value <= 4097 && value % 8 === 1,
  whole: true,
};

export const crop = number({
  ...CROP,
  about: 'pspnet: side of the training crops, 8k + 1; below 473 pictures are shrunk in proportion.',
  unit: 'pixels',
  default: '473',
});

export const epochs = whole({ about: 'Passes over the training set.', default: "the recipe's" });
export const batchSize = whole({ about: 'Examples of a step.', default: "the recipe's" });
export const width = whole({
  about: "The network's width: units of fcnet's hidden layers, filters of a ResNet's first stage and so on.",
  default: "the paper's",
});
export const limit = whole({
  about: 'Use the first so many examples of the training set and of the test set.',
  default: 'all',
});

export const validation = whole({
  about:
    'Hold out so many of the training examples, chosen by one fixed shuffle whatever the seed, and test on them beside the test set: to choose ' +
    'settings by.',
  default: 'none',
});

export const layers = whole({ most: 1024, about: 'gpt: blocks of the network.', default: '4' });
export const context = whole({ most: 65_536, about: 'gpt: bytes that the network sees at once.', default: '128' });
export const epochSteps = whole({ about: 'gpt: steps of an epoch, which is no pass over the text.', default: '200' });

export const json = flag({ about: 'Write JSON to stdout, for programs.' });
