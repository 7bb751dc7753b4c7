/** Training runs as curves: what is one arm, what an arm is called, and which chart it stands in. */
import { foreignText } from 'learning-rate-dropout/internal';
import { MASK_TITLES, RULE_TITLES } from '../recipes/ruleTitles.ts';
import type { Run, RunConfig } from '../runs/runFolder.ts';
import type { EpochMetrics } from '../trainer/train.ts';
import { shortName } from '../storage/modules.ts';
import type { Arm, Block, Chart, Column, Curve } from './charts/model.ts';
import { runAxes } from './charts/model.ts';
import { keptRows, short } from './charts/thin.ts';

/** A rule's name as the papers write it; another's as it is. */
export function ruleTitle(name: unknown): string {
  const text = foreignText(name, 60);
  return Object.hasOwn(RULE_TITLES, text) ? (RULE_TITLES[text] as string) : text;
}

/** An arm by its mask, as in "LRD, p = 0.5", and whether that is none. One that follows the signs draws nothing, so it has no p. */
function maskName({ keepProbability }: RunConfig, own: ReadonlyMap<string, string>): { name: string; plain: boolean } {
  const kind = own.get('mask.kind') ?? 'lrd';
  if (keepProbability === 1 && kind === 'lrd') return { name: 'without LRD', plain: true };
  const title = Object.hasOwn(MASK_TITLES, kind)
    ? MASK_TITLES[kind as keyof typeof MASK_TITLES]
    : foreignText(kind, 60);
  const drawn = kind !== 'cautious';
  return { name: drawn ? `${title}, p = ${foreignText(keepProbability, 20)}` : title, plain: false };
}

/** Runs of one arm, in the order of their seeds. */
export interface RunArm {
  /** The chart that it stands in: its rule, and its network and data where there are several. */
  readonly column: string;
  /** Its entry in the legend. */
  readonly label: string;
  readonly runs: readonly Run[];
  /** Whether its mask drops nothing. */
  readonly plain: boolean;
}

/** What does not make another arm: what it was drawn with, where it lay, and what is shown elsewhere. */
const ASIDE: ReadonlySet<string> = new Set([
  'seed',
  'dataSource',
  'dataRemark',
  'parameters',
  'examples',
  'tensorBoard',
]);
/** Parts of a label already. */
const NAMED: ReadonlySet<string> = new Set(['recipe', 'data', 'optimizer', 'keepProbability', 'mask.kind']);
const NAMES: Readonly<Record<string, string>> = {
  learningRate: 'learning rate',
  batchSize: 'batch',
  weightDecay: 'weight decay',
};

/** A run's settings by name, each as text; those within others are joined by a dot. */
function settingsOf(config: RunConfig): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  const visit = (name: string, value: unknown): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) {
        if (!ASIDE.has(key) && !(name === 'hyper' && Object.hasOwn(config, key))) visit(name === '' || name === 'hyper' ? key : `${name}.${key}`, inner); // prettier-ignore
      }
    } else settings.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  };
  visit('', config);
  return settings;
}

/** Names of the settings in which some of the runs differ, those that are named anyway left out. */
function differing(all: readonly ReadonlyMap<string, string>[]): string[] {
  const names = new Set(all.flatMap((settings) => [...settings.keys()]));
  return [...names].filter((name) => !NAMED.has(name) && new Set(all.map((settings) => settings.get(name))).size > 1);
}

/** Runs whose settings agree but for the seed are one arm. Labels say what their arms differ in. */
export function armsOf(runs: readonly Run[]): RunArm[] {
  const settings = new Map(runs.map((run) => [run, settingsOf(run.config)] as const));
  const pairs = new Set(runs.map(({ config }) => `${shortName(config.recipe)} on ${shortName(config.data)}`));
  const names = differing([...settings.values()]);
  const arms = new Map<string, { column: string; label: string; plain: boolean; runs: Run[] }>();
  for (const run of runs) {
    const { config } = run;
    const own = settings.get(run) as ReadonlyMap<string, string>;
    const rule = ruleTitle(config.optimizer);
    const column =
      pairs.size > 1
        ? `${rule}, ${foreignText(shortName(config.recipe), 60)} on ${foreignText(shortName(config.data), 60)}`
        : rule;
    const { name, plain } = maskName(config, own);
    const differs = names.map((name) => `${NAMES[name] ?? name} ${foreignText(own.get(name) ?? '–', 60)}`);
    const label = [name, ...differs].join(', ');
    const key = `${column}\n${label}`;
    const arm = arms.get(key) ?? { column, label, plain, runs: [] };
    arm.runs.push(run);
    arms.set(key, arm);
  }
  const bySeed = ({ config: { seed: a } }: Run, { config: { seed: b } }: Run): number =>
    a.localeCompare(b, 'en', { numeric: true });
  return [...arms.values()]
    .map((arm) => ({ ...arm, runs: [...arm.runs].sort(bySeed) }))
    .sort((a, b) => Number(b.plain) - Number(a.plain));
}

/** A quantity of an epoch that has a row of charts. */
export interface RowInfo {
  readonly name: string;
  readonly key:
    | 'trainLoss'
    | 'trainAccuracy'
    | 'testLoss'
    | 'testAccuracy'
    | 'validationLoss'
    | 'validationAccuracy'
    | 'top5'
    | 'meanIoU'
    | 'mAP';
  readonly unit: string;
  readonly logarithmic: boolean;
}

/** From top to bottom as in the paper's Fig. 4. */
const ROWS: readonly RowInfo[] = [
  { name: 'training loss', key: 'trainLoss', unit: 'nats', logarithmic: true },
  { name: 'training accuracy', key: 'trainAccuracy', unit: '%', logarithmic: false },
  { name: 'test accuracy', key: 'testAccuracy', unit: '%', logarithmic: false },
  { name: 'test loss', key: 'testLoss', unit: 'nats', logarithmic: true },
  { name: 'validation accuracy', key: 'validationAccuracy', unit: '%', logarithmic: false },
  { name: 'validation loss', key: 'validationLoss', unit: 'nats', logarithmic: true },
  { name: 'mean IoU', key: 'meanIoU', unit: '%', logarithmic: false },
  { name: 'mAP, 11 points', key: 'mAP', unit: '%', logarithmic: false },
];

/** A value of an epoch's line; undefined where it has none that is finite. */
export function valueAt(line: EpochMetrics | undefined, key: keyof EpochMetrics): number | undefined {
  const value: unknown = line?.[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** Lines that all runs of a page may have together. */
const MOST_ROWS = 36_000;

function columnsOf(
  { metrics, config }: Run,
  most: number,
  rows: readonly RowInfo[],
): { columns: Record<string, Column>; kept: boolean } {
  const column = (key: keyof EpochMetrics): Column => metrics.map((line) => valueAt(line, key) ?? null);
  const values = rows.map(({ key }) => column(key));
  const kept = keptRows(metrics.length, [column('trainLoss'), column('testAccuracy')], most);
  const pick = (whole: Column, digits?: number): Column =>
    (kept === undefined ? whole : kept.map((k) => whole[k] ?? null)).map((value) => short(value, digits));
  let sum = 0;
  const seconds = column('seconds').map((value) => (sum += value ?? 0));
  const train = config.examples?.train;
  const perEpoch = typeof train === 'number' && config.batchSize > 0 ? Math.ceil(train / config.batchSize) : undefined;
  const epochs = metrics.map((line, k) => valueAt(line, 'epoch') ?? k + 1);
  const columns: Record<string, Column> = { epoch: pick(epochs, 12), seconds: pick(seconds) };
  if (perEpoch !== undefined)
    columns['step'] = pick(
      epochs.map((epoch) => epoch * perEpoch),
      12,
    );
  rows.forEach(({ key }, k) => {
    const whole = values[k] as Column;
    if (whole.some((value) => value !== null)) columns[key] = pick(whole);
  });
  return { columns, kept: kept === undefined };
}

/** The curves of some runs: a column of charts a rule, a row a quantity. */
export function runBlock(runs: readonly Run[], id = 'runs'): Block {
  const grouped = armsOf(runs);
  const labels = [...new Set(grouped.map(({ label }) => label))];
  const plainLabels = labels.filter((label) => grouped.some((arm) => arm.label === label && arm.plain));
  // Grey is the colour without LRD; where that is more than one arm, of the first.
  const order = [...plainLabels.slice(0, 1), ...labels.filter((label) => label !== plainLabels[0])];
  const style = (label: string): number => order.indexOf(label) + (plainLabels.length === 0 ? 1 : 0);
  const most = Math.max(8, Math.floor(MOST_ROWS / Math.max(1, runs.length)));
  const rows = ROWS.filter(({ key }) =>
    runs.some(({ metrics }) => metrics.some((line) => valueAt(line, key) !== undefined)),
  );
  let [thinned, withSteps] = [false, true];
  const curves: Curve[] = [];
  const arms: Arm[] = [];
  const inColumn = new Map<string, number[]>();
  const lossUnits = new Map<string, string>();
  for (const { column, label, runs: members } of grouped) {
    const arm = arms.push({ label, style: style(label) }) - 1;
    for (const run of members) {
      const { columns, kept } = columnsOf(run, most, rows);
      if (!kept) thinned = true;
      if (columns['step'] === undefined) withSteps = false;
      const seed = `${column}: ${label}, seed ${foreignText(run.config.seed, 30)}`;
      const name = curves.some((curve) => curve.name === seed) ? `${seed}, ${foreignText(run.folder, 80)}` : seed;
      const index = curves.push({ name, arm, columns }) - 1;
      if (run.config.lossUnit !== undefined) lossUnits.set(column, run.config.lossUnit);
      inColumn.set(column, [...(inColumn.get(column) ?? []), index]);
    }
  }
  const charts = rows.flatMap(({ name, key, unit: usual, logarithmic }) =>
    [...inColumn].flatMap(([column, members]): Chart[] => {
      const unit = usual === 'nats' ? (lossUnits.get(column) ?? usual) : usual;
      const there = members.filter((index) => curves[index]?.columns[key] !== undefined);
      return there.length === 0
        ? []
        : [
            {
              title: `${column}: ${name}`,
              row: `${name}, ${unit}`,
              y: { column: key, label: unit, logarithmic },
              curves: there,
            },
          ];
    }),
  );
  return {
    id,
    axes: runAxes(withSteps, 'seconds'),
    arms,
    curves,
    charts,
    ...(thinned ? { thinned: `Of long runs not every epoch is on this page, at most ${most.toLocaleString('en')} of a run: those with the lowest and highest loss and accuracy of each stretch are.` } : {}),
  }; // prettier-ignore
}
