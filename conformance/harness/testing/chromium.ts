/** A real Chromium without a window, for tests of pages: found, started and served to. */
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, ConsoleMessage, Page } from 'playwright-core';

const INSTALLED = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** The browser to drive, or why there is none. `CHROME_PATH` names one; else the system's; else the one in `@sparticuz/chromium`. */
async function find(): Promise<{ readonly path?: string; readonly reason: string }> {
  const named = process.env['CHROME_PATH'];
  if (named !== undefined && named !== '') {
    return existsSync(named)
      ? { path: named, reason: '' }
      : { reason: `CHROME_PATH names ${named}, which is not there` };
  }
  const installed = INSTALLED.find((path) => existsSync(path));
  if (installed !== undefined) return { path: installed, reason: '' };
  const none = 'no Chromium or Chrome was found (CHROME_PATH names one)';
  if (process.platform !== 'linux' || process.arch !== 'x64') return { reason: none };
  try {
    const { default: packed } = await import('@sparticuz/chromium');
    return { path: await packed.executablePath(), reason: '' };
  } catch (error) {
    return { reason: `${none}; @sparticuz/chromium: ${(error as Error).message.split('\n')[0]}` };
  }
}

/** The browser to drive: its path, or why there is none. */
export const found = await find();

/** WebGPU and WebGL on SwiftShader: the same on every machine, with a GPU or without. */
const GRAPHICS = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
];
const NO_WEBGPU = ['--use-webgpu-adapter=none', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'];
/** Chromium's own remarks: on an adapter that is not there, and on WebGL's reads, which wait for the GPU by their nature. */
const REMARKS = /^(No available adapters\.|Failed to create WebGPU Context Provider)$|GPU stall due to ReadPixels/;

/** Starts the browser. Without `webgpu` pages find no adapter. */
export function openBrowser({ webgpu = true } = {}): Promise<Browser> {
  if (found.path === undefined) throw new Error(found.reason);
  const args = ['--no-sandbox', '--no-first-run', '--no-proxy-server', ...(webgpu ? GRAPHICS : NO_WEBGPU)];
  return chromium.launch({ executablePath: found.path, args });
}

/** Everything that a page complained of: errors on its console, warnings, exceptions, requests that failed. */
export function complaintsOf(page: Page): readonly string[] {
  const complaints: string[] = [];
  page.on('console', (message: ConsoleMessage) => {
    const [type, text] = [message.type(), message.text()];
    if ((type === 'error' || type === 'warning') && !REMARKS.test(text)) complaints.push(`${type}: ${text}`);
  });
  page.on('pageerror', (error) => complaints.push(`exception: ${error.message}`));
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url().slice(0, 200)}`));
  return complaints;
}

/**
 * Opens a page in a context of its own, for `use`. Functions that are handed to the page may have names: tsx gives them by a helper that the
 * page lacks. Returns what it complained of, to the end.
 * @param seconds - that one wait of `use` may take
 */
export async function withPage(
  browser: Browser,
  seconds: number,
  use: (page: Page) => Promise<void>,
  options: BrowserContextOptions = {},
): Promise<readonly string[]> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints = complaintsOf(page);
  page.setDefaultTimeout(1000 * seconds);
  await page.addInitScript('globalThis.__name = (f) => f;');
  await use(page);
  // What the closing cuts off is no complaint.
  const told = [...complaints];
  await context.close();
  return told;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
};

export interface Served {
  readonly url: string;
  close(): void;
}

/** Serves a folder on this machine. Shared memory is for isolated pages only. */
export async function serveFolder(folder: string, { isolated }: { readonly isolated: boolean }): Promise<Served> {
  const server = createServer((request, response) => {
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
    if (path === '/favicon.ico') {
      response.writeHead(204).end();
      return;
    }
    const file = join(folder, path === '/' ? 'index.html' : path);
    if (!existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream');
    response.end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
