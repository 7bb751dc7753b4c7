/** Help out of the table: for the program, for a first word with sub-commands, and for a command. */
import { Argument, Command, Help, Option } from 'commander';
import { unknownName } from '../errors.ts';
import { flagsOf } from './parse.ts';
import type { Command as CommandRow, Option as Row, Word } from './table/row.ts';
import { choicesOf, titleOf } from './table/row.ts';
import { COMMANDS, TOPICS } from './table/table.ts';
import type { CommandName } from './table/table.ts';

const TABLE: Readonly<Record<string, CommandRow>> = COMMANDS;

/** First words, in the table's order. */
export const FIRST_WORDS: readonly string[] = [
  ...new Set(Object.keys(COMMANDS).map((name) => name.split(' ')[0] as string)),
];

/** Sub-commands of a first word, by their full names. */
export function below(first: string): string[] {
  return Object.keys(COMMANDS).filter((name) => name.startsWith(`${first} `));
}

/** What a first word is for. */
export function summaryOf(first: string): string {
  return TABLE[first]?.summary ?? TOPICS[first] ?? '';
}

/** A line narrower than this has no room for two columns. */
const TWO_COLUMNS = 72;

/** Options stand beside their description, and above it where the line is short. Width in columns. */
class Layout extends Help {
  constructor(width: number) {
    super();
    this.helpWidth = width;
    this.minWidthToWrap = 20;
  }

  override formatItem(term: string, termWidth: number, description: string, helper: Help): string {
    const width = this.helpWidth ?? 80;
    if (width >= TWO_COLUMNS)
      return super.formatItem(term, Math.min(termWidth, 28), this.#fit(term, description), helper);
    const indented = helper.boxWrap(description, width - 6).replaceAll('\n', '\n      ');
    return `  ${term}\n      ${indented}`;
  }

  /** A long term has its first line for itself. */
  #fit(term: string, description: string): string {
    return term.length > 28 ? `\n${description}` : description;
  }
}

/** What an option or a word means, with what it may be and what holds without it. */
export async function describe(row: Row<unknown> | Word): Promise<string> {
  const choices = await choicesOf(row);
  const unit = 'unit' in row && row.unit !== undefined ? [`In ${row.unit}.`] : [];
  const more = [
    ...(choices.length === 0 ? [] : [`One of ${choices.join(', ')}.`]),
    ...(row.default === undefined ? [] : [`Default: ${row.default}.`]),
    ...('read' in row && row.repeated === true ? ['May be given several times.'] : []),
  ];
  return [row.about, ...unit, ...more].join(' ');
}

/** `RECIPE`, `[SUITE]...`: a command's words as its synopsis shows them. */
export function synopsis(name: string, { words, options, behind }: CommandRow): string {
  const shown = Object.entries(words).map(([key, word]) => {
    const title = `${titleOf(key, word)}${word.repeated === true ? '...' : ''}`;
    return word.required === true ? title : `[${title}]`;
  });
  return [
    'lrd',
    name,
    ...shown,
    ...(Object.keys(options).length === 0 ? [] : ['[options]']),
    ...(behind === undefined ? [] : [`[-- ${behind}]`]),
  ].join(' ');
}

/** Lines of a list with a heading, in commander's layout. */
async function commandHelp(name: CommandName, width: number): Promise<string> {
  const row: CommandRow = TABLE[name] as CommandRow;
  const layout = new Layout(width);
  const program = new Command(name).helpOption(false).usage('');
  for (const [key, word] of Object.entries(row.words)) {
    program.addArgument(new Argument(`[${titleOf(key, word)}]`, await describe(word)));
  }
  for (const [option, entry] of Object.entries(row.options)) {
    const flags = flagsOf(option, entry).replace(/\.\.\.$/, '');
    program.addOption(new Option(flags, await describe(entry)).helpGroup(entry.group ?? 'Options:'));
  }
  layout.argumentTerm = (argument) => argument.name();
  layout.optionTerm = (option) => option.flags.replace(/[<>]/g, '');
  layout.optionDescription = (option) => option.description;
  layout.argumentDescription = (argument) => argument.description;
  const parts = layout.formatHelp(program, layout).split('\n');
  // Commander's own first line is the usage; ours comes from the table.
  const lists = parts
    .slice(parts.findIndex((line, index) => index > 0 && line !== ''))
    .join('\n')
    .trimEnd();
  const about = row.about ?? `${row.summary[0]?.toUpperCase()}${row.summary.slice(1)}.`;
  // Behind the seven letters of `usage: `.
  const indent = (text: string): string => layout.boxWrap(text, width - 7).replaceAll('\n', '\n         ');
  const examples = row.examples.map(
    ([call, does]) => `  ${call}\n      ${layout.boxWrap(does, width - 6).replaceAll('\n', '\n      ')}`,
  );
  const subs = below(name);
  return [
    `usage: ${[synopsis(name, row), ...subs.map((sub) => synopsis(sub, TABLE[sub] as CommandRow))].map(indent).join('\n       ')}`,
    layout.boxWrap(about, width),
    ...(lists === '' ? [] : [lists]),
    ...(examples.length === 0 ? [] : [`Examples:\n${examples.join('\n')}`]),
  ].join('\n\n');
}

/** A list of commands with what each is for. */
function commandList(rows: readonly (readonly [call: string, summary: string])[], width: number): string {
  const layout = new Layout(width);
  const column = Math.max(...rows.map(([call]) => call.length));
  return rows.map(([call, summary]) => layout.formatItem(call, column, summary, layout)).join('\n');
}

/** Columns that help is laid out for: the terminal's, at most 100; 80 where it goes elsewhere. */
export function helpWidth(columns: number | undefined = process.stdout.columns): number {
  return Math.max(30, Math.min(100, columns ?? 80));
}

/**
 * How to call the program, or one of its commands by its words, as in `data fetch`. `width` in columns. Throws a `UsageError` for an
 * unknown command.
 */
export async function help(words: readonly string[], width: number = helpWidth()): Promise<string> {
  const [first, second] = words;
  if (first === undefined) {
    const rows = FIRST_WORDS.map((word) => [word, summaryOf(word)] as const);
    const more = new Layout(width).boxWrap(
      'lrd COMMAND --help says how a command is called, lrd --version which version this is.',
      width,
    );
    return `usage: lrd COMMAND ...\n\n${commandList(rows, width)}\n\n${more}\n`;
  }
  if (!FIRST_WORDS.includes(first)) throw unknownName('COMMAND', first, FIRST_WORDS);
  const both = `${first} ${second ?? ''}`;
  if (Object.hasOwn(COMMANDS, both)) return `${await commandHelp(both as CommandName, width)}\n`;
  if (Object.hasOwn(COMMANDS, first)) return `${await commandHelp(first as CommandName, width)}\n`;
  const parts = await Promise.all(below(first).map((name) => commandHelp(name as CommandName, width)));
  return `${parts.join('\n\n\n')}\n`;
}
