import { existsSync, mkdirSync } from 'node:fs';
import type { TrainingPosition } from '../trainer/train.ts';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { LrdOptimizer } from 'learning-rate-dropout';
import { JobError } from '../errors.ts';
import type { Parameter, TrainedNet } from '../nets/net.ts';
import { diverged } from '../trainer/failures.ts';
import { flushFolder } from '../storage/files.ts';
import type { RunConfig } from './runFolder.ts';
import type { HostTensor } from '../storage/safetensors.ts';
import { readArchive, writeArchive } from '../storage/safetensors.ts';

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

async function toHost(tensor: tf.Tensor): Promise<HostTensor> {
  return { shape: tensor.shape, values: (await tensor.data()).slice() as Float32Array | Int32Array };
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
function checkFinite(name: string, { values }: HostTensor, step: number): void {
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
}

/**
 * Writes parameters, statistics, optimizer state and position; a kill while it writes leaves the checkpoint before. Throws a
 * `JobError` and leaves it too when the disk is full, or when a parameter is no longer finite.
 */
export async function saveCheckpoint(
  folder: string,
  net: TrainedNet,
  optimizer: LrdOptimizer,
  { config, position, step }: CheckpointContext,
): Promise<void> {
  const tensors = new Map<string, HostTensor>();
  for (const { kind, name, key, variable } of tensorsOf(net)) {
    const values = await toHost(variable);
    checkFinite(`${kind} ${name}`, values, step);
    tensors.set(key, values);
  }
  const weights = await optimizer.getWeights();
  const keys = weights.map(({ name }) => stateKey(net, name));
  for (const [index, { tensor }] of weights.entries()) tensors.set(keys[index] as string, await toHost(tensor));
  // The first two were made for this list; the others are the optimizer's own.
  for (const { tensor } of weights.slice(0, 2)) tensor.dispose();
  const metadata = {
    format: FORMAT,
    net: net.name,
    rule: optimizer.rule,
    step: String(step),
    position: JSON.stringify(position),
    optimizer: JSON.stringify(optimizer.getConfig()),
    optimizerKeys: JSON.stringify(keys),
    config: JSON.stringify(config),
  };
  if (mkdirSync(join(folder, 'checkpoint'), { recursive: true }) !== undefined) flushFolder(folder);
  writeArchive(checkpointPath(folder), { tensors, metadata });
}

/** What a checkpoint holds before it meets a network. */
export interface Checkpoint {
  readonly position: TrainingPosition;
  /** The optimizer's configuration at that moment: keep probability, learning rate and decay as they were. */
  readonly optimizer: tf.serialization.ConfigDict;
  restore(net: TrainedNet, optimizer: LrdOptimizer): Promise<void>;
  /** The network's parameters and statistics alone. */
  restoreNet(net: TrainedNet): void;
}

/** Reads a run's checkpoint. Throws a `JobError` when it is missing, corrupt, of an earlier format or of another run. */
export function readCheckpoint(folder: string, config: RunConfig): Checkpoint {
  const path = checkpointPath(folder);
  const { tensors, metadata } = readArchive(path);
  const {
    format,
    net: netName,
    rule,
    position,
    optimizer: optimizerConfig,
    optimizerKeys,
    config: recorded,
  } = metadata;
  if (format === undefined) throw new JobError(`${path}: not a checkpoint of this program (it names no format)`);
  if (format !== FORMAT) {
    throw new JobError(
      `${path}: a checkpoint of format ${format}, this version reads ${FORMAT}; ` +
        'go on with the version that wrote it, or start the run again',
    );
  }
  if (
    position === undefined ||
    optimizerConfig === undefined ||
    optimizerKeys === undefined ||
    recorded === undefined
  ) {
    throw new JobError(`${path}: not a checkpoint of this program (it names no position)`);
  }
  const written = JSON.parse(recorded) as RunConfig;
  for (const field of IDENTITY) {
    const [there, here] = [written[field], config[field]].map((value) => JSON.stringify(value) ?? 'none');
    if (there !== here) throw new JobError(`${path}: of another run: its ${field} is ${there}, config.json's ${here}`);
  }
  const valuesFor = (net: TrainedNet): { readonly variable: tf.Variable; readonly saved: HostTensor }[] => {
    if (net.name !== netName) throw new JobError(`${path}: of ${netName}, not of ${net.name}`);
    return tensorsOf(net).map(({ kind, name, key, variable }) => {
      const saved = tensors.get(key);
      if (saved === undefined || saved.shape.join() !== variable.shape.join()) {
        throw new JobError(
          `${path}: ${kind} ${name} must be of shape [${variable.shape.join(', ')}], ` +
            `got ${saved === undefined ? 'none' : `[${saved.shape.join(', ')}]`}`,
        );
      }
      return { variable, saved };
    });
  };
  const assign = (values: ReturnType<typeof valuesFor>): void => {
    tf.tidy(() => {
      for (const { variable, saved } of values) variable.assign(tf.tensor(saved.values, [...saved.shape]));
    });
  };
  return {
    position: JSON.parse(position) as TrainingPosition,
    optimizer: JSON.parse(optimizerConfig) as tf.serialization.ConfigDict,
    restore: async (net, optimizer) => {
      if (optimizer.rule !== rule) throw new JobError(`${path}: of ${rule}, not of ${optimizer.rule}`);
      // Nothing changes unless everything fits.
      const values = valuesFor(net);
      const weights = (JSON.parse(optimizerKeys) as string[]).map((key) => {
        const tensor = tensors.get(key);
        if (tensor === undefined) throw new JobError(`${path}: ${key} is missing`);
        const dtype = tensor.values instanceof Int32Array ? 'int32' : 'float32';
        return { name: key, tensor: tf.tensor(tensor.values, [...tensor.shape], dtype) };
      });
      await optimizer.setWeights(weights);
      for (const { tensor } of weights) tensor.dispose();
      assign(values);
    },
    restoreNet: (net) => {
      assign(valuesFor(net));
    },
  };
}
