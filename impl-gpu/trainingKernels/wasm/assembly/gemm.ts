// Single-precision matrix product for WASM SIMD: C = op(A) op(B) [+ bias] [relu], after Goto and van de Geijn,
// "Anatomy of high-performance matrix multiplication" (ACM TOMS 2008): panels of A and B are packed so that the innermost
// loop reads both in order, a block of A stays in the second-level cache and a panel of B in the first.
//
// The tile is 4 rows by 8 columns: eight accumulators, two vectors of B, a broadcast of A and a product fit in the
// sixteen registers of x86-64; 6 x 8 spills and runs a third slower. Compiled for relaxed SIMD there is no product to hold, and a fifth row
// has room.
//
// AssemblyScript. The module keeps nothing in memory of its own: it runs inside a heap that belongs to somebody else.

import { madd, transpose4 } from './parts/lanes';

export * from './parts/batchNorm';
export * from './parts/winograd';

const KC: i32 = 512;
/** Rows of a tile, and of a panel of A. */
const ROWS: i32 = ASC_FEATURE_RELAXED_SIMD ? 5 : 4;
/** Rows of a block: a multiple of those, at least 128, as many as batches often have. */
const MC: i32 = ASC_FEATURE_RELAXED_SIMD ? 130 : 128;
/** Bytes of a tile, for what hangs over the rim. */
const EDGE: usize = <usize>ROWS << 5;

// @ts-ignore: decorator
@inline
function min(a: i32, b: i32): i32 {
  return a < b ? a : b;
}

/** Rows that are computed together: a product is best cut between two such. */
export function tileRows(): i32 {
  return ROWS;
}

// Bytes of packed A: whole panels.
// @ts-ignore: decorator
@inline
function packedBytes(m: i32, k: i32): usize {
  return <usize>((min(m, MC) + ROWS - 1) / ROWS * ROWS * min(k, KC)) << 2;
}

/** Floats of scratch that `matmul` needs for these sizes. */
export function scratchFloats(m: i32, n: i32, k: i32): i32 {
  return <i32>((EDGE + packedBytes(m, k)) >> 2) + ((n + 7) & ~7) * min(k, KC);
}

// Four lanes of a panel: dst[k * width + lane] = src[lane * outer + k * inner] for lane < lanes, else 0.
// Strides are in bytes; one of the two is 4.
function packLanes(src: usize, dst: usize, lanes: i32, count: i32, outer: usize, inner: usize, step: usize): void {
  let k: i32 = 0;
  if (lanes == 4) {
    if (outer == 4) {
      for (; k < count; k++) {
        v128.store(dst, v128.load(src));
        src += inner;
        dst += step;
      }
      return;
    }
    for (; k + 4 <= count; k += 4) {
      transpose4(
        v128.load(src),
        v128.load(src + outer),
        v128.load(src + 2 * outer),
        v128.load(src + 3 * outer),
        dst,
        step,
      );
      src += 16;
      dst += 4 * step;
    }
  }
  for (; k < count; k++) {
    for (let lane: i32 = 0; lane < 4; lane++) {
      store<f32>(dst + (<usize>lane << 2), lane < lanes ? load<f32>(src + <usize>lane * outer) : 0);
    }
    src += inner;
    dst += step;
  }
}

// A panel of A: min(ROWS, rows) rows.
// @ts-ignore: decorator
@inline
function packRowPanel(src: usize, dst: usize, rows: i32, count: i32, outer: usize, inner: usize): void {
  if (ROWS > 4 && rows > 4 && outer == 4) {
    for (let k: i32 = 0; k < count; k++) {
      v128.store(dst, v128.load(src));
      store<f32>(dst, load<f32>(src, 16), 16);
      src += inner;
      dst += <usize>ROWS << 2;
    }
    return;
  }
  packLanes(src, dst, min(4, rows), count, outer, inner, <usize>ROWS << 2);
  if (ROWS > 4) packFifth(src + 4 * outer, dst, rows > 4, count, inner);
}

// The fifth lane of a panel, zeros where there is none.
// @ts-ignore: decorator
@inline
function packFifth(src: usize, dst: usize, there: bool, count: i32, inner: usize): void {
  let from = src;
  let to = dst + 16;
  for (let k: i32 = 0; k < count; k++) {
    store<f32>(to, there ? load<f32>(from) : 0);
    from += inner;
    to += <usize>ROWS << 2;
  }
}

// Four panels of eight columns at once, from rows `inner` bytes apart: reads whole cache lines, which one panel alone would
// fetch twice. A panel takes `panel` bytes.
function packColumns(src: usize, dst: usize, count: i32, inner: usize, panel: usize): void {
  for (let k: i32 = 0; k < count; k++) {
    let to = dst;
    for (let p: usize = 0; p < 128; p += 32) {
      v128.store(to, v128.load(src + p));
      v128.store(to, v128.load(src + p, 16), 16);
      to += panel;
    }
    src += inner;
    dst += 32;
  }
}

// @ts-ignore: decorator
@inline
function finish(p: usize, x: v128, add: bool, bias: usize, relu: i32): void {
  let y = x;
  if (add) y = f32x4.add(y, v128.load(p));
  if (bias) y = f32x4.add(y, v128.load(bias));
  if (relu) y = f32x4.max(y, f32x4.splat(0));
  v128.store(p, y);
}

/**
 * The product of two panels of `count` steps, a tile of ROWS x 8, to a place of its own.
 *
 * V8 moves the loop's loads ahead of its sums unless the sums are numbered in the order in which they are used; with 16 registers some of them
 * are then spilled, and it runs at two thirds. Exported, so that the compiler leaves it a function: inlined it numbers them anew.
 */
export function tile(pa: usize, pb: usize, to: usize, count: i32): void {
  let zero = f32x4.splat(0);
  let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero, c40 = zero, c41 = zero;
  const end = pa + <usize>(count * ROWS << 2);
  while (pa < end) {
    const b0 = v128.load(pb);
    const b1 = v128.load(pb, 16);
    let a = v128.load32_splat(pa);
    c00 = madd(a, b0, c00);
    c01 = madd(a, b1, c01);
    a = v128.load32_splat(pa, 4);
    c10 = madd(a, b0, c10);
    c11 = madd(a, b1, c11);
    a = v128.load32_splat(pa, 8);
    c20 = madd(a, b0, c20);
    c21 = madd(a, b1, c21);
    a = v128.load32_splat(pa, 12);
    c30 = madd(a, b0, c30);
    c31 = madd(a, b1, c31);
    if (ROWS > 4) {
      a = v128.load32_splat(pa, 16);
      c40 = madd(a, b0, c40);
      c41 = madd(a, b1, c41);
    }
    pa += <usize>ROWS << 2;
    pb += 32;
  }
  v128.store(to, c00);
  v128.store(to, c01, 16);
  v128.store(to, c10, 32);
  v128.store(to, c11, 48);
  v128.store(to, c20, 64);
  v128.store(to, c21, 80);
  v128.store(to, c30, 96);
  v128.store(to, c31, 112);
  if (ROWS > 4) {
    v128.store(to, c40, 128);
    v128.store(to, c41, 144);
  }
}

// Where output rows lie: `i` rows of `row` bytes after c, or, for the gradient of a strided convolution, at offsets from a
// table of `perImage` entries, images `image` bytes apart.
// @ts-ignore: decorator
@inline
function rowAt(c: usize, i: i32, row: usize, table: usize, perImage: i32, image: usize): usize {
  if (table == 0) return c + <usize>i * row;
  return c + <usize>(i / perImage) * image + load<u32>(table + (<usize>(i % perImage) << 2));
}

// Rows [first, first + mc) of C, n columns, from packed A (mc rows) and packed B. `last`: this is the last block of k.
function block(
  packedA: usize, packedB: usize, c: usize, first: i32, mc: i32, n: i32, kc: i32, add: bool, last: bool,
  row: usize, table: usize, perImage: i32, image: usize, bias: usize, relu: i32, edge: usize,
): void {
  for (let j: i32 = 0; j < n; j += 8) {
    const pb = packedB + (<usize>(j * kc) << 2);
    const columns = min(8, n - j);
    const at = c + (<usize>j << 2);
    for (let i: i32 = 0; i < mc; i += ROWS) {
      const pa = packedA + (<usize>(i * kc) << 2);
      const rows = min(ROWS, mc - i);
      tile(pa, pb, edge, kc);
      if (columns == 8) {
        const here = last && bias ? bias + (<usize>j << 2) : 0;
        const clamp = last ? relu : 0;
        for (let r: i32 = 0; r < rows; r++) {
          const from = edge + (<usize>r << 5);
          const to = rowAt(at, first + i + r, row, table, perImage, image);
          finish(to, v128.load(from), add, here, clamp);
          finish(to + 16, v128.load(from, 16), add, here ? here + 16 : 0, clamp);
        }
      } else {
        for (let r: i32 = 0; r < rows; r++) {
          const to = rowAt(at, first + i + r, row, table, perImage, image);
          for (let s: i32 = 0; s < columns; s++) {
            const p = to + (<usize>s << 2);
            let x = load<f32>(edge + (<usize>(r * 8 + s) << 2));
            if (add) x += load<f32>(p);
            if (last && bias) x += load<f32>(bias + (<usize>(j + s) << 2));
            if (last && relu) x = max<f32>(x, 0);
            store<f32>(p, x);
          }
        }
      }
    }
  }
}

// Panels of eight columns of B[kc,n], row-major with rows `inner` bytes apart.
function packRows(src: usize, dst: usize, kc: i32, n: i32, inner: usize): void {
  let j: i32 = 0;
  for (; j + 32 <= n; j += 32) {
    packColumns(src + (<usize>j << 2), dst + (<usize>(j * kc) << 2), kc, inner, <usize>kc << 5);
  }
  for (; j < n; j += 8) {
    packPanel(src + (<usize>j << 2), dst + (<usize>(j * kc) << 2), kc, n - j, 4, inner);
  }
}

// One panel of min(8, columns) columns.
// @ts-ignore: decorator
@inline
function packPanel(src: usize, dst: usize, count: i32, columns: i32, outer: usize, inner: usize): void {
  packLanes(src, dst, min(4, columns), count, outer, inner, 32);
  packLanes(src + 4 * outer, dst + 16, max(0, min(4, columns - 4)), count, outer, inner, 32);
}

/**
 * C[m,n] = op(A) op(B), row-major. A is [m,k], or [k,m] with transposeA; B is [k,n], or [n,k] with transposeB.
 * lda, ldb, ldc: floats from one row to the next, as stored. bias: pointer to n floats, or 0. relu: 1 clamps at 0.
 * scratch: `scratchFloats(m, n, k)` floats, 16-byte aligned.
 *
 * The order in which an element's products are summed depends on k alone, so a product computed in parts (of its rows or
 * columns) has the same bits as one computed whole.
 */
export function matmul(
  a: usize, b: usize, c: usize, m: i32, n: i32, k: i32, transposeA: i32, transposeB: i32,
  lda: i32, ldb: i32, ldc: i32, bias: usize, relu: i32, scratch: usize,
): void {
  const aOuter: usize = transposeA ? 4 : <usize>lda << 2;
  const aInner: usize = transposeA ? <usize>lda << 2 : 4;
  const bOuter: usize = transposeB ? <usize>ldb << 2 : 4;
  const bInner: usize = transposeB ? 4 : <usize>ldb << 2;
  const row: usize = <usize>ldc << 2;
  const edge = scratch;
  const packedA = scratch + EDGE;
  const packedB = packedA + packedBytes(m, k);

  for (let k0: i32 = 0; k0 < k; k0 += KC) {
    const kc = min(KC, k - k0);
    const add = k0 > 0;
    const last = k0 + kc == k;
    if (!transposeB) packRows(b + <usize>k0 * bInner, packedB, kc, n, bInner);
    else {
      for (let j: i32 = 0; j < n; j += 8) {
        packPanel(b + <usize>j * bOuter + (<usize>k0 << 2), packedB + (<usize>(j * kc) << 2), kc, n - j, bOuter, 4);
      }
    }
    for (let i0: i32 = 0; i0 < m; i0 += MC) {
      const mc = min(MC, m - i0);
      for (let i: i32 = 0; i < mc; i += ROWS) {
        const src = a + <usize>(i0 + i) * aOuter + <usize>k0 * aInner;
        packRowPanel(src, packedA + (<usize>(i * kc) << 2), mc - i, kc, aOuter, aInner);
      }
      block(packedA, packedB, c, i0, mc, n, kc, k0 > 0, k0 + kc == k, row, 0, 1, 0, bias, relu, edge);
    }
  }
}

// --- Convolutions, without ever writing the matrix that they are products with ("im2col"): its rows are packed straight from the
// image. A table gives, for tap t and output pixel q of an image, at t * pixels + q, the byte offset within the image of the
// channels that the tap sees there, or -1 outside the image. Strides, padding and dilation live in the table only.

// @ts-ignore: decorator
@inline
function pixelAt(x: usize, table: usize, tap: i32, pixels: i32, image: usize, row: i32, zeros: usize): usize {
  const offset = load<i32>(table + (<usize>(tap * pixels + row % pixels) << 2));
  return offset < 0 ? zeros : x + <usize>(row / pixels) * image + <usize>offset;
}

// dst[k * ROWS + lane] = p_lane[k]
// @ts-ignore: decorator
@inline
function packFour(p0: usize, p1: usize, p2: usize, p3: usize, dst: usize, count: i32): void {
  let k: i32 = 0;
  for (; k + 4 <= count; k += 4) {
    transpose4(v128.load(p0), v128.load(p1), v128.load(p2), v128.load(p3), dst, <usize>ROWS << 2);
    p0 += 16;
    p1 += 16;
    p2 += 16;
    p3 += 16;
    dst += <usize>ROWS << 4;
  }
  for (; k < count; k++) {
    store<f32>(dst, load<f32>(p0));
    store<f32>(dst, load<f32>(p1), 4);
    store<f32>(dst, load<f32>(p2), 8);
    store<f32>(dst, load<f32>(p3), 12);
    p0 += 4;
    p1 += 4;
    p2 += 4;
    p3 += 4;
    dst += <usize>ROWS << 2;
  }
}

/**
 * Y[row, n] = sum over taps t and channels c of X[tap t of row][c] F[t][c, n] [+ bias] [relu], for rows
 * [first, first + m) of images * pixels.
 * x: images of `xImage` bytes each. filter: [taps, channels, n]; with `order` (pointer to `taps` int32) instead
 * [.., n, channels], tap t at place order[t]. y: dense from row `first` on; with `rows` (pointer to `pixels` uint32), row q of an image
 * of `yImage` bytes at offset rows[q]. scratch: `scratchFloats(m, n, taps * channels) + channels` floats.
 */
export function convolve(
  x: usize, filter: usize, y: usize, first: i32, m: i32, n: i32, taps: i32, channels: i32, pixels: i32,
  table: usize, xImage: usize, order: usize, rows: usize, yImage: usize, bias: usize, relu: i32, scratch: usize,
): void {
  const k = taps * channels;
  const row: usize = <usize>n << 2;
  const edge = scratch;
  const packedA = scratch + EDGE;
  const packedB = packedA + packedBytes(m, k);
  const zeros = packedB + (<usize>(((n + 7) & ~7) * min(k, KC)) << 2);
  memory.fill(zeros, 0, <usize>channels << 2);
  // The rows of a table are counted from the first image; those of a dense result from the first row.
  const offset = rows ? first : 0;
  for (let k0: i32 = 0; k0 < k; k0 += KC) {
    const kc = min(KC, k - k0);
    if (!order) packRows(filter + <usize>k0 * row, packedB, kc, n, row);
    else {
      for (let kk: i32 = 0; kk < kc; ) {
        const tap = (k0 + kk) / channels;
        const channel = (k0 + kk) % channels;
        const count = min(channels - channel, kc - kk);
        const src = filter + (<usize>(load<i32>(order + (<usize>tap << 2)) * n * channels + channel) << 2);
        const outer: usize = <usize>channels << 2;
        for (let j: i32 = 0; j < n; j += 8) {
          packPanel(src + <usize>j * outer, packedB + (<usize>(j * kc + kk * 8) << 2), count, n - j, outer, 4);
        }
        kk += count;
      }
    }
    for (let i0: i32 = 0; i0 < m; i0 += MC) {
      const mc = min(MC, m - i0);
      for (let i: i32 = 0; i < mc; i += ROWS) {
        const dst = packedA + (<usize>(i * kc) << 2);
        const at = first + i0 + i;
        for (let kk: i32 = 0; kk < kc; ) {
          const tap = (k0 + kk) / channels;
          const channel = (k0 + kk) % channels;
          const count = min(channels - channel, kc - kk);
          const skip: usize = <usize>channel << 2;
          const to = dst + <usize>(kk * ROWS << 2);
          packFour(
            skip + pixelAt(x, table, tap, pixels, xImage, at, zeros),
            skip + (i + 1 < mc ? pixelAt(x, table, tap, pixels, xImage, at + 1, zeros) : zeros),
            skip + (i + 2 < mc ? pixelAt(x, table, tap, pixels, xImage, at + 2, zeros) : zeros),
            skip + (i + 3 < mc ? pixelAt(x, table, tap, pixels, xImage, at + 3, zeros) : zeros),
            to,
            count,
          );
          if (ROWS > 4) packFifth(skip + (i + 4 < mc ? pixelAt(x, table, tap, pixels, xImage, at + 4, zeros) : zeros), to, true, count, 4);
          kk += count;
        }
      }
      block(
        packedA, packedB, y, offset + i0, mc, n, kc, k0 > 0, k0 + kc == k, row, rows, pixels, yImage, bias, relu, edge,
      );
    }
  }
}

/**
 * dF[(t, c), n] = sum over rows of X[tap t of row][c] dY[row, n], for rows [first, first + m) of taps * channels; dense from row `first` on.
 * x, table and xImage as in `convolve`, dy: [images * pixels, n]. scratch: `scratchFloats(m, n, images * pixels)` floats.
 */
export function convolveFilter(
  x: usize, dy: usize, df: usize, first: i32, m: i32, n: i32, channels: i32, images: i32, pixels: i32,
  table: usize, xImage: usize, scratch: usize,
): void {
  const k = images * pixels;
  const row: usize = <usize>n << 2;
  const edge = scratch;
  const packedA = scratch + EDGE;
  const packedB = packedA + packedBytes(m, k);
  for (let k0: i32 = 0; k0 < k; k0 += KC) {
    const kc = min(KC, k - k0);
    packRows(dy + <usize>k0 * row, packedB, kc, n, row);
    for (let i0: i32 = 0; i0 < m; i0 += MC) {
      const mc = min(MC, m - i0);
      for (let i: i32 = 0; i < mc; i += ROWS) {
        const dst = packedA + (<usize>(i * kc) << 2);
        const lanes = min(ROWS, mc - i);
        const at = first + i0 + i;
        const together = lanes >= 4 && at % channels + 4 <= channels;
        for (let lane: i32 = 0; lane < ROWS; lane += together && lane == 0 ? 4 : 1) {
          const four = together && lane == 0;
          const tap = (at + lane) / channels;
          const skip: usize = <usize>((at + lane) % channels) << 2;
          let entry = table + (<usize>(tap * pixels + k0 % pixels) << 2);
          const end = table + (<usize>((tap + 1) * pixels) << 2);
          let base = x + <usize>(k0 / pixels) * xImage + skip;
          let to = dst + (<usize>lane << 2);
          for (let kk: i32 = 0; kk < kc; kk++) {
            const offset = load<i32>(entry);
            if (four) v128.store(to, offset < 0 ? f32x4.splat(0) : v128.load(base + <usize>offset));
            else store<f32>(to, lane < lanes && offset >= 0 ? load<f32>(base + <usize>offset) : 0);
            to += <usize>ROWS << 2;
            entry += 4;
            if (entry == end) {
              entry = end - (<usize>pixels << 2);
              base += xImage;
            }
          }
        }
      }
      block(packedA, packedB, df, i0, mc, n, kc, k0 > 0, k0 + kc == k, row, 0, 1, 0, 0, 0, edge);
    }
  }
}

// y[i] += a[i] b[i]
// @ts-ignore: decorator
@inline
function accumulate(y: usize, a: usize, b: usize, count: i32): void {
  let i: i32 = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(y, f32x4.add(v128.load(y), f32x4.mul(v128.load(a), v128.load(b))));
    y += 16;
    a += 16;
    b += 16;
  }
  for (; i < count; i++) {
    store<f32>(y, load<f32>(y) + load<f32>(a) * load<f32>(b));
    y += 4;
    a += 4;
    b += 4;
  }
}

/**
 * Depthwise: dX[row, c] = sum over taps t and j of dY[tap t of row][c, j] F[t][c, j]. The table gives offsets within images of dy, of
 * `dyImage` bytes, for the pixels of x.
 */
export function depthwiseInput(
  dy: usize, filter: usize, dx: usize, images: i32, pixels: i32, taps: i32, channels: i32, multiplier: i32,
  table: usize, dyImage: usize,
): void {
  const wide = channels * multiplier;
  for (let image: i32 = 0; image < images; image++) {
    for (let q: i32 = 0; q < pixels; q++) {
      memory.fill(dx, 0, <usize>channels << 2);
      for (let tap: i32 = 0; tap < taps; tap++) {
        const offset = load<i32>(table + (<usize>(tap * pixels + q) << 2));
        if (offset < 0) continue;
        let a = dy + <usize>offset;
        let b = filter + (<usize>(tap * wide) << 2);
        if (multiplier == 1) accumulate(dx, a, b, channels);
        else {
          for (let c: i32 = 0; c < channels; c++) {
            const p = dx + (<usize>c << 2);
            let sum = load<f32>(p);
            let j: i32 = 0;
            if (multiplier >= 4) {
              let four = f32x4.splat(0);
              for (; j + 4 <= multiplier; j += 4) {
                four = f32x4.add(four, f32x4.mul(v128.load(a), v128.load(b)));
                a += 16;
                b += 16;
              }
              sum += f32x4.extract_lane(four, 0) + f32x4.extract_lane(four, 1);
              sum += f32x4.extract_lane(four, 2) + f32x4.extract_lane(four, 3);
            }
            for (; j < multiplier; j++) {
              sum += load<f32>(a) * load<f32>(b);
              a += 4;
              b += 4;
            }
            store<f32>(p, sum);
          }
        }
      }
      dx += <usize>channels << 2;
    }
    dy += dyImage;
  }
}

/** Depthwise: dF[t][c, j] = sum over rows of X[tap t of row][c] dY[row][c, j]. The table is that of `convolve`. */
export function depthwiseFilter(
  x: usize, dy: usize, df: usize, images: i32, pixels: i32, taps: i32, channels: i32, multiplier: i32,
  table: usize, xImage: usize,
): void {
  const wide: usize = <usize>(channels * multiplier) << 2;
  memory.fill(df, 0, <usize>taps * wide);
  for (let image: i32 = 0; image < images; image++) {
    for (let tap: i32 = 0; tap < taps; tap++) {
      const to = df + <usize>tap * wide;
      for (let q: i32 = 0; q < pixels; q++) {
        const offset = load<i32>(table + (<usize>(tap * pixels + q) << 2));
        if (offset < 0) continue;
        const a = x + <usize>offset;
        let b = dy + <usize>q * wide;
        if (multiplier == 1) accumulate(to, a, b, channels);
        else {
          let p = to;
          for (let c: i32 = 0; c < channels; c++) {
            const value = load<f32>(a + (<usize>c << 2));
            let j: i32 = 0;
            const values = f32x4.splat(value);
            for (; j + 4 <= multiplier; j += 4) {
              v128.store(p, f32x4.add(v128.load(p), f32x4.mul(values, v128.load(b))));
              p += 16;
              b += 16;
            }
            for (; j < multiplier; j++) {
              store<f32>(p, load<f32>(p) + value * load<f32>(b));
              p += 4;
              b += 4;
            }
          }
        }
      }
    }
    x += xImage;
    dy += <usize>pixels * wide;
  }
}
