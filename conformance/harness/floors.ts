/** Which folder may import from which. `models/cli` is the one place that may import everything. */
export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  spec: [],
  'impl-ref': ['spec'],
  'impl-gpu': ['spec'],
  conformance: ['spec', 'impl-ref', 'impl-gpu'],
  bench: ['spec', 'impl-ref', 'impl-gpu', 'conformance', 'models'],
  models: ['spec', 'impl-gpu'],
  // Programs of users: the package by its name, and nothing of this tree.
  examples: ['impl-gpu'],
};

/**
 * The rooms of a folder, from the ground up: a room imports from itself and from floors below its own. Rooms of one floor do not know
 * each other. A room is a folder or a file; of two that a path lies in, the longer name is its room.
 */
export const FLOORS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  models: [
    ['errors', 'backendNames', 'terminal', 'decimal'],
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
  ],
  'impl-gpu': [
    ['validate', 'shape', 'base64', 'philox'],
    ['foreignText'],
    ['selection'],
    // What a kind of mask is made of, which plans carry; its kernels stand on the engines' own.
    ['masks/resolve'],
    ['engines', 'device', 'tensorflow'],
    ['random', 'masks'],
    ['gpujs'],
    ['tfjs/bridges'],
    ['trainingKernels'],
    ['tfjs/steppers'],
    ['tfjs'],
    ['distributed'],
    ['tfjs/index', 'tfjs/internal', 'index', 'internal'],
    ['tfjs/index.node'],
  ],
};
