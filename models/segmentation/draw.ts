import { basename } from 'node:path';
import { vocColour } from '../data/vocClasses.ts';
import type { Net } from '../nets/net.ts';
import { hexColour, maskUrl, pictureUrl } from '../raster/encode.ts';
import type { Mask } from '../raster/raster.ts';
import type { Drawing } from '../report/predictions.ts';
import type { SegmentedPicture } from './augment.ts';
import type { SegmentationLogits } from './loss.ts';
import { predictWhole } from './predict.ts';

/** The background shows the picture; void, the outlines, is near white. */
const colourOf = (label: number): readonly [number, number, number] | undefined =>
  label === 0 ? undefined : vocColour(label);

/** A picture with its true mask and the network's, for a report. `least`: as of `predictWhole`. */
export async function drawSegmentation(
  net: Pick<Net<SegmentationLogits>, 'forward'>,
  { picture, mask }: SegmentedPicture,
  { path, classes, least }: { readonly path: string; readonly classes: readonly string[]; readonly least: number },
): Promise<Drawing> {
  const said = await predictWhole(net, picture, least);
  const url = (drawn: Mask): Promise<string> => maskUrl(drawn, colourOf);
  const labels = [...new Set([...mask.data, ...said.data])].filter((label) => label > 0 && label < classes.length);
  return {
    name: basename(path),
    width: picture.width,
    height: picture.height,
    picture: await pictureUrl(picture),
    truth: { mask: await url(mask) },
    prediction: { mask: await url(said) },
    legend: labels.map((label) => ({ label: classes[label] as string, colour: hexColour(vocColour(label)) })),
  };
}
