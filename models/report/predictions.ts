import type { Section } from './page.ts';
import type { DrawnBox, Overlay, Drawing } from '../tasks/drawing.ts';
import { escapeHtml } from './html.ts';

/** A picture as an address that needs no file. */
const DATA_URL = /^data:image\/(?:png|jpeg);base64,[A-Za-z0-9+/=]+$/;
const COLOUR = /^#[0-9a-f]{6}$/;

function image(address: string, { width, height }: Drawing, style = ''): string {
  // Drawings are read from a run's folder: nothing else than a picture may come from it.
  if (!DATA_URL.test(address))
    throw new RangeError(`a picture must be a data: address of a PNG or JPEG, got ${address.slice(0, 30)}`);
  return `<image href="${address}" width="${width}" height="${height}"${style}/>`;
}

function colourOf(colour: string): string {
  if (!COLOUR.test(colour)) throw new RangeError(`a colour must be #rrggbb, got ${colour}`);
  return colour;
}

function boxShape(box: DrawnBox, { width, height }: Drawing): string {
  const [xmin, ymin, xmax, ymax] = box.corners;
  const [x, y] = [xmin * width, ymin * height];
  const stroke = Math.max(1.5, width / 160);
  const size = Math.max(9, width / 28);
  const dashes = box.difficult === true ? ` stroke-dasharray="${3 * stroke}"` : '';
  const text = `${box.label}${box.score === undefined ? '' : ` ${box.score.toFixed(2)}`}${box.difficult === true ? ' (difficult)' : ''}`;
  const colour = colourOf(box.colour);
  // Above the box, or within it at the picture's upper edge; outlined, so that it can be read on anything.
  // Not over the right edge; a bold letter is about .62 of the size wide.
  const left = Math.max(0, Math.min(x + stroke, width - 0.62 * size * text.length));
  const baseline = y > size * 1.2 ? y - size * 0.25 : y + size;
  return (
    `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${((xmax - xmin) * width).toFixed(1)}" height="${((ymax - ymin) * height).toFixed(1)}" ` +
    `fill="none" stroke="${colour}" stroke-width="${stroke.toFixed(1)}"${dashes}/>` +
    `<text x="${left.toFixed(1)}" y="${baseline.toFixed(1)}" font-size="${size.toFixed(1)}" font-weight="600" fill="#fff" ` +
    `stroke="#000" stroke-width="${(size / 5).toFixed(1)}" paint-order="stroke">${escapeHtml(text)}</text>`
  );
}

function panel(drawing: Drawing, overlay: Overlay, what: string): string {
  const { width, height, picture, name } = drawing;
  const mask = overlay.mask === undefined ? '' : image(overlay.mask, drawing, ' opacity="0.65"');
  const boxes = (overlay.boxes ?? []).map((box) => boxShape(box, drawing)).join('');
  return (
    `<figure class="grow"><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(`${name}: ${what}`)}" ` +
    `class="photo">${image(picture, drawing)}${mask}${boxes}</svg>` +
    `<figcaption class="soft">${escapeHtml(what)}</figcaption></figure>`
  );
}

/** Test pictures with their truth on the left and the prediction on the right. */
export function predictionsSection(heading: string, drawings: readonly Drawing[]): Section {
  const legend = new Map(
    drawings.flatMap((drawing) => drawing.legend ?? []).map(({ label, colour }) => [label, colour]),
  );
  const keys = [...legend]
    .map(
      ([label, colour]) =>
        `<li><svg class="swatch" viewBox="0 0 22 12" aria-hidden="true"><rect width="22" height="12" rx="2" fill="${colourOf(colour)}"/></svg>${escapeHtml(label)}</li>`,
    )
    .join('');
  const rows = drawings.map(
    (drawing) =>
      `<h3>${escapeHtml(drawing.name)}</h3><div class="charts two">` +
      `${panel(drawing, drawing.truth, 'truth')}${panel(drawing, drawing.prediction, 'prediction')}</div>`,
  );
  return { heading, body: `${keys === '' ? '' : `<ul class="legend">${keys}</ul>`}${rows.join('\n')}` };
}
