/** What the lines of `--json` are, as a schema that a program can check them by. */
import { Type } from '@sinclair/typebox';
import type { TObject, TProperties } from '@sinclair/typebox';
import { SCALES } from '../experiments/plan.ts';
import { CONFIG } from '../runs/runConfig.ts';
import { FROM_0, byField, form, oneOf, wholeFrom } from '../storage/form.ts';
import { METRICS } from '../trainer/epochMetrics.ts';

const text = Type.String();
const line = (event: string, description: string, facts: TProperties): TObject =>
  Type.Object({ event: Type.Literal(event), ...facts }, { description });

const START = {
  folder: text,
  config: CONFIG,
  /** Why the backend is this one. */
  why: text,
  /** The epoch that comes next. */
  epoch: wholeFrom(1),
};

const TRAIN = [
  line('start', 'what is trained, ahead of the first step', START),
  line('epoch', 'an epoch is done, and its line is in the run’s folder', METRICS.properties),
  line('stopped', 'stopped behind a checkpoint; the last line', { folder: text }),
  line('end', 'all epochs are done; the last line', { folder: text }),
];

const CELL = { number: wholeFrom(0), arm: text, seed: wholeFrom(0) };
const OF = { experiment: text, scale: oneOf(SCALES) };
const STATES = ['waiting', 'queued', 'running', 'finished', 'diverged', 'failed'] as const;
const COUNT = wholeFrom(0);

const EXPERIMENT = [
  line('experiment', 'without a NAME: an experiment that there is', {
    experiment: text,
    title: text,
    paper: text,
    places: text,
    arms: wholeFrom(1),
    seeds: wholeFrom(1),
  }),
  line('plan', 'what this call is to do; the first line', {
    ...OF,
    title: text,
    out: text,
    cells: COUNT,
    epochs: COUNT,
  }),
  line('cell', 'a cell begins, is taken up again, or ends; of a list: how it stands', {
    ...CELL,
    state: oneOf(STATES),
    epochs: COUNT,
    of: wholeFrom(1),
    note: Type.Optional(text),
  }),
  line('start', 'what a cell trains, ahead of its first step', { ...CELL, ...START }),
  line('epoch', 'an epoch of a cell is done', { ...CELL, ...METRICS.properties }),
  line('overview', 'how far all cells are, whoever works on them', {
    ...OF,
    cells: COUNT,
    done: COUNT,
    states: Type.Partial(Type.Object(Object.fromEntries(STATES.map((state) => [state, COUNT])))),
    secondsLeft: Type.Union([FROM_0, Type.Null()]),
  }),
  line('stopped', 'stopped behind a checkpoint; the last line', { ...OF, out: text }),
  line('end', 'every cell has ended; the last line', {
    ...OF,
    out: text,
    cells: COUNT,
    done: COUNT,
    failed: Type.Array(Type.Object({ ...CELL, note: text })),
  }),
  line('submitted', 'with --on slurm: what the cluster was given', {
    script: text,
    jobs: Type.Array(text),
    cells: COUNT,
    tasks: COUNT,
    done: COUNT,
    queued: COUNT,
    elsewhere: COUNT,
    calls: Type.Optional(Type.Array(text)),
  }),
  line('cancelled', 'with --cancel: what was taken back', { jobs: Type.Array(text), waiting: COUNT, running: COUNT }),
];

const FORMS = { train: TRAIN, experiment: EXPERIMENT } as const;

/** A line of `lrd train --json`, or of `lrd experiment NAME --json`. */
export const LINE_FORMS = {
  train: form('a line of lrd train', byField('event', TRAIN)),
  experiment: form('a line of lrd experiment', byField('event', EXPERIMENT)),
} as const;

/** Prints the schema of a command's lines (JSON Schema, 2020-12). */
export function printLineForm(command: keyof typeof FORMS): void {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `A line of lrd ${command} --json`,
    ...byField('event', FORMS[command]),
  };
  console.log(JSON.stringify(schema, null, 2));
}
