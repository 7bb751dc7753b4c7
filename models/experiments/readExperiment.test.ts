import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { getLocation } from 'jsonc-parser';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { UsageError } from '../errors.ts';
import { EXPERIMENTS } from './catalogue.ts';
import { fileOf } from './experimentFile.ts';
import { EXPERIMENT_SCHEMA } from './experimentSchema.ts';
import { runTraining } from '../runs/runTraining.ts';
import { DivergedError } from '../trainer/failures.ts';
import { settingsOf } from './plan.ts';
import { parseExperiment } from './readExperiment.ts';
import { toRequest } from './request.ts';
import type { Settings } from './settings.ts';

const test = suite('models/experiments/readExperiment');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-own-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const MINE = `{
  "$schema": "./experiment.schema.json",
  "version": 1,
  "name": "mine",
  "title": "Half or a quarter <b>",
  "about": "Whether p = .25 is enough.",
  "seeds": 2,
  "settings": { "recipe": "fcnet", "data": "digits", "optimizer": "adam", "epochs": 2, "width": 8, "limit": 128 },
  "arms": [
    { "id": "p=1", "label": "without" },
    { "id": "p=0.5", "settings": { "keepProbability": 0.5 }, "baseline": "p=1" },
    { "id": "p=0.25", "settings": { "keepProbability": 0.25, "limit": null }, "baseline": "p=1" },
    { "id": "lr*0.5", "settings": { "learningRate": 5e-4 }, "baseline": "p=1", "control": true }
  ],
  "small": { "epochs": 1 }
}
`;

test('what a file leaves out is the recipe’s, the rule’s or the file’s own; null takes away', () => {
  const { name, title, seeds, metric, arms, small } = parseExperiment(MINE, 'mine.json');
  assert.equal([name, title, seeds, metric], ['mine', 'Half or a quarter <b>', 2, 'testAccuracy']);
  assert.equal(arms[2]?.settings, { recipe: 'fcnet', data: 'digits', optimizer: 'adam', epochs: 2, width: 8, keepProbability: 0.25, learningRate: 0.001, batchSize: 128 }); // prettier-ignore
  assert.equal([arms[3]?.settings.keepProbability, arms[3]?.settings.learningRate, arms[3]?.control], [1, 5e-4, true]);
  assert.equal([arms[0]?.group, arms[0]?.label, arms[1]?.label], [title, 'without', 'p=0.5']);
  assert.equal(small(arms[0]?.settings as never), { epochs: 1 });
});

test('every experiment of the papers, as a file, is the same experiment', () => {
  const isValid = new Ajv({ strict: true, allowUnionTypes: true }).compile(EXPERIMENT_SCHEMA);
  for (const experiment of EXPERIMENTS) {
    const file = fileOf(experiment);
    assert.ok(isValid(JSON.parse(JSON.stringify(file))), experiment.name);
    const back = parseExperiment(JSON.stringify(file, null, 2), `${experiment.name}.json`);
    assert.equal(back.arms, experiment.arms);
    assert.equal(back.selection, experiment.selection);
    assert.equal([back.seeds, back.metric, back.figures, back.targets], [experiment.seeds, experiment.metric, experiment.figures, experiment.targets]); // prettier-ignore
    for (const [k, arm] of experiment.arms.entries()) {
      const small = { scale: 'small', overlay: {} } as const;
      assert.equal(settingsOf(back.arms[k] as typeof arm, { experiment: back, ...small }), settingsOf(arm, { experiment, ...small })); // prettier-ignore
    }
    // What is written out reads the same again.
    assert.equal(parseExperiment(JSON.stringify(fileOf(back)), 'again.json').arms, back.arms);
  }
});

const refused = (text: string, pattern: RegExp): void => {
  let thrown: unknown;
  try {
    parseExperiment(text, 'mine.json');
  } catch (error) {
    thrown = error;
  }
  assert.instance(thrown, UsageError, text.slice(0, 200));
  const { message } = thrown as UsageError;
  assert.match(message, pattern);
  assert.not.match(message, /\n/);
};

test('what is wrong is said in one line with line and column', () => {
  const but = (from: string, to: string): string => {
    assert.ok(MINE.includes(from), from);
    return MINE.replace(from, to);
  };
  refused('', /^mine\.json:1:1: not JSON/);
  refused(but('"seeds": 2,', '"seeds": 2'), /^mine\.json:8:3: not JSON \(CommaExpected\)/);
  refused(but('"seeds": 2', '"seeds": "2"'), /^mine\.json:7:12: seeds must be a whole number, got "2"/);
  refused(but('"seeds": 2', '"seeds": 0'), /^mine\.json:7:12: seeds must be at least 1, got 0/);
  refused(but('"seeds"', '"sedes"'), /^mine\.json:7:3: sedes must be one of the keys .*seeds/);
  refused(but('"keepProbability": 0.5', '"keepProbability": 1.5'), /^mine\.json:11:55: arms\[1\]\.settings\.keepProbability must be at most 1, got 1\.5/); // prettier-ignore
  refused(but('"recipe": "fcnet"', '"recipe": "lenet"'), /^mine\.json:8:27: settings\.recipe must be one of fcnet, .*, got "lenet"/); // prettier-ignore
  refused(but('"version": 1', '"version": 2'), /^mine\.json:3:14: version must be 1, got 2/);
  refused(but('"name": "mine"', '"name": "../mine"'), /^mine\.json:4:11: name must match/);
  refused(
    but('"id": "p=0.25"', '"id": "p=0.5"'),
    /^mine\.json:12:13: arms\[2\]\.id must be unique, got "p=0\.5" again/,
  );
  refused(but('"baseline": "p=1" },\n    { "id": "p=0.25"', '"baseline": "p=2" },\n    { "id": "p=0.25"'), /^mine\.json:11:74: arms\[1\]\.baseline must be another arm of the group .*got "p=2"/); // prettier-ignore
  refused(but('"optimizer": "adam", ', ''), /^mine\.json:10:5: arms\[0\] must have optimizer in its settings/);
  refused(
    but('"width": 8', '"window": 8'),
    /^mine\.json:8:98: settings\.window: adam's options must be among .*, got "window" \(arm p=1\)$/,
  );
  refused(but('"width": 8', '"phases": [{ "from": 2, "learningRate": 1 }, { "from": 1, "learningRate": 2 }]'), /^mine\.json:8:\d+: settings\.phases.* must be in the order of their epochs/); // prettier-ignore
  refused(but('"name": "mine"', '"name": "mine", "name": "yours"'), /^mine\.json:4:3: name must stand there once/);
  refused(but('Half', 'Half\\u001b[31m'), /^mine\.json:5:12: title must not hold control characters/);
  refused(
    but('"seeds"', '"se\\u001b]0;x\\u0007eds"'),
    /^mine\.json:7:3: se\\u001b\]0;x\\u0007eds must be one of the keys/,
  );
  refused('[]', /^mine\.json:1:1: the experiment must be of type object, got \[\]/);
  refused(but('"small": { "epochs": 1 }', '"figures": [{ "place": "Fig.", "about": "a", "columns": 1, "panels": [{ "title": "t", "metric": "testAccuracy", "arms": ["p=9"] }] }]'), /figures\[0\]\.panels\[0\]\.arms\[0\] must be the id of an arm/); // prettier-ignore
});

test('a file may choose learning rates; what its runs could not have is said', () => {
  const CHOOSES = MINE.replace('"baseline": "p=1" },\n    { "id": "p=0.25"', '"baseline": "p=1", "rate": { "of": "p=0.5", "times": 1 } },\n    { "id": "p=0.25"') // prettier-ignore
    .replace('"small":', '"selection": { "factors": [0.5, 1, 2], "metric": "validationLoss", "settings": { "epochs": 1, "validation": 28 } },\n  "small":'); // prettier-ignore
  const { selection, arms } = parseExperiment(CHOOSES, 'mine.json');
  assert.equal([selection?.factors, arms[1]?.rate], [[0.5, 1, 2], { of: 'p=0.5', times: 1 }]);
  const but = (from: string, to: string): string => {
    assert.ok(CHOOSES.includes(from), from);
    return CHOOSES.replace(from, to);
  };
  refused(but('"of": "p=0.5"', '"of": "p=1"'), /arms\[1\]\.rate\.of must be the id of an arm that chooses its own rate \(none\), got "p=1"/); // prettier-ignore
  refused(but('[0.5, 1, 2]', '[0.5, 2, 1]'), /^mine\.json:15:\d+: selection\.factors must ascend, got 1 late/);
  refused(but('[0.5, 1, 2]', '[]'), /selection\.factors must not be empty/);
  refused(but(', "validation": 28', ''), /selection\.settings must have validation/);
  refused(but('"validation": 28', '"validation": 128'), /selection\.settings: --validation must be less than --limit 128, got 128 \(p=0\.5\/lr=0\.0005, scale full\)/); // prettier-ignore
  refused(but('"validationLoss"', '"testLoss"'), /selection\.metric must be one of validationLoss, validationAccuracy/);
  refused(but('"times": 1', '"times": 0'), /arms\[1\]\.rate\.times must be more than/);
  refused(
    MINE.replace('"id": "p=1"', '"id": "p=1", "rate": { "of": "p=1", "times": 1 }'),
    /arms\[0\]\.rate must go with a selection/,
  );
});

test('a control may take what its mask’s runs measure; one that none measures is refused', () => {
  const mask = '"keepProbability": 0.5, "mask": "magma"';
  const MEASURED = MINE.replace('"keepProbability": 0.5', mask).replace('"id": "lr*0.5",', '"id": "lr*0.5", "like": "p=0.5", "measured": true,'); // prettier-ignore
  assert.equal(
    parseExperiment(MEASURED, 'mine.json').arms.map(({ like, measured }) => [like, measured]).at(-1), // prettier-ignore
    ['p=0.5', true],
  );
  refused(MEASURED.replace(mask, '"keepProbability": 0.5, "mask": "skip-update"'), /arms\[3\].measured must go with a like whose mask has the factor alignment, got "p=0\.5"/); // prettier-ignore
  refused(MEASURED.replace('"like": "p=0.5", ', ''), /arms\[3\].measured must go with a like .*, got "none"/);
  refused(
    MEASURED.replace('"like": "p=0.5"', '"like": "p=9"'),
    /arms\[3\].like must be another arm of the group .*, got "p=9"/,
  );
});

/** Files of every family of recipes, with something at each place that settings can stand. */
const FAMILIES: readonly Readonly<Record<string, unknown>>[] = [
  { recipe: 'fcnet', data: 'digits', optimizer: 'sgdm', epochs: 4 },
  { recipe: 'resnet34', data: 'cifar10', optimizer: 'adam', epochs: 4 },
  { recipe: 'resnext50', data: 'tiny-imagenet', optimizer: 'rmsprop', epochs: 4 },
  { recipe: 'densenet121', optimizer: 'sgdm-avg', epochs: 4 },
  { recipe: 'pspnet', data: 'voc', optimizer: 'amsgrad', epochs: 4 },
  { recipe: 'ssd300', optimizer: 'radam', epochs: 4 },
  { recipe: 'gpt', data: 'genesis', optimizer: 'adamw', epochs: 4 },
];
type Place = 'settings' | 'arm' | 'small' | 'arm.small';
const PLACES: readonly Place[] = ['settings', 'arm', 'small', 'arm.small'];

/** A file of two arms whose second is given `settings` at a place. */
function fileWith(family: object, place: Place, settings: object): string {
  const file = {
    version: 1,
    name: 'mine',
    title: 'Mine',
    settings: place === 'settings' ? { ...family, ...settings } : family,
    arms: [
      { id: 'a' },
      { id: 'b', settings: place === 'arm' ? settings : {}, ...(place === 'arm.small' ? { small: settings } : {}) },
    ],
    small: place === 'small' ? settings : {},
  };
  return JSON.stringify(file, null, 1);
}

/** Values of each setting that no run could have, whatever the recipe: of each key, so that none is forgotten. */
const notWhole = [0, -1, 1.5, 2 ** 31, '1', true];
const notShare = [0, -0.5, 1.5, 2 ** -17, '0.5'];
const notRate = [-1, 1e39, 'fast', [0.1]];
const WRONG: { readonly [K in keyof Required<Settings>]: readonly unknown[] } = {
  recipe: ['', 'lenet', 'FCNET', 'fcnet ', 7, ['fcnet']],
  data: ['', 'minst', 'CIFAR10', 3],
  optimizer: ['', 'Adam', 'sgd', 'lion', 1],
  keepProbability: notShare,
  mask: ['', 'magme', 'Magma', 'magma:', 'magma:temprature=2', 'magma:temperature=-1', 'magma:temperature=', 'magma:temperature=hot', 'magma:temperature=2,temperature=2', 'skip-update:temperature=1', 'skip-update:granularity=row', 'lrd:factor=half', 'cautious:granularity=tensors', 3], // prettier-ignore
  learningRate: [0, 1e-60, ...notRate],
  batchSize: notWhole,
  epochs: notWhole,
  momentum: [-0.1, 1, 'heavy'],
  weightDecay: notRate,
  window: notWhole,
  phases: [{}, [3], [{}], [{ from: 0 }], [{ from: 1.5 }], [{ from: 2, learningrate: 1 }], [{ from: 2, learningRate: -1 }], [{ from: 2, learningRate: 1e39 }], [{ from: 2, weightDecay: -1 }], [{ from: 2, sparsity: 1 }], [{ from: 3 }, { from: 2 }], [{ from: 2 }, { from: 2 }]], // prettier-ignore
  regularizers: [[], { retian: 0.5 }, ...notShare.flatMap((p) => [{ retain: p }, { gradientKeepProbability: p }]), { labelNoise: 1.1 }, { labelNoise: -0.1 }, { centralize: 1 }, ...notRate.map((eta) => ({ gradientNoise: eta })), { frozen: 'half' }, { sparseReading: 'gradients' }, { sparseReading: 'updates' }], // prettier-ignore
  width: notWhole,
  crop: [24, 26, 33.5, 4105, '121'],
  polynomial: [0, ...notRate],
  limit: notWhole,
  validation: notWhole,
  warmup: notWhole,
  maskExclude: ['head/*', [3], ['']],
  layers: [...notWhole, 1025],
  context: notWhole,
  epochSteps: notWhole,
};
/** Values that are wrong of a family alone. */
const WRONG_OF: Readonly<Record<string, readonly object[]>> = {
  gpt: [{ data: 'mnist' }, { width: 130 }, { crop: 121 }, { window: 5 }, { warmup: 5, polynomial: 0.9 }, { regularizers: { labelNoise: 0.1 } }], // prettier-ignore
  fcnet: [{ data: 'voc' }, { crop: 121 }, { window: 5 }, { optimizer: 'sgdm-avg', mask: 'magma' }, { polynomial: 0.9, phases: [{ from: 2, learningRate: 1 }] }, { keepProbability: 0.5, mask: 'cautious' }, { regularizers: { frozen: 'elements' }, phases: [{ from: 2, sparsity: 0.5 }] }], // prettier-ignore
  resnet34: [{ data: 'mnist' }, { data: 'voc' }, { momentum: 0.9 }, { crop: 121 }],
  resnext50: [{ width: 24 }, { data: 'digits' }, { window: 5 }],
  densenet121: [{ momentum: 0.5 }, { data: 'fashion-mnist' }],
  pspnet: [{ width: 3 }, { data: 'cifar10' }, { regularizers: { labelNoise: 0.1 } }],
  ssd300: [{ width: 6 }, { data: 'imagenet' }, { crop: 121 }, { regularizers: { labelNoise: 0.1 } }],
};

test('each setting that no run could have is found when the file is read, and its place is that of the setting', () => {
  for (const [f, family] of FAMILIES.entries()) {
    for (const place of PLACES) assert.ok(parseExperiment(fileWith(family, place, { limit: 64 }), 'mine.json'));
    const own = WRONG_OF[String(family['recipe'])] ?? [];
    const everywhere = Object.entries(WRONG).flatMap(([key, values]) => values.map((value) => ({ [key]: value })));
    for (const [k, settings] of [...own, ...everywhere].entries()) {
      // What is wrong everywhere is tried at two places in each family, at all of them over the families.
      for (const place of k < own.length ? PLACES : PLACES.filter((_, p) => (p + f + k) % 2 === 0)) {
        const text = fileWith(family, place, settings);
        const what = `${place} ${JSON.stringify({ ...family, ...settings })}`;
        let message = 'it was read';
        try {
          parseExperiment(text, 'mine.json');
        } catch (error) {
          assert.instance(error, UsageError, `${what}: ${String((error as Error).stack)}`);
          ({ message } = error as Error);
        }
        const found = /^mine\.json:(\d+):(\d+): [^\n]+$/.exec(message);
        assert.ok(found, `${what}: ${message}`);
        const [, line, column] = (found ?? []).map(Number) as [number, number, number];
        const before = text.split('\n').slice(0, line - 1).join('\n').length + column; // prettier-ignore
        const path = getLocation(text, before + 1).path.map(String);
        assert.ok(Object.keys(settings).some((key) => path.includes(key)), `${what}: ${message} points at ${path.join('.')}`); // prettier-ignore
      }
    }
  }
});

test(
  'settings that are read are settings that train',
  async () => {
    const setting = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined, freq: 2 }); // prettier-ignore
    const share = fc.constantFrom(2 ** -16, 0.3, 1);
    const rate = fc.constantFrom(0, 1e-44, 1e-3, 0.5, 1e30);
    const maskText = fc.constantFrom('lrd', 'lrd:factor=inverse', 'skip-update', 'magma', 'magma:temperature=2,first-alignment=one', 'cautious', 'cautious:mean-floor=0.5', 'skip-update:granularity=element', 'magma:moment=own', 'lrd:granularity=tensor'); // prettier-ignore
    const given = fc.record({
      optimizer: fc.constantFrom('sgdm', 'sgdm-avg', 'rmsprop', 'adam', 'amsgrad', 'radam', 'adamw'),
      epochs: fc.constantFrom(1, 2),
      keepProbability: setting(share),
      mask: setting(maskText),
      learningRate: setting(rate),
      batchSize: setting(fc.constantFrom(1, 3, 64)),
      momentum: setting(fc.constantFrom(0, 0.5)),
      weightDecay: setting(rate),
      window: setting(fc.constantFrom(1, 3)),
      phases: setting(fc.array(fc.record({ from: fc.constantFrom(1, 2), learningRate: setting(rate), weightDecay: setting(rate), sparsity: setting(fc.constantFrom(0, 0.5, 1 - 2 ** -16)) }), { maxLength: 2 })), // prettier-ignore
      regularizers: setting(fc.record({ retain: setting(share), labelNoise: setting(fc.constantFrom(0, 1)), centralize: setting(fc.boolean()), gradientNoise: setting(rate), gradientKeepProbability: setting(share), frozen: setting(fc.constantFrom('elements', 'tensors')), sparseReading: setting(fc.constant('updates')) })), // prettier-ignore
      polynomial: setting(fc.constantFrom(0.5, 2, 1e30)),
    });
    let trained = 0;
    await fc.assert(
      fc.asyncProperty(given, async (settings) => {
        const text = fileWith({ recipe: 'fcnet', data: 'digits', width: 3, limit: 8 }, 'arm', settings).replace('{\n   "id": "a"\n  },', ''); // prettier-ignore
        let read: Settings | undefined;
        try {
          read = parseExperiment(text, 'mine.json').arms[0]?.settings;
        } catch (error) {
          assert.instance(error, UsageError);
          return;
        }
        trained += 1;
        const out = join(scratch, `trained-${trained}`);
        try {
          await runTraining({ ...toRequest({ settings: read as Settings, seed: 1 }), backend: 'cpu', out });
        } catch (error) {
          // Rates of 10^30 end so.
          assert.instance(error, DivergedError, `${JSON.stringify(read)}: ${String((error as Error).stack)}`);
        }
      }),
      { numRuns: 60 },
    );
    assert.ok(trained > 2, `${trained} were read`);
  },
  { timeout: 120 },
);

test('whatever is done to a file, it is read or refused in one line, never anything else', () => {
  const value = fc.jsonValue({ maxDepth: 2 });
  const paths = [['seeds'], ['arms', 0, 'settings'], ['arms', 1], ['arms', 1, 'id'], ['settings', 'width'], ['settings', 'phases'], ['figures'], ['settings', 'regularizers'], ['arms'], ['further'], ['targets'], ['small']]; // prettier-ignore
  fc.assert(
    fc.property(fc.constantFrom(...paths), value, (path, put) => {
      const file = JSON.parse(MINE) as Record<string | number, unknown>;
      let at = file;
      for (const step of path.slice(0, -1)) at = at[step] as typeof file;
      at[path.at(-1) as string] = put;
      try {
        parseExperiment(JSON.stringify(file, null, 1), 'mine.json');
      } catch (error) {
        assert.instance(error, UsageError, String((error as Error).stack));
        assert.match((error as Error).message, /^mine\.json:\d+:\d+: [^\n]+$/);
      }
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.nat(MINE.length - 1), fc.string({ maxLength: 3 }), (at, put) => {
      try {
        parseExperiment(MINE.slice(0, at) + put + MINE.slice(at + 1), 'mine.json');
      } catch (error) {
        assert.instance(error, UsageError, String((error as Error).stack));
        assert.not.match((error as Error).message, /\n/);
      }
    }),
    { numRuns: 300 },
  );
});

const program = fileURLToPath(new URL('../cli/lrd.ts', import.meta.url));
const lrd = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, [...FROM_SOURCE, program, ...args], { encoding: 'utf8' });

test(
  'an experiment of one’s own gets what the papers’ tables get: cells, tasks, resume, a report with intervals',
  () => {
    const [path, out] = [join(scratch, 'mine.json'), join(scratch, 'out')];
    writeFileSync(path, MINE);
    const run = lrd('experiment', path, '--backend', 'cpu', '--out', out, '--cells-per-task', '3', '--cell', '0');
    assert.is(run.status, 0, run.stderr);
    assert.match(run.stdout, /3 of 3 cells done/);
    const list = lrd('experiment', path, '--out', out, '--list').stdout;
    assert.match(list, /^0 {2}finished +2\/2 {2}p=1\/seed=1$/m);
    assert.match(list, /^3 {2}waiting/m);
    assert.match(list, /^3 of 8 cells done: 3 finished, 5 waiting$/m);
    assert.match(run.stderr, /^2 of 3 cells done, about .* left$/m);
    const lines = lrd('experiment', path, '--out', out, '--list', '--json').stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as object); // prettier-ignore
    assert.equal(lines[4], { event: 'cell', number: 4, arm: 'p=1', seed: 2, state: 'waiting', epochs: 0, of: 2 });
    assert.equal(lines[8], { event: 'overview', experiment: 'mine', scale: 'full', cells: 8, done: 3, states: { finished: 3, waiting: 5 }, secondsLeft: null }); // prettier-ignore
    const rest = lrd('experiment', path, '--backend', 'cpu', '--out', out);
    assert.match(rest.stdout, /8 of 8 cells done/, rest.stderr);
    // Its file is no longer needed.
    rmSync(path);
    const page = join(scratch, 'page.html');
    const report = lrd('report', out, '--out', page);
    assert.is(report.status, 0, report.stderr);
    const html = readFileSync(page, 'utf8');
    assert.match(html, /Half or a quarter &lt;b&gt;/);
    assert.match(html, /Whether p = \.25 is enough\./);
    assert.match(html, /95 % interval/);
    assert.not.match(html, /Paper and ours|What the paper|The paper does|figure of the papers/);
    // Changed under the same name: the two would be mixed.
    writeFileSync(path, MINE.replace('"epochs": 2', '"epochs": 3'));
    const other = lrd('experiment', path, '--backend', 'cpu', '--out', out);
    assert.is(other.status, 2);
    assert.match(other.stderr, /^lrd: --out must not hold another plan of the same name: .* has p=1\/seed=1 with epochs 2, here it is 3\n$/); // prettier-ignore
    const json = lrd('experiment', 'table3', '--json');
    writeFileSync(path, json.stdout);
    assert.match(
      lrd('experiment', path, '--list', '--seeds', '1', '--out', join(scratch, 'none')).stdout,
      /^ *0 +waiting/,
    );
    assert.not.ok(existsSync(join(scratch, 'none')));
    assert.equal(JSON.parse(lrd('experiment', '--schema').stdout), EXPERIMENT_SCHEMA);
    const missing = lrd('experiment', './missing.json');
    assert.is(missing.status, 2);
    assert.match(
      missing.stderr,
      /^lrd: NAME must be an experiment or a file that can be read, got \.\/missing\.json .*\n$/,
    );
  },
  { timeout: 500 },
);

test.run();
