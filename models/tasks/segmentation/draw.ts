import { basename } from 'node:path';
import { vocColour } from '../../data/vocClasses.ts';
import { hexColour, maskUrl, pictureUrl } from '../../raster/encode.ts';
import type { Mask, Picture } from '../../raster/raster.ts';
import type { Drawing } from '../drawing.ts';
import type { SegmentedPicture } from '../../data/vocExamples.ts';

/** The background shows the picture; void, the outlines, is near white. */
const colourOf = (label: number): readonly [number, number, number] | undefined =>
  label === 0 ? undefined : vocColour(label);

/** A picture with its true mask and the network's, for a report. */
export async function drawSegmentation(
  { picture, mask }: SegmentedPicture,
  {
    path,
    classes,
    predict,
  }: {
    readonly path: string;
    readonly classes: readonly string[];
    readonly predict: (picture: Picture) => Promise<Mask>;
  },
): Promise<Drawing> {
  const said = await predict(picture);
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
