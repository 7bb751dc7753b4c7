import { loadDigits } from '../../data/digits.ts';
import type { Split } from '../../data/dataSet.ts';

/** Images in [0, 1] with their labels, on the host. */
export interface Samples {
  readonly count: number;
  /** `count * pixels` values. */
  readonly inputs: Float32Array;
  /** `count * classes` values: one row an image, 1 at its class. */
  readonly targets: Float32Array;
  readonly labels: Int32Array;
}

/** The embedded digits: 1,437 images to train on and 360, by other writers, to test on. */
export interface Digits {
  readonly pixels: number;
  readonly classes: number;
  readonly train: Samples;
  readonly test: Samples;
}

export async function readDigits(): Promise<Digits> {
  const set = await loadDigits();
  const pixels = set.shape[0] * set.shape[1] * set.shape[2];
  const classes = set.classes.length;
  const read = async ({ count, labels, images }: Split): Promise<Samples> => {
    const inputs = new Float32Array(count * pixels);
    const targets = new Float32Array(count * classes);
    const image = new Uint8Array(pixels);
    for (let i = 0; i < count; i++) {
      await images.read(i, 'plain', image);
      for (let j = 0; j < pixels; j++) inputs[i * pixels + j] = (image[j] as number) / set.maximum;
      targets[i * classes + (labels[i] as number)] = 1;
    }
    return { count, inputs, targets, labels };
  };
  return { pixels, classes, train: await read(set.train), test: await read(set.test) };
}
