/** Sums over the samples of a batch. */
export interface ClassificationSums {
  readonly count: number;
  /** Sum of the cross-entropies, in nats. */
  readonly loss: number;
  readonly correct: number;
}

/** Cross-entropy and hits of logits [count, classes], row-major, in float64. A tie counts as the first class of the maximum. */
export function classificationSums(
  logits: Float32Array,
  labels: ArrayLike<number>,
  classes: number,
): ClassificationSums {
  let loss = 0;
  let correct = 0;
  for (let row = 0; row < labels.length; row++) {
    const at = row * classes;
    const label = labels[row] as number;
    let best = 0;
    let maximum = -Infinity;
    for (let k = 0; k < classes; k++) {
      const logit = logits[at + k] as number;
      // NaN never exceeds: remember it, so that the loss shows it.
      if (logit > maximum || Number.isNaN(logit)) {
        maximum = logit;
        best = k;
      }
    }
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += Math.exp((logits[at + k] as number) - maximum);
    loss += maximum + Math.log(sum) - (logits[at + label] as number);
    if (best === label) correct += 1;
  }
  return { count: labels.length, loss, correct };
}

/** Rows of logits [count, classes] whose label is among the five largest; of equals the first ones count, as in `classificationSums`. */
export function countTop5(logits: Float32Array, labels: ArrayLike<number>, classes: number): number {
  let hits = 0;
  for (let row = 0; row < labels.length; row++) {
    const at = row * classes;
    const label = labels[row] as number;
    const own = logits[at + label] as number;
    let ahead = 0;
    for (let k = 0; k < classes && ahead < 5; k++) {
      const logit = logits[at + k] as number;
      if (logit > own || (logit === own && k < label)) ahead += 1;
    }
    if (ahead < 5) hits += 1;
  }
  return hits;
}

/** A sample-weighted running mean: the last batch of an epoch may be smaller. */
export class RunningMean {
  #count = 0;
  #loss = 0;
  #correct = 0;

  add({ count, loss, correct }: ClassificationSums): void {
    this.#count += count;
    this.#loss += loss;
    this.#correct += correct;
  }

  /** What has been added up so far. */
  get sums(): ClassificationSums {
    return { count: this.#count, loss: this.#loss, correct: this.#correct };
  }

  /** Mean cross-entropy a sample, in nats. */
  get loss(): number {
    return this.#loss / this.#count;
  }

  /** Percent of samples classified right. */
  get accuracy(): number {
    return (100 * this.#correct) / this.#count;
  }

  get count(): number {
    return this.#count;
  }
}
