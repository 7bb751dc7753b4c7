import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { checkDataSetName } from '../data/catalogue.ts';
import { OPTIMIZERS, createOptimizer } from '../recipes/optimizers.ts';
import { RECIPE_NAMES } from '../recipes/catalogue.ts';
import { silentProgress } from '../trainer/progress.ts';
import { EXPERIMENTS, findExperiment } from './catalogue.ts';
import { differences } from './analysis/differences.ts';
import { censoredMedian, summarize, summarizeControls } from './analysis/summary.ts';
import type { Arm, Experiment } from './experiment.ts';
import { makePlan, recordPlan, readPlan, settingsOf } from './plan.ts';
import type { PlannedCell, Waiting } from './plan.ts';
import { toRequest } from './request.ts';
import type { CellOutcome } from './results.ts';
import { collectResults, formatResults, readResults } from './results.ts';
import type { Settings } from './settings.ts';
import { bestOf, chosenRates, selectionOf } from './selection.ts';
import { cellName } from './settings.ts';
import { Store } from './store.ts';
import { work } from './work.ts';
import { writeWhole } from '../runs/runFolder.ts';

const test = suite('models/experiments');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-experiments-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const arm = (experiment: Experiment, id: string): Arm => {
  const found = experiment.arms.find((known) => known.id === id);
  if (found === undefined) throw new Error(`no arm ${id}`);
  return found;
};

test('each experiment is whole: ids are unique, baselines and curves exist, names are known', () => {
  assert.is(new Set(EXPERIMENTS.map(({ name }) => name)).size, EXPERIMENTS.length);
  for (const experiment of EXPERIMENTS) {
    const ids = experiment.arms.map(({ id }) => id);
    assert.is(new Set(ids).size, ids.length, experiment.name);
    for (const { id, baseline, group, settings } of experiment.arms) {
      const base = experiment.arms.find((other) => other.id === baseline);
      assert.ok(baseline === undefined || base?.group === group, `${experiment.name} ${id}`);
      assert.ok(RECIPE_NAMES.includes(settings.recipe), settings.recipe);
      checkDataSetName(settings.data);
      assert.ok(OPTIMIZERS.includes(settings.optimizer), settings.optimizer);
    }
    const drawn = experiment.figures.flatMap(({ panels }) => panels.flatMap(({ arms }) => arms));
    for (const id of drawn) assert.ok(ids.includes(id), `${experiment.name} draws ${id}`);
    for (const { panels, columns } of experiment.figures) assert.is(panels.length % columns, 0, experiment.name);
  }
});

test('the rules take the settings of every arm, at both scales', () => {
  for (const experiment of EXPERIMENTS) {
    for (const scale of ['full', 'small'] as const) {
      for (const one of experiment.arms) {
        const settings = settingsOf(one, { experiment, scale, overlay: {} });
        const request = toRequest({ settings, seed: 1 });
        const { optimizer, learningRate, keepProbability, weightDecay, hyper = {} } = request;
        const made = createOptimizer(optimizer as string, {
          learningRate,
          weightDecay,
          keepProbability,
          momentum: undefined,
          others: hyper,
          seed: 1n,
        });
        assert.is(made.learningRate, settings.learningRate, `${experiment.name} ${one.id}`);
        made.dispose();
        assert.ok(settings.epochs >= 1 && settings.batchSize >= 1);
      }
    }
  }
});

test('settings are the papers’', () => {
  const table1 = findExperiment('table1');
  assert.equal(arm(table1, 'cifar10/adam/p=0.5').settings, {
    recipe: 'resnet34',
    data: 'cifar10',
    optimizer: 'adam',
    keepProbability: 0.5,
    learningRate: 0.001,
    weightDecay: 5e-4,
    batchSize: 128,
    epochs: 200,
    phases: [
      { from: 101, learningRate: 1e-4 },
      { from: 151, learningRate: 1e-5 },
    ],
  });
  assert.is(arm(table1, 'mnist/radam/p=1').settings.learningRate, 0.03);
  const scaled = arm(findExperiment('table3'), 'cifar10/sgdm/p=1,lr*0.3').settings;
  assert.equal([scaled.learningRate, scaled.phases?.[1], scaled.keepProbability], [0.03, { from: 151, learningRate: 3e-4 }, 1]); // prettier-ignore
  const taper = arm(findExperiment('taper-fig1'), 'scheme=01').settings.phases ?? [];
  assert.is(taper.length, 15);
  assert.equal(taper[3], { from: 151, learningRate: 0.0001, weightDecay: 0.0016 });
  assert.equal(taper[5], { from: 251, learningRate: 0.1, weightDecay: 0.0001 });
  const sparse = arm(findExperiment('taper-fig5'), 'scheme=22').settings.phases ?? [];
  assert.equal(sparse.map(({ sparsity }) => sparsity), [0, 0, 0.8, 0.8, 0.8, ...new Array<number>(10).fill(0)]); // prettier-ignore
});

test('PSPNet and SSD300 have the settings of Figs. 9 and 10, at the small scale small crops', () => {
  const fig9 = findExperiment('fig9');
  const lrd = arm(fig9, 'voc/adam/p=0.5');
  assert.equal(lrd.settings, {
    recipe: 'pspnet',
    data: 'voc',
    optimizer: 'adam',
    keepProbability: 0.5,
    learningRate: 0.001,
    weightDecay: 1e-4,
    batchSize: 16,
    epochs: 50,
  });
  assert.equal([lrd.published?.mean, arm(fig9, 'voc/adam/p=1').published?.mean], [68.8, 63.7]);
  assert.is(fig9.further?.[0]?.published['voc/adam/p=0.5']?.mean, 92.1);
  const small = settingsOf(lrd, { experiment: fig9, scale: 'small', overlay: { crop: 97 } });
  assert.equal([small.crop, small.width, small.batchSize], [97, 8, 4]);
  const { schedules, crop } = toRequest({ settings: arm(fig9, 'voc/adam,poly/p=0.5').settings, seed: 1 });
  assert.equal([schedules, crop], [{ learningRate: { kind: 'polynomial', power: 0.9 } }, undefined]);
  const { epochs, batchSize, weightDecay } = arm(findExperiment('fig10'), 'voc/adam/p=1').settings;
  assert.equal([epochs, batchSize, weightDecay], [100, 32, 5e-4]);
});

test('the memory of a mean of many gradients is said', () => {
  const { memory, arms } = findExperiment('table6');
  const of = (id: string): string | undefined => memory?.(arms.find((one) => one.id === id)?.settings as Settings);
  // 500 times 21,282,122 parameters of four bytes.
  assert.match(of('k=500/p=1') ?? '', /^the mean of 500 gradients keeps 500 copies of the parameters: 42\.6 GB/);
  assert.match(of('k=10/p=1') ?? '', /: 0\.85 GB/);
  assert.is(of('ema/p=1'), undefined);
});

test('a shorter run keeps the shares of its schedule', () => {
  const experiment = findExperiment('table1');
  const settings = settingsOf(arm(experiment, 'cifar10/sgdm/p=1'), {
    experiment,
    scale: 'full',
    overlay: { epochs: 10 },
  });
  assert.equal(settings.phases, [
    { from: 6, learningRate: 0.01 },
    { from: 9, learningRate: 0.001 },
  ]);
});

test('a cell is named by its settings: the order of keys, and what is undefined, do not count', () => {
  const settings: Settings = { recipe: 'fcnet', data: 'mnist', optimizer: 'adam', keepProbability: 0.5, learningRate: 0.001, batchSize: 128, epochs: 3 }; // prettier-ignore
  const turned = { ...Object.fromEntries(Object.entries(settings).reverse()), width: undefined } as unknown as Settings;
  // Written down: results that exist must be found again by later versions.
  assert.is(cellName(settings, 1), 'fcnet-mnist-adam-p0.5-s1-e3d4d209ab5b');
  assert.is(cellName(turned, 1), cellName(settings, 1));
  for (const other of [
    { ...settings, epochs: 4 },
    { ...settings, weightDecay: 0 },
  ]) {
    assert.is.not(cellName(other, 1), cellName(settings, 1));
  }
  assert.is.not(cellName(settings, 2), cellName(settings, 1));
});

/** A cell that takes a moment: a narrow network on the embedded digits. */
const tiny = (changes: Partial<Settings> = {}, seed = 1): PlannedCell => ({
  arm: 'tiny',
  seed,
  settings: {
    recipe: 'fcnet',
    data: 'digits',
    optimizer: 'sgdm',
    keepProbability: 0.5,
    learningRate: 0.1,
    batchSize: 64,
    epochs: 2,
    width: 8,
    limit: 128,
    ...changes,
  },
});
const place = { dataDir: undefined, backend: 'cpu', keepCheckpoints: false, checkpointSeconds: 60 };
const workOn = (root: string, cells: readonly PlannedCell[]): ReturnType<typeof work> =>
  work({ ...place, store: new Store(root), cells, progress: silentProgress, signal: new AbortController().signal });

test('what auto took first holds for all cells of a folder, whatever it would take later', async () => {
  const root = join(scratch, 'auto');
  const backendOf = (cell: PlannedCell): unknown =>
    (JSON.parse(readFileSync(join(new Store(root).folder(cell), 'run', 'config.json'), 'utf8')) as { backend: string })
      .backend;
  const [one, two, three] = [tiny(), tiny({}, 2), tiny({}, 3)];
  const auto = (cells: readonly PlannedCell[], backend = 'auto'): ReturnType<typeof work> =>
    work({
      ...place,
      backend,
      store: new Store(root),
      cells,
      progress: silentProgress,
      signal: new AbortController().signal,
    });
  await auto([one]);
  const recorded = JSON.parse(readFileSync(join(root, 'backend.json'), 'utf8')) as { backend: string };
  assert.is(backendOf(one), recorded.backend);
  assert.is.not(recorded.backend, 'auto');
  // As on another machine, where auto took this.
  writeWhole(join(root, 'backend.json'), '{"backend":"cpu"}\n');
  await auto([one, two]);
  assert.is(backendOf(two), 'cpu');
  assert.is(backendOf(one), recorded.backend);
  await auto([three], 'wasm');
  assert.is(backendOf(three), 'wasm', 'what is asked for is taken');
  for (const text of ['', '{}', '{"backend":"auto"}', '{"backend":"cuda"}']) {
    writeWhole(join(root, 'backend.json'), text);
    assert.throws(() => new Store(root).backend(), /^[^\n]*backend\.json[^\n]*$/);
  }
});

test('work runs each cell once, leaves what is done alone, and records what failed and what diverged', async () => {
  const root = join(scratch, 'work');
  const store = new Store(root);
  const good = tiny();
  const diverging = tiny({ learningRate: 1e30 });
  const wrong = tiny({ optimizer: 'none' });
  const first = await workOn(root, [good, diverging, wrong]);
  assert.is(first.done, 2);
  assert.is(first.failed.length, 1);
  assert.match(first.failed[0]?.note ?? '', /--optimizer must be one of .* got "none"/);
  assert.is(store.state(good).state, 'finished');
  assert.is(store.state(diverging).state, 'diverged');
  assert.is(store.state(wrong).state, 'failed');
  const metrics = join(store.folder(good), 'run', 'metrics.jsonl');
  const before = readFileSync(metrics, 'utf8');
  // The same settings in another experiment are the same cell.
  await workOn(root, [{ ...good, arm: 'another' }]);
  assert.is(readFileSync(metrics, 'utf8'), before);
  assert.equal(readdirSync(join(store.folder(good), 'run')).includes('checkpoint'), false);
});

test('a plan keeps the cells of earlier calls, and its results come back from a small file', async () => {
  const root = join(scratch, 'plan');
  const experiment = findExperiment('table1');
  const store = new Store(root);
  const overlay = { data: 'digits', epochs: 1, width: 8, limit: 64 };
  const request = { experiment, scale: 'full', overlay, seeds: 1 } as const;
  const adam = makePlan({ ...request, only: /^mnist\/adam\/p=1\// });
  recordPlan(store, adam);
  recordPlan(store, makePlan({ ...request, only: /^mnist\/adam\/p=0.5/ }));
  const [path] = store.plans();
  assert.is(store.plans().length, 1);
  assert.equal(
    readPlan(path as string).cells.map((cell) => cell.arm),
    ['mnist/adam/p=1', 'mnist/adam/p=0.5'],
  );
  await workOn(root, adam.cells);
  const results = collectResults(root);
  const file = join(scratch, 'results.json');
  writeWhole(file, formatResults(results ?? []));
  const [back] = readResults(file);
  assert.equal(back?.cells.map(({ outcome }) => outcome), ['finished', 'unfinished']); // prettier-ignore
  assert.is(back?.cells[0]?.metrics.length, 1);
  assert.not.match(readFileSync(file, 'utf8'), /\/tmp|dataSource/);
  assert.throws(
    () => makePlan({ ...request, only: /nothing/ }),
    /--only must match a cell, got "nothing"; arms: mnist/,
  );
  assert.throws(() => readResults(path as string), /not results of lrd experiment/);
});

test('rates are chosen by short runs on held-out examples, and the runs that follow have them', async () => {
  const root = join(scratch, 'rates');
  const store = new Store(root);
  const { arms, settings } = { arms: ['a', 'b'], settings: tiny().settings };
  const experiment: Experiment = {
    ...findExperiment('masks'),
    arms: [
      ...arms.map((id): Arm => ({ id, group: 'g', label: id, settings: { ...settings, width: id === 'a' ? 8 : 9 }, rate: { of: id, times: 1 } })), // prettier-ignore
      { id: 'half of a', group: 'g', label: 'c', settings, rate: { of: 'a', times: 0.5 } },
      { id: 'as it is', group: 'g', label: 'd', settings },
    ],
    selection: {
      factors: [1e-6, 1, 1e31],
      settings: { epochs: 10, batchSize: 16, validation: 28 },
      small: {},
      metric: 'validationAccuracy',
    },
    figures: [],
  };
  const chooses = selectionOf(experiment) as Experiment;
  assert.equal(
    chooses.arms.map(({ id }) => id),
    ['a/lr=1e-7', 'a/lr=0.1', 'a/lr=1e+30', 'b/lr=1e-7', 'b/lr=0.1', 'b/lr=1e+30'],
  );
  const request = { scale: 'full', overlay: { epochs: 3 }, seeds: 2, only: undefined } as const;
  const without = { ...request, overlay: {}, seeds: 1 };
  await workOn(root, makePlan({ experiment: chooses, ...without, only: /^a/ }).cells);
  const rates = chosenRates(store, experiment, request);
  assert.equal([...rates], [['a', 1], ['half of a', 0.5]]); // prettier-ignore
  assert.throws(
    () => makePlan({ experiment, ...request, rates }),
    /^the learning rates of b have not been chosen yet: --select runs what chooses them$/,
  );
  assert.equal(
    makePlan({ experiment, ...request, rates, waiting: 'omit', only: /=1$/ }).cells.map((cell) => [cell.arm, cell.settings.learningRate, cell.settings.validation]), // prettier-ignore
    [
      ['a', 0.1, undefined],
      ['half of a', 0.05, undefined],
      ['as it is', 0.1, undefined],
    ],
  );
  const [cell] = makePlan({ experiment: chooses, ...without }).cells;
  const [line] = store.record(cell as PlannedCell).metrics;
  assert.is(typeof line?.validationAccuracy, 'number');
  assert.is(line?.step, Math.ceil(100 / 16));
});

test('a control takes the mean factor that its mask’s first seed measured, once that has run', async () => {
  const root = join(scratch, 'factors');
  const store = new Store(root);
  const { settings } = tiny();
  const experiment: Experiment = {
    name: 'factors',
    title: 'factors',
    places: '',
    seeds: 2,
    metric: 'testAccuracy',
    arms: [
      { id: 'magma', group: 'g', label: 'a', settings: { ...settings, keepProbability: 0.5, mask: 'magma' } },
      { id: 'control', group: 'g', label: 'b', settings, like: 'magma', measured: true, control: true },
    ],
    figures: [],
    targets: [],
    claims: [],
    notes: [],
    small: () => ({}),
  };
  const request = { experiment, scale: 'full', overlay: { epochs: 2 }, seeds: 2, only: undefined } as const;
  assert.throws(
    () => makePlan({ ...request, rates: chosenRates(store, experiment, request) }),
    /^the learning rates of control take a mean factor that has not been measured yet: seed 1 of magma must be run first$/,
  );
  const arms = (waiting: Waiting, only?: RegExp): string[] =>
    makePlan({ ...request, waiting, only }).cells.map(({ arm, seed }) => `${arm} ${seed}`);
  assert.equal(arms('later'), ['magma 1', 'magma 2']);
  assert.equal(arms('keep'), ['magma 1', 'control 1', 'magma 2', 'control 2']);
  assert.throws(() => arms('later', /control|magma.seed=2/), /seed 1 of magma must be run first$/);
  const first = makePlan({ ...request, only: /magma.seed=1/ });
  recordPlan(store, first);
  await workOn(root, first.cells);
  const { metrics } = store.record(first.cells[0] as PlannedCell);
  const factors = metrics.map(({ meanFactor }) => meanFactor as number);
  // p = 1/2 times an alignment between sigmoid(-1/2) and sigmoid(1/2), which begins with 1/2.
  assert.ok(factors.length === 2 && factors.every((factor) => factor > 0.19 && factor < 0.31), String(factors));
  const mean = Number((((factors[0] as number) + (factors[1] as number)) / 2).toPrecision(3));
  const rates = chosenRates(store, experiment, request);
  assert.equal([...rates], [['control', mean]]);
  const { cells } = makePlan({ ...request, rates });
  assert.equal(
    cells.map(({ arm, settings: { learningRate } }) => [arm, learningRate]),
    [1, 2].flatMap(() => [
      ['magma', settings.learningRate],
      ['control', Number((settings.learningRate * mean).toPrecision(12))],
    ]),
  );
});

test('of candidates the best is taken, of equals the smaller rate, and none that diverged', () => {
  const tried = (...values: number[]): Parameters<typeof bestOf>[0] =>
    values.map((value, k) => ({ factor: k, learningRate: k, value }));
  assert.is(bestOf(tried(1, 3, 3, NaN), 'validationAccuracy')?.factor, 1);
  assert.is(bestOf(tried(NaN, 3, 1, 1), 'validationLoss')?.factor, 2);
  assert.is(bestOf(tried(NaN, NaN), 'validationLoss'), undefined);
});

const outcome = (id: string, seed: number, losses: readonly number[], settings: Settings): CellOutcome => ({
  arm: id,
  seed,
  settings,
  outcome: 'finished',
  examples: { train: 1000, test: 100 },
  metrics: losses.map((trainLoss, k) => ({
    epoch: k + 1,
    trainLoss,
    trainAccuracy: 90,
    testLoss: trainLoss,
    testAccuracy: 100 - 10 * trainLoss,
    seconds: 10,
    inputSeconds: 0,
    learningRate: 0.1,
    keepProbability: 1,
    weightDecay: 0,
  })),
});

test('a summary pairs seeds, keeps runs that never reach a level, and compares the last epoch', () => {
  const experiment = findExperiment('table1');
  const settings = arm(experiment, 'mnist/adam/p=1').settings;
  const cells = [
    outcome('mnist/adam/p=1', 1, [0.5, 0.1, 0.05], settings),
    outcome('mnist/adam/p=1', 2, [0.6, 0.09, 0.06], settings),
    outcome('mnist/adam/p=0.5', 1, [0.7, 0.3, 0.2], settings),
    outcome('mnist/adam/p=0.5', 2, [0.6, 0.2, 0.08], settings),
  ];
  const [group] = summarize(experiment, { experiment: 'table1', scale: 'full', overlay: {}, cells });
  const lrd = group?.arms.find(({ arm: { id } }) => id === 'mnist/adam/p=0.5');
  assert.ok(Math.abs((lrd?.last?.mean ?? 0) - 98.6) < 1e-9);
  assert.ok(Math.abs((lrd?.comparison?.difference ?? 0) - (98.6 - 99.45)) < 1e-9);
  assert.ok(Math.abs((lrd?.areaComparison?.difference ?? 0) - (1.2 + 0.88 - 0.65 - 0.75) / 2) < 1e-9);
  const [loss, , own] = lrd?.targets ?? [];
  // trainLoss <= .1: never by seed 1, in the third epoch by seed 2; the baseline in the second of both.
  assert.equal(loss?.crossings.map(({ at }) => at?.epoch), [undefined, 3]); // prettier-ignore
  assert.is(loss?.crossings[1]?.at?.steps, 3 * Math.ceil(1000 / 128));
  assert.equal(loss?.pairs, { sooner: 0, equal: 0, later: 2 });
  assert.is(own?.target.value, 0.06);
  // Adam on MNIST, from the printed figures.
  assert.ok(Math.abs((lrd?.publishedComparison?.t ?? 0) - 0.7358) < 1e-3);
});

test('LRD is set against its control by the seeds that all three arms have', () => {
  const experiment = findExperiment('table1');
  const { settings } = arm(experiment, 'mnist/adam/p=1');
  const lrd = { ...settings, keepProbability: 0.5 };
  const cells = [
    outcome('mnist/adam/p=1', 1, [1, 1], settings),
    outcome('mnist/adam/p=1', 2, [9, 9], settings),
    outcome('mnist/adam/p=0.5', 1, [2, 1], lrd),
    outcome('mnist/adam/p=1,lr*0.5', 1, [2, 2], settings),
  ];
  const groups = summarize(experiment, { experiment: 'table1', scale: 'full', overlay: {}, cells });
  assert.equal(summarizeControls(groups), [
    { group: 'FCNet on MNIST, Adam', keepProbability: 0.5, difference: 10, comparison: undefined, areaOverBaseline: 1.5, areaOverControl: 0.75 }, // prettier-ignore
  ]);
});

test('a median stays what it is as long as the missing half is the smaller one', () => {
  assert.is(censoredMedian([3, 1, 2], 0), 2);
  assert.is(censoredMedian([1, 2, 3], 2), 3);
  assert.is(censoredMedian([1, 2], 2), undefined);
  assert.is(censoredMedian([], 3), undefined);
});

test('a caption says what differs from the paper', () => {
  const experiment = findExperiment('table1');
  const one = arm(experiment, 'cifar10/adam/p=1');
  const settings = settingsOf(one, { experiment, scale: 'full', overlay: { recipe: 'resnet14', epochs: 10 } });
  const cell = { ...outcome(one.id, 1, [1], settings), dataRemark: 'a part of the set' };
  assert.equal(differences([one], [cell], 5), [
    'network resnet14 instead of resnet34',
    'epochs 10 instead of 200',
    '1 trial instead of 5',
    'a part of the set',
    'changes of the learning rate and of the rest keep their share of the run',
  ]);
});

test.run();
