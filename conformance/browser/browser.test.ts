import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Page } from 'playwright-core';
import * as assert from 'uvu/assert';
import { PAGES, buildPage } from '../../models/cli/scripts/pages.ts';
import type { PageSources } from '../../models/cli/scripts/pages.ts';
import { complaintsOf, found, openBrowser } from '../harness/testing/chromium.ts';
import { suite } from '../harness/suite.ts';
import type { ConformanceReport } from '../index.ts';
import { REPORT_SCHEMA, runConformance } from '../index.ts';

const test = suite('conformance/browser');
const whenFound = test.when(found.path !== undefined, found.reason);
/** A browser on software takes its time, most of all on a busy machine. */
const inBrowser = (title: string, body: () => void | Promise<void>): void => whenFound(title, body, { timeout: 240 });
const scratch = mkdtempSync(join(tmpdir(), 'lrd-conformance-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const seed = Number(process.env['LRD_SEED'] ?? 2);
const file = join(scratch, 'conformance.html');

interface Reports {
  readonly text: string;
  readonly report: ConformanceReport;
  readonly html: string;
}

/** Judges adapters in the page as a person would: ticks, types, clicks, waits, and follows the links. */
async function judgeIn(page: Page, adapters: readonly string[], only: readonly string[]): Promise<Reports> {
  for (const box of await page.getByRole('checkbox').all()) {
    const name = (await box.getAttribute('value')) ?? '';
    await box.setChecked(adapters.includes(name));
  }
  await page.getByLabel('Seed').fill(String(seed));
  await page.getByLabel('Only').fill(only.join(', '));
  await page.getByRole('button', { name: 'Run' }).click();
  const status = page.getByRole('status');
  await page.waitForFunction(() => !/Judging/.test(document.querySelector('#status')?.textContent ?? ''), undefined, {
    timeout: 220_000,
  });
  const said = (await status.textContent()) ?? '';
  if (!/^(Every MUST|A MUST)/.test(said)) throw new Error(`the page says: ${said}`);
  const follow = (id: string): Promise<string> =>
    page.evaluate(async (name) => {
      const link = document.getElementById(name) as HTMLAnchorElement;
      return (await fetch(link.href)).text();
    }, id);
  return {
    text: (await page.locator('#summary').textContent()) ?? '',
    report: JSON.parse(await follow('json')) as ConformanceReport,
    html: await follow('html'),
  };
}

/** What must be the same wherever the same adapter is judged: everything but times and dates. */
function essence(report: ConformanceReport, adapter: string): unknown {
  const judgement = report.judgements.find((one) => one.adapter === adapter);
  assert.ok(judgement, `${adapter} was not judged`);
  return {
    implementation: judgement.implementation,
    requirements: judgement.requirements,
    verdicts: judgement.verdicts.map((verdict) => ({ ...verdict, seconds: 0 })),
  };
}

/** A sample of the suite: masks, one rule's arithmetic, the stream, errors. */
const SAMPLE = ['LRD-MASK-003', 'LRD-RULE-004/adam', 'LRD-STREAM-001', 'LRD-ERROR-001'];

async function withPage(webgpu: boolean, use: (page: Page) => Promise<void>): Promise<void> {
  const browser = await openBrowser({ webgpu });
  try {
    const page = await browser.newPage();
    const complaints = complaintsOf(page);
    await page.goto(pathToFileURL(file).href);
    await use(page);
    assert.equal(complaints, []);
  } finally {
    await browser.close();
  }
}

inBrowser('[LRD-PROTO-001] in a page every adapter that comes up gets the verdicts that it gets in Node', async () => {
  writeFileSync(file, await buildPage(PAGES['conformance.html'] as PageSources));
  await withPage(true, async (page) => {
    const whole = ['ref', 'js', 'wasm', 'tfjs-cpu', 'tfjs-wasm', 'tfjs-webgl'];
    const { text, report, html } = await judgeIn(page, whole, SAMPLE);
    assert.ok(report.passed, text);
    assert.equal(report.unavailable, []);
    const validate = new Ajv2020({ allowUnionTypes: true }).compile(REPORT_SCHEMA);
    assert.ok(validate(report), JSON.stringify(validate.errors));
    assert.match(html, /^<!doctype html>/i);
    for (const adapter of whole) assert.ok(html.includes(adapter) && text.includes(`ok   ${adapter} `), adapter);
    const inNode = whole.filter((name) => name !== 'tfjs-webgl');
    const expected = await runConformance({ adapters: inNode, seed, only: SAMPLE });
    for (const adapter of inNode) assert.equal(essence(report, adapter), essence(expected, adapter), adapter);
  });
});

inBrowser("in a page the engine and the optimizers on SwiftShader's WebGPU hold what is asked of them", async () => {
  await withPage(true, async (page) => {
    const { text, report } = await judgeIn(page, ['webgpu', 'tfjs-webgpu'], ['LRD-MASK-003/adam']);
    assert.ok(report.passed, text);
    assert.equal(
      report.judgements.map(({ adapter }) => adapter),
      ['webgpu', 'tfjs-webgpu'],
    );
  });
});

inBrowser('without WebGPU its adapters are reported as missing, with the reason, and the rest is judged', async () => {
  await withPage(false, async (page) => {
    const { text, report } = await judgeIn(page, ['js', 'webgpu', 'tfjs-webgpu'], ['LRD-ERROR-001']);
    assert.ok(report.passed, text);
    assert.equal(
      report.unavailable.map(({ adapter }) => adapter),
      ['webgpu', 'tfjs-webgpu'],
    );
    assert.match(text, /skip webgpu +adapter webgpu does not run here: no WebGPU adapter was found \(navigator\.gpu: /);
    assert.match(text, /ok {3}js/);
  });
});

test.run();
