// Single-precision matrix product for WASM SIMD: C = op(A) op(B) [+ bias] [relu], after Goto and van de Geijn,
// "Anatomy of high-performance matrix multiplication" (ACM TOMS 2008): panels of A and B are packed so that the innermost
// loop reads both in order, a block of A stays in the second-level cache and a panel of B in the first.
//
// The tile is 4 rows by 8 columns: eight accumulators, two vectors of B, a broadcast of A and a product fit in the
// sixteen registers of x86-64; 6 x 8 spills and runs a third slower.
//
// AssemblyScript. The module keeps nothing in memory of its own: it runs inside a heap that belongs to somebody else.

import { transpose4 } from './parts/lanes';

export * from './parts/batchNorm';
export * from './parts/winograd';

const KC: i32 = 512;
const MC: i32 = 128;

// @ts-ignore: decorator
@inline
function min(a: i32, b: i32): i32 {
  return a < b ? a : b;
}

/** Floats of scratch that `matmul` needs for these sizes. */
export function scratchFloats(m: i32, n: i32, k: i32): i32 {
  const kc = min(k, KC);
  return ((min(m, MC) + 3) & ~3) * kc + ((n + 7) & ~7) * kc + 32;
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

// One 4 x 8 tile of C from packed panels of `count` steps. `bias` and `relu` apply on the last block of k only.
// @ts-ignore: decorator
@inline
function tile(
  pa: usize, pb: usize, r0: usize, r1: usize, r2: usize, r3: usize, count: i32, add: bool, bias: usize, relu: i32,
): void {
  let c00 = f32x4.splat(0);
  let c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  const end = pa + (<usize>count << 4);
  while (pa < end) {
    const b0 = v128.load(pb);
    const b1 = v128.load(pb, 16);
    const a0 = v128.load32_splat(pa);
    const a1 = v128.load32_splat(pa, 4);
    const a2 = v128.load32_splat(pa, 8);
    const a3 = v128.load32_splat(pa, 12);
    c00 = f32x4.add(c00, f32x4.mul(a0, b0));
    c01 = f32x4.add(c01, f32x4.mul(a0, b1));
    c10 = f32x4.add(c10, f32x4.mul(a1, b0));
    c11 = f32x4.add(c11, f32x4.mul(a1, b1));
    c20 = f32x4.add(c20, f32x4.mul(a2, b0));
    c21 = f32x4.add(c21, f32x4.mul(a2, b1));
    c30 = f32x4.add(c30, f32x4.mul(a3, b0));
    c31 = f32x4.add(c31, f32x4.mul(a3, b1));
    pa += 16;
    pb += 32;
  }
  const next = bias ? bias + 16 : 0;
  finish(r0, c00, add, bias, relu);
  finish(r0 + 16, c01, add, next, relu);
  finish(r1, c10, add, bias, relu);
  finish(r1 + 16, c11, add, next, relu);
  finish(r2, c20, add, bias, relu);
  finish(r2 + 16, c21, add, next, relu);
  finish(r3, c30, add, bias, relu);
  finish(r3 + 16, c31, add, next, relu);
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
    for (let i: i32 = 0; i < mc; i += 4) {
      const pa = packedA + (<usize>(i * kc) << 2);
      const rows = min(4, mc - i);
      if (rows == 4 && columns == 8) {
        tile(
          pa, pb,
          rowAt(at, first + i, row, table, perImage, image),
          rowAt(at, first + i + 1, row, table, perImage, image),
          rowAt(at, first + i + 2, row, table, perImage, image),
          rowAt(at, first + i + 3, row, table, perImage, image),
          kc, add, last && bias ? bias + (<usize>j << 2) : 0, last ? relu : 0,
        );
      } else {
        tile(pa, pb, edge, edge + 32, edge + 64, edge + 96, kc, false, 0, 0);
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
  const edge = scratch; // a 4 x 8 tile, for what hangs over the rim
  const packedA = scratch + 128;
  const packedB = packedA + (<usize>(((min(m, MC) + 3) & ~3) * min(k, KC)) << 2);

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
      for (let i: i32 = 0; i < mc; i += 4) {
        const src = a + <usize>(i0 + i) * aOuter + <usize>k0 * aInner;
        packLanes(src, packedA + (<usize>(i * kc) << 2), min(4, mc - i), kc, aOuter, aInner, 16);
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

// dst[k * 4 + lane] = p_lane[k]
// @ts-ignore: decorator
@inline
function packFour(p0: usize, p1: usize, p2: usize, p3: usize, dst: usize, count: i32): void {
  let k: i32 = 0;
  for (; k + 4 <= count; k += 4) {
    transpose4(v128.load(p0), v128.load(p1), v128.load(p2), v128.load(p3), dst, 16);
    p0 += 16;
    p1 += 16;
    p2 += 16;
    p3 += 16;
    dst += 64;
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
    dst += 16;
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
  const packedA = scratch + 128;
  const packedB = packedA + (<usize>(((min(m, MC) + 3) & ~3) * min(k, KC)) << 2);
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
      for (let i: i32 = 0; i < mc; i += 4) {
        const dst = packedA + (<usize>(i * kc) << 2);
        const at = first + i0 + i;
        for (let kk: i32 = 0; kk < kc; ) {
          const tap = (k0 + kk) / channels;
          const channel = (k0 + kk) % channels;
          const count = min(channels - channel, kc - kk);
          const skip: usize = <usize>channel << 2;
          packFour(
            skip + pixelAt(x, table, tap, pixels, xImage, at, zeros),
            skip + (i + 1 < mc ? pixelAt(x, table, tap, pixels, xImage, at + 1, zeros) : zeros),
            skip + (i + 2 < mc ? pixelAt(x, table, tap, pixels, xImage, at + 2, zeros) : zeros),
            skip + (i + 3 < mc ? pixelAt(x, table, tap, pixels, xImage, at + 3, zeros) : zeros),
            dst + (<usize>kk << 4),
            count,
          );
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
  const packedA = scratch + 128;
  const packedB = packedA + (<usize>(((min(m, MC) + 3) & ~3) * min(k, KC)) << 2);
  for (let k0: i32 = 0; k0 < k; k0 += KC) {
    const kc = min(KC, k - k0);
    packRows(dy + <usize>k0 * row, packedB, kc, n, row);
    for (let i0: i32 = 0; i0 < m; i0 += MC) {
      const mc = min(MC, m - i0);
      for (let i: i32 = 0; i < mc; i += 4) {
        const dst = packedA + (<usize>(i * kc) << 2);
        const lanes = min(4, mc - i);
        const at = first + i0 + i;
        const together = lanes == 4 && at % channels + 4 <= channels;
        for (let lane: i32 = 0; lane < 4; lane += together ? 4 : 1) {
          const tap = (at + lane) / channels;
          const skip: usize = <usize>((at + lane) % channels) << 2;
          let entry = table + (<usize>(tap * pixels + k0 % pixels) << 2);
          const end = table + (<usize>((tap + 1) * pixels) << 2);
          let base = x + <usize>(k0 / pixels) * xImage + skip;
          let to = dst + (<usize>lane << 2);
          for (let kk: i32 = 0; kk < kc; kk++) {
            const offset = load<i32>(entry);
            if (together) v128.store(to, offset < 0 ? f32x4.splat(0) : v128.load(base + <usize>offset));
            else store<f32>(to, lane < lanes && offset >= 0 ? load<f32>(base + <usize>offset) : 0);
            to += 16;
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
