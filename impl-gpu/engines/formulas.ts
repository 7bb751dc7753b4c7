/**
 * The element's arithmetic, once for every vectorised engine: a formula is written over an algebra whose values may be WASM
 * locals or WGSL expressions. The text of each formula stands in `engine.ts`, at `Family`.
 */
import type { Kernel, ScalarName } from './engine.ts';
import { kernelState } from './engine.ts';

/** The float32 operations that a formula may use, elementwise. */
export interface Algebra<Value> {
  add(a: Value, b: Value): Value;
  sub(a: Value, b: Value): Value;
  mul(a: Value, b: Value): Value;
  div(a: Value, b: Value): Value;
  sqrt(a: Value): Value;
  max(a: Value, b: Value): Value;
}

export interface Operands<Value> {
  readonly parameter: Value;
  readonly gradient: Value;
  /** In the order of `kernelState`. */
  readonly state: readonly Value[];
  readonly scalar: (name: ScalarName) => Value;
  readonly zero: Value;
}

export interface Updated<Value> {
  /** The parameter's new value where it is kept. */
  readonly parameter: Value;
  /** Its new value where it is dropped; undefined: the old bits. */
  readonly dropped: Value | undefined;
  /** Two values that have the same sign where an element agrees, the first one finite where the kernel `divides`; undefined where nobody asks. */
  readonly signs: readonly [Value, Value] | undefined;
  /** In the order of `kernelState`. */
  readonly state: readonly Value[];
}

export interface Direction<Value> {
  readonly delta: Value;
  readonly state: readonly Value[];
}

/** The step direction of a kernel, and its state. */
export function direction<Value>(kernel: Kernel, a: Algebra<Value>, g: Value, x: Operands<Value>): Direction<Value> {
  const { scalar } = x;
  const state = new Map(kernelState(kernel).map((name, i) => [name, x.state[i] as Value]));
  const old = (name: string): Value => state.get(name) as Value;
  const first = (name: string): Value => a.add(a.mul(scalar('firstKeep'), old(name)), a.mul(scalar('firstAdd'), g));
  // (secondAdd * g) * g, not secondAdd * (g * g): the square alone overflows from |g| = 1.8e19 on.
  const second = (): Value => a.add(a.mul(scalar('secondKeep'), old('v')), a.mul(a.mul(scalar('secondAdd'), g), g));
  switch (kernel.family) {
    case 'gradient':
      return { delta: g, state: [] };
    case 'momentum': {
      const buf = first('buf');
      return { delta: kernel.nesterov ? a.add(g, a.mul(scalar('momentum'), buf)) : buf, state: [buf] };
    }
    case 'rmsprop': {
      const v = second();
      const next = [v];
      let spread = v;
      if (kernel.centered) {
        const gavg = first('gavg');
        next.push(gavg);
        spread = a.max(a.sub(v, a.mul(gavg, gavg)), x.zero);
      }
      let delta = kernel.inside
        ? a.div(g, a.sqrt(a.add(spread, scalar('epsilon'))))
        : a.div(g, a.add(a.sqrt(spread), scalar('epsilon')));
      if (kernel.buffered) {
        delta = a.add(a.mul(scalar('momentum'), old('buf')), delta);
        next.push(delta);
      }
      return { delta, state: next };
    }
    case 'adam': {
      const m = first('m');
      const v = second();
      return { delta: a.div(m, a.add(a.sqrt(v), scalar('epsilon'))), state: [m, v] };
    }
    case 'amsgrad': {
      const m = first('m');
      const v = second();
      const vmax = a.max(old('vmax'), a.mul(scalar('maxScale'), v));
      return { delta: a.div(m, a.add(a.sqrt(vmax), scalar('epsilon'))), state: [m, v, vmax] };
    }
    case 'first-moment': {
      const m = first('m');
      return { delta: m, state: [m, second()] };
    }
  }
}

/** The gradient with coupled decay. */
export function decayed<Value>(kernel: Kernel, a: Algebra<Value>, x: Operands<Value>): Value {
  return kernel.coupled ? a.add(x.gradient, a.mul(x.scalar('decay'), x.parameter)) : x.gradient;
}

/**
 * Whether delta is a quotient whose numerator tells its sign. Where that is infinite so is its denominator: the quotient has no sign, and the
 * element does not agree.
 */
export function divides({ family, buffered }: Kernel): boolean {
  return family === 'adam' || family === 'amsgrad' || (family === 'rmsprop' && !buffered);
}

/** A value with delta's sign: its numerator, which no division underflows. */
function numerator<Value>(
  kernel: Kernel,
  a: Algebra<Value>,
  g: Value,
  { scalar }: Operands<Value>,
  { delta, state }: Direction<Value>,
): Value {
  switch (kernel.family) {
    case 'gradient':
      return g;
    case 'momentum':
      return kernel.nesterov ? a.add(g, a.mul(scalar('momentum'), state[0] as Value)) : (state[0] as Value);
    case 'rmsprop':
      return kernel.buffered ? delta : g;
    case 'adam':
    case 'amsgrad':
    case 'first-moment':
      return state[0] as Value;
  }
}

/** One element's new state, and its new parameter if it is kept. */
export function update<Value>(kernel: Kernel, a: Algebra<Value>, x: Operands<Value>): Updated<Value> {
  const { parameter, scalar } = x;
  const g = decayed(kernel, a, x);
  const moved = direction(kernel, a, g, x);
  const step = a.mul(scalar('rate'), moved.delta);
  const decay = kernel.decoupled ? a.mul(scalar('shrink'), parameter) : undefined;
  return {
    parameter: a.sub(parameter, decay === undefined ? step : a.add(decay, step)),
    dropped: kernel.plain && decay !== undefined ? a.sub(parameter, decay) : undefined,
    signs: kernel.agreement ? [numerator(kernel, a, g, x, moved), g] : undefined,
    state: moved.state,
  };
}

/**
 * One replica's share of the step direction, of a rule that is linear in the gradient, and its share of the state: the formula of the kernel with
 *
 *     g = weight * gradient + decay * parameter
 *
 * where `decay` is weighted already. Over replicas whose weights sum to 1, the shares sum to direction and state of one process.
 */
export function share<Value>(
  kernel: Kernel,
  a: Algebra<Value>,
  x: Operands<Value> & { readonly weight: Value },
): Direction<Value> {
  const weighted = a.mul(x.weight, x.gradient);
  return direction(kernel, a, kernel.coupled ? a.add(weighted, a.mul(x.scalar('decay'), x.parameter)) : weighted, x);
}

/** The scalars that a kernel reads, in no particular order. */
export function usedScalars(kernel: Kernel): ReadonlySet<ScalarName> {
  const used = new Set<ScalarName>();
  const nothing = (): undefined => undefined;
  update<undefined>(
    kernel,
    { add: nothing, sub: nothing, mul: nothing, div: nothing, sqrt: nothing, max: nothing },
    {
      parameter: undefined,
      gradient: undefined,
      state: kernelState(kernel).map(nothing),
      scalar: (name) => void used.add(name),
      zero: undefined,
    },
  );
  return used;
}
