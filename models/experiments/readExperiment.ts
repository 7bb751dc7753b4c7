import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Ajv } from 'ajv';
import type { ErrorObject } from 'ajv';
import { findNodeAtLocation, parseTree, printParseErrorCode } from 'jsonc-parser';
import type { JSONPath, Node, ParseError } from 'jsonc-parser';
import { InvalidArgumentError } from 'learning-rate-dropout/internal';
import { RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import { JobError, UsageError } from '../errors.ts';
import { findRecipe } from '../recipes/catalogue.ts';
import { createOptimizer } from '../recipes/optimizers.ts';
import { resolveSchedules } from '../trainer/schedules/schedule.ts';
import type { Experiment, ExperimentFile } from './experiment.ts';
import { experimentOf, settingsOfArm } from './experimentFile.ts';
import type { SettingDefaults } from './experimentFile.ts';
import { EXPERIMENT_SCHEMA, NO_CONTROL } from './experimentSchema.ts';
import { toRequest } from './request.ts';
import type { Settings } from './settings.ts';

/** A fault of a file, with where it is in the document. */
interface Fault {
  readonly path: JSONPath;
  /** Of the key itself, not of its value. */
  readonly key?: string;
  readonly message: string;
}

/** As people write it: `arms[2].settings.epochs`. */
const inWords = (path: JSONPath): string =>
  path.map((part, k) => (typeof part === 'number' ? `[${part}]` : `${k === 0 ? '' : '.'}${part}`)).join('');

const quoted = (value: unknown): string => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
};

/** Text of a foreign file for a terminal: what it would obey is shown by its number. */
const visible = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`); // prettier-ignore

/** Line and column, both counted from 1, of a place in a text. */
function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n');
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}

function offsetOf(root: Node, { path, key }: Fault): number {
  // What a file leaves out has no place: that of what should hold it.
  const there = path.map((_, k) => path.slice(0, path.length - k)).find((outer) => findNodeAtLocation(root, outer));
  const node = there === undefined ? root : findNodeAtLocation(root, there);
  const property = key === undefined ? undefined : node?.children?.find(({ children }) => children?.[0]?.value === key);
  return (property ?? node ?? root).offset;
}

function duplicateKey(node: Node, path: JSONPath): Fault | undefined {
  const seen = new Set<unknown>();
  for (const [index, child] of (node.children ?? []).entries()) {
    const [name, value] = node.type === 'object' ? (child.children ?? []) : [undefined, child];
    if (node.type === 'object' && seen.has(name?.value)) return { path, key: String(name?.value), message: `${inWords([...path, String(name?.value)])} must stand there once` }; // prettier-ignore
    seen.add(name?.value);
    const step = node.type === 'object' ? String(name?.value) : index;
    const inner = value === undefined ? undefined : duplicateKey(value, [...path, step]);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

const validate = new Ajv({ allErrors: true, verbose: true, strict: true, allowUnionTypes: true }).compile(
  EXPERIMENT_SCHEMA,
);

function ruleOf({ keyword, params, schema, parentSchema }: ErrorObject): string {
  switch (keyword) {
    case 'type':
      return `must be ${params['type'] === 'integer' ? 'a whole number' : `of type ${String(params['type'])}`}`;
    case 'enum':
      return `must be one of ${(schema as string[]).join(', ')}`;
    case 'const':
      return `must be ${quoted(schema)}`;
    case 'minimum':
      return `must be at least ${String(schema)}`;
    case 'maximum':
      return `must be at most ${String(schema)}`;
    case 'exclusiveMinimum':
      return `must be more than ${String(schema)}`;
    case 'exclusiveMaximum':
      return `must be less than ${String(schema)}`;
    case 'minLength':
    case 'minItems':
      return 'must not be empty';
    case 'maxLength':
      return `must have at most ${String(schema)} characters`;
    case 'pattern':
      if (schema === NO_CONTROL) return 'must not hold control characters';
      return `must match ${String((parentSchema as { pattern?: string } | undefined)?.pattern)}`;
    default:
      return `must keep the rule ${keyword}`;
  }
}

function faultOf(error: ErrorObject, root: unknown): Fault {
  const path: JSONPath = [];
  let value: unknown = root;
  for (const raw of error.instancePath.split('/').slice(1)) {
    const part = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    path.push(Array.isArray(value) ? Number(part) : part);
    value = (value as Record<string, unknown>)[part];
  }
  const where = inWords(path);
  if (error.keyword === 'required') {
    const missing = String(error.params['missingProperty']);
    return { path, message: `${where === '' ? 'the experiment' : where} must have ${missing}` };
  }
  if (error.keyword === 'additionalProperties') {
    const key = String(error.params['additionalProperty']);
    const known = Object.keys((error.parentSchema as { properties?: object }).properties ?? {});
    return { path, key, message: `${inWords([...path, key])} must be one of the keys ${known.join(', ')}` };
  }
  return { path, message: `${where === '' ? 'the experiment' : where} ${ruleOf(error)}, got ${quoted(error.data)}` };
}

const FORM = new Set(['anyOf', 'oneOf']);

function schemaFaults(value: unknown): Fault[] {
  if (validate(value)) return [];
  // Of a value that may be null too: only what is said of the other form.
  const said = (validate.errors ?? []).filter(
    ({ keyword, params }) => !FORM.has(keyword) && !(keyword === 'type' && params['type'] === 'null'),
  );
  return said.map((error) => faultOf(error, value));
}

/** What stands for settings that a file leaves out: the recipe's data, batches and epochs, the rule's learning rate. */
const defaultsOf: SettingDefaults = ({ recipe, optimizer }) => {
  if (typeof recipe !== 'string' || typeof optimizer !== 'string') return {};
  const { data, batchSize, epochs } = findRecipe(recipe).defaults;
  const { default: learningRate } = RULES[optimizer as RuleName].hyper['learningRate'] as { default: number };
  return { data, batchSize, epochs, learningRate, keepProbability: 1 };
};

/** Throws the error that the trainer would throw for these settings. */
function checkSettings(settings: Settings): void {
  const { crop } = settings;
  if (crop !== undefined && crop % 8 !== 1) throw new UsageError(`crop must be a whole number of 8k + 1, got ${crop}`);
  const {
    optimizer,
    learningRate,
    weightDecay,
    keepProbability,
    hyper = {},
    schedules = {},
  } = toRequest({ settings, seed: 1 });
  const made = createOptimizer(optimizer as string, {
    learningRate,
    weightDecay,
    keepProbability,
    others: hyper,
    seed: 1n,
  });
  made.dispose();
  resolveSchedules(schedules, settings.epochs);
}

function armFaults(file: ExperimentFile): Fault[] {
  const ids = file.arms.map(({ id }) => id);
  const groupOf = new Map(file.arms.map(({ id, group = file.title }) => [id, group]));
  return file.arms.flatMap((arm, k): Fault[] => {
    const path: JSONPath = ['arms', k];
    const { id, baseline, group = file.title } = arm;
    if (ids.indexOf(id) !== k)
      return [{ path: [...path, 'id'], message: `arms[${k}].id must be unique, got ${quoted(id)} again` }];
    if (baseline !== undefined && (baseline === id || groupOf.get(baseline) !== group)) {
      const others = ids.filter((other) => other !== id && groupOf.get(other) === group);
      const known = others.length === 0 ? 'none' : others.join(', ');
      return [{ path: [...path, 'baseline'], message: `arms[${k}].baseline must be another arm of the group ${quoted(group)} (${known}), got ${quoted(baseline)}` }]; // prettier-ignore
    }
    const settings = settingsOfArm(file, arm, defaultsOf);
    for (const key of ['recipe', 'optimizer'] as const) {
      if (settings[key] === undefined) return [{ path, message: `arms[${k}] must have ${key} in its settings, or in those of the experiment` }]; // prettier-ignore
    }
    const late = settings.phases?.findIndex(({ from }, at, all) => from <= (all[at - 1]?.from ?? 0)) ?? -1;
    if (late >= 0) return [{ path: [...path, 'settings', 'phases', late], message: `arms[${k}].settings.phases must be in the order of their epochs` }]; // prettier-ignore
    try {
      checkSettings(settings);
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof InvalidArgumentError || error instanceof JobError))
        throw error;
      return [{ path: [...path, 'settings'], message: `arms[${k}] (${id}): ${error.message}` }];
    }
    return [];
  });
}

function figureFaults({ figures = [], arms, targets = [], further = [] }: ExperimentFile): Fault[] {
  const ids = arms.map(({ id }) => id);
  const unknown = (path: JSONPath, id: string): Fault[] =>
    ids.includes(id)
      ? []
      : [{ path, message: `${inWords(path)} must be the id of an arm (${ids.join(', ')}), got ${quoted(id)}` }];
  return [
    ...figures.flatMap(({ panels }, f) =>
      panels.flatMap(({ arms: drawn }, p) =>
        drawn.flatMap((id, a) => unknown(['figures', f, 'panels', p, 'arms', a], id)),
      ),
    ),
    ...targets.flatMap(
      ({ arms: prefix }, t): Fault[] =>
      ids.some((id) => id.startsWith(prefix))
        ? []
        : [{ path: ['targets', t, 'arms'], message: `targets[${t}].arms must begin the id of an arm (${ids.join(', ')}), got ${quoted(prefix)}` }], // prettier-ignore
    ),
    ...further.flatMap(({ published }, m) =>
      Object.keys(published).flatMap(
        (id) =>
        ids.includes(id) ? [] : [{ path: ['further', m, 'published'], key: id, message: `further[${m}].published must name arms (${ids.join(', ')}), got ${quoted(id)}` }], // prettier-ignore
      ),
    ),
  ];
}

/** The file with what it leaves out written out, so that another version of the program reads it the same way. */
function completed(file: ExperimentFile): ExperimentFile {
  const { settings: _, $schema: __, ...rest } = file;
  const arms = file.arms.map((arm) => ({ ...arm, settings: settingsOfArm(file, arm, defaultsOf) }));
  return { ...rest, arms };
}

/**
 * Reads an experiment from text. Throws a `UsageError`, one line with the file's name, line and column, for the first thing that is wrong with
 * it: its JSON, its form, or settings that no run could have.
 */
export function parseExperiment(text: string, name: string): Experiment {
  const refuse = (offset: number, message: string): UsageError =>
    new UsageError(`${name}:${placeOf(text, offset)}: ${visible(message)}`);
  const errors: ParseError[] = [];
  const start = text.startsWith('\uFEFF') ? 1 : 0;
  const root = parseTree(text, errors, { disallowComments: true, allowTrailingComma: false });
  let value: unknown;
  try {
    value = JSON.parse(text.slice(start));
  } catch (error) {
    const [first] = errors;
    if (first === undefined) throw refuse(0, `not JSON (${(error as Error).message.split('\n')[0] ?? ''})`);
    throw refuse(first.offset, `not JSON (${printParseErrorCode(first.error)})`);
  }
  if (root === undefined) throw refuse(0, 'not JSON (it is empty)');
  const check = (faults: readonly Fault[]): void => {
    const places = faults.map((fault) => ({ fault, offset: offsetOf(root, fault) }));
    const [first] = places.sort((a, b) => a.offset - b.offset);
    if (first !== undefined) throw refuse(first.offset, first.fault.message);
  };
  const twice = duplicateKey(root, []);
  check(twice === undefined ? [] : [twice]);
  check(schemaFaults(value));
  const file = value as ExperimentFile;
  check([...armFaults(file), ...figureFaults(file)]);
  return experimentOf(completed(file));
}

/** Reads an experiment's file. Throws as `parseExperiment` does, and a `UsageError` for a file that cannot be read. */
export function readExperiment(path: string): Experiment {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(
      `NAME must be an experiment or a file that can be read, got ${path} (${(error as Error).message})`,
    );
  }
  return parseExperiment(text, basename(path));
}
