import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

const [WIDTH, HEIGHT] = [160, 120] as const;

/** Makes a folder with a VOC of a few pictures that `--data-dir` takes: a rectangle of one of three colours, which are a cat, a dog and a person. */
export async function drawVoc(folder: string, pictures = 3): Promise<void> {
  const root = join(folder, 'VOC2012');
  for (const part of ['JPEGImages', 'SegmentationClass', 'Annotations'])
    mkdirSync(join(root, part), { recursive: true });
  const shapes = [
    { name: 'cat', label: 8, colour: [230, 30, 30], box: [20, 30, 90, 100] },
    { name: 'dog', label: 12, colour: [30, 220, 40], box: [60, 10, 150, 70] },
    { name: 'person', label: 15, colour: [40, 60, 240], box: [10, 20, 60, 110] },
  ] as const;
  for (let index = 0; index < pictures; index++) {
    const { name, label, colour, box } = shapes[index % shapes.length] as (typeof shapes)[number];
    const [xmin, ymin, xmax, ymax] = box;
    const rgb = Buffer.alloc(WIDTH * HEIGHT * 3, 128);
    const indices = Buffer.alloc(WIDTH * HEIGHT);
    for (let y = ymin; y < ymax; y++) {
      for (let x = xmin; x < xmax; x++) {
        rgb.set(colour, (y * WIDTH + x) * 3);
        indices[y * WIDTH + x] = label;
      }
    }
    const raw = { width: WIDTH, height: HEIGHT } as const;
    await sharp(rgb, { raw: { ...raw, channels: 3 } })
      .jpeg({ quality: 95 })
      .toFile(join(root, 'JPEGImages', `${index}.jpg`));
    // A grey PNG of class numbers, as some publish masks.
    const png = await sharp(indices, { raw: { ...raw, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer();
    writeFileSync(join(root, 'SegmentationClass', `${index}.png`), png);
    writeFileSync(
      join(root, 'Annotations', `${index}.xml`),
      `<annotation><size><width>${WIDTH}</width><height>${HEIGHT}</height></size><object><name>${name}</name><bndbox>` +
        `<xmin>${xmin + 1}</xmin><ymin>${ymin + 1}</ymin><xmax>${xmax}</xmax><ymax>${ymax}</ymax></bndbox></object></annotation>`,
    );
  }
}
