/** Somebody's optimizer, which knows nothing of this package: SGD with momentum and Learning Rate Dropout. */
export class MaskedSgd {
  /**
   * @param {number} size - parameters
   * @param {{ learningRate: number, momentum: number, keepProbability: number }} options
   */
  constructor(size, { learningRate, momentum, keepProbability }) {
    Object.assign(this, { learningRate, momentum, keepProbability });
    this.buffer = new Float64Array(size);
  }

  /** A mask of the step: true where the update is kept. */
  draw() {
    return Array.from(this.buffer, () => Math.random() < this.keepProbability);
  }

  /** Moves `parameters` in place where `kept` is true. */
  step(parameters, gradient, kept = this.draw()) {
    for (let i = 0; i < parameters.length; i++) {
      this.buffer[i] = this.momentum * this.buffer[i] + gradient[i];
      if (kept[i]) parameters[i] -= this.learningRate * this.buffer[i];
    }
  }
}
