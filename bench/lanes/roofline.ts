/** What 128-bit vectors can do on one thread at most: sums of products that never leave the registers. */
import type { LaneSource } from '../harness/measure.ts';
import { Unavailable } from '../harness/measure.ts';

/** Vectors that are summed side by side: more than two units need to be kept busy. */
const SUMS = 10;

/** Turns of a sample. */
const TURNS = 1 << 20;

/** Floating point operations of a sample: a product and a sum in each of four lanes. */
export const ROOFLINE_OPERATIONS = TURNS * SUMS * 4 * 2;

const MADD = [0xfd, 0x85, 0x02]; // f32x4.relaxed_madd
const MUL = [0xfd, 0xe6, 0x01]; // f32x4.mul
const ADD = [0xfd, 0xe4, 0x01]; // f32x4.add
const SPLAT = [0xfd, 0x13]; // f32x4.splat
const LANE_0 = [0xfd, 0x1f, 0x00]; // f32x4.extract_lane 0
/** "\0asm", version 1. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const I32 = 0x7f;
const F32 = 0x7d;
const V128 = 0x7b;

const section = (id: number, ...content: readonly number[]): number[] => {
  const { length } = content;
  return [id, (length & 0x7f) | 0x80, length >> 7, ...content];
};

/** `run(turns)`: every turn c = c / 2 + 1 in each lane of each sum; returns a lane of their sum, which nobody can leave out. */
function moduleOf(relaxed: boolean): Uint8Array<ArrayBuffer> {
  const get = (local: number): number[] => [0x20, local];
  const set = (local: number): number[] => [0x21, local];
  const f32 = (value: number): number[] => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)];
  // Locals: 0 turns, 1 to SUMS the sums, then the two constants.
  const [half, one] = [SUMS + 1, SUMS + 2];
  const sums = Array.from({ length: SUMS }, (_, i) => i + 1);
  const turn = sums.flatMap((sum) => [
    ...get(sum),
    ...get(half),
    ...(relaxed ? [...get(one), ...MADD] : [...MUL, ...get(one), ...ADD]),
    ...set(sum),
  ]);
  const locals = [1, SUMS + 2, V128];
  const constants = [...f32(0.5), ...SPLAT, ...set(half), ...f32(1), ...SPLAT, ...set(one)];
  const loop = [0x03, 0x40, ...turn];
  // br_if (turns -= 1), end
  const again = [...get(0), 0x41, 0x01, 0x6b, 0x22, 0, 0x0d, 0, 0x0b];
  const result = [...get(1), ...sums.slice(1).flatMap((sum) => [...get(sum), ...ADD]), ...LANE_0, 0x0b];
  const code = [...locals, ...constants, ...loop, ...again, ...result];
  const { length } = code;
  return Uint8Array.from([
    ...MAGIC,
    ...section(1, 1, 0x60, 1, I32, 1, F32),
    ...section(3, 1, 0),
    ...section(7, 1, 3, ...new TextEncoder().encode('run'), 0, 0),
    ...section(10, 1, (length & 0x7f) | 0x80, length >> 7, ...code),
  ]);
}

/** One thread's limit. `relaxed`: with fused sums, which the engine may not have. */
export function rooflineLane(name: string, relaxed: boolean): LaneSource {
  return {
    name,
    open: () => {
      const bytes = moduleOf(relaxed);
      if (!WebAssembly.validate(bytes))
        throw new Unavailable('this engine has no relaxed SIMD (Node has it from 22 on)');
      const { run } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as unknown as {
        run: (turns: number) => number;
      };
      let kept = 0;
      return {
        name,
        sample: () => {
          kept += run(TURNS);
          if (Number.isNaN(kept)) throw new Error('a sum of finite numbers is none');
          return undefined;
        },
      };
    },
  };
}
