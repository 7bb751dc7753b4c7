/**
 * Measuring passes as WGSL. Sums are in float32, of vectors that are scaled by powers of two, so that no square overflows and none of a
 * vector's larger elements falls below what float32 holds; subnormal elements may count as zero.
 */
import type { Kernel, Measured } from '../engines/engine.ts';
import { UNIFORMS, WORKGROUP, agree, emitter } from '../engines/wgsl.ts';
import { alignmentVectors, signState, signs } from './formulas.ts';

/**
 * Sums over a stretch: a partial sum an invocation, of workgroups that stride over it; no barrier, beside which software adapters run the loop at a fifth
 * of its speed. Bindings: gradient, parameter where decay is coupled, state (the moment, or what `signState` names), the partial sums, the uniform block,
 * whose `block` is the first partial sum and whose `threshold` the number of workgroups.
 */
export function measureShader(kernel: Kernel, sums: Measured): string {
  const state = sums.of === 'agreement' ? signState(kernel) : ['moment'];
  const inputs = ['gradient', ...(kernel.coupled ? ['parameter'] : []), ...state];
  const writes = sums.of === 'alignment' && sums.own;
  const { statements, algebra } = emitter();
  const operands = {
    parameter: 'parameter',
    gradient: 'gradient',
    scalar: (name: string) => `u.${name}`,
    zero: '0.0',
  };
  let result: string;
  let store = '';
  const { zero, join } = REDUCTIONS[sums.of];
  if (sums.of === 'agreement') {
    const pair = signs<string>(kernel, algebra, { ...operands, state });
    result = `vec4<f32>(select(0.0, 1.0, ${agree(kernel, pair, '0.0', 'u32')}), 0.0, 0.0, 0.0)`;
  } else {
    const { m, g, mu } = alignmentVectors<string>(kernel, sums, algebra, { ...operands, moment: 'moment' });
    result = `products(${m}, ${g})`;
    if (mu !== undefined) store = `moment_[at] = ${mu};`;
  }
  return `${UNIFORMS}
${inputs
  .map(
    (name, i) =>
      `@group(0) @binding(${i}) var<storage, ${writes && name === 'moment' ? 'read_write' : 'read'}> ${name}_: array<f32>;`,
  )
  .join('\n')}
@group(0) @binding(${inputs.length}) var<storage, read_write> partial_: array<vec4<f32>>;
@group(0) @binding(${inputs.length + 1}) var<uniform> u: Uniforms;
${join}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  var sum = ${zero};
  for (var i = group.x * ${WORKGROUP}u + local; i < u.count; i += u.threshold * ${WORKGROUP}u) {
    let at = u.first + i;
    ${inputs.map((name) => `let ${name} = ${name}_[at];`).join('\n    ')}
    ${statements.join('\n    ')}
    ${store}
    sum = join(sum, ${result});
  }
  partial_[u.block + group.x * ${WORKGROUP}u + local] = sum;
}
`;
}

/**
 * How partial sums are added. The alignment's three have the scales of their vectors in the last place, 16 a + b for levels a of m and b of g:
 * level k holds values from 2^(32 k) to 2^(32 (k + 1)) and scales them to [1/2, 2^31), so that 2^35 squares have a sum below 2^98. A sum goes
 * up to the higher level of two, where what it loses is 2^-32 of the other's at most.
 */
const REDUCTIONS: Readonly<Record<Measured['of'], { readonly zero: string; readonly join: string }>> = {
  agreement: {
    zero: 'vec4<f32>(0.0)',
    join: 'fn join(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return a + b; }',
  },
  alignment: {
    // Level -4 of both, the lowest.
    zero: 'vec4<f32>(0.0, 0.0, 0.0, -68.0)',
    join: `
fn power(exponent: i32) -> f32 { return bitcast<f32>(u32(clamp(exponent, -126, 127) + 127) << 23u); }
fn scale(level: i32) -> f32 { return power(-32 * level - 1); }
fn level(x: f32) -> i32 { return (i32((bitcast<u32>(x) >> 23u) & 0xffu) - 127) >> 5u; }
fn levels(sums: vec4<f32>) -> vec2<i32> {
  let a = i32(floor((sums.w + 8.0) / 16.0));
  return vec2<i32>(a, i32(sums.w) - 16 * a);
}
fn products(m: f32, g: f32) -> vec4<f32> {
  let a = max(level(m), -4);
  let b = max(level(g), -4);
  let x = m * scale(a);
  let y = g * scale(b);
  return vec4<f32>(x * y, x * x, y * y, f32(16 * a + b));
}
// The sums at levels that are at least their own.
fn raised(sums: vec4<f32>, to: vec2<i32>) -> vec3<f32> {
  let by = 32 * (levels(sums) - to);
  let a = power(by.x);
  let b = power(by.y);
  return vec3<f32>(sums.x * a * b, sums.y * a * a, sums.z * b * b);
}
fn join(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
  if (a.w == b.w) { return vec4<f32>(a.xyz + b.xyz, a.w); }
  let to = max(levels(a), levels(b));
  return vec4<f32>(raised(a, to) + raised(b, to), f32(16 * to.x + to.y));
}`,
  },
};

/** The sum of a workgroup's `sum`, in shared_[0]. */
const REDUCE = `shared_[local] = sum;
  workgroupBarrier();
  for (var half = ${WORKGROUP / 2}u; half > 0u; half >>= 1u) {
    if (local < half) { shared_[local] = join(shared_[local], shared_[local + half]); }
    workgroupBarrier();
  }`;

/**
 * Fewer partial sums from many, one a workgroup. Bindings: the partial sums, the uniform block: the first of the many, their number, the first of the few
 * and their number.
 */
export function gatherShader(of: Measured['of']): string {
  const { zero, join } = REDUCTIONS[of];
  return `
struct Gather { first: u32, count: u32, place: u32, groups: u32 }
@group(0) @binding(0) var<storage, read_write> partial_: array<vec4<f32>>;
@group(0) @binding(1) var<uniform> u: Gather;
var<workgroup> shared_: array<vec4<f32>, ${WORKGROUP}>;
${join}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  var sum = ${zero};
  for (var i = group.x * ${WORKGROUP}u + local; i < u.count; i += u.groups * ${WORKGROUP}u) { sum = join(sum, partial_[u.first + i]); }
  ${REDUCE}
  if (local == 0u) { partial_[u.place + group.x] = shared_[0]; }
}
`;
}

/**
 * A tensor's factor from its partial sums, by one workgroup. Bindings: the partial sums, the factor (which holds the alignment so far), the
 * uniform block.
 */
export function factorShader(of: Measured['of']): string {
  const factor =
    of === 'alignment'
      ? `let at = levels(total);
    let norms = sqrt(total.y) * sqrt(total.z);
    // Epsilon at the scale of the sums, by the smaller of the two factors first; what is beyond any norm is 1e37.
    let small = min(scale(at.x), scale(at.y));
    let large = max(scale(at.x), scale(at.y));
    let least = min(u.epsilon * small, 1e37 / large) * large;
    let cosine = select(total.x / max(norms, least), 0.0, norms == 0.0);
    let measured = 1.0 / (1.0 + exp(clamp(-cosine / u.temperature, -80.0, 80.0)));
    var before = 0.0;
    if (u.keep != 0.0) { before = u.keep * factor_[0]; }
    factor_[0] = before + u.add * measured + u.start;`
      : `factor_[0] = select(1.0 / max(total.x / u.size, u.epsilon), u.size / (total.x + 1.0), u.epsilon == 0.0);`;
  const { zero, join } = REDUCTIONS[of];
  return `
struct Factor {
  first: u32, count: u32, size: f32, temperature: f32, keep: f32, add: f32, start: f32, epsilon: f32,
}
@group(0) @binding(0) var<storage, read> partial_: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> factor_: array<f32>;
@group(0) @binding(2) var<uniform> u: Factor;
var<workgroup> shared_: array<vec4<f32>, ${WORKGROUP}>;
${join}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(local_invocation_index) local: u32) {
  var sum = ${zero};
  for (var i = local; i < u.count; i += ${WORKGROUP}u) { sum = join(sum, partial_[u.first + i]); }
  ${REDUCE}
  if (local == 0u) {
    let total = shared_[0];
    ${factor}
  }
}
`;
}
