import { colorOf } from '../dom.ts';
import { BOX, evaluate } from './surface.ts';

type Color = readonly [red: number, green: number, blue: number];

/** Colours of the picture, as the style sheet has them for the theme in force. */
export interface Palette {
  readonly low: Color;
  readonly high: Color;
  readonly line: Color;
}

/** Contours lie at these decimal logarithms of f: half decades, as f spans five over the box. */
const SPACING = 0.5;
const LOWEST = -1.5;
const HIGHEST = 4;

export function readPalette(): Palette {
  return { low: colorOf('--low'), high: colorOf('--high'), line: colorOf('--contour') };
}

/**
 * Eq. (9) over the box as a picture: shaded by log f, in bands, with a contour between them. The distance to a contour comes from the
 * gradient, so that lines are as thin where the function is steep as where it is flat.
 *
 * @param scale - device pixels a CSS pixel
 */
export function drawBackdrop(width: number, height: number, scale: number, palette: Palette): ImageData {
  const key = JSON.stringify([width, height, scale, palette]);
  if (last?.key !== key) last = { key, picture: paint(width, height, scale, palette) };
  return last.picture;
}

/** The last picture: both panels show the same. */
let last: { readonly key: string; readonly picture: ImageData } | undefined;

function paint(width: number, height: number, scale: number, palette: Palette): ImageData {
  const picture = new ImageData(width, height);
  const { data } = picture;
  const [x0, x1] = BOX.x;
  const [y0, y1] = BOX.y;
  const unitX = (x1 - x0) / width;
  const unitY = (y1 - y0) / height;
  for (let row = 0; row < height; row++) {
    const y = y1 - (row + 0.5) * unitY;
    for (let column = 0; column < width; column++) {
      const { f, dx, dy } = evaluate(x0 + (column + 0.5) * unitX, y);
      const level = Math.log10(f) / SPACING;
      const band = Math.floor(level);
      const shade = Math.min(1, Math.max(0, (band * SPACING - LOWEST) / (HIGHEST - LOWEST)));
      // Bands keep a slope of their own, so that the way down can be seen between two lines.
      const mixed = Math.min(1, shade + (level - band) * 0.03);
      const slope = Math.hypot(dx * unitX, dy * unitY) / (f * Math.LN10 * SPACING);
      const distance = Math.min(level - band, band + 1 - level) / Math.max(slope, 1e-9);
      const line = Math.max(0, 1 - distance / (0.75 * scale)) * 0.55;
      const at = 4 * (row * width + column);
      for (let c = 0; c < 3; c++) {
        const fill = (palette.low[c] as number) * (1 - mixed) + (palette.high[c] as number) * mixed;
        data[at + c] = fill * (1 - line) + (palette.line[c] as number) * line;
      }
      data[at + 3] = 255;
    }
  }
  return picture;
}
