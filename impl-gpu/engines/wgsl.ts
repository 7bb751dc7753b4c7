/** The fused step as WGSL: one template for all kernels and ways of access. A thread serves one block of the mask stream, eight elements. */
import { PHILOX } from '../../spec/stream.ts';
import type { Key } from '../philox.ts';
import type { Access, Kernel, Mode, Scalars, Stretch } from './engine.ts';
import { SCALARS, kernelState } from './engine.ts';
import type { Algebra } from './formulas.ts';
import { divides, update } from './formulas.ts';

export const WORKGROUP = 256;

/** Bytes of the uniform block that `writeUniform` fills: ten words and the scalars. */
export const UNIFORM_BYTES = 80;

const hex = (word: number): string => `0x${(word >>> 0).toString(16).padStart(8, '0')}u`;
const [M0, M1] = PHILOX.multipliers;
const [W0, W1] = PHILOX.weyl;

/** High and low word of the product with a constant: WGSL has no 64-bit integers, so the high one is made of halves. */
function multiplyFunction(name: string, constant: number): string {
  const low = `${constant & 0xffff}u`;
  const high = `${constant >>> 16}u`;
  return `
fn ${name}(a: u32) -> vec2<u32> {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let middle = al * ${high} + ((al * ${low}) >> 16u);
  let other = ah * ${low} + (middle & 0xffffu);
  return vec2<u32>(ah * ${high} + (middle >> 16u) + (other >> 16u), a * ${hex(constant)});
}`;
}

/**
 * Philox4x32-10 of (block, 0, step, 0). What the first two rounds make of the step alone comes from the host (`round2Of`).
 */
function blockFunction(): string {
  const rounds = Array.from({ length: PHILOX.rounds - 2 }, (_, i) => {
    const round = i + 2;
    return `
  a = multiply0(c.x);
  b = multiply1(c.z);
  c = vec4<u32>(b.x ^ c.y ^ (u.key0 + ${hex(Math.imul(round, W0))}), b.y, a.x ^ c.w ^ (u.key1 + ${hex(Math.imul(round, W1))}), a.y);`;
  });
  return `${multiplyFunction('multiply0', M0)}${multiplyFunction('multiply1', M1)}

fn draw(block: u32) -> vec4<u32> {
  var a = multiply0(block);
  var b = multiply1(a.x ^ u.key1);
  var c = vec4<u32>(b.x ^ u.round2x, b.y, a.y ^ u.round2z, u.round2w);${rounds.join('')}
  return c;
}`;
}

/** Statements that name the results of `formulas.ts`. */
export function emitter(): { readonly statements: string[]; readonly algebra: Algebra<string> } {
  const statements: string[] = [];
  const define = (expression: string): string => {
    const name = `x${statements.length}`;
    statements.push(`let ${name} = ${expression};`);
    return name;
  };
  const algebra = {
    add: (a: string, b: string) => define(`${a} + ${b}`),
    sub: (a: string, b: string) => define(`${a} - ${b}`),
    mul: (a: string, b: string) => define(`${a} * ${b}`),
    div: (a: string, b: string) => define(`${a} / ${b}`),
    sqrt: (a: string) => define(`sqrt(${a})`),
    max: (a: string, b: string) => define(`max(${a}, ${b})`),
  };
  return { statements, algebra };
}

/**
 * Whether two values have the same sign, neither of them 0 nor, where the kernel divides, the first one infinite: told by its bits, since WGSL
 * may take it that nothing is.
 * @param words - `vec4<u32>` or `u32`, as the values are
 */
export function agree(kernel: Kernel, [a, b]: readonly [string, string], zero: string, words: string): string {
  const same = `(((${a} > ${zero}) & (${b} > ${zero})) | ((${a} < ${zero}) & (${b} < ${zero})))`;
  if (!divides(kernel)) return same;
  return `(${same} & ((bitcast<${words}>(${a}) & ${words}(0x7fffffffu)) < ${words}(0x7f800000u)))`;
}

/** The uniform block: what a dispatch covers, what it draws with, and the scalars. */
export const UNIFORMS = `
struct Uniforms {
  count: u32, first: u32, block: u32, threshold: u32,
  key0: u32, key1: u32, round2x: u32, round2z: u32, round2w: u32,
  ${SCALARS.map((name) => `${name}: f32`).join(', ')},
}`;

/**
 * WGSL source. Bindings: 0 parameter, 1 gradient, 2 and on the state, then the measured factor where there is one, and last the uniform
 * block.
 * @param scales - whether the factor multiplies the decay too; left out: there is no factor
 */
export function stepShader(kernel: Kernel, access: Access, mode: Mode, scales?: boolean): string {
  const names = kernelState(kernel);
  const quads = access.unit === 4;
  const float = quads ? 'vec4<f32>' : 'f32';
  const bits = quads ? 'vec4<u32>' : 'u32';
  const bool = quads ? 'vec4<bool>' : 'bool';
  const masked = mode === 'masked';
  const zero = `${float}(0.0)`;
  const { statements, algebra } = emitter();
  const updated = update<string>(kernel, algebra, {
    parameter: 'p',
    gradient: 'g',
    state: names,
    scalar: (name) =>
      scales !== undefined && (name === 'rate' || (name === 'shrink' && scales))
        ? `(u.${name} * factor_[0])`
        : `u.${name}`,
    zero,
  });
  const toBits = (value: string): string => `bitcast<${bits}>(${value})`;
  const dropped = updated.dropped === undefined ? 'bits' : toBits(updated.dropped);
  const condition = updated.signs === undefined ? 'kept' : agree(kernel, updated.signs, zero, bits);
  const writes =
    mode === 'none'
      ? updated.dropped === undefined
        ? ''
        : `parameter_[i] = ${dropped};`
      : `parameter_[i] = select(${dropped}, ${toBits(updated.parameter)}, ${condition});`;
  const last = names.length + 2;
  return `${UNIFORMS}
// The parameter as words: a kept or dropped element is selected on its bits, since WGSL may flush subnormal floats.
@group(0) @binding(0) var<storage, read_write> parameter_: array<${bits}>;
@group(0) @binding(1) var<storage, read> gradient_: array<${float}>;
${names.map((name, i) => `@group(0) @binding(${i + 2}) var<storage, read_write> ${name}_: array<${float}>;`).join('\n')}
${scales === undefined ? '' : `@group(0) @binding(${last}) var<storage, read> factor_: array<f32>;`}
@group(0) @binding(${scales === undefined ? last : last + 1}) var<uniform> u: Uniforms;
${masked ? blockFunction() : ''}

fn advance(i: u32, kept: ${bool}) {
  let bits = parameter_[i];
  let p = bitcast<${float}>(bits);
  let g = gradient_[i];
  ${names.map((name) => `let ${name} = ${name}_[i];`).join('\n  ')}
  ${statements.join('\n  ')}
  ${names.map((name, i) => `${name}_[i] = ${updated.state[i] as string};`).join('\n  ')}
  ${writes}
}

${access.main(masked)}`;
}

/** How `main` begins: `thread` is the block of eight elements that is the thread's own, `start` that of its group's first. */
export const MAIN = `
@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let start = (group.y * groups.x + group.x) * ${WORKGROUP}u;
  let thread = start + local;`;

/** What follows where a thread serves its own block. */
export const ownBlock = (masked: boolean): string => `
  if (8u * thread >= u.count) { return; }
  ${masked ? 'let words = draw(u.block + thread);' : ''}`;

/** The mask of four elements, from two words. */
export function quadMask(masked: boolean, x: string, y: string): string {
  const halves = (word: string): string => `${word} & 0xffffu, ${word} >> 16u`;
  return masked ? `vec4<u32>(${halves(x)}, ${halves(y)}) < vec4<u32>(u.threshold)` : 'vec4<bool>(true)';
}

/** A thread takes the two neighbouring quads of its block. */
export const QUADS: Access = {
  name: 'quads',
  unit: 4,
  main: (masked) => `${MAIN}${ownBlock(masked)}
  advance(u.first + 2u * thread, ${quadMask(masked, 'words.x', 'words.y')});
  if (8u * thread + 4u < u.count) { advance(u.first + 2u * thread + 1u, ${quadMask(masked, 'words.z', 'words.w')}); }
}
`,
};

const low32 = (value: bigint): number => Number(value & 0xffffffffn);

/** Words 0, 2 and 3 of the counter after two rounds, as far as they do not depend on the block. */
function round2Of(key: Key, step: number): readonly [number, number, number] {
  const first = BigInt(M1) * BigInt(step);
  const c0 = (low32(first >> 32n) ^ key[0]) >>> 0;
  const second = BigInt(M0) * BigInt(c0);
  return [low32(first) ^ (key[0] + W0), low32(second >> 32n) ^ (key[1] + W1), low32(second)];
}

/** Fills one uniform block at byte `at`. */
export function writeUniform(target: ArrayBuffer, at: number, stretch: Stretch, key: Key, step: number): void {
  const { tensor, count, first, block } = stretch;
  const words = new Uint32Array(target, at, 9);
  words.set([count, first, block, tensor.threshold, key[0], key[1]]);
  // A typed array takes words modulo 2^32, xor's negative ones too.
  words.set(round2Of(key, step), 6);
  writeScalars(target, at, tensor.scalars);
}

/** Fills the scalars of the uniform block at byte `at`. */
export function writeScalars(target: ArrayBuffer, at: number, scalars: Scalars): void {
  new Float32Array(target, at + 36, SCALARS.length).set(SCALARS.map((name) => scalars[name]));
}
