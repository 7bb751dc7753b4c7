import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { UnsupportedError } from '../validate.ts';
import { describeAdapter, diagnoseGpu, openGpu } from './gpu.ts';

const test = suite('impl-gpu/device');
const found = await diagnoseGpu();
const withAdapter = test.when(found.chosen !== undefined, found.why);

const module = fileURLToPath(new URL('gpu.ts', import.meta.url));

/** Runs a module in a process of its own and returns what it printed. */
function inNode(code: string, environment: Record<string, string> = {}): string {
  const source = `import { diagnoseGpu, openGpu } from ${JSON.stringify(module)};\n${code}`;
  return execFileSync(process.execPath, [...FROM_SOURCE, '--input-type=module', '-e', source], {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    timeout: 50_000,
  });
}

test('a diagnosis names what was tried, what was chosen and why', () => {
  assert.ok(found.attempts.length > 0);
  assert.ok(found.attempts.every(({ source, outcome }) => source !== '' && outcome !== ''));
  assert.ok(found.why.length > 0);
  if (found.chosen?.adapter?.software === false) assert.equal(found.advice, []);
  else assert.ok(found.advice.length > 0);
});

withAdapter('hardware wins over software', () => {
  const hardware = found.attempts.some(({ adapter }) => adapter?.software === false);
  assert.is(found.chosen?.adapter?.software, !hardware);
});

withAdapter('a device has the best limits of its adapter', async () => {
  const { device, adapter } = await openGpu();
  for (const name of ['maxStorageBufferBindingSize', 'maxBufferSize'] as const) {
    assert.is(device.limits[name], adapter.limits[name]);
  }
  device.destroy();
});

test('an adapter of a kind that is not there is an error with what was tried and what to do', async () => {
  if (found.chosen?.adapter?.software === false) return;
  try {
    await openGpu('hardware');
    assert.unreachable();
  } catch (error) {
    assert.instance(error, UnsupportedError);
    assert.match(
      (error as Error).message,
      /^no hardware WebGPU adapter was found \(Dawn on the system's drivers: .*\)\. For a hardware adapter install/,
    );
    assert.not.match((error as Error).message, /\n/);
  }
});

withAdapter('a process that leaves its device open ends by itself', () => {
  const code = `
const { device } = await openGpu();
const buffer = device.createBuffer({ size: 16, usage: 9, mappedAtCreation: true });
buffer.unmap();
await device.queue.onSubmittedWorkDone();
console.log('worked');`;
  assert.match(inNode(code), /worked/);
});

test('without Dawn the error says what to install, and the process ends by itself', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lrd-bare-'));
  // Far from this package's node_modules.
  const outfile = join(folder, 'gpu.mjs');
  await build({ entryPoints: [module], bundle: true, format: 'esm', platform: 'node', outfile, logLevel: 'silent' });
  const code = `import { openGpu } from ${JSON.stringify(outfile)}; await openGpu().catch((error) => console.log(error.message));`;
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    timeout: 50_000,
  });
  rmSync(folder, { recursive: true });
  assert.is(
    printed.trimEnd(),
    'no WebGPU adapter was found (Dawn: the npm package webgpu is not installed). Install Dawn for Node: npm install webgpu',
  );
});

const unpacks = found.chosen?.source.includes('@sparticuz/chromium') === true;
test.when(unpacks, 'SwiftShader from the npm package is not what serves here')(
  'SwiftShader is unpacked once into the cache, whole even when processes race',
  () => {
    const cache = mkdtempSync(join(tmpdir(), 'lrd-cache-'));
    const code = "console.log((await diagnoseGpu('software')).chosen?.source)";
    for (let i = 0; i < 2; i++)
      assert.match(inNode(code, { XDG_CACHE_HOME: cache }), /npm package @sparticuz\/chromium/);
    const folders = readdirSync(join(cache, 'learning-rate-dropout'));
    assert.is(folders.length, 1);
    assert.equal(readdirSync(join(cache, 'learning-rate-dropout', folders[0] as string)).sort(), [
      'libvk_swiftshader.so',
      'libvulkan.so.1',
      'vk_swiftshader_icd.json',
    ]);
    rmSync(cache, { recursive: true });
  },
);

test('software is told by flag or by name', () => {
  const adapter = (info: Record<string, unknown>): GPUAdapter => ({ info }) as unknown as GPUAdapter;
  const plain = { vendor: 'v', architecture: '', device: '', description: '' };
  assert.is(describeAdapter(adapter({ ...plain, isFallbackAdapter: true })).software, true);
  assert.is(describeAdapter(adapter({ ...plain, description: 'llvmpipe (LLVM 15)' })).software, true);
  assert.is(describeAdapter(adapter({ ...plain, description: 'NVIDIA H200' })).software, false);
});

test.run();
