/** The same optimizer with the mistake that most public implementations share: the mask falls on the momentum too. */
import { MaskedSgd } from './optimizer.mjs';

export class MistakenSgd extends MaskedSgd {
  step(parameters, gradient, kept = this.draw()) {
    for (let i = 0; i < parameters.length; i++) {
      this.buffer[i] = kept[i] ? this.momentum * this.buffer[i] + gradient[i] : 0;
      parameters[i] -= this.learningRate * this.buffer[i];
    }
  }
}
