import { basename, dirname, resolve } from 'node:path';
import { Ajv } from 'ajv';
import type { ErrorObject } from 'ajv';
import { findNodeAtLocation, parseTree, printParseErrorCode } from 'jsonc-parser';
import type { JSONPath, Node, ParseError } from 'jsonc-parser';
import { InvalidArgumentError } from 'learning-rate-dropout/internal';
import { RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import { UsageError } from '../errors.ts';
import { readInput } from '../storage/inputs.ts';
import { isModulePath } from '../storage/modules.ts';
import { findRecipe, prepareRecipe } from '../recipes/catalogue.ts';
import { isAligned, isDrawn, parseMask } from '../trainer/masks.ts';
import { checkSettings } from './checkSettings.ts';
import type { Arm, Experiment, ExperimentFile, FileSettings } from './experiment.ts';
import { experimentOf, settingsOfArm } from './experimentFile.ts';
import type { SettingDefaults } from './experimentFile.ts';
import { EXPERIMENT_SCHEMA, NO_CONTROL } from './experimentSchema.ts';
import type { Scale } from './plan.ts';
import { settingsOf } from './plan.ts';
import { selectionOf } from './selection.ts';

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

// Of one file: to optimize the code would cost more than it saves.
const validate = new Ajv({
  allErrors: true,
  verbose: true,
  strict: true,
  allowUnionTypes: true,
  code: { optimize: false },
}).compile(EXPERIMENT_SCHEMA);

function ruleOf({ keyword, params, schema, parentSchema }: ErrorObject): string {
  switch (keyword) {
    case 'type':
      return `must be ${params['type'] === 'integer' ? 'a whole number' : `of type ${String(params['type'])}`}`;
    case 'enum':
      return `must be one of ${(schema as string[]).join(', ')}${(parentSchema as { $comment?: string } | undefined)?.$comment ?? ''}`;
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

/** Whether a mask's text asks for one that draws; false for what is none. */
function draws(mask: string): boolean {
  try {
    return isDrawn(parseMask(mask));
  } catch {
    return false;
  }
}

/** What stands for settings that a file leaves out: the recipe's data, batches and epochs, the rule's learning rate, the mask's probability. */
const defaultsOf: SettingDefaults = ({ recipe, optimizer, mask }) => {
  if (typeof recipe !== 'string' || typeof optimizer !== 'string') return {};
  const { data, batchSize, epochs } = findRecipe(recipe).defaults;
  const { default: learningRate } = RULES[optimizer as RuleName].hyper['learningRate'] as { default: number };
  return { data, batchSize, epochs, learningRate, keepProbability: typeof mask === 'string' && draws(mask) ? 0.5 : 1 };
};

/** Where a file gives settings to an arm, from the inside out. */
function layersOf(file: ExperimentFile, k: number, scale: Scale): readonly JSONPath[] {
  const small: JSONPath = file.arms[k]?.small === undefined ? ['small'] : ['arms', k, 'small'];
  return [...(scale === 'small' ? [small] : []), ['arms', k, 'settings'], ['settings']];
}

type Tree = Record<string | number, unknown>;
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null;
const at = (root: unknown, path: JSONPath): unknown =>
  path.reduce((value: unknown, step) => (isTree(value) ? value[step] : undefined), root);

/** The file without what stands at a path. */
function without(file: ExperimentFile, path: JSONPath): ExperimentFile {
  const copy = structuredClone(file);
  const [outer, last] = [at(copy, path.slice(0, -1)), path.at(-1)];
  if (Array.isArray(outer)) outer.splice(last as number, 1);
  else if (isTree(outer)) delete outer[last as string];
  return copy;
}

/** What is wrong with an arm's settings at a scale, in the trainer's words. */
function faultOfArm(experiment: Experiment, k: number, scale: Scale): string | undefined {
  const arm = experiment.arms[k] as Arm;
  const { phases = [], epochs } = arm.settings;
  const beyond = phases.find(({ from }) => from > epochs);
  if (beyond !== undefined) return `phases must begin in one of the ${epochs} epochs, got from ${beyond.from}`;
  try {
    checkSettings(settingsOf(arm, { experiment, scale, overlay: {} }));
    return undefined;
  } catch (error) {
    if (error instanceof UsageError || error instanceof InvalidArgumentError) return error.message;
    throw error;
  }
}

/** The names that a message may have for a setting. */
const OPTIONS: Readonly<Record<string, string>> = { batchSize: '--batch-size', labelNoise: '--regularizer' };
const isAbout = (message: string, key: string): boolean =>
  [key, `regularizers.${key}`, `--${key}`, OPTIONS[key]].some(
    (name) => name !== undefined && new RegExp(`^${name}\\b`).test(message),
  );

/** The one setting without which nothing would be wrong: as deep in the file as it can be told. Undefined where there is none. */
function culprit(file: ExperimentFile, k: number, scale: Scale, message: string): JSONPath | undefined {
  const heals = (path: JSONPath): boolean =>
    faultOfArm(experimentOf(completed(without(file, path))), k, scale) === undefined;
  const below = (path: JSONPath): JSONPath[] => {
    const value = at(file, path);
    return isTree(value) ? Object.keys(value).map((key) => [...path, Array.isArray(value) ? Number(key) : key]) : [];
  };
  const deepest = (path: JSONPath): JSONPath => {
    const inner = below(path).find(heals);
    return inner === undefined ? path : deepest(inner);
  };
  const settings = layersOf(file, k, scale).flatMap(below).filter((path) => path.at(-1) !== 'recipe' && path.at(-1) !== 'optimizer'); // prettier-ignore
  const named = settings.filter((path) => isAbout(message, String(path.at(-1))));
  const found = [...named, ...settings].find(heals);
  return found === undefined ? undefined : deepest(found);
}

/** An arm's settings that no run could have, said of the place that gives them. */
function settingFault(file: ExperimentFile, experiment: Experiment, k: number, scale: Scale): Fault | undefined {
  const message = faultOfArm(experiment, k, scale);
  if (message === undefined) return undefined;
  const path = culprit(file, k, scale, message) ?? ['arms', k, 'settings'];
  const arm = `(arm ${file.arms[k]?.id ?? k}${scale === 'small' ? ', --scale small' : ''})`;
  // What the command line calls by its option has another name here.
  const rule =
    /^(?:--[\w-]+|[\w.]+) (must|is|and) /.test(message) && isAbout(message, String(path.at(-1)))
      ? message.replace(/^\S+/, '')
      : `: ${message}`;
  return { path, message: `${inWords(path)}${rule} ${arm}` };
}

/** Whether an arm's mask has a factor that its runs measure. */
function measures(file: ExperimentFile, id: string | undefined): boolean {
  const arm = file.arms.find((one) => one.id === id);
  const mask = arm === undefined ? undefined : settingsOfArm(file, arm, defaultsOf).mask;
  try {
    return typeof mask === 'string' && isAligned(parseMask(mask));
  } catch {
    // A mask that cannot be read is said of the arm that has it.
    return true;
  }
}

function armFaults(file: ExperimentFile): Fault[] {
  const ids = file.arms.map(({ id }) => id);
  const groupOf = new Map(file.arms.map(({ id, group = file.title }) => [id, group]));
  const experiment = experimentOf(completed(file));
  return file.arms.flatMap((arm, k): Fault[] => {
    const path: JSONPath = ['arms', k];
    const { id, baseline, like, measured, group = file.title } = arm;
    if (ids.indexOf(id) !== k)
      return [{ path: [...path, 'id'], message: `arms[${k}].id must be unique, got ${quoted(id)} again` }];
    if (baseline !== undefined && (baseline === id || groupOf.get(baseline) !== group)) {
      const others = ids.filter((other) => other !== id && groupOf.get(other) === group);
      const known = others.length === 0 ? 'none' : others.join(', ');
      return [{ path: [...path, 'baseline'], message: `arms[${k}].baseline must be another arm of the group ${quoted(group)} (${known}), got ${quoted(baseline)}` }]; // prettier-ignore
    }
    if (like !== undefined && (like === id || groupOf.get(like) !== group)) {
      return [{ path: [...path, 'like'], message: `arms[${k}].like must be another arm of the group ${quoted(group)}, got ${quoted(like)}` }]; // prettier-ignore
    }
    if (measured === true && !measures(file, like)) {
      return [{ path: [...path, 'measured'], message: `arms[${k}].measured must go with a like whose mask has the factor alignment, got ${quoted(like ?? 'none')}` }]; // prettier-ignore
    }
    const settings = settingsOfArm(file, arm, defaultsOf);
    for (const key of ['recipe', 'optimizer'] as const) {
      if (settings[key] === undefined) return [{ path, message: `arms[${k}] must have ${key} in its settings, or in those of the experiment` }]; // prettier-ignore
    }
    const fault = settingFault(file, experiment, k, 'full') ?? settingFault(file, experiment, k, 'small');
    return fault === undefined ? [] : [fault];
  });
}

/** What the runs that choose learning rates could not have, and rates that nothing chooses. */
function rateFaults(file: ExperimentFile): Fault[] {
  const { arms, selection } = file;
  const chosen = arms.flatMap(({ id, rate }) => (rate?.of === id ? [id] : []));
  const faults = arms.flatMap(({ rate }, k): Fault[] => {
    if (rate === undefined) return [];
    const path: JSONPath = ['arms', k, 'rate'];
    if (selection === undefined) return [{ path, message: `arms[${k}].rate must go with a selection` }];
    if (chosen.includes(rate.of)) return [];
    const known = chosen.length === 0 ? 'none' : chosen.join(', ');
    return [{ path: [...path, 'of'], message: `arms[${k}].rate.of must be the id of an arm that chooses its own rate (${known}), got ${quoted(rate.of)}` }]; // prettier-ignore
  });
  if (selection === undefined || faults.length > 0) return faults;
  const { factors, settings } = selection;
  const late = factors.findIndex((factor, k) => k > 0 && factor <= (factors[k - 1] as number));
  if (late > 0) {
    return [
      { path: ['selection', 'factors', late], message: `selection.factors must ascend, got ${factors[late]} late` },
    ];
  }
  if (typeof settings.validation !== 'number') {
    return [{ path: ['selection', 'settings'], message: 'selection.settings must have validation, the number of examples that are held out' }]; // prettier-ignore
  }
  const experiment = selectionOf(experimentOf(completed(file)));
  if (experiment === undefined) return [];
  for (const scale of ['full', 'small'] as const) {
    for (const [k, { id }] of experiment.arms.entries()) {
      const message = faultOfArm(experiment, k, scale);
      const path: JSONPath = ['selection', scale === 'small' && selection.small !== undefined ? 'small' : 'settings'];
      if (message !== undefined) return [{ path, message: `${inWords(path)}: ${message} (${id}, scale ${scale})` }];
    }
  }
  return [];
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

/** Paths of modules as they are from anywhere: a file names them from its own folder. */
function withPaths(file: ExperimentFile, base: string): ExperimentFile {
  const absolute = (name: string | null | undefined): string | undefined =>
    typeof name === 'string' && isModulePath(name) ? resolve(base, name) : undefined;
  const inPlace = <S extends FileSettings>(settings: S): S => {
    const [recipe, data] = [absolute(settings.recipe), absolute(settings.data)];
    return { ...settings, ...(recipe === undefined ? {} : { recipe }), ...(data === undefined ? {} : { data }) };
  };
  const within = <T extends { readonly settings?: FileSettings; readonly small?: FileSettings }>(part: T): T => ({
    ...part,
    ...(part.settings === undefined ? {} : { settings: inPlace(part.settings) }),
    ...(part.small === undefined ? {} : { small: inPlace(part.small) }),
  });
  const { selection } = file;
  return {
    ...within(file),
    arms: file.arms.map(within),
    ...(selection === undefined ? {} : { selection: within(selection) }),
  };
}

/** The file with what it leaves out written out, so that another version of the program reads it the same way. */
function completed(file: ExperimentFile): ExperimentFile {
  const { settings: _, $schema: __, ...rest } = file;
  const arms = file.arms.map((arm) => ({ ...arm, settings: settingsOfArm(file, arm, defaultsOf) }));
  return { ...rest, arms };
}

/**
 * Reads an experiment from text; recipes of the user's own have been prepared. `base` is the folder that paths in it are from. Throws a `UsageError`, one line with the file's name, line and column, for the first thing that is wrong with
 * it: its JSON, its form, or settings that no run could have.
 */
export function parseExperiment(text: string, name: string, base = '.'): Experiment {
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
  const file = withPaths(value as ExperimentFile, base);
  check([...armFaults(file), ...figureFaults(file)]);
  check(rateFaults(file));
  return experimentOf(completed(file));
}

/** In bytes: a thousand arms have a hundredth of it. */
const LARGEST = 2 ** 25;

/** Every recipe's path that a text has in settings, wherever they are. What is wrong with the text is found later. */
function recipesIn(text: string): string[] {
  const paths = new Set<string>();
  try {
    JSON.parse(text, (key, value: unknown) => {
      if (key === 'recipe' && typeof value === 'string' && isModulePath(value)) paths.add(value);
      return value;
    });
  } catch {
    return [];
  }
  return [...paths];
}

/**
 * Reads an experiment's file, and makes the recipes known that it names by path. Throws as `parseExperiment` does, a `UsageError` for a file that
 * cannot be read, and a `JobError` for a recipe's module that cannot be used.
 */
export async function readExperiment(path: string): Promise<Experiment> {
  let text: string;
  try {
    text = readInput(path, LARGEST).toString('utf8');
  } catch (error) {
    throw new UsageError(
      `NAME must be an experiment or a file that can be read, got ${path} (${(error as Error).message})`,
    );
  }
  const base = dirname(path);
  for (const recipe of recipesIn(text)) await prepareRecipe(resolve(base, recipe));
  return parseExperiment(text, basename(path), base);
}
