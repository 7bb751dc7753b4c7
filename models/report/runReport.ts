import type { Run } from '../runs/runFolder.ts';
import type { EpochMetrics } from '../trainer/train.ts';
import type { Section } from './page.ts';
import { sectionsPage } from './page.ts';
import type { Series } from './svg.ts';
import { escapeHtml, lineChart } from './svg.ts';

const RULE_TITLES: Readonly<Record<string, string>> = {
  sgdm: 'SGDM',
  'sgdm-avg': 'SGDM, mean of k gradients',
  rmsprop: 'RMSprop',
  adam: 'Adam',
  amsgrad: 'AMSGrad',
  radam: 'RAdam',
  adamw: 'AdamW',
};
const PALETTE = ['var(--lrd)', 'var(--c2)', 'var(--c3)', 'var(--c4)', 'var(--c5)', 'var(--c6)'];

const title = (run: Run): string => RULE_TITLES[run.config.optimizer] ?? run.config.optimizer;
const arm = (run: Run): string =>
  run.config.keepProbability === 1 ? 'without LRD' : `LRD, p = ${run.config.keepProbability}`;

/** Runs of one column: same recipe, data and optimizer. */
function columns(runs: readonly Run[]): Map<string, Run[]> {
  const several = new Set(runs.map(({ config }) => `${config.recipe} on ${config.data}`)).size > 1;
  const groups = new Map<string, Run[]>();
  for (const run of runs) {
    const key = several ? `${title(run)}, ${run.config.recipe} on ${run.config.data}` : title(run);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return groups;
}

interface Row {
  readonly name: string;
  readonly key: 'trainLoss' | 'trainAccuracy' | 'testLoss' | 'testAccuracy' | 'meanIoU' | 'mAP';
  readonly unit: string;
  readonly logarithmic: boolean;
}

/** From top to bottom as in the paper's Fig. 4. */
const ROWS: readonly Row[] = [
  { name: 'training loss', key: 'trainLoss', unit: 'nats', logarithmic: true },
  { name: 'training accuracy', key: 'trainAccuracy', unit: '%', logarithmic: false },
  { name: 'test accuracy', key: 'testAccuracy', unit: '%', logarithmic: false },
];

/** Below these, where runs have them: of pictures with masks and with boxes. */
const PICTURE_ROWS: readonly Row[] = [
  { name: 'test loss', key: 'testLoss', unit: 'nats', logarithmic: true },
  { name: 'mean IoU', key: 'meanIoU', unit: '%', logarithmic: false },
  { name: 'mAP, 11 points', key: 'mAP', unit: '%', logarithmic: false },
];

const has = (run: Run, key: Row['key']): boolean => run.metrics.some((line) => line[key] !== undefined);

/** The rows of some runs; those of pictures only where a run is of them. */
function rowsOf(runs: readonly Run[]): readonly Row[] {
  const ofPictures = runs.some((run) => has(run, 'meanIoU') || has(run, 'mAP'));
  return ofPictures ? [...ROWS, ...PICTURE_ROWS.filter(({ key }) => runs.some((run) => has(run, key)))] : ROWS;
}

function charts(runs: readonly Run[]): string {
  const groups = [...columns(runs)];
  const arms = [...new Set(runs.map(arm))].sort((a, b) => Number(b === 'without LRD') - Number(a === 'without LRD'));
  const lrdArms = arms.filter((name) => name !== 'without LRD');
  const color = (run: Run): string =>
    run.config.keepProbability === 1 ? 'var(--plain)' : (PALETTE[lrdArms.indexOf(arm(run)) % PALETTE.length] as string);
  const legend = arms
    .map((name) => {
      const sample = runs.find((run) => arm(run) === name) as Run;
      return `<li><i style="border-color:${color(sample)}"></i>${escapeHtml(name)}</li>`;
    })
    .join('');
  const cells = rowsOf(runs).flatMap(({ name, key, unit, logarithmic }) =>
    groups.map(([column, members]) => {
      const series = members.map((run): Series => {
        const points = run.metrics.flatMap((m): (readonly [number, number])[] => {
          const value = m[key];
          return value === undefined ? [] : [[m.epoch, value]];
        });
        return { label: `${arm(run)}, seed ${run.config.seed}`, color: color(run), points };
      });
      return lineChart(series, {
        title: `${column}: ${name}`,
        xLabel: 'epoch',
        yLabel: unit,
        logarithmic,
        ignoreStart: unit === '%',
      });
    }),
  );
  return (
    `<ul class="legend">${legend}</ul>` +
    `<div class="grid-of-charts" style="grid-template-columns:repeat(${groups.length}, minmax(0, 460px))">${cells.join('')}</div>`
  );
}

/** Four digits behind the point; of a loss that has run away its size. */
const lossText = (value: number): string => (Math.abs(value) < 1e6 ? value.toFixed(4) : value.toExponential(3));

const percent = (value: number): string => value.toFixed(2);

/** Columns of runs on pictures with masks or boxes. */
const PICTURE_COLUMNS: readonly (readonly [name: string, key: 'meanIoU' | 'mAP' | 'mAPArea'])[] = [
  ['mean IoU %', 'meanIoU'],
  ['mAP %, 11 points', 'mAP'],
  ['mAP %, area', 'mAPArea'],
];

function table(runs: readonly Run[]): string {
  const further = PICTURE_COLUMNS.filter(([, key]) => runs.some(({ metrics }) => metrics.at(-1)?.[key] !== undefined));
  const rows = runs.map((run) => {
    const last = run.metrics.at(-1);
    const best = run.metrics.reduce<EpochMetrics | undefined>(
      (top, m) => (top === undefined || m.testAccuracy > top.testAccuracy ? m : top),
      undefined,
    );
    const seconds = run.metrics.reduce((sum, m) => sum + m.seconds, 0);
    const { config } = run;
    const cells =
      last === undefined || best === undefined
        ? ['-', '-', '-', '-', '-', '-']
        : [
            String(last.epoch),
            lossText(last.trainLoss),
            percent(last.trainAccuracy),
            percent(last.testAccuracy),
            `${percent(best.testAccuracy)} (${best.epoch})`,
            seconds.toFixed(1),
          ];
    const head = [
      title(run),
      `${config.recipe}, ${config.data}`,
      config.keepProbability,
      config.learningRate,
      config.batchSize,
      config.seed,
    ];
    const pictures = further.map(([, key]) => {
      const value = last?.[key];
      return value === undefined ? '-' : percent(value);
    });
    return `<tr>${[...head, ...cells, ...pictures].map((cell) => `<td>${escapeHtml(String(cell))}</td>`).join('')}</tr>`;
  });
  const names = ['optimizer', 'recipe, data', 'keep probability', 'learning rate', 'batch', 'seed', 'epochs', 'train loss',
    'train accuracy %', 'test accuracy %', 'best (epoch)', 'seconds', ...further.map(([name]) => name)]; // prettier-ignore
  return `<div class="scroll"><table><thead><tr>${names.map((name) => `<th>${name}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

/** The data sets by name, with what is known of them: never the folder that they were read from. */
function dataText(runs: readonly Run[]): string {
  const texts = runs.map(({ config: { data, dataSource, dataRemark } }) => {
    if (dataRemark !== undefined) return dataRemark;
    return dataSource.includes('https://') ? `${data}: ${dataSource}` : data;
  });
  return [...new Set(texts)].join('; ');
}

/** Learning curves side by side in the arrangement of the paper's Fig. 4, and a table of the last epochs. */
export function runSection(runs: readonly Run[], heading = 'Learning curves'): Section {
  const backends = [...new Set(runs.map(({ config }) => config.backend))].join(', ');
  const sizes = [
    ...new Set(runs.map(({ config }) => `${config.recipe}, ${config.parameters.toLocaleString('en')} parameters`)),
  ];
  return {
    heading,
    body: `<p class="soft">${escapeHtml(sizes.join('; '))}. Backend ${escapeHtml(backends)}. ${escapeHtml(dataText(runs))}</p>
${charts(runs)}
<p class="soft">Rows as in Fig. 4 of Lin et al., "Learning Rate Dropout", IEEE TNNLS 2022. Training loss and accuracy are sample-weighted
means over the epoch, in training mode, so they lag behind the network at the epoch's end; the loss axis is logarithmic.</p>
<h3>After the last epoch</h3>
${table(runs)}
<p class="soft">Seconds are those of training, evaluation left out. "best" is chosen on the test set and shown for comparison only.</p>`,
  };
}

/** A page of its own for some runs. */
export function renderRunReport(runs: readonly Run[], heading = 'Learning Rate Dropout: learning curves'): string {
  return sectionsPage(heading, '', [runSection(runs)]);
}
