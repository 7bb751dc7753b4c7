import { Type } from '@sinclair/typebox';
import type { Read } from '../../storage/form.ts';
import { form } from '../../storage/form.ts';

const SAMPLE = Type.Object({
  /** What the network was given. */
  prompt: Type.String({ maxLength: 100_000 }),
  /** What it wrote behind it. */
  text: Type.String({ maxLength: 100_000 }),
});

/** A text that a network has written. */
export type TextSample = Read<typeof SAMPLE>;

/** What `samples.json` is checked against. */
export const SAMPLES = form("a run's samples of text", Type.Array(SAMPLE));
