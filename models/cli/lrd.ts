#!/usr/bin/env node
import { UsageError, unknownName } from '../errors.ts';
import { reportErrors } from './errors.ts';

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

const USAGE = `usage: lrd COMMAND ...

  lrd doctor [--json]                  what runs here
  lrd train RECIPE [--data D] [--data-dir DIR] [--optimizer R] [--keep P] [--lr A] [--momentum B]
            [--weight-decay L] [--regularizer NAME[:VALUE]]... [--schedule TARGET=FORM[:ARGS]]...
            [--batch-size N] [--epochs N] [--seed S] [--backend B] [--engine E] [--width W]
            [--limit N] [--augment none|crop-flip|resized-crop-flip] [--init FILE] [--out DIR]
            [--tensorboard] [--checkpoint-seconds S] [--crop N] [--evaluate whole|sliding]
                                       train a network and leave a run folder; the optimizers' other
                                       settings: --beta1 --beta2 --epsilon --rho --window --dampening
                                       --nesterov --centered --epsilon-mode --epsilon-placement
                                       --max-of --variant; --crop and --evaluate are pspnet's: the side of
                                       its training crops, and whether tests see a picture at once or by
                                       windows of that side
  lrd train --resume DIR [--epochs N] [--data-dir DIR] [--backend B]
                                       go on from a run's checkpoint
  lrd evaluate RUN [--data-dir DIR] [--backend B] [--json]
                                       test the network of a run's last checkpoint again
  lrd experiment [NAME] [--only PATTERN] [--seeds N] [--scale small|full] [--workers N] [--out DIR] [--list]
                 [--data-dir DIR] [--backend B] [--epochs N] [--recipe R] [--width W] [--limit N]
                 [--crop N]
                                       every cell of a table or figure of the papers, skipping those done
  lrd report RUN... --out FILE.html [--json FILE] [--title T]
                                       runs side by side; experiments beside what the papers print
  lrd conformance [--adapter A]... [--json FILE] [--html FILE] [--seed S] [--only KEY]...
                                       judge implementations; exit code 1 when one breaks a MUST
  lrd conformance serve --adapter A    speak the protocol for a built-in one
  lrd pack --out FILE.tar.xz [--data D] [--data-dir DIR]
                                       a bundle for linux-x64 machines without a network
  lrd bench [SUITE]... [--full] [--only PATTERN] [--group-seconds N] [--json FILE] [--html FILE]
            [--compare OLD.json]       every engine beside its peers, in turns
  lrd data list | fetch NAME | verify NAME [--data-dir DIR]
                                       data sets: what is here, get one from its publisher (a mirror's
                                       base address in LRD_DATA_MIRROR), check files, sums and counts
  lrd setup tensorflow [--version V] [--gpu] [--dir DIR] [--wheel FILE] [--verify]
                                       what --backend node runs on, from TensorFlow's own Python wheel
  lrd toy [--out FILE.html] [--rule R]... [--keep P] [--lr A] [--steps N] [--grid N] [--start X,Y]... [--seed S]
                                       the paper's Fig. 3: descent paths on eq. (9)
`;

await reportErrors(async () => {
  const [name, ...args] = process.argv.slice(2);
  if (name === undefined || name === '--help' || name === 'help') {
    process.stdout.write(USAGE);
    if (name === undefined) throw new UsageError(`a COMMAND is needed: ${Object.keys(COMMANDS).join(', ')}`);
    return;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) throw unknownName('COMMAND', name, Object.keys(COMMANDS));
  const command = await load();
  await command(args);
});
