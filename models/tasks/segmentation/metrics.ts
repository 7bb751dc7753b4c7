/** The label of pixels that count neither in the loss nor in the metrics: VOC's outlines. */
export const VOID = 255;

/** How often each class was taken for each other, over any number of pictures. */
export class ConfusionMatrix {
  readonly classes: number;
  /** Row: the true class; column: the predicted one. */
  readonly counts: Float64Array;

  constructor(classes: number) {
    this.classes = classes;
    this.counts = new Float64Array(classes * classes);
  }

  /** Counts pixels, those labelled void left out. Both have a value a pixel. */
  add(labels: ArrayLike<number>, predictions: ArrayLike<number>): void {
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i] as number;
      if (label === VOID) continue;
      const cell = label * this.classes + (predictions[i] as number);
      this.counts[cell] = (this.counts[cell] as number) + 1;
    }
  }

  #at(row: number, column: number): number {
    return this.counts[row * this.classes + column] as number;
  }

  /** Intersection over union of each class; NaN for one that neither the labels nor the predictions have. */
  get iou(): number[] {
    const all = Array.from({ length: this.classes }, (_, k) => k);
    return all.map((k) => {
      const truth = all.reduce((sum, j) => sum + this.#at(k, j), 0);
      const predicted = all.reduce((sum, j) => sum + this.#at(j, k), 0);
      return this.#at(k, k) / (truth + predicted - this.#at(k, k));
    });
  }

  /** Mean of the classes' IoU in [0, 1], over those that occur. NaN without pixels. */
  get meanIou(): number {
    const known = this.iou.filter((value) => !Number.isNaN(value));
    return known.reduce((sum, value) => sum + value, 0) / known.length;
  }

  /** Share of the pixels that are classified right. NaN without pixels. */
  get pixelAccuracy(): number {
    const right = Array.from({ length: this.classes }, (_, k) => this.#at(k, k)).reduce((sum, v) => sum + v, 0);
    return right / this.counts.reduce((sum, value) => sum + value, 0);
  }
}
