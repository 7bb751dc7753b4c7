/**
 * Writes `models/data/genesis.data.ts`: the book of Genesis from Debian's `bible-kjv` and `bible-kjv-text`.
 *
 *     bible -f Gen1:1-Gen50:26 > genesis.txt
 *     npm run ts -- models/data/scripts/embedGenesis.ts genesis.txt
 *
 * The places in front of the verses are taken off.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: embedGenesis.ts PATH/genesis.txt');
const verses = readFileSync(path, 'latin1').trim().split('\n');
if (verses.length !== 1533) throw new Error(`${path}: 1,533 verses expected, got ${verses.length}`);
const text = `${verses.map((verse) => verse.replace(/^Ge\d+:\d+ /, '')).join('\n')}\n`;
const packed = deflateRawSync(Buffer.from(text, 'latin1'), { level: 9, memLevel: 9 });
writeFileSync(
  fileURLToPath(new URL('../genesis.data.ts', import.meta.url)),
  `// The book of Genesis in the King James Version (1611, 1769), in the public domain; the text of Debian's bible-kjv-text 4.38.
// Written by models/data/scripts/embedGenesis.ts: raw deflate of 1,533 verses, a line each.
export const genesisBase64 =
  '${packed.toString('base64')}';
`,
);
