/**
 * The mask stream as data: everything that an implementation in any language needs to draw the same bits.
 *
 * The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 * key = the 64-bit seed as (low word, high word); counter = (block low, block high, step, stream).
 */

/** The fourth counter word: what a draw is for. One seed serves all of them without overlap. */
export const STREAMS = {
  mask: 0,
  gradientDropout: 1,
  sparseGradients: 2,
  gradientNoise: 3,
  standardDropout: 4,
  noisyLabels: 5,
  initialisation: 6,
  shuffling: 7,
  augmentation: 8,
  tensorMask: 9,
} as const;

/** A stream of draws by its name. */
export type StreamName = keyof typeof STREAMS;

/** Philox4x32-10's constants: round multipliers, and the Weyl increments of the key. */
export const PHILOX = {
  rounds: 10,
  multipliers: [0xd2511f53, 0xcd9e8d57],
  weyl: [0x9e3779b9, 0xbb67ae85],
} as const;

/** Known answers published with Random123 (DEShawResearch/random123, tests/kat_vectors, `philox4x32 10`). */
export const PHILOX_VECTORS = [
  {
    counter: [0, 0, 0, 0],
    key: [0, 0],
    words: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  },
  {
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    words: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    words: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
] as const;

/**
 * Where an element finds its bits. Tensors lie one after the other in order of joining, each starting at a multiple of
 * `tensorAlignment` elements (256 bytes of float32: WebGPU's binding alignment). Masks read 16-bit halves, eight to a block,
 * word by word and the low half first; everything else reads whole words, four to a block. A mask that falls on a whole tensor
 * (stream 9) reads one half, the one at the tensor's base.
 */
export const LAYOUT = {
  tensorAlignment: 64,
  halvesPerBlock: 8,
  wordsPerBlock: 4,
} as const;

/** kept iff half < T, with T = max(1, floor(p * scale + 1/2)) in float64; p = 1 draws nothing. */
export const THRESHOLD = { scale: 65536, minimum: 1 } as const;

/** The smallest keep probability that the stream can honour. */
export const MINIMUM_KEEP_PROBABILITY = 2 ** -16;

/**
 * How words become numbers in the streams that are not masks (3 to 8). Element n reads word n mod 4 of block floor(n / 4).
 *
 * - uniform: u = (word + 1/2) / 2^32, never 0 or 1.
 * - normal (stream 3): elements 2j and 2j + 1 are sqrt(-2 ln u_2j) times the cosine and the sine of 2 pi u_2j+1.
 * - standard dropout (stream 4): mask bits, as for masks (halves and T); a forward pass's dropout layers are laid out in the order in
 *   which they are called, as tensors are; step = the optimizer's.
 * - noisy labels (stream 5): example i of the mini-batch reads words 2i and 2i + 1: it is disturbed iff the first one's u < r, and
 *   then becomes class c = floor(second word (C - 1) / 2^32), or c + 1 where c is not below the true class; step = the optimizer's.
 * - initialisation (stream 6): step word 0, laid out as the masks are (element i of tensor k is n = base_k + i); value = bound (2u - 1).
 * - shuffling (stream 7): Fisher-Yates from the end: for i = size - 1 down to 1 swap i with floor(word_i (i + 1) / 2^32);
 *   step = the epoch, counted from 1.
 * - augmentation (stream 8): example i of the data set (before shuffling) reads block i; step = the epoch, counted from 1. With k choices
 *   a word chooses floor(word k / 2^32). An example that takes more than four words goes on at blocks i + 2^32 j, j = 1, 2, ...
 *   Crop and flip: row (of 9), column (of 9), mirrored (of 2). Resized crop and flip: mirrored (of 2); then for each of at most ten
 *   attempts the area's share (.08 + .92 u) and the logarithm of width over height (uniform from ln 3/4 to ln 4/3), and for the first
 *   window that fits its row and column.
 */
export const DRAWS = { wordRange: 2 ** 32, uniformOffset: 0.5, initialisationStep: 0 } as const;
