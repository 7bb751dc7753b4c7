/** Matrix products on tfjs-wasm's heap, large ones over several threads. */
import type { MatmulArguments, Runtime } from './runtime.ts';
import { Layout, WORTHWHILE, borders } from './runtime.ts';
import type { Share } from './team.ts';
import { unitsFor } from './team.ts';

/** One product on the heap: pointers in bytes, `bias` 0 for none. */
export interface Product {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly bias: number;
  readonly relu: boolean;
}

export interface Gemm {
  readonly multiply: (product: Product) => void;
  /** Helpers that stand ready. The first call starts them. */
  readonly helpers: () => number;
  /** Products of which helpers did a part, so far. */
  readonly shared: () => number;
}

/** Floats that could be copied in the time that beginning a copy takes. */
const COPY_START = 400;

/** A rectangle of a row-major matrix: `rows` rows of `columns` floats, `lead` floats apart. Starts at a byte address. */
interface Block {
  readonly at: number;
  readonly rows: number;
  readonly columns: number;
  readonly lead: number;
}

function copyCost({ rows, columns, lead }: Block): number {
  return rows * columns + (columns === lead ? COPY_START : rows * COPY_START);
}

function copy(from: Float32Array, source: Block, to: Float32Array, target: Block): void {
  const { rows, columns } = source;
  if (source.lead === columns && target.lead === columns) {
    to.set(from.subarray(source.at / 4, source.at / 4 + rows * columns), target.at / 4);
    return;
  }
  for (let row = 0; row < rows; row++) {
    const at = source.at / 4 + row * source.lead;
    to.set(from.subarray(at, at + columns), target.at / 4 + row * target.lead);
  }
}

/** The part of a product that is rows [first, last) (`axis` 0) or columns (`axis` 1) of C, as blocks of the whole's operands. */
interface Part {
  readonly a: Block;
  readonly b: Block;
  readonly c: Block;
  readonly bias: number;
}

function part(product: Product, axis: 0 | 1, first: number, last: number): Part {
  const { a, b, c, m, n, k, transposeA, transposeB, bias } = product;
  const [i0, i1, j0, j1] = axis === 0 ? [first, last, 0, n] : [0, m, first, last];
  const [rows, columns] = [i1 - i0, j1 - j0];
  return {
    a: transposeA
      ? { at: a + 4 * i0, rows: k, columns: rows, lead: m }
      : { at: a + 4 * i0 * k, rows, columns: k, lead: k },
    b: transposeB
      ? { at: b + 4 * j0 * k, rows: columns, columns: k, lead: k }
      : { at: b + 4 * j0, rows: k, columns, lead: n },
    c: { at: c + 4 * (i0 * n + j0), rows, columns, lead: n },
    bias: bias === 0 ? 0 : bias + 4 * j0,
  };
}

/** Products above a size are shared among the runtime's threads; the bits do not depend on how many. */
export function createGemm({ heap, kernels, team, governor, scratch }: Runtime): Gemm {
  /** The arguments for one part, its blocks wherever they now lie. */
  const matmulArguments = (
    { k, transposeA, transposeB, relu }: Product,
    { a, b, c, bias }: Part,
    at: number,
  ): MatmulArguments => [
    a.at,
    b.at,
    c.at,
    c.rows,
    c.columns,
    k,
    Number(transposeA),
    Number(transposeB),
    a.lead,
    b.lead,
    c.lead,
    bias,
    Number(relu),
    at,
  ];

  const compute = (product: Product, piece: Part): void => {
    const { rows, columns } = piece.c;
    kernels.matmul(
      ...matmulArguments(product, piece, scratch('scratch', 4 * kernels.scratchFloats(rows, columns, product.k))),
    );
  };

  /** `axis`: the operand that the other parts of the product use too is B for parts of the rows (0), A for parts of the columns. */
  const share = (product: Product, axis: 0 | 1, piece: Part): Share => {
    const layout = new Layout();
    const dense = ({ rows, columns }: Block): Block => ({
      at: layout.take(rows * columns),
      rows,
      columns,
      lead: columns,
    });
    const { rows, columns } = piece.c;
    // What the parts share comes first: it must lie at the same place for each.
    const common = dense(axis === 0 ? piece.b : piece.a);
    const proper = dense(axis === 0 ? piece.a : piece.b);
    const [a, b] = axis === 0 ? [proper, common] : [common, proper];
    const inside: Part = { a, b, c: dense(piece.c), bias: piece.bias === 0 ? 0 : layout.take(columns) };
    const at = layout.take(kernels.scratchFloats(rows, columns, product.k));
    return {
      bytes: layout.bytes,
      call: 'matmul',
      values: matmulArguments(product, inside, at),
      load: (memory, again) => {
        const floats = new Float32Array(heap.memory.buffer);
        if (axis === 1 || !again) copy(floats, piece.b, memory, inside.b);
        if (axis === 0 || !again) copy(floats, piece.a, memory, inside.a);
        if (piece.bias !== 0) memory.set(floats.subarray(piece.bias / 4, piece.bias / 4 + columns), inside.bias / 4);
      },
      store: (memory) => copy(memory, inside.c, new Float32Array(heap.memory.buffer), piece.c),
    };
  };

  let sharedProducts = 0;
  return {
    helpers: () => team.ready(),
    shared: () => sharedProducts,
    multiply: (product) => {
      const { m, n, k } = product;
      const whole = part(product, 0, 0, m);
      // Scratch first: it may grow the heap, and views of it must not go stale meanwhile.
      scratch('scratch', 4 * kernels.scratchFloats(m, n, k));
      const ready = m * n * k < WORTHWHILE ? 0 : team.ready();
      const start = performance.now();
      if (ready === 0 || !governor.share()) {
        compute(product, whole);
        if (ready > 0) governor.record(false, m * n * k, performance.now() - start);
        return;
      }
      const { axis, ends } = ([0, 1] as const)
        .map((axis) => {
          const ends = borders(axis === 0 ? m : n, unitsFor(ready + 1), axis === 0 ? kernels.tileRows() : 8);
          const { a, b, c } = part(product, axis, 0, Math.ceil((axis === 0 ? m : n) / (ready + 1)));
          return { axis, ends, cost: ready * (copyCost(a) + copyCost(b) + copyCost(c)) };
        })
        .reduce((best, other) => (other.cost < best.cost ? other : best));
      const piece = (from: number, to: number): Part => part(product, axis, ends[from] as number, ends[to] as number);
      const stored = team.run({
        units: ends.length - 1,
        share: (from, to) => share(product, axis, piece(from, to)),
        own: (from, to) => compute(product, piece(from, to)),
      });
      governor.record(true, m * n * k, performance.now() - start);
      if (stored > 0) sharedProducts += 1;
    },
  };
}
