/**
 * What a person types, as data. Each option and each word of a command is a row that says what it means, how its text is read and what
 * it may be: help, documentation, checks, completion and suggestions are all made from these rows (`parse.ts`, `help.ts`,
 * `completion.ts`, `reference.ts`), and the types of a command's values are derived from them.
 */
import { parseSeed } from 'learning-rate-dropout/stream';
import { isDecimal, readDecimal, readWhole } from '../../decimal.ts';
import { UsageError, didYouMean, unknownName } from '../../errors.ts';

/** Names that a value may be; those that are known only to a room with a tensor library are loaded when they are needed. */
export type Choices = readonly string[] | (() => Promise<readonly string[]>);

/** What a row says beside how it is read. */
export interface Said {
  /** What it does, in words that need no other page. */
  readonly about: string;
  /** The word for its value, as N in `--epochs N`. */
  readonly value?: string;
  /** Of a number: what it counts or measures. */
  readonly unit?: string;
  /** What holds where it is left out, in words. */
  readonly default?: string;
  /** The heading in help that it stands below. */
  readonly group?: string;
}

/** An option. `T` is the type of its value in a call; `absent` the value where it was not given. */
export interface Option<T> extends Said {
  readonly absent: T;
  /** Whether it stands alone, without a value. */
  readonly flag?: boolean;
  /** Whether it may be given several times. */
  readonly repeated?: boolean;
  readonly choices?: Choices;
  /** What the shell completes. */
  readonly path?: 'file' | 'folder';
  /** Whether a path may stand in place of one of the choices. */
  readonly orPath?: boolean;
  /** Reads one value. Throws a `UsageError` that names the option, the value and the rule. */
  readonly read: (text: string, name: string, choices: readonly string[]) => unknown;
}

/** A word of a command that is no option, by its place. */
export interface Word extends Pick<Said, 'about' | 'default'> {
  readonly choices?: Choices;
  readonly path?: 'file' | 'folder';
  /** Whether the command cannot do without it. */
  readonly required?: boolean;
  /** The last one may stand for any number. */
  readonly repeated?: boolean;
  /** Whether a path may stand in place of one of the choices: a word with a slash, or a file's name with the ending of a module, or as said. */
  readonly orPath?: true | '.json';
}

type Options = Readonly<Record<string, Option<unknown>>>;
type Words = Readonly<Record<string, Word>>;

/** A command, or one of its sub-commands. */
export interface Command<W extends Words = Words, O extends Options = Options> {
  /** One line for the list of commands. */
  readonly summary: string;
  /** More, for its own help. */
  readonly about?: string;
  readonly words: W;
  readonly options: O;
  /** Calls with what they do. */
  readonly examples: readonly (readonly [call: string, does: string])[];
  /** What may stand behind `--`, as it is; nothing may where this is left out. */
  readonly behind?: string;
}

/** A command as its code gets it: every value read and checked. */
export interface Call<C extends Command> {
  readonly words: {
    readonly [K in keyof C['words']]: C['words'][K] extends { readonly repeated: true }
      ? readonly string[]
      : C['words'][K] extends { readonly required: true }
        ? string
        : string | undefined;
  };
  readonly options: { readonly [K in keyof C['options']]: C['options'][K] extends Option<infer T> ? T : never };
  /** Names of the options that were given. */
  readonly given: ReadonlySet<string>;
  /** What stands behind `--`, where the command takes that. */
  readonly behind: readonly string[];
  /** The call as it was typed, without the command's name. */
  readonly args: readonly string[];
}

/** Keeps a row's exact type. */
export function command<const W extends Words, const O extends Options>(row: Command<W, O>): Command<W, O> {
  return row;
}

/** Rows below one heading. */
export function group<O extends Options>(heading: string, options: O): O {
  return Object.fromEntries(
    Object.entries(options).map(([name, row]) => [name, { ...row, group: row.group ?? heading }]),
  ) as O;
}

/** An option that stands alone. */
export function flag(said: Said): Option<boolean> {
  return { ...said, flag: true, absent: false, read: () => true };
}

/** Any text but none. */
function readText(text: string, name: string): string {
  if (text === '') throw new UsageError(`${name} must not be empty`);
  return text;
}

export function text(said: Said): Option<string | undefined> {
  return { ...said, absent: undefined, read: readText };
}

/** A file by its path. */
export function file(said: Said): Option<string | undefined> {
  return { value: 'FILE', ...said, path: 'file', absent: undefined, read: readText };
}

/** A folder by its path. */
export function folder(said: Said): Option<string | undefined> {
  return { value: 'DIR', ...said, path: 'folder', absent: undefined, read: readText };
}

/** A number's range and its words; what a float32 cannot hold is outside every range. */
export interface Range {
  readonly rule: string;
  readonly holds: (value: number) => boolean;
  /** Whether it is one of whole numbers. */
  readonly whole?: boolean;
}

/** The largest finite float32, and the smallest above 0. */
const LARGEST = 3.4028234663852886e38;
const SMALLEST = 2 ** -149;

/** Reads a number of a range. Throws a `UsageError` that names the argument, the value and the rule. */
export function readNumber(given: string, name: string, { rule, holds, whole = false }: Range): number {
  const value = whole ? readWhole(given) : readDecimal(given);
  // A decimal that no double holds: it may be of the range for all that.
  const beyond = !whole && Number.isNaN(value) && isDecimal(given) && holds(Number(given));
  if (!beyond && (Number.isNaN(value) || !holds(value))) {
    throw new UsageError(`${name} must be ${rule}, got ${JSON.stringify(given)}`);
  }
  if (beyond || Math.abs(value) > LARGEST || (value !== 0 && Math.fround(value) === 0)) {
    throw new UsageError(
      `${name} must be a number that float32 holds, at least ${SMALLEST.toPrecision(2)} and at most ${LARGEST.toPrecision(2)}, ` +
        `got ${JSON.stringify(given)}`,
    );
  }
  return value;
}

/** Reads a whole number in [least, most]; `or` is the word that may stand in its place. Throws a `UsageError` as `readNumber` does. */
export function readCount(
  given: string,
  name: string,
  { least, most, or }: { readonly least: number; readonly most: number; readonly or?: string },
): number {
  const value = readWhole(given);
  if (value >= least && value <= most) return value;
  const word = or === undefined ? '' : `, or the word ${or}`;
  throw new UsageError(
    `${name} must be a whole number of at least ${least.toLocaleString('en')} and at most ${most.toLocaleString('en')}${word}, got ${JSON.stringify(given)}`,
  );
}

/** A finite number of a range. */
export function number(said: Said & Range): Option<number | undefined> {
  return { value: 'N', ...said, absent: undefined, read: (given, name) => readNumber(given, name, said) };
}

/** The range above 0. */
export const ABOVE_0: Range = { rule: 'a number above 0', holds: (value) => value > 0 };
/** The range from 0 on. */
export const FROM_0: Range = { rule: 'a number of at least 0', holds: (value) => value >= 0 };
/** What a probability p may be: a threshold of 16 bits decides. */
export const PROBABILITY: Range = { rule: 'a number in [2^-16, 1]', holds: (p) => p >= 2 ** -16 && p <= 1 };

/** A whole number from 1 to `most`. */
export function whole(said: Said & { readonly most?: number }): Option<number | undefined> {
  const { most = 2 ** 31 - 1 } = said;
  const read = (given: string, name: string): number => readCount(given, name, { least: 1, most });
  return { value: 'N', ...said, absent: undefined, read };
}

/** One of a few names, or a module's path where that may stand in their place. */
export function choice<T extends string>(
  choices: readonly T[] | (() => Promise<readonly T[]>),
  said: Said,
  orPath = false,
): Option<T | undefined> {
  return {
    ...said,
    choices,
    orPath,
    absent: undefined,
    read: (given, name, known) => {
      if (!known.includes(given) && !(orPath && looksLikePath(given))) throw unknownName(name, given, known);
      return given;
    },
  };
}

/** A regular expression. */
export function pattern(said: Said): Option<RegExp | undefined> {
  return {
    value: 'PATTERN',
    ...said,
    absent: undefined,
    read: (given, name) => {
      try {
        return new RegExp(given);
      } catch {
        throw new UsageError(`${name} must be a regular expression, got ${JSON.stringify(given)}`);
      }
    },
  };
}

/** A seed of the mask stream. */
export function seed(said: Said): Option<bigint | undefined> {
  return {
    value: 'S',
    ...said,
    absent: undefined,
    read: (given, name) => {
      try {
        return parseSeed(given);
      } catch {
        throw new UsageError(`${name} must be a whole number in [0, 2^64) or "0x...", got ${JSON.stringify(given)}`);
      }
    },
  };
}

/** A value with a form of its own. */
export function special<T>(said: Said & { readonly read: (text: string, name: string) => T }): Option<T | undefined> {
  return { ...said, absent: undefined };
}

/** An option that may be given several times: its values in order. */
export function list<T>(row: Option<T>): Option<readonly NonNullable<T>[]> {
  return { ...row, repeated: true, absent: [] };
}

/** A word as help and messages name it: `SUITE` for each of `suites`. */
export function titleOf(key: string, { repeated }: Word): string {
  return (repeated === true ? key.replace(/s$/, '') : key).toUpperCase();
}

/** Whether a word can only be a path: it has a slash, or the ending of a module (or the one that is given). */
export function looksLikePath(text: string, ending?: string): boolean {
  return /[/\\]/.test(text) || (ending === undefined ? /\.[cm]?[jt]s$/.test(text) : text.endsWith(ending));
}

/** Reads a word. Throws a `UsageError` that names it, the value and the names that are known. */
export function readWord(given: string, name: string, { orPath }: Word, known: readonly string[]): string {
  if (given === '') throw new UsageError(`${name} must not be empty`);
  if (known.length === 0 || known.includes(given)) return given;
  if (orPath === undefined) throw unknownName(name, given, known);
  const ending = orPath === true ? undefined : orPath;
  if (looksLikePath(given, ending)) return given;
  const path = ending === undefined ? "a module's path such as" : 'the path of a file such as';
  throw new UsageError(
    `${name} must be one of ${known.join(', ')}, or ${path} ./${name.toLowerCase()}${ending ?? '.js'}; ` +
      `got ${JSON.stringify(given)}${didYouMean(given, known)}`,
  );
}

/** The names that a row may be, loaded. */
export async function choicesOf({ choices }: { readonly choices?: Choices }): Promise<readonly string[]> {
  if (choices === undefined) return [];
  return typeof choices === 'function' ? choices() : choices;
}
