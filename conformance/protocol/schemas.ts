/**
 * JSON Schemas (2020-12) of the protocol's messages, and the checks made from them. Both sides are checked: what the kit sends
 * before it goes out, what an implementation answers before it is judged.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import { foreignText } from 'learning-rate-dropout/internal';
import { MASK_KINDS, MASK_OPTIONS } from 'learning-rate-dropout/spec';
import type { HyperParameter, MaskKind, MaskOption } from 'learning-rate-dropout/spec';
import { PROTOCOL_VERSIONS } from './types.ts';
import type { Implementation } from './types.ts';

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
    // Whatever its options are: what is refused must travel too.
    mask: {
      type: 'object',
      properties: { kind: { type: 'string' } },
      required: ['kind'],
      additionalProperties: { anyOf: [{ $ref: '#/$defs/number' }, { type: 'string' }] },
    },
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

/** A name is shown in every line: one of a megabyte is none. */
const word = { type: 'string', minLength: 1, maxLength: 200 } as const;

/** One value, or a list of them. */
const oneOrMore = (value: object): object => ({
  anyOf: [value, { type: 'array', items: value, minItems: 1, maxItems: 100, uniqueItems: true }],
});

function optionSchema(parameter: HyperParameter): object {
  if (parameter.kind === 'choice') return { enum: parameter.values };
  if (parameter.kind === 'flag') return { type: 'boolean' };
  const { minimum, maximum, openMinimum, openMaximum } = parameter;
  return {
    type: 'number',
    [openMinimum === true ? 'exclusiveMinimum' : 'minimum']: minimum,
    ...(Number.isFinite(maximum) ? { [openMaximum === true ? 'exclusiveMaximum' : 'maximum']: maximum } : {}),
  };
}

/** What an implementation may say that it does of a kind: cells that the kind has, options that one of its factors has. */
function abilitySchema({ granularities, factors }: MaskKind): object {
  const options = Object.entries<MaskOption>(MASK_OPTIONS).filter(
    ([, { factors: only }]) => only === undefined || only.some((factor) => factors.includes(factor)),
  );
  return object(
    {
      granularity: oneOrMore({ enum: granularities }),
      factor: oneOrMore({ enum: factors }),
      ...Object.fromEntries(options.map(([name, { parameter }]) => [name, oneOrMore(optionSchema(parameter))])),
    },
    [],
  );
}

const kindsSchema = object(
  Object.fromEntries(Object.entries<MaskKind>(MASK_KINDS).map(([name, kind]) => [name, abilitySchema(kind)])),
  [],
);

const implementationSchema = (more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> =>
  object(
    {
      name: word,
      version: { type: 'string', maxLength: 200 },
      language: word,
      homepage: { type: 'string', maxLength: 2000 },
      precision: { enum: ['float64', 'float32'] },
      rules: { type: 'array', items: word, minItems: 1, maxItems: 100, uniqueItems: true },
      masks: { type: 'array', items: { enum: ['stream', 'given', 'own'] }, minItems: 1, uniqueItems: true },
      features: {
        type: 'array',
        items: {
          enum: [
            'state',
            'resume',
            'base',
            'schedule',
            'groups',
            'null-gradient',
            'relaxed-float32',
            'float32-scalars',
          ],
        },
        uniqueItems: true,
      },
      ...more,
    },
    ['name', 'language', 'precision', 'rules', 'masks'],
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
  start: schema('start', object({ cmd: { const: 'start' }, version: { enum: PROTOCOL_VERSIONS } })),
  run: schema('run', object({ cmd: { const: 'run' }, seq, case: caseSchema })),
  stop: schema('stop', object({ cmd: { const: 'stop' } })),
  started: schema(
    'answer to start, version 1',
    object({ version: { enum: PROTOCOL_VERSIONS }, implementation: implementationSchema() }),
  ),
  started2: schema(
    'answer to start, version 2',
    object({ version: { const: 2 }, implementation: implementationSchema({ kinds: kindsSchema }) }),
  ),
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
    validator = new Ajv2020({ allErrors: false, verbose: true, strict: true, allowUnionTypes: true }).compile(
      MESSAGE_SCHEMAS[name],
    );
    validators.set(name, validator);
  }
  return validator;
}

/** A value as a reader can recognise it, however large it is. */
function quote(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) {
    const names = Object.keys(value).slice(0, 8);
    return names.length === 0 ? '{}' : `an object with ${foreignText(names.join(', '), 120)}`;
  }
  return foreignText(typeof value === 'string' ? JSON.stringify(value.slice(0, 200)) : String(value), 120);
}

/** Where something stands, as one would write it: `result.steps[0].parameters`. */
function place(path: string): string {
  if (path === '') return 'the message';
  const text = path
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part, i) => (/^\d+$/.test(part) ? `[${part}]` : i === 0 ? part : `.${part}`))
    .join('');
  return foreignText(text, 120);
}

/** What is allowed, and what came. */
function explain(error: ErrorObject): string {
  const { instancePath, keyword, data, parentSchema } = error;
  const where = place(instancePath);
  const properties = Object.keys((parentSchema?.['properties'] as object | undefined) ?? {});
  switch (keyword) {
    case 'enum':
      return `${where} must be one of ${(error.schema as unknown[]).join(', ')}; got ${quote(data)}`;
    case 'const':
      return `${where} must be ${String(error.schema)}; got ${quote(data)}`;
    case 'required':
      return `${where} must have the fields ${((error.schema as string[] | undefined) ?? []).join(', ')}; got ${quote(data)}`;
    case 'additionalProperties': {
      const extra = quote((error.params as { additionalProperty?: unknown }).additionalProperty);
      return `${where} must have only the fields ${properties.join(', ')}; got ${extra}`;
    }
    default:
      return `${where} ${error.message ?? 'is wrong'}; got ${quote(data)}`;
  }
}

/** What is wrong with a message in wire form, in one line; undefined when nothing is. */
export function faultOf(name: MessageName, message: unknown): string | undefined {
  const validator = validatorOf(name);
  if (validator(message)) return undefined;
  // The deepest path says most: the first errors of an `anyOf` are about the branches not meant.
  const errors = [...(validator.errors ?? [])].sort((a, b) => b.instancePath.length - a.instancePath.length);
  const [deepest] = errors;
  if (deepest === undefined) return 'it does not follow its schema';
  const words = errors.find(({ keyword, instancePath }) => keyword === 'enum' && instancePath === deepest.instancePath);
  if (deepest.keyword === 'type' && words !== undefined) {
    const type = String((deepest.params as { type?: unknown }).type);
    return explain(words).replace('must be one of', `must be a ${type} or one of`);
  }
  return explain(deepest);
}

/** Which answer a parsed line wants to be. */
export function answerKind(message: unknown): 'result' | 'skipped' | 'errored' | 'started' | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  for (const kind of ['result', 'skipped', 'errored'] as const) if (kind in message) return kind;
  return 'implementation' in message ? 'started' : undefined;
}

/** The implementation in the answer to start, what it left out filled in. Throws `refuse(fault)` when the answer is wrong. */
export function greetingOf(message: unknown, refuse: (fault: string) => Error): Implementation {
  const version = (message as { version?: unknown } | null)?.version;
  const fault = faultOf(version === 2 ? 'started2' : 'started', message);
  if (fault !== undefined) throw refuse(`the answer to start: ${fault}`);
  const { implementation } = message as { implementation: Omit<Implementation, 'features'> & Partial<Implementation> };
  const texts = Object.entries(implementation).map(([name, value]): [string, unknown] => [
    name,
    typeof value === 'string' ? foreignText(value, 200) : value,
  ]);
  const rules = implementation.rules.map((rule) => foreignText(rule, 200));
  return { features: [], ...(Object.fromEntries(texts) as unknown as Omit<Implementation, 'features'>), rules };
}
