import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { build, createLogger } from 'vite';
import { complaintsOf, found, openBrowser, serveFolder } from '../conformance/harness/testing/chromium.ts';
import { suite } from '../conformance/harness/suite.ts';
import * as lrd from './tfjs/index.ts';

const test = suite('impl-gpu/browser');
const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'lrd-vite-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** What a page trains: a backend with rules and epochs. */
interface Work {
  readonly backend: 'cpu' | 'wasm' | 'webgl' | 'webgpu';
  readonly rules: readonly string[];
  readonly epochs: number;
}

const RULES = ['sgdm', 'rmsprop', 'adam', 'amsgrad', 'radam', 'adamw', 'sgdmAvg'];
const WORK: readonly Work[] = [
  { backend: 'cpu', rules: ['adam'], epochs: 10 },
  { backend: 'wasm', rules: RULES, epochs: 10 },
  { backend: 'webgl', rules: RULES, epochs: 10 },
  // A software adapter takes half a second and more for each of these steps.
  { backend: 'webgpu', rules: ['adam'], epochs: 3 },
];

interface Trained {
  readonly losses: readonly number[];
  readonly weights: readonly number[];
}

/** What `testing/vite/main.js` leaves in `window.findings`. */
interface Findings {
  readonly error?: string;
  readonly isolated: boolean;
  readonly engines: {
    readonly kept: number;
    readonly wasm: boolean;
    readonly pool?: boolean;
    readonly webgpu?: boolean;
    readonly gpu: { readonly sources: readonly string[]; readonly why: string };
  };
  /** By backend: what it trained, by rule, or why it could not. */
  readonly backends: Readonly<Record<string, Readonly<Record<string, Trained>> | string>>;
}

/** The package as it is published, compiled here: what lies in dist may be of yesterday. */
function makePackage(): string {
  const folder = join(scratch, 'package');
  mkdirSync(folder);
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  // Whether it type-checks is another command's business.
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', join(folder, 'dist')], { cwd: root });
  assert.ok(existsSync(join(folder, 'dist/impl-gpu/tfjs/index.js')));
  return folder;
}

/** A project as a user has it: the package beside as many of its peers as are named. */
function makeProject(name: string, published: string, peers: readonly string[]): string {
  const folder = join(scratch, name);
  const installed = join(folder, 'node_modules');
  mkdirSync(join(installed, '@tensorflow'), { recursive: true });
  cpSync(published, join(installed, 'learning-rate-dropout'), { recursive: true });
  for (const peer of peers) symlinkSync(join(root, 'node_modules', peer), join(installed, peer));
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true, "type": "module" }');
  return folder;
}

/** Bundles a project with nothing configured that matters here; returns what Vite warned of. */
async function bundle(folder: string, minify = true): Promise<readonly string[]> {
  const warnings: string[] = [];
  const customLogger = createLogger('warn');
  customLogger.warn = customLogger.warnOnce = (message) => void warnings.push(message);
  // tfjs is larger than the size that Vite suggests for a chunk.
  const options = { minify, outDir: minify ? 'dist' : 'plain', chunkSizeWarningLimit: 5000 };
  await build({ root: folder, configFile: false, customLogger, logLevel: 'warn', build: options });
  return warnings;
}

/** Opens a built project and returns what it found; the console must stay silent. */
async function visit(folder: string, options: { isolated: boolean; webgpu: boolean }): Promise<Findings> {
  const served = await serveFolder(folder, options);
  const browser = await openBrowser(options);
  try {
    const page = await browser.newPage();
    const complaints = complaintsOf(page);
    await page.addInitScript((work) => void Object.assign(globalThis, { work }), WORK);
    await page.goto(served.url);
    await page.waitForFunction('globalThis.findings !== undefined', undefined, { timeout: 220_000 });
    const findings = (await page.evaluate('globalThis.findings')) as Findings;
    assert.is(findings.error, undefined);
    assert.equal(complaints, []);
    return findings;
  } finally {
    await browser.close();
    served.close();
  }
}

const { train } = (await import(new URL('testing/vite/train.js', import.meta.url).href)) as {
  readonly train: (engine: typeof tf, optimizers: typeof lrd, rule: string, epochs: number) => Promise<Trained>;
};

function largestDifference(a: readonly number[], b: readonly number[]): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);
}

/** Holds what a page found against plain JavaScript and against Node's cpu backend. */
async function judge({ engines, backends }: Findings, work: readonly Work[]): Promise<void> {
  assert.is(engines.wasm, true);
  assert.ok(engines.kept > 149_000 && engines.kept < 151_000);
  assert.equal(engines.gpu.sources, ['navigator.gpu']);
  await tf.setBackend('cpu');
  for (const { backend, rules, epochs } of work) {
    for (const rule of rules) {
      const expected = await train(tf, lrd, rule, epochs);
      assert.ok((expected.losses.at(-1) as number) < 0.8 * (expected.losses[0] as number), `${rule} learns nothing`);
      const trained = backends[backend];
      if (typeof trained !== 'object') throw new Error(`${backend}: ${trained}`);
      const { losses, weights } = trained[rule] as Trained;
      // Steps of float32 in another order; one wrong mask bit moves a weight by a hundred times as much.
      const difference = largestDifference(weights, expected.weights);
      assert.ok(difference < 1e-4, `${rule} on ${backend}: a weight differs by ${difference}`);
      assert.ok(largestDifference(losses, expected.losses) < 1e-3, `${rule} on ${backend}: the losses differ`);
    }
  }
}

const whenFound = test.when(found.path !== undefined, found.reason);
/** A browser on software takes its time, most of all on a busy machine. */
const inBrowser = (title: string, body: () => void | Promise<void>): void => whenFound(title, body, { timeout: 240 });
let user = '';

inBrowser('Vite bundles a project that uses the package without a word, also beside tfjs alone', async () => {
  const published = makePackage();
  const peers = ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm', '@tensorflow/tfjs-backend-webgpu'];
  user = makeProject('user', published, peers);
  cpSync(join(root, 'impl-gpu/testing/vite'), user, { recursive: true });
  assert.equal(await bundle(user), []);
  const bare = makeProject('bare', published, ['@tensorflow/tfjs']);
  writeFileSync(join(bare, 'index.html'), '<!doctype html><script type="module" src="/main.js"></script>');
  writeFileSync(join(bare, 'main.js'), "import { adam } from 'learning-rate-dropout';\nconsole.log(adam({}).seed);\n");
  assert.equal(await bundle(bare), []);
});

inBrowser(
  '[LRD-STREAM-005] in an isolated page every engine gives the bits of plain JavaScript, and every backend trains as in Node',
  async () => {
    // Not minified: tfjs 4.22 starts the threads of its wasm backend from a function's text, which does not outlive renaming.
    assert.equal(await bundle(user, false), []);
    const findings = await visit(join(user, 'plain'), { isolated: true, webgpu: true });
    assert.is(findings.isolated, true);
    assert.is(findings.engines.pool, true);
    assert.is(findings.engines.webgpu, true);
    await judge(findings, WORK);
  },
);

inBrowser('without isolation and without WebGPU the rest works, and what is missing is named', async () => {
  const findings = await visit(join(user, 'dist'), { isolated: false, webgpu: false });
  assert.is(findings.isolated, false);
  assert.is(findings.engines.pool, undefined);
  assert.is(findings.engines.gpu.why, 'no WebGPU adapter was found');
  const reason = /no WebGPU adapter was found \(navigator\.gpu: (no adapter|this browser has no WebGPU)\)/;
  assert.match(JSON.stringify(findings.backends['webgpu']), reason);
  await judge(
    findings,
    WORK.filter(({ backend }) => backend !== 'webgpu'),
  );
});

test.run();
