/** The properties, requirement by requirement, a file an area. Statistics of an implementation's own masks are in `conformance/statistics/`. */
import type { RuleName } from 'learning-rate-dropout/spec';
import { algorithmProperties, algorithmPropertiesOf } from './areas/algorithm.ts';
import { RULE_NAMES } from './areas/asking.ts';
import { familyProperties } from './areas/family.ts';
import { errorProperties, errorPropertiesOf } from './areas/errors.ts';
import { maskProperties, maskPropertiesOf } from './areas/mask.ts';
import { protocolProperties } from './areas/protocol.ts';
import { ruleProperties, rulePropertiesOf } from './areas/rules.ts';
import { stateProperties, statePropertiesOf } from './areas/state.ts';
import { streamProperties } from './areas/stream.ts';
import type { Property } from './property.ts';

/** Those that come once for every rule. */
const propertiesOf = (rule: RuleName): Property[] => [
  ...rulePropertiesOf(rule),
  ...algorithmPropertiesOf(rule),
  ...maskPropertiesOf(rule),
  ...statePropertiesOf(rule),
  ...errorPropertiesOf(rule),
];

/** All properties but the statistical ones, simplest rules first. */
export const PROPERTIES: readonly Property[] = [
  ...algorithmProperties(),
  ...maskProperties(),
  ...ruleProperties(),
  ...stateProperties(),
  ...protocolProperties(),
  ...errorProperties(),
  ...streamProperties(),
  ...RULE_NAMES.flatMap(propertiesOf),
  ...familyProperties(),
];
