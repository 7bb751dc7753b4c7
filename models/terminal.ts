/** How text stands on a terminal of any width. Elsewhere, as in a file or a pipe, lines are as long as they are: width Infinity. */
import stringWidth from 'string-width';
import wrapAnsi from 'wrap-ansi';

/** What is asked how wide it is. */
interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Columns of a stream: of a terminal as many as it has, 80 where it does not know; else no limit. */
export function columnsOf({ isTTY, columns }: Screen = process.stdout): number {
  return isTTY === true ? Math.max(20, columns || 80) : Infinity;
}

/** Columns that a line takes: letters of East Asian scripts take two. */
export const widthOf = (text: string): number => stringWidth(text);

/**
 * Lines that are too long, broken at blanks. What follows the first is set in by `indent` columns more; a word that is longer than a line stays
 * whole.
 */
export function wrapped(text: string, columns: number, indent = 4): string {
  const lines = text.split('\n').map((line) => {
    if (widthOf(line) <= columns) return line;
    const lead = /^ */.exec(line)?.[0] ?? '';
    const further = ' '.repeat(lead.length + indent);
    const room = Math.max(10, columns - further.length);
    return `${lead}${wrapAnsi(line.slice(lead.length), room, { hard: false })}`.replaceAll('\n', `\n${further}`);
  });
  return lines.join('\n');
}

/** Names with what is said of each, beside it; below it where the line is short. */
export function entries(rows: readonly (readonly [name: string, said: string])[], columns: number): string {
  const widest = Math.max(0, ...rows.map(([name]) => widthOf(name)));
  const beside = columns >= 72;
  const lines = rows.map(([name, said]) => {
    const lead = `${padded(name, widest)}  `;
    const line = `${lead}${said}`;
    if (widthOf(line) <= columns) return line;
    if (beside)
      return `${lead}${wrapped(said, columns - lead.length, 0).replaceAll('\n', `\n${' '.repeat(lead.length)}`)}`;
    return wrapped(`${name}\n    ${said}`, columns, 0);
  });
  return lines.join('\n');
}

const padded = (text: string, width: number, right = false): string => {
  const blanks = ' '.repeat(Math.max(0, width - widthOf(text)));
  return right ? `${blanks}${text}` : `${text}${blanks}`;
};

const NUMBER = /^([-+]?[\d.,]+(e[-+]?\d+)?|-)$/;

/** A blank at which no line is broken. */
const UNBROKEN = '\u00a0';

/** A longer cell does not push those of other rows aside. */
const WIDEST = 60;

/**
 * Rows below a head, in columns as wide as they must be, numbers on the right. Where the line is too short for that, each row is a paragraph: its
 * first cell, and below it the others with their heads. No cell is ever cut.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[], columns: number): string {
  const all = [head, ...rows];
  const widths = head.map((_, k) => Math.min(WIDEST, Math.max(...all.map((row) => widthOf(row[k] ?? '')))));
  const right = head.map((_, k) => rows.length > 0 && rows.every((row) => NUMBER.test(row[k] ?? '')));
  const lines = all.map((row) =>
    row
      .map((cell, k) => padded(cell, widths[k] ?? 0, right[k]))
      .join('  ')
      .trimEnd(),
  );
  if (lines.every((line) => widthOf(line) <= columns)) return lines.join('\n');
  // What belongs together is broken only where it is longer than a line by itself.
  const whole = (text: string): string => (widthOf(text) <= columns - 3 ? text.replaceAll(' ', UNBROKEN) : text);
  const paragraphs = rows.map(([first = '', ...others]) => {
    const said = others.flatMap((cell, k) => (cell === '' ? [] : [`${head[k + 1] ?? ''}: ${cell}`]));
    const list = said.map((text, k) => whole(k + 1 < said.length ? `${text};` : text)).join(' ');
    return `${wrapped(first, columns)}\n${wrapped(`  ${list}`, columns, 0).replaceAll(UNBROKEN, ' ')}`;
  });
  return paragraphs.join('\n');
}
