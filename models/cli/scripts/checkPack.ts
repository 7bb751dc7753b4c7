/**
 * Proves a bundle of `lrd pack`: unpacks it into a folder of its own and runs it with an empty environment (no PATH beyond the
 * system's, no npm, no HOME but a fresh one).
 *
 *     npm run ts -- models/cli/scripts/checkPack.ts FILE.tar.xz
 *
 * Exit code 1 when a command fails or says something else than expected.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

interface Check {
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly status: number;
  /** What stdout and stderr together must show. */
  readonly shows: RegExp;
}

const CHECKS: readonly Check[] = [
  { args: ['--help'], status: 0, shows: /usage: lrd COMMAND/ },
  { args: ['doctor'], status: 0, shows: /wasm +runs[\s\S]*webgpu uses +Dawn/ },
  { args: ['train', 'fcnet', '--data', 'digits', '--epochs', '1', '--width', '16', '--out', 'run'], status: 0, shows: /epoch 1\/1/ }, // prettier-ignore
  { args: ['conformance', '--adapter', 'webgpu'], status: 0, shows: /webgpu/ },
  { args: ['bench', 'cost', '--only', 'sgdm', '--group-seconds', '1', '--json', 'bench.json'], status: 0, shows: /webgpu, flat, p = 0\.5 over/ }, // prettier-ignore
  { args: ['doctor'], environment: { LRD_VULKAN_LOADER: '/nowhere/libvulkan.so.1' }, status: 2, shows: /LRD_VULKAN_LOADER must be/ }, // prettier-ignore
  { args: ['nothing'], status: 2, shows: /COMMAND must be one of/ },
];

const [archive] = process.argv.slice(2);
if (archive === undefined) throw new Error('usage: checkPack.ts FILE.tar.xz');
const mebibytes = statSync(archive).size / 2 ** 20;
console.log(`${mebibytes < 60 ? 'ok  ' : 'FAIL'} ${mebibytes.toFixed(1)} MiB, at most 60`);
let failed = mebibytes >= 60;
const scratch = mkdtempSync(join(tmpdir(), 'lrd pack check '));
try {
  const unpacked = spawnSync('tar', ['-C', scratch, '-xf', resolve(archive)], { encoding: 'utf8' });
  if (unpacked.status !== 0) throw new Error(unpacked.stderr);
  const home = join(scratch, 'home');
  mkdirSync(home);
  for (const { args, environment = {}, status, shows } of CHECKS) {
    const start = performance.now();
    const result = spawnSync(join(scratch, 'lrd-linux-x64', 'lrd'), [...args], {
      cwd: home,
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/bin', HOME: home, ...environment },
    });
    const output = `${result.stdout}${result.stderr}`;
    const good = result.status === status && shows.test(output);
    failed ||= !good;
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${good ? 'ok  ' : 'FAIL'} lrd ${args.join(' ')}: exit code ${result.status}, ${seconds} s`);
    if (!good) console.log(output.trimEnd().replace(/^/gm, '       | '));
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
