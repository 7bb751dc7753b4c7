import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { LrdOptimizer } from '../../impl-gpu/tfjs/index.ts';
import { JobError } from '../errors.ts';
import type { Net, Parameter } from '../nets/net.ts';
import type { ClassificationSums } from './metrics.ts';
import type { HostTensor } from './safetensors.ts';
import { readArchive, writeArchive } from './safetensors.ts';

/** Where a run stands: everything that training carries from one step to the next beside tensors. */
export interface TrainingPosition {
  /** The epoch under way, from 1; one past the last when the run is over. */
  readonly epoch: number;
  /** Batches of that epoch that are done. */
  readonly batch: number;
  /** Sums over those batches, for the epoch's running means. */
  readonly sums: ClassificationSums;
  /** Seconds of training so far: in this epoch, and in those before. */
  readonly epochSeconds: number;
  /** Of this epoch's seconds, those in which the step waited for its batch. Absent where they were not kept. */
  readonly inputSeconds?: number;
  readonly secondsBefore: number;
}

const FORMAT = '1';

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
}: Net): { kind: string; name: string; key: string; variable: tf.Variable }[] {
  const named = (kind: string, list: readonly Parameter[]): ReturnType<typeof tensorsOf> =>
    list.map(({ name, variable }) => ({ kind, name, key: `${kind}/${name}`, variable }));
  return [...named('parameter', parameters), ...named('statistic', statistics)];
}

/** Writes parameters, statistics, optimizer state and position; a kill while it writes leaves the checkpoint before. */
export async function saveCheckpoint(
  folder: string,
  net: Net,
  optimizer: LrdOptimizer,
  position: TrainingPosition,
): Promise<void> {
  const tensors = new Map<string, HostTensor>();
  for (const { key, variable } of tensorsOf(net)) tensors.set(key, await toHost(variable));
  const weights = await optimizer.getWeights();
  for (const [index, { tensor }] of weights.entries()) tensors.set(`optimizer/${index}`, await toHost(tensor));
  // The first two were made for this list; the others are the optimizer's own.
  for (const { tensor } of weights.slice(0, 2)) tensor.dispose();
  const metadata = {
    format: FORMAT,
    net: net.name,
    rule: optimizer.rule,
    position: JSON.stringify(position),
    optimizer: JSON.stringify(optimizer.getConfig()),
    optimizerNames: JSON.stringify(weights.map(({ name }) => name)),
  };
  mkdirSync(join(folder, 'checkpoint'), { recursive: true });
  writeArchive(checkpointPath(folder), { tensors, metadata });
}

/** What a checkpoint holds before it meets a network. */
export interface Checkpoint {
  readonly position: TrainingPosition;
  /** The optimizer's configuration at that moment: keep probability, learning rate and decay as they were. */
  readonly optimizer: tf.serialization.ConfigDict;
  restore(net: Net, optimizer: LrdOptimizer): Promise<void>;
}

/** Reads a run's checkpoint. Throws a `JobError` when it is missing, corrupt or of something else. */
export function readCheckpoint(folder: string): Checkpoint {
  const path = checkpointPath(folder);
  const { tensors, metadata } = readArchive(path);
  const { format, net: netName, rule, position, optimizer: config, optimizerNames } = metadata;
  if (format !== FORMAT || position === undefined || config === undefined || optimizerNames === undefined) {
    throw new JobError(
      `${path}: not a checkpoint of this program (format ${format ?? 'unknown'} instead of ${FORMAT})`,
    );
  }
  return {
    position: JSON.parse(position) as TrainingPosition,
    optimizer: JSON.parse(config) as tf.serialization.ConfigDict,
    restore: async (net, optimizer) => {
      if (net.name !== netName || optimizer.rule !== rule) {
        throw new JobError(`${path}: of ${netName} with ${rule}, not of ${net.name} with ${optimizer.rule}`);
      }
      const own = tensorsOf(net);
      const saved = own.map(({ kind, name, key, variable }) => {
        const tensor = tensors.get(key);
        if (tensor === undefined || tensor.shape.join() !== variable.shape.join()) {
          throw new JobError(
            `${path}: ${kind} ${name} must be of shape [${variable.shape.join(', ')}], ` +
              `got ${tensor === undefined ? 'none' : `[${tensor.shape.join(', ')}]`}`,
          );
        }
        return tensor;
      });
      const names = JSON.parse(optimizerNames) as string[];
      const weights = names.map((name, index) => {
        const tensor = tensors.get(`optimizer/${index}`);
        if (tensor === undefined) throw new JobError(`${path}: the optimizer's ${name} is missing`);
        const dtype = tensor.values instanceof Int32Array ? 'int32' : 'float32';
        return { name, tensor: tf.tensor(tensor.values, [...tensor.shape], dtype) };
      });
      await optimizer.setWeights(weights);
      for (const { tensor } of weights) tensor.dispose();
      tf.tidy(() => {
        own.forEach(({ variable }, k) => {
          const { values, shape } = saved[k] as HostTensor;
          variable.assign(tf.tensor(values, [...shape]));
        });
      });
    },
  };
}
