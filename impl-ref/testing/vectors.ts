import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where the test vectors lie. */
export const vectorsFolder = fileURLToPath(new URL('../../spec/vectors/', import.meta.url));

/** A file of test vectors, parsed. */
export function readVectors(name: string): unknown {
  return JSON.parse(readFileSync(`${vectorsFolder}${name}`, 'utf8'));
}
