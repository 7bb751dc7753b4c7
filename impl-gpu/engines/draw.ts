/** Bernoulli draws of the streams in WebAssembly SIMD, as bytes: for masks that have to be stored. */
import type { Key } from '../philox.ts';
import type { DrawFunction } from './wasmModule.ts';
import { LANES, PAGE, assembleDraw } from './wasmModule.ts';

/** Blocks that a 32-bit counter reaches. */
const BLOCKS = 2 ** 32;

interface Drawer {
  readonly kept: DrawFunction;
  /** What one call fills at most. */
  readonly page: Uint8Array;
}

let drawer: Drawer | null | undefined;

/** null where there is no WebAssembly with SIMD, or a page's policy forbids to compile it. */
function open(): Drawer | null {
  try {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(assembleDraw()), { env: { memory } });
    return { kept: (exports as unknown as { run: DrawFunction }).run, page: new Uint8Array(memory.buffer) };
  } catch {
    return null;
  }
}

/** Where elements stand in the streams: all words of the counter but the block's, and the key. */
export interface Draw {
  readonly key: Key;
  /** The stream's number. */
  readonly stream: number;
  readonly step: number;
  /** In [1, 65535]. */
  readonly threshold: number;
}

/**
 * Writes 1 into `kept` where an element is below the threshold, else 0, from global index `base` on, a multiple of 8. False where it
 * cannot: nothing was written.
 */
export function fillKept({ key, stream, step, threshold }: Draw, base: number, kept: Uint8Array): boolean {
  if ((base + kept.length) / 8 > BLOCKS - LANES) return false;
  if (drawer === undefined) drawer = open();
  if (drawer === null) return false;
  for (let first = 0; first < kept.length; first += PAGE) {
    const count = Math.min(PAGE, kept.length - first);
    drawer.kept(Math.ceil(count / LANES) * LANES, (base + first) / 8, step, key[0], key[1], threshold, stream, 0);
    kept.set(count === PAGE ? drawer.page : drawer.page.subarray(0, count), first);
  }
  return true;
}
