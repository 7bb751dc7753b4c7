/**
 * A network as a graph model of TensorFlow.js (`tf.loadGraphModel`): what its forward pass does on one input is written down, operation by
 * operation, as a TensorFlow graph. What does not depend on the input is a weight.
 */
import * as tf from '@tensorflow/tfjs';
import { JobError } from '../errors.ts';

/** What `tf.io` takes to write a model: the graph, and the weights, whose bytes follow one another in the order of their specifications. */
export interface GraphModel {
  readonly topology: object;
  readonly weightSpecs: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly dtype: 'float32' | 'int32';
  }[];
  /** Of each weight. On the backend `cpu` they are the network's own memory: to be written before it changes. */
  readonly weights: readonly Uint8Array[];
}

type Attribute = Readonly<Record<string, unknown>>;

interface Node {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[];
  readonly attr: Readonly<Record<string, Attribute>>;
}

/** Strings stand in base64 there. */
const s = (text: string): Attribute => ({ s: Buffer.from(text).toString('base64') });
const b = (value: boolean): Attribute => ({ b: value });
const f = (value: number): Attribute => ({ f: value });
const ints = (values: readonly number[]): Attribute => ({ list: { i: values.map(String) } });
const FLOAT = { type: 'DT_FLOAT' };
const INT = { type: 'DT_INT32' };

/** What a kernel was called with. */
interface KernelCall {
  readonly inputs: Readonly<Record<string, tf.Tensor | readonly tf.Tensor[] | undefined>>;
  readonly attrs: Readonly<Record<string, unknown>>;
}

/** Puts an operation, or some, in the place of a kernel's call. Returns the name of the last. */
type Writer = (graph: Graph, call: KernelCall) => string;

class Graph {
  readonly nodes: Node[] = [];
  readonly #names = new Map<number, string>();
  readonly #specs: { name: string; shape: number[]; dtype: 'float32' | 'int32' }[] = [];
  readonly #weightBytes: Uint8Array[] = [];

  add(op: string, input: readonly string[], attr: Node['attr'] = { T: FLOAT }): string {
    const name = `${op.toLowerCase()}_${this.nodes.length}`;
    this.nodes.push({ name, op, ...(input.length === 0 ? {} : { input }), attr });
    return name;
  }

  /** A weight of the model. */
  constant(values: Float32Array | Int32Array, shape: readonly number[]): string {
    const float = values instanceof Float32Array;
    const name = this.add('Const', [], { dtype: float ? FLOAT : INT });
    this.#specs.push({ name, shape: [...shape], dtype: float ? 'float32' : 'int32' });
    this.#weightBytes.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return name;
  }

  whole(...values: readonly number[]): string {
    return this.constant(Int32Array.from(values), [values.length]);
  }

  scalar(value: number): string {
    return this.constant(Int32Array.of(value), []);
  }

  /** The shapes that a forward pass gave out, in order. */
  readonly shapes: (readonly number[])[] = [];
  readonly #others: readonly (readonly number[])[];

  /** @param others the shapes of a pass on another number of inputs: where they differ, the batch is meant */
  constructor(others: readonly (readonly number[])[] = []) {
    this.#others = others;
  }

  shapeOf(shape: readonly number[]): readonly number[] {
    const other = this.#others[this.shapes.length];
    this.shapes.push(shape);
    return shape.map((extent, axis) => (other === undefined || other[axis] === extent ? extent : -1));
  }

  name(tensor: tf.Tensor, name: string): void {
    this.#names.set(tensor.id, name);
  }

  depends(tensor: tf.Tensor): boolean {
    return this.#names.has(tensor.id);
  }

  /** The operation that gives a tensor; one that is a function of weights alone becomes a weight. */
  of(tensor: unknown): string {
    const found = tensor as tf.Tensor;
    let name = this.#names.get(found.id);
    if (name === undefined) {
      name = this.constant(found.dataSync() as Float32Array | Int32Array, found.shape);
      // Remembered by its number, so that a weight that is used twice is written once; it stays a weight.
      this.#names.set(found.id, name);
      this.#weights.add(found.id);
    }
    return name;
  }

  readonly #weights = new Set<number>();

  /** Whether a tensor is a function of the model's input. */
  ofInput(tensor: tf.Tensor): boolean {
    return this.depends(tensor) && !this.#weights.has(tensor.id);
  }

  model(): GraphModel {
    return {
      topology: { node: this.nodes, library: {}, versions: { producer: 1 } },
      weightSpecs: this.#specs,
      weights: this.#weightBytes,
    };
  }
}

const pair = (value: unknown): [number, number] =>
  Array.isArray(value) ? (value as [number, number]) : [value as number, value as number];

/** Rows and columns that are put around an image, or the format's own word. */
function padding(pad: unknown): 'SAME' | 'VALID' | readonly [number, number, number, number] {
  if (typeof pad === 'string') return pad.toUpperCase() as 'SAME' | 'VALID';
  if (typeof pad === 'number') return pad === 0 ? 'VALID' : [pad, pad, pad, pad];
  const [, [top, bottom], [left, right]] = pad as [unknown, [number, number], [number, number]];
  return [top, bottom, left, right];
}

/** An image with a border, where it has one; and the padding that is left to say. */
function padded(graph: Graph, x: string, pad: unknown, border: number): { readonly x: string; readonly pad: string } {
  const found = padding(pad);
  if (typeof found === 'string') return { x, pad: found };
  const [top, bottom, left, right] = found;
  const amounts = graph.constant(Int32Array.of(0, 0, top, bottom, left, right, 0, 0), [4, 2]);
  const value = graph.constant(Float32Array.of(border), []);
  return { x: graph.add('PadV2', [x, amounts, value]), pad: 'VALID' };
}

function convolution(op: 'Conv2D' | 'DepthwiseConv2dNative'): Writer {
  return (graph, { inputs, attrs }) => {
    const { x, pad } = padded(graph, graph.of(inputs['x']), attrs['pad'], 0);
    return graph.add(op, [x, graph.of(inputs['filter'])], {
      T: FLOAT,
      strides: ints([1, ...pair(attrs['strides']), 1]),
      dilations: ints([1, ...pair(attrs['dilations'] ?? 1), 1]),
      padding: s(pad),
      data_format: s('NHWC'),
    });
  };
}

function pool(op: 'MaxPool' | 'AvgPool'): Writer {
  return (graph, { inputs, attrs }) => {
    const explicit = typeof padding(attrs['pad']) !== 'string';
    if (op === 'AvgPool' && explicit) throw new JobError('a mean pool with a border has no place in a graph model');
    const { x, pad } = padded(graph, graph.of(inputs['x']), attrs['pad'], -3.4e38);
    return graph.add(op, [x], {
      T: FLOAT,
      ksize: ints([1, ...pair(attrs['filterSize']), 1]),
      strides: ints([1, ...pair(attrs['strides']), 1]),
      padding: s(pad),
      data_format: s('NHWC'),
    });
  };
}

const unary =
  (op: string): Writer =>
  (graph, { inputs }) =>
    graph.add(op, [graph.of(inputs['x'] ?? inputs['logits'])]);
const binary =
  (op: string): Writer =>
  (graph, { inputs }) =>
    graph.add(op, [graph.of(inputs['a']), graph.of(inputs['b'])]);
const reduction =
  (op: string): Writer =>
  (graph, { inputs, attrs }) => {
    const x = inputs['x'] as tf.Tensor;
    const axes =
      attrs['axis'] === undefined || attrs['axis'] === null ? x.shape.map((_, axis) => axis) : [attrs['axis']].flat();
    return graph.add(op, [graph.of(x), graph.whole(...(axes as number[]))], {
      T: FLOAT,
      keep_dims: b(attrs['keepDims'] === true),
    });
  };

const ACTIVATIONS: Readonly<Record<string, string>> = { relu: 'Relu', relu6: 'Relu6', sigmoid: 'Sigmoid', elu: 'Elu' };

function product(graph: Graph, a: string, other: string, attrs: KernelCall['attrs']): string {
  return graph.add('MatMul', [a, other], {
    T: FLOAT,
    transpose_a: b(attrs['transposeA'] === true),
    transpose_b: b(attrs['transposeB'] === true),
  });
}

const WRITERS: Readonly<Record<string, Writer>> = {
  Identity: unary('Identity'),
  Relu: unary('Relu'),
  Relu6: unary('Relu6'),
  Elu: unary('Elu'),
  Sigmoid: unary('Sigmoid'),
  Tanh: unary('Tanh'),
  Softplus: unary('Softplus'),
  Softmax: unary('Softmax'),
  Sqrt: unary('Sqrt'),
  Rsqrt: unary('Rsqrt'),
  Square: unary('Square'),
  Exp: unary('Exp'),
  Log: unary('Log'),
  Neg: unary('Neg'),
  Abs: unary('Abs'),
  Erf: unary('Erf'),
  Add: binary('AddV2'),
  Sub: binary('Sub'),
  Multiply: binary('Mul'),
  RealDiv: binary('RealDiv'),
  Maximum: binary('Maximum'),
  Minimum: binary('Minimum'),
  Pow: binary('Pow'),
  Mean: reduction('Mean'),
  Sum: reduction('Sum'),
  Max: reduction('Max'),
  Conv2D: convolution('Conv2D'),
  DepthwiseConv2dNative: convolution('DepthwiseConv2dNative'),
  MaxPool: pool('MaxPool'),
  AvgPool: pool('AvgPool'),
  Reshape: (graph, { inputs, attrs }) => {
    const shape = graph.shapeOf(attrs['shape'] as number[]);
    return graph.add('Reshape', [graph.of(inputs['x']), graph.whole(...shape)], { T: FLOAT });
  },
  Cast: (graph, { inputs, attrs }) => {
    if (attrs['dtype'] !== 'float32')
      throw new JobError(`numbers of type ${String(attrs['dtype'])} have no place in a graph model`);
    return graph.add('Identity', [graph.of(inputs['x'])]);
  },
  Transpose: (graph, { inputs, attrs }) =>
    graph.add('Transpose', [graph.of(inputs['x']), graph.whole(...(attrs['perm'] as number[]))]),
  Concat: (graph, { inputs, attrs }) => {
    const parts = Object.values(inputs)
      .flat()
      .map((part) => graph.of(part));
    return graph.add('ConcatV2', [...parts, graph.scalar(attrs['axis'] as number)], {
      T: FLOAT,
      N: { i: String(parts.length) },
    });
  },
  BatchMatMul: (graph, { inputs, attrs }) => product(graph, graph.of(inputs['a']), graph.of(inputs['b']), attrs),
  _FusedMatMul: (graph, { inputs, attrs }) => {
    const { a, b: other, bias } = inputs;
    let name = product(graph, graph.of(a), graph.of(other), attrs);
    if (bias !== undefined) name = graph.add('AddV2', [name, graph.of(bias)]);
    const activation = attrs['activation'] as string | undefined;
    if (activation === undefined || activation === 'linear') return name;
    const op = ACTIVATIONS[activation];
    if (op === undefined) throw new JobError(`the activation ${activation} has no place in a graph model`);
    return graph.add(op, [name]);
  },
  FusedBatchNorm: (graph, { inputs, attrs }) => {
    const names = ['x', 'scale', 'offset', 'mean', 'variance'].map((name) => graph.of(inputs[name]));
    return graph.add('FusedBatchNormV3', names, {
      T: FLOAT,
      epsilon: f(attrs['varianceEpsilon'] as number),
      is_training: b(false),
      data_format: s('NHWC'),
    });
  },
};

/** An operation with a gradient of its own. */
type Custom = (...inputs: unknown[]) => { readonly value: tf.Tensor };

type RunKernel = (name: string, inputs: KernelCall['inputs'], attrs?: KernelCall['attrs']) => tf.Tensor | tf.Tensor[];

/**
 * Writes down a forward pass in evaluation mode. The backend must answer at once (`cpu`, `wasm`, `node`). Throws a `JobError` that names an
 * operation which a graph model has no place for.
 *
 * @param shape of one input, without the batch
 */
export function graphModelOf(forward: (inputs: tf.Tensor) => tf.Tensor, shape: readonly number[]): GraphModel {
  const { shapes } = traced(forward, shape, 1, new Graph());
  return traced(forward, shape, 2, new Graph(shapes)).model();
}

/** Writes down a forward pass on `batch` inputs. */
function traced(
  forward: (inputs: tf.Tensor) => tf.Tensor,
  shape: readonly number[],
  batch: number,
  graph: Graph,
): Graph {
  const engine = tf.engine() as unknown as { runKernel: RunKernel; customGrad: (operation: Custom) => unknown };
  const own = engine.runKernel;
  const ownCustom = engine.customGrad;
  const dims = [-1, ...shape].map((size) => ({ size: String(size) }));
  const x = tf.zeros([batch, ...shape]);
  graph.name(x, graph.add('Placeholder', [], { dtype: FLOAT, shape: { shape: { dim: dims } } }));
  engine.runKernel = (name, inputs, attrs = {}) => {
    const outputs = own.call(engine, name, inputs, attrs);
    const all = Object.values(inputs)
      .flat()
      .filter((tensor) => tensor !== undefined);
    if (!all.some((tensor) => graph.ofInput(tensor))) return outputs;
    const writer = Object.hasOwn(WRITERS, name) ? WRITERS[name] : undefined;
    if (writer === undefined) throw new JobError(`the operation ${name} has no place in a graph model`);
    // What a writer looks at is not the network's.
    engine.runKernel = own;
    const written = writer(graph, { inputs, attrs });
    engine.runKernel = tracing;
    graph.name(Array.isArray(outputs) ? (outputs[0] as tf.Tensor) : outputs, written);
    return outputs;
  };
  const tracing = engine.runKernel;
  // No gradient is asked for, so what is saved for one is not kept.
  engine.customGrad =
    (operation) =>
    (...inputs: unknown[]) =>
      operation(...inputs, () => undefined).value;
  try {
    tf.tidy(() => {
      const y = forward(x);
      if (!graph.ofInput(y)) throw new JobError('what the network gives does not depend on its input');
      graph.nodes.push({ name: 'logits', op: 'Identity', input: [graph.of(y)], attr: { T: FLOAT } });
    });
  } finally {
    engine.runKernel = own;
    engine.customGrad = ownCustom;
    x.dispose();
  }
  return graph;
}
