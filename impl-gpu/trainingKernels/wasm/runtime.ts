/** The compiled kernels of `assembly/gemm.ts` on tfjs-wasm's heap and on its helpers' memories. */
import { decodeBase64 } from '../../base64.ts';
import { isShared } from '../../engines/wasm.ts';
import type { WasmHeap } from '../../tfjs/bridges/wasm.ts';
import { plainWasm, relaxedWasm } from './gemm.wasm.ts';
import type { Share, Team } from './team.ts';
import { createTeam, unitsFor } from './team.ts';

/** What `assembly/gemm.ts` exports. Pointers are byte addresses, truth values 0 or 1. */
export interface Kernels {
  /** Rows that a product computes together. */
  tileRows(): number;
  scratchFloats(m: number, n: number, k: number): number;
  matmul(...values: MatmulArguments): void;
  convolve(...values: ConvolveArguments): void;
  convolveFilter(...values: ConvolveFilterArguments): void;
  depthwiseInput(...values: DepthwiseArguments): void;
  depthwiseFilter(...values: DepthwiseArguments): void;
  winogradScratch(inputs: number, part: number): number;
  winograd(...values: WinogradArguments): void;
  winogradGradientScratch(inputs: number, part: number, outputs: number): number;
  winogradFilterGradient(...values: WinogradGradientArguments): void;
  batchNormScratch(channels: number): number;
  /** Pointers to x, scale, offset, residual (0 for none), y, mean, variance; then rows, channels, epsilon, relu, scratch. */
  batchNormForward(...values: readonly number[]): void;
  /** Pointers to dy, x, y (0 without a clamp), scale, mean, variance, dx, dscale, doffset, dresidual (0 for none); rows and so on. */
  batchNormBackward(...values: readonly number[]): void;
}

export type MatmulArguments = readonly [
  a: number,
  b: number,
  c: number,
  m: number,
  n: number,
  k: number,
  transposeA: number,
  transposeB: number,
  lda: number,
  ldb: number,
  ldc: number,
  bias: number,
  relu: number,
  scratch: number,
];

export type ConvolveArguments = readonly [
  x: number,
  filter: number,
  y: number,
  first: number,
  m: number,
  n: number,
  taps: number,
  channels: number,
  pixels: number,
  table: number,
  xImage: number,
  order: number,
  rows: number,
  yImage: number,
  bias: number,
  relu: number,
  scratch: number,
];

export type ConvolveFilterArguments = readonly [
  x: number,
  dy: number,
  df: number,
  first: number,
  m: number,
  n: number,
  channels: number,
  images: number,
  pixels: number,
  table: number,
  xImage: number,
  scratch: number,
];

export type DepthwiseArguments = readonly [
  from: number,
  other: number,
  to: number,
  images: number,
  pixels: number,
  taps: number,
  channels: number,
  multiplier: number,
  table: number,
  image: number,
];

export type WinogradArguments = readonly [
  x: number,
  filter: number,
  y: number,
  images: number,
  height: number,
  width: number,
  inputs: number,
  outputs: number,
  pad: number,
  turned: number,
  first: number,
  last: number,
  stride: number,
  bias: number,
  relu: number,
  scratch: number,
];

export type WinogradGradientArguments = readonly [
  x: number,
  dy: number,
  df: number,
  images: number,
  height: number,
  width: number,
  inputs: number,
  outputs: number,
  pad: number,
  firstInput: number,
  part: number,
  scratch: number,
];

export interface Runtime {
  readonly heap: WasmHeap;
  readonly kernels: Kernels;
  readonly team: Team;
  readonly governor: Governor;
  /**
   * Byte address of at least that many bytes of heap, kept from call to call, 16-byte aligned. `slot` tells users apart. A larger request moves the
   * slot and may grow the heap: ask before making views.
   */
  readonly scratch: (slot: 'scratch' | 'tables', bytes: number) => number;
}

/** Multiplications below which waking helpers and copying to them costs more than they save: about half a millisecond's work. */
export const WORTHWHILE = 10_000_000;

/**
 * Decides whether to share work with helpers from how fast it went so far. Where the cores are busy with something else, or are two threads of one
 * core, helpers cost more than they bring; as the bits are the same either way, the choice may follow the clock.
 */
export interface Governor {
  readonly share: () => boolean;
  /** That work of so many multiplications took so many milliseconds. */
  readonly record: (shared: boolean, multiplications: number, milliseconds: number) => void;
}

/** Every so many pieces of work the slower way is tried again. Prime, so that it meets each of a training step's products in turn. */
const PROBE = 23;

/** Weight of the newest piece in the running rates. */
const NEWEST = 0.35;

export function createGovernor(): Governor {
  // Milliseconds a multiplication, of work done alone and of work shared.
  const cost: [number | undefined, number | undefined] = [undefined, undefined];
  let count = 0;
  return {
    share: () => {
      const [alone, shared] = cost;
      if (shared === undefined) return true;
      if (alone === undefined) return false;
      count += 1;
      return shared < alone !== (count % PROBE === 0);
    },
    record: (shared, multiplications, milliseconds) => {
      const newest = milliseconds / multiplications;
      const before = cost[shared ? 1 : 0] ?? newest;
      cost[shared ? 1 : 0] = before + NEWEST * (newest - before);
    },
  };
}

let relaxedKnown: boolean | undefined;

/** Whether this engine has WebAssembly's relaxed SIMD: Node from 22 on, Chrome from 114. */
export function hasRelaxedSimd(): boolean {
  return (relaxedKnown ??= WebAssembly.validate(decodeBase64(relaxedWasm.own)));
}

/** @param relaxed - whether a sum may be rounded once where it is rounded twice else */
function moduleFor(memory: 'own' | 'shared', relaxed: boolean): WebAssembly.Module {
  return new WebAssembly.Module(decodeBase64((relaxed && hasRelaxedSimd() ? relaxedWasm : plainWasm)[memory]));
}

/** A team whose helpers and calling thread run the same code. */
export interface KernelTeam extends Team {
  /** Whether it may round a sum once where it is rounded twice else. */
  readonly relaxed: boolean;
}

/** Threads that run these kernels' shares, the calling one included. Serves any number of heaps. */
export function createKernelTeam(threads: number, relaxed = true): KernelTeam {
  return { ...createTeam(threads, () => moduleFor('shared', relaxed)), relaxed };
}

/** Compiles the kernels for a heap, with a team to share large work with. */
export function createRuntime(heap: WasmHeap, team: KernelTeam): Runtime {
  // tfjs's heap is shared in isolated pages, where it takes its threaded build.
  const module = moduleFor(isShared(heap.memory) ? 'shared' : 'own', team.relaxed);
  const instance = new WebAssembly.Instance(module, { env: { memory: heap.memory, abort: () => undefined } });
  const slots = new Map<string, { at: number; bytes: number }>();
  return {
    heap,
    kernels: instance.exports as unknown as Kernels,
    governor: createGovernor(),
    team,
    scratch: (slot, bytes) => {
      const held = slots.get(slot);
      if (held !== undefined && held.bytes >= bytes) return held.at;
      if (held !== undefined) heap.free(held.at);
      const at = heap.allocate(bytes);
      slots.set(slot, { at, bytes });
      return at;
    },
  };
}

/**
 * Does work over [0, extent) here, or with helpers when it is large, cut at multiples of `unit`: `own` here, `share` for helpers. The heap must not
 * grow meanwhile.
 */
export function dispatch(
  { team, governor }: Pick<Runtime, 'team' | 'governor'>,
  {
    multiplications,
    extent,
    unit,
  }: { readonly multiplications: number; readonly extent: number; readonly unit: number },
  own: (first: number, last: number) => void,
  share: (first: number, last: number) => Share,
): void {
  const ready = multiplications < WORTHWHILE ? 0 : team.ready();
  const start = performance.now();
  if (ready === 0 || !governor.share()) {
    own(0, extent);
    if (ready > 0) governor.record(false, multiplications, performance.now() - start);
    return;
  }
  const ends = borders(extent, unitsFor(ready + 1), unit);
  team.run({
    units: ends.length - 1,
    own: (from, to) => own(ends[from] as number, ends[to] as number),
    share: (from, to) => share(ends[from] as number, ends[to] as number),
  });
  governor.record(true, multiplications, performance.now() - start);
}

/** A helper's memory, filled from the bottom; every piece starts at a multiple of 64 bytes. Address 0 stays free: it says "none". */
export class Layout {
  bytes = 64;

  /** Takes room for 4-byte numbers. */
  take(count: number): number {
    const at = this.bytes;
    this.bytes += Math.ceil(count / 16) * 64;
    return at;
  }
}

/** Cuts [0, extent) into at most `parts` of about equal length at multiples of `unit`; returns both ends and the borders between. */
export function borders(extent: number, parts: number, unit: number): number[] {
  const length = Math.ceil(extent / parts / unit) * unit;
  return Array.from({ length: Math.ceil(extent / length) + 1 }, (_, i) => Math.min(extent, i * length));
}
