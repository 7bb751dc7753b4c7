import type { CentredBox } from '../raster/boxes.ts';

/** A feature map that predicts boxes, and the default boxes at each of its cells. Sizes in pixels of the input. */
export interface DetectionMap {
  /** Cells along each side. */
  readonly cells: number;
  /** Pixels between the centres of neighbouring cells. */
  readonly step: number;
  readonly minimumSize: number;
  /** The next map's minimum. */
  readonly maximumSize: number;
  /** Beside 1; each comes with its reciprocal. */
  readonly aspectRatios: readonly number[];
}

/** The input's side in pixels. */
export const SSD300_SIDE = 300;

/**
 * SSD300's six maps for VOC, as the authors' Caffe code has them (weiliu89/caffe, branch ssd, `examples/ssd/ssd_pascal.py`): conv4_3 at
 * scale .1, then scales .2 to .88 in steps of .17 (section 2.2's s_min = .2, s_max = .9, rounded down), and ratio 3 on the middle maps only.
 */
export const SSD300_MAPS: readonly DetectionMap[] = [
  { cells: 38, step: 8, minimumSize: 30, maximumSize: 60, aspectRatios: [2] },
  { cells: 19, step: 16, minimumSize: 60, maximumSize: 111, aspectRatios: [2, 3] },
  { cells: 10, step: 32, minimumSize: 111, maximumSize: 162, aspectRatios: [2, 3] },
  { cells: 5, step: 64, minimumSize: 162, maximumSize: 213, aspectRatios: [2, 3] },
  { cells: 3, step: 100, minimumSize: 213, maximumSize: 264, aspectRatios: [2] },
  { cells: 1, step: 300, minimumSize: 264, maximumSize: 315, aspectRatios: [2] },
];

/** Default boxes at each cell: the small and the large square, and two for each aspect ratio. */
export function boxesPerCell({ aspectRatios }: DetectionMap): number {
  return 2 + 2 * aspectRatios.length;
}

/**
 * The default boxes, normalised, in the order of the network's outputs: by map, row, column, then the small square (s_k), the large one
 * (sqrt(s_k s_k+1)), and for each ratio a the boxes (s_k sqrt(a), s_k / sqrt(a)) and its upright twin. They may reach out of the picture, as the
 * authors' do (`clip = False`); the PyTorch port of amdegroot clips them.
 */
export function defaultBoxes(maps: readonly DetectionMap[] = SSD300_MAPS, side: number = SSD300_SIDE): CentredBox[] {
  return maps.flatMap((map) => {
    const { cells, step, minimumSize, maximumSize, aspectRatios } = map;
    const large = Math.sqrt(minimumSize * maximumSize);
    const sizes: (readonly [number, number])[] = [
      [minimumSize, minimumSize],
      [large, large],
      ...aspectRatios.flatMap((ratio): [number, number][] => {
        const [long, short] = [minimumSize * Math.sqrt(ratio), minimumSize / Math.sqrt(ratio)];
        return [
          [long, short],
          [short, long],
        ];
      }),
    ];
    return Array.from({ length: cells * cells }, (_, cell) => {
      const cx = (((cell % cells) + 0.5) * step) / side;
      const cy = ((Math.floor(cell / cells) + 0.5) * step) / side;
      return sizes.map(([w, h]): CentredBox => ({ cx, cy, w: w / side, h: h / side }));
    }).flat();
  });
}
