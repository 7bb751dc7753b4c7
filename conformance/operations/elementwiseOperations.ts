/** Operations on single elements. */
import * as tf from '@tensorflow/tfjs';
import type { Random } from './array.ts';
import { elementwise } from './array.ts';
import type { Operation } from './operation.ts';

type Unary = (x: tf.Tensor) => tf.Tensor;
type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

const upper = (name: string): string => (name[0] as string).toUpperCase() + name.slice(1);

function unary(
  name: string,
  run: Unary,
  f: (x: number) => number,
  options: {
    readonly low?: number;
    readonly high?: number;
    readonly kernel?: string;
    readonly hostile?: Operation['hostile'];
  } = {},
): Operation {
  const { low = -2, high = 2, kernel = upper(name), hostile = 'elements' } = options;
  return {
    name,
    kernels: [kernel],
    hostile,
    make: (random) => ({
      what: name,
      inputs: [random.array(random.anyShape(), low, high)],
      run,
      reference: elementwise(f),
    }),
  };
}

/** Two shapes that broadcast together. */
function pairOfShapes(random: Random): [number[], number[]] {
  const whole = random.anyShape();
  const thin = (): number[] =>
    whole.map((extent) => (random.uniform() < 0.3 ? 1 : extent)).slice(random.int(0, whole.length));
  return random.bool() ? [thin(), whole] : [whole, thin()];
}

function binary(
  name: string,
  run: Binary,
  f: (a: number, b: number) => number,
  options: {
    readonly kernel?: string;
    readonly first?: readonly [number, number];
    readonly second?: readonly [number, number];
    readonly hostile?: boolean;
  } = {},
): Operation {
  const { kernel = upper(name), first = [-2, 2], second = [-2, 2], hostile = 'elements' } = options;
  return {
    name,
    kernels: [kernel],
    hostile,
    make: (random) => {
      const [a, b] = pairOfShapes(random);
      return {
        what: name,
        inputs: [random.array(a, ...first), random.array(b, ...second)],
        run,
        reference: elementwise(f),
      };
    },
  };
}

function erf(x: number): number {
  // Series near 0, continued fraction's asymptote beyond: Abramowitz and Stegun 7.1.5 and 7.1.14.
  if (Math.abs(x) > 3) {
    let fraction = 0;
    for (let k = 60; k > 0; k--) fraction = k / 2 / (Math.abs(x) + fraction);
    return Math.sign(x) * (1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (Math.abs(x) + fraction));
  }
  let [term, sum] = [x, x];
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const roundToEven = (x: number): number => {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
};
const [SCALE, ALPHA] = [1.0507009873554805, 1.6732632423543772];
const keepNaN =
  (f: (x: number) => number) =>
  (x: number): number =>
    Number.isNaN(x) ? NaN : f(x);

const where: Operation = {
  name: 'where',
  kernels: ['Select'],
  hostile: 'elements',
  make: (random) => {
    const shape = random.anyShape(1);
    const thin = (): number[] => shape.map((extent) => (random.uniform() < 0.2 ? 1 : extent));
    const [a, b] = [random.array(thin()), random.array(thin())];
    const mask = random.array(shape);
    return {
      what: 'where on a given condition',
      inputs: [a, b],
      run: (x, y) => tf.where(tf.greater(tf.tensor([...mask.data], [...shape]), 0), x, y),
      reference: (x, y) => elementwise((m, p, q) => (m > 0 ? p : q))(mask, x, y),
    };
  },
};

const whereOnItself = (name: string, compare: Binary, test: (a: number, b: number) => boolean): Operation => ({
  name: `where (${name})`,
  kernels: [upper(name)],
  make: (random) => {
    const shape = random.shape(random.int(1, 3));
    return {
      what: `where on ${name} of the variables`,
      inputs: [random.array(shape), random.array(shape)],
      run: (a, b) => tf.where(compare(a, b), tf.mul(a, b), tf.sub(a, b)),
      reference: elementwise((a, b) => (test(a, b) ? a * b : a - b)),
    };
  },
});

const logical = (
  name: string,
  combine: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  test: (a: boolean, b: boolean) => boolean,
): Operation => ({
  name: `where (${name})`,
  kernels: [upper(name)],
  make: (random) => {
    const shape = random.shape(random.int(1, 3));
    return {
      what: `where on ${name} of comparisons of the variables`,
      inputs: [random.array(shape), random.array(shape)],
      run: (a, b) => tf.where(combine(tf.greater(a, 0), tf.less(b, 0.5)), tf.mul(a, b), tf.sub(a, b)),
      reference: elementwise((a, b) => (test(a > 0, b < 0.5) ? a * b : a - b)),
    };
  },
});

/** A number that decides nothing by itself: all of it has gradient 0. */
const mask = (name: string, run: Unary, f: (x: number) => number, kernel = upper(name)): Operation => ({
  name: `${name} as a factor`,
  kernels: [kernel],
  make: (random) => ({
    what: `x * ${name}(x)`,
    inputs: [random.array(random.shape(random.int(1, 3)))],
    run: (x) => tf.mul(x, tf.cast(run(x), 'float32')),
    reference: elementwise((x) => x * f(x)),
  }),
});

export const ELEMENTWISE: readonly Operation[] = [
  unary('abs', tf.abs, Math.abs),
  unary('acos', tf.acos, Math.acos, { low: -0.9, high: 0.9 }),
  unary('acosh', tf.acosh, Math.acosh, { low: 1.2, high: 4 }),
  unary('asin', tf.asin, Math.asin, { low: -0.9, high: 0.9 }),
  unary('asinh', tf.asinh, Math.asinh),
  unary('atan', tf.atan, Math.atan),
  unary('atanh', tf.atanh, Math.atanh, { low: -0.9, high: 0.9 }),
  unary('ceil', tf.ceil, Math.ceil),
  unary('floor', tf.floor, Math.floor),
  unary('round', tf.round, roundToEven),
  unary('sign', tf.sign, (x) => (Number.isNaN(x) ? 0 : Math.sign(x))),
  unary('step', tf.step, (x) => (x > 0 ? 1 : x <= 0 ? 0 : NaN)),
  unary('cos', tf.cos, Math.cos, { hostile: true }),
  unary('cosh', tf.cosh, Math.cosh),
  unary('elu', tf.elu, (x) => (x >= 0 ? x : Math.expm1(x))),
  unary('erf', tf.erf, erf, { hostile: false }),
  unary('exp', tf.exp, Math.exp),
  unary('expm1', tf.expm1, Math.expm1),
  unary(
    'leakyRelu',
    (x) => tf.leakyRelu(x, 0.3),
    (x) => (x < 0 ? 0.3 * x : x),
  ),
  unary('log', tf.log, Math.log, { low: 0.2, high: 4 }),
  unary('log1p', tf.log1p, Math.log1p, { low: -0.8, high: 4 }),
  unary('logSigmoid', tf.logSigmoid, (x) => -softplus(-x), { kernel: 'Softplus' }),
  unary('neg', tf.neg, (x) => -x),
  unary('reciprocal', tf.reciprocal, (x) => 1 / x, { low: 0.3, high: 4 }),
  unary(
    'relu',
    tf.relu,
    keepNaN((x) => Math.max(x, 0)),
  ),
  unary(
    'relu6',
    tf.relu6,
    keepNaN((x) => Math.min(Math.max(x, 0), 6)),
    { low: -4, high: 9 },
  ),
  unary('rsqrt', tf.rsqrt, (x) => 1 / Math.sqrt(x), { low: 0.3, high: 4 }),
  unary('selu', tf.selu, (x) => SCALE * (x >= 0 ? x : ALPHA * Math.expm1(x))),
  unary('sigmoid', tf.sigmoid, sigmoid),
  unary('sin', tf.sin, Math.sin, { hostile: true }),
  unary('sinh', tf.sinh, Math.sinh),
  unary('softplus', tf.softplus, softplus),
  unary('sqrt', tf.sqrt, Math.sqrt, { low: 0.2, high: 4 }),
  unary('square', tf.square, (x) => x * x),
  unary('tan', tf.tan, Math.tan, { low: -1.2, high: 1.2, hostile: true }),
  unary('tanh', tf.tanh, Math.tanh),
  unary(
    'clipByValue',
    (x) => tf.clipByValue(x, -1, 0.7),
    keepNaN((x) => Math.min(Math.max(x, -1), 0.7)),
  ),
  unary(
    'clone',
    (x) => tf.clone(x),
    (x) => x,
    { kernel: 'Identity' },
  ),
  unary('cast to integers', (x) => tf.cast(tf.cast(x, 'int32'), 'float32'), Math.trunc, {
    kernel: 'Cast',
    hostile: false,
  }),
  unary(
    'cast to truth values',
    (x) => tf.cast(tf.cast(x, 'bool'), 'float32'),
    (x) => (x === 0 ? 0 : 1),
    { kernel: 'Cast' },
  ),
  unary(
    'onesLike',
    (x) => tf.onesLike(x),
    () => 1,
  ),
  unary(
    'zerosLike',
    (x) => tf.zerosLike(x),
    () => 0,
  ),
  mask('isNaN', tf.isNaN, () => 0, 'IsNan'),
  mask('isInf', tf.isInf, () => 0),
  mask('isFinite', tf.isFinite, () => 1),
  mask(
    'logicalNot',
    (x) => tf.logicalNot(tf.greater(x, 0)),
    (x) => (x > 0 ? 0 : 1),
  ),
  binary('add', tf.add, (a, b) => a + b),
  binary('sub', tf.sub, (a, b) => a - b),
  binary('mul', tf.mul, (a, b) => a * b, { kernel: 'Multiply' }),
  binary('div', tf.div, (a, b) => a / b, { kernel: 'RealDiv', second: [0.4, 3] }),
  binary('divNoNan', tf.divNoNan, (a, b) => (b === 0 ? 0 : a / b), {
    kernel: 'Select',
    second: [0.4, 3],
    hostile: false,
  }),
  binary('floorDiv', tf.floorDiv, (a, b) => Math.floor(a / b), { second: [0.4, 3], hostile: false }),
  binary('mod', tf.mod, (a, b) => a - b * Math.floor(a / b), { second: [0.4, 3], hostile: false }),
  binary('pow', tf.pow, (a, b) => a ** b, { first: [0.3, 3] }),
  binary(
    'pow of whole numbers',
    (a, b) => tf.pow(a, tf.round(b)),
    (a, b) => a ** roundToEven(b),
    { kernel: 'Pow', first: [-2, 2], second: [0, 4], hostile: false },
  ),
  binary('maximum', tf.maximum, (a, b) => Math.max(a, b)),
  binary('minimum', tf.minimum, (a, b) => Math.min(a, b)),
  binary('squaredDifference', tf.squaredDifference, (a, b) => (a - b) ** 2),
  binary('atan2', tf.atan2, Math.atan2, { hostile: false }),
  {
    name: 'prelu',
    kernels: ['Prelu'],
    hostile: 'elements',
    make: (random) => {
      const shape = random.anyShape(1);
      const slopes = shape
        .map((extent) => (random.uniform() < 0.4 ? 1 : extent))
        .slice(random.int(0, shape.length - 1));
      return {
        what: 'prelu',
        inputs: [random.array(shape), random.array(slopes)],
        run: tf.prelu,
        reference: elementwise((x, a) => (x < 0 ? a * x : x)),
      };
    },
  },
  {
    name: 'addN',
    kernels: ['AddN'],
    hostile: 'elements',
    make: (random) => {
      const shape = random.anyShape();
      const inputs = Array.from({ length: random.int(1, 4) }, () => random.array(shape));
      return {
        what: 'addN',
        inputs,
        run: (...all) => tf.addN(all),
        reference: elementwise((...all) => all.reduce((a, b) => a + b, 0)),
      };
    },
  },
  where,
  whereOnItself('less', tf.less, (a, b) => a < b),
  whereOnItself('lessEqual', tf.lessEqual, (a, b) => a <= b),
  whereOnItself('greater', tf.greater, (a, b) => a > b),
  whereOnItself('greaterEqual', tf.greaterEqual, (a, b) => a >= b),
  whereOnItself('equal', tf.equal, (a, b) => a === b),
  whereOnItself('notEqual', tf.notEqual, (a, b) => a !== b),
  logical('logicalAnd', tf.logicalAnd, (a, b) => a && b),
  logical('logicalOr', tf.logicalOr, (a, b) => a || b),
];
