/** Text that was written outside the project, made fit to stand in a line of a terminal, of a report, of a page. */

const DEFAULT_LIMIT = 300;

/** Controls, format characters (direction marks, zero widths, tags), lone surrogates, line and paragraph separators. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** Marks pile up on one letter without end. */
const PILED_MARKS = /(\p{M}{4})\p{M}+/gu;

function written(character: string): string {
  const code = character.codePointAt(0) as number;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`;
}

/**
 * What a program, a server or a file said, as one line of at most `limit` characters and a few: line breaks become ` | `, tabs
 * blanks, and every character that is not seen (escape sequences, direction marks, lone surrogates) its code, such as `\x1b`.
 * What is cut off is counted. Markup stays as it is: a page escapes it as it does any text.
 *
 * @param text anything; what is no string is turned into one
 * @param limit characters, at least 1. Default 300
 */
export function foreignText(text: unknown, limit: number = DEFAULT_LIMIT): string {
  const whole = typeof text === 'string' ? text : String(text);
  // A code may be eight characters long and a letter two: more than this never shows.
  const line = whole
    .slice(0, 2 * limit + 16)
    .trim()
    .replaceAll(/\s*[\n\r\v\f\u0085\u2028\u2029]+\s*/g, ' | ')
    .replaceAll('\t', ' ')
    .replaceAll(PILED_MARKS, '$1')
    .replaceAll(UNSEEN, written);
  const letters = Array.from(line);
  if (letters.length <= limit && whole.length <= 2 * limit + 16) return line;
  return `${letters.slice(0, limit).join('')}... (${whole.length} characters)`;
}
