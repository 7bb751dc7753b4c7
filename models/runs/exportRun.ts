import { join } from 'node:path';
import type * as tf from '@tensorflow/tfjs';
import { useBackend } from '../backend.ts';
import { JobError } from '../errors.ts';
import { graphModelOf } from '../nets/graphModel.ts';
import { toTorch } from '../nets/initialise.ts';
import type { Net, TrainedNet } from '../nets/net.ts';
import { loadWorkload } from '../recipes/catalogue.ts';
import { checkWritable, makeFolders, writeWhole } from '../storage/files.ts';
import type { HostTensor } from '../storage/safetensors.ts';
import { writeArchive } from '../storage/safetensors.ts';
import { hasCheckpoint, readCheckpoint } from './checkpoint.ts';
import { asRecorded, buildOptions, selectionOf } from './rebuild.ts';
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

async function writeTorch(net: TrainedNet, path: string): Promise<void> {
  const tensors = new Map<string, HostTensor>();
  for (const { name, variable } of [...net.parameters, ...net.statistics]) {
    const values = (await variable.data()) as Float32Array;
    tensors.set(torchName(name), toTorch({ shape: variable.shape, values }));
  }
  await writeArchive(path, { tensors, metadata: { format: 'pt' } });
}

/** Bytes of a file of weights, as tfjs's own converter cuts them: caches of browsers like small files. */
const SHARD = 4 * 2 ** 20;

function writeTfjs(net: Net, shape: readonly number[], classes: readonly string[], folder: string): void {
  const forward = (x: tf.Tensor): tf.Tensor => net.forward(x, { training: false, step: 1 });
  const { topology, weightSpecs, weightData } = graphModelOf(forward, shape);
  makeFolders(folder);
  const count = Math.max(1, Math.ceil(weightData.length / SHARD));
  const paths = Array.from({ length: count }, (_, k) => `group1-shard${k + 1}of${count}.bin`);
  paths.forEach((path, k) => writeWhole(join(folder, path), [weightData.subarray(k * SHARD, (k + 1) * SHARD)]));
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
    const data = await asRecorded(folder, () => loadWorkload(config.recipe, selectionOf(config, undefined)));
    // A graph is written down as it is computed: the backend must answer at once.
    await useBackend('cpu');
    const { net } = data.build(buildOptions(BigInt(config.seed), config.regularizers));
    try {
      checkpoint.restoreNet(net);
      if (to === 'safetensors') await writeTorch(net, target);
      else {
        if (data.images === undefined) {
          throw new JobError(`${folder}: lrd export --to tfjs is for networks that classify images, not for ${config.recipe}`);
        }
        writeTfjs(net as Net, data.images.shape, data.images.classes, target);
      }
    } finally {
      net.dispose();
    }
  } finally {
    checkpoint.close();
  }
  return target;
}
