/** Operations that move, gather, multiply and sum elements. */
import * as tf from '@tensorflow/tfjs';
import type { Nd, Random } from './array.ts';
import { add, at, atOr, build, each, fromEnd, reduce, sizeOf } from './array.ts';
import type { Case, Operation } from './operation.ts';

const tensorOf = ({ shape, data }: Nd): tf.Tensor => tf.tensor([...data], [...shape]);

function one(
  name: string,
  kernel: string | readonly string[],
  make: (random: Random) => Omit<Case, 'what'> & { readonly what?: string },
  more: Partial<Operation> = {},
): Operation {
  return {
    name,
    kernels: typeof kernel === 'string' ? [kernel] : kernel,
    ...more,
    make: (random) => ({ what: name, ...make(random) }),
  };
}

/** Some axes, in any order, one of them counted from the end now and then. */
function someAxes(random: Random, rank: number): number[] {
  const axes = random.order(rank).slice(0, random.int(1, rank));
  return axes.map((axis) => (random.uniform() < 0.3 ? axis - rank : axis));
}
const plain = (axes: readonly number[], rank: number): number[] => axes.map((axis) => (axis < 0 ? axis + rank : axis));

function reduction(
  name: string,
  kernel: string,
  run: (x: tf.Tensor, axes: number[], keepDims: boolean) => tf.Tensor,
  fold: (values: readonly number[]) => number,
  distinct = false,
): Operation {
  return one(
    name,
    kernel,
    (random) => {
      const shape = random.anyShape(1);
      const rank = shape.length;
      // tfjs takes norms of vectors and of matrices.
      const axes = name === 'norm' ? someAxes(random, rank).slice(0, 2) : someAxes(random, rank);
      const keepDims = random.bool();
      return {
        what: `${name} over [${axes}], keepDims ${keepDims}`,
        inputs: [distinct ? random.distinct(shape) : random.array(shape)],
        run: (x) => run(x, axes, keepDims),
        reference: (x) => reduce(x, plain(axes, rank), keepDims, fold),
      };
    },
    { hostile: !distinct && name !== 'norm' },
  );
}

const mean = (values: readonly number[]): number => add(values) / values.length;
const logSumExp = (values: readonly number[]): number => {
  const largest = Math.max(...values);
  return largest + Math.log(add(values.map((value) => Math.exp(value - largest))));
};

/** Running sums or products along an axis. */
function cumulative(name: 'cumsum' | 'cumprod', start: number, step: (a: number, b: number) => number): Operation {
  return one(name, name === 'cumsum' ? 'Cumsum' : 'Cumprod', (random) => {
    const shape = random.anyShape(1);
    const { axis, named } = random.axis(shape.length);
    const [exclusive, reverse] = [random.bool(), random.bool()];
    return {
      what: `${name} along ${named}, exclusive ${exclusive}, reverse ${reverse}`,
      inputs: [random.array(shape)],
      run: (x) => (name === 'cumsum' ? tf.cumsum : tf.cumprod)(x, named, exclusive, reverse),
      reference: (x) =>
        build(shape, (index) => {
          let value = start;
          const here = index[axis] as number;
          for (let i = 0; i < (shape[axis] as number); i++) {
            const before = reverse ? i > here : i < here;
            if (before || (!exclusive && i === here)) value = step(value, at(x, index.with(axis, i)));
          }
          return value;
        }),
    };
  });
}

const softmaxLike = (
  name: string,
  kernel: string,
  run: (x: tf.Tensor) => tf.Tensor,
  f: (x: number, all: readonly number[]) => number,
): Operation =>
  one(name, kernel, (random) => {
    const shape = random.anyShape(1, 1, 5);
    return {
      inputs: [random.array(shape, -6, 6)],
      run,
      reference: (x) =>
        build(shape, (index) => {
          const row = Array.from({ length: fromEnd(shape, 1) }, (_, i) => at(x, index.with(shape.length - 1, i)));
          return f(at(x, index), row);
        }),
    };
  });

function padding(random: Random, shape: readonly number[], limit: (extent: number) => number): [number, number][] {
  return shape.map((extent) => [random.int(0, limit(extent)), random.int(0, limit(extent))]);
}

function equationOf(random: Random): { readonly equation: string; readonly shapes: number[][] } {
  const labels = ['b', 'i', 'j', 'k'];
  const extents = new Map(labels.map((label) => [label, random.int(1, 3)]));
  const term = (): string[] =>
    random
      .order(labels.length)
      .map((i) => labels[i] as string)
      .slice(0, random.int(1, 4));
  const terms = random.uniform() < 0.8 ? [term(), term()] : [term()];
  const known = [...new Set(terms.flat())];
  const result = random
    .order(known.length)
    .map((i) => known[i] as string)
    .slice(0, random.int(0, known.length));
  return {
    equation: `${terms.map((labels) => labels.join('')).join(',')}->${result.join('')}`,
    shapes: terms.map((labels) => labels.map((label) => extents.get(label) as number)),
  };
}

function einsum(equation: string, arrays: readonly Nd[]): Nd {
  const [left, result] = equation.split('->') as [string, string];
  const terms = left.split(',');
  const extents = new Map<string, number>();
  terms.forEach((term, which) =>
    term.split('').forEach((label, axis) => extents.set(label, arrays[which]?.shape[axis] as number)),
  );
  const labels = [...extents.keys()];
  const outer = result.split('').filter((label) => label !== '');
  const inner = labels.filter((label) => !outer.includes(label));
  return build(
    outer.map((label) => extents.get(label) as number),
    (index) => {
      let sum = 0;
      each(
        inner.map((label) => extents.get(label) as number),
        (offset) => {
          const place = (label: string): number =>
            (outer.includes(label) ? index[outer.indexOf(label)] : offset[inner.indexOf(label)]) as number;
          sum += terms.reduce(
            (product, term, which) =>
              product *
              at(
                arrays[which] as Nd,
                term
                  .split('')
                  .filter((label) => label !== '')
                  .map(place),
              ),
            1,
          );
        },
      );
      return sum;
    },
  );
}

export const ARRAYS: readonly Operation[] = [
  reduction('sum', 'Sum', (x, axes, keep) => tf.sum(x, axes, keep), add),
  reduction('mean', 'Mean', (x, axes, keep) => tf.mean(x, axes, keep), mean),
  reduction(
    'prod',
    'Prod',
    (x, axes, keep) => tf.prod(x, axes, keep),
    (values) => values.reduce((a, b) => a * b, 1),
  ),
  reduction(
    'max',
    'Max',
    (x, axes, keep) => tf.max(x, axes, keep),
    (values) => Math.max(...values),
    true,
  ),
  reduction(
    'min',
    'Min',
    (x, axes, keep) => tf.min(x, axes, keep),
    (values) => Math.min(...values),
    true,
  ),
  reduction('logSumExp', 'Exp', (x, axes, keep) => tf.logSumExp(x, axes, keep), logSumExp, true),
  reduction(
    'norm',
    'Sqrt',
    (x, axes, keep) => tf.norm(x, 'euclidean', axes, keep),
    (values) => Math.hypot(...values),
  ),
  reduction(
    'variance',
    'Mean',
    (x, axes, keep) => tf.moments(x, axes, keep).variance,
    (values) => mean(values.map((value) => (value - mean(values)) ** 2)),
    true,
  ),
  cumulative('cumsum', 0, (a, b) => a + b),
  cumulative('cumprod', 1, (a, b) => a * b),
  softmaxLike(
    'softmax',
    'Softmax',
    (x) => tf.softmax(x),
    (x, all) => Math.exp(x - logSumExp(all)),
  ),
  softmaxLike(
    'logSoftmax',
    'LogSoftmax',
    (x) => tf.logSoftmax(x),
    (x, all) => x - logSumExp(all),
  ),
  one('argMax as a factor', ['ArgMax', 'ArgMin', 'OneHot'], (random) => {
    const shape = random.anyShape(2, 2);
    const { axis, named } = { axis: shape.length - 1, named: random.bool() ? -1 : shape.length - 1 };
    const last = fromEnd(shape, 1);
    const least = random.bool();
    return {
      inputs: [random.distinct(shape)],
      run: (x) => tf.mul(x, tf.oneHot(least ? tf.argMin(x, named) : tf.argMax(x, named), last)),
      reference: (x) =>
        build(shape, (index) => {
          const row = Array.from({ length: last }, (_, i) => at(x, index.with(axis, i)));
          return at(x, index) === (least ? Math.min(...row) : Math.max(...row)) ? at(x, index) : 0;
        }),
    };
  }),
  one('topk', 'TopK', (random) => {
    const shape = random.anyShape(1, 1, 5);
    const k = random.int(1, fromEnd(shape, 1));
    return {
      what: `topk ${k}`,
      inputs: [random.distinct(shape)],
      run: (x) => tf.topk(x, k).values,
      reference: (x) =>
        build(shape.with(shape.length - 1, k), (index) => {
          const row = Array.from({ length: fromEnd(shape, 1) }, (_, i) => at(x, index.with(shape.length - 1, i)));
          return row.sort((a, b) => b - a)[fromEnd(index, 1)] as number;
        }),
    };
  }),
  one(
    'reshape',
    ['Reshape', 'ExpandDims'],
    (random) => {
      const shape = random.shape(random.int(0, 5));
      const flat = random.bool();
      const { axis, named } = random.axis(shape.length + 1);
      return {
        what: flat ? 'reshape' : `expandDims at ${named}`,
        inputs: [random.array(shape)],
        run: (x) => (flat ? tf.reshape(x, [-1]) : tf.expandDims(x, named)),
        reference: (x) => ({ shape: flat ? [sizeOf(shape)] : shape.toSpliced(axis, 0, 1), data: x.data }),
      };
    },
    { hostile: true },
  ),
  one(
    'transpose',
    'Transpose',
    (random) => {
      const rank = random.int(1, 6);
      const shape = random.shape(rank, 1, rank > 4 ? 2 : 3);
      const order = random.order(rank);
      return {
        what: `transpose to [${order}]`,
        inputs: [random.array(shape)],
        run: (x) => tf.transpose(x, order),
        reference: (x) =>
          build(
            order.map((axis) => shape[axis] as number),
            (index) =>
              at(
                x,
                shape.map((_, axis) => index[order.indexOf(axis)] as number),
              ),
          ),
      };
    },
    { hostile: true },
  ),
  one(
    'reverse',
    'Reverse',
    (random) => {
      const shape = random.anyShape(1);
      const named = someAxes(random, shape.length);
      const axes = plain(named, shape.length);
      return {
        what: `reverse along [${named}]`,
        inputs: [random.array(shape)],
        run: (x) => tf.reverse(x, named),
        reference: (x) =>
          build(shape, (index) =>
            at(
              x,
              index.map((i, axis) => (axes.includes(axis) ? (shape[axis] as number) - 1 - i : i)),
            ),
          ),
      };
    },
    { hostile: true },
  ),
  one(
    'tile',
    'Tile',
    (random) => {
      const shape = random.anyShape(1, 1, 3);
      const times = random.shape(shape.length, 1, 2);
      return {
        what: `tile by [${times}]`,
        inputs: [random.array(shape)],
        run: (x) => tf.tile(x, times),
        reference: (x) =>
          build(
            shape.map((extent, axis) => extent * (times[axis] as number)),
            (index) =>
              at(
                x,
                index.map((i, axis) => i % (shape[axis] as number)),
              ),
          ),
      };
    },
    { hostile: true },
  ),
  one('broadcastTo', ['BroadcastTo', 'Tile'], (random) => {
    const shape = random.anyShape(1);
    const thin = shape.map((extent) => (random.bool() ? 1 : extent)).slice(random.int(0, shape.length - 1));
    return {
      what: `broadcastTo [${shape}]`,
      inputs: [random.array(thin)],
      run: (x) => tf.broadcastTo(x, shape),
      reference: (x) => build(shape, (index) => at(x, index)),
    };
  }),
  one(
    'pad',
    'PadV2',
    (random) => {
      const shape = random.anyShape(1);
      const around = padding(random, shape, () => 2);
      return {
        what: `pad by [${around.join('; ')}]`,
        inputs: [random.array(shape)],
        run: (x) => tf.pad(x, around, 0.5),
        reference: (x) =>
          build(
            shape.map((extent, axis) => extent + (around[axis]?.[0] ?? 0) + (around[axis]?.[1] ?? 0)),
            (index) =>
              atOr(
                x,
                index.map((i, axis) => i - (around[axis]?.[0] as number)),
                0.5,
              ),
          ),
      };
    },
    { hostile: true },
  ),
  one(
    'mirrorPad',
    'MirrorPad',
    (random) => {
      const shape = random.anyShape(1, 2);
      const mode = random.pick(['reflect', 'symmetric'] as const);
      const edge = mode === 'reflect' ? 1 : 0;
      const around = padding(random, shape, (extent) => extent - edge);
      const source = (i: number, extent: number): number => {
        if (i < 0) return -i - 1 + edge;
        return i >= extent ? 2 * extent - 1 - i - edge : i;
      };
      return {
        what: `mirrorPad ${mode} by [${around.join('; ')}]`,
        inputs: [random.array(shape)],
        run: (x) => tf.mirrorPad(x, around, mode),
        reference: (x) =>
          build(
            shape.map((extent, axis) => extent + (around[axis]?.[0] ?? 0) + (around[axis]?.[1] ?? 0)),
            (index) =>
              at(
                x,
                index.map((i, axis) => source(i - (around[axis]?.[0] as number), shape[axis] as number)),
              ),
          ),
      };
    },
    { missing: { tensorflow: /inputs rank not in \[0,5\]: 6/ } },
  ),
  one(
    'slice',
    'Slice',
    (random) => {
      const shape = random.anyShape(1);
      const begin = shape.map((extent) => random.int(0, extent - 1));
      const size = shape.map((extent, axis) => random.int(1, extent - (begin[axis] as number)));
      return {
        what: `slice from [${begin}], [${size}]`,
        inputs: [random.array(shape)],
        run: (x) => tf.slice(x, begin, size),
        reference: (x) =>
          build(size, (index) =>
            at(
              x,
              index.map((i, axis) => i + (begin[axis] as number)),
            ),
          ),
      };
    },
    { hostile: true },
  ),
  one('stridedSlice', 'StridedSlice', (random) => {
    const shape = random.anyShape(1, 2, 5);
    const steps = shape.map(() => random.pick([1, 2, 3, -1, -2]));
    const begin = shape.map((extent, axis) =>
      (steps[axis] as number) > 0 ? random.int(0, extent - 1) : extent - 1 - random.int(0, extent - 2),
    );
    const count = shape.map((extent, axis) => {
      const room = (steps[axis] as number) > 0 ? extent - (begin[axis] as number) : (begin[axis] as number) + 1;
      return random.int(1, Math.ceil(room / Math.abs(steps[axis] as number)));
    });
    const end = begin.map((from, axis) => from + (count[axis] as number) * (steps[axis] as number));
    // An end before the first element has to be told apart from one counted from the end.
    const endMask = end.reduce((bits, to, axis) => (to < 0 ? bits | (1 << axis) : bits), 0);
    const last = end.map((to, axis) => Math.min(to, shape[axis] as number));
    return {
      what: `stridedSlice from [${begin}] to [${last}] by [${steps}], endMask ${endMask}`,
      inputs: [random.array(shape)],
      run: (x) => tf.stridedSlice(x, begin, last, steps, 0, endMask),
      reference: (x) => {
        const taken = begin.map((from, axis) => {
          const step = steps[axis] as number;
          const masked = (endMask >> axis) & 1;
          const bound = masked ? -1 : (last[axis] as number);
          const places: number[] = [];
          for (let i = from; step > 0 ? i < bound : i > bound; i += step) places.push(i);
          return places;
        });
        return build(
          taken.map((places) => places.length),
          (index) =>
            at(
              x,
              index.map((i, axis) => taken[axis]?.[i] as number),
            ),
        );
      },
    };
  }),
  one(
    'concat',
    'Concat',
    (random) => {
      const shape = random.anyShape(1);
      const { axis, named } = random.axis(shape.length);
      const inputs = Array.from({ length: random.int(1, 4) }, () => random.array(shape.with(axis, random.int(1, 3))));
      return {
        what: `concat along ${named}`,
        inputs,
        run: (...all) => tf.concat(all, named),
        reference: (...all) =>
          build(shape.with(axis, add(all.map((x) => x.shape[axis] as number))), (index) => {
            let place = index[axis] as number;
            for (const x of all) {
              if (place < (x.shape[axis] as number)) return at(x, index.with(axis, place));
              place -= x.shape[axis] as number;
            }
            throw new Error('outside');
          }),
      };
    },
    { hostile: true },
  ),
  one(
    'stack',
    'Pack',
    (random) => {
      const shape = random.shape(random.int(0, 5), 1, 3);
      const { axis, named } = random.axis(shape.length + 1);
      const inputs = Array.from({ length: random.int(1, 4) }, () => random.array(shape));
      return {
        what: `stack along ${named}`,
        inputs,
        run: (...all) => tf.stack(all, named),
        reference: (...all) =>
          build(shape.toSpliced(axis, 0, all.length), (index) =>
            at(all[index[axis] as number] as Nd, index.toSpliced(axis, 1)),
          ),
      };
    },
    { hostile: true },
  ),
  one('unstack', 'Unpack', (random) => {
    const shape = random.anyShape(2, 2);
    const { axis, named } = random.axis(shape.length);
    return {
      what: `unstack along ${named}, first and last`,
      inputs: [random.array(shape)],
      run: (x) => {
        const parts = tf.unstack(x, named);
        return tf.sub(parts[0] as tf.Tensor, tf.mul(2, parts[parts.length - 1] as tf.Tensor));
      },
      reference: (x) =>
        build(
          shape.toSpliced(axis, 1),
          (index) =>
            at(x, index.toSpliced(axis, 0, 0)) - 2 * at(x, index.toSpliced(axis, 0, (shape[axis] as number) - 1)),
        ),
    };
  }),
  one('split', 'SplitV', (random) => {
    const shape = random.anyShape(1, 2);
    const { axis, named } = random.axis(shape.length);
    const first = random.int(1, (shape[axis] as number) - 1);
    return {
      what: `split along ${named} after ${first}, doubled parts put together`,
      inputs: [random.array(shape)],
      run: (x) => {
        const [a, b] = tf.split(x, [first, (shape[axis] as number) - first], named) as [tf.Tensor, tf.Tensor];
        return tf.concat([tf.mul(b, 2), tf.mul(a, 3)], named);
      },
      reference: (x) =>
        build(shape, (index) => {
          const behind = (shape[axis] as number) - first;
          const i = index[axis] as number;
          return i < behind ? 2 * at(x, index.with(axis, i + first)) : 3 * at(x, index.with(axis, i - behind));
        }),
    };
  }),
  one('gather', ['GatherV2', 'UnsortedSegmentSum'], (random) => {
    const shape = random.anyShape(1);
    const axis = random.int(0, shape.length - 1);
    const batchDims = random.int(0, Math.min(axis, 2));
    const outer = shape.slice(0, batchDims);
    const more = random.shape(batchDims > 0 ? 1 : random.int(0, 2), 1, 3);
    const indices = build([...outer, ...more], () => random.int(0, (shape[axis] as number) - 1));
    const negative = random.bool() && batchDims === 0;
    return {
      what: `gather [${indices.data}] of shape [${indices.shape}] along ${negative ? axis - shape.length : axis}, batchDims ${batchDims}`,
      inputs: [random.array(shape)],
      run: (x) =>
        tf.gather(
          x,
          tf.tensor([...indices.data], [...indices.shape], 'int32'),
          negative ? axis - shape.length : axis,
          batchDims,
        ),
      reference: (x) =>
        build([...shape.slice(0, axis), ...more, ...shape.slice(axis + 1)], (index) => {
          const where = [...index.slice(0, batchDims), ...index.slice(axis, axis + more.length)];
          return at(x, [...index.slice(0, axis), at(indices, where), ...index.slice(axis + more.length)]);
        }),
    };
  }),
  one('gatherND', 'GatherNd', (random) => {
    const shape = random.anyShape(1);
    const depth = random.int(1, shape.length);
    const more = random.shape(random.int(1, 2), 1, 3);
    const indices = build([...more, depth], (index) => random.int(0, (shape[fromEnd(index, 1)] as number) - 1));
    return {
      what: `gatherND [${indices.data}] of shape [${indices.shape}]`,
      inputs: [random.array(shape)],
      run: (x) => tf.gatherND(x, tf.tensor([...indices.data], [...indices.shape], 'int32')),
      reference: (x) =>
        build([...more, ...shape.slice(depth)], (index) => {
          const where = Array.from({ length: depth }, (_, i) => at(indices, [...index.slice(0, more.length), i]));
          return at(x, [...where, ...index.slice(more.length)]);
        }),
    };
  }),
  one('scatterND', 'ScatterNd', (random) => {
    const shape = random.anyShape(1, 2);
    const depth = random.int(1, shape.length);
    const count = random.int(1, 4);
    const indices = build([count, depth], (index) => random.int(0, (shape[index[1] as number] as number) - 1));
    return {
      what: `scatterND to [${indices.data}] of [${shape}]`,
      inputs: [random.array([count, ...shape.slice(depth)])],
      run: (x) => tf.scatterND(tf.tensor([...indices.data], [count, depth], 'int32'), x, shape),
      reference: (x) =>
        build(shape, (index) => {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            const here = index.slice(0, depth).every((place, axis) => place === at(indices, [i, axis]));
            if (here) sum += at(x, [i, ...index.slice(depth)]);
          }
          return sum;
        }),
    };
  }),
  one('unsortedSegmentSum', 'UnsortedSegmentSum', (random) => {
    const shape = random.anyShape(1);
    const segments = random.int(1, 4);
    const ids = build([shape[0] as number], () => random.int(-1, segments - 1));
    return {
      what: `unsortedSegmentSum of [${ids.data}] in ${segments}`,
      inputs: [random.array(shape)],
      run: (x) => tf.unsortedSegmentSum(x, tf.tensor1d([...ids.data], 'int32'), segments),
      reference: (x) =>
        build([segments, ...shape.slice(1)], (index) =>
          add(Array.from(ids.data, (id, i) => (id === index[0] ? at(x, [i, ...index.slice(1)]) : 0))),
        ),
    };
  }),
  one('spaceToBatchND', 'SpaceToBatchND', (random) => {
    const spatial = random.int(1, 2);
    const blocks = random.shape(spatial, 1, 2);
    const inner = blocks.map((block) => block * random.int(1, 2));
    const crops = blocks.map((block): [number, number] => [random.int(0, 1) * block, random.int(0, 1) * block]);
    const shape = [random.int(1, 2), ...inner, random.int(1, 2)];
    const padded = inner.map((extent, axis) => extent + (crops[axis]?.[0] as number) + (crops[axis]?.[1] as number));
    const batch = shape[0] as number;
    return {
      what: `spaceToBatchND by [${blocks}], padding [${crops.join('; ')}]`,
      inputs: [random.array(shape)],
      run: (x) => tf.spaceToBatchND(x, blocks, crops),
      reference: (x) =>
        build(
          [
            batch * sizeOf(blocks),
            ...padded.map((extent, axis) => extent / (blocks[axis] as number)),
            fromEnd(shape, 1),
          ],
          (index) => {
            let phase = Math.floor((index[0] as number) / batch);
            const place: number[] = [];
            for (let axis = spatial - 1; axis >= 0; axis--) {
              const block = blocks[axis] as number;
              place[axis] = (index[axis + 1] as number) * block + (phase % block) - (crops[axis]?.[0] as number);
              phase = Math.floor(phase / block);
            }
            return atOr(x, [(index[0] as number) % batch, ...place, fromEnd(index, 1)], 0);
          },
        ),
    };
  }),
  one('batchToSpaceND', 'BatchToSpaceND', (random) => {
    const spatial = random.int(1, 2);
    const blocks = random.shape(spatial, 1, 2);
    const inner = random.shape(spatial, 1, 3);
    const batch = random.int(1, 2);
    const crops = blocks.map((block, axis): [number, number] =>
      (inner[axis] as number) * block > 2 ? [random.int(0, 1), random.int(0, 1)] : [0, 0],
    );
    const shape = [batch * sizeOf(blocks), ...inner, random.int(1, 2)];
    return {
      what: `batchToSpaceND by [${blocks}], crops [${crops.join('; ')}]`,
      inputs: [random.array(shape)],
      run: (x) => tf.batchToSpaceND(x, blocks, crops),
      reference: (x) =>
        build(
          [
            batch,
            ...inner.map(
              (extent, axis) =>
                extent * (blocks[axis] as number) - (crops[axis]?.[0] as number) - (crops[axis]?.[1] as number),
            ),
            fromEnd(shape, 1),
          ],
          (index) => {
            let phase = 0;
            const place = inner.map((_, axis) => {
              const block = blocks[axis] as number;
              const i = (index[axis + 1] as number) + (crops[axis]?.[0] as number);
              phase = phase * block + (i % block);
              return Math.floor(i / block);
            });
            return at(x, [phase * batch + (index[0] as number), ...place, fromEnd(index, 1)]);
          },
        ),
    };
  }),
  one('depthToSpace', 'DepthToSpace', (random) => {
    const block = 2;
    const depth = random.int(1, 2);
    const first = random.bool();
    const [batch, height, width] = random.shape(3, 1, 2) as [number, number, number];
    const shape = first ? [batch, depth * block * block, height, width] : [batch, height, width, depth * block * block];
    const result = first
      ? [batch, depth, height * block, width * block]
      : [batch, height * block, width * block, depth];
    return {
      what: `depthToSpace ${first ? 'NCHW' : 'NHWC'}`,
      inputs: [random.array(shape)],
      run: (x) => tf.depthToSpace(x as tf.Tensor4D, block, first ? 'NCHW' : 'NHWC'),
      reference: (x) =>
        build(result, (index) => {
          const [n, a, b, c] = index as unknown as [number, number, number, number];
          const [h, w, d] = first ? [b, c, a] : [a, b, c];
          const channel = ((h % block) * block + (w % block)) * depth + d;
          const [row, column] = [Math.floor(h / block), Math.floor(w / block)];
          return at(x, first ? [n, channel, row, column] : [n, row, column, channel]);
        }),
    };
  }),
  one(
    'matMul',
    'BatchMatMul',
    (random) => {
      const [m, n, k] = random.shape(3, 1, 4) as [number, number, number];
      const [transposeA, transposeB] = [random.bool(), random.bool()];
      const outer = random.shape(random.int(0, 2), 1, 3);
      const thin = (): number[] =>
        outer.map((extent) => (random.uniform() < 0.3 ? 1 : extent)).slice(random.uniform() < 0.2 ? outer.length : 0);
      const [a, b] = [
        [...thin(), ...(transposeA ? [k, m] : [m, k])],
        [...thin(), ...(transposeB ? [n, k] : [k, n])],
      ];
      return {
        what: `matMul, transposeA ${transposeA}, transposeB ${transposeB}`,
        inputs: [random.array(a), random.array(b)],
        run: (x, y) => tf.matMul(x, y, transposeA, transposeB),
        reference: (x, y) => {
          const [p, q] = [x, y];
          const [outerP, outerQ] = [p.shape.slice(0, -2), q.shape.slice(0, -2)];
          const rank = Math.max(outerP.length, outerQ.length);
          const whole = Array.from({ length: rank }, (_, axis) =>
            Math.max(outerP[axis - rank + outerP.length] ?? 1, outerQ[axis - rank + outerQ.length] ?? 1),
          );
          return build([...whole, m, n], (index) => {
            const [batch, i, j] = [index.slice(0, -2), fromEnd(index, 2), fromEnd(index, 1)];
            return add(
              Array.from(
                { length: k },
                (_, l) =>
                  at(p, [...batch, ...(transposeA ? [l, i] : [i, l])]) *
                  at(q, [...batch, ...(transposeB ? [j, l] : [l, j])]),
              ),
            );
          });
        },
      };
    },
    { hostile: true },
  ),
  one('fused matMul', 'BatchMatMul', (random) => {
    const [m, n, k] = random.shape(3, 1, 4) as [number, number, number];
    const activation = random.pick(['linear', 'relu', 'elu', 'sigmoid'] as const);
    const biasShape = random.pick([[n], [m, n], [1], []]);
    const f = {
      linear: (x: number) => x,
      relu: (x: number) => Math.max(x, 0),
      elu: (x: number) => (x > 0 ? x : Math.expm1(x)),
      sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
    }[activation];
    return {
      what: `fused matMul, ${activation}, bias [${biasShape}]`,
      inputs: [random.array([m, k]), random.array([k, n]), random.array(biasShape)],
      run: (a, b, bias) => tf.fused.matMul({ a, b, bias: bias, activation }),
      reference: (a, b, bias) =>
        build([m, n], (index) =>
          f(
            add(Array.from({ length: k }, (_, l) => at(a, [index[0] as number, l]) * at(b, [l, index[1] as number]))) +
              at(bias, index),
          ),
        ),
    };
  }),
  one('einsum', 'Einsum', (random) => {
    const { equation, shapes } = equationOf(random);
    return {
      what: `einsum ${equation}`,
      inputs: shapes.map((shape) => random.array(shape)),
      run: (...all) => tf.einsum(equation, ...all),
      reference: (...all) => einsum(equation, all),
    };
  }),
  one('outerProduct and dot', ['Multiply', 'BatchMatMul'], (random) => {
    const n = random.int(1, 5);
    return {
      inputs: [random.array([n]), random.array([n])],
      run: (a, b) => tf.mul(tf.outerProduct(a as tf.Tensor1D, b as tf.Tensor1D), tf.dot(a, b)),
      reference: (a, b) =>
        build([n, n], (index) => {
          const dot = add(Array.from({ length: n }, (_, i) => at(a, [i]) * at(b, [i])));
          return at(a, [index[0] as number]) * at(b, [index[1] as number]) * dot;
        }),
    };
  }),
  one('bandPart', 'Select', (random) => {
    const shape = random.shape(random.int(2, 3), 1, 4);
    const [lower, above] = [
      random.int(0, Math.min(1, fromEnd(shape, 2) - 1)),
      random.int(0, Math.min(1, fromEnd(shape, 1) - 1)),
    ];
    return {
      what: `bandPart ${lower}, ${above}`,
      inputs: [random.array(shape)],
      run: (x) => tf.linalg.bandPart(x, lower, above),
      reference: (x) =>
        build(shape, (index) => {
          const off = fromEnd(index, 1) - fromEnd(index, 2);
          return off <= above && -off <= lower ? at(x, index) : 0;
        }),
    };
  }),
  one('batchNorm', 'FusedBatchNorm', (random) => {
    const shape = random.shape(random.int(2, 4), 1, 3);
    const channels = fromEnd(shape, 1);
    const [shifted, scaled] = [random.bool(), random.bool()];
    return {
      what: `batchNorm${shifted ? '' : ' without offset'}${scaled ? '' : ' without scale'}`,
      inputs: [
        random.array(shape),
        random.array([channels]),
        random.array([channels], 0.3, 2),
        ...(shifted ? [random.array([channels])] : []),
        ...(scaled ? [random.array([channels])] : []),
      ],
      run: (x, average, variance, ...rest) => {
        const offset = shifted ? rest.shift() : undefined;
        return tf.batchNorm(x, average, variance, offset, rest[0], 0.01);
      },
      reference: (x, average, variance, ...rest) => {
        const offset = shifted ? rest.shift() : undefined;
        const [scale] = rest;
        return build(shape, (index) => {
          const of = (array: Nd | undefined, otherwise: number): number =>
            array === undefined ? otherwise : at(array, [fromEnd(index, 1)]);
          const [m, v, o, s] = [of(average, 0), of(variance, 1), of(offset, 0), of(scale, 1)] as const;
          return ((at(x, index) - m) / Math.sqrt(v + 0.01)) * s + o;
        });
      },
    };
  }),
  one('softmaxCrossEntropy', ['LogSoftmax', 'Softmax'], (random) => {
    const shape = random.shape(2, 2, 4);
    // A distribution, as the loss asks for.
    const drawn = random.array(shape, 0, 1);
    const labels = build(
      shape,
      (index) =>
        at(drawn, index) /
        add(Array.from({ length: shape[1] as number }, (_, j) => at(drawn, [index[0] as number, j]))),
    );
    return {
      inputs: [random.array(shape)],
      run: (x) => tf.losses.softmaxCrossEntropy(tensorOf(labels), x),
      reference: (x) => ({
        shape: [],
        data: Float64Array.of(
          mean(
            Array.from({ length: shape[0] as number }, (_, i) => {
              const row = Array.from({ length: shape[1] as number }, (_, j) => at(x, [i, j]));
              return -add(row.map((value, j) => at(labels, [i, j]) * (value - logSumExp(row))));
            }),
          ),
        ),
      }),
    };
  }),
  one('sigmoidCrossEntropy', ['Relu', 'Exp', 'Log1p'], (random) => {
    const shape = random.shape(2, 1, 4);
    const labels = random.array(shape, 0, 1);
    return {
      inputs: [random.array(shape, -4, 4)],
      run: (x) => tf.losses.sigmoidCrossEntropy(tensorOf(labels), x),
      reference: (x) => ({
        shape: [],
        data: Float64Array.of(
          mean(
            Array.from(
              x.data,
              (value, i) =>
                Math.max(value, 0) - value * (labels.data[i] as number) + Math.log1p(Math.exp(-Math.abs(value))),
            ),
          ),
        ),
      }),
    };
  }),
  one('huberLoss', ['Minimum', 'Abs'], (random) => {
    const shape = random.shape(2, 1, 4);
    const labels = random.array(shape);
    return {
      inputs: [random.array(shape)],
      run: (x) => tf.losses.huberLoss(tensorOf(labels), x),
      reference: (x) => ({
        shape: [],
        data: Float64Array.of(
          mean(
            Array.from(x.data, (value, i) => {
              const error = Math.abs(value - (labels.data[i] as number));
              return 0.5 * Math.min(error, 1) ** 2 + error - Math.min(error, 1);
            }),
          ),
        ),
      }),
    };
  }),
];
