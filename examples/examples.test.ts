import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { build, defaultClientConditions } from 'vite';
import { FROM_SOURCE } from '../conformance/harness/fromSource.ts';
import { suite } from '../conformance/harness/suite.ts';
import { complaintsOf, found, openBrowser, serveFolder } from '../conformance/harness/testing/chromium.ts';

const test = suite('examples');
const root = fileURLToPath(new URL('..', import.meta.url));

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program of this tree, on its sources. */
function run(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...FROM_SOURCE, ...args], { cwd: root });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
    child.on('close', (code) => resolve({ code, output }));
  });
}

const judge = (adapter: string, only: string): Promise<Ran> =>
  run('models/cli/lrd.ts', 'conformance', '--adapter', `module:./examples/certify/${adapter}`, '--only', only);

test('the list of examples names every program, and nothing else', () => {
  const listed = [...readFileSync(join(root, 'examples/README.md'), 'utf8').matchAll(/examples\/[\w./-]*\w/g)]
    .map(([path]) => path)
    .filter((path) => path !== 'examples/examples.test.ts');
  assert.equal([...new Set(listed)].sort(), [
    'examples/browser',
    'examples/certify/adapter.mjs',
    'examples/certify/mistakenAdapter.mjs',
    'examples/compile/train.ts',
    'examples/custom-loop/train.ts',
  ]);
  const folders = readdirSync(join(root, 'examples'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.equal(folders.map(({ name }) => name).sort(), ['browser', 'certify', 'compile', 'custom-loop']);
});

test(
  'model.compile in Node: LRD learns, and follows the base rule at p times the rate',
  async () => {
    const { code, output } = await run('examples/compile/train.ts');
    assert.is(code, 0, output);
    const means = [...output.matchAll(/mean over \d+ epochs ([\d.]+)/g)].map(([, mean]) => Number(mean));
    assert.is(means.length, 3, output);
    const [base, masked, slower] = means as [number, number, number];
    assert.ok(masked < 0.5, output);
    assert.ok(Math.abs(masked - slower) < Math.abs(masked - base) / 2, output);
  },
  { timeout: 240 },
);

test(
  'a custom loop with groups and schedules resumes to the same bits',
  async () => {
    const { code, output } = await run('examples/custom-loop/train.ts');
    assert.is(code, 0, output);
    assert.match(output, /the same bits/);
  },
  { timeout: 240 },
);

test(
  'a foreign optimizer is certified, and its mistaken sibling gets its mistake named',
  async () => {
    const right = await judge('adapter.mjs', 'LRD-(MASK|ERROR|ALG-002)');
    assert.is(right.code, 0, right.output);
    assert.match(right.output, /every MUST that could be judged holds/);
    const wrong = await judge('mistakenAdapter.mjs', 'LRD-ALG-002');
    assert.is(wrong.code, 1, wrong.output);
    assert.match(wrong.output, /the momentum of dropped coordinates/);
  },
  { timeout: 240 },
);

test.when(found.path !== undefined, found.reason)(
  'the browser app is built by Vite, trains and says nothing on the console',
  async () => {
    const scratch = mkdtempSync(join(tmpdir(), 'lrd-example-'));
    try {
      await build({
        root: join(root, 'examples/browser'),
        configFile: false,
        logLevel: 'error',
        resolve: { conditions: ['@learning-rate-dropout/source', ...defaultClientConditions] },
        build: { outDir: scratch, emptyOutDir: true, chunkSizeWarningLimit: 5000, minify: false },
      });
      const served = await serveFolder(scratch, { isolated: false });
      const browser = await openBrowser({ webgpu: false });
      try {
        const page = await browser.newPage();
        const complaints = complaintsOf(page);
        await page.goto(served.url);
        await page.click('#start');
        await page.waitForFunction(
          `/^Epoch (\\d+) of \\1 /.test(document.querySelector('#status').textContent)`,
          undefined,
          { timeout: 180_000 },
        );
        const status = await page.textContent('#status');
        const loss = Number(/loss ([\d.]+)$/.exec(status ?? '')?.[1]);
        assert.ok(loss < 0.69, `${status}`);
        assert.equal(complaints, []);
      } finally {
        await browser.close();
        served.close();
      }
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  },
  { timeout: 240 },
);

test.run();
