import * as tf from '@tensorflow/tfjs';
import { layOut } from '../random.ts';
import { sizeOf } from '../shape.ts';
import { InvalidArgumentError } from '../validate.ts';

/** What an optimizer keeps for a variable beside its place. */
export interface Kept {
  /** The name under which the variable was first known: a model that is loaded again may rename it, and groups go by this one. */
  readonly label: string;
  /** Gradients that it has had. */
  count: number;
  /** By the rule's names, and `UPDATE` where p is trained; undefined until the first gradient. */
  state: Readonly<Record<string, tf.Variable>> | undefined;
  /** The sum of the gradients since the last step, when several make one. */
  pending: tf.Variable | undefined;
}

/** One variable with its place in the mask stream, its own step count and its state. */
export interface Slot extends Kept {
  readonly name: string;
  readonly shape: readonly number[];
  /** Global index of its first element. */
  readonly base: number;
}

/** A variable that was saved, and has not been found again yet. */
export interface Saved extends Kept {
  readonly name: string;
  /** Undefined where nothing that was saved tells. */
  readonly shape: readonly number[] | undefined;
}

/** A variable as the binding sees it. */
export interface Bindable {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * With a trained p, among a variable's state: what the last step would have subtracted had nothing been dropped, alpha deltaW; 0 without a
 * gradient.
 */
export const UPDATE = 'update';

/** What is kept for each variable. */
export interface StateForm {
  /** The rule's state in order, and `UPDATE` where p is trained. */
  readonly names: readonly string[];
  /** A state tensor's shape, for a variable of `shape`. Throws where there can be none. */
  shapeOf(shape: readonly number[], name: string): number[];
}

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((extent, axis) => extent === b[axis]);

/** tfjs numbers variables that nobody has named: in another process the number is another variable's. */
const isAnonymous = ({ name }: { readonly name: string }): boolean => /^\d+$/.test(name);

/** A name without the number that tfjs appends where the same one is there already, as for a model that is loaded again. */
export const unnumbered = (name: string): string => name.replace(/_\d+$/, '');

const listOf = (list: readonly { readonly name: string }[]): string => {
  const names = list.slice(0, 8).map(({ name }) => name);
  return list.length > names.length ? `${names.join(', ')} and ${list.length - names.length} more` : names.join(', ');
};

function free({ state, pending }: Kept): void {
  for (const tensor of Object.values(state ?? {})) tensor.dispose();
  pending?.dispose();
}

/** The list in the order of the saved ones, where tfjs's number at the end of the names is all that has changed; else undefined. */
function renumbered(saved: readonly Saved[], list: readonly Bindable[]): (Bindable | undefined)[] | undefined {
  const byName = new Map(list.map((variable) => [unnumbered(variable.name), variable]));
  const found = saved.map(({ name, shape }) => {
    const variable = byName.get(unnumbered(name));
    return variable === undefined || (shape !== undefined && !sameShape(shape, variable.shape)) ? undefined : variable;
  });
  return found.includes(undefined) || new Set(found).size < list.length ? undefined : found;
}

/**
 * For each of the variables that were saved the one that it is now, undefined where it is not in the list: by name and shape; where all
 * names have changed by the names without tfjs's numbers, else by order, over the whole list. Throws where none of these tells, since a
 * stranger's moments are worse than none.
 */
function findAgain(saved: readonly Saved[], list: readonly Bindable[]): (Bindable | undefined)[] {
  const byName = new Map(list.map((variable) => [variable.name, variable]));
  const found = saved.map(({ name, shape }) => {
    const variable = byName.get(name);
    return variable !== undefined && shape !== undefined && sameShape(shape, variable.shape) ? variable : undefined;
  });
  const lost = saved.filter((_, index) => found[index] === undefined);
  const strangers = list.filter((variable) => !found.includes(variable));
  if (lost.length === 0 || strangers.length === 0) return found;
  const renamed = lost.length === saved.length || [...saved, ...list].every(isAnonymous);
  const inOrder =
    saved.length === list.length &&
    saved.every(({ shape }, index) => shape === undefined || sameShape(shape, list[index]?.shape ?? []));
  const again = renamed && saved.length === list.length ? renumbered(saved, list) : undefined;
  if (again !== undefined) return again;
  // Where a name without its number stands at another place, the order tells nothing.
  const places = new Map(list.map(({ name }, index) => [isAnonymous({ name }) ? '' : unnumbered(name), index]));
  const moved = saved.some(({ name }, index) => {
    const base = unnumbered(name);
    return places.has(base) && unnumbered(list[index]?.name ?? '') !== base;
  });
  if (renamed && inOrder && !moved) return [...list];
  // Among variables that have kept their names one of another shape is new; one of the same shape might be either.
  const unlike = strangers.every(({ shape }) =>
    lost.every((other) => other.shape !== undefined && !sameShape(shape, other.shape)),
  );
  const takesName = strangers.some(({ name }) => lost.some((other) => other.name === name));
  if (!renamed && unlike && !takesName) return found;
  throw new InvalidArgumentError(
    `saved state must be for these variables, by name and shape or, where all names are new, by order: it is of ${listOf(saved)}; ` +
      `here are ${listOf(list)}. Where these are new, bind() those first`,
  );
}

/**
 * Which variable has which place in the mask stream and which state. Places are given in order of joining and never change; state is
 * made at a variable's first gradient.
 */
export class Binding {
  readonly form: StateForm;
  readonly #slots = new Map<string, Slot>();
  #list: readonly Slot[] = [];
  #extent = 0;
  #saved: readonly Saved[] = [];

  constructor(form: StateForm) {
    this.form = form;
  }

  /** In the order of their places. */
  get slots(): readonly Slot[] {
    return this.#list;
  }

  /** All that is kept, in the order of the places: what was restored and has met no variable yet, else the slots. */
  get kept(): readonly Saved[] {
    return this.#saved.length > 0 ? this.#saved : this.#list;
  }

  /** Whether what was restored has met no variable yet. */
  get awaits(): boolean {
    return this.#saved.length > 0;
  }

  /** Elements of the whole layout. */
  get extent(): number {
    return this.#extent;
  }

  find(name: string): Slot | undefined {
    return this.#slots.get(name);
  }

  /**
   * Gives places to those of the list that have none yet, in its order; what was restored first finds its variables in it. Throws, and
   * changes nothing, where that does not fit. Whoever is listed twice has one place.
   */
  place(list: readonly Bindable[]): void {
    const fresh = [...new Map(list.map((variable) => [variable.name, variable])).values()].filter(
      ({ name }) => !this.#slots.has(name),
    );
    if (fresh.length === 0) return;
    for (const { shape } of fresh) for (const name of this.form.names) this.form.shapeOf(shape, name);
    const joined: Slot[] = [];
    let next = this.#extent;
    const join = ({ name, shape }: Bindable, kept: Kept): void => {
      const size = sizeOf(shape);
      const [base = 0] = layOut([next, size]).slice(1);
      next = base + size;
      joined.push({ ...kept, name, shape: [...shape], base });
    };
    const again = this.#saved.length > 0 ? findAgain(this.#saved, fresh) : [];
    this.#saved.forEach((saved, index) => {
      join(again[index] ?? { name: saved.name, shape: saved.shape as readonly number[] }, saved);
    });
    for (const variable of fresh) {
      if (again.includes(variable)) continue;
      join(variable, { label: variable.name, count: 0, state: undefined, pending: undefined });
    }
    this.#saved = [];
    for (const slot of joined) this.#slots.set(slot.name, slot);
    this.#list = [...this.#slots.values()];
    this.#extent = next;
  }

  /** A variable's state, made of zeros at its first gradient. */
  stateOf(slot: Slot): Readonly<Record<string, tf.Variable>> {
    slot.state ??= Object.fromEntries(
      this.form.names.map((name) => {
        const shape = this.form.shapeOf(slot.shape, name);
        return [name, tf.tidy(() => tf.variable(tf.zeros(shape), false))];
      }),
    );
    return slot.state;
  }

  /** Frees all that is kept and takes this in its place, for the variables that are listed next. */
  restore(saved: readonly Saved[]): void {
    this.release();
    this.#saved = saved;
  }

  /** Frees all that is kept and forgets the places. */
  release(): void {
    for (const kept of this.kept) free(kept);
    this.#saved = [];
    this.#slots.clear();
    this.#list = [];
    this.#extent = 0;
  }
}
