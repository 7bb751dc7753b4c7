/**
 * Masks of the stream as tensors of TensorFlow. On a GPU it draws them itself: `StatelessRandomUniformFullIntV2` with alg 1 is
 * Philox4x32-10 with the counter of `spec/stream.ts` when its 64-bit words are (block, step + stream * 2^32), and the host has a
 * seed and a position only. On the processor the draw in WebAssembly takes a quarter of that time, and goes into its memory.
 */
import { LAYOUT, STREAMS } from '../../../spec/stream.ts';
import type { StreamName } from '../../../spec/stream.ts';
import type { Key } from '../../philox.ts';
import { drawKept, seedOf } from '../../random.ts';
import type { Attribute, Handle, Tensorflow, TypeNumber } from '../bridges/tensorflow.ts';
import { TYPES, withOwned } from '../bridges/tensorflow.ts';

/** Of `StatelessRandomUniformFullIntV2`. */
const PHILOX_ALGORITHM = 1;

/** Elements that are drawn at once, unless one tensor has more: bounds the scratch memory, three bytes an element. */
const DRAW = 2 ** 20;

/** A tensor that wants a mask. */
export interface MaskRequest {
  /** Global index of the first element: a multiple of 64. */
  readonly base: number;
  /** At least 1. */
  readonly size: number;
  readonly shape: readonly number[];
  /** Below 65536. */
  readonly threshold: number;
}

/** Where a draw stands in the streams. */
export interface DrawPosition {
  readonly key: Key;
  readonly stream: StreamName;
  readonly step: number;
}

/** Neighbours whose masks come from one draw. */
interface Run {
  readonly requests: MaskRequest[];
  readonly first: number;
  end: number;
}

/** Joins neighbours with one threshold while they lie close and the draw stays small. */
function joinRuns(requests: readonly MaskRequest[]): Run[] {
  const runs: Run[] = [];
  for (const request of requests) {
    const end = request.base + request.size;
    const last = runs.at(-1);
    const joins =
      last !== undefined &&
      last.requests[0]?.threshold === request.threshold &&
      request.base >= last.end &&
      request.base - last.end < LAYOUT.tensorAlignment &&
      end - last.first <= DRAW;
    if (joins) {
      last.requests.push(request);
      last.end = end;
    } else runs.push({ requests: [request], first: request.base, end });
  }
  return runs;
}

/** Draws masks for TensorFlow. Frees all that it makes. */
export class MaskSource {
  readonly #tensorflow: Tensorflow;
  readonly #onDevice: boolean;
  readonly #toUnsigned: readonly Attribute[];
  readonly #toHalves: readonly Attribute[];
  readonly #toHalf: readonly Attribute[];
  readonly #draw: readonly Attribute[];
  readonly #compare: readonly Attribute[];
  readonly #reshape: readonly Attribute[];
  readonly #slice: readonly Attribute[];

  constructor(tensorflow: Tensorflow, onDevice = tensorflow.gpu) {
    this.#tensorflow = tensorflow;
    this.#onDevice = onDevice;
    const type = (name: string, value: TypeNumber): Attribute => tensorflow.attribute.type(name, value);
    this.#toUnsigned = [type('T', TYPES.int64), type('type', TYPES.uint64)];
    this.#toHalves = [type('T', TYPES.uint32), type('type', TYPES.uint16)];
    this.#toHalf = [type('T', TYPES.uint8), type('type', TYPES.uint16)];
    this.#draw = [type('dtype', TYPES.uint32), type('Tshape', TYPES.int32)];
    this.#compare = [type('T', TYPES.uint16)];
    this.#reshape = [type('T', TYPES.bool), type('Tshape', TYPES.int32)];
    this.#slice = [type('T', TYPES.bool), type('Index', TYPES.int32)];
  }

  /**
   * Gives `use` a bool tensor of each request's shape, in their order, and frees it afterwards. Requests come by ascending base, and
   * never more than one draw of neighbours is there at once.
   */
  each(position: DrawPosition, requests: readonly MaskRequest[], use: (index: number, mask: Handle) => void): void {
    const tensorflow = this.#tensorflow;
    let index = 0;
    const lend = (mask: Handle): void => {
      try {
        use(index, mask);
      } finally {
        tensorflow.free(mask);
      }
      index += 1;
    };
    if (!this.#onDevice) {
      const { key, stream, step } = position;
      const seeded = { seed: seedOf(key), stream, step };
      for (const { base, size, shape, threshold } of requests) {
        lend(tensorflow.tensor(shape, TYPES.bool, drawKept(seeded, base, size, threshold)));
      }
      return;
    }
    for (const run of joinRuns(requests)) {
      const kept = this.#keptOf(position, run);
      try {
        for (const request of run.requests) lend(this.#cut(kept, run, request));
      } finally {
        tensorflow.free(kept);
      }
    }
  }

  /** [ceil(length / 2), 2] bools: a word's low half first, as little-endian machines have it. */
  #keptOf({ key, stream, step }: DrawPosition, { first, end, requests }: Run): Handle {
    const tensorflow = this.#tensorflow;
    const block = first / LAYOUT.halvesPerBlock;
    return withOwned(tensorflow, (own) => {
      const words64 = (...words: readonly number[]): Handle =>
        own(
          tensorflow.run(
            'Bitcast',
            this.#toUnsigned,
            own(
              tensorflow.tensor(
                [words.length / 2],
                TYPES.int64,
                Int32Array.from(words, (word) => word | 0),
              ),
            ),
          ),
        );
      const words = own(
        tensorflow.run(
          'StatelessRandomUniformFullIntV2',
          this.#draw,
          own(tensorflow.tensor([1], TYPES.int32, Int32Array.of(Math.ceil((end - first) / 2)))),
          words64(key[0], key[1]),
          words64(block % 2 ** 32, Math.floor(block / 2 ** 32), step, STREAMS[stream]),
          own(tensorflow.tensor([], TYPES.int32, Int32Array.of(PHILOX_ALGORITHM))),
        ),
      );
      const threshold = requests[0]?.threshold as number;
      const bytes = own(tensorflow.tensor([2], TYPES.uint8, Uint8Array.of(threshold & 0xff, threshold >>> 8)));
      return tensorflow.run(
        'Less',
        this.#compare,
        own(tensorflow.run('Bitcast', this.#toHalves, words)),
        own(tensorflow.run('Bitcast', this.#toHalf, bytes)),
      );
    });
  }

  #cut(kept: Handle, { first, end }: Run, { base, size, shape }: MaskRequest): Handle {
    const tensorflow = this.#tensorflow;
    const whole = end - first;
    const numbers = (values: readonly number[]): Handle =>
      tensorflow.tensor([values.length], TYPES.int32, Int32Array.from(values));
    const reshape = (handle: Handle, to: readonly number[]): Handle => {
      const target = numbers(to);
      try {
        return tensorflow.run('Reshape', this.#reshape, handle, target);
      } finally {
        tensorflow.free(target);
      }
    };
    if (size === whole && size % 2 === 0) return reshape(kept, shape);
    const flat = reshape(kept, [whole + (whole % 2)]);
    const begin = numbers([base - first]);
    const extent = numbers([size]);
    let slice: Handle | undefined;
    try {
      slice = tensorflow.run('Slice', this.#slice, flat, begin, extent);
      return reshape(slice, shape);
    } finally {
      for (const handle of [flat, begin, extent, slice]) if (handle !== undefined) tensorflow.free(handle);
    }
  }
}
