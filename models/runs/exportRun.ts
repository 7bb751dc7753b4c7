import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type * as tf from '@tensorflow/tfjs';
import { useBackend } from '../backend.ts';
import { JobError } from '../errors.ts';
import { graphModelOf } from '../nets/graphModel.ts';
import { toTorch, torchShape } from '../nets/initialise.ts';
import type { Net } from '../nets/net.ts';
import { loadWorkload } from '../recipes/catalogue.ts';
import { checkWritable, makeFolders, writeWhole } from '../storage/files.ts';
import type { ComingTensor } from '../storage/safetensors.ts';
import { writeTensors } from '../storage/safetensors.ts';
import type { Checkpoint } from './checkpoint.ts';
import { hasCheckpoint, readCheckpoint } from './checkpoint.ts';
import { asRecorded, buildOptions, selectionOf } from './rebuild.ts';
import type { RunConfig } from './runFolder.ts';
import { readRun } from './runFolder.ts';

/** Forms in which a trained network leaves. */
export const EXPORT_FORMS = ['safetensors', 'tfjs'] as const;
export type ExportForm = (typeof EXPORT_FORMS)[number];

export interface ExportRequest {
  readonly folder: string;
  readonly to: ExportForm;
  /** The file, or the folder. Default: in the run. */
  readonly out?: string | undefined;
}

/** `layer1/0/conv1/weight` -> `layer1.0.conv1.weight`. */
const torchName = (name: string): string => name.replaceAll('/', '.');

/** One tensor after the other, from file to file: no more than one is in memory. */
async function writeTorch(folder: string, { network }: Checkpoint, path: string): Promise<void> {
  const tensors = network.map(({ name, shape, dtype, read }): ComingTensor => ({
    name: torchName(name),
    shape: torchShape(shape),
    dtype,
    values: () => toTorch(read()).values,
  }));
  const names = new Set<string>();
  for (const { name } of tensors) {
    if (names.has(name)) throw new JobError(`${folder}: two tensors of its network are both ${name} in PyTorch's names`);
    names.add(name);
  }
  await writeTensors(path, tensors, { format: 'pt' });
}

/** Bytes of a file of weights, as tfjs's own converter cuts them: caches of browsers like small files. */
const SHARD = 4 * 2 ** 20;

/** Pieces of memory that follow one another, cut anew into such as have the bytes of a file each. */
function shardsOf(pieces: readonly Uint8Array[]): Uint8Array[][] {
  const shards: Uint8Array[][] = [[]];
  let room = SHARD;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      if (room === 0) {
        shards.push([]);
        room = SHARD;
      }
      const part = piece.subarray(at, at + room);
      shards.at(-1)?.push(part);
      at += part.length;
      room -= part.length;
    }
  }
  return shards;
}

async function writeTfjs(
  net: Net,
  shape: readonly number[],
  classes: readonly string[],
  folder: string,
): Promise<void> {
  const forward = (x: tf.Tensor): tf.Tensor => net.forward(x, { training: false, step: 1 });
  const { topology, weightSpecs, weights } = graphModelOf(forward, shape);
  makeFolders(folder);
  const shards = shardsOf(weights);
  const paths = shards.map((_, k) => `group1-shard${k + 1}of${shards.length}.bin`);
  for (const [k, path] of paths.entries()) {
    writeWhole(join(folder, path), shards[k] as Uint8Array[]);
    // A signal is heard between two files.
    await turn();
  }
  const model = {
    format: 'graph-model',
    generatedBy: 'learning-rate-dropout',
    convertedBy: null,
    userDefinedMetadata: { classes },
    modelTopology: topology,
    weightsManifest: [{ paths, weights: weightSpecs }],
  };
  // Last: a folder with a model.json is whole.
  writeWhole(join(folder, 'model.json'), `${JSON.stringify(model)}\n`);
}

async function exportGraph(folder: string, config: RunConfig, checkpoint: Checkpoint, target: string): Promise<void> {
  const data = await asRecorded(folder, () => loadWorkload(config.recipe, selectionOf(config, undefined)));
  if (data.images === undefined) {
    throw new JobError(`${folder}: lrd export --to tfjs is for networks that classify images, not for ${config.recipe}`);
  }
  // A graph is written down as it is computed: the backend must answer at once.
  await useBackend('cpu');
  const { net } = data.build(buildOptions(BigInt(config.seed), config.regularizers));
  try {
    checkpoint.restoreNet(net);
    await writeTfjs(net as Net, data.images.shape, data.images.classes, target);
  } finally {
    net.dispose();
  }
}

/**
 * Writes the network of a run's checkpoint: `safetensors` with PyTorch's names and layouts, or `tfjs`, a graph model that takes the same
 * inputs as the network, normalised, and gives logits. Returns where it is. Throws a `JobError` for a folder without a checkpoint.
 */
export async function exportRun({ folder, to, out }: ExportRequest): Promise<string> {
  const { config } = readRun(folder);
  if (!hasCheckpoint(folder)) {
    throw new JobError(
      `${folder}: no checkpoint to export (an experiment keeps those of its cells with --keep-checkpoints)`,
    );
  }
  const target = out ?? join(folder, to === 'tfjs' ? 'tfjs' : 'export.safetensors');
  if (to === 'safetensors') checkWritable(target);
  const checkpoint = readCheckpoint(folder, config);
  try {
    if (to === 'safetensors') await writeTorch(folder, checkpoint, target);
    else await exportGraph(folder, config, checkpoint, target);
  } finally {
    checkpoint.close();
  }
  return target;
}
