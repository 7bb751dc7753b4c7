// Single-precision matrix product for WASM SIMD: C = op(A) op(B) [+ bias] [relu], after Goto and van de Geijn,
// "Anatomy of high-performance matrix multiplication" (ACM TOMS 2008): panels of A and B are packed so that the innermost
// loop reads both in order, a block of A stays in the second-level cache and a panel of B in the first.
//
// The tile is 4 rows by 8 columns: eight accumulators, two vectors of B, a broadcast of A and a product fit in the
// sixteen registers of x86-64; 6 x 8 spills and runs a third slower.
//
// AssemblyScript. The module keeps nothing in memory of its own: it runs inside a heap that belongs to somebody else.

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

// Four vectors, element (row r, k) at src + r * rowBytes + k * 4, stored as [k][4].
// @ts-ignore: decorator
@inline
function transpose4(a: v128, b: v128, c: v128, d: v128, dst: usize, step: usize): void {
  const ab0 = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const ab1 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  const cd1 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(dst, v128.shuffle<i64>(ab0, cd0, 0, 2));
  v128.store(dst + step, v128.shuffle<i64>(ab0, cd0, 1, 3));
  v128.store(dst + 2 * step, v128.shuffle<i64>(ab1, cd1, 0, 2));
  v128.store(dst + 3 * step, v128.shuffle<i64>(ab1, cd1, 1, 3));
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
function tile(pa: usize, pb: usize, c: usize, row: usize, count: i32, add: bool, bias: usize, relu: i32): void {
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
  finish(c, c00, add, bias, relu);
  finish(c + 16, c01, add, next, relu);
  c += row;
  finish(c, c10, add, bias, relu);
  finish(c + 16, c11, add, next, relu);
  c += row;
  finish(c, c20, add, bias, relu);
  finish(c + 16, c21, add, next, relu);
  c += row;
  finish(c, c30, add, bias, relu);
  finish(c + 16, c31, add, next, relu);
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
    for (let j: i32 = 0; j < n; j += 8) {
      const src = b + <usize>j * bOuter + <usize>k0 * bInner;
      const dst = packedB + (<usize>(j * kc) << 2);
      packLanes(src, dst, min(4, n - j), kc, bOuter, bInner, 32);
      packLanes(src + 4 * bOuter, dst + 16, max(0, min(4, n - j - 4)), kc, bOuter, bInner, 32);
    }
    for (let i0: i32 = 0; i0 < m; i0 += MC) {
      const mc = min(MC, m - i0);
      for (let i: i32 = 0; i < mc; i += 4) {
        const src = a + <usize>(i0 + i) * aOuter + <usize>k0 * aInner;
        packLanes(src, packedA + (<usize>(i * kc) << 2), min(4, mc - i), kc, aOuter, aInner, 16);
      }
      for (let j: i32 = 0; j < n; j += 8) {
        const pb = packedB + (<usize>(j * kc) << 2);
        const columns = min(8, n - j);
        for (let i: i32 = 0; i < mc; i += 4) {
          const pa = packedA + (<usize>(i * kc) << 2);
          const to = c + <usize>(i0 + i) * row + (<usize>j << 2);
          const rows = min(4, mc - i);
          if (rows == 4 && columns == 8) {
            tile(pa, pb, to, row, kc, add, last && bias ? bias + (<usize>j << 2) : 0, last ? relu : 0);
          } else {
            tile(pa, pb, edge, 32, kc, false, 0, 0);
            for (let r: i32 = 0; r < rows; r++) {
              for (let s: i32 = 0; s < columns; s++) {
                const p = to + <usize>r * row + (<usize>s << 2);
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
  }
}
