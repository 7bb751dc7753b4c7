import { UsageError, unknownName } from '../errors.ts';
import { FIRST_WORDS, below, help } from './help.ts';
import { parse } from './parse.ts';
import type { Call, Command } from './table/row.ts';
import { COMMANDS } from './table/table.ts';
import type { CommandName } from './table/table.ts';
import { version } from './version.ts';

type Run<N extends CommandName> = (call: Call<(typeof COMMANDS)[N]>) => void | Promise<void>;

/** Loaded when asked for: `lrd --help` should not wait for a tensor library. */
const LOADERS: { readonly [N in CommandName]: () => Promise<Run<N>> } = {
  train: async () => (await import('./train.ts')).trainCommand,
  evaluate: async () => (await import('./evaluate.ts')).evaluateCommand,
  experiment: async () => (await import('./experiment.ts')).experimentCommand,
  runs: async () => (await import('./runs.ts')).runsCommand,
  diff: async () => (await import('./runs.ts')).diffCommand,
  export: async () => (await import('./export.ts')).exportCommand,
  report: async () => (await import('./report.ts')).reportCommand,
  conformance: async () => (await import('./conformance.ts')).conformanceCommand,
  'conformance init': async () => (await import('./conformance.ts')).initCommand,
  'conformance serve': async () => (await import('./conformance.ts')).serveCommand,
  bench: async () => (await import('./bench.ts')).benchCommand,
  toy: async () => (await import('./toy.ts')).toyCommand,
  doctor: async () => (await import('./doctor.ts')).doctorCommand,
  'data list': async () => (await import('./data.ts')).dataListCommand,
  'data fetch': async () => (await import('./data.ts')).dataFetchCommand,
  'data verify': async () => (await import('./data.ts')).dataVerifyCommand,
  'setup tensorflow': async () => (await import('./setup.ts')).setupCommand,
  pack: async () => (await import('./pack.ts')).packCommand,
  completion: async () => (await import('./completion.ts')).completionCommand,
};

const asksForHelp = (word: string): boolean => word === '--help' || word === '-h';

/** The command that the first words name, and the words behind it. Throws a `UsageError` that lists what there is. */
export function findCommand(args: readonly string[]): { readonly name: CommandName; readonly rest: readonly string[] } {
  const [first = '', second, ...rest] = args;
  if (second !== undefined && Object.hasOwn(COMMANDS, `${first} ${second}`)) {
    return { name: `${first} ${second}` as CommandName, rest };
  }
  const subs = below(first).map((name) => name.slice(first.length + 1));
  if (Object.hasOwn(COMMANDS, first)) {
    const name = first as CommandName;
    const row: Command = COMMANDS[name];
    const mistyped = second !== undefined && !second.startsWith('-') && Object.keys(row.words).length === 0;
    if (subs.length > 0 && mistyped) throw unknownName(`lrd ${first}`, second, subs);
    return { name, rest: args.slice(1) };
  }
  if (subs.length === 0) throw unknownName('COMMAND', first, FIRST_WORDS);
  if (second === undefined) throw new UsageError(`lrd ${first} needs one of ${subs.join(', ')}`);
  throw unknownName(`lrd ${first}`, second, subs);
}

/** Parses a call and does it. Throws a `UsageError` for a wrong one. */
async function run(name: CommandName, rest: readonly string[]): Promise<void> {
  const call = await parse(name, COMMANDS[name], rest);
  // Loader and row have the same name, so the same type; the compiler sees the union of them all.
  const command = (await LOADERS[name]()) as (call: unknown) => void | Promise<void>;
  await command(call);
}

/** `lrd ARGS`. Throws a `UsageError` for a wrong call, a `JobError` for a job that failed. */
export async function main(args: readonly string[]): Promise<void> {
  const [first, ...rest] = args;
  if (first === undefined) {
    process.stdout.write(await help([]));
    throw new UsageError(`a COMMAND is needed: ${FIRST_WORDS.join(', ')}`);
  }
  // What follows `--` is meant as it stands.
  const words = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  if (first === '--version') console.log(version());
  else if (first === 'help') process.stdout.write(await help(rest));
  else if (words.some(asksForHelp)) process.stdout.write(await help(words.filter((word) => !word.startsWith('-'))));
  else {
    const { name, rest: behind } = findCommand(args);
    await run(name, behind);
  }
}
