/**
 * The property test over all operations with a gradient, on one backend.
 *
 *     npm run test:operations -- BACKEND [--seeds N] [--first S] [--only PATTERN] [--keep]
 *
 * BACKEND is cpu, wasm, webgpu or node. Tries seeds S (1) to S + N - 1 (N: 20) of each operation whose name matches, ten at a time. `--keep` keeps the
 * outcome in `results/` after each ten and writes the table of the documentation: what is kept already stays when S goes on from there, and is
 * replaced when S is 1; with `--only` the operations that match replace what is kept of them, over the same seeds. Exit code 1 when something is wrong.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { enableTraining } from 'learning-rate-dropout';
import { startBackend } from '../adapters/tfjs.ts';
import { tryOperation } from './check.ts';
import { OPERATIONS } from './index.ts';
import { TABLE_FILE, TRIED, readResults, table, writeResults } from './results.ts';

/** Seeds between two times that the outcome is kept. */
const SHARE = 10;

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '20' },
    first: { type: 'string', default: '1' },
    only: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const backend = TRIED.find((name) => name === positionals[0]);
if (backend === undefined)
  fail(`BACKEND must be one of ${TRIED.join(', ')}, got ${JSON.stringify(positionals[0] ?? '')}`);
const [seeds, first] = [Number(values.seeds), Number(values.first)];
for (const [name, value] of Object.entries({ seeds, first })) {
  if (!Number.isSafeInteger(value) || value < 1) fail(`--${name} must be a whole number of at least 1, got ${value}`);
}
const again = values.keep && values.only !== undefined;
const kept = first === 1 && !again ? undefined : readResults(backend);
if (again && (first !== 1 || kept?.seeds !== seeds))
  fail(
    `--keep with --only replaces what is kept, over the same seeds: --seeds must be ${kept?.seeds ?? 0}, got ${seeds}`,
  );
if (values.keep && first !== 1 && kept?.seeds !== first - 1)
  fail(`--first must be 1 or, with --keep, ${(kept?.seeds ?? 0) + 1}, where the seeds that are kept end, got ${first}`);
const pattern = new RegExp(values.only ?? '.');

tf.enableProdMode();
await startBackend(tf, backend);
enableTraining();
const start = performance.now();
const operations = OPERATIONS.filter(({ name }) => pattern.test(name));
const outcome = Object.fromEntries(
  operations.map(({ name }) => [
    name,
    { wrong: 0, refused: 0, ...(values.keep && !again ? kept?.operations[name] : {}) },
  ]),
);
for (let from = first; from < first + seeds; from += SHARE) {
  const count = Math.min(SHARE, first + seeds - from);
  for (const operation of operations) {
    const { findings, refused } = await tryOperation(operation, from, count);
    const result = outcome[operation.name] as { wrong: number; refused: number };
    for (const { seed, hostile, message } of findings.slice(0, Math.max(0, 3 - result.wrong))) {
      console.log(`${operation.name}, seed ${seed}${hostile ? ', hostile' : ''}: ${JSON.stringify(message)}`);
    }
    result.wrong += findings.length;
    result.refused += refused;
  }
  if (!values.keep || (again && from + count - 1 < seeds)) continue;
  const others = again ? kept?.operations : {};
  writeResults(backend, { seeds: from + count - 1, operations: { ...others, ...outcome } });
  writeFileSync(TABLE_FILE, table(OPERATIONS.map(({ name }) => name)));
}
const wrong = Object.values(outcome).filter((result) => result.wrong > 0).length;
const refused = Object.values(outcome).filter((result) => result.refused > 0).length;
const seconds = (performance.now() - start) / 1000;
console.log(
  `${backend}: ${Object.keys(outcome).length} operations, ${wrong} wrong, ${refused} refused in part, ${seeds} seeds, ${seconds.toFixed(0)} s`,
);
process.exit(wrong > 0 ? 1 : 0);
