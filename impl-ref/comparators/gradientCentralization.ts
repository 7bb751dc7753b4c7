import type { GradientTransformation } from '../transformation.ts';

/**
 * Gradient centralization (GC): minus the mean over all axes but the last, for tensors of two or more axes. In JS layouts the
 * last axis is the output's ([in, out], HWIO), where PyTorch has it first.
 *
 * Source: Yong, Huang, Hua, Zhang 2020, eq. (1); after coupled L2 and before the moments as in their code.
 */
export function gradientCentralization(): GradientTransformation {
  return {
    name: 'gradientCentralization',
    stage: 'centralize',
    init: () => ({}),
    apply: (gradients, state, { shapes }) => ({
      gradients: gradients.map((gradient, k) => {
        const shape = shapes[k] as readonly number[];
        if (gradient === null || shape.length < 2) return gradient;
        const outputs = shape.at(-1) as number;
        const rows = gradient.length / outputs;
        const means = new Float64Array(outputs);
        for (const [i, g] of gradient.entries()) means[i % outputs] = (means[i % outputs] as number) + g / rows;
        return gradient.map((g, i) => g - (means[i % outputs] as number));
      }),
      state,
    }),
  };
}
