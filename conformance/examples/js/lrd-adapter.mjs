#!/usr/bin/env node
/**
 * Learning rate dropout over SGD with momentum, in plain JavaScript, written against the conformance protocol. Node and nothing else.
 *
 *     npx lrd conformance --adapter 'cmd:node lrd-adapter.mjs'
 *
 * Put your own optimizer in the place of `Sgd`, name its rules in `IMPLEMENTATION`, and declare what it can do.
 */
import { createInterface } from 'node:readline';

// ---------------------------------------------------------------- the optimizer

/** SGD with momentum; each element's update is kept with probability p, else skipped. Momenta accumulate on every step. */
class Sgd {
  constructor(sizes, { learningRate = 0.1, momentum = 0.9, dampening = 0, nesterov = false, weightDecay = 0 }) {
    Object.assign(this, { learningRate, momentum, dampening, nesterov, weightDecay });
    this.buffers = sizes.map((size) => new Float64Array(size));
    this.steps = 0;
  }

  /** Steps `parameters` in place. `masks` holds true for an element that is kept. */
  step(parameters, gradients, masks) {
    this.steps += 1;
    for (const [k, theta] of parameters.entries()) {
      const buffer = this.buffers[k];
      for (let i = 0; i < theta.length; i++) {
        const g = gradients[k][i] + (this.weightDecay === 0 ? 0 : this.weightDecay * theta[i]);
        let update = g;
        if (this.momentum !== 0) {
          buffer[i] = this.steps === 1 ? g : this.momentum * buffer[i] + (1 - this.dampening) * g;
          update = this.nesterov ? g + this.momentum * buffer[i] : buffer[i];
        }
        // Select, do not multiply: a dropped element is not touched, whatever its update would be.
        if (masks[k][i]) theta[i] -= this.learningRate * update;
      }
    }
  }
}

// ---------------------------------------------------------------- the protocol

const IMPLEMENTATION = {
  name: 'my-lrd',
  language: 'javascript',
  precision: 'float64',
  rules: ['sgdm'],
  masks: ['given', 'own'],
  features: ['state', 'base'],
};

/** NaN, the infinities and -0 are strings on the wire. */
const NAMED = { NaN, Infinity, '-Infinity': -Infinity, '-0': -0 };
const decode = (x) => (typeof x === 'string' && x in NAMED ? NAMED[x] : x);
const encode = (x) => (Object.is(x, -0) ? '-0' : Number.isFinite(x) ? x : String(x));

class InvalidArgument extends Error {}

const RANGES = {
  learningRate: [0, Infinity],
  momentum: [0, 1],
  dampening: [0, 1],
  weightDecay: [0, Infinity],
};

function checkHyper(hyper) {
  for (const [name, value] of Object.entries(hyper)) {
    if (name === 'nesterov') {
      if (typeof value !== 'boolean') throw new InvalidArgument(`nesterov must be true or false, got ${value}`);
    } else if (!(name in RANGES)) throw new InvalidArgument(`hyper must have only known names, got ${name}`);
    else {
      const [low, high] = RANGES[name];
      const open = name !== 'dampening';
      if (!(value >= low && (open ? value < high : value <= high)))
        throw new InvalidArgument(`${name} must be in [${low}, ${high}${open ? ')' : ']'}, got ${value}`);
    }
  }
}

function read(what, values, size) {
  const list = Array.isArray(values) ? values.map(decode) : new Array(size).fill(decode(values.fill));
  if (list.length !== size) throw new InvalidArgument(`${what} must have ${size} elements, got ${list.length}`);
  return list;
}

function run({ rule, hyper = {}, keepProbability: given = 1, masks = 'own', parameters, gradients }) {
  if (rule !== 'sgdm') throw new InvalidArgument(`rule must be sgdm, got ${rule}`);
  const settings = Object.fromEntries(Object.entries(hyper).map(([name, value]) => [name, decode(value)]));
  checkHyper(settings);
  // null asks for the base rule, without learning rate dropout.
  const p = given === null ? 1 : decode(given);
  if (!(p >= 2 ** -16 && p <= 1)) throw new InvalidArgument(`keepProbability must be in [2^-16, 1], got ${p}`);
  const sizes = parameters.map(({ shape }) => shape.reduce((product, n) => product * n, 1));
  const theta = parameters.map(({ name, values }, k) => Float64Array.from(read(`values of ${name}`, values, sizes[k])));
  const optimizer = new Sgd(sizes, settings);
  const momentum = settings.momentum ?? 0.9;
  return gradients.map((row, index) => {
    if (row.length !== sizes.length)
      throw new InvalidArgument(`gradients of step ${index + 1} must have ${sizes.length} tensors, got ${row.length}`);
    const step = row.map((values, k) => read(`gradient ${k} of step ${index + 1}`, values, sizes[k]));
    const kept = sizes.map((size, k) => {
      if (!Array.isArray(masks)) return Array.from({ length: size }, () => Math.random() < p);
      const bits = Array.from(masks[index][k], (bit) => bit === '1');
      if (bits.length !== size)
        throw new InvalidArgument(`mask ${k} of step ${index + 1} must have ${size} elements, got ${bits.length}`);
      return given === null ? bits.map(() => true) : bits;
    });
    optimizer.step(theta, step, kept);
    return {
      parameters: theta.map((values) => Array.from(values, encode)),
      masks: kept.map((bits) => bits.map(Number).join('')),
      state: momentum === 0 ? {} : { buf: optimizer.buffers.map((values) => Array.from(values, encode)) },
    };
  });
}

const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  const { cmd, seq, case: example } = JSON.parse(line);
  if (cmd === 'stop') break;
  if (cmd === 'start') answer({ version: 1, implementation: IMPLEMENTATION });
  else {
    try {
      answer({ seq, result: { steps: run(example) } });
    } catch (error) {
      const code = error instanceof InvalidArgument ? 'invalid-argument' : 'internal';
      answer({ seq, errored: { code, message: error.message } });
    }
  }
}
