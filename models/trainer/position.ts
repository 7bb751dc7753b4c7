import { Type } from '@sinclair/typebox';
import type { Read } from '../storage/form.ts';
import { FROM_0, form, wholeFrom } from '../storage/form.ts';

const SCHEMA = Type.Object({
  /** The epoch under way, from 1; one past the last when the run is over. */
  epoch: wholeFrom(1),
  /** Batches of that epoch that are done. */
  batch: wholeFrom(0),
  /** Sums over those batches, for the epoch's running means. */
  sums: Type.Object({ count: wholeFrom(0), loss: Type.Number(), correct: FROM_0 }),
  /** Seconds of training so far: in this epoch, and in those before. */
  epochSeconds: FROM_0,
  /** Of this epoch's seconds, those in which the step waited for its batch. Absent where they were not kept. */
  inputSeconds: Type.Optional(FROM_0),
  secondsBefore: FROM_0,
  /** Of a mask whose factor is measured: the sum of those of this epoch, and how many. */
  factors: Type.Optional(Type.Object({ sum: FROM_0, count: wholeFrom(0) })),
});

/** Where a run stands: everything that training carries from one step to the next beside tensors. */
export type TrainingPosition = Read<typeof SCHEMA>;

/** What a checkpoint's position is checked against. */
export const TRAINING_POSITION = form('a position of training', SCHEMA);
