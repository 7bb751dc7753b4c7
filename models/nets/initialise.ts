import * as tf from '@tensorflow/tfjs';
import { JobError } from '../errors.ts';
import type { HostTensor } from '../storage/safetensors.ts';
import type { ArchiveEntry, OpenArchive } from '../storage/safetensors.ts';
import { DTYPE_NAMES, openArchive } from '../storage/safetensors.ts';
import type { Net, Parameter } from './net.ts';

/** How a file's tensors find their places in a network. */
export interface InitialiseOptions {
  /** The network's name of a tensor of the file; undefined leaves the tensor out. Default `torchvisionName`. */
  readonly rename?: (name: string) => string | undefined;
  /**
   * Let the classifier (`fc` or `classifier`) keep its own initial values where the file's is of another number of classes. Default false: that
   * is an error.
   */
  readonly skipClassifier?: boolean;
}

/** What came of it. */
export interface Initialised {
  /** Tensors of the network that have the file's values. */
  readonly loaded: number;
  /** Names of those of the classifier that kept their own. */
  readonly skipped: readonly string[];
  /** What was left out of the file, in a line; undefined where nothing was. */
  readonly remark?: string;
}

/**
 * The name in this project of a tensor of torchvision's ResNet, ResNeXt or DenseNet, or of the CIFAR ResNets that say `shortcut` and `linear`: slashes for
 * points, without what wrappers put in front. Undefined for PyTorch's count of batches, which nothing here needs.
 */
export function torchvisionName(name: string): string | undefined {
  if (name.endsWith('.num_batches_tracked')) return undefined;
  return name
    .replace(/^(module|model|_orig_mod)\./, '')
    .replace(/(denselayer\d+\.(?:norm|conv))\.([12])\./, '$1$2.')
    .replace(/\.shortcut\./, '.downsample.')
    .replace(/^linear\./, 'fc.')
    .replaceAll('.', '/');
}

/** PyTorch's convolutions are [out, in, height, width], here [height, width, in, out]; linear layers [out, in], here [in, out]. */
const ORDER: Readonly<Record<number, readonly number[]>> = { 4: [2, 3, 1, 0], 2: [1, 0] };

/** The way back. */
const BACK: Readonly<Record<number, readonly number[]>> = { 4: [3, 2, 0, 1], 2: [1, 0] };

/** A tensor of PyTorch's layout in that of tfjs. */
export function fromTorch(tensor: HostTensor): HostTensor {
  return reordered(tensor, ORDER[tensor.shape.length]);
}

/** A shape of tfjs's layout in that of PyTorch. */
export function torchShape(shape: readonly number[]): readonly number[] {
  return BACK[shape.length]?.map((axis) => shape[axis] as number) ?? shape;
}

/** A tensor of tfjs's layout in that of PyTorch. */
export function toTorch(tensor: HostTensor): HostTensor {
  return reordered(tensor, BACK[tensor.shape.length]);
}

/** Rows and columns of a square that a processor's cache holds of both tables. */
const TILE = 32;

/** Square by square: column by column a large table is read from memory sixteen times. */
function transpose(
  values: HostTensor['values'],
  [rows, columns]: readonly [number, number],
  into: HostTensor['values'],
): void {
  for (let top = 0; top < rows; top += TILE) {
    const bottom = Math.min(rows, top + TILE);
    for (let left = 0; left < columns; left += TILE) {
      const right = Math.min(columns, left + TILE);
      for (let column = left; column < right; column++) {
        for (let row = top; row < bottom; row++) into[column * rows + row] = values[row * columns + column] as number;
      }
    }
  }
}

function reordered({ shape, values }: HostTensor, order: readonly number[] | undefined): HostTensor {
  if (order === undefined) return { shape, values };
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));
  const to = order.map((axis) => shape[axis] as number);
  const from = order.map((axis) => strides[axis] as number);
  const moved = values instanceof Int32Array ? new Int32Array(values.length) : new Float32Array(values.length);
  if (shape.length === 2) {
    transpose(values, shape as [number, number], moved);
    return { shape: to, values: moved };
  }
  const index = to.map(() => 0);
  let at = 0;
  for (let i = 0; i < moved.length; i++) {
    moved[i] = values[at] as number;
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const next = (index[axis] as number) + 1;
      at += from[axis] as number;
      if (next < (to[axis] as number)) {
        index[axis] = next;
        break;
      }
      at -= next * (from[axis] as number);
      index[axis] = 0;
    }
  }
  return { shape: to, values: moved };
}

function isClassifier(name: string): boolean {
  return /^(fc|classifier)\//.test(name);
}

const list = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/** The first name, and how many more there are. */
function named(names: readonly string[]): string {
  const [first] = names as readonly [string];
  return names.length === 1 ? first : `${first} and ${names.length - 1} more`;
}

/** Types of what a network is trained on; what is of another one and not asked for (masks, positions, counts) is no part of it. */
const FLOATS: readonly string[] = ['F32', 'F64', 'F16', 'BF16'];

/** A tensor of the file by its place in the network. */
interface Found extends ArchiveEntry {
  readonly source: string;
}

/** Where a file's tensors belong, and those that are nobody's. Throws for two of one place. */
function placesOf(
  { entries }: OpenArchive,
  rename: (name: string) => string | undefined,
  names: ReadonlySet<string>,
  twice: (name: string, a: string, b: string) => JobError,
): { readonly found: ReadonlyMap<string, Found>; readonly left: readonly Found[] } {
  const found = new Map<string, Found>();
  const left: Found[] = [];
  for (const [source, { dtype, shape }] of entries) {
    const name = rename(source);
    if (name === undefined) continue;
    if (!names.has(name) && !FLOATS.includes(dtype)) {
      left.push({ source, dtype, shape });
      continue;
    }
    const twin = found.get(name);
    if (twin !== undefined) throw twice(name, twin.source, source);
    found.set(name, { source, dtype, shape });
  }
  return { found, left };
}

/** What was left out, and of which types. */
function saidOf(left: readonly Found[]): string | undefined {
  const [first] = left;
  if (first === undefined) return undefined;
  if (left.length === 1) return `tensor ${first.source} of type ${first.dtype} is left out, no part of the network`;
  const types = [...new Set(left.map(({ dtype }) => dtype))].join(', ');
  return `tensor ${first.source} of type ${first.dtype} and ${left.length - 1} more (${types}) are left out, no part of the network`;
}

/**
 * Gives a network the values of a safetensors file in PyTorch's layout (`--init`): all its parameters and statistics, or those that `target` lists. Nothing
 * changes unless everything fits: throws a `JobError` that names the file and the first tensor that is missing, unknown or of another shape.
 */
export function initialise(
  target: Pick<Net, 'name' | 'parameters' | 'statistics'>,
  path: string,
  { rename = torchvisionName, skipClassifier = false }: InitialiseOptions = {},
): Initialised {
  const archive = openArchive(path);
  try {
    return fromArchive(target, archive, path, { rename, skipClassifier });
  } finally {
    archive.close();
  }
}

function fromArchive(
  target: Pick<Net, 'name' | 'parameters' | 'statistics'>,
  archive: OpenArchive,
  path: string,
  { rename, skipClassifier }: Required<InitialiseOptions>,
): Initialised {
  const broken = (what: string): JobError => new JobError(`--init ${path}: ${what}`);
  const own: readonly Parameter[] = [...target.parameters, ...target.statistics];
  const names = new Set(own.map(({ name }) => name));
  const { found, left } = placesOf(archive, rename, names, (name, a, b) =>
    broken(`tensors ${a} and ${b} are both ${name} of ${target.name}`),
  );
  const missing = own.filter(({ name }) => !found.has(name)).map(({ name }) => name);
  if (missing.length > 0) throw broken(`no tensor for ${named(missing)} of ${target.name}`);
  const extra = [...found].filter(([name]) => !names.has(name)).map(([, { source }]) => source);
  if (extra.length > 0) throw broken(`tensor ${named(extra)} is not of ${target.name}`);

  const skipped: string[] = [];
  const assignments: { variable: tf.Variable; source: string }[] = [];
  for (const { name, variable } of own) {
    const { source, dtype, shape: there } = found.get(name) as Found;
    const order = ORDER[there.length];
    const shape = order === undefined ? there : order.map((axis) => there[axis] as number);
    const fits = shape.join() === variable.shape.join();
    if (!fits && skipClassifier && isClassifier(name)) {
      skipped.push(name);
      continue;
    }
    if (!fits || !FLOATS.includes(dtype)) {
      const hint = isClassifier(name) ? '; a classifier of other classes is left out only when asked for' : '';
      const kind = FLOATS.includes(dtype)
        ? ''
        : DTYPE_NAMES.includes(dtype)
          ? ' of whole numbers'
          : ` of type ${dtype}`;
      throw broken(
        `tensor ${source} must be of shape ${list(variable.shape)} as ${name} of ${target.name} (in the order of tfjs), ` +
          `got ${list(shape)}${kind}${hint}`,
      );
    }
    // Of all types only this one has values that float32 may have no place for: found before anything changes.
    if (dtype === 'F64') archive.read(source);
    assignments.push({ variable, source });
  }
  // One after the other: no more than one is in memory beside the network.
  for (const { variable, source } of assignments) {
    const { values, shape } = fromTorch(archive.read(source));
    tf.tidy(() => variable.assign(tf.tensor(values, [...shape])));
  }
  const remark = saidOf(left);
  return { loaded: assignments.length, skipped, ...(remark === undefined ? {} : { remark }) };
}

/** Convolutions of each of VGG-16's five blocks (Simonyan and Zisserman 2015, configuration D). */
const VGG_BLOCKS = [2, 2, 3, 3, 3] as const;

/** The place of each convolution in torchvision's `features`, where each is followed by a ReLU and each block by a pool. */
const VGG_PLACES: ReadonlyMap<number, string> = (() => {
  const places = new Map<number, string>();
  let place = 0;
  VGG_BLOCKS.forEach((count, block) => {
    for (let index = 1; index <= count; index++) {
      places.set(place, `conv${block + 1}_${index}`);
      place += 2;
    }
    place += 1;
  });
  return places;
})();

/**
 * `conv3_1/weight` for `features.10.weight` of torchvision's VGG-16, in the names of the paper's authors; undefined for all that is no convolution, the
 * classifier among it.
 */
export function vgg16Name(name: string): string | undefined {
  const [, place, kind] = /^features\.(\d+)\.(weight|bias)$/.exec(name) ?? [];
  const layer = VGG_PLACES.get(Number(place ?? NaN));
  return layer === undefined || kind === undefined ? undefined : `${layer}/${kind}`;
}
