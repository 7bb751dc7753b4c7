/** Kinds of mask in cases: what a request comes to with the defaults of its kind, and the state that it adds. */
import type { Mask, MaskRequest } from 'learning-rate-dropout/ref';
import { MASK_KINDS, MASK_OPTIONS, MASK_STATE } from 'learning-rate-dropout/spec';
import type { MaskKind, MaskKindName, MaskOption, RuleName } from 'learning-rate-dropout/spec';
import type { Case, HyperValue, KindAbility, Kinds } from './types.ts';

type Hyper = Readonly<Record<string, HyperValue>>;

/** Every cell of every kind, with every option: what an implementation declares that leaves nothing out. */
export const ALL_KINDS: Kinds = Object.fromEntries(
  Object.entries<MaskKind>(MASK_KINDS).map(([name, { granularities, factors }]): [string, KindAbility] => [
    name,
    { granularity: granularities, factor: factors },
  ]),
);

/** A request with all that it leaves out; not validated. Undefined for a kind that does not exist. */
export function expandMask(request: MaskRequest): Mask | undefined {
  if (!Object.hasOwn(MASK_KINDS, request.kind)) return undefined;
  const { granularity, factor, decay, draw }: MaskKind = MASK_KINDS[request.kind];
  const defaults = Object.entries<MaskOption>(MASK_OPTIONS).map(([name, { parameter }]) => [name, parameter.default]);
  return { ...Object.fromEntries(defaults), granularity, factor, decay, ...request, draw } as Mask;
}

/** Whether a mask is learning rate dropout's own, under whatever name. */
export const isPlainMask = ({ granularity, draw, factor, decay }: Mask): boolean =>
  granularity === 'element' && draw === 'bernoulli' && factor === 'one' && decay === 'scaled';

/** Whether a case's masks come of signs: nothing is drawn, and nothing of drawing may be said. */
export const drawsNothing = ({ mask }: Pick<Case, 'mask'>): boolean =>
  mask !== undefined && Object.hasOwn(MASK_KINDS, mask.kind) && MASK_KINDS[mask.kind].draw === 'agreement';

/** The slot of the first moment that a cosine takes: the rule's own, or the mask's. */
export function momentSlot({ moment }: Pick<Mask, 'moment'>, rule: RuleName, hyper: Hyper): string {
  const own = moment === 'own' || rule === 'rmsprop' || rule === 'sgdm-avg';
  if (own || (rule === 'sgdm' && hyper['momentum'] === 0)) return MASK_STATE.moment;
  return rule === 'sgdm' ? 'buf' : 'm';
}

/** The names of the state that a mask adds to its rule's. */
export function maskStateNames(mask: Mask | undefined, rule: RuleName, hyper: Hyper): readonly string[] {
  if (mask?.factor !== 'alignment') return [];
  const slot = momentSlot(mask, rule, hyper);
  return [...(slot === MASK_STATE.moment ? [slot] : []), MASK_STATE.alignment];
}

/** What is wrong with a case whose mask comes of signs, in one line: something says how to draw it. Undefined where nothing does. */
export function drawnFault(example: Case): string | undefined {
  if (!drawsNothing(example)) return undefined;
  const kind = (example.mask as { kind: MaskKindName }).kind;
  const given = [example.keepProbability, ...example.parameters.map(({ keepProbability }) => keepProbability)];
  const p = given.find((value) => value !== undefined && value !== null);
  if (p !== undefined) return `keepProbability must be left out with mask.kind ${kind}, got ${JSON.stringify(p)}`;
  return Array.isArray(example.masks) ? `masks must not be given with mask.kind ${kind}: the signs decide` : undefined;
}
