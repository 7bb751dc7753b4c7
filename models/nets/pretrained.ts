import * as tf from '@tensorflow/tfjs';
import { JobError } from '../errors.ts';
import type { HostTensor } from '../storage/safetensors.ts';
import { openArchive } from '../storage/safetensors.ts';
import { fromTorch, initialise, torchvisionName, vgg16Name } from './initialise.ts';
import type { Net, Parameter } from './net.ts';

type Target = Pick<Net<unknown>, 'name' | 'parameters' | 'statistics'>;

/** Whether a file holds all of a network, heads too, rather than a backbone trained on ImageNet. */
function isWhole(path: string, head: RegExp): boolean {
  const archive = openArchive(path);
  try {
    return [...archive.entries.keys()].some((name) => head.test(name));
  } finally {
    archive.close();
  }
}

const BACKBONE = /^(conv1|bn1|layer[1-4])\//;

/**
 * Gives a PSPNet the values of a safetensors file in PyTorch's layout: of all of its tensors, or of torchvision's ResNet-50 alone, whose classifier is left out; the
 * heads then keep their own. Throws a `JobError` that names the file.
 */
export function initialisePspNet(net: Target, path: string): string | undefined {
  if (isWhole(path, /^(module\.)?(ppm|cls)\./)) return initialise(net, path).remark;
  const ofBackbone = ({ name }: Parameter): boolean => BACKBONE.test(name);
  const backbone: Target = {
    name: `the backbone of ${net.name}`,
    parameters: net.parameters.filter(ofBackbone),
    statistics: net.statistics.filter(ofBackbone),
  };
  const rename = (name: string): string | undefined => {
    const own = torchvisionName(name);
    return own?.startsWith('fc/') === true ? undefined : own;
  };
  return initialise(backbone, path, { rename }).remark;
}

/** Every `step`th of a tensor's elements along each axis, from the first on. */
export function thinOut({ shape, values }: HostTensor, steps: readonly number[]): HostTensor {
  const to = shape.map((extent, axis) => Math.ceil(extent / (steps[axis] as number)));
  const size = to.reduce((product, extent) => product * extent, 1);
  const thin = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    let rest = i;
    let at = 0;
    let stride = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const extent = to[axis] as number;
      at += (rest % extent) * (steps[axis] as number) * stride;
      rest = Math.floor(rest / extent);
      stride *= shape[axis] as number;
    }
    thin[i] = values[at] as number;
  }
  return { shape: to, values: thin };
}

/** The linear layers of VGG-16 that become convolutions, by their names in torchvision. */
const LINEAR = { fc6: 'classifier.0', fc7: 'classifier.3' } as const;

/** One of four units stays: 1024 of 4096. */
const UNITS = 4;

/**
 * Gives an SSD300 the values of a safetensors file in PyTorch's layout: of all of its tensors, or of torchvision's VGG-16: its convolutions, and its first two linear
 * layers thinned out to fc6 and fc7 as SSD section 3.1 does (DeepLab's subsampling), where the file has them. The rest keeps its own. Throws a `JobError` that
 * names the file.
 */
export function initialiseSsd300(net: Target, path: string): string | undefined {
  if (isWhole(path, /^(module\.)?(extras|offsets)\./)) return initialise(net, path).remark;
  const base = net.parameters.filter(({ name }) => /^conv\d_\d\//.test(name));
  const vgg: Target = { name: `the VGG-16 of ${net.name}`, parameters: base, statistics: [] };
  const { remark } = initialise(vgg, path, { rename: vgg16Name });
  const [, , maps, units] = find(net, 'fc6/weight').variable.shape as [number, number, number, number];
  const wide = UNITS * units;
  // The first layer reads 7 x 7 pixels of the last maps, of which every third row and column stays; the second one reads the first.
  const layers = [
    { name: 'fc6', inputs: [maps, 7, 7], every: [1, 3, 3] },
    { name: 'fc7', inputs: [wide, 1, 1], every: [UNITS, 1, 1] },
  ] as const;
  for (const { name, inputs, every } of layers) {
    const linear = LINEAR[name];
    const [weight, bias] = readBoth(path, [`${linear}.weight`, `${linear}.bias`]);
    if (weight === undefined || bias === undefined) continue;
    const shape = [wide, inputs[0] * inputs[1] * inputs[2]];
    if (weight.shape.join() !== shape.join() || bias.shape.join() !== String(wide)) {
      throw new JobError(
        `--init ${path}: tensor ${linear}.weight must be of shape [${shape.join(', ')}] as in torchvision's VGG-16, got [${weight.shape.join(', ')}]`,
      );
    }
    const filters = thinOut({ shape: [wide, ...inputs], values: weight.values }, [UNITS, ...every]);
    assign(net, `${name}/weight`, fromTorch(filters));
    assign(net, `${name}/bias`, thinOut(bias, [UNITS]));
  }
  return remark;
}

/** Tensors of a file by their names; undefined for those that it has not. */
function readBoth(path: string, names: readonly [string, string]): (HostTensor | undefined)[] {
  const archive = openArchive(path);
  try {
    return names.map((name) => (archive.entries.has(name) ? archive.read(name) : undefined));
  } finally {
    archive.close();
  }
}

function find({ parameters }: Target, name: string): Parameter {
  return parameters.find((parameter) => parameter.name === name) as Parameter;
}

function assign(net: Target, name: string, { shape, values }: HostTensor): void {
  const { variable } = find(net, name);
  tf.tidy(() => variable.assign(tf.tensor(values, [...shape])));
}
