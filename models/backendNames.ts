/** Names that `--backend` takes: apart from the backends, so that what only reads of runs loads none. */
export const BACKENDS = ['auto', 'webgpu', 'wasm', 'cpu', 'node', 'node-gpu'] as const;
export type BackendName = (typeof BACKENDS)[number];
