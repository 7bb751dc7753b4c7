/** VOC's classes by their numbers in masks, with the background. */
export const VOC_CLASSES = [
  'background',
  'aeroplane',
  'bicycle',
  'bird',
  'boat',
  'bottle',
  'bus',
  'car',
  'cat',
  'chair',
  'cow',
  'diningtable',
  'dog',
  'horse',
  'motorbike',
  'person',
  'pottedplant',
  'sheep',
  'sofa',
  'train',
  'tvmonitor',
] as const;

/** The colour of a class in VOC's palette: the bits of its number, three at a time, spread over red, green and blue from the top down. */
export function vocColour(index: number): readonly [number, number, number] {
  const colour: [number, number, number] = [0, 0, 0];
  for (let shift = 7, rest = index; shift >= 0; shift--, rest >>= 3) {
    for (let channel = 0; channel < 3; channel++) {
      colour[channel] = (colour[channel] as number) | (((rest >> channel) & 1) << shift);
    }
  }
  return colour;
}
