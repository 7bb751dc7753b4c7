import { RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { MaskRequest } from 'learning-rate-dropout';
import { randomSeed } from 'learning-rate-dropout/stream';
import { UsageError } from '../errors.ts';
import { findRecipe } from '../recipes/catalogue.ts';
import type { Evaluation } from '../tasks/segmentation/evaluations.ts';
import { isDrawn } from '../trainer/masks.ts';
import type { Regularizers } from '../trainer/regularizers.ts';
import type { Schedules } from '../trainer/schedules/schedule.ts';

/** A training run as it is asked for; what is left out has the default that is said. */
export interface TrainingRequest {
  /** A name of `RECIPES`. */
  readonly recipe: string;
  /** Default: the recipe's. */
  readonly data?: string | undefined;
  /** What is to be recorded of the data beside what is known of it: that it stands in for another set. */
  readonly dataRemark?: string | undefined;
  /** Default: `LRD_DATA`, then the usual places. */
  readonly dataDir?: string | undefined;
  /** A name of `OPTIMIZERS`. Default `sgdm`. */
  readonly optimizer?: string | undefined;
  /** The probability p that an update is kept. Default 1: the base rule, without LRD. */
  readonly keepProbability?: number | undefined;
  /** Another kind of mask than learning rate dropout's. With one that is drawn, `keepProbability` is .5 by default. */
  readonly mask?: MaskRequest | undefined;
  /** Patterns of the names of parameters that are never masked. Default: none. */
  readonly maskExclude?: readonly string[] | undefined;
  /** Default: the rule's. */
  readonly learningRate?: number | undefined;
  /** Default: the recipe's, if it has one, else the rule's. */
  readonly weightDecay?: number | undefined;
  /** The rule's other hyper-parameters by the names of `spec/rules.ts`: `momentum`, `beta1`, `epsilon`, `window` ... */
  readonly hyper?: Readonly<Record<string, number | string | boolean>> | undefined;
  /** The papers' comparators. Default: none. */
  readonly regularizers?: Regularizers | undefined;
  /** How learning rate, keep probability, weight decay and sparsity go over the run. Default, each: the recipe's, else it stays. */
  readonly schedules?: Schedules | undefined;
  /** Default: the recipe's. */
  readonly batchSize?: number | undefined;
  /** Default: the recipe's. */
  readonly epochs?: number | undefined;
  /** Default: drawn at random; `config.json` tells. */
  readonly seed?: bigint | undefined;
  /** Default `auto`. */
  readonly backend?: string | undefined;
  /** The kernels of the optimizer's step, a name of `ENGINES`. Default `fused`. */
  readonly engine?: string | undefined;
  /** Default: the recipe's own width. */
  readonly width?: number | undefined;
  /** Images of each split that are used, at most. Default: all. */
  readonly limit?: number | undefined;
  /** Training examples of these that are held out to choose settings by, and tested beside the test set. Default: none. */
  readonly validation?: number | undefined;
  /** Blocks of `gpt`. Default 4. */
  readonly layers?: number | undefined;
  /** Bytes that `gpt` sees at once. Default 128. */
  readonly context?: number | undefined;
  /** Steps of an epoch of `gpt`. Default 200. */
  readonly epochSteps?: number | undefined;
  /** Side of the training crops of `pspnet`, 8k + 1; below 473 pictures are shrunk in proportion. Default 473. */
  readonly crop?: number | undefined;
  /** How `pspnet` is tested: `whole` pictures, or by `sliding` windows of the crop's size. Default `whole`. */
  readonly evaluation?: Evaluation | undefined;
  /** What training does to images, a name of `AUGMENTATIONS`. Default: the data set's own. */
  readonly augment?: string | undefined;
  /** A file of parameters (safetensors) that the network starts with. Default: initialised from the seed. */
  readonly init?: string | undefined;
  /** Where the run's folder is made. Default: below `runs/`, named after the settings. */
  readonly out?: string | undefined;
  /** Write TensorBoard event files into the run's folder. Default false. */
  readonly tensorBoard?: boolean | undefined;
}

/** A request with its defaults filled in; those of the rule and the network are theirs to fill. */
export interface ResolvedRequest extends TrainingRequest {
  readonly data: string;
  readonly optimizer: string;
  readonly keepProbability: number;
  readonly hyper: Readonly<Record<string, number | string | boolean>>;
  readonly regularizers: Regularizers;
  readonly schedules: Schedules;
  readonly batchSize: number;
  readonly epochs: number;
  readonly seed: bigint;
  readonly backend: string;
  readonly engine: string;
  readonly tensorBoard: boolean;
}

/** Throws a `UsageError` for an unknown recipe. */
export function resolveRequest(request: TrainingRequest): ResolvedRequest {
  const { mask, maskExclude = [] } = request;
  if (mask !== undefined && !isDrawn(mask) && request.schedules?.keepProbability !== undefined) {
    throw new UsageError(`--schedule keep=... must be left out with --mask ${mask.kind}, which draws nothing`);
  }
  if (mask === undefined && (request.keepProbability ?? 1) === 1 && maskExclude.length > 0) {
    throw new UsageError(`--mask-exclude must go with --mask or --keep, got ${JSON.stringify(maskExclude[0])} alone`);
  }
  const { defaults } = findRecipe(request.recipe);
  const { optimizer = defaults.optimizer ?? 'sgdm' } = request;
  // A paper's 5e-4 is L2; AdamW's decay means something else.
  const decoupled = Object.hasOwn(RULES, optimizer) && RULES[optimizer as RuleName].decay === 'decoupled';
  return {
    ...request,
    data: request.data ?? defaults.data,
    optimizer,
    keepProbability: request.keepProbability ?? (request.mask !== undefined && isDrawn(request.mask) ? 0.5 : 1),
    hyper: request.hyper ?? {},
    regularizers: request.regularizers ?? {},
    weightDecay: request.weightDecay ?? (decoupled ? undefined : defaults.weightDecay),
    schedules: { ...defaults.schedules, ...request.schedules },
    batchSize: request.batchSize ?? defaults.batchSize,
    epochs: request.epochs ?? defaults.epochs,
    seed: request.seed ?? randomSeed(),
    backend: request.backend ?? 'auto',
    engine: request.engine ?? 'fused',
    tensorBoard: request.tensorBoard ?? false,
  };
}

/** Names that `--engine` takes: this package's kernels, or gpu.js ones. */
export const ENGINES: readonly string[] = ['fused', 'gpujs'];

/** Hyper-parameters of any rule that `hyper` takes: all but those that are fields of their own. */
export const HYPER_NAMES: readonly string[] = [
  ...new Set(Object.values(RULES).flatMap(({ hyper }) => Object.keys(hyper))),
].filter((name) => name !== 'learningRate' && name !== 'weightDecay');
