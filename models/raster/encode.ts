import sharp from 'sharp';
import type { Mask, Picture } from './raster.ts';

const dataUrl = (type: 'png' | 'jpeg', bytes: Buffer): string =>
  `data:image/${type};base64,${bytes.toString('base64')}`;

/** A picture as a JPEG in a `data:` address. */
export async function pictureUrl({ width, height, data }: Picture): Promise<string> {
  const raw = { width, height, channels: 3 } as const;
  const bytes = await sharp(Uint8ClampedArray.from(data), { raw }).jpeg({ quality: 82 }).toBuffer();
  return dataUrl('jpeg', bytes);
}

/** A mask as a PNG in a `data:` address: the class's colour, nothing where that is undefined. */
export async function maskUrl(
  { width, height, data }: Mask,
  colourOf: (label: number) => readonly [number, number, number] | undefined,
): Promise<string> {
  const pixels = new Uint8Array(width * height * 4);
  data.forEach((label, i) => {
    const colour = colourOf(label);
    if (colour !== undefined) pixels.set([...colour, 255], i * 4);
  });
  const bytes = await sharp(pixels, { raw: { width, height, channels: 4 } })
    .png()
    .toBuffer();
  return dataUrl('png', bytes);
}

/** A colour as `#rrggbb`. */
export function hexColour(colour: readonly [number, number, number]): string {
  return `#${colour.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}
