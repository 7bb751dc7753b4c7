/** Text of other people's tools, in whatever encoding they wrote it. */
import { readInput } from '../storage/inputs.ts';

/** Of a list or an annotation, in bytes. */
const LARGEST_TEXT = 2 ** 26;

/** By a byte order mark, or by the zero that every second byte of UTF-16 is where the text begins in ASCII. */
function byFirstBytes(bytes: Uint8Array): string | undefined {
  const [a, b, c] = bytes;
  if (a === 0xef && b === 0xbb && c === 0xbf) return 'utf-8';
  if ((a === 0xff && b === 0xfe) || (a !== 0 && b === 0)) return 'utf-16le';
  return (a === 0xfe && b === 0xff) || (a === 0 && b !== 0 && b !== undefined) ? 'utf-16be' : undefined;
}

/** What an XML declaration says; nothing where it says UTF-16 in bytes that are not. */
function declared(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.subarray(0, 200)).toString('latin1');
  const label = /^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']/.exec(head)?.[1];
  return label === undefined || /^utf-?16|^ucs/i.test(label) ? undefined : label;
}

function decodeAs(label: string, bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder(label, { fatal: true }).decode(bytes);
  } catch {
    // An unknown label, or bytes that are not what it says.
    return undefined;
  }
}

/**
 * Decodes text: UTF-8, or UTF-16 by its byte order mark or its zeros, or what an XML declaration names, and Latin-1 (as browsers read
 * it, Windows-1252) where the bytes are none of these. Marks are taken off.
 */
export function decodeText(bytes: Uint8Array): string {
  const labels = [byFirstBytes(bytes), declared(bytes), 'utf-8'].filter((label) => label !== undefined);
  for (const label of labels) {
    const text = decodeAs(label, bytes);
    if (text !== undefined) return text;
  }
  return new TextDecoder('windows-1252').decode(bytes);
}

/** Reads a text file of at most 64 MB. Throws a `JobError` that names it. */
export function readText(path: string): string {
  return decodeText(readInput(path, LARGEST_TEXT));
}

/** The lines of a text file that are not blank, whatever ends them, without spaces around. Throws a `JobError` that names it. */
export function readLines(path: string): string[] {
  return readText(path)
    .split(/\r\n?|\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
