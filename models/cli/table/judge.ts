import { json } from './common.ts';
import { ABOVE_0, command, file, flag, folder, list, number, pattern, readCount, special, text } from './row.ts';
import { readWhole } from '../../decimal.ts';
import { UsageError } from '../../errors.ts';

const builtIn = async (): Promise<readonly string[]> => (await import('../../../conformance/index.ts')).BUILT_IN;

/** A seed of the judge: a whole number, or the word for one that is drawn. */
function readJudgeSeed(given: string, name: string): number | 'random' {
  if (given === 'random') return given;
  const value = readWhole(given);
  if (value >= 0) return value;
  throw new UsageError(`${name} must be a whole number in [0, 2^53) or the word random, got ${JSON.stringify(given)}`);
}

/** `lrd conformance`. */
export const CONFORMANCE = command({
  summary: 'judge implementations; exit code 1 when one breaks a MUST',
  words: {},
  options: {
    adapter: list({
      ...text({
        value: 'A',
        about: 'What is judged: a built-in name, cmd:PROGRAM for one in any language, or module:PATH.',
        default: 'all built-in ones that run here',
      }),
      choices: builtIn,
    }),
    only: list(
      pattern({
        about: 'Properties whose name this regular expression matches, as LRD-MASK-003/adam.',
        default: 'all',
      }),
    ),
    minutes: number({
      ...ABOVE_0,
      about:
        'Time that the run may take: every requirement gets its first cases, then more; what is left is not judged.',
      unit: 'minutes',
      default: '15',
    }),
    'case-seconds': number({
      ...ABOVE_0,
      about: 'Time that a program may take to answer one case.',
      unit: 'seconds',
      default: '60',
    }),
    seed: special<number | 'random'>({
      value: 'S',
      about: 'Of the cases; a whole number, or random.',
      default: 'a fixed one',
      read: readJudgeSeed,
    }),
    json: file({ about: 'The report as JSON.' }),
    html: file({ about: 'The report as a page.' }),
  },
  examples: [
    ["lrd conformance --adapter 'cmd:python3 my_lrd.py'", 'judge a program that speaks the protocol'],
    ['lrd conformance --adapter ref --adapter wasm --html report.html', 'two built-in ones, and a page'],
  ],
});

/** `lrd conformance init`. */
export const INIT = command({
  summary: 'write an adapter to start from',
  about:
    'torch is a correct learning rate dropout for SGD, Adam and AdamW of torch.optim, python every rule in plain Python, js SGD in ' +
    'JavaScript. Each of them passes as it is written.',
  words: {
    start: {
      about: 'What to start from.',
      required: true,
      choices: async () => (await import('../../../conformance/index.ts')).START_NAMES,
    },
  },
  options: { out: folder({ about: 'The folder that it is written into.', default: 'this one' }) },
  examples: [['lrd conformance init torch', 'lrd_torch.py, and the command that judges it']],
});

/** `lrd conformance serve`. */
export const SERVE = command({
  summary: 'speak the protocol for a built-in implementation',
  words: {},
  options: { adapter: { ...text({ value: 'A', about: 'The implementation.' }), choices: builtIn } },
  examples: [['lrd conformance serve --adapter ref', 'the float64 reference, on stdin and stdout']],
});

/** Threads of a benchmark: a whole number, or the word for all cores. */
function readThreads(given: string, name: string): number | 'all' {
  return given === 'all' ? given : readCount(given, name, { least: 1, most: 1024, or: 'all' });
}

/** `lrd bench`. */
export const BENCH = command({
  summary: 'every engine beside its peers, in turns',
  about:
    'Measures and prints; without a SUITE it runs step, cost, mask, scale, epoch and reference, and train, resnet34, engines, ' +
    'drop-in and parallel where they are named.',
  words: {
    suites: {
      about: 'What is measured.',
      repeated: true,
      choices: async () => (await import('../../../bench/suites/index.ts')).SUITES.map(({ name }) => name),
    },
  },
  options: {
    full: flag({ about: 'Every rule and every size; takes hours.' }),
    only: pattern({ about: 'Groups whose name this regular expression matches.', default: 'all' }),
    'group-seconds': number({
      rule: 'a number above 0 and at most 86400',
      holds: (value) => ABOVE_0.holds(value) && value <= 86_400,
      about: 'Time that a group is measured for.',
      unit: 'seconds',
      default: "the profile's",
    }),
    threads: special<number | 'all'>({
      value: 'N',
      about: 'Threads that every side takes, PyTorch too; a whole number, or all.',
      default: '1',
      read: readThreads,
    }),
    json: file({ about: 'The result as JSON.' }),
    html: file({ about: 'The result as a page.' }),
    compare: file({ value: 'OLD.json', about: 'A result of before: what moved by more than its spread is listed.' }),
  },
  examples: [
    ['lrd bench step --json step.json', 'one suite, kept'],
    ['lrd bench step --compare step.json', 'and what has changed since'],
  ],
});

/** `lrd doctor`. */
export const DOCTOR = command({
  summary: 'what runs here, which versions, and how to get what is missing',
  words: {},
  options: { json },
  examples: [['lrd doctor', 'backends, adapters, and what --backend auto takes']],
});
