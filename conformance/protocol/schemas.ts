/**
 * JSON Schemas (2020-12) of the protocol's messages, and the checks made from them. Both sides are checked: what the kit sends
 * before it goes out, what an implementation answers before it is judged.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';

const number = { anyOf: [{ type: 'number' }, { enum: ['NaN', 'Infinity', '-Infinity', '-0'] }] } as const;
const numbers = { type: 'array', items: { $ref: '#/$defs/number' } } as const;
const fill = {
  type: 'object',
  properties: { fill: { $ref: '#/$defs/number' } },
  required: ['fill'],
  additionalProperties: false,
} as const;
const bits = { type: 'string', pattern: '^[01]*$' } as const;
const state = {
  type: 'object',
  additionalProperties: { type: 'array', items: { $ref: '#/$defs/numbers' } },
} as const;
const hyper = {
  type: 'object',
  additionalProperties: {
    anyOf: [
      { type: ['number', 'string', 'boolean'] },
      { type: 'array', items: { type: ['number', 'string', 'boolean'] } },
    ],
  },
} as const;
const keepProbability = {
  anyOf: [{ $ref: '#/$defs/number' }, { $ref: '#/$defs/numbers' }],
} as const;
const $defs = { number, numbers, fill, bits, state, hyper, keepProbability } as const;

const object = (
  properties: Readonly<Record<string, unknown>>,
  required: readonly string[] = Object.keys(properties),
): Record<string, unknown> => ({ type: 'object', properties, required, additionalProperties: false });

const caseSchema = object(
  {
    rule: { type: 'string' },
    hyper: { $ref: '#/$defs/hyper' },
    keepProbability: { anyOf: [{ $ref: '#/$defs/keepProbability' }, { type: 'null' }] },
    masks: {
      anyOf: [
        { enum: ['stream', 'own'] },
        { type: 'array', items: { type: 'array', items: { $ref: '#/$defs/bits' } } },
      ],
    },
    seed: { type: 'string', pattern: '^0x[0-9a-fA-F]{1,16}$' },
    firstStep: { type: 'integer', minimum: 1, maximum: 2 ** 32 - 1 },
    state: { $ref: '#/$defs/state' },
    parameters: {
      type: 'array',
      items: object(
        {
          name: { type: 'string' },
          shape: { type: 'array', items: { type: 'integer', minimum: 0 } },
          values: { anyOf: [{ $ref: '#/$defs/numbers' }, { $ref: '#/$defs/fill' }] },
          excluded: { type: 'boolean' },
          hyper: { $ref: '#/$defs/hyper' },
          keepProbability: { $ref: '#/$defs/keepProbability' },
        },
        ['name', 'shape', 'values'],
      ),
    },
    gradients: {
      type: 'array',
      items: {
        type: 'array',
        items: { anyOf: [{ $ref: '#/$defs/numbers' }, { $ref: '#/$defs/fill' }, { type: 'null' }] },
      },
    },
    report: { type: 'array', items: { enum: ['parameters', 'masks', 'state'] }, uniqueItems: true },
  },
  ['rule', 'parameters', 'gradients'],
);

const implementationSchema = object(
  {
    name: { type: 'string', minLength: 1 },
    version: { type: 'string' },
    language: { type: 'string', minLength: 1 },
    homepage: { type: 'string' },
    precision: { enum: ['float64', 'float32'] },
    rules: { type: 'array', items: { type: 'string' }, minItems: 1, uniqueItems: true },
    masks: { type: 'array', items: { enum: ['stream', 'given', 'own'] }, minItems: 1, uniqueItems: true },
    features: {
      type: 'array',
      items: {
        enum: ['state', 'resume', 'base', 'schedule', 'groups', 'null-gradient', 'relaxed-float32', 'float32-scalars'],
      },
      uniqueItems: true,
    },
  },
  ['name', 'language', 'precision', 'rules', 'masks', 'features'],
);

const seq = { type: 'integer', minimum: 0 } as const;
const stepSchema = object(
  {
    parameters: { type: 'array', items: { $ref: '#/$defs/numbers' } },
    masks: { type: 'array', items: { anyOf: [{ $ref: '#/$defs/bits' }, { type: 'null' }] } },
    state: { $ref: '#/$defs/state' },
  },
  [],
);

const schema = (title: string, body: Record<string, unknown>): Record<string, unknown> => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title,
  ...body,
  $defs,
});

/** Every message by its name, as a schema that stands alone. */
export const MESSAGE_SCHEMAS = {
  start: schema('start', object({ cmd: { const: 'start' }, version: { const: 1 } })),
  run: schema('run', object({ cmd: { const: 'run' }, seq, case: caseSchema })),
  stop: schema('stop', object({ cmd: { const: 'stop' } })),
  started: schema('answer to start', object({ version: { const: 1 }, implementation: implementationSchema })),
  result: schema(
    'answer to run: a result',
    object({ seq, result: object({ steps: { type: 'array', items: stepSchema } }) }),
  ),
  skipped: schema(
    'answer to run: skipped',
    object({
      seq,
      skipped: object({ reason: { type: 'string', minLength: 1 }, issue: { type: 'string' } }, ['reason']),
    }),
  ),
  errored: schema(
    'answer to run: refused',
    object({
      seq,
      errored: object({
        code: { enum: ['invalid-argument', 'unsupported', 'internal'] },
        message: { type: 'string', minLength: 1 },
      }),
    }),
  ),
} as const;

export type MessageName = keyof typeof MESSAGE_SCHEMAS;

const validators = new Map<MessageName, ValidateFunction>();

function validatorOf(name: MessageName): ValidateFunction {
  let validator = validators.get(name);
  if (validator === undefined) {
    validator = new Ajv2020({ allErrors: false, strict: true, allowUnionTypes: true }).compile(MESSAGE_SCHEMAS[name]);
    validators.set(name, validator);
  }
  return validator;
}

function explain(error: ErrorObject): string {
  const extra = 'additionalProperty' in error.params ? ` (${String(error.params['additionalProperty'])})` : '';
  return `${error.instancePath === '' ? 'the message' : error.instancePath} ${error.message ?? 'is wrong'}${extra}`;
}

/** What is wrong with a message in wire form, in one line; undefined when nothing is. */
export function faultOf(name: MessageName, message: unknown): string | undefined {
  const validator = validatorOf(name);
  if (validator(message)) return undefined;
  // The deepest path says most: the first errors of an `anyOf` are about the branches not meant.
  const errors = validator.errors ?? [];
  const deepest = [...errors].sort((a, b) => b.instancePath.length - a.instancePath.length)[0];
  return deepest === undefined ? 'it does not follow its schema' : explain(deepest);
}

/** Which answer a parsed line wants to be. */
export function answerKind(message: unknown): MessageName | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  for (const kind of ['result', 'skipped', 'errored'] as const) if (kind in message) return kind;
  return 'implementation' in message ? 'started' : undefined;
}
