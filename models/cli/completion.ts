/** Completion out of the table: scripts that hold every word, so that a Tab waits for nothing. */
import type { Call, Command } from './table/row.ts';
import { choicesOf, titleOf } from './table/row.ts';
import type { COMPLETION } from './table/others.ts';
import { COMMANDS } from './table/table.ts';
import { FIRST_WORDS, below, summaryOf } from './help.ts';

const TABLE: Readonly<Record<string, Command>> = COMMANDS;

/** As a shell takes it, between single quotes. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** What stands behind an option or in a word's place: names, or paths, or names and else paths, or anything. */
interface Source {
  readonly names: readonly string[];
  readonly path: 'file' | 'folder' | undefined;
}

interface Completed extends Pick<Parameters<typeof choicesOf>[0], 'choices'> {
  readonly path?: 'file' | 'folder';
  readonly orPath?: boolean | string;
}

async function sourceOf(row: Completed): Promise<Source> {
  const names = await choicesOf(row);
  const orPath = row.orPath !== undefined && row.orPath !== false;
  return { names, path: orPath ? 'file' : names.length > 0 ? undefined : row.path };
}

const words = (list: readonly string[]): string => `_lrd_words ${quote(list.join(' '))}`;

/** Readline's own completion of files and folders, which knows what must be quoted, is asked for where no name fits. */
function bashReply({ names, path }: Source): string {
  const paths = path === undefined ? [] : [`compopt -o ${path === 'folder' ? 'dirnames' : 'default'}`];
  return [...paths, ...(names.length > 0 ? [words(names)] : [])].join('; ') || ':';
}

async function bashCommand(name: string, row: Command): Promise<string> {
  const withValue = Object.entries(row.options).filter(([, { flag }]) => flag !== true);
  const values = await Promise.all(
    withValue.map(async ([option, entry]) => `      --${option}) ${bashReply(await sourceOf(entry))}; return ;;`),
  );
  const options = words([...Object.keys(row.options).map((option) => `--${option}`), '--help']);
  const places = await Promise.all(
    Object.values(row.words).map(
      async (word, k) => `      ${word.repeated === true ? '*' : k}) ${bashReply(await sourceOf(word))} ;;`,
    ),
  );
  return [
    `  ${quote(name)})`,
    `    _lrd_place ${quote(withValue.map(([option]) => `--${option}`).join(' '))}`,
    ...(values.length === 0 ? [] : ['    case "$prev" in', ...values, '    esac']),
    `    if [[ $cur == -* ]]; then ${options}; return; fi`,
    '    case $place in',
    ...places,
    // Behind the last word there are options alone.
    ...(Object.values(row.words).some(({ repeated }) => repeated === true) ? [] : [`      *) ${options} ;;`]),
    '    esac ;;',
  ].join('\n');
}

/** The script for bash 4 and newer. */
async function bash(): Promise<string> {
  const cases = await Promise.all(Object.entries(TABLE).map(([name, row]) => bashCommand(name, row)));
  const firsts = FIRST_WORDS.filter((first) => below(first).length > 0);
  const subsOf = (first: string): string[] => below(first).map((name) => name.slice(first.length + 1));
  const subs = firsts.map((first) => {
    // A command with sub-commands has options of its own too.
    const also = TABLE[first] === undefined ? [] : Object.keys(TABLE[first].options).map((option) => `--${option}`);
    return `    ${first}) ${words([...subsOf(first), ...also, '--help'])}; return ;;`;
  });
  const pairs = Object.keys(TABLE)
    .filter((name) => name.includes(' '))
    .map(quote)
    .join('|');
  return `# bash completion for lrd; made by: lrd completion bash
_lrd_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }

# Which of the command's words is typed: those ahead are counted, without options and their values.
_lrd_place() {
  local k
  place=0
  for (( k = first; k < COMP_CWORD; k++ )); do
    if [[ " $1 " == *" \${COMP_WORDS[k]} "* ]]; then
      # bash takes the = of --option=value for a word of its own.
      if [[ \${COMP_WORDS[k+1]} == = ]]; then (( k += 2 )); else (( k += 1 )); fi
    elif [[ \${COMP_WORDS[k]} != -* ]]; then
      (( place += 1 ))
    fi
  done
}

_lrd() {
  local cur prev command place first=2 k
  COMPREPLY=()
  cur=\${COMP_WORDS[COMP_CWORD]}
  prev=\${COMP_WORDS[COMP_CWORD-1]}
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  # What stands behind -- is another program's.
  for (( k = 1; k < COMP_CWORD; k++ )); do [[ \${COMP_WORDS[k]} == -- ]] && return; done
  if (( COMP_CWORD == 1 )); then
    ${words([...FIRST_WORDS, 'help', '--help', '--version'])}
    return
  fi
  if (( COMP_CWORD == 2 )); then
    case "\${COMP_WORDS[1]}" in
${subs.join('\n')}
    help) ${words(FIRST_WORDS)}; return ;;
    esac
  fi
  if [[ \${COMP_WORDS[1]} == help ]]; then
    (( COMP_CWORD == 3 )) || return
    case "\${COMP_WORDS[2]}" in
${firsts.map((first) => `    ${first}) ${words(subsOf(first))} ;;`).join('\n')}
    esac
    return
  fi
  command=\${COMP_WORDS[1]}
  case "\${COMP_WORDS[1]} \${COMP_WORDS[2]}" in
  ${pairs}) command="\${COMP_WORDS[1]} \${COMP_WORDS[2]}"; first=3 ;;
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

function zshAction({ names, path }: Source): string {
  const files = path === 'folder' ? '_files -/' : '_files';
  const list = names.map((name) => name.replace(/[\s():]/g, '\\$&')).join(' ');
  if (names.length === 0) return path === undefined ? ' ' : files;
  // compadd says whether one of them fits.
  return path === undefined ? `(${list})` : `{ compadd -- ${list} || ${files} }`;
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
    commands=(${list} 'help:how a command is called')
    if [[ $PREFIX == -* ]]; then compadd -- --help --version; else _describe -t commands command commands; fi
    return
  fi
  # help COMMAND: what stands behind it is completed as far as it names one.
  if [[ $name == help ]]; then
    if (( CURRENT == 3 )); then
      commands=(${list})
      _describe -t commands command commands
      return
    fi
    shift words
    (( CURRENT-- ))
    (( CURRENT == 3 )) || return
    name=$words[2]
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
