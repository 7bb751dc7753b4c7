/** The update of one element written out with its numbers, as one would on paper: for the reader of a counterexample. */
import type { Mask } from 'learning-rate-dropout/ref';
import { RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import { referenceSteps } from '../adapters/reference.ts';
import { expandCase } from '../protocol/expand.ts';
import type { Hyper } from '../protocol/expand.ts';
import type { Case, StepRecord } from '../protocol/types.ts';
import type { Position } from './finding.ts';
import { expectedMasks } from './judgeSteps.ts';

/** Steps that are shown: those before are told in a word. */
const STEPS_SHOWN = 4;

/** Seven digits are enough to follow by hand. */
function digits(x: number): string {
  if (Object.is(x, -0)) return '-0';
  return Number.isInteger(x) && Math.abs(x) < 1e7 ? String(x) : String(Number(x.toPrecision(7)));
}

/** A factor or a term: negative numbers in parentheses. */
const term = (x: number): string => (x < 0 || Object.is(x, -0) ? `(${digits(x)})` : digits(x));

type Slots = Record<string, number>;

/** One step on paper: the lines, and what they come to. */
interface Written {
  readonly lines: readonly string[];
  readonly delta: number;
}

function rectifier(beta2: number, t: number): { length: number; factor: number } {
  const limit = 2 / (1 - beta2) - 1;
  const length = limit - (2 * t * beta2 ** t) / (1 - beta2 ** t);
  const factor = Math.sqrt(((length - 4) * (length - 2) * limit) / ((limit - 4) * (limit - 2) * length));
  return { length, factor };
}

/** Writes out deltaW from the gradient (L2 included) and the state, which it takes on. */
function writeDirection(rule: RuleName, hyper: Hyper, t: number, g: number, slots: Slots, ring: number[]): Written {
  const lines: string[] = [];
  const h = (name: string): number => hyper[name] as number;
  const set = (name: string, formula: string, value: number): number => {
    slots[name] = value;
    lines.push(`${name} = ${formula} = ${digits(value)}`);
    return value;
  };
  const old = (name: string): number => slots[name] ?? 0;
  const average = (name: string, beta: number, x: number, text: string): number =>
    set(
      name,
      `${digits(beta)} * ${term(old(name))} + ${digits(1 - beta)} * ${text}`,
      beta * old(name) + (1 - beta) * x,
    );
  const step = (formula: string, value: number): Written => ({
    lines: [...lines, `step = ${formula} = ${digits(value)}`],
    delta: value,
  });

  if (rule === 'sgdm') {
    const momentum = h('momentum');
    if (momentum === 0) return { lines: [`step = g = ${digits(g)}`], delta: g };
    const rest = 1 - h('dampening');
    const buf =
      t === 1
        ? set('buf', 'g', g)
        : set(
            'buf',
            `${digits(momentum)} * ${term(old('buf'))} + ${rest === 1 ? '' : `${digits(rest)} * `}${term(g)}`,
            momentum * old('buf') + rest * g,
          );
    if (hyper['nesterov'] !== true) return { lines, delta: buf };
    return step(`${digits(g)} + ${digits(momentum)} * ${term(buf)}`, g + momentum * buf);
  }
  if (rule === 'sgdm-avg') {
    const window = h('window');
    ring.unshift(g);
    ring.length = Math.min(ring.length, window);
    const sum = ring.reduce((total, x) => total + x, 0);
    return step(`(${ring.map(term).join(' + ')}) / ${window}`, sum / window);
  }
  const square = `${term(g)}^2`;
  if (rule === 'rmsprop') {
    const v = average('v', h('rho'), g * g, square);
    let [spread, text] = [v, digits(v)];
    if (hyper['centered'] === true) {
      const gavg = average('gavg', h('rho'), g, term(g));
      [spread, text] = [Math.max(v - gavg * gavg, 0), `max(${digits(v)} - ${term(gavg)}^2, 0)`];
    }
    const inside = hyper['epsilonPlacement'] === 'inside';
    const r = inside ? g / Math.sqrt(spread + h('epsilon')) : g / (Math.sqrt(spread) + h('epsilon'));
    const formula = inside
      ? `${digits(g)} / sqrt(${text} + ${digits(h('epsilon'))})`
      : `${digits(g)} / (sqrt(${text}) + ${digits(h('epsilon'))})`;
    if (h('momentum') === 0) return step(formula, r);
    lines.push(`r = ${formula} = ${digits(r)}`);
    const buf = h('momentum') * old('buf') + r;
    const before = old('buf');
    return { delta: set('buf', `${digits(h('momentum'))} * ${term(before)} + ${term(r)}`, buf), lines };
  }
  const [beta1, beta2, epsilon] = [h('beta1'), h('beta2'), h('epsilon')];
  const m = average('m', beta1, g, term(g));
  const v = average('v', beta2, g * g, square);
  const [c1, c2] = [1 - beta1 ** t, 1 - beta2 ** t];
  const mhat = m / c1;
  lines.push(`mhat = ${digits(m)} / (1 - ${digits(beta1)}^${t}) = ${digits(mhat)}`);
  const over = (top: number, x: number, beside = epsilon): Written =>
    step(`${digits(top)} / (sqrt(${digits(x)}) + ${digits(beside)})`, top / (Math.sqrt(x) + beside));
  const corrected = (x: number, name: string): number => {
    lines.push(`${name} = ${digits(x)} / (1 - ${digits(beta2)}^${t}) = ${digits(x / c2)}`);
    return x / c2;
  };
  if (rule === 'amsgrad') {
    const form = hyper['maxOf'];
    const candidate = form === 'corrected' ? corrected(v, 'vhat') : v;
    const vmax = set('vmax', `max(${digits(old('vmax'))}, ${digits(candidate)})`, Math.max(old('vmax'), candidate));
    if (form === 'uncorrected') return over(m, vmax);
    const beside = hyper['epsilonMode'] === 'hat' ? epsilon / Math.sqrt(c2) : epsilon;
    return over(mhat, form === 'raw' ? corrected(vmax, 'vmax corrected') : vmax, beside);
  }
  const hat = (): Written => over(mhat * Math.sqrt(c2), v);
  if (rule === 'radam') {
    const { length, factor } = rectifier(beta2, t);
    const variant = hyper['variant'];
    const rectified = variant === 'paper' ? length > 4 : variant === 'original' ? length >= 5 : length > 5;
    if (!rectified) return step(`mhat (rho_${t} = ${digits(length)}: not rectified)`, mhat);
    const { lines: written, delta } = variant === 'paper' ? over(mhat, corrected(v, 'vhat')) : hat();
    const inner = written.at(-1)?.replace('step = ', 'u = ') ?? '';
    return {
      lines: [...written.slice(0, -1), inner, `step = ${digits(factor)} * u = ${digits(factor * delta)}`],
      delta: factor * delta,
    };
  }
  return hyper['epsilonMode'] === 'hat' ? hat() : over(mhat, corrected(v, 'vhat'));
}

/** What the reference multiplies each tensor's steps by, and its masks where signs decide; undefined where that cannot be told. */
function factorsOf(
  example: Case,
  steps: readonly StepRecord[] | undefined,
): readonly { readonly factors: readonly (number | null)[]; readonly masks: readonly (string | null)[] }[] | undefined {
  const told = steps?.map(({ masks }) => masks ?? []);
  const undrawn = example.keepProbability === undefined || example.keepProbability === null;
  const own = !undrawn && (example.masks === undefined || example.masks === 'own');
  const { seed: _, ...rest } = example;
  try {
    const known: Case = own ? { ...rest, masks: (told ?? []) as readonly (readonly string[])[] } : example;
    return referenceSteps(known).map(({ report: { factors, masks } }) => ({
      factors,
      masks: masks.map((mask) => (mask === null ? null : Array.from(mask).join(''))),
    }));
  } catch {
    // A case that the reference refuses, or masks that nobody told.
    return undefined;
  }
}

/** The factor of a kept step in words: what it is, and its number where it is known. */
function factorText({ factor }: Mask, s: number | undefined): string {
  const words = { one: '1', inverse: '1/p', alignment: 'alignment', mean: '1/mean(mask)' } as const;
  return s === undefined ? `s = ${words[factor]}` : `s = ${words[factor]} = ${digits(s)}`;
}

/**
 * The steps of one element up to the one that is wrong, from the implementation's own numbers where it reported them: what each of
 * them should have come to.
 */
export function writeOut(example: Case, steps: readonly StepRecord[] | undefined, position: Position): string[] {
  if (!Object.hasOwn(RULES, example.rule)) return [];
  const rule = example.rule as RuleName;
  const expanded = expandCase(example);
  const { tensor: k, element: i, index } = position;
  const tensor = expanded.tensors[k];
  if (tensor === undefined || i >= tensor.size) return [];
  const stream = example.masks === 'stream' ? expectedMasks(example, expanded) : undefined;
  const made = expanded.mask === undefined ? undefined : factorsOf(example, steps);
  const resumed = example.state !== undefined;
  let theta = tensor.values[i] as number;
  let count = resumed ? (example.firstStep ?? 1) - 1 : 0;
  const slots: Slots = {};
  const ring: number[] = [];
  for (const [name, tensors] of Object.entries(example.state ?? {}))
    if (name !== 'ring') slots[name] = tensors[k]?.[i] ?? 0;
  const lines: string[] = [];
  for (const [at, { step, tensors }] of expanded.steps.slice(0, index + 1).entries()) {
    const here = tensors[k];
    const record = steps?.[at];
    if (here === undefined) return lines;
    const head = `step ${step}, ${tensor.name}[${i}]:`;
    const written: string[] = [];
    if (here.gradient === null) written.push('no gradient: nothing moves');
    else {
      count += 1;
      const decay = here.hyper['weightDecay'] as number;
      const alpha = here.hyper['learningRate'] as number;
      let g = here.gradient[i] as number;
      written.push(`g = ${digits(g)}`);
      if (RULES[rule].decay === 'coupled' && decay > 0) {
        const raw = g;
        g += decay * theta;
        written.push(`g + L2 = ${digits(raw)} + ${digits(decay)} * ${term(theta)} = ${digits(g)}`);
      }
      const { lines: direction, delta } = writeDirection(rule, here.hyper, count, g, slots, ring);
      written.push(...direction);
      const cell = here.plain ? undefined : expanded.mask;
      const p = here.keepProbability;
      const signs = cell?.draw === 'agreement' ? (made?.[at]?.masks[k] ?? '') : undefined;
      const everything = p === 1 && here.mask === undefined && signs === undefined;
      const bit = everything ? '1' : (signs ?? here.mask ?? stream?.[at]?.[k] ?? record?.masks?.[k])?.[i];
      const decoupled = RULES[rule].decay !== 'coupled' && decay > 0;
      const s = cell === undefined || cell.factor === 'one' ? 1 : (made?.[at]?.factors[k] ?? undefined);
      if (cell !== undefined && cell.factor !== 'one') written.push(factorText(cell, s));
      const times = cell === undefined || cell.factor === 'one' ? '' : 's * ';
      const scale = s ?? Number.NaN;
      const inside = cell === undefined || cell.decay === 'scaled';
      const whole = decoupled
        ? inside
          ? scale * (delta + decay * theta)
          : scale * delta + decay * theta
        : scale * delta;
      const shrink = `${digits(decay)} * ${term(theta)}`;
      const text = decoupled
        ? inside
          ? `${times}(${digits(delta)} + ${shrink})`
          : `(${times}${term(delta)} + ${shrink})`
        : `${times}${term(delta)}`;
      const moved = theta - alpha * whole;
      const result = Number.isNaN(moved) && s === undefined ? '' : ` = ${digits(moved)}`;
      const formula = `${digits(theta)} - ${digits(alpha)} * ${text}${result}`;
      if (bit === '0' && decoupled && cell?.decay === 'plain') {
        const decayed = theta - alpha * decay * theta;
        written.push(`dropped: ${tensor.name} = ${digits(theta)} - ${digits(alpha)} * ${shrink} = ${digits(decayed)}`);
        theta = decayed;
      } else if (bit === '0') written.push(`dropped: ${tensor.name} stays ${digits(theta)}`);
      else if (bit === '1') {
        written.push(`kept: ${tensor.name} = ${formula}`);
        theta = moved;
      } else written.push(`${tensor.name} = ${formula} if kept, ${digits(theta)} if dropped`);
    }
    lines.push(`${head} ${written.join('; ')}`);
    const reported = record?.parameters?.[k]?.[i];
    if (at < index && reported !== undefined) theta = reported;
    for (const [name, states] of Object.entries(record?.state ?? {})) {
      const x = states[k]?.[i];
      if (at < index && name !== 'ring' && x !== undefined) slots[name] = x;
    }
  }
  const left = lines.length - STEPS_SHOWN;
  return left <= 0 ? lines : [`(${left} steps before)`, ...lines.slice(left)];
}
