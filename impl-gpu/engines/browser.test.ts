import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';

const test = suite('impl-gpu/engines/browser');
const BROWSERS = [
  process.env['CHROME_PATH'] ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
const browser = BROWSERS.find((path) => path !== '' && existsSync(path));

/** Bundles the page as a user's bundler would, with nothing of Node's allowed in. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('testing/browserPage.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    logLevel: 'silent',
  });
  return outputFiles[0]?.text ?? '';
}

/** Opens the page in a browser without a window and returns what it reported. */
async function visit(script: string, path: string): Promise<readonly string[]> {
  const lines: string[] = [];
  let finish: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (finish = resolve));
  const server = createServer((request, response) => {
    // Shared memory is for isolated pages only.
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    if (request.method === 'POST') {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        response.end();
        if (body === 'end') finish();
        else lines.push(body);
      });
    } else if (request.url === '/page.js') {
      response.setHeader('Content-Type', 'text/javascript');
      response.end(script);
    } else {
      response.setHeader('Content-Type', 'text/html');
      response.end('<!doctype html><title>engines</title><script type="module" src="/page.js"></script>');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const profile = mkdtempSync(join(tmpdir(), 'lrd-browser-'));
  const gpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];
  const child = spawn(
    path,
    [
      '--headless=new',
      '--no-sandbox',
      '--no-first-run',
      '--no-proxy-server',
      ...gpu,
      `--user-data-dir=${profile}`,
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    ],
    { stdio: 'ignore' },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const late = setTimeout(() => child.kill(), 75_000);
  await Promise.race([ended, exited]);
  clearTimeout(late);
  child.kill();
  await exited;
  server.closeAllConnections();
  server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  return lines;
}

test.when(browser !== undefined, 'no Chromium or Chrome was found (CHROME_PATH names one)')(
  '[LRD-STREAM-005] in a browser, wasm, several threads and WebGPU give the bits of plain JavaScript',
  async () => {
    const lines = await visit(await bundle(), browser as string);
    const line = (name: string): string | undefined => lines.find((text) => text.startsWith(`${name} `));
    assert.is(line('error'), undefined);
    assert.match(line('wasm') ?? '', /^wasm true, 1[45]\d{4} kept$/);
    assert.match(line('pool') ?? '', /^pool true, 1[45]\d{4} kept$/);
    assert.is(line('source'), 'source navigator.gpu');
    assert.match(line('webgpu') ?? '', /^webgpu true, 1[45]\d{4} kept$/);
  },
  { timeout: 90 },
);

test.run();
