// Batch normalisation in training mode for WASM SIMD, forward and backward, with the clamp and the sum that follow it. Tensors are
// [rows, channels], dense; channels are the last axis, so a channel's values lie `channels` floats apart.
//
// Each pass goes through the rows by tiles, and through a tile by blocks of sixteen channels: a block's sums stay in registers, a tile
// in the cache. Sums are float32 within a tile and float64 across tiles, so that a million rows lose nothing.
//
// AssemblyScript. The module keeps nothing in memory of its own: it runs inside a heap that belongs to somebody else.

/** Rows of a tile: 64 rows of 512 channels are 128 KiB. */
const TILE: i32 = 64;

// @ts-ignore: decorator
@inline
function at(p: usize, index: i32): usize {
  return p + (<usize>index << 2);
}

// Adds the lanes of a vector to four float64.
// @ts-ignore: decorator
@inline
function gather(sums: usize, v: v128): void {
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(v)));
  const high = v128.shuffle<i32>(v, v, 2, 3, 2, 3);
  v128.store(sums + 16, f64x2.add(v128.load(sums + 16), f64x2.promote_low_f32x4(high)));
}

// dy where y > 0, or all of it when there is no clamp (y = 0).
// @ts-ignore: decorator
@inline
function clampedGradient(dy: usize, y: usize): v128 {
  const v = v128.load(dy);
  return y ? v128.and(v, f32x4.gt(v128.load(y), f32x4.splat(0))) : v;
}

// @ts-ignore: decorator
@inline
function clampedGradient1(dy: usize, y: usize): f32 {
  const v = load<f32>(dy);
  return y && !(load<f32>(y) > 0) ? 0 : v;
}

// Sums of x - shift and its square over `rows` rows, added to first[channels] and second[channels]; shift is a row of floats.
function moments(x: usize, shift: usize, rows: i32, channels: i32, first: usize, second: usize): void {
  const step: usize = <usize>channels << 2;
  let c: i32 = 0;
  for (; c + 16 <= channels; c += 16) {
    const k0 = v128.load(at(shift, c));
    const k1 = v128.load(at(shift, c), 16);
    const k2 = v128.load(at(shift, c), 32);
    const k3 = v128.load(at(shift, c), 48);
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let q0 = s0, q1 = s0, q2 = s0, q3 = s0;
    let p = at(x, c);
    for (let r: i32 = 0; r < rows; r++) {
      const d0 = f32x4.sub(v128.load(p), k0);
      const d1 = f32x4.sub(v128.load(p, 16), k1);
      const d2 = f32x4.sub(v128.load(p, 32), k2);
      const d3 = f32x4.sub(v128.load(p, 48), k3);
      s0 = f32x4.add(s0, d0);
      s1 = f32x4.add(s1, d1);
      s2 = f32x4.add(s2, d2);
      s3 = f32x4.add(s3, d3);
      q0 = f32x4.add(q0, f32x4.mul(d0, d0));
      q1 = f32x4.add(q1, f32x4.mul(d1, d1));
      q2 = f32x4.add(q2, f32x4.mul(d2, d2));
      q3 = f32x4.add(q3, f32x4.mul(d3, d3));
      p += step;
    }
    const f = first + (<usize>c << 3);
    const g = second + (<usize>c << 3);
    gather(f, s0);
    gather(f + 32, s1);
    gather(f + 64, s2);
    gather(f + 96, s3);
    gather(g, q0);
    gather(g + 32, q1);
    gather(g + 64, q2);
    gather(g + 96, q3);
  }
  for (; c < channels; c++) {
    const k = load<f32>(at(shift, c));
    let s: f32 = 0;
    let q: f32 = 0;
    let p = at(x, c);
    for (let r: i32 = 0; r < rows; r++) {
      const d = load<f32>(p) - k;
      s += d;
      q += d * d;
      p += step;
    }
    const offset = <usize>c << 3;
    store<f64>(first + offset, load<f64>(first + offset) + <f64>s);
    store<f64>(second + offset, load<f64>(second + offset) + <f64>q);
  }
}

/** Bytes of scratch that both functions need. */
export function batchNormScratch(channels: i32): i32 {
  return channels * 16 + channels * 12 + 16;
}

/**
 * y = scale (x - mean) / sqrt(variance + epsilon) + offset [+ residual] [relu]; mean and biased variance of each channel are
 * written. residual: pointer, or 0. scratch: `batchNormScratch(channels)` bytes, 16-byte aligned.
 */
export function batchNormForward(
  x: usize, scale: usize, offset: usize, residual: usize, y: usize, mean: usize, variance: usize,
  rows: i32, channels: i32, epsilon: f64, relu: i32, scratch: usize,
): void {
  const first = scratch;
  const second = first + (<usize>channels << 3);
  const factor = second + (<usize>channels << 3);
  const level = at(factor, channels);
  const step: usize = <usize>channels << 2;
  memory.fill(scratch, 0, <usize>channels << 4);
  // Measured from the first row: squares of what is far from 0 would cancel.
  for (let r: i32 = 0; r < rows; r += TILE) {
    moments(x + <usize>r * step, x, min(TILE, rows - r), channels, first, second);
  }
  for (let c: i32 = 0; c < channels; c++) {
    const s = load<f64>(first + (<usize>c << 3)) / <f64>rows;
    const q = load<f64>(second + (<usize>c << 3)) / <f64>rows;
    const m = <f64>load<f32>(at(x, c)) + s;
    // A NaN stays one.
    let v = q - s * s;
    if (v < 0) v = 0;
    const a = <f64>load<f32>(at(scale, c)) / Math.sqrt(v + epsilon);
    store<f32>(at(mean, c), <f32>m);
    store<f32>(at(variance, c), <f32>v);
    store<f32>(at(factor, c), <f32>a);
    store<f32>(at(level, c), <f32>(<f64>load<f32>(at(offset, c)) - m * a));
  }
  for (let r: i32 = 0; r < rows; r++) {
    let c: i32 = 0;
    for (; c + 4 <= channels; c += 4) {
      let v = f32x4.add(f32x4.mul(v128.load(at(x, c)), v128.load(at(factor, c))), v128.load(at(level, c)));
      if (residual) v = f32x4.add(v, v128.load(at(residual, c)));
      if (relu) v = f32x4.max(v, f32x4.splat(0));
      v128.store(at(y, c), v);
    }
    for (; c < channels; c++) {
      let v = load<f32>(at(x, c)) * load<f32>(at(factor, c)) + load<f32>(at(level, c));
      if (residual) v += load<f32>(at(residual, c));
      if (relu) v = max<f32>(v, 0);
      store<f32>(at(y, c), v);
    }
    x += step;
    y += step;
    if (residual) residual += step;
  }
}

// Sums of dz and dz (x - mean) over `rows` rows, added to first and second; dz is dy where y > 0 and, where dzOut is not 0, written there.
function gradientSums(
  dy: usize, x: usize, y: usize, mean: usize, rows: i32, channels: i32, first: usize, second: usize, dzOut: usize,
): void {
  const step: usize = <usize>channels << 2;
  let c: i32 = 0;
  for (; c + 8 <= channels; c += 8) {
    const k0 = v128.load(at(mean, c));
    const k1 = v128.load(at(mean, c), 16);
    let s0 = f32x4.splat(0), s1 = s0, q0 = s0, q1 = s0;
    let p: usize = <usize>c << 2;
    for (let r: i32 = 0; r < rows; r++) {
      const z0 = clampedGradient(dy + p, y ? y + p : 0);
      const z1 = clampedGradient(dy + p + 16, y ? y + p + 16 : 0);
      s0 = f32x4.add(s0, z0);
      s1 = f32x4.add(s1, z1);
      q0 = f32x4.add(q0, f32x4.mul(z0, f32x4.sub(v128.load(x + p), k0)));
      q1 = f32x4.add(q1, f32x4.mul(z1, f32x4.sub(v128.load(x + p, 16), k1)));
      if (dzOut) {
        v128.store(dzOut + p, z0);
        v128.store(dzOut + p, z1, 16);
      }
      p += step;
    }
    const offset = <usize>c << 3;
    gather(first + offset, s0);
    gather(first + offset + 32, s1);
    gather(second + offset, q0);
    gather(second + offset + 32, q1);
  }
  for (; c < channels; c++) {
    const k = load<f32>(at(mean, c));
    let s: f32 = 0;
    let q: f32 = 0;
    let p: usize = <usize>c << 2;
    for (let r: i32 = 0; r < rows; r++) {
      const z = clampedGradient1(dy + p, y ? y + p : 0);
      s += z;
      q += z * (load<f32>(x + p) - k);
      if (dzOut) store<f32>(dzOut + p, z);
      p += step;
    }
    const offset = <usize>c << 3;
    store<f64>(first + offset, load<f64>(first + offset) + <f64>s);
    store<f64>(second + offset, load<f64>(second + offset) + <f64>q);
  }
}

/**
 * The gradients of the same: dx, dscale, doffset and, where not 0, dresidual. y: the forward result where it was clamped, else 0.
 * scratch as there.
 */
export function batchNormBackward(
  dy: usize, x: usize, y: usize, scale: usize, mean: usize, variance: usize, dx: usize, dscale: usize, doffset: usize,
  dresidual: usize, rows: i32, channels: i32, epsilon: f64, scratch: usize,
): void {
  const first = scratch;
  const second = first + (<usize>channels << 3);
  const factor = second + (<usize>channels << 3);
  const slope = at(factor, channels);
  const level = at(slope, channels);
  const step: usize = <usize>channels << 2;
  memory.fill(scratch, 0, <usize>channels << 4);
  for (let r: i32 = 0; r < rows; r += TILE) {
    const offset = <usize>r * step;
    gradientSums(
      dy + offset, x + offset, y ? y + offset : 0, mean, min(TILE, rows - r), channels, first, second,
      dresidual ? dresidual + offset : 0,
    );
  }
  for (let c: i32 = 0; c < channels; c++) {
    const s = load<f64>(first + (<usize>c << 3));
    const q = load<f64>(second + (<usize>c << 3));
    const inverse = 1 / Math.sqrt(<f64>load<f32>(at(variance, c)) + epsilon);
    const a = <f64>load<f32>(at(scale, c)) * inverse;
    store<f32>(at(doffset, c), <f32>s);
    store<f32>(at(dscale, c), <f32>(q * inverse));
    store<f32>(at(factor, c), <f32>a);
    store<f32>(at(slope, c), <f32>(-a * inverse * inverse * q / <f64>rows));
    store<f32>(at(level, c), <f32>(-a * s / <f64>rows));
  }
  // What was clamped already need not be again.
  const dz = dresidual ? dresidual : dy;
  const clamp = dresidual ? 0 : y;
  for (let r: i32 = 0; r < rows; r++) {
    const row = <usize>r * step;
    let c: i32 = 0;
    for (; c + 4 <= channels; c += 4) {
      const p = at(row, c);
      const z = clampedGradient(dz + p, clamp ? clamp + p : 0);
      const centred = f32x4.sub(v128.load(x + p), v128.load(at(mean, c)));
      const v = f32x4.add(f32x4.mul(z, v128.load(at(factor, c))), f32x4.mul(centred, v128.load(at(slope, c))));
      v128.store(dx + p, f32x4.add(v, v128.load(at(level, c))));
    }
    for (; c < channels; c++) {
      const p = at(row, c);
      const z = clampedGradient1(dz + p, clamp ? clamp + p : 0);
      const centred = load<f32>(x + p) - load<f32>(at(mean, c));
      store<f32>(dx + p, z * load<f32>(at(factor, c)) + centred * load<f32>(at(slope, c)) + load<f32>(at(level, c)));
    }
  }
}
