import { dataFolders } from '../data/catalogue.ts';
import { checkTextName, loadText, splitText } from '../data/texts.ts';
import { UsageError } from '../errors.ts';
import { GPT_DEFAULTS, GPT_HEADS, checkGptWidth, gpt } from '../nets/gpt.ts';
import { initialise } from '../nets/initialise.ts';
import { sampleText } from '../tasks/language/samples.ts';
import { language } from '../tasks/language/task.ts';
import { testStarts } from '../tasks/language/windows.ts';
import type { Recipe, Selection, WorkloadData } from './recipe.ts';
import { ofRun } from './recipe.ts';

const NAME = 'gpt';
/** Steps of an epoch, unless `--epoch-steps` says otherwise. */
const EPOCH_STEPS = 200;

/** Bytes of text that a step takes, at most: the logits alone are a thousand times as many. */
const MOST_OF_STEP = 2 ** 22;

function check({ data, augment, width, batchSize, context = GPT_DEFAULTS.context }: Selection): void {
  checkTextName(data);
  if (augment !== undefined && augment !== 'none') {
    throw new UsageError(`--augment must be none or left out for ${NAME}, got ${JSON.stringify(augment)}`);
  }
  checkGptWidth(width ?? GPT_DEFAULTS.width);
  const most = Math.floor(MOST_OF_STEP / context);
  if (batchSize > most) {
    throw new UsageError(
      `--batch-size must be at most ${most.toLocaleString('en')} at a context of ${context} (2^22 bytes a step), got ${batchSize}`,
    );
  }
}

async function load(selection: Selection): Promise<WorkloadData> {
  check(selection);
  const { data, dataDir, limit, validation, batchSize, epochSteps = EPOCH_STEPS } = selection;
  const { width = GPT_DEFAULTS.width, layers = GPT_DEFAULTS.layers, context = GPT_DEFAULTS.context } = selection;
  const text = await loadText(data, dataFolders(dataDir));
  const splits = splitText(text, { context, limit, validation });
  const held = splits.validation === undefined ? {} : { validation: testStarts(splits.validation, context).length };
  return {
    source: text.source,
    augmentation: 'none',
    examples: { train: epochSteps * batchSize, ...held, test: testStarts(splits.test, context).length },
    build: ({ frozenTensors, ...options }) => {
      const net = ofRun(gpt({ ...options, width, layers, context }), frozenTensors);
      return {
        net,
        task: ({ optimizer, part }) =>
          language({ net, splits, steps: epochSteps, batchSize, optimizer, ...(part === undefined ? {} : { part }) }),
        initialise: (path) => initialise(net, path).remark,
        draw: async () => [],
        write: () => sampleText({ net, context, text: splits.test, seed: options.seed }),
      };
    },
  };
}

/** A small language model on bytes. */
export const GPT: Recipe = {
  name: NAME,
  title: 'a decoder of bytes in the form of GPT-2, 4 blocks, context 128',
  width: `of the residual stream, 128; a multiple of ${GPT_HEADS}`,
  defaults: {
    data: 'genesis',
    batchSize: 32,
    epochs: 10,
    optimizer: 'adamw',
    schedules: { learningRate: { kind: 'warmup', steps: 100 } },
  },
  takes: ['layers', 'context', 'epochSteps'],
  lossUnit: 'bits a byte',
  reads: 'text',
  check,
  load,
  findData: async (data, dataDir) => {
    await loadText(data, dataFolders(dataDir));
  },
};
