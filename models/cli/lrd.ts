#!/usr/bin/env node
import { UsageError, unknownName } from '../errors.ts';
import { doctorCommand } from './doctor.ts';
import { reportErrors } from './errors.ts';
import { reportCommand } from './report.ts';
import { trainCommand } from './train.ts';

const COMMANDS: Readonly<Record<string, (args: readonly string[]) => void | Promise<void>>> = {
  doctor: doctorCommand,
  train: trainCommand,
  report: reportCommand,
};

const USAGE = `usage: lrd COMMAND ...

  lrd doctor [--json]                  what runs here
  lrd train RECIPE [--data D] [--data-dir DIR] [--optimizer R] [--keep P] [--lr A] [--momentum B]
            [--weight-decay L] [--batch-size N] [--epochs N] [--seed S] [--backend B] [--width W]
            [--limit N] [--out DIR]    train a network and leave a run folder
  lrd report RUN... --out FILE.html    learning curves and tables of runs, side by side
`;

await reportErrors(async () => {
  const [name, ...args] = process.argv.slice(2);
  if (name === undefined || name === '--help' || name === 'help') {
    process.stdout.write(USAGE);
    if (name === undefined) throw new UsageError(`a COMMAND is needed: ${Object.keys(COMMANDS).join(', ')}`);
    return;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw unknownName('COMMAND', name, Object.keys(COMMANDS));
  await command(args);
});
