import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Type } from '@sinclair/typebox';
import * as tf from '@tensorflow/tfjs';
import type { LrdOptimizer } from 'learning-rate-dropout';
import { JobError } from '../errors.ts';
import type { Parameter, TrainedNet } from '../nets/net.ts';
import { diverged } from '../trainer/failures.ts';
import { makeFolderIn, removeDrafts } from '../storage/files.ts';
import { form, parseAs } from '../storage/form.ts';
import type { ComingTensor, HostTensor, OpenArchive } from '../storage/safetensors.ts';
import { openArchive, writeTensors } from '../storage/safetensors.ts';
import { TRAINING_POSITION } from '../trainer/position.ts';
import type { TrainingPosition } from '../trainer/position.ts';
import type { Processes } from './processes.ts';
import { RUN_CONFIG } from './runConfig.ts';
import type { RunConfig } from './runConfig.ts';

/** 1 had neither a checksum nor the run's configuration. */
const FORMAT = '2';

/** What must be the same in the run and in the checkpoint that it goes on from. */
const IDENTITY = ['recipe', 'data', 'optimizer', 'seed', 'batchSize', 'parameters', 'width', 'limit', 'regularizers', 'schedules'] as const; // prettier-ignore

/** The one file that a run's checkpoint is. */
function checkpointPath(folder: string): string {
  return join(folder, 'checkpoint', 'latest.safetensors');
}

/** Whether a run has come as far as its first checkpoint. */
export function hasCheckpoint(folder: string): boolean {
  return existsSync(checkpointPath(folder));
}

/** A tensor that is fetched from the backend when it is written. */
function coming(name: string, tensor: tf.Tensor, check: (values: HostTensor['values']) => void = () => undefined): ComingTensor {
  return {
    name,
    shape: tensor.shape,
    dtype: tensor.dtype === 'int32' ? 'int32' : 'float32',
    values: async () => {
      const values = (await tensor.data()) as HostTensor['values'];
      check(values);
      return values;
    },
  };
}

/** Where a process's own share of a tensor lies in the file. */
const ownKey = (rank: number, key: string): string => `process/${rank}/${key}`;

/**
 * A tensor that is not the same on all processes: what one process would have, the sum or the mean of the shares, and each one's own. To be
 * fetched in this order on all of them, since the first gathers what the others are; only on process 0 do they have values.
 */
function comingShares(
  { group, size }: Processes,
  key: string,
  tensor: tf.Tensor,
  combined: 'sum' | 'mean',
  check: (values: HostTensor['values']) => void = () => undefined,
): ComingTensor[] {
  const { shape } = tensor;
  let all: Float32Array | undefined;
  const whole: ComingTensor = {
    name: key,
    shape,
    dtype: 'float32',
    values: async () => {
      const own = (await tensor.data<'float32'>()).slice();
      all = group.gather(own);
      const sums = Float64Array.from(own);
      group.allReduce(sums, 'sum');
      const values = Float32Array.from(sums, (sum) => (combined === 'sum' ? sum : sum / size));
      check(values);
      return values;
    },
  };
  const shares = Array.from({ length: size }, (_, rank): ComingTensor => ({
    name: ownKey(rank, key),
    shape,
    dtype: 'float32',
    values: () => {
      const share = (all ?? new Float32Array(0)).subarray(rank * tensor.size, (rank + 1) * tensor.size);
      if (rank === size - 1) all = undefined;
      return share;
    },
  }));
  return [whole, ...shares];
}

/** A network's tensors by their names in the file. */
function tensorsOf({
  parameters,
  statistics,
}: TrainedNet): { kind: string; name: string; key: string; variable: tf.Variable }[] {
  const named = (kind: string, list: readonly Parameter[]): ReturnType<typeof tensorsOf> =>
    list.map(({ name, variable }) => ({ kind, name, key: `${kind}/${name}`, variable }));
  return [...named('parameter', parameters), ...named('statistic', statistics)];
}

/**
 * The optimizer's tensors by their names in the file: `optimizer/fc1/weight/m` for the state m of `fc1/weight`. In memory the
 * variable's name is unique in the process, so it is not the same when a run goes on.
 */
function stateKey(net: TrainedNet, name: string): string {
  const owner = net.parameters.find(({ variable }) => name.startsWith(`${variable.name}/`));
  return `optimizer/${owner === undefined ? name : `${owner.name}${name.slice(owner.variable.name.length)}`}`;
}

/** Throws a `JobError` for a value that is not a number: training is lost, and must not take the checkpoint before along. */
function checkFinite(name: string, values: HostTensor['values'], step: number): void {
  let bad = 0;
  while (bad < values.length && Number.isFinite(values[bad])) bad += 1;
  if (bad === values.length) return;
  throw diverged(`element ${bad} of ${name}`, values[bad] as number, step);
}

/** What is written with a checkpoint beside tensors. */
export interface CheckpointContext {
  readonly config: RunConfig;
  readonly position: TrainingPosition;
  /** Optimizer steps that are done. */
  readonly step: number;
  /** Those that train together, of which the first writes. Default: this one alone. */
  readonly processes?: Processes | undefined;
}

/**
 * Writes parameters, statistics, optimizer state and position; a kill while it writes leaves the checkpoint before. Throws a
 * `JobError` and leaves it too when the disk is full, or when a parameter is no longer finite.
 */
export async function saveCheckpoint(
  folder: string,
  net: TrainedNet,
  optimizer: LrdOptimizer,
  { config, position, step, processes }: CheckpointContext,
): Promise<void> {
  const several = processes !== undefined && processes.size > 1 ? processes : undefined;
  const tensors = tensorsOf(net).flatMap(({ kind, name, key, variable }) => {
    const check = (values: HostTensor['values']): void => checkFinite(`${kind} ${name}`, values, step);
    // Running statistics are of each process's own batches.
    return several !== undefined && kind === 'statistic'
      ? comingShares(several, key, variable, 'mean', check)
      : [coming(key, variable, check)];
  });
  const weights = await optimizer.getWeights();
  const keys = weights.map(({ name }) => stateKey(net, name));
  const sharesState = several?.replica?.reduction === 'kept';
  for (const [index, { tensor }] of weights.entries()) {
    const key = keys[index] as string;
    // The first two, iterations and counts, are the same everywhere.
    if (several !== undefined && sharesState && index >= 2) tensors.push(...comingShares(several, key, tensor, 'sum'));
    else tensors.push(coming(key, tensor));
  }
  const metadata = {
    format: FORMAT,
    net: net.name,
    rule: optimizer.rule,
    step: String(step),
    position: JSON.stringify(position),
    optimizer: JSON.stringify(optimizer.getConfig()),
    optimizerKeys: JSON.stringify(keys),
    config: JSON.stringify(config),
    ...(several === undefined ? {} : { processes: String(several.size) }),
  };
  try {
    if (several !== undefined && !several.first) {
      // What is gathered for the first is given in the same order.
      for (const { values } of tensors) await values();
      return;
    }
    makeFolderIn(folder, 'checkpoint');
    const path = checkpointPath(folder);
    removeDrafts(path);
    await writeTensors(path, tensors, metadata);
  } finally {
    // The first two were made for this list; the others are the optimizer's own.
    for (const { tensor } of weights.slice(0, 2)) tensor.dispose();
  }
}

/** What a checkpoint holds before it meets a network. Its tensors are on the disk until they are restored. */
export interface Checkpoint {
  readonly position: TrainingPosition;
  /** The optimizer's configuration at that moment: keep probability, learning rate and decay as they were. */
  readonly optimizer: tf.serialization.ConfigDict;
  /** How many processes wrote it. */
  readonly processes: number;
  /** As many processes as wrote it get their own shares again; others the mean of statistics, and together the sum of the state. */
  restore(net: TrainedNet, optimizer: LrdOptimizer, processes?: Processes): Promise<void>;
  /** The network's parameters and statistics alone. */
  restoreNet(net: TrainedNet): void;
  /** They as they lie in the file, by their names in the network: to be read one after the other. */
  readonly network: readonly (Omit<ComingTensor, 'values'> & { readonly read: () => HostTensor })[];
  close(): void;
}

const text = Type.String();
const METADATA = form(
  'a checkpoint of this program',
  Type.Object({
    net: text,
    rule: text,
    /** Optimizer steps that are done. */
    step: text,
    /** JSON, each: `TRAINING_POSITION`, `CONFIGURATION`, `KEYS`, `RUN_CONFIG`. */
    position: text,
    optimizer: text,
    optimizerKeys: text,
    config: text,
    /** How many wrote it, where they were several. */
    processes: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,6}$' })),
  }),
);
const CONFIGURATION = form("an optimizer's configuration", Type.Record(Type.String(), Type.Unknown()));
const KEYS = form("a list of an optimizer's tensors", Type.Array(Type.String()));

/** Opens a run's checkpoint. Throws a `JobError` when it is missing, corrupt, of an earlier format or of another run. */
export function readCheckpoint(folder: string, config: RunConfig): Checkpoint {
  const path = checkpointPath(folder);
  const archive = openArchive(path);
  try {
    return checkpointOf(path, archive, config);
  } catch (error) {
    archive.close();
    throw error;
  }
}

function checkpointOf(path: string, archive: OpenArchive, config: RunConfig): Checkpoint {
  const { entries, metadata } = archive;
  const { format } = metadata;
  if (format === undefined) throw new JobError(`${path}: not a checkpoint of this program (it names no format)`);
  if (format !== FORMAT) {
    throw new JobError(
      `${path}: a checkpoint of format ${format}, this version reads ${FORMAT}; ` +
        'go on with the version that wrote it, or start the run again',
    );
  }
  const said = METADATA.read(metadata, path);
  const { net: netName, rule } = said;
  const writers = Number(said.processes ?? '1');
  const position = parseAs(said.position, TRAINING_POSITION, `${path}: position`);
  const optimizer = parseAs(said.optimizer, CONFIGURATION, `${path}: optimizer`);
  const keys = parseAs(said.optimizerKeys, KEYS, `${path}: optimizerKeys`);
  const written = parseAs(said.config, RUN_CONFIG, `${path}: config`);
  for (const field of IDENTITY) {
    const [there, here] = [written[field], config[field]].map((value) => JSON.stringify(value) ?? 'none');
    if (there !== here) throw new JobError(`${path}: of another run: its ${field} is ${there}, config.json's ${here}`);
  }
  /** Where a process finds a tensor: its own share where as many go on as wrote and it has one, else what one process has. */
  const placeOf = (key: string, processes: Processes | undefined): string => {
    const own = processes?.size === writers ? ownKey(processes.rank, key) : key;
    return entries.has(own) ? own : key;
  };
  /** Throws unless the file has every tensor of the network, in its shape. */
  const placesFor = (net: TrainedNet, processes?: Processes): { readonly variable: tf.Variable; readonly key: string }[] => {
    if (net.name !== netName) throw new JobError(`${path}: of ${netName}, not of ${net.name}`);
    return tensorsOf(net).map(({ kind, name, key: plain, variable }) => {
      const key = placeOf(plain, processes);
      const saved = entries.get(key);
      if (saved === undefined || saved.shape.join() !== variable.shape.join() || saved.dtype !== 'F32') {
        const got = saved === undefined ? 'none' : `[${saved.shape.join(', ')}] of ${saved.dtype}`;
        throw new JobError(
          `${path}: ${kind} ${name} must be of shape [${variable.shape.join(', ')}] and type F32, got ${got}`,
        );
      }
      return { variable, key };
    });
  };
  const assign = (places: ReturnType<typeof placesFor>): void => {
    for (const { variable, key } of places) {
      const { values, shape } = archive.read(key);
      tf.tidy(() => {
        variable.assign(tf.tensor(values, [...shape], 'float32'));
      });
    }
  };
  const network = [...entries].flatMap(([key, { shape, dtype }]) => {
    const [, name] = /^(?:parameter|statistic)\/(.*)$/s.exec(key) ?? [];
    const whole = dtype === 'I32' || dtype === 'I64';
    const read = (): HostTensor => archive.read(key);
    return name === undefined ? [] : [{ name, shape, dtype: whole ? ('int32' as const) : ('float32' as const), read }];
  });
  return {
    position,
    network,
    optimizer: optimizer as tf.serialization.ConfigDict,
    processes: writers,
    restore: async (net, target, processes) => {
      if (target.rule !== rule) throw new JobError(`${path}: of ${rule}, not of ${target.rule}`);
      // Nothing changes unless everything fits.
      const places = placesFor(net, processes);
      const missing = keys.find((key) => !entries.has(key));
      if (missing !== undefined) throw new JobError(`${path}: ${missing} is missing`);
      const weights = keys.map((key) => {
        const { values, shape } = archive.read(placeOf(key, processes));
        const dtype = values instanceof Int32Array ? 'int32' : 'float32';
        return { name: key, tensor: tf.tensor(values, [...shape], dtype) };
      });
      try {
        const replica = processes?.replica;
        if (replica === undefined || processes?.size === writers) await target.setWeights(weights);
        else await replica.takeWeights(target, weights);
      } finally {
        for (const { tensor } of weights) tensor.dispose();
      }
      assign(places);
    },
    restoreNet: (net) => {
      assign(placesFor(net));
    },
    close: () => archive.close(),
  };
}
