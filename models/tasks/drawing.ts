import { Type } from '@sinclair/typebox';
import type { Read } from '../storage/form.ts';
import { form, textOf } from '../storage/form.ts';

/** A picture as an address that needs no file. Nothing else may come from a run's folder into a page. */
const picture = textOf('^data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=]+$', 'a data: address of a PNG or JPEG');
const colour = textOf('^#[0-9a-f]{6}$', 'a colour #rrggbb');
const side = Type.Integer({ minimum: 1, maximum: 65_536 });
const share = Type.Number({ minimum: -16, maximum: 16 });

const BOX = Type.Object({
  /** [xmin, ymin, xmax, ymax], in shares of the picture's sides. */
  corners: Type.Tuple([share, share, share, share]),
  /** The class's name. */
  label: Type.String(),
  colour,
  /** Of a detection. */
  score: Type.Optional(Type.Number()),
  /** Of an object that evaluation ignores. */
  difficult: Type.Optional(Type.Boolean()),
});

const OVERLAY = Type.Object({
  boxes: Type.Optional(Type.Array(BOX)),
  /** A `data:` address. */
  mask: Type.Optional(picture),
});

const DRAWING = Type.Object({
  name: Type.String(),
  width: side,
  height: side,
  /** A `data:` address. */
  picture,
  truth: OVERLAY,
  prediction: OVERLAY,
  /** Classes that occur in a mask, with their colours. */
  legend: Type.Optional(Type.Array(Type.Object({ label: Type.String(), colour }))),
});

/** A box over a picture. */
export type DrawnBox = Read<typeof BOX>;

/** What lies over a picture: boxes, or a mask as an image with transparent background. */
export type Overlay = Read<typeof OVERLAY>;

/** A test picture with what is in it and what the network saw. */
export type Drawing = Read<typeof DRAWING>;

/** What `predictions.json` is checked against. */
export const DRAWINGS = form("a run's predictions", Type.Array(DRAWING));
