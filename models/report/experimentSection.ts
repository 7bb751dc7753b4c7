import { answersInWords } from '../experiments/analysis/answers.ts';
import { valueOf } from '../experiments/analysis/convergence.ts';
import { differences } from '../experiments/analysis/differences.ts';
import type { Comparison, Sample } from '../experiments/analysis/samples.ts';
import type { ArmSummary, GroupSummary, TargetSummary } from '../experiments/analysis/summary.ts';
import { censoredMedian, improves, summarize, summarizeControls } from '../experiments/analysis/summary.ts';
import type { Arm, Experiment, Figure, Metric } from '../experiments/experiment.ts';
import { METRICS, PAPERS } from '../experiments/experiment.ts';
import { metricOf } from '../experiments/units.ts';
import type { CellOutcome, ExperimentOutcome } from '../experiments/results.ts';
import { shortName } from '../storage/modules.ts';
import type { Arm as DrawnArm, Block, Chart, Column, Curve } from './charts/model.ts';
import { runAxes } from './charts/model.ts';
import { short } from './charts/thin.ts';
import { escapeHtml } from './html.ts';
import type { Section } from './page.ts';
import { chartBlock } from './page.ts';
import type { Row } from './table.ts';
import { htmlTable } from './table.ts';

/** What a result must fall below to be called a difference. */
const LEVEL = 0.05;

const fixed = (value: number, digits: number): string => value.toFixed(digits);
const signed = (value: number, digits: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;

function sampleText(sample: Sample | undefined, digits: number): string {
  if (sample === undefined) return '';
  const { mean, deviation } = sample;
  return deviation === undefined ? fixed(mean, digits) : `${fixed(mean, digits)} ± ${fixed(deviation, digits)}`;
}

function pText(comparison: Comparison | undefined): string {
  if (comparison === undefined) return '';
  const { p } = comparison;
  return p < 0.001 ? '< .001' : p.toFixed(3).replace(/^0/, '');
}

function printedText({ published }: Arm): string {
  if (published === undefined) return '';
  const { mean, deviation, metric } = published;
  const digits = metric === 'seconds' ? 1 : 2;
  return deviation === undefined ? fixed(mean, digits) : `${fixed(mean, digits)} ± ${fixed(deviation, digits)}`;
}

/** The published difference of the means, where the paper prints both. */
function printedDifference(arm: Arm, baseline: Arm | undefined): string {
  if (arm.published === undefined || baseline?.published === undefined) return '';
  return signed(arm.published.mean - baseline.published.mean, 2);
}

/** A group's heading, with the network and data that ran where they are not the paper's. */
function headingOf({ group, arms }: GroupSummary): string {
  const cell = arms.flatMap(({ runs }) => runs)[0];
  const arm = arms.find(({ runs }) => runs.length > 0)?.arm;
  if (cell === undefined || arm === undefined) return group;
  const { recipe, data } = cell.settings;
  return recipe === arm.settings.recipe && data === arm.settings.data
    ? group
    : `${group}; here ${shortName(recipe)} on ${shortName(data)}`;
}

function comparisonTable(experiment: Experiment, groups: readonly GroupSummary[]): string {
  const { digits, name, unit } = metricOf(experiment, experiment.metric);
  const printed = experiment.arms.some(({ published }) => published !== undefined);
  const rows = groups.flatMap((group): Row[] => [
    { group: headingOf(group) },
    ...group.arms.map((summary): Row => {
      const { arm, last, best, planned, runs, diverged, comparison, publishedComparison } = summary;
      const baseline = group.arms.find(({ arm: { id } }) => id === arm.baseline);
      const difference =
        last === undefined || baseline?.last === undefined ? '' : signed(last.mean - baseline.last.mean, digits);
      const interval =
        comparison === undefined ? '' : `${signed(comparison.low, digits)} to ${signed(comparison.high, digits)}`;
      const lost = diverged.length === 0 ? '' : `, ${diverged.length} diverged`;
      return {
        cells: [
          arm.label,
          ...(printed ? [printedText(arm), printedDifference(arm, baseline?.arm), pText(publishedComparison)] : []),
          sampleText(last, digits),
          sampleText(best, digits),
          `${runs.length}${runs.length === planned ? '' : ` of ${planned}`}${lost}`,
          difference,
          interval,
          pText(comparison),
        ],
        ...(arm.control === true ? { className: 'control' } : {}),
      };
    }),
  ]);
  const head = ['', ...(printed ? ['paper', 'paper: difference', 'paper: p'] : []), `ours, last epoch`, 'ours, best epoch', 'runs', 'difference', '95 % interval', 'p']; // prettier-ignore
  return `<h3>${escapeHtml(`${printed ? 'Paper and ours' : 'What came out'}: ${name}, ${unit}`)}</h3>${htmlTable(head, rows)}`;
}

/** How the tables above are to be read. */
function comparisonNote({ paper, selection }: Experiment, groups: readonly GroupSummary[]): string {
  const open =
    paper === undefined || selection !== undefined
      ? ''
      : `
The paper does not say whether it reports last or best, nor whether its deviation is with n or n − 1; its p is computed here from what it prints.`;
  return `<p class="soft">Mean ± standard deviation (n − 1) over seeds. Differences are to the arm “${escapeHtml(groups[0]?.arms[0]?.arm.label ?? '')}” of the same heading (or to the arm
without LRD that matches a control), on the last epoch; p is that of ${selection === undefined ? 'Welch’s test' : 'the test of differences paired by seed'}, two-sided, without correction for the number of tests. “best epoch” is chosen on the test set, by seed, and is shown for comparison only.${open}</p>`;
}

/** The same table for the metrics beside the experiment's own. */
function furtherTables(experiment: Experiment, outcome: ExperimentOutcome): string {
  const tables = (experiment.further ?? []).map(({ metric, published }) => {
    const arms = experiment.arms.map((arm): Arm => {
      const { published: own, ...rest } = arm;
      const printed = published[arm.id] ?? (own?.metric === metric ? own : undefined);
      return printed === undefined ? rest : { ...rest, published: printed };
    });
    const view = { ...experiment, metric, arms };
    return comparisonTable(view, summarize(view, outcome));
  });
  return tables.join('\n');
}

function crossingsText({ crossings }: TargetSummary): string {
  return crossings.map(({ at, epochs }) => (at === undefined ? `> ${epochs}` : String(at.epoch))).join(', ');
}

function medianText({ crossings }: TargetSummary, of: 'steps' | 'seconds'): string {
  const reached = crossings.flatMap(({ at }) => (at === undefined ? [] : [at[of]]));
  const median = censoredMedian(reached, crossings.length - reached.length);
  if (median === undefined) return crossings.length === 0 ? '' : 'not reached';
  // A run of which it is not recorded how many images it had has no count of steps.
  return Number.isNaN(median) ? '–' : Math.round(median).toLocaleString('en');
}

const targetText = ({ target: { metric, value } }: TargetSummary): string =>
  `${METRICS[metric].name} ${METRICS[metric].rising ? '≥' : '≤'} ${value}${METRICS[metric].unit === '%' ? ' %' : ''}`;

function speedTable(groups: readonly GroupSummary[]): string {
  const rows = groups.flatMap((group): Row[] => {
    const measured = group.arms.filter(({ runs }) => runs.length > 0);
    if (measured.length === 0) return [];
    const levels = measured[0]?.targets.length ?? 0;
    return [
      { group: headingOf(group) },
      ...measured.flatMap((summary): Row[] => {
        const { arm, area, areaComparison, targets } = summary;
        const className = arm.control === true ? { className: 'control' } : {};
        return Array.from({ length: Math.max(1, levels) }, (_, k): Row => {
          const target = targets[k];
          const first = k === 0;
          const pairs = target?.pairs;
          return {
            cells: [
              first ? arm.label : '',
              first ? sampleText(area, 3) : '',
              first && areaComparison !== undefined ? signed(areaComparison.difference, 3) : '',
              first ? pText(areaComparison) : '',
              target === undefined ? '' : targetText(target),
              target === undefined ? '' : crossingsText(target),
              target === undefined ? '' : medianText(target, 'steps'),
              target === undefined ? '' : medianText(target, 'seconds'),
              pairs === undefined ? '' : `${pairs.sooner} / ${pairs.equal} / ${pairs.later}`,
            ],
            ...className,
          };
        });
      }),
    ];
  });
  if (rows.length === 0) return '';
  const head = ['', 'area under the training loss', 'paired difference', 'p', 'level', 'epochs, by seed', 'steps', 'seconds', 'sooner / same / later']; // prettier-ignore
  return `<h3>Speed of convergence</h3>${htmlTable(head, rows)}
<p class="soft">The papers claim it and do not measure it. Area: the sum of the epochs’ mean training losses, in nats × epochs, less is faster; differences are paired by seed. A level counts as reached at the end of the first
epoch that has it; “&gt; n” is a run that did not reach it in its n epochs: it stays in the medians of steps and seconds and in the pairs as later than any that did. The last level of each heading is the training loss
at which the arm without LRD ends, that of its slowest seed. Seconds are wall-clock time of training without evaluation, on whatever else the machine was doing.</p>`;
}

const percent = (ratio: number): string => `${signed(100 * (ratio - 1), 1)} %`;

function controlTable({ metric }: Experiment, groups: readonly GroupSummary[]): string {
  const { digits, name } = METRICS[metric];
  const rows = summarizeControls(groups).map(
    ({ group, keepProbability, difference, comparison, areaOverBaseline, areaOverControl }): Row => ({
      cells: [
        group,
        String(keepProbability),
        percent(areaOverBaseline),
        percent(areaOverControl),
        signed(difference, digits),
        pText(comparison),
      ],
    }),
  );
  if (rows.length === 0) return '';
  const head = ['', 'p', 'loss area over that without LRD', 'loss area over that of the control', `${name}: LRD minus control`, 'p of the difference']; // prettier-ignore
  return `<h3>LRD against a smaller learning rate</h3>${htmlTable(head, rows)}
<p class="soft">The control has no mask and the learning rate times p, the mean step of LRD. What LRD does beyond a smaller mean step is the difference to it. Areas are means over the seeds that all three arms have.</p>`;
}

/** The arm of the legend for each label of an experiment: grey without LRD, dashed for controls. */
type Styles = ReadonlyMap<string, DrawnArm>;

function stylesOf(arms: readonly Arm[]): Styles {
  const styles = new Map<string, DrawnArm>();
  let next = 1;
  for (const { label, baseline, control = false } of arms) {
    if (styles.has(label)) continue;
    const plain = baseline === undefined && styles.size === 0;
    styles.set(label, { label, style: plain ? 0 : next, ...(control ? { control } : {}) });
    if (!plain) next += 1;
  }
  return styles;
}

interface FigureContext {
  readonly experiment: Experiment;
  readonly outcome: ExperimentOutcome;
  readonly styles: Styles;
}

const begun = ({ metrics }: CellOutcome): boolean => metrics.length > 0;

/** The runs of an arm that a curve is drawn from: those that are over, else those under way. */
function drawnRuns({ cells }: ExperimentOutcome, id: string): CellOutcome[] {
  const runs = cells.filter((cell) => cell.arm === id && begun(cell));
  const over = runs.filter(({ outcome }) => outcome !== 'unfinished');
  return over.length > 0 ? over : runs;
}

/** The figure without the rows and columns that nothing was run for. */
function withRuns(figure: Figure, outcome: ExperimentOutcome): Figure {
  const { columns, panels } = figure;
  const drawn = panels.map(({ arms }) => arms.some((id) => drawnRuns(outcome, id).length > 0));
  const column = (k: number): boolean => drawn.some((has, at) => has && at % columns === k % columns);
  const row = (k: number): boolean =>
    drawn.some((has, at) => has && Math.floor(at / columns) === Math.floor(k / columns));
  return {
    ...figure,
    columns: Array.from({ length: columns }, (_, k) => k).filter(column).length,
    panels: panels.filter((_, k) => column(k) && row(k)),
  };
}

/** The columns of a cell that a figure's charts, and its x axes, need. */
function columnsOf({ metrics, settings, examples }: CellOutcome, wanted: ReadonlySet<Metric>): Curve['columns'] {
  const column = (values: readonly number[]): Column => values.map((value) => short(value));
  const perEpoch = examples === undefined ? undefined : Math.ceil(examples.train / settings.batchSize);
  let sum = 0;
  return {
    epoch: metrics.map(({ epoch }) => epoch),
    ...(perEpoch === undefined ? {} : { step: metrics.map(({ epoch }) => epoch * perEpoch) }),
    // Its own name: the time of an epoch is a quantity that figures show.
    elapsed: column(metrics.map(({ seconds }) => (sum += seconds))),
    ...Object.fromEntries([...wanted].map((metric) => [metric, column(metrics.map((line) => valueOf(line, metric)))])),
  };
}

/** A figure's curves: an arm a label, a curve a run, a row of charts a row of panels. */
function figureBlock(figure: Figure, id: string, { experiment, outcome, styles }: FigureContext): Block {
  const wanted = new Set(figure.panels.map(({ metric }) => metric));
  const arms: DrawnArm[] = [];
  const curves: Curve[] = [];
  const places = new Map<string, readonly number[]>();
  for (const arm of experiment.arms) {
    if (!figure.panels.some((panel) => panel.arms.includes(arm.id))) continue;
    const style = styles.get(arm.label);
    const runs = drawnRuns(outcome, arm.id);
    if (style === undefined || runs.length === 0) continue;
    const index = arms.push(style) - 1;
    const own = runs.map((run) => {
      const name = `${arm.group}: ${arm.label}, seed ${run.seed}`;
      return curves.push({ name, arm: index, columns: columnsOf(run, wanted) }) - 1;
    });
    places.set(arm.id, own);
  }
  const charts = figure.panels.map(({ title, metric, arms: ids }): Chart => {
    const { name, unit, logarithmic } = metricOf(experiment, metric);
    return {
      title,
      row: `${name}, ${unit}`,
      y: { column: metric, label: unit, logarithmic },
      curves: ids.flatMap((arm) => places.get(arm) ?? []),
    };
  });
  const withSteps = curves.every(({ columns }) => columns['step'] !== undefined);
  return {
    id,
    axes: runAxes(withSteps, 'elapsed'),
    arms,
    curves,
    charts,
  };
}

/** A figure with its caption, and the data that its charts are drawn from; undefined where nothing was run for it. */
function figureOf(whole: Figure, k: number, context: FigureContext): { html: string; block: Block } | undefined {
  const { experiment, outcome } = context;
  const figure = withRuns(whole, outcome);
  const drawn = new Set(figure.panels.flatMap(({ arms }) => arms));
  const arms = experiment.arms.filter(
    ({ id }) => drawn.has(id) && outcome.cells.some((cell) => cell.arm === id && begun(cell)),
  );
  if (arms.length === 0) return undefined;
  const others = differences(arms, outcome.cells, experiment.seeds);
  const source = experiment.paper === undefined ? 'the file' : 'the paper';
  const here = others.length === 0 ? `Settings as in ${source}.` : `What differs from ${source}: ${others.join('; ')}.`;
  const id = [experiment.name, outcome.scale, String(k + 1), JSON.stringify(outcome.overlay)].join(' ');
  const block = figureBlock(figure, id, context);
  const html = `<h3>${escapeHtml(`${figure.place}: ${figure.about}`)}</h3>${chartBlock(block)}
<p class="note"><b>${escapeHtml(figure.place)}</b>, ${escapeHtml(figure.about)}. ${escapeHtml(here)} Lines are means over seeds, bands reach from the lowest to the highest run.
Training loss and accuracy are running means over the epoch, in training mode.</p>`;
  return { html, block };
}

/** LRD against its baseline over all headings, in a sentence that counts and does not weigh. */
function verdict(experiment: Experiment, groups: readonly GroupSummary[]): string {
  const { metric, selection } = experiment;
  if (selection !== undefined) return answersInWords(experiment, groups).slice(0, 2).map(escapeHtml).join(' ');
  const pairs = groups.flatMap(({ arms }) =>
    arms.flatMap((summary) => {
      const { arm, last } = summary;
      const baseline = arms.find(({ arm: { id } }) => id === arm.baseline);
      if (arm.control === true || last === undefined || baseline?.last === undefined) return [];
      return [{ summary, baseline, difference: last.mean - baseline.last.mean }];
    }),
  );
  if (pairs.length === 0) return '';
  const { name } = METRICS[metric];
  const better = pairs.filter(({ difference }) => improves(metric, difference));
  const worse = pairs.filter(({ difference }) => improves(metric, -difference));
  const sure = (of: typeof pairs): number =>
    of.filter(({ summary: { comparison } }) => (comparison?.p ?? 1) < LEVEL).length;
  const slower = pairs.filter(
    ({ summary, baseline }: { summary: ArmSummary; baseline: ArmSummary }) =>
      (summary.area?.mean ?? NaN) > (baseline.area?.mean ?? NaN),
  );
  const seeds = Math.max(...pairs.map(({ summary }) => summary.runs.length));
  const few =
    seeds < 3 ? ` With ${seeds} ${seeds === 1 ? 'seed there is no test' : 'seeds a test has hardly any power'}.` : '';
  const controls = summarizeControls(groups);
  const off = controls.map(({ areaOverControl }) => areaOverControl - 1);
  const range =
    off.length === 0 ? '' : [Math.min(...off), Math.max(...off)].map((x) => `${signed(100 * x, 1)} %`).join(' to ');
  const control =
    range === ''
      ? ''
      : ` Against the control, p = 1 with the learning rate times p, LRD’s area is ${range} (${off.length} ${off.length === 1 ? 'comparison' : 'comparisons'}).`;
  return `Of ${pairs.length} comparisons with the arm without, ${better.length} end with a better ${name} (${sure(better)} with p &lt; ${LEVEL}),
${worse.length} with a worse one (${sure(worse)} with p &lt; ${LEVEL}); the area under the training loss is larger, so training slower, in ${slower.length}.${control}${few}`;
}

const list = (items: readonly string[]): string =>
  items.length === 0 ? '' : `<ul class="notes">${items.map((item) => `<li>${escapeHtml(item)}</li>`).join('')}</ul>`;

/** An experiment's part of the page: what the paper says, what came out, and what differs. */
export function experimentSection(experiment: Experiment, outcome: ExperimentOutcome): Section {
  const groups = summarize(experiment, outcome);
  const context = { experiment, outcome, styles: stylesOf(experiment.arms) };
  const done = outcome.cells.filter(({ outcome: how }) => how !== 'unfinished').length;
  const say = (key: 'backend' | 'node' | 'processor'): string =>
    [...new Set(outcome.cells.flatMap((cell) => cell[key] ?? []))].join(', ');
  const cells = outcome.cells;
  const arms = experiment.arms.filter(({ id }) => cells.some((cell) => cell.arm === id));
  const timed = experiment.metric === 'seconds';
  const shown = verdict(experiment, groups);
  const answers = experiment.selection === undefined ? '' : list(answersInWords(experiment, groups).slice(2));
  const figures = experiment.figures.flatMap((figure, k) => figureOf(figure, k, context) ?? []);
  const { paper, places, title, about, claims, notes } = experiment;
  const source = paper === undefined ? 'the file' : 'the paper';
  const place = places === '' ? '' : `${places}: `;
  const intro = [about, paper === undefined ? undefined : `${PAPERS[paper]}.`]
    .filter((line) => line !== undefined)
    .join(' ');
  const what = [...new Set(cells.map(({ settings: { recipe, data } }) => `${recipe} on ${data}`))].join(', ');
  return {
    heading: `${place}${title} (${what}${outcome.scale === 'full' ? '' : `, scale ${outcome.scale}`})`,
    blocks: figures.map(({ block }) => block),
    ...(shown === '' ? {} : { answer: shown }),
    body: `<p class="soft">${escapeHtml(intro)} ${done} of ${cells.length} runs are done. Backend ${escapeHtml(say('backend'))}, Node ${escapeHtml(say('node'))}, ${escapeHtml(say('processor'))}.</p>
${claims.length === 0 ? '' : `<h3>What ${source} says</h3>${list(claims)}`}
${shown === '' ? '' : `<h3>What these runs show</h3><p>${shown}</p>${answers}`}
<h3>What differs from ${source}’s setting</h3>${list(differences(arms, cells, experiment.seeds))}
${comparisonTable(experiment, groups)}
${furtherTables(experiment, outcome)}${comparisonNote(experiment, groups)}
${figures.map(({ html }) => html).join('\n')}
${controlTable(experiment, groups)}
${timed ? '' : speedTable(groups)}
${notes.length === 0 ? '' : `<h3>Notes</h3>${list(notes)}`}`,
  };
}
