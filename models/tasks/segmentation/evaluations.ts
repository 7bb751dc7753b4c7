/**
 * How a picture is tested: `whole`, at once with a margin where it is smaller than the crop, or `sliding`, by windows of the crop's size
 * whose probabilities are averaged.
 */
export const EVALUATIONS = ['whole', 'sliding'] as const;
export type Evaluation = (typeof EVALUATIONS)[number];
