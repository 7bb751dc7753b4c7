/** The command in a terminal: how wide lines are, and what a Tab brings in bash and zsh. The terminal is one of `script` (util-linux). */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { runTraining } from '../runs/runTraining.ts';
import { widthOf } from '../terminal.ts';
import { completionScript } from './completion.ts';

const test = suite('models/cli/interactive');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-interactive-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const has = (name: string): boolean => spawnSync(name, ['--version']).status === 0;
const hasScript = /util-linux/.test(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout ?? '');
const WHY = 'needs script of util-linux: apt-get install bsdutils';

/** As a shell takes it, between single quotes. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** What calls write on a terminal of so many columns, a list of lines a call; lines that were written over each other stand one below the other. */
function onTerminal(columns: number, calls: readonly (readonly string[])[]): string[][] {
  const program = fileURLToPath(new URL('testing/calls.ts', import.meta.url));
  const command = [process.execPath, ...FROM_SOURCE, program, JSON.stringify(calls)].map(quote).join(' ');
  const env = { ...process.env, TERM: 'xterm-256color', SHELL: '/bin/sh' };
  const { stdout, status } = spawnSync('script', ['-qec', `stty rows 50 columns ${columns}; exec ${command}`, '/dev/null'], { encoding: 'utf8', env, input: '' }); // prettier-ignore
  assert.is(status, 0, stdout);
  const parts = stripVTControlCharacters(stdout).split(/^# \d+\r?$/m);
  return parts.slice(1).map((part) => part.split(/[\r\n]+/).filter((line) => line !== ''));
}

test.before(async () => {
  for (const [name, keepProbability] of [
    ['one', 1],
    ['other-with-a-name-that-is-longer-than-the-narrowest-terminal', 0.5],
  ] as const) {
    await runTraining({ recipe: 'fcnet', data: 'digits', width: 4, epochs: 2, limit: 200, seed: 1n, backend: 'cpu', out: join(scratch, 'runs', name), keepProbability }); // prettier-ignore
  }
});

for (const columns of [40, 80, 200]) {
  test.when(hasScript, WHY)(
    `no line is longer than a terminal of ${columns} columns, and the time left is seen`,
    () => {
      const [a, b] = ['one', 'other-with-a-name-that-is-longer-than-the-narrowest-terminal'].map((name) => join(scratch, 'runs', name)) as [string, string]; // prettier-ignore
      const train = ['train', 'fcnet', '--data', 'digits', '--width', '300', '--limit', '300', '--batch-size', '10', '--epochs', '8', '--backend', 'cpu']; // prettier-ignore
      const shown = onTerminal(columns, [
        ['--help'],
        ['train', '--help'],
        ['experiment'],
        ['data', 'list'],
        ['toy', '--grid', '1', '--steps', '2', '--rule', 'adam'],
        ['runs', join(scratch, 'runs')],
        ['diff', a, b],
        ['train', 'fcent'],
        ['experiment', 'table1', '--list', '--scale', 'small', '--only', 'mnist', '--out', scratch],
        [...train, '--out', join(scratch, `run-${columns}`)],
      ]);
      assert.is(shown.length, 10);
      for (const line of shown.flat()) {
        // A call to copy stays in one piece, and so does a word that is longer than a line.
        const oneWord = !/\S \S/.test(line.replace(/^(lrd: |[AB] {2})/, ''));
        if (!/^(usage:)? +lrd /.test(line) && !oneWord) assert.ok(widthOf(line) <= columns, `${columns}: ${line}`);
      }
      // Both runs, each by its whole name.
      for (const name of ['one', 'other-with-a-name-that-is-longer-than-the-narrowest-terminal']) {
        assert.ok(
          shown[5]?.some((line) => line.split(/\s+/)[0] === name),
          shown[5]?.join('\n'),
        );
      }
      assert.match(
        shown[7]?.join(' ').replaceAll(/\s+/g, ' ') ?? '',
        /^lrd: RECIPE must be one of fcnet, .*got "fcent"; did you mean fcnet\?/,
      );
      const left = shown[9]?.filter((line) => /\d+:\d\d left/.test(line)) ?? [];
      assert.ok(left.length > 3, shown[9]?.join('\n'));
    },
  );
}

/** A shell in a terminal, in which somebody types. */
class Shell {
  readonly #child;
  #shown = '';

  constructor(command: string) {
    // No history: it is written while the folder is cleared away.
    const env = { ...process.env, TERM: 'dumb', SHELL: '/bin/sh', HOME: scratch, HISTFILE: '/dev/null' };
    this.#child = spawn('script', ['-qec', `stty rows 60 columns 100; exec ${command}`, '/dev/null'], { cwd: join(scratch, 'here'), env }); // prettier-ignore
    this.#child.stdout.on('data', (chunk: Buffer) => (this.#shown += chunk.toString()));
  }

  /** Types, and waits for what is to be seen then; returns all that is. */
  async type(text: string, expected: RegExp): Promise<string> {
    const from = this.#shown.length;
    this.#child.stdin.write(text);
    for (const until = Date.now() + 60_000; ;) {
      const seen = stripVTControlCharacters(this.#shown.slice(from)).replaceAll('\r', '').replaceAll('\u0007', '');
      if (expected.test(seen)) return seen;
      if (Date.now() > until) throw new Error(`${JSON.stringify(text)} was to bring ${expected}, but: ${seen}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

/** What stands on the line when a Tab was pressed behind it, or is offered below it. */
const TABS: readonly (readonly [line: string, expected: RegExp])[] = [
  ['lrd tr', /lrd train /],
  ['lrd train fc', /lrd train fcnet /],
  ['lrd train --opti', /lrd train --optimizer[ =]/],
  ['lrd train fcnet --backend w', /--backend w[^]*wasm[^]*webgpu/],
  ['lrd train --seed 3 --data=dig', /--data=digits/],
  ['lrd train rec', /lrd train recipe\.js /],
  ['lrd train --init my', /--init my\\ net\.safetensors/],
  ['lrd evaluate --backend cpu fo', /cpu folder\//],
  ['lrd data fetch mnist --da', /mnist --data-dir[ =]/],
  ['lrd experiment ./mi', /lrd experiment \.\/mine\.json/],
  ['lrd help data ve', /lrd help data verify/],
  ['lrd bench step dro', /lrd bench step drop-in/],
];

for (const shell of ['bash', 'zsh'] as const) {
  test.when(hasScript && has(shell), `needs ${shell}, and script of util-linux: apt-get install ${shell} bsdutils`)(
    `a Tab in ${shell} completes commands, options, their values, files`,
    async () => {
      const here = join(scratch, 'here');
      mkdirSync(join(here, 'folder'), { recursive: true });
      for (const name of ['recipe.js', 'my net.safetensors', 'mine.json']) writeFileSync(join(here, name), '');
      const functions = join(scratch, 'functions');
      mkdirSync(functions, { recursive: true });
      const file = join(functions, shell === 'bash' ? 'lrd' : '_lrd');
      writeFileSync(file, await completionScript(shell));
      const person = new Shell(shell === 'bash' ? 'bash --norc --noprofile -i' : 'zsh -f -i');
      try {
        const set =
          shell === 'bash'
            ? `bind 'set show-all-if-ambiguous on'; bind 'set enable-bracketed-paste off'; bind 'set completion-query-items 0'; source ${quote(file)}`
            : `unset zle_bracketed_paste; LISTMAX=0; fpath=(${quote(functions)} $fpath); autoload -Uz compinit; compinit -u -D`;
        await person.type(`${set}; echo re''ady\n`, /^ready$/m);
        for (const [line, expected] of TABS) {
          await person.type(`${line}\t`, expected);
          // The line is taken away.
          await person.type('\u0015echo do""ne\n', /^done$/m);
        }
      } finally {
        person.end();
      }
    },
    { timeout: 240 },
  );
}

test.run();
