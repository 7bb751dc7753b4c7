import { Type } from '@sinclair/typebox';
import type { TSchema } from '@sinclair/typebox';
import { RULES } from 'learning-rate-dropout/spec';
import { BACKENDS } from '../backendNames.ts';
import type { Read } from '../storage/form.ts';
import { FROM_0, PROBABILITY, form, oneOf, textOf, wholeFrom } from '../storage/form.ts';
import { EVALUATIONS } from '../tasks/segmentation/evaluations.ts';
import type { Regularizers } from '../trainer/regularizers.ts';
import { SCHEDULES } from '../trainer/schedules/schedule.ts';

const name = Type.String({ minLength: 1, maxLength: 4096 });
const share = Type.Number({ minimum: 0, maximum: 1 });

/** How many examples the splits have. */
export const EXAMPLES = Type.Object({
  train: wholeFrom(1),
  validation: Type.Optional(wholeFrom(1)),
  test: wholeFrom(0),
});

/** A schema for every field, so that none of the type is forgotten. */
const REGULARIZERS: { readonly [K in keyof Required<Regularizers>]: TSchema } = {
  noisyLabels: share,
  standardDropout: PROBABILITY,
  frozenTensors: Type.Boolean(),
  clipValue: FROM_0,
  clipNorm: FROM_0,
  clipGlobalNorm: FROM_0,
  gradientKeepProbability: PROBABILITY,
  noiseEta: FROM_0,
  noiseGamma: FROM_0,
  sparsity: share,
  sparseReading: oneOf(['gradients', 'updates']),
  centralize: Type.Boolean(),
  trained: Type.Object({
    rate: FROM_0,
    minimum: Type.Optional(PROBABILITY),
    maximum: Type.Optional(PROBABILITY),
    sign: Type.Optional(oneOf(['descent', 'ascent'])),
    scope: Type.Optional(oneOf(['global', 'groups'])),
  }),
};

/** The fields of `config.json`. */
export const CONFIG = Type.Object({
  recipe: name,
  data: name,
  dataSource: name,
  optimizer: oneOf(Object.keys(RULES)),
  /** The optimizer's own full configuration. */
  hyper: Type.Record(Type.String(), Type.Unknown()),
  keepProbability: PROBABILITY,
  learningRate: FROM_0,
  batchSize: wholeFrom(1),
  epochs: wholeFrom(1),
  seed: textOf('^(0x[0-9a-fA-F]{1,16}|[0-9]{1,20})$', 'a seed as "0x..."'),
  backend: oneOf(BACKENDS),
  parameters: wholeFrom(0),
  width: Type.Optional(wholeFrom(1)),
  limit: Type.Optional(wholeFrom(1)),
  /** Training examples that are held out. */
  validation: Type.Optional(wholeFrom(1)),
  /** Of segmentation: side of the training crops, where it is not 473. */
  crop: Type.Optional(wholeFrom(1)),
  /** Of segmentation: how pictures are tested, where it is not `whole`. */
  evaluation: Type.Optional(oneOf(EVALUATIONS)),
  /** Of language models: blocks, bytes that are seen at once, steps of an epoch. */
  layers: Type.Optional(wholeFrom(1)),
  context: Type.Optional(wholeFrom(1)),
  epochSteps: Type.Optional(wholeFrom(1)),
  /** What losses are in, where it is not nats a sample. */
  lossUnit: Type.Optional(oneOf(['bits a byte'])),
  /** What training does to images. Absent where there was no choice yet: nothing. */
  augmentation: Type.Optional(name),
  /** What must be known of the data: that it is a part of the published set, or stands in for another. */
  dataRemark: Type.Optional(Type.String({ maxLength: 100_000 })),
  /** Examples that it trains on, that were held out of those, and that it is tested on. */
  examples: Type.Optional(EXAMPLES),
  /** The file that the network started with. */
  init: Type.Optional(name),
  regularizers: Type.Optional(
    Type.Unsafe<Regularizers>({ ...Type.Partial(Type.Object(REGULARIZERS)), additionalProperties: false }),
  ),
  /** With their lengths written out. `hyper`, `learningRate` and `keepProbability` are the values that they start from. */
  schedules: Type.Optional(SCHEDULES),
  tensorBoard: Type.Optional(Type.Boolean()),
  /** Processes that it trains on together; absent for one alone. */
  processes: Type.Optional(wholeFrom(2)),
});

/** What was asked for, with every default filled in; `seed` as "0x...". */
export type RunConfig = Read<typeof CONFIG>;

/** What `config.json` is checked against. */
export const RUN_CONFIG = form("a run's settings", CONFIG);

/** What `environment.json` is checked against: facts by name. */
export const ENVIRONMENT = form(
  "a run's environment",
  Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()])),
);

/** What a result depends on beside the program, by name. */
export type Environment = Readonly<Record<string, string | number | boolean | null>>;
