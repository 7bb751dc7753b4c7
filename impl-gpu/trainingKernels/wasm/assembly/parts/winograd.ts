// Convolutions with a 3 x 3 filter and stride 1 by Winograd's minimal filtering F(2 x 2, 3 x 3) (Lavin and Gray, "Fast algorithms for convolutional
// neural networks", CVPR 2016), and the gradient of their filter the same way: 16 multiplications where the definition has 36.
//
//   output tile  Y = A' [ (G g G') . (B' d B) ] A         d: 4 x 4 of the image, g: the filter, Y: 2 x 2, "." elementwise, ' transposed
//   filter       dg = G' [ sum over tiles (B' d B) . (A dY A') ] G
//
//   B' = 1  0 -1  0      G = 1    0    0       A' = 1  1  1  0
//        0  1  1  0          1/2  1/2  1/2          0  1 -1 -1
//        0 -1  1  0          1/2 -1/2  1/2
//        0  1  0 -1          0    0    1
//
// Summed over channels, each of the 16 elements is a matrix product of its own. All entries are 0, 1/2 or 1, so that the transforms round
// little. Sums go in the order of the channels (forward) or tiles (filter), whatever part of a result is asked for.
//
// Channels in and out must be multiples of 8.

import { madd, transpose4 } from './lanes';

/** Tiles that are transformed, multiplied and transformed back before the next, at most. A multiple of 4. */
const TILES: i32 = 64;

/** Bytes of transformed filters that are used while they are in the cache, where they are used once only. */
const SLICE: i32 = 1 << 19;

// Tiles of a block: with many channels fewer fill the cache.
function blockTiles(inputs: i32): i32 {
  return inputs > 96 ? TILES >> 1 : TILES;
}

// Output channels of a slice.
function sliceColumns(inputs: i32): i32 {
  return max(8, (SLICE / (64 * inputs)) & ~7);
}

/** Between the 16 matrices: powers of two would meet in the same sets of the cache. */
const GAP: usize = 64;

// @ts-ignore: decorator
@inline
function matrixBytes(rows: i32, columns: i32): usize {
  return (<usize>(rows * columns) << 2) + GAP;
}

// @ts-ignore: decorator
@inline
function half(a: v128): v128 {
  return f32x4.mul(a, f32x4.splat(0.5));
}

// u = G g G', from nine vectors `tap` bytes apart to sixteen `step` bytes apart.
// @ts-ignore: decorator
@inline
function transformFilter(g: usize, tap: usize, u: usize, step: usize): void {
  let to = u;
  for (let column: i32 = 0; column < 3; column++) {
    const a = v128.load(g);
    const b = v128.load(g + 3 * tap);
    const c = v128.load(g + 6 * tap);
    const sum = f32x4.add(a, c);
    v128.store(to, a);
    v128.store(to + 4 * step, half(f32x4.add(sum, b)));
    v128.store(to + 8 * step, half(f32x4.sub(sum, b)));
    v128.store(to + 12 * step, c);
    g += tap;
    to += step;
  }
  to = u;
  for (let row: i32 = 0; row < 4; row++) {
    const a = v128.load(to);
    const b = v128.load(to + step);
    const c = v128.load(to + 2 * step);
    const sum = f32x4.add(a, c);
    v128.store(to + step, half(f32x4.add(sum, b)));
    v128.store(to + 2 * step, half(f32x4.sub(sum, b)));
    v128.store(to + 3 * step, c);
    to += 4 * step;
  }
}

// Transforms a filter [3, 3, inputs, outputs] into 16 matrices [inputs, last - first], each as panels of eight columns: those of its columns [first, last).
function prepareFilter(filter: usize, u: usize, inputs: i32, outputs: i32, first: i32, last: i32): void {
  const tap: usize = <usize>(inputs * outputs) << 2;
  const step = matrixBytes(inputs, last - first);
  for (let j = first; j < last; j += 4) {
    const panel = u + (<usize>(((j - first) >> 3) * inputs) << 5) + (<usize>(j & 4) << 2);
    for (let c: i32 = 0; c < inputs; c++) {
      transformFilter(filter + (<usize>(c * outputs + j) << 2), tap, panel + (<usize>c << 5), step);
    }
  }
}

// The same of a filter [3, 3, outputs, inputs], turned by 180 degrees and transposed, for the gradient of the input, which takes the place of the output
// here. turned: 144 floats of scratch.
function prepareTurnedFilter(
  filter: usize, u: usize, inputs: i32, outputs: i32, first: i32, last: i32, turned: usize,
): void {
  const tap: usize = <usize>(inputs * outputs) << 2;
  const row: usize = <usize>inputs << 2;
  const step = matrixBytes(inputs, last - first);
  for (let j = first; j < last; j += 4) {
    const panel = u + (<usize>(((j - first) >> 3) * inputs) << 5) + (<usize>(j & 4) << 2);
    for (let k: i32 = 0; k < inputs; k += 4) {
      for (let t: i32 = 0; t < 9; t++) {
        const p = filter + <usize>(8 - t) * tap + <usize>j * row + (<usize>k << 2);
        const to = turned + (<usize>t << 4);
        transpose4(v128.load(p), v128.load(p + row), v128.load(p + 2 * row), v128.load(p + 3 * row), to, 144);
      }
      for (let i: i32 = 0; i < 4; i++) {
        transformFilter(turned + <usize>i * 144, 16, panel + (<usize>(k + i) << 5), step);
      }
    }
  }
}

// The addresses of a tile's 4 x 4 pixels, or that of zeros outside the image and for tiles beyond the last.
function pixels(
  x: usize, tile: i32, tiles: i32, perRow: i32, perImage: i32, height: i32, width: i32, channels: i32, pad: i32, zeros: usize,
  table: usize,
): void {
  const image = tile / perImage;
  const inside = tile % perImage;
  const top = 2 * (inside / perRow) - pad;
  const left = 2 * (inside % perRow) - pad;
  for (let i: i32 = 0; i < 4; i++) {
    const row = top + i;
    for (let j: i32 = 0; j < 4; j++) {
      const column = left + j;
      const within = tile < tiles && row >= 0 && row < height && column >= 0 && column < width;
      const p = within ? x + (<usize>(((image * height + row) * width + column) * channels) << 2) : zeros;
      store<usize>(table + (<usize>(4 * i + j) << 2), p);
    }
  }
}

// B' d B of four channels, `skip` bytes into each pixel.
// @ts-ignore: decorator
@inline
function transformInput(table: usize, skip: usize, to: usize, step: usize): void {
  // Columns first, then rows.
  let e = to;
  for (let j: usize = 0; j < 16; j += 4) {
    const a = v128.load(load<usize>(table + j) + skip);
    const b = v128.load(load<usize>(table + j, 16) + skip);
    const c = v128.load(load<usize>(table + j, 32) + skip);
    const d = v128.load(load<usize>(table + j, 48) + skip);
    v128.store(e, f32x4.sub(a, c));
    v128.store(e + 4 * step, f32x4.add(b, c));
    v128.store(e + 8 * step, f32x4.sub(c, b));
    v128.store(e + 12 * step, f32x4.sub(b, d));
    e += step;
  }
  e = to;
  for (let i: i32 = 0; i < 4; i++) {
    const a = v128.load(e);
    const b = v128.load(e + step);
    const c = v128.load(e + 2 * step);
    const d = v128.load(e + 3 * step);
    v128.store(e, f32x4.sub(a, c));
    v128.store(e + step, f32x4.add(b, c));
    v128.store(e + 2 * step, f32x4.sub(c, b));
    v128.store(e + 3 * step, f32x4.sub(b, d));
    e += 4 * step;
  }
}

// The same of four tiles, with their tables one after the other; each of the 16 results as four channels of four tiles, tiles in the lanes, 16 bytes apart.
// work: 256 floats of scratch.
// @ts-ignore: decorator
@inline
function transformFour(tables: usize, skip: usize, to: usize, step: usize, work: usize): void {
  for (let i: usize = 0; i < 4; i++) transformInput(tables + (i << 6), skip, work + (i << 8), 16);
  for (let e: usize = 0; e < 256; e += 16) {
    const p = work + e;
    transpose4(v128.load(p), v128.load(p, 256), v128.load(p, 512), v128.load(p, 768), to, 16);
    to += step;
  }
}

/**
 * C += (or =) A B of packed panels: A [count][4], B [count][8]; C four rows of `columns`. Written and exported as `tile` of `gemm.ts` is, for the
 * same reason.
 */
export function multiplyTile(a: usize, b: usize, c: usize, count: i32, columns: i32, add: bool): void {
  let zero = f32x4.splat(0);
  let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
  const end = a + (<usize>count << 4);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let s = v128.load32_splat(a);
    c00 = madd(s, b0, c00);
    c01 = madd(s, b1, c01);
    s = v128.load32_splat(a, 4);
    c10 = madd(s, b0, c10);
    c11 = madd(s, b1, c11);
    s = v128.load32_splat(a, 8);
    c20 = madd(s, b0, c20);
    c21 = madd(s, b1, c21);
    s = v128.load32_splat(a, 12);
    c30 = madd(s, b0, c30);
    c31 = madd(s, b1, c31);
    a += 16;
    b += 32;
  }
  const next: usize = <usize>columns << 2;
  if (add) {
    c00 = f32x4.add(v128.load(c), c00);
    c01 = f32x4.add(v128.load(c, 16), c01);
    c10 = f32x4.add(v128.load(c + next), c10);
    c11 = f32x4.add(v128.load(c + next, 16), c11);
    c20 = f32x4.add(v128.load(c + 2 * next), c20);
    c21 = f32x4.add(v128.load(c + 2 * next, 16), c21);
    c30 = f32x4.add(v128.load(c + 3 * next), c30);
    c31 = f32x4.add(v128.load(c + 3 * next, 16), c31);
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c + next, c10);
  v128.store(c + next, c11, 16);
  v128.store(c + 2 * next, c20);
  v128.store(c + 2 * next, c21, 16);
  v128.store(c + 3 * next, c30);
  v128.store(c + 3 * next, c31, 16);
}

// A' m A of four channels into the tile's 2 x 2 pixels, those of them that the image has.
// @ts-ignore: decorator
@inline
function transformOutput(m: usize, step: usize, y: usize, rowBytes: usize, pixelBytes: usize, rows: i32, columns: i32, bias: usize, relu: i32): void {
  const m00 = v128.load(m), m01 = v128.load(m + step), m02 = v128.load(m + 2 * step), m03 = v128.load(m + 3 * step);
  m += 4 * step;
  const m10 = v128.load(m), m11 = v128.load(m + step), m12 = v128.load(m + 2 * step), m13 = v128.load(m + 3 * step);
  m += 4 * step;
  const m20 = v128.load(m), m21 = v128.load(m + step), m22 = v128.load(m + 2 * step), m23 = v128.load(m + 3 * step);
  m += 4 * step;
  const m30 = v128.load(m), m31 = v128.load(m + step), m32 = v128.load(m + 2 * step), m33 = v128.load(m + 3 * step);
  const s0 = f32x4.add(f32x4.add(m00, m10), m20);
  const s1 = f32x4.add(f32x4.add(m01, m11), m21);
  const s2 = f32x4.add(f32x4.add(m02, m12), m22);
  const s3 = f32x4.add(f32x4.add(m03, m13), m23);
  const t0 = f32x4.sub(f32x4.sub(m10, m20), m30);
  const t1 = f32x4.sub(f32x4.sub(m11, m21), m31);
  const t2 = f32x4.sub(f32x4.sub(m12, m22), m32);
  const t3 = f32x4.sub(f32x4.sub(m13, m23), m33);
  let y00 = f32x4.add(f32x4.add(s0, s1), s2);
  let y01 = f32x4.sub(f32x4.sub(s1, s2), s3);
  let y10 = f32x4.add(f32x4.add(t0, t1), t2);
  let y11 = f32x4.sub(f32x4.sub(t1, t2), t3);
  if (bias) {
    const b = v128.load(bias);
    y00 = f32x4.add(y00, b);
    y01 = f32x4.add(y01, b);
    y10 = f32x4.add(y10, b);
    y11 = f32x4.add(y11, b);
  }
  if (relu) {
    const zero = f32x4.splat(0);
    y00 = f32x4.max(y00, zero);
    y01 = f32x4.max(y01, zero);
    y10 = f32x4.max(y10, zero);
    y11 = f32x4.max(y11, zero);
  }
  v128.store(y, y00);
  if (columns > 1) v128.store(y + pixelBytes, y01);
  if (rows > 1) {
    v128.store(y + rowBytes, y10);
    if (columns > 1) v128.store(y + rowBytes + pixelBytes, y11);
  }
}

/** Floats of tables, work and zeros ahead of the matrices. */
const FRONT: i32 = 64 + 256;

/** Bytes of scratch that `winograd` needs for so many of the outputs. */
export function winogradScratch(inputs: i32, part: i32): i32 {
  const matrices = 16 * (matrixBytes(TILES, inputs) + matrixBytes(TILES, part) + matrixBytes(inputs, part));
  return <i32>(matrices + (<usize>(FRONT + inputs) << 2));
}

/**
 * y = x * filter [+ bias] [relu], stride 1, `pad` (0 to 2) pixels of zeros all around. x: [images, height, width, inputs]; filter: [3, 3, inputs,
 * outputs], or, when `turned`, [3, 3, outputs, inputs] to be turned by 180 degrees. y: [images, outHeight, outWidth, stride], from the first
 * of the channels [first, last) on that are computed, multiples of 8. bias: pointer to that channel's, or 0. scratch: 16-byte aligned.
 */
export function winograd(
  x: usize, filter: usize, y: usize, images: i32, height: i32, width: i32, inputs: i32, outputs: i32, pad: i32, turned: i32,
  first: i32, last: i32, stride: i32, bias: usize, relu: i32, scratch: usize,
): void {
  const part = last - first;
  const outHeight = height + 2 * pad - 2;
  const outWidth = width + 2 * pad - 2;
  const perRow = (outWidth + 1) >> 1;
  const perImage = perRow * ((outHeight + 1) >> 1);
  const tiles = images * perImage;
  const block = blockTiles(inputs);
  const tables = scratch;
  const work = tables + 256;
  const zeros = work + 1024;
  const v = zeros + (<usize>inputs << 2);
  const m = v + 16 * matrixBytes(TILES, inputs);
  const u = m + 16 * matrixBytes(TILES, part);
  const pixelBytes: usize = <usize>stride << 2;
  const rowBytes: usize = <usize>outWidth * pixelBytes;
  memory.fill(zeros, 0, <usize>inputs << 2);
  // With a single block of tiles the filter is transformed slice by slice, each used at once; else all of it once.
  const slice = tiles <= block ? sliceColumns(inputs) : part;
  for (let firstTile: i32 = 0; firstTile < tiles; firstTile += block) {
    const count = min(block, tiles - firstTile);
    const padded = (count + 3) & ~3;
    transformBlock(
      x, v, firstTile, padded, tiles, perRow, perImage, height, width, inputs, pad, zeros, tables, work,
    );
    for (let k: i32 = 0; k < part; k += slice) {
      const columns = min(slice, part - k);
      if (firstTile == 0) {
        if (turned) prepareTurnedFilter(filter, u, inputs, outputs, first + k, first + k + columns, work);
        else prepareFilter(filter, u, inputs, outputs, first + k, first + k + columns);
      }
      multiplyBlock(v, u, m, padded, inputs, columns);
      const skip: usize = <usize>k << 2;
      for (let t: i32 = 0; t < count; t++) {
        const tile = firstTile + t;
        const image = tile / perImage;
        const inside = tile % perImage;
        const row = 2 * (inside / perRow);
        const column = 2 * (inside % perRow);
        const to = y + skip + <usize>((image * outHeight + row) * outWidth + column) * pixelBytes;
        const from = m + (<usize>(t * columns) << 2);
        const step = matrixBytes(TILES, columns);
        for (let c: usize = 0; c < <usize>columns << 2; c += 16) {
          transformOutput(
            from + c, step, to + c, rowBytes, pixelBytes, outHeight - row, outWidth - column,
            bias ? bias + skip + c : 0, relu,
          );
        }
      }
    }
  }
}

// Functions of their own, so that an engine that compiles hot functions anew has them soon.
function transformBlock(
  x: usize, v: usize, first: i32, count: i32, tiles: i32, perRow: i32, perImage: i32, height: i32, width: i32, inputs: i32,
  pad: i32, zeros: usize, tables: usize, work: usize,
): void {
  const step = matrixBytes(TILES, inputs);
  for (let t: i32 = 0; t < count; t += 4) {
    for (let i: i32 = 0; i < 4; i++) {
      pixels(
        x, first + t + i, tiles, perRow, perImage, height, width, inputs, pad, zeros, tables + (<usize>i << 6),
      );
    }
    const to = v + (<usize>(t * inputs) << 2);
    for (let c: usize = 0; c < <usize>inputs << 2; c += 16) transformFour(tables, c, to + (c << 2), step, work);
  }
}

function multiplyBlock(v: usize, u: usize, m: usize, tiles: i32, inputs: i32, columns: i32): void {
  const vStep = matrixBytes(TILES, inputs);
  const uStep = matrixBytes(inputs, columns);
  const mStep = matrixBytes(TILES, columns);
  for (let e: usize = 0; e < 16; e++) {
    for (let j: i32 = 0; j < columns; j += 8) {
      const panel = u + e * uStep + (<usize>(j * inputs) << 2);
      for (let t: i32 = 0; t < tiles; t += 4) {
        const a = v + e * vStep + (<usize>(t * inputs) << 2);
        multiplyTile(a, panel, m + e * mStep + (<usize>(t * columns + j) << 2), inputs, columns, false);
      }
    }
  }
}

// A dY A' of four channels of a tile's 2 x 2 pixels, zero where the image has none.
// @ts-ignore: decorator
@inline
function transformGradient(dy: usize, rowBytes: usize, pixelBytes: usize, rows: i32, columns: i32, to: usize, step: usize): void {
  const zero = f32x4.splat(0);
  let a = zero, b = zero, c = zero, d = zero;
  if (rows > 0) {
    a = v128.load(dy);
    if (columns > 1) b = v128.load(dy + pixelBytes);
    if (rows > 1) {
      c = v128.load(dy + rowBytes);
      if (columns > 1) d = v128.load(dy + rowBytes + pixelBytes);
    }
  }
  for (let row: i32 = 0; row < 4; row++) {
    const p = row == 0 ? a : row == 1 ? f32x4.add(a, c) : row == 2 ? f32x4.sub(a, c) : f32x4.neg(c);
    const q = row == 0 ? b : row == 1 ? f32x4.add(b, d) : row == 2 ? f32x4.sub(b, d) : f32x4.neg(d);
    v128.store(to, p);
    v128.store(to + step, f32x4.add(p, q));
    v128.store(to + 2 * step, f32x4.sub(p, q));
    v128.store(to + 3 * step, f32x4.neg(q));
    to += 4 * step;
  }
}

// G' u G: nine vectors from sixteen.
// @ts-ignore: decorator
@inline
function transformBack(u: usize, step: usize, g: usize, tap: usize, work: usize): void {
  // Rows first: 3 x 4 vectors of scratch.
  for (let j: usize = 0; j < 4; j++) {
    const a = v128.load(u);
    const b = v128.load(u + 4 * step);
    const c = v128.load(u + 8 * step);
    const d = v128.load(u + 12 * step);
    const sum = half(f32x4.add(b, c));
    v128.store(work + (j << 4), f32x4.add(a, sum));
    v128.store(work + (j << 4) + 64, half(f32x4.sub(b, c)));
    v128.store(work + (j << 4) + 128, f32x4.add(sum, d));
    u += step;
  }
  for (let i: i32 = 0; i < 3; i++) {
    const a = v128.load(work);
    const b = v128.load(work, 16);
    const c = v128.load(work, 32);
    const d = v128.load(work, 48);
    const sum = half(f32x4.add(b, c));
    v128.store(g, f32x4.add(a, sum));
    v128.store(g + tap, half(f32x4.sub(b, c)));
    v128.store(g + 2 * tap, f32x4.add(sum, d));
    work += 64;
    g += 3 * tap;
  }
}

/** Bytes of scratch that `winogradFilterGradient` needs for so many of the inputs. */
export function winogradGradientScratch(inputs: i32, part: i32, outputs: i32): i32 {
  const slice = min(part, sliceColumns(outputs));
  const matrices = 16 * (matrixBytes(TILES, slice) + matrixBytes(TILES, outputs) + matrixBytes(slice, outputs));
  return <i32>(matrices + (<usize>(FRONT + inputs) << 2));
}

/**
 * dfilter[3, 3, part, outputs] of input channels [firstInput, firstInput + part), multiples of 8: dense. x: [images, height, width, inputs],
 * dy: [images, outHeight, outWidth, outputs].
 */
export function winogradFilterGradient(
  x: usize, dy: usize, df: usize, images: i32, height: i32, width: i32, inputs: i32, outputs: i32, pad: i32,
  firstInput: i32, part: i32, scratch: usize,
): void {
  const outHeight = height + 2 * pad - 2;
  const outWidth = width + 2 * pad - 2;
  const perRow = (outWidth + 1) >> 1;
  const perImage = perRow * ((outHeight + 1) >> 1);
  const tiles = images * perImage;
  const block = blockTiles(outputs);
  const slice = min(part, sliceColumns(outputs));
  const vStep = matrixBytes(TILES, slice);
  const zStep = matrixBytes(TILES, outputs);
  const uStep = matrixBytes(slice, outputs);
  const table = scratch;
  const work = table + 256;
  const zeros = work + 1024;
  const v = zeros + (<usize>inputs << 2);
  const z = v + 16 * vStep;
  const u = z + 16 * zStep;
  const tap: usize = <usize>(part * outputs) << 2;
  memory.fill(zeros, 0, <usize>inputs << 2);
  // Slices of input channels whose sums stay in the cache; the output's side is transformed for each, which is little beside the products.
  for (let c: i32 = 0; c < part; c += slice) {
    const columns = min(slice, part - c);
    for (let first: i32 = 0; first < tiles; first += block) {
      const count = min(block, tiles - first);
      // Panels of four input channels, and of eight output channels, by tile: the order in which they are multiplied.
      for (let t: i32 = 0; t < count; t++) {
        pixels(x, first + t, tiles, perRow, perImage, height, width, inputs, pad, zeros, table);
        for (let i: i32 = 0; i < columns; i += 4) {
          transformInput(table, <usize>(firstInput + c + i) << 2, v + (<usize>((i >> 2) * count + t) << 4), vStep);
        }
      }
      gradientBlock(dy, z, first, count, perRow, perImage, outHeight, outWidth, outputs);
      sumBlock(v, z, u, count, columns, outputs, vStep, uStep, first > 0);
    }
    const to = df + (<usize>(c * outputs) << 2);
    for (let at: usize = 0; at < <usize>(columns * outputs) << 2; at += 16) {
      transformBack(u + at, uStep, to + at, tap, work);
    }
  }
}

function gradientBlock(
  dy: usize, z: usize, first: i32, count: i32, perRow: i32, perImage: i32, outHeight: i32, outWidth: i32, outputs: i32,
): void {
  const step = matrixBytes(TILES, outputs);
  const pixelBytes: usize = <usize>outputs << 2;
  const rowBytes: usize = <usize>outWidth * pixelBytes;
  for (let t: i32 = 0; t < count; t++) {
    const image = (first + t) / perImage;
    const inside = (first + t) % perImage;
    const row = 2 * (inside / perRow);
    const column = 2 * (inside % perRow);
    const from = dy + <usize>((image * outHeight + row) * outWidth + column) * pixelBytes;
    for (let k: i32 = 0; k < outputs; k += 4) {
      const to = z + (<usize>((k >> 3) * count + t) << 5) + (<usize>(k & 4) << 2);
      transformGradient(from + (<usize>k << 2), rowBytes, pixelBytes, outHeight - row, outWidth - column, to, step);
    }
  }
}

function sumBlock(
  v: usize, z: usize, u: usize, count: i32, columns: i32, outputs: i32, vStep: usize, uStep: usize, add: bool,
): void {
  const zStep = matrixBytes(TILES, outputs);
  for (let e: usize = 0; e < 16; e++) {
    for (let k: i32 = 0; k < outputs; k += 8) {
      const b = z + e * zStep + (<usize>(k * count) << 2);
      for (let c: i32 = 0; c < columns; c += 4) {
        const a = v + e * vStep + (<usize>(c * count) << 2);
        multiplyTile(a, b, u + e * uStep + (<usize>(c * outputs + k) << 2), count, outputs, add);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function min(a: i32, b: i32): i32 {
  return a < b ? a : b;
}
