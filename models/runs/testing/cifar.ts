import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { drawWords } from 'learning-rate-dropout/stream';

const PIXELS = 32 * 32 * 3;

/** A file of CIFAR-10's binary version: a label and the planes of red, green and blue, drawn. A class has its own brightness. */
function drawFile(records: number, file: number): Buffer {
  const bytes = Buffer.alloc(records * (1 + PIXELS));
  const words = drawWords({ seed: 10n, stream: 'initialisation', step: file }, 0, records * PIXELS);
  for (let record = 0; record < records; record++) {
    const label = (record * 7 + file) % 10;
    const at = record * (1 + PIXELS);
    bytes[at] = label;
    for (let i = 0; i < PIXELS; i++) bytes[at + 1 + i] = label * 15 + ((words[record * PIXELS + i] as number) >>> 25);
  }
  return bytes;
}

/** Makes a folder with a small CIFAR-10 that `--data-dir` takes. */
export function drawCifar10(folder: string, trainImages: number, testImages: number): void {
  const place = join(folder, 'cifar-10-batches-bin');
  mkdirSync(place, { recursive: true });
  for (let k = 1; k <= 5; k++) writeFileSync(join(place, `data_batch_${k}.bin`), drawFile(trainImages / 5, k));
  writeFileSync(join(place, 'test_batch.bin'), drawFile(testImages, 6));
}
