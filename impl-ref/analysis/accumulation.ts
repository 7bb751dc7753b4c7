/** Eqs. (4) and (7): m_t = beta m_{t-1} + eta g_t, for one coordinate. */
export function momentumStep(previous: number, gradient: number, beta: number, eta: number): number {
  return beta * previous + eta * gradient;
}

/**
 * Eq. (8): the momentum after an interval of lambda = gradients.length steps, in closed form:
 * beta^lambda m_{t-1} + eta sum_{e=1}^{lambda} beta^(lambda - e) g_{t-1+e}.
 */
export function accumulatedMomentum(previous: number, gradients: readonly number[], beta: number, eta: number): number {
  const lambda = gradients.length;
  let sum = 0;
  for (const [index, gradient] of gradients.entries()) sum += beta ** (lambda - (index + 1)) * gradient;
  return beta ** lambda * previous + eta * sum;
}
