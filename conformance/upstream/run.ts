/**
 * tfjs-core's own test suites after `enableTraining()`.
 *
 *     npm run test:tfjs -- BACKEND [--mode kept|restarted] [--files PATTERN] [--stock] [--optimizers]
 *
 * BACKEND is cpu, wasm, webgpu (what networks train with) or tensorflow. Both modes run unless one is named: one backend through all suites,
 * and one that each suite disposes of and starts again. `--stock` runs tfjs as it comes, for comparison, and judges nothing. `--optimizers` puts this project's optimizers
 * with keep probability 1 in place of tfjs's in the suites of those. Exit code 1 when a test fails that `expected.ts` does not explain, or an explanation explains nothing.
 */
import { parseArgs } from 'node:util';
import { EXPECTED, judge } from './expected.ts';
import { BACKENDS, runLane } from './lane.ts';
import { OPTIMIZER_EXPECTED } from './optimizers.ts';

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

function parse(): {
  readonly backend: (typeof BACKENDS)[number];
  readonly modes: readonly string[];
  readonly files?: RegExp;
  readonly stock: boolean;
  readonly optimizers: boolean;
} {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        mode: { type: 'string' },
        files: { type: 'string' },
        stock: { type: 'boolean', default: false },
        optimizers: { type: 'boolean', default: false },
      },
    });
    const [name, ...more] = positionals;
    const backend = BACKENDS.find((known) => known === name);
    if (backend === undefined || more.length > 0)
      fail(
        `BACKEND must be one of ${BACKENDS.join(', ')}, got ${positionals.map((word) => JSON.stringify(word)).join(' ') || 'none'}`,
      );
    const { mode } = values;
    if (mode !== undefined && mode !== 'kept' && mode !== 'restarted') {
      fail(`--mode must be kept or restarted, got ${JSON.stringify(mode)}`);
    }
    const modes = mode === undefined ? ['kept', 'restarted'] : [mode];
    const files = values.files === undefined ? {} : { files: new RegExp(values.files) };
    return { backend, modes, ...files, stock: values.stock, optimizers: values.optimizers };
  } catch (error) {
    fail((error as Error).message);
  }
}

const { backend, modes, files, stock, optimizers } = parse();
for (const mode of modes) {
  const { outcomes, seconds } = await runLane({
    backend,
    training: !stock,
    kept: mode === 'kept',
    optimizers,
    ...(files === undefined ? {} : { files }),
  });
  const { passed, expected, regressions, stale } = judge(
    outcomes,
    backend,
    files === undefined,
    stock ? [] : optimizers ? OPTIMIZER_EXPECTED : EXPECTED,
  );
  for (const { name, message } of regressions)
    console.log(`${stock ? 'fails' : 'REGRESSION'} ${JSON.stringify(name)}: ${JSON.stringify(message)}`);
  for (const [{ reason }, count] of expected)
    if (count > 0) console.log(`${String(count).padStart(4)} expected: ${reason}`);
  for (const { test, reason } of stale) console.log(`STALE ${test.source}: ${reason}`);
  console.log(
    `${backend}, backend ${mode}: ${passed} passed, ${outcomes.length - passed} failed, of them ${regressions.length} ${stock ? 'in tfjs as it comes' : 'not expected'}, ${seconds.toFixed(1)} s`,
  );
  if (outcomes.length === 0 || stale.length > 0 || (!stock && regressions.length > 0)) process.exitCode = 1;
}
