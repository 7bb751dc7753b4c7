/**
 * What must hold of any implementation of Learning Rate Dropout, as data.
 *
 * @module learning-rate-dropout/spec
 */
export { DEFAULT_MASK_KIND, MASK_KINDS, MASK_OPTIONS, MASK_STATE } from './family.ts';
export type { Draw, Factor, Granularity, MaskKind, MaskKindName, MaskOption, MaskOptionName } from './family.ts';
export { KIND_SOURCES, OPTION_SOURCES } from './familySources.ts';
export { KEEP_PROBABILITY, RULES } from './rules.ts';
export type { Choice, Flag, HyperParameter, NumberRange, Rule, RuleName } from './rules.ts';
export { DRAWS, LAYOUT, MINIMUM_KEEP_PROBABILITY, PHILOX, PHILOX_VECTORS, STREAMS, THRESHOLD } from './stream.ts';
export type { StreamName } from './stream.ts';
export { REQUIREMENTS } from './requirements.ts';
export type { Capability, Requirement, Tolerance } from './requirements.ts';
export { OPEN_POINTS } from './openPoints.ts';
export type { OpenPoint } from './openPoints.ts';
