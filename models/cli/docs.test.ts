import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseHTML } from 'linkedom';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { complaintsOf, found, openBrowser } from '../../conformance/harness/testing/chromium.ts';
import { DEMO, buildDocs } from './scripts/docs.ts';

const test = suite('documents as a site');
const root = fileURLToPath(new URL('../..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'lrd-docs-site-'));
const site = join(scratch, 'docs');
test.after(() => rmSync(scratch, { recursive: true, force: true }));

interface Page {
  readonly ids: ReadonlySet<string>;
  /** Where its links lead: a path from the site's root, and the anchor. */
  readonly links: readonly (readonly [path: string, anchor: string])[];
  readonly text: string;
}
const pages = new Map<string, Page>();

function readPage(file: string): Page {
  const { document } = parseHTML(readFileSync(join(site, file), 'utf8'));
  const links = [...document.querySelectorAll('a[href], link[href], [src]')]
    .map((at) => at.getAttribute('href') ?? at.getAttribute('src') ?? '')
    .filter((link) => !/^(?:[a-z]+:|#?$)/i.test(link))
    .map((link) => {
      const { pathname, hash } = new URL(link, pathToFileURL(join(site, file)));
      return [relative(site, decodeURIComponent(pathname)), decodeURIComponent(hash.slice(1))] as const;
    });
  const ids = [...document.querySelectorAll('[id]')].map((at) => at.id);
  return { ids: new Set(ids), links, text: document.body?.textContent ?? '' };
}

test(
  'the documents are built; every public name has text, and TypeDoc has nothing to warn of',
  async () => {
    // The pages beside the documents without their scripts, which have tests of their own.
    const built = await buildDocs(site, {
      page: ({ template }, documents) =>
        Promise.resolve(readFileSync(join(root, template), 'utf8').replace('<!-- documents -->', documents)),
    });
    for (const file of readdirSync(site, { recursive: true, encoding: 'utf8' })) {
      if (file.endsWith('.html')) pages.set(file, readPage(file));
    }
    assert.equal(built.undocumented, []);
    assert.is(built.warnings, 0);
  },
  // Twenty seconds of a processor, on a machine that may be busy.
  { timeout: 480 },
);

test('no link of the site is dead, anchors included', () => {
  assert.ok(pages.size > 300, `${pages.size}`);
  const dead = [...pages].flatMap(([from, { links }]) =>
    links
      .filter(([path, anchor]) => {
        const page = pages.get(path);
        if (page === undefined) return !existsSync(join(site, path));
        return anchor !== '' && !page.ids.has(anchor);
      })
      .map(([path, anchor]) => `${from}: ${path}#${anchor}`),
  );
  assert.equal(dead, []);
  assert.ok(existsSync(join(site, DEMO, 'conformance.html')));
});

test('three clicks from the start lead to the answers that people look for', () => {
  const clicks = new Map([['index.html', 0]]);
  for (const [file, count] of clicks) {
    for (const [path] of pages.get(file)?.links ?? []) {
      if (pages.has(path) && !clicks.has(path)) clicks.set(path, count + 1);
    }
  }
  for (const answer of [
    'How do I exclude biases? By the variables',
    'How do I resume? await optimizer.getWeights()',
    'Why is my curve slower? Each coordinate',
    'Certify your own implementation',
    'function sgdm',
  ]) {
    const words = answer.toLowerCase();
    const at = [...clicks].find(([file]) =>
      pages.get(file)?.text.replaceAll(/\s+/g, ' ').toLowerCase().includes(words),
    );
    assert.ok(at !== undefined && at[1] <= 3, `${answer}: ${at}`);
  }
  assert.equal(
    [...pages.keys()].filter((file) => !clicks.has(file)),
    [],
  );
});

test('formulas are set, and the drawing of the house is made of its imports', () => {
  const of = (name: string): string => readFileSync(join(site, 'documents', `${name}.html`), 'utf8');
  assert.ok((of('The_specification.Specification').match(/<math /g)?.length ?? 0) > 50);
  const architecture = of('Architecture');
  assert.is(architecture.match(/<svg viewBox="0 0 880/g)?.length, 3);
  assert.match(architecture, /impl-gpu imports spec/);
  assert.not.match(architecture, /impl-gpu imports [^;]*impl-ref/);
});

test.when(found.path !== undefined, found.reason)(
  'opened from disk, the site is searched, and says nothing on the console',
  async () => {
    const browser = await openBrowser({ webgpu: false });
    try {
      const page = await browser.newPage();
      const complaints = complaintsOf(page);
      await page.goto(pathToFileURL(join(site, 'index.html')).href);
      await page.keyboard.press('/');
      await page.locator('#tsd-search-input').fill('keepProbability');
      const hit = page.locator('#tsd-search-results a').first();
      await hit.waitFor({ timeout: 60_000 });
      assert.match((await hit.textContent()) ?? '', /keepProbability/);
      await hit.click();
      await page.waitForURL(/keepprobability/i);
      assert.equal(complaints, []);
    } finally {
      await browser.close();
    }
  },
  { timeout: 240 },
);

test.run();
