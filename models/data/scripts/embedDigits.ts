/**
 * Writes `models/data/digits.data.ts` from scikit-learn's `digits.csv.gz` (1,797 rows: 64 pixels of 0..16 and a label).
 *
 *     npm run ts -- models/data/scripts/embedDigits.ts PATH/digits.csv.gz
 *
 * Before compression: 1,797 x 64 pixel bytes, then 1,797 label bytes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { deflateRawSync, gunzipSync } from 'node:zlib';

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: embedDigits.ts PATH/digits.csv.gz');
const rows = gunzipSync(readFileSync(path))
  .toString('utf8')
  .trim()
  .split('\n')
  .map((line) => line.split(',').map(Number));
if (rows.length !== 1797 || rows.some((row) => row.length !== 65))
  throw new Error(`${path}: 1,797 rows of 65 expected`);
const pixels = rows.flatMap((row) => row.slice(0, 64));
const labels = rows.map((row) => row[64] as number);
const packed = deflateRawSync(Buffer.from([...pixels, ...labels]), { level: 9, memLevel: 9 });
const target = fileURLToPath(new URL('../digits.data.ts', import.meta.url));
writeFileSync(
  target,
  `// Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning Repository (1998),
// https://doi.org/10.24432/C50P49, licensed under CC BY 4.0; the 1,797 images that scikit-learn distributes.
// Written by models/data/scripts/embedDigits.ts: raw deflate of 1,797 x 64 pixels (0..16), then 1,797 labels.
export const digitsBase64 =
  '${packed.toString('base64')}';
`,
);
