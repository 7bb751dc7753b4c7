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
} as const;

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
 * Where an element finds its bits. Tensors lie one after the other in list order, each starting at a multiple of
 * `tensorAlignment` elements (256 bytes of float32: WebGPU's binding alignment). Masks read 16-bit halves, eight to a block,
 * word by word and the low half first; everything else reads whole words, four to a block.
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
