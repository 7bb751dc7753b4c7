import { Command, CommanderError, Option } from 'commander';
import { UsageError, didYouMean } from '../errors.ts';
import type { Call, Option as Row, Command as CommandRow } from './table/row.ts';
import { choicesOf, readWord, titleOf } from './table/row.ts';

/** Commander's words about a mistake carry what was mistyped between quotes. */
function quoted(message: string): string {
  return /'(.*)'/s.exec(message)?.[1] ?? message;
}

const namesOf = (row: CommandRow): string[] => Object.keys(row.options).map((name) => `--${name}`);

/** The word that help shows for an option, as `--lr <A>`. */
export function flagsOf(name: string, { flag, value = 'VALUE', repeated }: Row<unknown>): string {
  return flag === true ? `--${name}` : `--${name} <${value}>${repeated === true ? '...' : ''}`;
}

function needsValue(option: string, row: CommandRow, instead?: string): UsageError {
  const { value = 'VALUE' } = row.options[option] ?? {};
  const got = instead === undefined ? '' : `, got ${instead} in its place`;
  return new UsageError(`--${option} needs a value, as in --${option} ${value}${got}`);
}

function explain(error: CommanderError, name: string, row: CommandRow): UsageError {
  const word = quoted(error.message);
  switch (error.code) {
    case 'commander.unknownOption': {
      const [option = '', ...value] = word.split('=');
      const known = Object.hasOwn(row.options, option.slice(2)) && option.startsWith('--');
      if (known) return new UsageError(`${option} takes no value, got ${JSON.stringify(value.join('='))}`);
      const guess = didYouMean(option, namesOf(row));
      const way = `${guess === '' ? ';' : ''} lrd ${name} --help lists them`;
      const none = Object.keys(row.options).length === 0;
      return new UsageError(`lrd ${name} has no option ${JSON.stringify(option)}${guess}${none ? '' : way}`);
    }
    case 'commander.optionMissingArgument':
      return needsValue(word.split(' ')[0]?.slice(2) ?? '', row);
    default:
      return new UsageError(error.message.replace(/^error: /, '').replaceAll('\n', ' '));
  }
}

/**
 * Reads a command's arguments by its rows. Throws a `UsageError` of one line that names the argument, the value and the rule, and what
 * was probably meant.
 */
export async function parse<C extends CommandRow>(name: string, row: C, args: readonly string[]): Promise<Call<C>> {
  const values: Record<string, unknown> = {};
  const given = new Set<string>();
  const words: string[] = [];
  const program = new Command(name)
    .helpOption(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, writeOut: () => undefined })
    .allowExcessArguments()
    .argument('[words...]')
    .action((given_: string[]) => {
      words.push(...given_);
    });
  for (const [option, entry] of Object.entries(row.options)) {
    // Names that only a room with a tensor library knows are not waited for unasked.
    const asked = args.some((word) => word === `--${option}` || word.startsWith(`--${option}=`));
    const choices = asked ? await choicesOf(entry) : [];
    values[option] = entry.absent;
    const read = (text: string): void => {
      // Commander takes whatever follows for the value.
      if (namesOf(row).includes(text)) {
        throw needsValue(option, row, text);
      }
      const value = entry.read(text, `--${option}`, choices);
      values[option] = entry.repeated === true ? [...(values[option] as unknown[]), value] : value;
    };
    // Not commander's variadic form, which would swallow the words behind it.
    const flags = entry.flag === true ? `--${option}` : `--${option} <value>`;
    program.addOption(entry.flag === true ? new Option(flags) : new Option(flags).argParser(read));
    program.on(`option:${option}`, () => {
      given.add(option);
      if (entry.flag === true) values[option] = true;
    });
  }
  const dashes = row.behind === undefined ? -1 : args.indexOf('--');
  const behind = dashes < 0 ? [] : args.slice(dashes + 1);
  try {
    program.parse(dashes < 0 ? args : args.slice(0, dashes), { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) throw explain(error, name, row);
    throw error;
  }
  return { words: await readWords(name, row, words), options: values, given, behind, args } as unknown as Call<C>;
}

/** The words by their names. */
async function readWords(name: string, row: CommandRow, words: readonly string[]): Promise<Record<string, unknown>> {
  const read: Record<string, unknown> = {};
  let rest = words;
  for (const [key, word] of Object.entries(row.words)) {
    const title = titleOf(key, word);
    const choices = await choicesOf(word);
    const mine = word.repeated === true ? rest : rest.slice(0, 1);
    rest = rest.slice(mine.length);
    if (mine.length === 0 && word.required === true) {
      throw new UsageError(`lrd ${name} needs a ${title}${choices.length === 0 ? '' : `: ${choices.join(', ')}`}`);
    }
    const checked = mine.map((text) => readWord(text, title, word, choices));
    read[key] = word.repeated === true ? checked : checked[0];
  }
  if (rest.length > 0) {
    const titles = Object.entries(row.words).map(([key, word]) => titleOf(key, word));
    const takes = titles.length === 0 ? 'takes options alone' : `takes ${titles.join(' ')} alone`;
    throw new UsageError(`lrd ${name} ${takes}, got also ${rest.map((text) => JSON.stringify(text)).join(' ')}`);
  }
  return read;
}
