import { RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import { dataDir } from './common.ts';
import {
  ABOVE_0,
  PROBABILITY,
  choice,
  command,
  file,
  flag,
  folder,
  list,
  number,
  seed,
  special,
  text,
  whole,
} from './row.ts';
import { readDecimal } from '../../decimal.ts';
import { UsageError } from '../../errors.ts';

const published = async (): Promise<readonly string[]> =>
  (await import('../../data/fetch/publications.ts')).PUBLICATIONS.map(({ name }) => name);

/** `lrd data list`. */
export const DATA_LIST = command({
  summary: 'data sets: size, licence, and where each lies here',
  words: {},
  options: { 'data-dir': dataDir },
  examples: [['lrd data list', 'what there is, and what is here']],
});

/** `lrd data fetch`. */
export const DATA_FETCH = command({
  summary: 'get a data set from its publisher',
  about: "LRD_DATA_MIRROR may hold a mirror's base address; what is fetched is checked by its published sums.",
  words: { name: { about: 'The data set.', required: true, choices: published } },
  options: { 'data-dir': { ...dataDir, about: 'Where it is put, in a folder of its name.' } },
  examples: [['lrd data fetch mnist', 'MNIST, 11 MB']],
});

/** `lrd data verify`. */
export const DATA_VERIFY = command({
  summary: "check a data set's files, sums and counts",
  words: { name: { about: 'The data set.', required: true, choices: published } },
  options: { 'data-dir': dataDir },
  examples: [['lrd data verify mnist', 'every file, its sum, and the number of examples']],
});

/** `lrd pack`. */
export const PACK = command({
  summary: 'a bundle for linux-x64 machines without a network',
  words: {},
  options: {
    out: file({ value: 'FILE.tar.xz', about: 'The bundle.' }),
    data: text({ value: 'D', about: 'A data set to pack along.', default: 'none' }),
    'data-dir': dataDir,
  },
  examples: [['lrd pack --out lrd.tar.xz --data mnist', 'the program with its node, and MNIST']],
});

const TENSORFLOW_VERSION = /^\d+(\.\d+){1,2}(\.?[a-z]+\d+)?$/;

/** `lrd setup tensorflow`. */
export const SETUP_TENSORFLOW = command({
  summary: "what --backend node runs on, from TensorFlow's own Python wheel",
  words: {},
  options: {
    version: special<string>({
      value: 'V',
      about: 'A version of TensorFlow.',
      default: 'the newest that is known to work',
      read: (given, name) => {
        if (TENSORFLOW_VERSION.test(given)) return given;
        throw new UsageError(`${name} must be a version of TensorFlow such as 2.21.0, got ${JSON.stringify(given)}`);
      },
    }),
    wheel: file({ about: 'A wheel that is here already, in place of one that is fetched.' }),
    gpu: flag({ about: 'For --backend node-gpu, with CUDA.' }),
    dir: folder({
      about: 'Where it is put; LRD_TENSORFLOW must name a place of its own.',
      default: "the user's cache",
    }),
    verify: flag({ about: 'Only train a step on what is installed.' }),
  },
  examples: [['lrd setup tensorflow', 'fetch, build, and train a step']],
});

function readStart(given: string, name: string): { x: number; y: number } {
  const [x, y, ...rest] = given.split(',').map(readDecimal);
  if (rest.length > 0 || !Number.isFinite(x) || !Number.isFinite(y)) {
    throw new UsageError(`${name} must be two numbers as in -3,1.5, got ${JSON.stringify(given)}`);
  }
  return { x: x as number, y: y as number };
}

/** `lrd toy`. */
export const TOY = command({
  summary: "the paper's Fig. 3: descent paths on eq. (9)",
  words: {},
  options: {
    out: file({ value: 'FILE.html', about: 'A page with the paths.', default: 'the table alone' }),
    rule: list(
      choice(Object.keys(RULES) as RuleName[], { value: 'R', about: "An optimizer's rule.", default: "the figure's" }),
    ),
    keep: number({ ...PROBABILITY, value: 'P', about: 'The probability p that an update is kept.', default: '0.5' }),
    lr: number({ ...ABOVE_0, value: 'A', about: 'The learning rate.', default: "the rule's" }),
    steps: whole({ most: 1_000_000, about: 'Steps of a descent.', default: '2000' }),
    grid: whole({ most: 100, about: 'Starts along each side of the grid.', default: '10' }),
    start: list(
      special<{ x: number; y: number }>({ value: 'X,Y', about: 'A start whose path is drawn.', read: readStart }),
    ),
    seed: seed({ about: 'Of the masks.', default: '0' }),
  },
  examples: [['lrd toy --rule adam --out toy.html', 'Adam with and without LRD, drawn over the contours']],
});

/** `lrd completion`. */
export const COMPLETION = command({
  summary: 'a script that completes commands, options and their values',
  words: { shell: { about: 'The shell.', required: true, choices: ['bash', 'zsh'] } },
  options: {},
  examples: [
    ['lrd completion bash > ~/.local/share/bash-completion/completions/lrd', 'for bash'],
    ['lrd completion zsh > ~/.zfunc/_lrd', 'for zsh, with fpath+=~/.zfunc ahead of compinit'],
  ],
});
