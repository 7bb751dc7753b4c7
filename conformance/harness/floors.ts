/** Which folder may import from which. `models/cli` is the one place that may import everything. */
export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  spec: [],
  'impl-ref': ['spec'],
  'impl-gpu': ['spec'],
  conformance: ['spec', 'impl-ref', 'impl-gpu'],
  bench: ['spec', 'impl-ref', 'impl-gpu', 'conformance', 'models'],
  models: ['spec', 'impl-gpu'],
};

/**
 * The rooms of `models/`, from the ground up: a room imports from itself and from floors below its own. Rooms of one floor do not know
 * each other.
 */
export const FLOORS: readonly (readonly string[])[] = [
  ['errors'],
  ['raster'],
  ['storage', 'tensorboard', 'backend', 'setup'],
  ['data'],
  ['nets'],
  ['tasks'],
  ['trainer'],
  ['recipes'],
  ['runs'],
  ['experiments'],
  ['report'],
  ['cli', 'demo', 'index'],
];
