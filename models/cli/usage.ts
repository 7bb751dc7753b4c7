/** What `lrd --help` says, and of one command `lrd COMMAND --help`. */
const COMMANDS = `  lrd doctor [--json]                  what runs here
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
            [--compare OLD.json]       every engine beside its peers, in turns; suites: step, cost, mask,
                                       scale, epoch, reference; when named also train, resnet34,
                                       engines, drop-in
  lrd data list | fetch NAME | verify NAME [--data-dir DIR]
                                       data sets: what is here, get one from its publisher (a mirror's
                                       base address in LRD_DATA_MIRROR), check files, sums and counts
  lrd setup tensorflow [--version V] [--gpu] [--dir DIR] [--wheel FILE] [--verify]
                                       what --backend node runs on, from TensorFlow's own Python wheel
  lrd toy [--out FILE.html] [--rule R]... [--keep P] [--lr A] [--steps N] [--grid N] [--start X,Y]... [--seed S]
                                       the paper's Fig. 3: descent paths on eq. (9)
`;

/** A command's lines: from one that names it to the next that names another. */
function linesOf(command: string): readonly string[] {
  let current: string | undefined;
  return COMMANDS.split('\n').filter((line) => {
    current = /^ {2}lrd (\S+)/.exec(line)?.[1] ?? current;
    return current === command && line !== '';
  });
}

/** How to call the program, or one of its commands. */
export function usage(command?: string): string {
  if (command === undefined) return `usage: lrd COMMAND ...\n\n${COMMANDS}`;
  return `usage:\n\n${linesOf(command).join('\n')}\n`;
}
