/**
 * A fused step taken apart into gpu.js kernels. A gpu.js kernel writes one array (`createKernelMap` exists on neither webgpu nor
 * webasm), so a rule becomes one kernel for each state and one for the parameter, all cut from the one description in
 * `engines/formulas.ts`: what an earlier kernel of the step has written is read, not computed again.
 */
import type { Kernel, ScalarName } from '../engines/engine.ts';
import { kernelState } from '../engines/engine.ts';
import { update } from '../engines/formulas.ts';

/** A value of the element's arithmetic: read from an array, taken from the host, or computed. */
type Value =
  | { readonly kind: 'array'; readonly name: string }
  | { readonly kind: 'scalar'; readonly name: ScalarName }
  | { readonly kind: 'zero' }
  | { readonly kind: 'call'; readonly text: (...operands: string[]) => string; readonly operands: readonly Value[] };

/** One kernel of a step. */
export interface Part {
  /** What it writes: `parameter` or the name of a state. */
  readonly output: string;
  /** Arrays that it reads at its own index. A state has its new value if an earlier part wrote it. */
  readonly arrays: readonly string[];
  readonly scalars: readonly ScalarName[];
  /** JavaScript statements, and the expression of the new value. */
  readonly statements: readonly string[];
  readonly expression: string;
}

const call =
  (text: (...operands: string[]) => string) =>
  (...operands: readonly Value[]): Value => ({ kind: 'call', text, operands });

const ALGEBRA = {
  add: call((a, b) => `${a} + ${b}`),
  sub: call((a, b) => `${a} - ${b}`),
  mul: call((a, b) => `${a} * ${b}`),
  div: call((a, b) => `${a} / ${b}`),
  sqrt: call((a) => `Math.sqrt(${a})`),
  max: call((a, b) => `Math.max(${a}, ${b})`),
};

/** Local names that hold an array's element. */
export const elementOf = (array: string): string => `${array}At`;

/** Writes out what `target` needs, taking the values in `known` from their arrays. */
function cut(output: string, target: Value, known: ReadonlyMap<Value, string>): Part {
  const arrays = new Set<string>();
  const scalars = new Set<ScalarName>();
  const statements: string[] = [];
  const written = new Map<Value, string>();
  const write = (value: Value): string => {
    const there = value === target ? undefined : known.get(value);
    if (there !== undefined) {
      arrays.add(there);
      return elementOf(there);
    }
    switch (value.kind) {
      case 'array':
        arrays.add(value.name);
        return elementOf(value.name);
      case 'scalar':
        scalars.add(value.name);
        return value.name;
      case 'zero':
        return '0';
      case 'call': {
        let name = written.get(value);
        if (name === undefined) {
          const expression = value.text(...value.operands.map(write));
          if (value === target) return expression;
          // Float locals keep their type in every mode; integer ones would not.
          name = `x${statements.length}`;
          statements.push(`const ${name} = ${expression};`);
          written.set(value, name);
        }
        return name;
      }
    }
  };
  const expression = write(target);
  return { output, arrays: [...arrays], scalars: [...scalars], statements, expression };
}

/** The kernels of a step, in the order in which they must run. */
export function partsOf(kernel: Kernel): readonly Part[] {
  const names = kernelState(kernel);
  const array = (name: string): Value => ({ kind: 'array', name });
  const { parameter, state } = update<Value>(kernel, ALGEBRA, {
    parameter: array('parameter'),
    gradient: array('gradient'),
    state: names.map(array),
    scalar: (name) => ({ kind: 'scalar', name }),
    zero: { kind: 'zero' },
  });
  const known = new Map<Value, string>();
  const parts = names.map((name, i) => {
    const part = cut(name, state[i] as Value, known);
    known.set(state[i] as Value, name);
    return part;
  });
  return [...parts, cut('parameter', parameter, known)];
}
