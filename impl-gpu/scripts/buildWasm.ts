/**
 * Compiles every `assembly/*.ts` below `impl-gpu` with AssemblyScript and writes the module, as base64, into a
 * TypeScript file beside the folder: `x/assembly/gemm.ts` becomes `x/gemm.wasm.ts`. There are four of each: for a memory of
 * its thread's own and for a shared memory, which WebAssembly tells apart in a module's imports, each without and with relaxed SIMD, which not every
 * engine has. The results are committed, so that neither users nor bundlers need the compiler or a loader.
 *
 *     npm run ts -- impl-gpu/scripts/buildWasm.ts [--check]
 *
 * With `--check` nothing is written; the exit code is 1 when a committed file differs from what its source gives.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('../', import.meta.url));
const flags = ['--runtime', 'stub', '-O3', '--noAssert', '--enable', 'simd', '--importMemory', '--initialMemory', '0'];

const relaxedFlags = ['--enable', 'relaxed-simd'];
const sharedFlags = ['--enable', 'threads', '--sharedMemory', '--maximumMemory', '65536'];

async function compile(source: string, extra: readonly string[] = []): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const stderr = asc.createMemoryStream();
  const { error } = await asc.main([basename(source), ...flags, ...extra, '-o', 'out.wasm'], {
    readFile: (name, baseDir) => {
      try {
        return readFileSync(join(dirname(source), baseDir === '.' ? '' : baseDir, name), 'utf8');
      } catch {
        return null;
      }
    },
    writeFile: (name, contents) => {
      if (name === 'out.wasm') binary = contents as Uint8Array;
    },
    listFiles: () => [],
    stderr,
  });
  if (error !== null || binary === undefined) throw new Error(`${source}: ${stderr.toString()}`);
  return binary;
}

const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => /(^|\/)assembly\/[^/]+\.ts$/.test(file))
  .sort();
const check = process.argv.includes('--check');
for (const file of sources) {
  const source = join(root, file);
  const target = join(dirname(source), '..', basename(source).replace(/\.ts$/, '.wasm.ts'));
  const variant = async (...extra: readonly string[]): Promise<string> =>
    `'${Buffer.from(await compile(source, extra)).toString('base64')}'`;
  const text = `// Compiled from impl-gpu/${file} by impl-gpu/scripts/buildWasm.ts.
/** Base64, by the memory that the module is for. */
export const plainWasm = {
  own: ${await variant()},
  shared: ${await variant(...sharedFlags)},
};
/** The same with relaxed SIMD. */
export const relaxedWasm = {
  own: ${await variant(...relaxedFlags)},
  shared: ${await variant(...relaxedFlags, ...sharedFlags)},
};
`;
  if (!check) writeFileSync(target, text);
  else if (readFileSync(target, 'utf8') !== text) {
    process.stderr.write(`${target} is not what its source gives: run impl-gpu/scripts/buildWasm.ts\n`);
    process.exitCode = 1;
  }
}
