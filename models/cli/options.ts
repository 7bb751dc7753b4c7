import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { parseSeed } from 'learning-rate-dropout/stream';
import { UsageError, unknownName } from '../errors.ts';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** Parsed arguments of a subcommand. */
export interface Arguments {
  readonly positionals: readonly string[];
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  flag(name: string): boolean;
  /** A finite number that satisfies `holds`, or undefined when it was left out. */
  number(name: string, rule: string, holds: (value: number) => boolean): number | undefined;
  /** A whole number of at least 1, or undefined when it was left out. */
  whole(name: string): number | undefined;
  /** One of `choices`, or undefined when it was left out. */
  choice<T extends string>(name: string, choices: readonly T[]): T | undefined;
  /** A regular expression, or undefined when it was left out. */
  pattern(name: string): RegExp | undefined;
}

/** Parses a subcommand's arguments. Throws a `UsageError` that names the argument that is unknown, or lacks its value. */
export function parse(args: readonly string[], options: Options): Arguments {
  let values: Values;
  let positionals: string[];
  try {
    ({ values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true }));
  } catch (error) {
    const known = Object.keys(options).map((name) => `--${name}`);
    const [line] = (error as Error).message.split('\n');
    throw new UsageError(`${(line ?? '').replace(/\. To specify.*$/, '')}; options: ${known.join(', ')}`);
  }
  const text = (name: string): string | undefined => values[name] as string | undefined;
  const number: Arguments['number'] = (name, rule, holds) => {
    const given = text(name);
    if (given === undefined) return undefined;
    const value = given.trim() === '' ? NaN : Number(given);
    if (!Number.isFinite(value) || !holds(value)) {
      throw new UsageError(`--${name} must be ${rule}, got ${JSON.stringify(given)}`);
    }
    return value;
  };
  return {
    positionals,
    text,
    texts: (name) => (values[name] ?? []) as string[],
    flag: (name) => values[name] === true,
    number,
    whole: (name) => number(name, 'a whole number of at least 1', (value) => Number.isInteger(value) && value >= 1),
    choice: (name, choices) => {
      const given = text(name);
      const known = choices.find((choice) => choice === given);
      if (given !== undefined && known === undefined) throw unknownName(`--${name}`, given, choices);
      return known;
    },
    pattern: (name) => {
      const given = text(name);
      try {
        return given === undefined ? undefined : new RegExp(given);
      } catch {
        throw new UsageError(`--${name} must be a regular expression, got ${JSON.stringify(given)}`);
      }
    },
  };
}

/** `--checkpoint-seconds`, 60 when it was left out. */
export function readCheckpointSeconds(options: Arguments): number {
  return options.number('checkpoint-seconds', 'a number of at least 0', (value) => value >= 0) ?? 60;
}

/** `--seed` as a bigint, or undefined when it was left out. */
export function readSeed(options: Arguments): bigint | undefined {
  const given = options.text('seed');
  if (given === undefined) return undefined;
  try {
    return parseSeed(given);
  } catch {
    throw new UsageError(`--seed must be a whole number in [0, 2^64) or "0x...", got ${JSON.stringify(given)}`);
  }
}

/** `--crop`, the side of `pspnet`'s training crops, or undefined when it was left out. */
export function readCrop(options: Arguments): number | undefined {
  return options.number('crop', 'a whole number of 8k + 1, at least 25', (value) => value >= 25 && value % 8 === 1);
}
