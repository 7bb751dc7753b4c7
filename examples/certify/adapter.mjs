/**
 * Certifies a foreign optimizer: what `lrd conformance` needs to run it on cases of its own.
 *
 *     npx lrd conformance --adapter module:./examples/certify/adapter.mjs
 */
import { MaskedSgd } from './optimizer.mjs';

/** What it can do; what is left out is not asked. */
const IMPLEMENTATION = {
  name: 'masked-sgd',
  language: 'javascript',
  precision: 'float64',
  rules: ['sgdm'],
  masks: ['given', 'own'],
  features: ['state'],
};
/** Of the rule's hyper-parameters, those that this optimizer has. */
const KNOWN = { learningRate: 0.1, momentum: 0.9 };
const ALLOWED = {
  learningRate: (x) => x >= 0 && x < Infinity,
  momentum: (x) => x >= 0 && x < 1,
  dampening: (x) => x >= 0 && x <= 1,
  weightDecay: (x) => x >= 0 && x < Infinity,
  nesterov: (x) => typeof x === 'boolean',
};

const sizeOf = (shape) => shape.reduce((product, n) => product * n, 1);
const invalid = (message) => ({ kind: 'errored', code: 'invalid-argument', message });

/** The first thing that is wrong with a case, as a line; undefined where nothing is. */
function fault({ hyper = {}, keepProbability: p = 1, masks, parameters, gradients }) {
  if (!(p >= 2 ** -16 && p <= 1)) return `keepProbability must be in [2^-16, 1], got ${p}`;
  for (const [name, value] of Object.entries(hyper)) {
    if (!(name in ALLOWED)) return `hyper must have names of sgdm, got ${name}`;
    if (!(ALLOWED[name](value) && (name === 'nesterov' || typeof value === 'number')))
      return `${name} must be in its range, got ${value}`;
  }
  for (const [k, { name, shape, values }] of parameters.entries()) {
    const size = sizeOf(shape);
    if (Array.isArray(values) && values.length !== size)
      return `values of ${name} must be ${size}, got ${values.length}`;
    for (const [step, row] of gradients.entries()) {
      if (row.length !== parameters.length)
        return `gradients of a step must be ${parameters.length}, got ${row.length}`;
      if (Array.isArray(row[k]) && row[k].length !== size)
        return `gradient ${k} must have ${size} elements, got ${row[k].length}`;
      if (Array.isArray(masks) && masks[step][k].length !== size)
        return `mask ${k} must have ${size} elements, got ${masks[step][k].length}`;
    }
  }
  return undefined;
}

/** An adapter for a class of this shape. */
export function adapterOf(Optimizer, name = IMPLEMENTATION.name) {
  return {
    implementation: { ...IMPLEMENTATION, name },
    async run(example) {
      const wrong = fault(example);
      if (wrong !== undefined) return invalid(wrong);
      const { hyper = {}, keepProbability = 1, masks, parameters, gradients } = example;
      const foreign = Object.keys(hyper).find((key) => !(key in KNOWN) && hyper[key] !== 0 && hyper[key] !== false);
      if (foreign !== undefined) return { kind: 'skipped', reason: `no ${foreign}` };
      const listed = (values, shape) => (Array.isArray(values) ? values : new Array(sizeOf(shape)).fill(values.fill));
      const theta = parameters.map(({ values, shape }) => Float64Array.from(listed(values, shape)));
      const optimizers = theta.map(({ length }) => new Optimizer(length, { ...KNOWN, ...hyper, keepProbability }));
      const steps = gradients.map((row, step) => {
        const kept = optimizers.map((optimizer, k) =>
          Array.isArray(masks) ? Array.from(masks[step][k], (bit) => bit === '1') : optimizer.draw(),
        );
        for (const [k, optimizer] of optimizers.entries())
          optimizer.step(theta[k], listed(row[k], parameters[k].shape), kept[k]);
        return {
          parameters: theta.map((values) => [...values]),
          masks: kept.map((bits) => bits.map(Number).join('')),
          state: (hyper.momentum ?? KNOWN.momentum) === 0 ? {} : { buf: optimizers.map(({ buffer }) => [...buffer]) },
        };
      });
      return { kind: 'result', steps };
    },
    async close() {},
  };
}

export const createAdapter = () => adapterOf(MaskedSgd);
