/**
 * The one way in which JSON comes from a disk: a form, which is a schema (JSON Schema 2020-12, by TypeBox, which derives the type), and
 * errors of one line that name the file, the place in it and the rule.
 */
import { Type } from '@sinclair/typebox';
import type { SchemaOptions, Static, TSchema, TUnsafe } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { JobError } from '../errors.ts';
import { readInput } from './inputs.ts';

/** Deeper than anything that is written here; what is deeper would overflow the stack of whatever walks through it. */
const DEEPEST = 64;

const ajv = new Ajv({ verbose: true, discriminator: true });

type Frozen<T> = unknown extends T
  ? T
  : T extends string | number | boolean | null | undefined
    ? T
    : { readonly [K in keyof T]: Frozen<T[K]> };

/** The type of what a schema describes, all of it readonly. */
export type Read<S extends TSchema> = Frozen<Static<S>>;

/** What a kind of file is checked against. */
export interface Form<T> {
  /** What it is, as in "not a run's settings". */
  readonly what: string;
  /** The value, when it is of the form. Throws a `JobError` of one line: `place` names the file and the line, the message the field and the rule. */
  read(value: unknown, place: string): T;
}

/** As people write it: `legend[2].colour`. */
function pathOf(pointer: string): string {
  const parts = pointer.split('/').slice(1);
  const words = parts.map((part) => {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    return /^\d+$/.test(name) ? `[${name}]` : `.${name}`;
  });
  return words.join('').replace(/^\./, '');
}

function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

function describe({
  instancePath,
  message = 'must be otherwise',
  params,
  data,
  keyword,
  parentSchema,
}: ErrorObject): string {
  const at = pathOf(instancePath);
  const where = at === '' ? '' : `${at} `;
  if (keyword === 'required') return `${where}${message.replaceAll("'", '')}`;
  if (keyword === 'enum') {
    const { allowedValues } = params as { readonly allowedValues: readonly unknown[] };
    return `${where}must be one of ${allowedValues.join(', ')}, got ${quoted(data)}`;
  }
  const said = (parentSchema as { readonly description?: string } | undefined)?.description;
  if (keyword === 'pattern' && said !== undefined) return `${where}must be ${said}, got ${quoted(data)}`;
  return `${where}${message}, got ${Array.isArray(data) ? `${data.length} values` : quoted(data)}`;
}

function deeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => deeper(inner, levels - 1));
}

/** A form by its schema. It is compiled when the first value is checked. */
export function form<S extends TSchema>(what: string, schema: S): Form<Read<S>> {
  let validate: ValidateFunction | undefined;
  return {
    what,
    read: (value, place) => {
      if (deeper(value, DEEPEST)) throw new JobError(`${place}: not ${what}: nested deeper than ${DEEPEST} levels`);
      validate ??= ajv.compile(schema);
      if (validate(value)) return value as Read<S>;
      const [error] = validate.errors ?? [];
      throw new JobError(`${place}: not ${what}: ${error === undefined ? 'of another form' : describe(error)}`);
    },
  };
}

/** Reads JSON text. Throws a `JobError` naming the place where it is not JSON, or not of the form. */
export function parseAs<T>(text: string, of: Form<T>, place: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // V8 quotes what it met, line breaks too.
    const [why = ''] = (error as Error).message.replace(/ in JSON at/, ' at').split(/,? "|\n/);
    throw new JobError(`${place}: not ${of.what}: not JSON (${why})`);
  }
  return of.read(value, place);
}

/** A file of a run or of a result may be as large as this, in bytes: what is made of it may need twenty times as much memory. */
export const LARGEST_JSON = 2 ** 25;

/**
 * Reads a file of JSON. Throws a `JobError` of one line that names the file, the place in it and the rule.
 *
 * @param limit bytes that it may have, at most; default 2^25
 * @param name what messages call it; default: the path
 */
export function readAs<T>(path: string, of: Form<T>, limit: number = LARGEST_JSON, name: string = path): T {
  return parseAs(readInput(path, limit, name).toString('utf8'), of, name);
}

/**
 * Reads a file with a value a line. What follows the last line break is a line that was being written, and is left out. Throws a `JobError`
 * that names file and line.
 */
export function readLinesAs<T>(path: string, of: Form<T>, limit: number = LARGEST_JSON): T[] {
  const lines = readInput(path, limit).toString('utf8').split('\n');
  return lines.slice(0, -1).map((line, index) => parseAs(line, of, `${path}: line ${index + 1}`));
}

/** One of a few names. */
export function oneOf<const T extends readonly string[]>(names: T): TUnsafe<T[number]> {
  return Type.Unsafe<T[number]>({ type: 'string', enum: [...names] });
}

/** Text of a pattern, with the pattern in words for messages. */
export function textOf(pattern: string, description: string, options: SchemaOptions = {}): TUnsafe<string> {
  return Type.Unsafe<string>({ type: 'string', pattern, description, ...options });
}

/** A whole number of at least `minimum` that a double counts to exactly. */
export function wholeFrom(minimum: number): TUnsafe<number> {
  return Type.Unsafe<number>({ type: 'integer', minimum, maximum: Number.MAX_SAFE_INTEGER });
}

/** A number of at least 0. */
export const FROM_0 = Type.Unsafe<number>({ type: 'number', minimum: 0 });
/** A keep probability: in [2^-16, 1]. */
export const PROBABILITY = Type.Unsafe<number>({ type: 'number', minimum: 2 ** -16, maximum: 1 });

/** Forms that a field tells apart: the message is about the one that is meant. */
export function byField<T>(field: string, forms: readonly TSchema[]): TUnsafe<T> {
  return Type.Unsafe<T>({
    type: 'object',
    discriminator: { propertyName: field },
    required: [field],
    oneOf: [...forms],
  });
}
