/** jax-js, JAX in JavaScript on WebAssembly, as a peer: what somebody who trains in Node would take today beside tfjs. */
import type { Lane, LaneSource } from '../harness/measure.ts';
import { Unavailable } from '../harness/measure.ts';
import { threads } from './threads.ts';
import type { Training } from './training.ts';

/** The part of `@jax-js/jax` that is called here. An array is given away by a call that takes it; `ref` keeps it. */
interface JaxArray {
  readonly ref: JaxArray;
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray): JaxArray;
  sum(): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}
type Tree = readonly JaxArray[];
interface Jax {
  init(device: 'wasm'): Promise<unknown>;
  defaultDevice(device: 'wasm'): unknown;
  readonly numpy: {
    array(values: Float32Array): JaxArray;
    zeros(shape: readonly number[]): JaxArray;
    dot(a: JaxArray, b: JaxArray): JaxArray;
    sqrt(a: JaxArray): JaxArray;
  };
  readonly nn: { relu(a: JaxArray): JaxArray; logSoftmax(a: JaxArray): JaxArray };
  readonly tree: { ref<T>(tree: T): T };
  readonly valueAndGrad: (
    f: (parameters: Tree, x: JaxArray, y: JaxArray) => JaxArray,
  ) => (parameters: Tree, x: JaxArray, y: JaxArray) => [JaxArray, Tree];
  readonly jit: <A extends readonly unknown[], R>(f: (...args: A) => R) => (...args: A) => R;
  readonly blockUntilReady: <T>(tree: T) => Promise<T>;
}

const PACKAGE = '@jax-js/jax';

async function load(): Promise<Jax> {
  // It asks a navigator for the number of cores; Node has one from version 21.
  const { navigator } = globalThis as { navigator?: unknown };
  if (navigator === undefined) {
    Object.defineProperty(globalThis, 'navigator', { value: { hardwareConcurrency: threads() }, configurable: true });
  }
  try {
    const jax = (await import(PACKAGE)) as Jax;
    await jax.init('wasm');
    jax.defaultDevice('wasm');
    return jax;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Unavailable(`${PACKAGE} is missing: npm install --no-save ${PACKAGE}`);
  } finally {
    if (navigator === undefined) Reflect.deleteProperty(globalThis, 'navigator');
  }
}

const SHAPES = [[784, 1000], [1000], [1000, 1000], [1000], [1000, 10], [10]] as const;

/** FCNet's training step in jax-js, forward, backward and optimizer under one `jit`, as its documentation has it; without LRD. */
export function jaxJsLane({ rule, batch }: Training): LaneSource {
  const name = `jax-js on wasm: ${rule}`;
  return {
    name,
    open: async (): Promise<Lane> => {
      const { blockUntilReady, jit, nn, numpy: np, tree, valueAndGrad } = await load();
      let word = 1;
      const noise = (shape: readonly number[], scale: number): JaxArray => {
        const size = shape.reduce((product, extent) => product * extent, 1);
        const next = (): number => (word = (Math.imul(word, 1664525) + 1013904223) >>> 0) / 2 ** 32;
        return np.array(Float32Array.from({ length: size }, () => scale * (next() - 0.5))).reshape(shape);
      };
      const loss = ([w1, b1, w2, b2, w3, b3]: Tree, x: JaxArray, y: JaxArray): JaxArray => {
        const layer = (input: JaxArray, w: JaxArray | undefined, b: JaxArray | undefined): JaxArray =>
          np.dot(input, w as JaxArray).add(b as JaxArray);
        const output = layer(nn.relu(layer(nn.relu(layer(x, w1, b1)), w2, b2)), w3, b3);
        return nn
          .logSoftmax(output)
          .mul(y)
          .sum()
          .mul(-1 / batch);
      };
      const gradients = valueAndGrad(loss);
      const each = (list: Tree, f: (array: JaxArray, k: number) => JaxArray): Tree => list.map(f);
      const at = (list: Tree, k: number): JaxArray => list[k] as JaxArray;
      const step = jit(
        (
          parameters: Tree,
          state: readonly Tree[],
          scales: JaxArray,
          x: JaxArray,
          y: JaxArray,
        ): [JaxArray, Tree, Tree[]] => {
          const [value, g] = gradients(tree.ref(parameters), x, y);
          const [m, v] = state as readonly [Tree, Tree];
          if (rule === 'sgdm') {
            scales.dispose();
            const moved = each(m, (old, k) => old.mul(0.9).add(at(g, k)));
            return [value, each(parameters, (p, k) => p.sub(at(moved, k).ref.mul(0.1))), [moved]];
          }
          const first = each(m, (old, k) => old.mul(0.9).add(at(g, k).ref.mul(0.1)));
          const second = each(v, (old, k) => old.mul(0.999).add(at(g, k).ref.mul(at(g, k)).mul(0.001)));
          const next = each(parameters, (p, k) => {
            const root = np.sqrt(at(second, k).ref.mul(scales.ref)).add(1e-8);
            return p.sub(at(first, k).ref.div(root).mul(1e-3));
          });
          scales.dispose();
          return [value, next, [first, second]];
        },
      );
      const zeros = (): Tree => SHAPES.map((shape) => np.zeros(shape));
      let parameters: Tree = SHAPES.map((shape) => noise(shape, 0.06));
      let state: readonly Tree[] = rule === 'sgdm' ? [zeros()] : [zeros(), zeros()];
      const images = noise([batch, 784], 1);
      const labels = noise([batch, 10], 0).add(0.1);
      let t = 0;
      return {
        name,
        steps: 1,
        sample: async () => {
          t += 1;
          // Both corrections of the moments in one factor: sqrt(v) / c2 over m / c1, squared.
          const scale = np.array(Float32Array.of((1 - 0.9 ** t) ** 2 / (1 - 0.999 ** t)));
          const [value, ...rest] = step(parameters, state, scale, images.ref, labels.ref);
          [parameters, state] = rest;
          await blockUntilReady(rest);
          await value.data();
          return undefined;
        },
        close: () => {
          for (const array of [...parameters, ...state.flat(), images, labels]) array.dispose();
        },
      };
    },
  };
}
