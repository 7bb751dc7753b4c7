/**
 * The property test over all operations with a gradient, on one backend.
 *
 *     npm run test:operations -- BACKEND [--seeds N] [--first S] [--only PATTERN] [--keep]
 *
 * BACKEND is cpu, wasm, webgpu or node. Tries seeds S (1) to S + N - 1 (N: 20) of each operation whose name matches. `--keep` keeps the outcome in
 * `results/` and writes the table of the documentation. Exit code 1 when something is wrong.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { enableTraining } from 'learning-rate-dropout';
import { startBackend } from '../adapters/tfjs.ts';
import { tryOperation } from './check.ts';
import { OPERATIONS } from './index.ts';
import { TABLE_FILE, TRIED, table, writeResults } from './results.ts';

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
if (values.keep && values.only !== undefined) fail('--keep takes all operations: leave --only out');
const pattern = new RegExp(values.only ?? '.');

tf.enableProdMode();
await startBackend(tf, backend);
enableTraining();
const start = performance.now();
const outcome: Record<string, { wrong: number; refused: number }> = {};
for (const operation of OPERATIONS.filter(({ name }) => pattern.test(name))) {
  const { findings, refused } = await tryOperation(operation, first, seeds);
  outcome[operation.name] = { wrong: findings.length, refused };
  for (const { seed, hostile, message } of findings.slice(0, 3)) {
    console.log(`${operation.name}, seed ${seed}${hostile ? ', hostile' : ''}: ${JSON.stringify(message)}`);
  }
  if (findings.length > 3) console.log(`${operation.name}: ${findings.length - 3} more`);
}
const wrong = Object.values(outcome).filter((result) => result.wrong > 0).length;
const refused = Object.values(outcome).filter((result) => result.refused > 0).length;
const seconds = (performance.now() - start) / 1000;
console.log(
  `${backend}: ${Object.keys(outcome).length} operations, ${wrong} wrong, ${refused} refused in part, ${seeds} seeds, ${seconds.toFixed(0)} s`,
);
if (values.keep) {
  writeResults(backend, { seeds, operations: outcome });
  writeFileSync(TABLE_FILE, table(OPERATIONS.map(({ name }) => name)));
}
process.exit(wrong > 0 ? 1 : 0);
