/**
 * The optimizer with its mistake, for the judge to name.
 *
 *     npx lrd conformance --adapter module:./examples/certify/mistakenAdapter.mjs
 */
import { adapterOf } from './adapter.mjs';
import { MistakenSgd } from './mistaken.mjs';

export const createAdapter = () => adapterOf(MistakenSgd, 'mistaken-sgd');
