import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import * as assert from 'uvu/assert';
import { found, openBrowser, withPage } from '../../conformance/harness/testing/chromium.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { PAGES, buildPage } from '../cli/scripts/pages.ts';
import type { PageSources } from '../cli/scripts/pages.ts';

const test = suite('models/demo');
const whenFound = test.when(found.path !== undefined, found.reason);
/** A browser on software takes its time, most of all on a busy machine. */
const inBrowser = (title: string, body: () => void | Promise<void>): void => whenFound(title, body, { timeout: 240 });
const scratch = mkdtempSync(join(tmpdir(), 'lrd-demo-'));
const file = join(scratch, 'index.html');
const url = pathToFileURL(file).href;

let browser: Browser | undefined;
test.before(async () => {
  if (found.path === undefined) return;
  writeFileSync(file, await buildPage(PAGES['index.html'] as PageSources));
  browser = await openBrowser();
});
test.after(async () => {
  await browser?.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** Opens the page as a visitor would; its console must stay silent to the end. */
async function visit(
  use: (page: Page) => Promise<void>,
  options: BrowserContextOptions = {},
  where = browser as Browser,
): Promise<void> {
  const open = async (page: Page): Promise<void> => {
    await page.goto(url);
    await page.waitForFunction(() => document.querySelector('#toy-steps')?.textContent !== '');
    await use(page);
  };
  assert.equal(await withPage(where, 100, open, options), []);
}

const textOf = async (page: Page, id: string): Promise<string> => (await page.locator(`#${id}`).textContent()) ?? '';
const numberOf = async (page: Page, id: string): Promise<number> => Number.parseFloat(await textOf(page, id));
const button = (page: Page, name: string): ReturnType<Page['getByRole']> =>
  page.getByRole('button', { name, exact: true });

/** Waits until the training is past an epoch. */
async function reachEpoch(page: Page, epoch: number): Promise<void> {
  await page.waitForFunction(
    (least) => Number.parseFloat(document.querySelector('#train-position')?.textContent ?? '') >= least,
    epoch,
  );
}

/** Chooses the smallest network and trains it. */
async function train(page: Page): Promise<void> {
  await page.getByLabel('Hidden layers').selectOption('64');
  await button(page, 'Train').click();
  await reachEpoch(page, 0.01);
}

/** Where the first plot's handle is, in pixels. */
async function handleAt(page: Page): Promise<{ readonly x: number; readonly y: number }> {
  const box = await page.locator('#plain-plot .handle').boundingBox();
  assert.ok(box);
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

inBrowser('the page is one file that needs nothing else, its scripts far below 1.5 MB compressed', () => {
  const html = readFileSync(file, 'utf8');
  assert.ok(gzipSync(html).length < 1_000_000, `${gzipSync(html).length} bytes`);
  const outside = html.match(/<(?:script|link|img|iframe)[^>]+(?:src|href)="(?!data:)[^"]*"/g);
  assert.is(outside, null);
});

inBrowser('the first paint comes within a second, on a busy machine as much later as it is busier', async () => {
  const context = await (browser as Browser).newContext();
  const times: number[] = [];
  // The first visit starts parts of the browser too.
  for (let visits = 0; visits < 4; visits++) {
    const page = await context.newPage();
    await page.goto(url, { waitUntil: 'commit' });
    const paint = await page.waitForFunction(
      () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
    );
    times.push((await paint.jsonValue()) as number);
    await page.close();
  }
  await context.close();
  const limit = 1000 * Math.max(1, (loadavg()[0] as number) / availableParallelism());
  assert.ok(Math.min(...times) < limit, `${times.join(', ')} ms, the limit is ${limit} ms`);
});

inBrowser('the descent runs, follows the handle that is dragged, and every control changes it', async () => {
  await visit(async (page) => {
    const steps = (): Promise<number> => textOf(page, 'toy-steps').then((text) => Number(/\d+/.exec(text)?.[0]));
    await page.waitForFunction(() => /step [1-9]/.test(document.querySelector('#toy-steps')?.textContent ?? ''));
    const before = await handleAt(page);
    await page.mouse.move(before.x, before.y);
    await page.mouse.down();
    await page.mouse.move(before.x + 40, before.y + 30, { steps: 4 });
    await page.mouse.up();
    const after = await handleAt(page);
    assert.ok(Math.abs(after.x - before.x - 40) < 2 && Math.abs(after.y - before.y - 30) < 2, JSON.stringify(after));
    const name = await page.locator('#lrd-plot .handle').getAttribute('aria-label');
    assert.match(name ?? '', /^Starting point: x -\d\.\d\d, y -?\d\.\d\d\./);

    // To the end, as fast as it goes.
    await page.getByLabel('Speed').fill('3.4');
    await page.waitForFunction(() => document.querySelector('#toy-live')?.textContent.startsWith('After 5000 steps'));
    assert.match(
      await textOf(page, 'toy-live'),
      /without LRD in the (global|local) minimum; with it \d+ of 11 descents/,
    );
    assert.is(await steps(), 5000);
    await button(page, 'From the start').click();
    await button(page, 'Pause').click();
    const paused = await steps();
    await button(page, 'One step').click();
    assert.is(await steps(), paused + 1);

    // p = 1 is the base rule: both captions say the same, at every step.
    await page.locator('#toy-keep').fill('1');
    await page.getByLabel('ten more descents').uncheck();
    await button(page, 'Pause').click();
    assert.ok((await steps()) >= 0);
    assert.is(await textOf(page, 'plain-end'), await textOf(page, 'lrd-end'));
    await page.locator('#toy-rule').selectOption('sgdm');
    assert.is(await textOf(page, 'toy-rate-value'), '0.0001');
    await button(page, 'Other masks').click();
  });
});

inBrowser(
  'training runs while the page answers; it pauses, goes on, takes another p, and moves to every other backend',
  async () => {
    await visit(async (page) => {
      await page.waitForFunction(() => document.querySelector<HTMLButtonElement>('#train-start')?.disabled === false);
      assert.match(await textOf(page, 'train-using'), /^The CPU, with SIMD.*because WebGPU is only a software adapter/);
      assert.is(await page.getByLabel('Runs on').inputValue(), 'wasm');
      await train(page);
      // On the page's own thread a slice of training would leave no room for anything else.
      assert.is(page.workers().length, 1);
      await reachEpoch(page, 2);
      assert.ok((await numberOf(page, 'train-speed')) > 0);
      assert.ok((await numberOf(page, 'plain-score')) > 5);
      // Two curves, each in a colour of its own.
      await page.waitForFunction(() => {
        const paths = [...document.querySelectorAll('#loss-chart [stroke-linejoin] path')];
        const strokes = new Set(paths.map((path) => getComputedStyle(path).stroke));
        return paths.length === 2 && strokes.size === 2 && !strokes.has('none');
      });

      await button(page, 'Pause').nth(1).click();
      await button(page, 'Go on').waitFor();
      const paused = await textOf(page, 'train-position');
      assert.match(await textOf(page, 'train-live'), /^Paused at epoch \d/);
      await page.waitForTimeout(400);
      assert.is(await textOf(page, 'train-position'), paused);

      await page.locator('#train-keep').fill('0.2');
      await page.getByText(/From epoch [\d.]+: p = 0\.20/).waitFor();
      await button(page, 'Go on').click();
      await reachEpoch(page, Number.parseFloat(paused) + 1);

      // WebGPU last: on a software adapter its first step takes seconds.
      for (const [backend, name] of [
        ['webgl', 'WebGL'],
        ['cpu', 'JavaScript'],
        ['webgpu', 'WebGPU'],
      ] as const) {
        const before = await numberOf(page, 'train-position');
        await page.getByLabel('Runs on').selectOption(backend);
        await page.getByText(new RegExp(`From epoch [\\d.]+: ${name}\\.`)).waitFor();
        await reachEpoch(page, before + 0.05);
        assert.match(await textOf(page, 'train-using'), /chosen by you/);
      }
      await button(page, 'Start over').click();
      assert.is(await textOf(page, 'train-position'), '–');
      await page.reload();
      await page.waitForFunction(() => document.querySelector<HTMLButtonElement>('#train-start')?.disabled === false);
      assert.is(await textOf(page, 'train-position'), '–');
    });
  },
);

inBrowser('without WebGPU the page says so and why it runs where it does, and trains', async () => {
  const without = await openBrowser({ webgpu: false });
  try {
    await visit(
      async (page) => {
        await page.waitForFunction(() => document.querySelector<HTMLButtonElement>('#train-start')?.disabled === false);
        assert.match(await textOf(page, 'train-using'), /because there is no WebGPU: /);
        assert.match(await textOf(page, 'train-backend'), /WebGPU: not here/);
        assert.ok(await page.locator('#train-backend option[value=webgpu]').isDisabled());
        await train(page);
        await reachEpoch(page, 1);
      },
      {},
      without,
    );
  } finally {
    await without.close();
  }
});

inBrowser(
  'everything can be reached and used by keyboard, in the order of the page, with a visible focus',
  async () => {
    await visit(async (page) => {
      await page.waitForFunction(() => document.querySelector<HTMLButtonElement>('#train-start')?.disabled === false);
      const focused = (): Promise<{ id: string; name: string; outline: number }> =>
        page.evaluate(() => {
          const at = document.activeElement as HTMLElement;
          const label =
            (at as HTMLInputElement).labels?.[0]?.textContent ?? at.getAttribute('aria-label') ?? at.textContent;
          const outline = Number.parseFloat(getComputedStyle(at).outlineWidth);
          return { id: at.id || at.className || at.tagName, name: label.trim(), outline };
        });
      const seen: string[] = [];
      for (let i = 0; i < 40; i++) {
        await page.keyboard.press('Tab');
        const { id, name, outline } = await focused();
        if (id === 'BODY') break;
        assert.ok(name !== '', `${id} has no name`);
        assert.ok(outline >= 2, `${id} shows no focus`);
        seen.push(id);
        if (id === 'handle' && seen.length === 1) {
          const before = await handleAt(page);
          await page.keyboard.press('Shift+ArrowRight');
          await page.keyboard.press('ArrowUp');
          const after = await handleAt(page);
          assert.ok(after.x > before.x + 5 && after.y < before.y - 1);
        }
        if (id === 'toy-keep') {
          await page.keyboard.press('ArrowLeft');
          assert.is(await textOf(page, 'toy-keep-value'), '0.45');
        }
        if (id === 'train-width') await page.locator('#train-width').selectOption('64');
        if (id === 'train-start') {
          await page.keyboard.press('Space');
          await reachEpoch(page, 0.05);
          await page.keyboard.press('Space');
          await button(page, 'Go on').waitFor();
        }
      }
      const toy = ['handle', 'handle', 'toy-keep', 'toy-rate', 'toy-rule', 'toy-speed'];
      const actions = ['toy-play first', 'toy-step', 'toy-again', 'toy-masks', 'toy-others'].map(
        (id) => id.split(' ')[0],
      );
      const training = [
        'train-backend',
        'train-keep',
        'train-rate',
        'train-rule',
        'train-width',
        'train-mask',
        'train-against',
        'train-start',
      ];
      assert.equal(seen, [...toy, ...actions, ...training, 'train-reset', 'A']);
    });
  },
);

inBrowser(
  'at the width of a phone nothing overflows, targets are large enough, and a tap moves the start',
  async () => {
    await visit(
      async (page) => {
        const wide = await page.evaluate(() =>
          [...document.querySelectorAll('body *')]
            .filter((at) => !at.closest('.unseen') && at.getBoundingClientRect().right > innerWidth + 0.5)
            .map((at) => at.id || at.tagName),
        );
        assert.equal(wide, []);
        assert.is(await page.evaluate(() => document.documentElement.scrollWidth), 360);
        for (const target of await page.locator('button, select').all()) {
          const box = await target.boundingBox();
          assert.ok((box?.height ?? 0) >= 36 && (box?.width ?? 0) >= 36, await target.evaluate((at) => at.outerHTML));
        }
        await page.locator('#plain-plot .plane').scrollIntoViewIfNeeded();
        const plane = await page.locator('#plain-plot .plane').boundingBox();
        assert.ok(plane);
        await page.touchscreen.tap(plane.x + plane.width / 2, plane.y + plane.height / 4);
        const after = await handleAt(page);
        assert.ok(Math.abs(after.x - plane.x - plane.width / 2) < 2, JSON.stringify(after));
      },
      { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
    );
  },
);

for (const colorScheme of ['light', 'dark'] as const) {
  inBrowser(
    `in the ${colorScheme} theme, without motion: the descent is there at once, and all text has contrast`,
    async () => {
      await visit(
        async (page) => {
          assert.match(await textOf(page, 'toy-steps'), /step 5000/);
          assert.match(await textOf(page, 'toy-live'), /^After 5000 steps/);
          // WCAG 2.2: relative luminance and contrast ratio.
          const ratios = await page.evaluate(() => {
            const channels = (text: string): number[] => (text.match(/[\d.]+/g) ?? []).map(Number);
            const luminance = (color: string): number => {
              const [r = 0, g = 0, b = 0] = channels(color).map((c) => {
                const share = c / 255;
                return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
              });
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const backgroundOf = (at: Element | null): string => {
              if (at === null) return 'rgb(255, 255, 255)';
              const { backgroundColor } = getComputedStyle(at);
              return channels(backgroundColor)[3] === 0 ? backgroundOf(at.parentElement) : backgroundColor;
            };
            return [
              ...document.querySelectorAll('h1, h2, p, b, dt, dd, label, output, button, select, figcaption span'),
            ]
              .filter((at) => !(at as HTMLButtonElement).disabled && !at.closest('.plane, .unseen'))
              .map((at) => {
                const [one, other] = [luminance(getComputedStyle(at).color), luminance(backgroundOf(at))];
                const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
                return { at: at.id || at.tagName, ratio };
              });
          });
          assert.ok(ratios.length > 30);
          for (const { at, ratio } of ratios) assert.ok(ratio >= 4.5, `${at}: ${ratio.toFixed(2)}`);
        },
        { colorScheme, reducedMotion: 'reduce' },
      );
    },
  );
}

test.run();
