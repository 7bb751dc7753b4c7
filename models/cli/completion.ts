/** Completion out of the table: scripts that hold every word, so that a Tab waits for nothing. */
import type { Call, Command } from './table/row.ts';
import { choicesOf, titleOf } from './table/row.ts';
import type { COMPLETION } from './table/others.ts';
import { COMMANDS } from './table/table.ts';
import { FIRST_WORDS, below, summaryOf } from './help.ts';

const TABLE: Readonly<Record<string, Command>> = COMMANDS;

/** As a shell takes it, between single quotes. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** What stands behind an option or in a word's place: names, a file, a folder, or anything. */
type Source = { readonly names: readonly string[] } | { readonly path: 'file' | 'folder' } | undefined;

async function sourceOf(row: Parameters<typeof choicesOf>[0] & { readonly path?: 'file' | 'folder' }): Promise<Source> {
  const names = await choicesOf(row);
  if (names.length > 0) return { names };
  return row.path === undefined ? undefined : { path: row.path };
}

function bashReply(source: Source): string {
  if (source === undefined) return 'COMPREPLY=()';
  if ('names' in source) return `COMPREPLY=($(compgen -W ${quote(source.names.join(' '))} -- "$cur"))`;
  return `compopt -o filenames; COMPREPLY=($(compgen ${source.path === 'folder' ? '-d' : '-f'} -- "$cur"))`;
}

async function bashCommand(name: string, row: Command): Promise<string> {
  const values = await Promise.all(
    Object.entries(row.options)
      .filter(([, { flag }]) => flag !== true)
      .map(async ([option, entry]) => `      --${option}) ${bashReply(await sourceOf(entry))}; return ;;`),
  );
  const options = [...Object.keys(row.options).map((option) => `--${option}`), '--help'];
  const word = Object.values(row.words)[0];
  const words = word === undefined ? 'COMPREPLY=()' : bashReply(await sourceOf(word));
  return [
    `  ${quote(name)})`,
    ...(values.length === 0 ? [] : ['    case "$prev" in', ...values, '    esac']),
    `    if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W ${quote(options.join(' '))} -- "$cur")); return; fi`,
    `    ${words} ;;`,
  ].join('\n');
}

/** The script for bash 4 and newer. */
async function bash(): Promise<string> {
  const cases = await Promise.all(Object.entries(TABLE).map(([name, row]) => bashCommand(name, row)));
  const subs = FIRST_WORDS.filter((first) => below(first).length > 0).map((first) => {
    const names = below(first).map((name) => name.slice(first.length + 1));
    // A command with sub-commands has options of its own too.
    const also = TABLE[first] === undefined ? [] : Object.keys(TABLE[first].options).map((option) => `--${option}`);
    return `    ${first}) COMPREPLY=($(compgen -W ${quote([...names, ...also].join(' '))} -- "$cur")); return ;;`;
  });
  const pairs = Object.keys(TABLE)
    .filter((name) => name.includes(' '))
    .map(quote)
    .join('|');
  return `# bash completion for lrd; made by: lrd completion bash
_lrd() {
  local cur prev command
  cur=\${COMP_WORDS[COMP_CWORD]}
  prev=\${COMP_WORDS[COMP_CWORD-1]}
  # bash takes the = of --option=value for a word of its own.
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W ${quote(`${FIRST_WORDS.join(' ')} help --help --version`)} -- "$cur"))
    return
  fi
  if (( COMP_CWORD == 2 )); then
    case "\${COMP_WORDS[1]}" in
${subs.join('\n')}
    help) COMPREPLY=($(compgen -W ${quote(FIRST_WORDS.join(' '))} -- "$cur")); return ;;
    esac
  fi
  command=\${COMP_WORDS[1]}
  case "\${COMP_WORDS[1]} \${COMP_WORDS[2]}" in
  ${pairs}) command="\${COMP_WORDS[1]} \${COMP_WORDS[2]}" ;;
  esac
  case "$command" in
${cases.join('\n')}
  esac
}
complete -F _lrd lrd
`;
}

/** Within zsh's `[...]` and behind its colons. */
const zshText = (text: string): string => text.replace(/[[\]:\\]/g, '\\$&');

function zshAction(source: Source): string {
  if (source === undefined) return ' ';
  if ('names' in source) return `(${source.names.map((name) => name.replace(/[\s():]/g, '\\$&')).join(' ')})`;
  return source.path === 'folder' ? '_files -/' : '_files';
}

async function zshCommand(name: string, row: Command): Promise<string> {
  const options = await Promise.all(
    Object.entries(row.options).map(async ([option, { flag, repeated, about, value = 'VALUE', ...entry }]) => {
      const tail = flag === true ? '' : `:${zshText(value)}:${zshAction(await sourceOf(entry))}`;
      return quote(`${repeated === true ? '*' : ''}--${option}${flag === true ? '' : '='}[${zshText(about)}]${tail}`);
    }),
  );
  const words = await Promise.all(
    Object.entries(row.words).map(async ([key, word]) =>
      quote(`${word.repeated === true ? '*' : ''}:${titleOf(key, word)}:${zshAction(await sourceOf(word))}`),
    ),
  );
  const all = [...options, quote('--help[how it is called]'), ...words];
  return `    ${quote(name)}) _arguments -S ${all.join(' \\\n      ')} ;;`;
}

/** The script for zsh 5 and newer. */
async function zsh(): Promise<string> {
  const cases = await Promise.all(Object.entries(TABLE).map(([name, row]) => zshCommand(name, row)));
  const list = FIRST_WORDS.map((word) => quote(`${word}:${summaryOf(word)}`)).join(' ');
  const subs = FIRST_WORDS.filter((first) => below(first).length > 0).map((first) => {
    const names = below(first).map((name) => {
      const sub = name.slice(first.length + 1);
      return quote(`${sub}:${(TABLE[name] as Command).summary}`);
    });
    return `      ${first}) own=${TABLE[first] === undefined ? 0 : 1}; subs=(${names.join(' ')}) ;;`;
  });
  return `#compdef lrd
# zsh completion for lrd; made by: lrd completion zsh
_lrd() {
  local -a commands subs
  local name=$words[2] own=1
  if (( CURRENT == 2 )); then
    commands=(${list})
    _describe -t commands command commands
    return
  fi
  case $name in
${subs.join('\n')}
  esac
  if (( $#subs )); then
    if (( CURRENT == 3 )) && [[ $words[3] != -* ]]; then
      _describe -t commands command subs
      (( own )) || return
    fi
    if (( \${subs[(I)$words[3]:*]} )); then
      name="$name $words[3]"
      shift words
      (( CURRENT-- ))
    fi
  fi
  shift words
  (( CURRENT-- ))
  case $name in
${cases.join('\n')}
  esac
}
if [[ $funcstack[1] == _lrd ]]; then _lrd "$@"; else compdef _lrd lrd; fi
`;
}

/** The script for a shell. */
export function completionScript(shell: string): Promise<string> {
  return shell === 'bash' ? bash() : zsh();
}

/** `lrd completion SHELL`. */
export async function completionCommand({ words }: Call<typeof COMPLETION>): Promise<void> {
  process.stdout.write(await completionScript(words.shell));
}
