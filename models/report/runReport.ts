import type { Run } from '../runs/runFolder.ts';
import type { EpochMetrics } from '../trainer/train.ts';
import { shortName } from '../storage/modules.ts';
import { meanOf } from './charts/lines.ts';
import { formatValue } from './charts/ticks.ts';
import { escapeHtml } from './html.ts';
import type { Section } from './page.ts';
import { chartBlock, sectionsPage } from './page.ts';
import type { RunArm } from './runBlock.ts';
import { armsOf, ruleTitle, runBlock, valueAt } from './runBlock.ts';
import type { Cell, Row } from './table.ts';
import { htmlTable } from './table.ts';

const percent = (value: number): string => value.toFixed(2);

/** What a run is judged by: of pictures with masks or boxes their own measure. */
function judgedBy(runs: readonly Run[]): { readonly key: keyof EpochMetrics; readonly name: string } {
  const has = (key: keyof EpochMetrics): boolean =>
    runs.some(({ metrics }) => valueAt(metrics.at(-1), key) !== undefined);
  if (has('mAP')) return { key: 'mAP', name: 'mAP' };
  if (has('meanIoU')) return { key: 'meanIoU', name: 'mean IoU' };
  return { key: 'testAccuracy', name: 'test accuracy' };
}

/** The mean of the last epochs of an arm's runs, of those that have one. */
function lastOf(
  { runs }: RunArm,
  key: keyof EpochMetrics,
): { readonly mean: number; readonly count: number } | undefined {
  const values = runs.flatMap(({ metrics }) => valueAt(metrics.at(-1), key) ?? []);
  return values.length === 0 ? undefined : { mean: meanOf(values), count: values.length };
}

const seedsText = (count: number): string => (count === 1 ? 'one seed' : `mean of ${count} seeds`);

/** The best arm of one rule, and how it stands to the one without LRD. */
function answerOf(column: string, arms: readonly RunArm[]): string | undefined {
  const { key, name } = judgedBy(arms.flatMap(({ runs }) => runs));
  const standing = arms
    .flatMap((arm) => {
      const last = lastOf(arm, key);
      return last === undefined ? [] : [{ arm, last, loss: lastOf(arm, 'trainLoss')?.mean }];
    })
    .sort((a, b) => b.last.mean - a.last.mean);
  const [first] = standing;
  if (first === undefined) return undefined;
  const text = `${column}: best at the end is “${first.arm.label}” with ${percent(first.last.mean)} % ${name} (${seedsText(first.last.count)})`;
  const plain = standing.find(({ arm }) => arm.plain);
  const other = first === plain ? standing.find(({ arm }) => !arm.plain) : plain;
  if (other === undefined || plain === undefined) return `${text}.`;
  const lrd = first === plain ? other : first;
  const loss = plain.loss !== undefined && lrd.loss !== undefined && plain.loss > 0 ? lrd.loss / plain.loss : undefined;
  const losses =
    loss === undefined || !Number.isFinite(loss)
      ? ''
      : `; the training loss of “${lrd.arm.label}” is ${formatValue(Number(loss.toPrecision(3)))} times that of the other`;
  return `${text}; “${other.arm.label}” has ${percent(other.last.mean)} % (${seedsText(other.last.count)})${losses}.`;
}

function answer(arms: readonly RunArm[]): string | undefined {
  const columns = [...new Set(arms.map(({ column }) => column))];
  const sentences = columns.slice(0, 8).flatMap(
    (column) =>
      answerOf(
        column,
        arms.filter((arm) => arm.column === column),
      ) ?? [],
  );
  const few = arms.some(({ runs }) => runs.length < 3)
    ? ['Fewer than three seeds of an arm say little about a difference.']
    : [];
  return sentences.length === 0 ? undefined : [...sentences, ...few].map(escapeHtml).join('<br>');
}

const DASH = '–';
const numberCell = (value: number | undefined, show: (value: number) => string): Cell =>
  value === undefined ? DASH : { text: show(value), sort: value };

/** Columns of runs on pictures with masks or boxes. */
const PICTURE_COLUMNS: readonly (readonly [name: string, key: 'meanIoU' | 'mAP' | 'mAPArea'])[] = [
  ['mean IoU %', 'meanIoU'],
  ['mAP %, 11 points', 'mAP'],
  ['mAP %, area', 'mAPArea'],
];

const textOf = (value: unknown): string =>
  value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);

/** Node and TensorFlow.js that a run was made with, and the program where it says so. */
function versionsOf({ environment = {} }: Run): string {
  const parts = [
    ['lrd', environment['lrd'] ?? environment['version']],
    ['node', environment['node']],
    ['tfjs', environment['tfjs']],
  ] as const;
  return parts
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${textOf(value).replace(/^v/, '')}`]))
    .join(', ');
}

function runRow(run: Run, arm: RunArm, judged: ReturnType<typeof judgedBy>, further: typeof PICTURE_COLUMNS): Row {
  const { config, metrics, folder, environment = {} } = run;
  const last = metrics.at(-1);
  const best = metrics.reduce<EpochMetrics | undefined>(
    (top, line) => ((valueAt(line, judged.key) ?? -Infinity) > (valueAt(top, judged.key) ?? -Infinity) ? line : top),
    undefined,
  );
  const bestValue = valueAt(best, judged.key);
  const seconds = metrics.reduce((sum, line) => sum + (valueAt(line, 'seconds') ?? 0), 0);
  const rate: unknown = config.learningRate;
  const batch: unknown = config.batchSize;
  const date = textOf(environment['date']).slice(0, 16).replace('T', ' ');
  return {
    cells: [
      folder,
      `${textOf(shortName(config.recipe))}, ${textOf(shortName(config.data))}`,
      ruleTitle(config.optimizer),
      arm.label,
      numberCell(typeof rate === 'number' ? rate : undefined, String),
      numberCell(typeof batch === 'number' ? batch : undefined, String),
      textOf(config.seed),
      date,
      versionsOf(run),
      textOf(config.backend),
      { text: `${metrics.length} of ${textOf(config.epochs)}`, sort: metrics.length },
      numberCell(valueAt(last, 'trainLoss'), formatValue),
      numberCell(valueAt(last, 'trainAccuracy'), percent),
      numberCell(valueAt(last, 'testAccuracy'), percent),
      bestValue === undefined ? DASH : { text: `${percent(bestValue)} (${textOf(best?.epoch)})`, sort: bestValue },
      { text: seconds.toFixed(1), sort: seconds },
      ...further.map(([, key]) => numberCell(valueAt(last, key), percent)),
    ],
  };
}

function table(arms: readonly RunArm[]): string {
  const runs = arms.flatMap((arm) => arm.runs);
  const judged = judgedBy(runs);
  const further = PICTURE_COLUMNS.filter(([, key]) =>
    runs.some(({ metrics }) => valueAt(metrics.at(-1), key) !== undefined),
  );
  const names = ['folder', 'recipe, data', 'optimizer', 'arm', 'learning rate', 'batch', 'seed', 'begun, UTC', 'versions', 'backend', 'epochs',
    'train loss', 'train accuracy %', 'test accuracy %', `best ${judged.name} % (epoch)`, 'seconds', ...further.map(([name]) => name)]; // prettier-ignore
  const rows = arms.flatMap((arm) => arm.runs.map((run) => runRow(run, arm, judged, further)));
  return htmlTable(names, rows, { sortable: true, caption: 'runs' });
}

/** The data sets by name, with what is known of them: never the folder that they were read from. */
function dataText(runs: readonly Run[]): string {
  const texts = runs.map(({ config: { data, dataSource, dataRemark } }) => {
    if (dataRemark !== undefined) return dataRemark;
    return dataSource.includes('https://') ? `${data}: ${dataSource}` : data;
  });
  return [...new Set(texts)].join('; ');
}

/** Learning curves side by side in the arrangement of the paper's Fig. 4, and a table of the runs. */
export function runSection(runs: readonly Run[], heading = 'Learning curves'): Section {
  const arms = armsOf(runs);
  const block = runBlock(runs);
  const backends = [...new Set(runs.map(({ config }) => textOf(config.backend)))].join(', ');
  const sizes = runs.map(({ config: { recipe, parameters } }) => {
    const count: unknown = parameters;
    return typeof count === 'number' ? `${textOf(recipe)}, ${count.toLocaleString('en')} parameters` : textOf(recipe);
  });
  const said = answer(arms);
  return {
    heading,
    blocks: [block],
    ...(said === undefined ? {} : { answer: said }),
    body: `<p class="soft">${escapeHtml([...new Set(sizes)].join('; '))}. Backend ${escapeHtml(backends)}. ${escapeHtml(dataText(runs))}</p>
${chartBlock(block)}
<p class="note soft">Rows as in Fig. 4 of Lin et al., "Learning Rate Dropout", IEEE TNNLS 2022; charts of a row have the same axes. Runs that differ in nothing but the seed are one arm: the line is
their mean as far as all have come, the band reaches from the lowest to the highest. Training loss and accuracy are sample-weighted means over the epoch, in training mode, so they lag behind the network at the epoch's end.</p>
<h3>Runs</h3>
${table(arms)}
<p class="soft">Figures are those after the last epoch. Seconds are those of training, evaluation left out. "best" is chosen on the test set and shown for comparison only.</p>`,
  };
}

/** A page of its own for some runs. */
export function renderRunReport(runs: readonly Run[], heading = 'Learning Rate Dropout: learning curves'): string {
  return sectionsPage(heading, '', [runSection(runs)]);
}
