import { basename } from 'node:path';
import { vocColour } from '../../data/vocClasses.ts';
import type { Net } from '../../nets/net.ts';
import { hexColour, pictureUrl } from '../../raster/encode.ts';
import type { DrawnBox, Drawing } from '../drawing.ts';
import type { LabelledPicture } from '../../data/vocExamples.ts';
import type { Box } from '../../raster/boxes.ts';
import type { Predictions } from '../../nets/ssd300.ts';
import { detectIn } from './task.ts';

/** Weaker detections count in average precision, but would hide the picture. */
const SHOWN_SCORE = 0.5;

/** A picture with its true boxes and those that the network sees with a score of .5 or more, for a report. */
export async function drawDetections(
  net: Pick<Net<Predictions>, 'forward'>,
  example: LabelledPicture,
  { path, classes }: { readonly path: string; readonly classes: readonly string[] },
): Promise<Drawing> {
  const drawn = ({ xmin, ymin, xmax, ymax }: Box, label: number): DrawnBox => ({
    corners: [xmin, ymin, xmax, ymax],
    label: classes[label] as string,
    colour: hexColour(vocColour(label)),
  });
  const { picture, truths } = example;
  const found = (await detectIn(net, example)).filter(({ score }) => score >= SHOWN_SCORE);
  return {
    name: basename(path),
    width: picture.width,
    height: picture.height,
    picture: await pictureUrl(picture),
    truth: { boxes: truths.map(({ box, label, difficult }) => ({ ...drawn(box, label), difficult })) },
    prediction: { boxes: found.map(({ box, label, score }) => ({ ...drawn(box, label), score })) },
  };
}
