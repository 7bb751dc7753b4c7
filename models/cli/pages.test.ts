/** The pages that commands write, opened in a browser: what others have named is text there, nothing runs, and the page's own script does. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import * as assert from 'uvu/assert';
import type { BenchResult } from '../../bench/harness/results.ts';
import { renderBenchReport } from '../../bench/report/html.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { complaintsOf, found, openBrowser } from '../../conformance/harness/testing/chromium.ts';
import { outputOf } from './testing/outputOf.ts';

const test = suite('models/cli/pages');
const inBrowser = test.when(found.path !== undefined, found.reason);
const scratch = mkdtempSync(join(tmpdir(), 'lrd-pages-'));
let browser: Browser | undefined;
test.before(async () => {
  if (found.path !== undefined) browser = await openBrowser({ webgpu: false });
});
test.after(async () => {
  await browser?.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** Would run, or change the page, if it were taken for anything but text. */
const HOSTILE = `"><img src=x onerror=globalThis.caught=1></script><script>globalThis.caught=2</script><svg onload=globalThis.caught=3>'onfocus='`;

/** Opens a page; nothing of what it quotes may have run, and it may complain of nothing. Returns how many charts it has. */
async function open(path: string): Promise<number> {
  const html = readFileSync(path, 'utf8');
  assert.match(html, /http-equiv="Content-Security-Policy" content="default-src 'none';/, path);
  assert.ok(html.includes('globalThis.caught'), `${path} was to quote what is foreign`);
  const page = await (browser as Browser).newPage();
  const complaints = complaintsOf(page);
  await page.goto(pathToFileURL(path).href, { waitUntil: 'networkidle' });
  const caught = await page.evaluate(() => (globalThis as { caught?: number }).caught);
  assert.is(caught, undefined, path);
  assert.is(await page.locator('img[src=x], [onerror], [onload], [onfocus]').count(), 0, path);
  assert.equal(complaints, [], path);
  const charts = await page.locator('svg[role=img], svg').count();
  await page.close();
  return charts;
}

inBrowser('the page of an experiment of one’s own', async () => {
  const [file, out, page] = ['mine.json', 'out', 'page.html'].map((name) => join(scratch, name)) as [string, string, string];
  const settings = { recipe: 'fcnet', data: 'digits', optimizer: 'sgdm', width: 4, epochs: 2, limit: 100 };
  const id = HOSTILE.replaceAll(' ', '_');
  writeFileSync(
    file,
    JSON.stringify({
      version: 1,
      name: 'mine',
      title: HOSTILE,
      about: HOSTILE,
      places: HOSTILE,
      seeds: 2,
      settings,
      arms: [
        { id, label: HOSTILE, group: HOSTILE },
        { id: `${id}2`, label: `${HOSTILE}2`, group: HOSTILE, baseline: id, settings: { keepProbability: 0.5 } },
      ],
      figures: [{ place: HOSTILE, about: HOSTILE, columns: 1, panels: [{ title: HOSTILE, metric: 'testAccuracy', arms: [id, `${id}2`] }] }],
      claims: [HOSTILE],
      notes: [HOSTILE],
    }),
  );
  await outputOf(['experiment', file, '--backend', 'cpu', '--out', out]);
  await outputOf(['report', out, '--out', page, '--title', HOSTILE]);
  assert.ok((await open(page)) > 0, 'it has charts');
}); // prettier-ignore

inBrowser('the page of a judgement of a program', async () => {
  const folder = join(scratch, 'program');
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'program.mjs'),
    `import { createInterface } from 'node:readline';
const text = ${JSON.stringify(HOSTILE)};
const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
for await (const line of createInterface({ input: process.stdin })) {
  const { cmd, seq, version } = JSON.parse(line);
  if (cmd === 'start') say({ version, implementation: { name: text, language: text, precision: 'float64', rules: ['sgdm', 'adam'], masks: ['given', 'stream'], features: ['state'], version: text, homepage: text } });
  else if (cmd === 'run') say(seq % 2 === 0 ? { seq, skipped: { reason: text, issue: text } } : { seq, errored: { code: 'internal', message: text } });
  else break;
}
`,
  );
  const page = join(folder, 'page.html');
  const call = ['conformance', '--adapter', `cmd:${process.execPath} ${join(folder, 'program.mjs')}`, '--only', 'LRD-(RULE|MASK)-001', '--html', page, '--seed', '1']; // prettier-ignore
  // It breaks a MUST.
  await outputOf(call).catch(() => undefined);
  process.exitCode = 0;
  await open(page);
});

/** A result with hostile text for each of its texts. */
function spoilt(value: unknown): unknown {
  if (typeof value === 'string') return `${value}${HOSTILE}`;
  if (Array.isArray(value)) return value.map(spoilt);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, spoilt(inner)]));
}

inBrowser('the page of a benchmark, and that of the descents', async () => {
  const kept = readFileSync(new URL('../../bench/results/drop-in.json', import.meta.url), 'utf8');
  const page = join(scratch, 'bench.html');
  writeFileSync(page, renderBenchReport(spoilt(JSON.parse(kept)) as BenchResult));
  assert.ok((await open(page)) > 0, 'it has charts');
  // Nothing foreign is in it.
  const toy = join(scratch, 'toy.html');
  await outputOf(['toy', '--grid', '2', '--steps', '20', '--rule', 'adam', '--out', toy]);
  writeFileSync(toy, readFileSync(toy, 'utf8').replace('<main', '<script>globalThis.caught = 4</script><main'));
  const shown = await (browser as Browser).newPage();
  await shown.goto(pathToFileURL(toy).href);
  assert.is(await shown.evaluate(() => (globalThis as { caught?: number }).caught), undefined);
  assert.ok((await shown.locator('svg').count()) > 0);
  await shown.close();
});

test.run();
