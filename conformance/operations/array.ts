/** Arrays in float64 and the plain loops that operations of tfjs are held against. */

/** Row-major. */
export interface Nd {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export type Index = readonly number[];

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, extent) => size * extent, 1);
}

/** Place of an element; an axis of length 1 is repeated, and leading axes that the array lacks are passed over. */
export function at({ shape, data }: Nd, index: Index): number {
  const shift = index.length - shape.length;
  let place = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    const extent = shape[axis] as number;
    place = place * extent + (extent === 1 ? 0 : (index[axis + shift] as number));
  }
  return data[place] as number;
}

/** Element or `otherwise`, where the index lies outside. */
export function atOr(array: Nd, index: Index, otherwise: number): number {
  return index.every((i, axis) => i >= 0 && i < (array.shape[axis] as number)) ? at(array, index) : otherwise;
}

/** An array of the values at each index, in row-major order. */
export function build(shape: readonly number[], value: (index: Index) => number): Nd {
  const data = new Float64Array(sizeOf(shape));
  const index = shape.map(() => 0);
  for (let place = 0; place < data.length; place++) {
    data[place] = value(index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      index[axis] = 0;
    }
  }
  return { shape: [...shape], data };
}

/** Calls `visit` for every index. */
export function each(shape: readonly number[], visit: (index: Index) => void): void {
  build(shape, (index) => {
    visit(index);
    return 0;
  });
}

export function broadcastShape(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) =>
    Math.max(...shapes.map((shape) => shape[axis - rank + shape.length] ?? 1)),
  );
}

/** A function of single elements; arrays are repeated to a common shape. */
export function elementwise(f: (...values: number[]) => number): (...arrays: Nd[]) => Nd {
  return (...arrays) =>
    build(broadcastShape(...arrays.map(({ shape }) => shape)), (index) =>
      f(...arrays.map((array) => at(array, index))),
    );
}

/** Folds the values along axes into one, in order of their places. */
export function reduce(
  array: Nd,
  axes: readonly number[],
  keepDims: boolean,
  fold: (values: readonly number[]) => number,
): Nd {
  const reduced = array.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const inner = array.shape.map((extent, axis) => (axes.includes(axis) ? extent : 1));
  const kept = build(reduced, (index) => {
    const values: number[] = [];
    each(inner, (offset) =>
      values.push(
        at(
          array,
          index.map((i, axis) => i + (offset[axis] as number)),
        ),
      ),
    );
    return fold(values);
  });
  return keepDims ? kept : { shape: reduced.filter((_, axis) => !axes.includes(axis)), data: kept.data };
}

export const add = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** Numbers that depend on a seed alone (splitmix32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 4294967296;
  }

  /** A whole number in [low, high]. */
  int(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low + 1));
  }

  bool(): boolean {
    return this.uniform() < 0.5;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.int(0, choices.length - 1)] as T;
  }

  shape(rank: number, low = 1, high = 4): number[] {
    return Array.from({ length: rank }, () => this.int(low, high));
  }

  /** A shape of at least so many axes, six at most: few have more than four. */
  anyShape(rank = 0, low = 1, high = 4): number[] {
    return this.uniform() < 0.2
      ? this.shape(this.int(5, 6), low, Math.max(low, 2))
      : this.shape(this.int(rank, 4), low, high);
  }

  /** One of so many axes: as it is, and as one may name it, from the end half of the time. */
  axis(rank: number): { readonly axis: number; readonly named: number } {
    const axis = this.int(0, rank - 1);
    return { axis, named: this.bool() ? axis - rank : axis };
  }

  /** A permutation of 0, ..., length - 1. */
  order(length: number): number[] {
    const order = Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.int(0, i);
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    return order;
  }

  /** Uniform values in [low, high), rounded to float32. */
  array(shape: readonly number[], low = -2, high = 2): Nd {
    return build(shape, () => Math.fround(low + this.uniform() * (high - low)));
  }

  /** Values of which no two are equal, an eighth apart at least, so that a small step changes no order. */
  distinct(shape: readonly number[]): Nd {
    const order = this.order(sizeOf(shape));
    const shift = Math.floor(order.length / 2);
    let place = 0;
    return build(shape, () => ((order[place++] as number) - shift) / 8 + 0.0625);
  }
}

/** An extent or an index counted from the end: 1 is the last. */
export function fromEnd(values: readonly number[], back: number): number {
  return values[values.length - back] as number;
}
