import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../backend.ts';
import { vocColour } from '../data/vocClasses.ts';
import { detection } from '../tasks/detection/task.ts';
import type { LabelledPicture } from '../data/vocExamples.ts';
import { ssd300 } from '../nets/ssd300.ts';
import { createOptimizer } from '../recipes/optimizers.ts';
import { predictionsSection } from '../report/predictions.ts';
import type { Drawing } from '../tasks/drawing.ts';
import { evaluateRun } from './evaluateRun.ts';
import { exampleBatches } from '../tasks/exampleBatches.ts';
import { renderRunReport } from '../report/runReport.ts';
import { silentProgress } from '../trainer/progress.ts';
import type { EpochMetrics } from '../trainer/train.ts';
import { readPredictions, readRun } from './runFolder.ts';
import { resumeTraining, runTraining } from './runTraining.ts';
import { drawVoc } from './testing/voc.ts';
import type { TestMetrics } from '../tasks/task.ts';
import { StoppedError } from '../trainer/train.ts';

const test = suite('models/runs/pictures');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-workload-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const SEGMENTATION = {
  recipe: 'pspnet',
  dataDir: scratch,
  optimizer: 'adam',
  learningRate: 0.01,
  keepProbability: 0.5,
  weightDecay: 0,
  batchSize: 3,
  seed: 5n,
  backend: 'wasm',
  width: 2,
  crop: 121,
  augment: 'none',
} as const;

/** Tests a finished run again: its last line says the same, of these figures. */
async function sameAgain(folder: string, names: readonly (keyof TestMetrics)[]): Promise<void> {
  const last = readRun(folder).metrics.at(-1) as EpochMetrics;
  const { metrics } = await evaluateRun({ folder });
  assert.equal(metrics, Object.fromEntries(names.map((name) => [name, last[name]])));
}

/** The lines without their times. */
function measured(folder: string): unknown[] {
  return readRun(folder).metrics.map((line) => ({ ...line, seconds: 0, inputSeconds: 0 }));
}

test(
  'PSPNet trains, tests, is stopped and goes on to the same bits, and leaves its predictions',
  async () => {
    await drawVoc(scratch);
    const [whole, cut] = [join(scratch, 'whole'), join(scratch, 'cut')];
    const controls = { progress: silentProgress };
    const { metrics, config } = await runTraining({ ...SEGMENTATION, epochs: 4, out: whole }, controls);
    const [first, last] = [metrics[0], metrics.at(-1)] as [(typeof metrics)[0], (typeof metrics)[0]];
    assert.ok(last.trainLoss < 0.9 * first.trainLoss, `${first.trainLoss} to ${last.trainLoss}`);
    for (const value of [last.meanIoU, last.pixelAccuracy])
      assert.ok((value as number) > 0 && (value as number) <= 100);
    assert.is(last.pixelAccuracy, last.testAccuracy);
    assert.equal([config.crop, config.augmentation, config.examples], [121, 'none', { train: 3, test: 3 }]);

    await runTraining({ ...SEGMENTATION, epochs: 2, out: cut }, controls);
    await resumeTraining({ folder: cut, epochs: 4, dataDir: undefined, backend: undefined }, controls);
    assert.equal(measured(cut), measured(whole));
    await sameAgain(whole, ['testLoss', 'testAccuracy', 'meanIoU', 'pixelAccuracy']);

    const html = renderRunReport([readRun(whole)]);
    assert.match(html, /<th scope="col">mean IoU %<\/th><\/tr>/);
    assert.ok(html.includes(`>${(last.meanIoU as number).toFixed(2)}</td></tr>`));
    assert.match(html, /Adam: mean IoU/);

    const drawings = readPredictions(whole);
    assert.is(drawings.length, 3);
    // At crop 121 pictures are shrunk by 121/473.
    const [drawn] = drawings as [Drawing];
    assert.equal([drawn.width, drawn.height], [41, 31]);
    const png = Buffer.from((drawn.truth.mask as string).split(',')[1] as string, 'base64');
    const { data } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    // The background shows the picture; the cat has VOC's colour.
    assert.equal([...data.subarray(0, 4)], [0, 0, 0, 0]);
    const middle = (15 * 41 + 14) * 4;
    assert.equal([...data.subarray(middle, middle + 4)], [...vocColour(8), 255]);
    const { body } = predictionsSection('What it sees', drawings);
    assert.is(body.match(/<svg viewBox/g)?.length, 6);
    assert.match(body, /<li>.*cat<\/li>/);
    assert.not.match(body, /(href|src)="(?!data:image\/)/);
  },
  { timeout: 240 },
);

test(
  'PSPNet is tested by sliding windows where that is asked for, and so when it goes on',
  async () => {
    await drawVoc(scratch);
    const folder = join(scratch, 'sliding');
    const controls = { progress: silentProgress };
    const asked = { ...SEGMENTATION, crop: 25, batchSize: 3, evaluation: 'sliding', out: folder } as const;
    const { config } = await runTraining({ ...asked, epochs: 1 }, controls);
    assert.is(config.evaluation, 'sliding');
    await resumeTraining({ folder, epochs: 2, dataDir: undefined, backend: undefined }, controls);
    const whole = await runTraining(
      { ...asked, epochs: 2, evaluation: 'whole', out: join(scratch, 'at-once') },
      controls,
    );
    await sameAgain(folder, ['testLoss', 'testAccuracy', 'meanIoU', 'pixelAccuracy']);
    const [slid, once] = [readRun(folder), whole].map(({ metrics }) => metrics[1]);
    // The same training, judged in another way.
    assert.is(slid?.trainLoss, once?.trainLoss);
    assert.is.not(slid?.testLoss, once?.testLoss);
    assert.ok(Number.isFinite(slid?.testLoss) && Number.isFinite(slid?.meanIoU));
  },
  { timeout: 240 },
);

test('a picture that is no data address, or a colour that is no colour, is not put into a page', () => {
  const drawing: Drawing = {
    name: '<b>',
    width: 10,
    height: 10,
    picture: 'data:image/png;base64,AAAA',
    truth: { boxes: [{ corners: [0, 0, 1, 1], label: 'a<b', colour: '#00ff00', difficult: true }] },
    prediction: { boxes: [{ corners: [0.1, 0.2, 0.5, 0.6], label: 'cat', colour: '#00ff00', score: 0.875 }] },
  };
  const { body } = predictionsSection('x', [drawing]);
  assert.match(body, /a&lt;b \(difficult\)/);
  assert.match(body, /<rect x="1\.0" y="2\.0" width="4\.0" height="4\.0"/);
  assert.match(body, /cat 0\.88/);
  assert.throws(() => predictionsSection('x', [{ ...drawing, picture: 'https://example.org/a.png' }]), /data: address/);
  assert.throws(
    () =>
      predictionsSection('x', [
        { ...drawing, prediction: { boxes: [{ corners: [0, 0, 1, 1], label: 'a', colour: 'red" onload="' }] } },
      ]),
    /a colour must be #rrggbb/,
  );
});

test(
  'SSD300 learns from a drawn picture, and its loss is tested',
  async () => {
    await useBackend('wasm');
    const data = new Float32Array(300 * 300 * 3);
    for (let y = 60; y < 200; y++) for (let x = 90; x < 230; x++) data[(y * 300 + x) * 3] = 255;
    const example: LabelledPicture = {
      picture: { width: 300, height: 300, data },
      truths: [{ box: { xmin: 0.3, ymin: 0.2, xmax: 230 / 300, ymax: 2 / 3 }, label: 1, difficult: false }],
    };
    const examples = { count: 1, read: () => Promise.resolve(example) };
    const net = ssd300({ classes: 3, width: 4, seed: 4n });
    const optimizer = createOptimizer('adam', { learningRate: 2e-3, keepProbability: 0.5, seed: 4n });
    const task = detection({ net, classes: 3, train: examples, test: examples, optimizer, plain: true });
    const before = await task.evaluate();
    let last = Infinity;
    for (let step = 1; step <= 5; step++) {
      for await (const batch of task.batches({ batchSize: 1, seed: 1n, epoch: step, first: 0 })) {
        const { loss, count } = await task.step(batch, step);
        assert.is(count, 1);
        last = loss;
      }
    }
    const after = await task.evaluate();
    assert.ok(after.testLoss < before.testLoss && last < before.testLoss, `${before.testLoss} to ${after.testLoss}`);
    for (const value of [after.mAP, after.mAPArea]) assert.ok((value as number) >= 0 && (value as number) <= 100);
    net.dispose();
    optimizer.dispose();
  },
  { timeout: 240 },
);

test(
  'SSD300 trains through a run folder, and its average precision is measured again',
  async () => {
    await drawVoc(scratch);
    const folder = join(scratch, 'boxes');
    const { crop: _, ...others } = SEGMENTATION;
    await runTraining({ ...others, recipe: 'ssd300', width: 4, epochs: 1, out: folder }, { progress: silentProgress });
    await sameAgain(folder, ['testLoss', 'testAccuracy', 'mAP', 'mAPArea']);
  },
  { timeout: 240 },
);

test('batches keep their order, begin where they are told, and one is read ahead', async () => {
  const read: number[] = [];
  const batches = exampleBatches([4, 3, 2, 1, 0], { batchSize: 2, first: 1 }, async (index) => {
    read.push(index);
    return index * 10;
  });
  assert.equal((await batches.next()).value, [20, 10]);
  assert.equal(read, [2, 1, 0]);
  assert.equal((await batches.next()).value, [0]);
  assert.is((await batches.next()).done, true);
  const failing = exampleBatches([0, 1], { batchSize: 1 }, async (index) => {
    if (index === 1) throw new Error('broken file');
    return index;
  });
  assert.equal((await failing.next()).value, [0]);
  let message = '';
  await failing.next().catch((error: Error) => ({ message } = error));
  assert.is(message, 'broken file');
});

test('what does not fit together is refused ahead of the run', async () => {
  const refused = async (change: object, pattern: RegExp): Promise<void> => {
    let message = 'no error';
    try {
      await runTraining(
        { ...SEGMENTATION, epochs: 1, out: join(scratch, 'refused'), ...change },
        { progress: silentProgress },
      );
    } catch (error) {
      assert.not.instance(error, StoppedError);
      ({ message } = error as Error);
    }
    assert.match(message, pattern);
  };
  await refused({ data: 'digits' }, /--data must be voc for pspnet, got digits/);
  await refused({ augment: 'crop-flip' }, /--augment must be none or left out for pspnet, got "crop-flip"/);
  await refused({ recipe: 'ssd300' }, /--crop is for pspnet, got ssd300/);
  await refused({ recipe: 'fcnet', data: 'voc', crop: undefined, augment: undefined }, /one label each, got voc/);
  await refused({ recipe: 'ssd300', crop: undefined, evaluation: 'whole' }, /--evaluate is for pspnet, got ssd300/);
  await refused({ recipe: 'fcnet', data: 'digits' }, /--crop is for pspnet, got fcnet/);
  assert.throws(() => readFileSync(join(scratch, 'refused/config.json')), /ENOENT/);
});

test.run();
