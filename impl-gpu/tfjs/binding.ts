import * as tf from '@tensorflow/tfjs';
import { layOut } from '../random.ts';
import { sizeOf } from '../shape.ts';
import { InvalidArgumentError } from '../validate.ts';

/** One variable's place in the mask stream, its own step count and its state. */
export interface Slot {
  readonly name: string;
  readonly shape: readonly number[];
  /** Global index of its first element. */
  readonly base: number;
  /** Gradients that it has had. */
  count: number;
  readonly state: Readonly<Record<string, tf.Variable>>;
  /** With a trained p: what the last step would have subtracted had nothing been dropped, alpha deltaW; 0 without a gradient. */
  readonly update: tf.Variable | undefined;
}

/** A variable as the binding sees it. */
export interface Bindable {
  readonly name: string;
  readonly shape: readonly number[];
}

/** State that was loaded, waiting for the variables that it belongs to. */
export interface Restored {
  readonly counts: readonly number[];
  readonly tensors: readonly {
    readonly name: string;
    readonly values: Float32Array;
    readonly shape: readonly number[];
  }[];
}

/** The name of a slot's `update` among its state. */
export const UPDATE = 'update';

/** What is kept for each variable. */
export interface StateForm {
  /** The rule's state in order, and `UPDATE` where p is trained. */
  readonly names: readonly string[];
  /** A state tensor's shape, for a variable of `shape`. */
  shapeOf(shape: readonly number[], name: string): number[];
}

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((extent, axis) => extent === b[axis]);

/** Which variable has which place in the mask stream and which state: fixed by the first list. */
export class Binding {
  readonly form: StateForm;
  #slots: Map<string, Slot> | undefined;
  #extent = 0;
  #restored: Restored | undefined;

  constructor(form: StateForm) {
    this.form = form;
  }

  /** Whether a list has been bound. */
  get bound(): boolean {
    return this.#slots !== undefined;
  }

  /** In the order of their places. */
  get slots(): readonly Slot[] {
    return [...(this.#slots?.values() ?? [])];
  }

  /** Elements of the whole layout. */
  get extent(): number {
    return this.#extent;
  }

  find(name: string): Slot | undefined {
    return this.#slots?.get(name);
  }

  /** Gives each variable its place and state, that which was restored or zeros. Throws when another list is bound already. */
  bind(list: readonly Bindable[]): void {
    if (this.#slots !== undefined) {
      const bound = [...this.#slots.keys()];
      if (bound.length === list.length && list.every(({ name }, index) => name === bound[index])) return;
      throw new InvalidArgumentError(
        `variables must stay those of the first use (${bound.join(', ')}), got ${list.map(({ name }) => name).join(', ')}`,
      );
    }
    const keys = this.form.names;
    const restored = this.#restored;
    if (restored !== undefined) this.#checkRestored(restored, list);
    const bases = layOut(list.map(({ shape }) => sizeOf(shape)));
    const slots = list.map(({ name, shape }, index): Slot => {
      const state = keys.map((key, k): [string, tf.Variable] => {
        const saved = restored?.tensors[index * keys.length + k];
        const stateShape = this.form.shapeOf(shape, key);
        const make = (): tf.Tensor =>
          saved === undefined ? tf.zeros(stateShape) : tf.tensor(saved.values, stateShape);
        return [key, tf.tidy(() => tf.variable(make(), false))];
      });
      return {
        name,
        shape: [...shape],
        base: bases[index] as number,
        count: restored?.counts[index] ?? 0,
        state: Object.fromEntries(state.filter(([key]) => key !== UPDATE)),
        update: state.find(([key]) => key === UPDATE)?.[1],
      };
    });
    this.#extent = slots.reduce((end, { base, shape }) => Math.max(end, base + sizeOf(shape)), 0);
    this.#slots = new Map(slots.map((slot) => [slot.name, slot]));
    this.#restored = undefined;
  }

  /** Frees all state and takes what was loaded in its place, for the list that is bound next. */
  restore(restored: Restored): void {
    this.release();
    this.#restored = restored;
  }

  /** Frees all state and forgets the list. */
  release(): void {
    for (const { state, update } of this.slots) {
      for (const tensor of Object.values(state)) tensor.dispose();
      update?.dispose();
    }
    this.#slots = undefined;
    this.#restored = undefined;
  }

  #checkRestored({ counts, tensors }: Restored, list: readonly Bindable[]): void {
    const keys = this.form.names;
    if (counts.length !== list.length) {
      throw new InvalidArgumentError(`weights must be for ${list.length} variables, got state of ${counts.length}`);
    }
    tensors.forEach(({ name, shape }, index) => {
      const variable = list[Math.floor(index / keys.length)] as Bindable;
      if (!sameShape(shape, this.form.shapeOf(variable.shape, keys[index % keys.length] as string))) {
        throw new InvalidArgumentError(
          `state ${name} must have the shape [${variable.shape.join(', ')}] of ${variable.name}, got [${shape.join(', ')}]`,
        );
      }
    });
  }
}
