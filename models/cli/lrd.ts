#!/usr/bin/env node
import { UsageError, unknownName } from '../errors.ts';
import { reportErrors } from './errors.ts';
import { usage } from './usage.ts';
import { version } from './version.ts';

type Command = (args: readonly string[]) => void | Promise<void>;

/** Loaded when asked for: `lrd --help` should not wait for a tensor library. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  doctor: async () => (await import('./doctor.ts')).doctorCommand,
  train: async () => (await import('./train.ts')).trainCommand,
  evaluate: async () => (await import('./evaluate.ts')).evaluateCommand,
  experiment: async () => (await import('./experiment.ts')).experimentCommand,
  report: async () => (await import('./report.ts')).reportCommand,
  pack: async () => (await import('./pack.ts')).packCommand,
  bench: async () => (await import('./bench.ts')).benchCommand,
  conformance: async () => (await import('./conformance.ts')).conformanceCommand,
  data: async () => (await import('./data.ts')).dataCommand,
  setup: async () => (await import('./setup.ts')).setupCommand,
  toy: async () => (await import('./toy.ts')).toyCommand,
};

/** The command's name when it is known. */
function known(name: string): string {
  if (!Object.hasOwn(COMMANDS, name)) throw unknownName('COMMAND', name, Object.keys(COMMANDS));
  return name;
}

const asksForHelp = (word: string): boolean => word === '--help' || word === '-h';

await reportErrors(async () => {
  const [first, ...rest] = process.argv.slice(2);
  if (first === undefined) {
    process.stdout.write(usage());
    throw new UsageError(`a COMMAND is needed: ${Object.keys(COMMANDS).join(', ')}`);
  }
  if (first === '--version') {
    console.log(version());
  } else if (first === 'help' || asksForHelp(first)) {
    const [about] = rest;
    process.stdout.write(usage(about === undefined ? undefined : known(about)));
  } else if (rest.some(asksForHelp)) {
    process.stdout.write(usage(known(first)));
  } else {
    const load = COMMANDS[known(first)] as () => Promise<Command>;
    const command = await load();
    await command(rest);
  }
});
