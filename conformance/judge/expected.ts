/**
 * What one step of each base rule may give, element by element, as acceptance intervals. Written from the formulas of the rule
 * table (`spec/rules.ts`) in interval arithmetic, apart from the reference: two derivations that agree mean something.
 */
import type { Hyper } from '../protocol/expand.ts';
import type { Implementation } from '../protocol/types.ts';
import { ANYTHING, FLOAT32, FLOAT64, WGSL, arithmeticOf, hull, point } from './interval.ts';
import type { Arithmetic, Interval } from './interval.ts';

/** The two arithmetics of an implementation: one for tensors, one for the scalars that the host computes once a step. */
export interface Machine {
  readonly tensor: Arithmetic;
  readonly host: Arithmetic;
}

const arithmetics = {
  float64: arithmeticOf(FLOAT64),
  float32: arithmeticOf(FLOAT32),
  wgsl: arithmeticOf(WGSL),
} as const;

export function machineOf({ precision, features }: Pick<Implementation, 'precision' | 'features'>): Machine {
  if (precision === 'float64') return { tensor: arithmetics.float64, host: arithmetics.float64 };
  return {
    tensor: features.includes('relaxed-float32') ? arithmetics.wgsl : arithmetics.float32,
    host: features.includes('float32-scalars') ? arithmetics.float32 : arithmetics.float64,
  };
}

/** State of one element by name; for `sgdm-avg` the last gradients, newest first, as `history`. */
export interface ElementState {
  readonly slots: Readonly<Record<string, Interval>>;
  readonly history: readonly Interval[];
}

/** What another cell of the family than LRD's does with a step. */
export interface Factored {
  /** s: one factor a tensor. */
  readonly factor: Interval;
  /** Decoupled decay: masked and scaled with the step, masked only, or neither. */
  readonly decay: 'scaled' | 'masked' | 'plain';
}

export interface ElementStep {
  /** The parameter after the step, where it is kept. */
  readonly parameter: Interval;
  /** Where it is dropped. */
  readonly dropped: Interval;
  /** The direction before decoupled decay, and the gradient that the moments saw: whose signs Cautious compares. */
  readonly direction: Interval;
  readonly gradient: Interval;
  /** The gradient before coupled L2, all that a wrapper around an optimizer sees. */
  readonly raw: Interval;
  readonly state: ElementState;
}

const ZERO: Interval = { lo: 0, hi: 0 };

const number = (hyper: Hyper, name: string): number => hyper[name] as number;

/** Everything about a tensor's step that is the same for all of its elements, computed once. */
export interface StepScalars {
  readonly hyper: Hyper;
  readonly rule: string;
  readonly count: number;
  readonly value: (name: string) => Interval;
}

/** @param count - gradients that the tensor has received, this one included: the t of the bias correction */
export function scalarsOf(machine: Machine, rule: string, hyper: Hyper, count: number): StepScalars {
  const { host, tensor } = machine;
  const one = point(1);
  // A decimal such as .999 enters float64 exactly as JavaScript reads it, and float32 scalars after one rounding.
  const given = (name: string): Interval =>
    host.accuracy.bits === 53 ? point(number(hyper, name)) : host.rounded(point(number(hyper, name)));
  const settle = (x: Interval): Interval => (tensor.accuracy.bits === 53 ? x : tensor.rounded(x));
  const minus = (x: Interval): Interval => (x.lo === 0 && x.hi === 0 ? one : host.sub(one, x));
  const cache = new Map<string, Interval>();
  const compute = (name: string): Interval => {
    switch (name) {
      case '1-dampening':
        return settle(minus(given('dampening')));
      case '1-rho':
        return settle(minus(given('rho')));
      case '1-beta1':
        return settle(minus(given('beta1')));
      case '1-beta2':
        return settle(minus(given('beta2')));
      case 'correction1':
        return settle(minus(host.pow(given('beta1'), count)));
      case 'correction2':
        return settle(minus(host.pow(given('beta2'), count)));
      case 'root2':
        return settle(host.sqrt(minus(host.pow(given('beta2'), count))));
      case 'shrink':
        return settle(host.sub(one, host.mul(given('learningRate'), given('weightDecay'))));
      case 'rectifier': {
        const power = host.pow(given('beta2'), count);
        const limit = host.sub(host.div(point(2), minus(given('beta2'))), one);
        const rho = host.sub(limit, host.div(host.mul(point(2 * count), power), minus(power)));
        const product = (x: Interval): Interval => host.mul(host.sub(x, point(4)), host.sub(x, point(2)));
        const ratio = host.div(host.mul(product(rho), limit), host.mul(product(limit), rho));
        return settle(host.sqrt(ratio));
      }
      default:
        return settle(given(name));
    }
  };
  return {
    hyper,
    rule,
    count,
    value: (name) => {
      let value = cache.get(name);
      if (value === undefined) cache.set(name, (value = compute(name)));
      return value;
    },
  };
}

/** Whether RAdam's step `count` is rectified; both answers where rounding could decide. */
function rectified(hyper: Hyper, count: number): readonly boolean[] {
  const beta2 = number(hyper, 'beta2');
  const power = beta2 ** count;
  const rho = 2 / (1 - beta2) - 1 - (2 * count * power) / (1 - power);
  const limit = hyper['variant'] === 'paper' ? 4 : 5;
  if (Math.abs(rho - limit) < 1e-6 * (2 / (1 - beta2))) return [true, false];
  return [rho > limit];
}

/**
 * One element's step.
 *
 * @param parameter - before the step
 * @param gradient - raw: coupled L2 is added here
 * @param factored - left out: LRD's own step
 */
export function expectedStep(
  { tensor: a }: Machine,
  scalars: StepScalars,
  parameter: Interval,
  gradient: Interval,
  before: ElementState,
  factored?: Factored,
): ElementStep {
  const { hyper, rule, count, value } = scalars;
  const slot = (name: string): Interval => before.slots[name] ?? ZERO;
  const decay = number(hyper, 'weightDecay');
  const coupled = decay > 0 && rule !== 'adamw';
  const g = coupled ? a.add(gradient, a.mul(value('weightDecay'), parameter)) : gradient;
  const accumulate = (old: Interval, keep: string, add: string, x: Interval): Interval =>
    a.add(a.mul(value(keep), old), a.mul(value(add), x));

  let state: ElementState = before;
  let deltas: readonly Interval[];
  switch (rule) {
    case 'sgdm': {
      if (number(hyper, 'momentum') === 0) {
        deltas = [g];
        break;
      }
      const buf = count === 1 ? g : accumulate(slot('buf'), 'momentum', '1-dampening', g);
      state = { ...before, slots: { ...before.slots, buf } };
      deltas = [hyper['nesterov'] === true ? a.add(g, a.mul(value('momentum'), buf)) : buf];
      break;
    }
    case 'sgdm-avg': {
      const window = number(hyper, 'window');
      const history = [g, ...before.history].slice(0, window);
      let sum = ZERO;
      for (const item of [...history].reverse()) sum = a.add(sum, item);
      // Sums in another order round differently by as much as the largest partial sum.
      const size = history.reduce((s, { lo, hi }) => s + Math.max(Math.abs(lo), Math.abs(hi)), 0);
      const slack = size * history.length * 2 ** (1 - a.accuracy.bits);
      state = { ...before, history };
      deltas = [a.div({ lo: sum.lo - slack, hi: sum.hi + slack }, point(window))];
      break;
    }
    case 'rmsprop': {
      const v = accumulate(slot('v'), 'rho', '1-rho', square(a, g));
      let slots: Record<string, Interval> = { ...before.slots, v };
      let s = v;
      if (hyper['centered'] === true) {
        const gavg = accumulate(slot('gavg'), 'rho', '1-rho', g);
        slots = { ...slots, gavg };
        s = a.max(a.sub(v, square(a, gavg)), ZERO);
      }
      const r =
        hyper['epsilonPlacement'] === 'inside'
          ? a.div(g, a.sqrt(a.add(s, value('epsilon'))))
          : a.div(g, a.add(a.sqrt(s), value('epsilon')));
      if (number(hyper, 'momentum') > 0) {
        const buf = a.add(a.mul(value('momentum'), slot('buf')), r);
        slots = { ...slots, buf };
        deltas = [buf];
      } else deltas = [r];
      state = { ...before, slots };
      break;
    }
    default: {
      const m = accumulate(slot('m'), 'beta1', '1-beta1', g);
      const v = accumulate(slot('v'), 'beta2', '1-beta2', square(a, g));
      let slots: Record<string, Interval> = { ...before.slots, m, v };
      const corrected = (): Interval => a.div(m, value('correction1'));
      const textbook = (x: Interval): Interval =>
        a.div(corrected(), a.add(a.sqrt(a.div(x, value('correction2'))), value('epsilon')));
      const hat = (x: Interval): Interval =>
        a.div(a.mul(corrected(), value('root2')), a.add(a.sqrt(x), value('epsilon')));
      if (rule === 'amsgrad') {
        const form = hyper['maxOf'];
        const candidate = form === 'corrected' ? a.div(v, value('correction2')) : v;
        const vmax = a.max(slot('vmax'), candidate);
        slots = { ...slots, vmax };
        const besideRoot = hyper['epsilonMode'] === 'hat';
        const root = (epsilon: Interval): Interval => a.add(a.sqrt(vmax), epsilon);
        if (form === 'uncorrected') deltas = [a.div(m, root(value('epsilon')))];
        else if (form === 'corrected') {
          deltas = [a.div(corrected(), root(besideRoot ? a.div(value('epsilon'), value('root2')) : value('epsilon')))];
        } else deltas = [besideRoot ? hat(vmax) : textbook(vmax)];
      } else if (rule === 'radam') {
        deltas = rectified(hyper, count).map((adaptive) => {
          if (!adaptive) return corrected();
          return a.mul(value('rectifier'), hyper['variant'] === 'paper' ? textbook(v) : hat(v));
        });
      } else deltas = [hyper['epsilonMode'] === 'hat' ? hat(v) : textbook(v)];
      state = { ...before, slots };
    }
  }

  const move = (delta: Interval): Interval => {
    if (number(hyper, 'learningRate') === 0) {
      // 0 times an unbounded step is not a number.
      return delta === ANYTHING ? ANYTHING : parameter;
    }
    const factor = factored?.factor;
    const scaled = (x: Interval): Interval => (factor === undefined ? x : a.mul(factor, x));
    const plain = a.mul(scaled(value('learningRate')), delta);
    // Wrappers let the base rule step, and go a part s of the way from the old value to the new one.
    const interpolated = (whole: Interval, s: Interval): Interval =>
      a.add(a.mul(s, whole), a.mul(a.sub(point(1), s), parameter));
    const step = (): Interval => a.mul(value('learningRate'), delta);
    if (rule !== 'adamw' || decay === 0) {
      const direct = a.sub(parameter, plain);
      return factor === undefined ? direct : hull(direct, interpolated(a.sub(parameter, step()), factor));
    }
    if (factor !== undefined && factored?.decay === 'scaled') {
      const shrink = a.mul(scaled(a.mul(value('learningRate'), value('weightDecay'))), parameter);
      const whole = a.sub(a.mul(parameter, value('shrink')), step());
      return hull(a.sub(parameter, a.add(shrink, plain)), interpolated(whole, factor));
    }
    // Decay before the step (torch) or within it.
    const before = a.sub(a.mul(parameter, value('shrink')), plain);
    const within = a.sub(parameter, a.add(a.mul(a.mul(value('learningRate'), value('weightDecay')), parameter), plain));
    return hull(before, within);
  };
  const decays = factored?.decay === 'plain' && rule === 'adamw' && decay > 0;
  return {
    parameter: deltas.map(move).reduce(hull),
    dropped: decays ? move(ZERO) : parameter,
    direction: deltas.reduce(hull),
    gradient: g,
    raw: gradient,
    state,
  };
}

/** x * x: unlike a product of two intervals, never negative. */
function square(a: Arithmetic, x: Interval): Interval {
  const result = a.mul(x, x);
  if (result === ANYTHING || x.lo >= 0 || x.hi <= 0) return result;
  return { lo: 0, hi: result.hi };
}
