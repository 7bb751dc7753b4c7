/**
 * The demo's pictures for the README, `models/demo/*.png`: a desk in the light theme, a phone in the dark one.
 *
 *     npm run ts -- models/cli/scripts/screenshots.ts
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { openBrowser } from '../../../conformance/harness/testing/chromium.ts';
import { buildPages } from './pages.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const PICTURES = [
  { name: 'demo', colorScheme: 'light', viewport: { width: 1080, height: 800 } },
  { name: 'demo-phone', colorScheme: 'dark', viewport: { width: 390, height: 844 } },
] as const;
/** Epochs after which a picture is taken. */
const EPOCHS = 40;

const url = pathToFileURL(await buildPages(`${root}/build/demo`)).href;
const browser = await openBrowser();
for (const { name, colorScheme, viewport } of PICTURES) {
  const page = await browser.newPage({ colorScheme, viewport });
  page.setDefaultTimeout(300_000);
  await page.goto(url);
  await page.getByLabel('Speed').fill('3.4');
  await page.getByLabel('Hidden layers').selectOption('300');
  await page.getByRole('button', { name: 'Train' }).click();
  await page.waitForFunction(
    (least) => Number.parseFloat(document.querySelector('#train-position')?.textContent ?? '') >= least,
    EPOCHS,
  );
  await page.waitForFunction(() => document.querySelector('#toy-live')?.textContent !== '');
  const shot = await page.screenshot({ fullPage: true });
  await sharp(shot).png({ palette: true, effort: 10 }).toFile(`${root}/models/demo/${name}.png`);
  await page.close();
}
await browser.close();
