import { Type } from '@sinclair/typebox';
import { FROM_0, oneOf, wholeFrom } from '../storage/form.ts';
import { METRICS, PAPERS } from './experiment.ts';
import type { ExperimentFile } from './experiment.ts';
import { SETTINGS } from './settings.ts';

const METRIC = oneOf(Object.keys(METRICS));
const PUBLISHED = Type.Object({
  metric: METRIC,
  mean: Type.Number(),
  deviation: Type.Optional(Type.Number()),
  trials: Type.Optional(wholeFrom(1)),
  place: Type.String(),
});
const PANEL = Type.Object({ title: Type.String(), metric: METRIC, arms: Type.Array(Type.String()) });
/** What `--scale small` has instead; null takes a setting away. */
const SMALL = Type.Record(Type.String(), Type.Unknown());

/** An experiment of the user's own as plans and results hold it: checked when it was read, every default written out. */
export const DEFINITION = Type.Unsafe<ExperimentFile>(
  Type.Object({
    version: Type.Literal(1),
    name: Type.String({ minLength: 1 }),
    title: Type.String(),
    about: Type.Optional(Type.String()),
    paper: Type.Optional(oneOf(Object.keys(PAPERS))),
    places: Type.Optional(Type.String()),
    seeds: Type.Optional(wholeFrom(1)),
    metric: Type.Optional(METRIC),
    further: Type.Optional(
      Type.Array(Type.Object({ metric: METRIC, published: Type.Record(Type.String(), PUBLISHED) })),
    ),
    arms: Type.Array(
      Type.Object({
        id: Type.String({ minLength: 1 }),
        group: Type.Optional(Type.String()),
        label: Type.Optional(Type.String()),
        settings: SETTINGS,
        baseline: Type.Optional(Type.String()),
        control: Type.Optional(Type.Boolean()),
        like: Type.Optional(Type.String()),
        measured: Type.Optional(Type.Boolean()),
        rate: Type.Optional(Type.Object({ of: Type.String(), times: FROM_0 })),
        published: Type.Optional(PUBLISHED),
        small: Type.Optional(SMALL),
      }),
      { minItems: 1 },
    ),
    selection: Type.Optional(
      Type.Object({
        factors: Type.Array(FROM_0, { minItems: 1 }),
        settings: SMALL,
        small: Type.Optional(SMALL),
        metric: oneOf(['validationLoss', 'validationAccuracy']),
      }),
    ),
    figures: Type.Optional(
      Type.Array(
        Type.Object({ place: Type.String(), about: Type.String(), columns: wholeFrom(1), panels: Type.Array(PANEL) }),
      ),
    ),
    targets: Type.Optional(Type.Array(Type.Object({ metric: METRIC, value: Type.Number(), arms: Type.String() }))),
    claims: Type.Optional(Type.Array(Type.String())),
    notes: Type.Optional(Type.Array(Type.String())),
    small: Type.Optional(SMALL),
  }),
);
