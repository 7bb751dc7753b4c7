/** Measuring passes as WGSL. Sums are in float32: vectors whose squares all fall below 2^-126 count as zero. */
import type { Kernel } from '../engines/engine.ts';
import { UNIFORMS, WORKGROUP, agree, emitter } from '../engines/wgsl.ts';
import type { AlignmentMeasure } from './formulas.ts';
import { alignmentVectors, signState, signs } from './formulas.ts';

/** What a measuring shader sums: the alignment's three products, or the elements that agree. */
export type Sums =
  ({ readonly of: 'alignment' } & Pick<AlignmentMeasure, 'own' | 'before'>) | { readonly of: 'agreement' };

/**
 * Sums over a stretch: a partial sum a workgroup, of up to 256 workgroups that stride over it. Bindings: gradient, parameter
 * where decay is coupled, state (the moment, or what `signState` names), the partial sums, the uniform block, whose `block` is the first
 * partial sum and whose `threshold` the number of workgroups.
 */
export function measureShader(kernel: Kernel, sums: Sums): string {
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
  if (sums.of === 'agreement') {
    const pair = signs<string>(kernel, algebra, { ...operands, state });
    result = `vec4<f32>(select(0.0, 1.0, ${agree(pair, '0.0')}), 0.0, 0.0, 0.0)`;
  } else {
    const { m, g, mu } = alignmentVectors<string>(kernel, sums, algebra, { ...operands, moment: 'moment' });
    result = `vec4<f32>(${m} * ${g}, ${m} * ${m}, ${g} * ${g}, 0.0)`;
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
var<workgroup> shared_: array<vec4<f32>, ${WORKGROUP}>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  var sum = vec4<f32>(0.0);
  for (var i = group.x * ${WORKGROUP}u + local; i < u.count; i += u.threshold * ${WORKGROUP}u) {
    let at = u.first + i;
    ${inputs.map((name) => `let ${name} = ${name}_[at];`).join('\n    ')}
    ${statements.join('\n    ')}
    ${store}
    sum += ${result};
  }
  ${REDUCE}
  if (local == 0u) { partial_[u.block + group.x] = shared_[0]; }
}
`;
}

/** The sum of a workgroup's `sum`, in shared_[0]. */
const REDUCE = `shared_[local] = sum;
  workgroupBarrier();
  for (var half = ${WORKGROUP / 2}u; half > 0u; half >>= 1u) {
    if (local < half) { shared_[local] += shared_[local + half]; }
    workgroupBarrier();
  }`;

/**
 * A tensor's factor from its partial sums, by one workgroup. Bindings: the partial sums, the factor (which holds the alignment so far), the
 * uniform block.
 */
export function factorShader(of: Sums['of']): string {
  const factor =
    of === 'alignment'
      ? `let norms = sqrt(total.y) * sqrt(total.z);
    let cosine = select(total.x / max(norms, u.epsilon), 0.0, norms == 0.0);
    let measured = 1.0 / (1.0 + exp(-cosine / u.temperature));
    var before = 0.0;
    if (u.keep != 0.0) { before = u.keep * factor_[0]; }
    factor_[0] = before + u.add * measured + u.start;`
      : `factor_[0] = select(1.0 / max(total.x / u.size, u.epsilon), u.size / (total.x + 1.0), u.epsilon == 0.0);`;
  return `
struct Factor {
  first: u32, count: u32, size: f32, temperature: f32, keep: f32, add: f32, start: f32, epsilon: f32,
}
@group(0) @binding(0) var<storage, read> partial_: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> factor_: array<f32>;
@group(0) @binding(2) var<uniform> u: Factor;
var<workgroup> shared_: array<vec4<f32>, ${WORKGROUP}>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(local_invocation_index) local: u32) {
  var sum = vec4<f32>(0.0);
  for (var i = local; i < u.count; i += ${WORKGROUP}u) { sum += partial_[u.first + i]; }
  ${REDUCE}
  if (local == 0u) {
    let total = shared_[0];
    ${factor}
  }
}
`;
}
