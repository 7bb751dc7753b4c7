import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { parseSeed } from '../../impl-gpu/random.ts';
import { UsageError } from '../errors.ts';

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
  return {
    positionals,
    text,
    texts: (name) => (values[name] ?? []) as string[],
    flag: (name) => values[name] === true,
    number: (name, rule, holds) => {
      const given = text(name);
      if (given === undefined) return undefined;
      const value = given.trim() === '' ? NaN : Number(given);
      if (!Number.isFinite(value) || !holds(value)) {
        throw new UsageError(`--${name} must be ${rule}, got ${JSON.stringify(given)}`);
      }
      return value;
    },
  };
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
