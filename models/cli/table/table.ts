import type { Command } from './row.ts';
import { DIFF, EXPERIMENT, EXPORT, REPORT, RUNS } from './experiment.ts';
import { BENCH, CONFORMANCE, DOCTOR, INIT, SERVE } from './judge.ts';
import { COMPLETION, DATA_FETCH, DATA_LIST, DATA_VERIFY, PACK, SETUP_TENSORFLOW, TOY } from './others.ts';
import { EVALUATE, TRAIN } from './train.ts';

/** Every command by its words, in the order of help. `conformance` stands for itself and has a sub-command beside. */
export const COMMANDS = {
  train: TRAIN,
  evaluate: EVALUATE,
  experiment: EXPERIMENT,
  runs: RUNS,
  diff: DIFF,
  report: REPORT,
  export: EXPORT,
  conformance: CONFORMANCE,
  'conformance init': INIT,
  'conformance serve': SERVE,
  bench: BENCH,
  toy: TOY,
  doctor: DOCTOR,
  'data list': DATA_LIST,
  'data fetch': DATA_FETCH,
  'data verify': DATA_VERIFY,
  'setup tensorflow': SETUP_TENSORFLOW,
  pack: PACK,
  completion: COMPLETION,
} as const satisfies Readonly<Record<string, Command>>;

/** A command's words, as in `data fetch`. */
export type CommandName = keyof typeof COMMANDS;

/** First words that are no commands themselves, with what they are about. */
export const TOPICS: Readonly<Record<string, string>> = {
  data: 'data sets: what is here, get one from its publisher, check it',
  setup: 'what the backends run on',
};
