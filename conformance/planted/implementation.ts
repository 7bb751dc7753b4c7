/**
 * A small, honest implementation of learning rate dropout whose every decision can be replaced. As it stands it must pass
 * everything; with one decision replaced it is a planted wrong implementation, which must not.
 *
 * It shares no arithmetic with the reference or the kit's intervals: element by element, in plain float64.
 */
import { halves, layout } from 'learning-rate-dropout/ref';
import type { Mask } from 'learning-rate-dropout/ref';
import type {
  Granularity,
  HyperParameter,
  MaskKind,
  MaskOption,
  RuleName,
  StreamName,
} from 'learning-rate-dropout/spec';
import { KEEP_PROBABILITY, MASK_KINDS, MASK_OPTIONS, MASK_STATE, RULES } from 'learning-rate-dropout/spec';
import { expandCase, sizeFault, stateNames } from '../protocol/expand.ts';
import type { ExpandedCase, ExpandedTensor, Hyper } from '../protocol/expand.ts';
import { drawnFault, maskStateNames, momentSlot } from '../protocol/kinds.ts';
import type {
  Adapter,
  Case,
  Feature,
  Kinds,
  MaskSource,
  Outcome,
  Reported,
  State,
  StepRecord,
} from '../protocol/types.ts';

export type Slots = Readonly<Record<string, number>>;

/** Where an element stands. */
export interface Place {
  readonly rule: RuleName;
  readonly hyper: Hyper;
  readonly p: number;
  /** The optimizer's step. */
  readonly step: number;
  /** Gradients that the tensor has received, this one included. */
  readonly count: number;
  /** How often this element has been kept before. */
  readonly kept: number;
  readonly tensor: number;
  /** Of that tensor. */
  readonly shape: readonly number[];
  readonly element: number;
  readonly excluded: boolean;
  /** Without learning rate dropout: the protocol's keepProbability null. */
  readonly base: boolean;
}

export interface MaskRequest {
  readonly p: number;
  readonly size: number;
  readonly shape: readonly number[];
  readonly tensor: number;
  readonly gradient: readonly number[];
}

/** Uniform numbers in [0, 1). */
export type Random = () => number;

/** One tensor under another kind of mask, before its factor is known. */
export interface TensorStep {
  readonly mask: Mask;
  readonly rule: RuleName;
  readonly hyper: Hyper;
  readonly p: number;
  /** Gradients that the tensor has had, this one included. */
  readonly count: number;
  /** The gradients that the moments see, and those that came. */
  readonly g: readonly number[];
  readonly raw: readonly number[];
  /** Directions before decoupled decay, and values. */
  readonly deltas: readonly number[];
  readonly theta: readonly number[];
  /** State before and after the step, by element. */
  readonly before: readonly Slots[];
  readonly after: readonly Slots[];
  /** Its mask. */
  readonly keep: readonly boolean[];
}

/** What a tensor remembers of its alignment. */
export interface Alignment {
  /** That a kept step is multiplied by. */
  readonly factor: number;
  /** That is stored for the next step. */
  readonly stored: number;
}

/** Every decision that can be gotten wrong. */
export interface Behaviour {
  readonly masks: readonly MaskSource[];
  readonly features: readonly Feature[];
  /** Protocol version 2. */
  readonly kinds: Kinds;
  /** Whether masks are reported at all. */
  readonly reportsMasks: boolean;
  // What is refused.
  refuses(example: Case): string | undefined;
  /** The message of a refusal. */
  message(text: string): string;
  // The mask stream.
  bases(tensors: readonly ExpandedTensor[], present: readonly boolean[]): readonly number[];
  key(seed: bigint): readonly [number, number];
  maskStep(step: number, firstStep: number): number;
  threshold(p: number): number;
  keeps(half: number, threshold: number): boolean;
  /** The stream that the masks of elements are from. */
  readonly maskStream: StreamName;
  /** From an element's index to the half that it reads. */
  half(index: number): number;
  /** Own masks. `random` goes on from call to call of one run. */
  own(request: MaskRequest, random: Random, step: number): boolean[];
  /** Seed of the own masks of a run. */
  ownSeed(seed: bigint, runs: number): number;
  /** The mask that takes effect, from the one drawn or given. */
  effective(
    mask: readonly boolean[],
    place: Omit<Place, 'element' | 'kept'>,
    history: readonly (readonly boolean[])[],
  ): readonly boolean[];
  keepProbability(p: number, index: number, all: readonly number[]): number;
  excluded(excluded: boolean): boolean;
  // One element's step.
  hyper(hyper: Hyper, place: { readonly index: number; readonly first: Hyper; readonly shared: Hyper }): Hyper;
  gradient(g: number, keep: boolean, place: Place): number;
  /** Coupled decay: what is added to the gradient. */
  coupled(decay: number, theta: number, keep: boolean, place: Place): number;
  /** The t of bias correction. */
  correction(place: Place): number;
  direction(
    g: number,
    slots: Slots,
    t: number,
    place: Place,
    theta: number,
  ): { readonly delta: number; readonly slots: Slots };
  /** The state that is kept, from the old and the new one. */
  state(before: Slots, after: Slots, keep: boolean, place: Place): Slots;
  update(theta: number, delta: number, keep: boolean, place: Place): number;
  /** A tensor without a gradient. */
  still(
    theta: number,
    slots: Slots,
    place: Omit<Place, 'kept'>,
  ): { readonly theta: number; readonly slots: Slots; readonly counts: boolean };
  /** The state that a run starts from. */
  restored(state: Case['state']): Case['state'];
  firstStep(example: Case): number;
  initialCount(example: Case): number;
  // Other kinds of mask.
  /** What one draw decides about. */
  granularity(mask: Mask): Granularity;
  /** The stream that a tensor's draw is from, and its index there. */
  tensorStream(base: number): { readonly stream: StreamName; readonly index: number };
  /** Whether an element agrees. */
  agrees(direction: number, gradient: number, step: Omit<TensorStep, 'keep'>, element: number): boolean;
  /** The vectors whose cosine is taken. */
  vectors(step: TensorStep, moment: readonly number[]): readonly [readonly number[], readonly number[]];
  /** Whether the moment is the mask's own. */
  ownMoment(step: TensorStep): boolean;
  moment(mu: number, g: number, mask: Mask): number;
  cosine(m: readonly number[], g: readonly number[], mask: Mask): number;
  /** What is measured at one step. */
  measured(cosine: number, mask: Mask): number;
  /** From the one that was stored, and the measured one. */
  alignment(previous: number | undefined, measured: number, step: TensorStep): Alignment;
  inverse(p: number): number;
  mean(keep: readonly boolean[], mask: Mask): number;
  /** The factor that is multiplied in. */
  factor(factor: number, step: TensorStep): number;
  decay(mask: Mask): Mask['decay'];
  /** Whether a tensor takes the base rule's step. */
  plain(plain: boolean, excluded: boolean): boolean;
  /** What is told of the mask, from the one that took effect. */
  reported(mask: readonly boolean[], step: number): readonly boolean[];
}

const n = (hyper: Hyper, name: string): number => hyper[name] as number;

/** The rules, for one element. */
export function direction(
  g: number,
  slots: Slots,
  t: number,
  { rule, hyper }: Pick<Place, 'rule' | 'hyper'>,
): { delta: number; slots: Slots } {
  const s = (name: string): number => slots[name] ?? 0;
  if (rule === 'sgdm') {
    const momentum = n(hyper, 'momentum');
    if (momentum === 0) return { delta: g, slots };
    const buf = t === 1 ? g : momentum * s('buf') + (1 - n(hyper, 'dampening')) * g;
    return { delta: hyper['nesterov'] === true ? g + momentum * buf : buf, slots: { ...slots, buf } };
  }
  if (rule === 'sgdm-avg') {
    const window = n(hyper, 'window');
    const next: Record<string, number> = { ...slots, [`ring${(t - 1) % window}`]: g };
    let sum = 0;
    for (let i = 0; i < window; i++) sum += next[`ring${i}`] ?? 0;
    return { delta: sum / window, slots: next };
  }
  if (rule === 'rmsprop') {
    const [rho, epsilon, momentum] = [n(hyper, 'rho'), n(hyper, 'epsilon'), n(hyper, 'momentum')];
    const v = rho * s('v') + (1 - rho) * g * g;
    const gavg = rho * s('gavg') + (1 - rho) * g;
    const centered = hyper['centered'] === true;
    const spread = centered ? Math.max(v - gavg * gavg, 0) : v;
    const r =
      hyper['epsilonPlacement'] === 'inside' ? g / Math.sqrt(spread + epsilon) : g / (Math.sqrt(spread) + epsilon);
    const buf = momentum * s('buf') + r;
    return {
      delta: momentum > 0 ? buf : r,
      slots: { ...slots, v, ...(centered ? { gavg } : {}), ...(momentum > 0 ? { buf } : {}) },
    };
  }
  const [beta1, beta2, epsilon] = [n(hyper, 'beta1'), n(hyper, 'beta2'), n(hyper, 'epsilon')];
  const m = beta1 * s('m') + (1 - beta1) * g;
  const v = beta2 * s('v') + (1 - beta2) * g * g;
  const [c1, c2] = [1 - beta1 ** t, 1 - beta2 ** t];
  const textbook = (x: number): number => m / c1 / (Math.sqrt(x / c2) + epsilon);
  const hat = ((m / c1) * Math.sqrt(c2)) / (Math.sqrt(v) + epsilon);
  const next = { ...slots, m, v };
  if (rule === 'amsgrad') {
    const form = hyper['maxOf'];
    const vmax = Math.max(s('vmax'), form === 'corrected' ? v / c2 : v);
    // Beside the root as it is before the correction.
    const beside = hyper['epsilonMode'] === 'hat' ? epsilon / Math.sqrt(c2) : epsilon;
    const root = Math.sqrt(vmax) + (form === 'uncorrected' ? epsilon : beside);
    const corrected = m / c1 / (Math.sqrt(vmax / c2) + beside);
    return {
      delta: form === 'raw' ? corrected : form === 'corrected' ? m / c1 / root : m / root,
      slots: { ...next, vmax },
    };
  }
  if (rule === 'radam') {
    const limit = 2 / (1 - beta2) - 1;
    const length = limit - (2 * t * beta2 ** t) / c2;
    const variant = hyper['variant'];
    const rectified = variant === 'paper' ? length > 4 : variant === 'original' ? length >= 5 : length > 5;
    if (!rectified) return { delta: m / c1, slots: next };
    const factor = Math.sqrt(((length - 4) * (length - 2) * limit) / ((limit - 4) * (limit - 2) * length));
    return { delta: factor * (variant === 'paper' ? textbook(v) : hat), slots: next };
  }
  return { delta: hyper['epsilonMode'] === 'hat' ? hat : textbook(v), slots: next };
}

function inRange(parameter: HyperParameter, value: unknown): boolean {
  if (parameter.kind === 'choice') return typeof value === 'string' && parameter.values.includes(value);
  if (parameter.kind === 'flag') return typeof value === 'boolean';
  return (
    typeof value === 'number' &&
    (parameter.openMinimum === true ? value > parameter.minimum : value >= parameter.minimum) &&
    (parameter.openMaximum === true ? value < parameter.maximum : value <= parameter.maximum) &&
    (parameter.integer !== true || Number.isInteger(value))
  );
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as readonly unknown[]) : [value]);

const word = (value: unknown): string => (typeof value === 'number' ? String(value) : JSON.stringify(value));

export function refuseHyper(example: Case): string | undefined {
  if (!Object.hasOwn(RULES, example.rule))
    return `rule must be one of ${Object.keys(RULES).join(', ')}, got ${example.rule}`;
  const table: Readonly<Record<string, HyperParameter>> = RULES[example.rule as RuleName].hyper;
  for (const [name, value] of [example.hyper, ...example.parameters.map(({ hyper }) => hyper)].flatMap((h) =>
    Object.entries(h ?? {}),
  )) {
    const parameter = table[name];
    if (parameter === undefined) return `hyper must have only ${Object.keys(table).join(', ')}, got ${name}`;
    const wrong = listOf(value).find((item) => !inRange(parameter, item));
    if (wrong !== undefined) return `${name} ${parameter.text}, got ${word(wrong)}`;
  }
  return undefined;
}

export function refuseKeepProbability(example: Case): string | undefined {
  const given = [example.keepProbability, ...example.parameters.map(({ keepProbability }) => keepProbability)];
  const wrong = given.flatMap(listOf).find((p) => p !== undefined && p !== null && !inRange(KEEP_PROBABILITY, p));
  return wrong === undefined ? undefined : `keepProbability ${KEEP_PROBABILITY.text}, got ${word(wrong)}`;
}

export function refuseMask(example: Case): string | undefined {
  const { mask } = example;
  if (mask === undefined) return undefined;
  const { kind, ...options } = mask;
  if (!Object.hasOwn(MASK_KINDS, kind)) {
    return `mask.kind must be one of ${Object.keys(MASK_KINDS).join(', ')}, got ${word(kind)}`;
  }
  const row: MaskKind = MASK_KINDS[kind];
  const factor = options.factor ?? row.factor;
  const cells: Readonly<Record<string, readonly string[]>> = { granularity: row.granularities, factor: row.factors };
  for (const [name, value] of Object.entries(options)) {
    const allowed = cells[name];
    if (allowed !== undefined) {
      if (!allowed.includes(String(value)))
        return `mask.${name} must be one of ${allowed.join(', ')}, got ${word(value)}`;
      continue;
    }
    const option = (MASK_OPTIONS as Readonly<Record<string, MaskOption>>)[name];
    if (option === undefined || option.factors?.includes(factor) === false) {
      return `mask.${name} must be left out with kind ${kind}, got ${word(value)}`;
    }
    if (!inRange(option.parameter, value)) return `mask.${name} ${option.parameter.text}, got ${word(value)}`;
  }
  return drawnFault(example);
}

/** sfc32 (Chris Doty-Humphrey's PractRand): small, fast, and good enough that no test of the kit sees it. */
export function sfc32(seed: number): Random {
  let [a, b, c, counter] = [seed | 0, (seed / 2 ** 32) | 0, 0x9e3779b9 | 0, 1];
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 16; i++) next();
  return next;
}

/** Nothing wrong with it. */
export const HONEST: Behaviour = {
  masks: ['stream', 'given', 'own'],
  features: ['state', 'resume', 'base', 'schedule', 'groups', 'null-gradient'],
  reportsMasks: true,
  kinds: {},
  refuses: (example) =>
    refuseHyper(example) ?? refuseKeepProbability(example) ?? refuseMask(example) ?? sizeFault(example),
  message: (text) => text,
  bases: (tensors) => layout(tensors.map(({ size }) => size)),
  key: (seed) => [Number(seed & 0xffffffffn), Number(seed >> 32n)],
  maskStep: (step) => step,
  threshold: (p) => Math.max(1, Math.floor(p * 65536 + 0.5)),
  keeps: (half, threshold) => half < threshold,
  maskStream: 'mask',
  half: (index) => index,
  own: ({ p, size }, random) => Array.from({ length: size }, () => random() < p),
  ownSeed: (seed, runs) => Number(seed & 0xffffffffffffn) + 2 ** 20 * runs,
  effective: (mask) => mask,
  keepProbability: (p) => p,
  excluded: (excluded) => excluded,
  hyper: (hyper) => hyper,
  gradient: (g) => g,
  coupled: (decay, theta) => decay * theta,
  correction: ({ count }) => count,
  direction,
  state: (_before, after) => after,
  update: (theta, delta, keep, { hyper }) => (keep ? theta - n(hyper, 'learningRate') * delta : theta),
  still: (theta, slots) => ({ theta, slots, counts: false }),
  restored: (state) => state,
  firstStep: (example) => example.firstStep ?? 1,
  initialCount: (example) => (example.state === undefined ? 0 : (example.firstStep ?? 1) - 1),
  granularity: ({ granularity }) => granularity,
  tensorStream: (base) => ({ stream: 'tensorMask', index: base }),
  agrees: (u, g) => (u > 0 && g > 0) || (u < 0 && g < 0),
  vectors: ({ g }, moment) => [moment, g],
  ownMoment: ({ mask, rule, hyper }) => momentSlot(mask, rule, hyper) === MASK_STATE.moment,
  moment: (mu, g, { momentDecay }) => momentDecay * mu + (1 - momentDecay) * g,
  cosine: (m, g, { cosineEpsilon }) => {
    const norms = Math.hypot(...m) * Math.hypot(...g);
    return norms === 0 ? 0 : dot(m, g) / Math.max(norms, cosineEpsilon);
  },
  measured: (cosine, { temperature }) => 1 / (1 + Math.exp(-cosine / temperature)),
  alignment: (previous, measured, { mask: { smoothing, firstAlignment } }) => {
    const before = previous ?? (firstAlignment === 'measured' ? measured : firstAlignment === 'one' ? 1 : 0.5);
    const next = smoothing * before + (1 - smoothing) * measured;
    return { factor: next, stored: next };
  },
  inverse: (p) => 65536 / Math.max(1, Math.floor(p * 65536 + 0.5)),
  mean: (keep, { normalization, meanFloor }) => {
    const kept = keep.filter(Boolean).length;
    return normalization === 'count' ? keep.length / (kept + 1) : 1 / Math.max(kept / keep.length, meanFloor);
  },
  factor: (factor) => factor,
  decay: ({ decay }) => decay,
  plain: (plain) => plain,
  reported: (mask) => mask,
};

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);

interface Tensor {
  theta: number[];
  slots: Slots[];
  count: number;
  kept: number[];
  alignment: number | undefined;
}

function streamMask(b: Behaviour, seed: bigint, base: number, size: number, step: number, p: number): boolean[] {
  if (p === 1) return new Array<boolean>(size).fill(true);
  const indices = Array.from({ length: size }, (_, i) => b.half(base + i));
  // From the start of the first element's block to the last half that is read.
  const first = indices.reduce((a, x) => Math.min(a, x), base);
  const last = indices.reduce((a, x) => Math.max(a, x), first);
  const start = first - (first % 8);
  const position = { key: b.key(seed), step: step >>> 0, stream: b.maskStream, base: start } as const;
  const all = halves(position, last - start + 1);
  const threshold = b.threshold(p);
  return indices.map((index) => b.keeps(all[index - start] as number, threshold));
}

/** The one draw of a tensor. */
function tensorDraw(b: Behaviour, seed: bigint, base: number, step: number, p: number): boolean {
  const { stream, index } = b.tensorStream(base);
  const start = index - (index % 8);
  const all = halves({ key: b.key(seed), step: step >>> 0, stream, base: start }, index - start + 1);
  return b.keeps(all[index - start] as number, b.threshold(p));
}

/** Factor and alignment of a tensor, and the moment that the mask keeps where it keeps one. */
function cellFactor(
  b: Behaviour,
  step: TensorStep,
  previous: number | undefined,
): { factor: number; alignment?: number; mu?: readonly number[] } {
  const { mask, rule, hyper, before, after, g, keep, p } = step;
  if (mask.factor === 'inverse') return { factor: b.factor(b.inverse(p), step) };
  if (mask.factor === 'mean') return { factor: keep.length === 0 ? 1 : b.factor(b.mean(keep, mask), step) };
  if (mask.factor !== 'alignment') return { factor: b.factor(1, step) };
  const own = b.ownMoment(step);
  const mu = own ? g.map((x, i) => b.moment(before[i]?.[MASK_STATE.moment] ?? 0, x, mask)) : undefined;
  const slot = own ? MASK_STATE.moment : momentSlot({ moment: 'rule' }, rule, hyper);
  const slots = mask.momentTime === 'before' ? before : after;
  const m = mu !== undefined && mask.momentTime === 'after' ? mu : slots.map((one) => one[slot] ?? 0);
  const [left, right] = b.vectors(step, m);
  const { factor, stored } = b.alignment(previous, b.measured(b.cosine(left, right, mask), mask), step);
  return { factor: b.factor(factor, step), alignment: stored, ...(mu === undefined ? {} : { mu }) };
}

/** Cases written out: a diagnosis asks thousands of implementations for the same one. */
const EXPANDED = new WeakMap<Case, ExpandedCase>();

function expanded(example: Case): ExpandedCase {
  const known = EXPANDED.get(example);
  if (known !== undefined) return known;
  const fresh = expandCase(example);
  EXPANDED.set(example, fresh);
  return fresh;
}

function runCase(b: Behaviour, example: Case, runs: number): StepRecord[] {
  const rule = example.rule as RuleName;
  const { tensors, steps, mask: other } = expanded(example);
  const seed = BigInt(example.seed ?? runs);
  const random = sfc32(b.ownSeed(seed, runs));
  const begun = steps[0]?.tensors[0]?.hyper ?? {};
  const maskNames = maskStateNames(other, rule, begun);
  const names = [...stateNames(rule, begun), ...maskNames].filter(
    (name) => name !== 'ring' && name !== MASK_STATE.alignment,
  );
  const state = b.restored(example.state);
  // Slots are never changed in place: elements without a state share one.
  const zeros: Slots = Object.fromEntries(names.map((name) => [name, 0]));
  const now: Tensor[] = tensors.map(({ values, size }, k) => {
    const ring = state?.['ring']?.[k] ?? [];
    return {
      theta: [...values],
      count: b.initialCount(example),
      kept: new Array<number>(size).fill(0),
      alignment: state?.[MASK_STATE.alignment]?.[k]?.[0],
      slots: Array.from({ length: size }, (_, i) =>
        state === undefined
          ? zeros
          : {
              ...Object.fromEntries(names.map((name) => [name, state[name]?.[k]?.[i] ?? 0])),
              ...Object.fromEntries(
                Array.from({ length: size === 0 ? 0 : ring.length / size }, (_row, row) => [
                  `ring${row}`,
                  ring[row * size + i] ?? 0,
                ]),
              ),
            },
      ),
    };
  });
  const firstHyper = steps[0]?.tensors.map(({ hyper }) => hyper) ?? [];
  const histories: (readonly boolean[])[][] = tensors.map(() => []);
  const list = Array.isArray(example.keepProbability) ? (example.keepProbability as readonly number[]) : [];
  const wanted: readonly Reported[] = example.report ?? ['parameters', 'masks', 'state'];
  const masksOnly = b.reportsMasks && wanted.every((name) => name === 'masks');
  return steps.map((asked, index): StepRecord => {
    const step = b.firstStep(example) + index;
    const bases = b.bases(
      tensors,
      asked.tensors.map(({ gradient }) => gradient !== null),
    );
    const reported: (string | null)[] = [];
    for (const [k, asking] of asked.tensors.entries()) {
      const { gradient, hyper: ordered, keepProbability, mask: given } = asking;
      const tensor = now[k] as Tensor;
      const { shape, size, excluded: toExclude } = tensors[k] as ExpandedTensor;
      const excluded = b.excluded(toExclude);
      const shared = { ...ordered, ...example.hyper } as Hyper;
      const hyper = b.hyper(ordered, { index, first: firstHyper[k] ?? ordered, shared });
      let p = excluded ? 1 : b.keepProbability(keepProbability, index, list);
      if (toExclude && !excluded && typeof example.keepProbability === 'number') p = example.keepProbability;
      const place = { rule, hyper, p, step, tensor: k, shape, excluded, base: example.keepProbability === null };
      if (gradient === null) {
        for (let i = 0; i < size; i++) {
          const rest = b.still(tensor.theta[i] as number, tensor.slots[i] as Slots, {
            ...place,
            count: tensor.count,
            element: i,
          });
          tensor.theta[i] = rest.theta;
          tensor.slots[i] = rest.slots;
          if (i === 0 && rest.counts) tensor.count += 1;
        }
        reported.push(null);
        continue;
      }
      tensor.count += 1;
      const count = tensor.count;
      const cell = b.plain(asking.plain, toExclude) ? undefined : other;
      const whole = cell !== undefined && b.granularity(cell) === 'tensor';
      let drawn: boolean[];
      if (cell?.draw === 'agreement') drawn = [];
      else if (given !== undefined) drawn = Array.from(given, (bit) => bit === '1');
      else if (p === 1) drawn = new Array<boolean>(size).fill(true);
      else if (whole && example.masks === 'stream') {
        const kept = tensorDraw(b, seed, bases[k] as number, b.maskStep(step, b.firstStep(example)), p);
        drawn = new Array<boolean>(size).fill(kept);
      } else if (whole) {
        const [kept = true] = b.own({ p, size: 1, shape: [], tensor: k, gradient }, random, step);
        drawn = new Array<boolean>(size).fill(kept);
      } else if (example.masks === 'stream')
        drawn = streamMask(b, seed, bases[k] as number, size, b.maskStep(step, b.firstStep(example)), p);
      else drawn = b.own({ p, size, shape, tensor: k, gradient }, random, step);
      let mask = p === 1 && given === undefined ? drawn : b.effective(drawn, { ...place, count }, histories[k] ?? []);
      histories[k]?.push(drawn);
      const tell = (): void => {
        if (!wanted.includes('masks')) return;
        let bits = '';
        for (const bit of b.reported(mask, step)) bits += bit ? '1' : '0';
        reported.push(bits);
      };
      if (cell?.draw !== 'agreement') tell();
      // Masks do not depend on values: where only they are asked for, nothing else need be computed.
      if (masksOnly && cell?.draw !== 'agreement') continue;
      const here = { ...place, count, element: 0, kept: 0 };
      const decay = n(hyper, 'weightDecay');
      const coupled = rule !== 'adamw' && decay > 0;
      const standAt = (i: number): void => {
        here.element = i;
        here.kept = tensor.kept[i] as number;
      };
      const made = tensor.theta.map((theta, i) => {
        standAt(i);
        const keep = mask[i] ?? true;
        let g = b.gradient(gradient[i] as number, keep, here);
        if (coupled) g += b.coupled(decay, theta, keep, here);
        const { delta, slots } = b.direction(g, tensor.slots[i] as Slots, b.correction(here), here, theta);
        return { g, delta, slots };
      });
      let factor = 1;
      let mu: readonly number[] | undefined;
      if (cell !== undefined) {
        const before: Omit<TensorStep, 'keep'> = {
          mask: cell,
          rule,
          hyper,
          p,
          count,
          raw: gradient,
          theta: tensor.theta,
          before: tensor.slots,
          g: made.map(({ g }) => g),
          deltas: made.map(({ delta }) => delta),
          after: made.map(({ slots }) => slots),
        };
        if (cell.draw === 'agreement') {
          mask = made.map(({ delta, g }, i) => b.agrees(delta, g, before, i));
          tell();
        }
        const result = cellFactor(b, { ...before, keep: mask }, count === 1 ? undefined : tensor.alignment);
        ({ factor, mu } = { mu: undefined, ...result });
        if (result.alignment !== undefined) tensor.alignment = result.alignment;
      }
      for (const [i, { delta, slots }] of made.entries()) {
        standAt(i);
        const keep = mask[i] as boolean;
        const theta = tensor.theta[i] as number;
        const kept = b.state(tensor.slots[i] as Slots, slots, keep, here);
        tensor.slots[i] = mu === undefined ? kept : { ...kept, [MASK_STATE.moment]: mu[i] as number };
        const shrink = rule === 'adamw' && decay > 0 ? decay * theta : undefined;
        const mode = cell === undefined ? 'scaled' : b.decay(cell);
        if (!keep && mode === 'plain' && shrink !== undefined) {
          tensor.theta[i] = theta - n(hyper, 'learningRate') * shrink;
        } else {
          const step = factor * (mode === 'scaled' && shrink !== undefined ? delta + shrink : delta);
          tensor.theta[i] = b.update(
            theta,
            mode === 'scaled' || shrink === undefined ? step : step + shrink,
            keep,
            here,
          );
        }
        if (keep) tensor.kept[i] = (tensor.kept[i] as number) + 1;
      }
    }
    const window = n(steps[0]?.tensors[0]?.hyper ?? {}, 'window');
    const stateOf = (): State =>
      Object.fromEntries([
        ...names.map((name) => [name, now.map(({ slots }) => slots.map((slot) => slot[name] ?? 0))]),
        ...(maskNames.includes(MASK_STATE.alignment)
          ? [[MASK_STATE.alignment, now.map(({ alignment }) => (alignment === undefined ? [] : [alignment]))]]
          : []),
        ...(rule === 'sgdm-avg'
          ? [
              [
                'ring',
                now.map(({ slots }) =>
                  Array.from({ length: window }, (_, row) => slots.map((slot) => slot[`ring${row}`] ?? 0)).flat(),
                ),
              ],
            ]
          : []),
      ]) as State;
    return {
      ...(wanted.includes('parameters') ? { parameters: now.map(({ theta }) => [...theta]) } : {}),
      ...(wanted.includes('masks') ? { masks: b.reportsMasks ? reported : reported.map(() => null) } : {}),
      ...(wanted.includes('state') && b.features.includes('state') ? { state: stateOf() } : {}),
    };
  });
}

/** The honest implementation with some of its decisions replaced. */
export function openPlanted(name: string, changes: Partial<Behaviour> = {}): Adapter {
  const behaviour: Behaviour = { ...HONEST, ...changes };
  let runs = 0;
  return {
    implementation: {
      name,
      language: 'typescript',
      precision: 'float64',
      rules: Object.keys(RULES),
      masks: behaviour.masks,
      features: behaviour.features,
      kinds: behaviour.kinds,
    },
    run: (example): Promise<Outcome> => {
      runs += 1;
      const fault = behaviour.refuses(example);
      return Promise.resolve(
        fault === undefined
          ? { kind: 'result', steps: runCase(behaviour, example, runs) }
          : { kind: 'errored', code: 'invalid-argument', message: behaviour.message(fault) },
      );
    },
    close: () => Promise.resolve(),
  };
}
