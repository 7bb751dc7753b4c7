/** A box over a picture. */
export interface DrawnBox {
  /** [xmin, ymin, xmax, ymax], in shares of the picture's sides. */
  readonly corners: readonly [number, number, number, number];
  /** The class's name. */
  readonly label: string;
  readonly colour: string;
  /** Of a detection. */
  readonly score?: number;
  /** Of an object that evaluation ignores. */
  readonly difficult?: boolean;
}

/** What lies over a picture: boxes, or a mask as an image with transparent background. */
export interface Overlay {
  readonly boxes?: readonly DrawnBox[];
  /** A `data:` address. */
  readonly mask?: string;
}

/** A test picture with what is in it and what the network saw. */
export interface Drawing {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** A `data:` address. */
  readonly picture: string;
  readonly truth: Overlay;
  readonly prediction: Overlay;
  /** Classes that occur in a mask, with their colours. */
  readonly legend?: readonly { readonly label: string; readonly colour: string }[];
}
