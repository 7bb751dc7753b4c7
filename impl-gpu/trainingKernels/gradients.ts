/**
 * Gradients that tfjs-core has not, or has wrong, on every backend: each in a few operations that all backends have.
 * `conformance/operations` holds them against differences.
 */
import * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../shape.ts';
import { aroundAxis } from './composed/axes.ts';
import { einsumGradient, einsumOfProducts } from './composed/einsum.ts';
import type { Source } from './loops/resize.ts';
import { linearSources, nearestSources } from './loops/resize.ts';
import type { StridedSliceAttrs } from './composed/stridedSlice.ts';
import { stridesOf } from './composed/stridedSlice.ts';
import { padGradient } from './composed/crop.ts';
import { wrapGradient } from './wrapGradient.ts';

/** A gradient of an operation with one output: `saved` are the inputs asked for, then the output where `output` asks. */
type Gradient<Attrs> = (
  dy: tf.Tensor,
  saved: readonly tf.Tensor[],
  attrs: Attrs,
) => Readonly<Record<string, () => tf.Tensor>>;

function register<Attrs>(kernelName: string, inputs: readonly string[] | 'all', gradient: Gradient<Attrs>): void {
  if (tf.getGradient(kernelName) !== undefined) tf.unregisterGradient(kernelName);
  tf.registerGradient({
    kernelName,
    ...(inputs === 'all' ? { saveAllInputs: true } : { inputsToSave: [...inputs] }),
    // An operation with several outputs hands over an array, of one output too.
    gradFunc: (dy, saved, attrs) =>
      gradient((Array.isArray(dy) ? dy[0] : dy) as tf.Tensor, saved, attrs as unknown as Attrs),
  });
}

/** Sums over the axes along which a tensor of that shape was repeated. */
function reduceTo(gradient: tf.Tensor, shape: readonly number[]): tf.Tensor {
  const axes = tf.broadcast_util.getReductionAxes([...shape], gradient.shape);
  return tf.reshape(axes.length === 0 ? gradient : tf.sum(gradient, axes), [...shape]);
}

const zeros = (like: tf.Tensor | undefined): tf.Tensor => tf.zeros((like as tf.Tensor).shape);

const along = (begin: number, size: number): [[number, number, number], [number, number, number]] => [
  [0, begin, 0],
  [-1, size, -1],
];

/** Puts zeros before and behind along the middle axis. */
function surround(x: tf.Tensor3D, before: number, behind: number): tf.Tensor3D {
  if (before === 0 && behind === 0) return x;
  return tf.pad(x, [
    [0, 0],
    [before, behind],
    [0, 0],
  ]);
}

/** Puts `step - 1` zeros between the elements of the middle axis. */
function spread(x: tf.Tensor3D, step: number): tf.Tensor3D {
  const [outer, length, inner] = x.shape;
  if (step === 1 || length === 1) return x;
  const apart = tf.pad(tf.reshape(x, [outer, length, 1, inner]), [
    [0, 0],
    [0, 0],
    [0, step - 1],
    [0, 0],
  ]);
  const wide: tf.Tensor3D = tf.reshape(apart, [outer, length * step, inner]);
  return tf.slice(wide, ...along(0, (length - 1) * step + 1));
}

/** What decides, but does not carry, has gradient 0. tfjs has none for most, and no way to stop at them. */
function registerDecisions(): void {
  const COMPARISONS = ['Less', 'LessEqual', 'Greater', 'GreaterEqual', 'Equal', 'NotEqual', 'LogicalAnd', 'LogicalOr'];
  for (const kernel of COMPARISONS) {
    register(kernel, ['a', 'b'], (_, [a, b]) => ({ a: () => zeros(a), b: () => zeros(b) }));
  }
  wrapGradient('FloorDiv', (stock) => (dy, saved, attrs) => {
    const [a, b] = saved as [tf.Tensor, tf.Tensor];
    // A quotient of integers is this operation too, and keeps tfjs's gradient; else it is constant between its jumps.
    if (a.dtype !== 'float32' || b.dtype !== 'float32') return stock(dy, saved, attrs);
    return { a: () => zeros(a), b: () => zeros(b) };
  });
  register('LogicalNot', ['x'], (_, [x]) => ({ x: () => zeros(x) }));
  register<{ readonly dtype: tf.DataType }>('Cast', ['x'], (dy, saved, { dtype }) => {
    const [x] = saved as [tf.Tensor];
    // A number cut to an integer or a truth value moves with nothing; tfjs passes the gradient on.
    const cut = x.dtype === 'float32' && (dtype === 'int32' || dtype === 'bool');
    return { x: () => (cut ? zeros(x) : tf.cast(dy, 'float32')) };
  });
  // By choice, not by a product: what was not chosen may have an infinite gradient.
  register('Select', ['condition'], (dy, [condition]) => ({
    condition: () => zeros(condition),
    t: () => tf.where(condition as tf.Tensor, dy, tf.zerosLike(dy)),
    e: () => tf.where(condition as tf.Tensor, tf.zerosLike(dy), dy),
  }));
}

function registerArithmetic(): void {
  const chosen = (dy: tf.Tensor, condition: tf.Tensor, like: tf.Tensor): tf.Tensor =>
    reduceTo(tf.where(condition, dy, tf.zerosLike(dy)), like.shape);
  register('Maximum', ['a', 'b'], (dy, saved) => {
    const [a, b] = saved as [tf.Tensor, tf.Tensor];
    return { a: () => chosen(dy, tf.greaterEqual(a, b), a), b: () => chosen(dy, tf.less(a, b), b) };
  });
  register('Minimum', ['a', 'b'], (dy, saved) => {
    const [a, b] = saved as [tf.Tensor, tf.Tensor];
    return { a: () => chosen(dy, tf.lessEqual(a, b), a), b: () => chosen(dy, tf.greater(a, b), b) };
  });
  register('SquaredDifference', ['a', 'b'], (dy, saved) => {
    const [a, b] = saved as [tf.Tensor, tf.Tensor];
    const slope = (): tf.Tensor => tf.mul(dy, tf.mul(tf.sub(a, b), 2));
    return { a: () => reduceTo(slope(), a.shape), b: () => reduceTo(tf.neg(slope()), b.shape) };
  });
  wrapGradient('BatchMatMul', (stock) => (dy, saved, attrs) => {
    const [a, b] = saved as [tf.Tensor, tf.Tensor];
    const whole = stock(dy, saved, attrs);
    // A batch of one matrix is repeated.
    const sum = (gradient: (() => tf.Tensor) | undefined, like: tf.Tensor): tf.Tensor =>
      reduceTo((gradient as () => tf.Tensor)(), like.shape);
    return { a: () => sum(whole['a'], a), b: () => sum(whole['b'], b) };
  });
  register<{ readonly equation: string }>('Einsum', 'all', (dy, saved, { equation }) =>
    einsumGradient(dy, saved, equation),
  );
}

function registerReductions(): void {
  wrapGradient('Prod', (stock) => (dy, saved, attrs) => {
    const [x] = saved as [tf.Tensor];
    // tfjs's does not know axes that are counted from the end, and takes them in any order for one order.
    const axis = tf.util.parseAxisParam((attrs as { axis?: number | number[] }).axis as number[], x.shape);
    return stock(dy, saved, { ...attrs, axis: axis.sort((a, b) => a - b) });
  });

  interface Cumulative {
    readonly axis: number;
    readonly exclusive: boolean;
    readonly reverse: boolean;
  }
  register<Cumulative>('Cumsum', [], (dy, _, { axis, exclusive, reverse }) => ({
    x: () => tf.cumsum(dy, axis, exclusive, !reverse),
  }));
  register<Cumulative>('Cumprod', ['x'], (dy, saved, { axis: named, exclusive, reverse }) => ({
    // Without a division, which zeros would forbid: row i holds the running products without the i-th factor.
    x: () => {
      const [x] = saved as [tf.Tensor];
      const [axis] = tf.util.parseAxisParam(named, x.shape) as [number];
      const [outer, length, inner] = aroundAxis(x, axis).shape;
      const own = tf.reshape(tf.eye(length), [1, length, length, 1]);
      const factors = tf.reshape(aroundAxis(x, axis), [outer, 1, length, inner]);
      const without = tf.where(tf.greater(own, 0), tf.onesLike(factors), factors);
      const running = tf.cumprod(without, 2, exclusive, reverse);
      const order = tf.range(0, length);
      const [i, j] = [tf.reshape(order, [1, length, 1, 1]), tf.reshape(order, [1, 1, length, 1])];
      const takesPart = reverse
        ? exclusive
          ? tf.greater(i, j)
          : tf.greaterEqual(i, j)
        : exclusive
          ? tf.less(i, j)
          : tf.lessEqual(i, j);
      const weights = tf.mul(running, tf.reshape(aroundAxis(dy, axis), [outer, 1, length, inner]));
      return tf.reshape(tf.sum(tf.where(takesPart, weights, tf.zerosLike(weights)), 2), x.shape);
    },
  }));
  tf.registerGradient({
    kernelName: 'TopK',
    inputsToSave: ['x'],
    outputsToSave: [false, true],
    gradFunc: (dy, saved) => {
      const [x, indices] = saved as [tf.Tensor, tf.Tensor];
      const [values] = dy as [tf.Tensor];
      const length = x.shape.at(-1) as number;
      if (length === 1) return { x: () => tf.reshape(values, x.shape) };
      const [rows, k] = [x.size / length, values.shape.at(-1) as number];
      return {
        x: () => {
          const places = tf.oneHot(tf.cast(tf.reshape(indices, [rows, k]), 'int32'), length);
          return tf.reshape(tf.sum(tf.mul(tf.reshape(values, [rows, k, 1]), places), 1), x.shape);
        },
      };
    },
  });
}

function registerMoves(): void {
  register<{ readonly reps: readonly number[] }>('Tile', ['x'], (dy, saved, { reps }) => ({
    x: () => {
      const [x] = saved as [tf.Tensor];
      // Axis by axis: tfjs's own slices dy once a copy, and knows four axes.
      return reps.reduce<tf.Tensor>((gradient, times, axis) => {
        if (times === 1) return gradient;
        const { shape } = gradient;
        const extent = x.shape[axis] as number;
        const apart = tf.reshape(gradient, [
          sizeOf(shape.slice(0, axis)),
          times,
          extent * sizeOf(shape.slice(axis + 1)),
        ]);
        return tf.reshape(tf.sum(apart, 1), shape.with(axis, extent));
      }, dy);
    },
  }));
  register<{ readonly paddings: readonly [number, number][]; readonly mode: 'reflect' | 'symmetric' }>(
    'MirrorPad',
    ['x'],
    (dy, saved, { paddings, mode }) => ({
      // What was mirrored is turned back and added.
      x: () => {
        const [x] = saved as [tf.Tensor];
        const edge = mode === 'reflect' ? 1 : 0;
        return paddings.reduce<tf.Tensor>((gradient, [before, behind], axis) => {
          const length = x.shape[axis] as number;
          const wide = aroundAxis(gradient, axis);
          const parts = [tf.slice(wide, ...along(before, length))];
          if (before > 0) {
            const turned = tf.reverse(tf.slice(wide, ...along(0, before)), 1);
            parts.push(surround(turned, edge, length - edge - before));
          }
          if (behind > 0) {
            const turned = tf.reverse(tf.slice(wide, ...along(before + length, behind)), 1);
            parts.push(surround(turned, length - edge - behind, edge));
          }
          return tf.reshape(tf.addN(parts), gradient.shape.with(axis, length));
        }, dy);
      },
    }),
  );
  register<StridedSliceAttrs>('StridedSlice', ['x'], (dy, saved, attrs) => ({
    x: () => {
      const [x] = saved as [tf.Tensor];
      const { begin, strides, finalShapeSparse } = stridesOf(x.shape, attrs);
      if (dy.size === 0) return tf.zeros(x.shape);
      return x.shape.reduce<tf.Tensor>(
        (gradient, extent, axis) => {
          const step = strides[axis] as number;
          const count = gradient.shape[axis] as number;
          const ordered = step < 0 ? tf.reverse(aroundAxis(gradient, axis), 1) : aroundAxis(gradient, axis);
          const apart = spread(ordered, Math.abs(step));
          const low = step < 0 ? (begin[axis] as number) + (count - 1) * step : (begin[axis] as number);
          return tf.reshape(surround(apart, low, extent - low - apart.shape[1]), gradient.shape.with(axis, extent));
        },
        tf.reshape(dy, finalShapeSparse),
      );
    },
  }));
  register<{ readonly blockSize: number; readonly dataFormat: 'NHWC' | 'NCHW' }>(
    'DepthToSpace',
    [],
    (dy, _, { blockSize, dataFormat }) => ({
      x: () => {
        const [batch, a, b, c] = dy.shape as [number, number, number, number];
        const [height, width, depth] = dataFormat === 'NCHW' ? [b, c, a] : [a, b, c];
        const [rows, columns] = [height / blockSize, width / blockSize];
        if (dataFormat === 'NCHW') {
          const blocks = tf.reshape(dy, [batch, depth, rows, blockSize, columns, blockSize]);
          return tf.reshape(tf.transpose(blocks, [0, 3, 5, 1, 2, 4]), [
            batch,
            depth * blockSize * blockSize,
            rows,
            columns,
          ]);
        }
        const blocks = tf.reshape(dy, [batch, rows, blockSize, columns, blockSize, depth]);
        return tf.reshape(tf.transpose(blocks, [0, 1, 3, 2, 4, 5]), [
          batch,
          rows,
          columns,
          depth * blockSize * blockSize,
        ]);
      },
    }),
  );
  for (const [kernelName, input, join] of [
    ['SplitV', 'x', (parts: tf.Tensor[], axis: number) => tf.concat(parts, axis)],
    ['Unpack', 'value', (parts: tf.Tensor[], axis: number) => tf.stack(parts, axis)],
  ] as const) {
    tf.unregisterGradient(kernelName);
    tf.registerGradient({
      kernelName,
      // Of a single part tfjs hands over the tensor itself.
      gradFunc: (dy, _, attrs) => ({
        [input]: () => join(Array.isArray(dy) ? dy : [dy], (attrs as unknown as { readonly axis: number }).axis),
      }),
    });
  }
}

function registerGathers(): void {
  register<{ readonly axis: number; readonly batchDims?: number }>('GatherV2', ['x', 'indices'], (dy, saved, attrs) => {
    const [x, indices] = saved as [tf.Tensor, tf.Tensor];
    const [axis] = tf.util.parseAxisParam(attrs.axis, x.shape) as [number];
    const batchDims = attrs.batchDims ?? 0;
    const length = x.shape[axis] as number;
    const batch = sizeOf(x.shape.slice(0, batchDims));
    const outer = sizeOf(x.shape.slice(batchDims, axis));
    const inner = sizeOf(x.shape.slice(axis + 1));
    const count = indices.size / batch;
    const swap = (t: tf.Tensor4D): tf.Tensor => (outer === 1 ? t : tf.transpose(t, [0, 2, 1, 3]));
    return {
      // Each example of the batch adds to rows of its own.
      x: () => {
        const rows = tf.reshape(swap(tf.reshape(dy, [batch, outer, count, inner])), [batch * count, outer * inner]);
        const first = tf.mul(tf.reshape(tf.range(0, batch, 1, 'int32'), [batch, 1]), tf.scalar(length, 'int32'));
        const places = tf.reshape(tf.add(tf.reshape(indices, [batch, count]), first), [batch * count]);
        const sums = tf.unsortedSegmentSum(rows, tf.cast(places, 'int32') as tf.Tensor1D, batch * length);
        return tf.reshape(swap(tf.reshape(sums, [batch, length, outer, inner])), x.shape);
      },
      indices: () => zeros(indices),
    };
  });
  const rowsOf = (indices: tf.Tensor): tf.Tensor => tf.reshape(indices, [-1, indices.shape.at(-1) as number]);
  register('GatherNd', ['params', 'indices'], (dy, saved) => {
    const [params, indices] = saved as [tf.Tensor, tf.Tensor];
    const depth = indices.shape.at(-1) as number;
    const rows = (): tf.Tensor => tf.reshape(dy, [-1, ...params.shape.slice(depth)]);
    return {
      params: () => tf.scatterND(rowsOf(indices), rows(), params.shape),
      indices: () => zeros(indices),
    };
  });
  register('ScatterNd', ['indices'], (dy, saved) => {
    const [indices] = saved as [tf.Tensor];
    return { updates: () => tf.gatherND(dy, indices), indices: () => zeros(indices) };
  });
}

function registerPictures(): void {
  interface Resize {
    readonly alignCorners: boolean;
    readonly halfPixelCenters: boolean;
  }
  /** [length, size]: how much of each pixel of a line goes into each pixel of the resized line. */
  const weights = (sources: readonly Source[], length: number): tf.Tensor2D => {
    const values = new Float32Array(length * sources.length);
    sources.forEach(({ low, high, weight }, i) => {
      for (const [at, part] of [
        [low, 1 - weight],
        [high, weight],
      ] as const) {
        values[at * sources.length + i] = (values[at * sources.length + i] as number) + part;
      }
    });
    return tf.tensor2d(values, [length, sources.length]);
  };
  for (const [kernelName, sourcesOf] of [
    ['ResizeBilinear', linearSources],
    ['ResizeNearestNeighbor', nearestSources],
  ] as const) {
    wrapGradient(kernelName, (stock) => (dy, saved, attrs) => {
      const resize = attrs as unknown as Resize;
      // The gradient kernels know of no half pixels, but where they are ours.
      if (!resize.halfPixelCenters || ['cpu', 'wasm'].includes(tf.getBackend())) return stock(dy, saved, attrs);
      const [images] = saved as [tf.Tensor4D];
      const [, height, width] = images.shape;
      const [, rows, columns] = (dy as tf.Tensor4D).shape;
      return {
        images: () => {
          const down = weights(sourcesOf(height, rows, resize), height);
          const across = weights(sourcesOf(width, columns, resize), width);
          return einsumOfProducts('niwc,hi->nhwc', [
            einsumOfProducts('nijc,wj->niwc', [dy as tf.Tensor, across]),
            down,
          ]);
        },
      };
    });
  }
  register<{ readonly strides: [number, number, number]; readonly pad: 'valid' | 'same' }>(
    'Conv3DBackpropInputV2',
    ['dy', 'filter'],
    (ddx, saved, { strides, pad }) => {
      const [dy, filter] = saved as [tf.Tensor5D, tf.Tensor5D];
      const attrs = { strides, pad, filterShape: filter.shape };
      return {
        dy: () => tf.conv3d(ddx as tf.Tensor5D, filter, strides, pad),
        filter: () => tf.engine().runKernel('Conv3DBackpropFilterV2', { x: ddx, dy }, attrs),
      };
    },
  );
}

/**
 * A batch normalisation without offset or scale has a value, but no gradient: tfjs looks for the shape of what is not there. It gets a zero and
 * a one.
 */
function completeBatchNorm(): void {
  const engine = tf.engine();
  const run = engine.runKernel.bind(engine);
  engine.runKernel = (name, inputs, attrs) => {
    if (name !== 'FusedBatchNorm' || (inputs['offset'] && inputs['scale'])) return run(name, inputs, attrs);
    const { mean, offset, scale } = inputs as Record<'mean' | 'offset' | 'scale', tf.Tensor>;
    return run(name, { ...inputs, offset: offset ?? tf.zerosLike(mean), scale: scale ?? tf.onesLike(mean) }, attrs);
  };
}

/** Registers them. Must be called once a process. */
export function installGradients(): void {
  completeBatchNorm();
  registerDecisions();
  registerArithmetic();
  registerReductions();
  registerMoves();
  registerGathers();
  registerPictures();
  wrapGradient('PadV2', padGradient);
}
