/** Results as a page that needs no network: ratios as bars, scaling as lines, bandwidth against that of a copy, and all tables. */
import type { Bar } from '../../models/report/charts/bars.ts';
import { barChart } from '../../models/report/charts/bars.ts';
import type { Axis, Block } from '../../models/report/charts/model.ts';
import { COLOURS } from '../../models/report/charts/model.ts';
import { escapeHtml } from '../../models/report/html.ts';
import type { Section } from '../../models/report/page.ts';
import { chartBlock, sectionsPage } from '../../models/report/page.ts';
import { htmlTable } from '../../models/report/table.ts';
import type { BenchResult, GroupResult, LaneResult, SuiteResult } from '../harness/results.ts';
import { keeps } from '../harness/results.ts';
import { bytes, duration, figure, limitText, ratioText, spreadText } from '../harness/table.ts';

/** A table of texts. */
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  htmlTable(
    head,
    rows.map((cells) => ({ cells })),
  );

function lanesTable({ lanes, elements }: GroupResult): string {
  if (lanes.length === 0) return '';
  const rows = lanes.map((lane) => [
    lane.name,
    duration(lane.ms.median),
    `${duration(lane.ms.low)} to ${duration(lane.ms.high)}`,
    lane.nsPerElement === undefined ? '' : spreadText(lane.nsPerElement),
    lane.shareOfCopy === undefined ? '' : `${figure(100 * lane.shareOfCopy.median)} %`,
    lane.extraBytes === undefined
      ? ''
      : `${bytes(lane.extraBytes)}${elements === undefined ? '' : ` (${figure(lane.extraBytes / elements)} an element)`}`,
    lane.hostMs === undefined ? '' : duration(lane.hostMs.median),
    lane.processorMs === undefined ? '' : duration(lane.processorMs.median),
    String(lane.turns),
  ]);
  return table(
    ['', 'a step', 'quartiles', 'ns an element', 'of a copy', 'extra bytes', "host's clock", 'on a processor', 'turns'],
    rows,
  );
}

function boundsTable({ ratios, figures }: GroupResult): string {
  const rows = [
    ...ratios
      .filter(({ limit }) => limit !== undefined)
      .map((each) => [`${each.lane} over ${each.over}`, ratioText(each), '', limitText(each.limit, each.ratio.median)]),
    ...figures.map(({ name, unit, value, limit }) => [name, spreadText(value), unit, limitText(limit, value.median)]),
  ];
  return rows.length === 0 ? '' : table(['', 'median (quartiles) / by processor time', '', 'bound'], rows);
}

function ratioBars({ name, ratios }: GroupResult): string[] {
  const lanes = [...new Set(ratios.map(({ lane }) => lane))];
  return lanes.map((lane, k) => {
    const color = `var(${COLOURS[(k + 1) % COLOURS.length]})`;
    const bars = ratios
      .filter((ratio) => ratio.lane === lane)
      .map(({ over, ratio }): Bar => ({ label: over, value: ratio.median, low: ratio.low, high: ratio.high, color }));
    const title = `${lane} (${name})`;
    const chart = barChart(bars, { title, xLabel: 'time over that of, turn by turn (below 1: faster)', reference: 1 });
    return `<figure class="chart"><figcaption>${escapeHtml(title)}</figcaption><div class="plot-place">${chart}</div></figure>`;
  });
}

/** A curve a lane, over the groups that have it; undefined where no lane has two points. */
function lanesBlock(
  { id, title, x, y }: { readonly id: string; readonly title: string; readonly x: Axis; readonly y: Axis },
  groups: readonly GroupResult[],
  at: (group: GroupResult, lane: LaneResult) => number | undefined,
  value: (group: GroupResult, lane: LaneResult) => number | undefined,
): Block | undefined {
  const names = [...new Set(groups.flatMap(({ lanes }) => lanes.map(({ name }) => name)))];
  const lanes = names
    .map((name) => ({
      name,
      points: groups
        .flatMap((group) => group.lanes.filter((lane) => lane.name === name).map((lane) => ({ group, lane })))
        .flatMap(({ group, lane }): (readonly [number, number])[] => {
          const [px, py] = [at(group, lane), value(group, lane)];
          return px === undefined || py === undefined ? [] : [[px, py]];
        })
        .sort(([a], [b]) => a - b),
    }))
    .filter(({ points }) => points.length > 1);
  if (lanes.length === 0) return undefined;
  return {
    id,
    axes: [x],
    arms: lanes.map(({ name }, k) => ({ label: name, style: k, ...(name.includes('copy') ? { control: true } : {}) })),
    curves: lanes.map(({ name, points }, k) => ({
      name,
      arm: k,
      columns: { [x.column]: points.map(([px]) => px), [y.column]: points.map(([, py]) => py) },
    })),
    charts: [{ title, row: '', y, curves: lanes.map((_, k) => k) }],
  };
}

const NS: Axis = { column: 'ns', label: 'ns an element', logarithmic: true };

function scaling({ groups }: SuiteResult): Block[] {
  const perElement = (_: GroupResult, lane: LaneResult): number | undefined => lane.nsPerElement?.median;
  const single = groups.filter(({ tensors }) => tensors === 1);
  const parameters: Axis = { column: 'parameters', label: 'parameters', logarithmic: true };
  const bySize = lanesBlock({ id: 'scale by size', title: 'LRD-Adam in one tensor', x: parameters, y: NS }, single, ({ elements }) => elements, perElement); // prettier-ignore
  const largest = Math.max(...groups.filter(({ tensors }) => (tensors ?? 0) > 1).map(({ elements }) => elements ?? 0));
  const split = groups.filter(({ elements, tensors }) => (tensors ?? 0) > 1 && elements === largest);
  const tensors: Axis = { column: 'tensors', label: 'tensors', logarithmic: true };
  const byCount = lanesBlock({ id: 'scale by count', title: `${figure(largest)} parameters in several tensors`, x: tensors, y: NS }, split, ({ tensors: count }) => count, perElement); // prettier-ignore
  return [bySize, byCount].filter((block) => block !== undefined);
}

/** Bytes a second against bytes moved: under the roof that a copy of as many bytes sets. */
function rooflines({ groups }: SuiteResult): Block[] {
  const families = new Map<string, GroupResult[]>();
  for (const group of groups) {
    const parts = group.name.split(', ');
    const key = `${parts[0]}, ${parts.at(-1)}`;
    families.set(key, [...(families.get(key) ?? []), group]);
  }
  const x: Axis = { column: 'bytes', label: 'bytes that a step must move', logarithmic: true };
  const y: Axis = { column: 'speed', label: 'GB a second', logarithmic: true };
  return [...families].flatMap(
    ([title, members]) =>
      lanesBlock(
        { id: `roofline ${title}`, title, x, y },
        members,
        (_, { bytesMoved }) => bytesMoved,
        (_, { bytesMoved, ms }) => (bytesMoved === undefined ? undefined : bytesMoved / ms.median / 1e6),
      ) ?? [],
  );
}

function details(group: GroupResult): string {
  const noise = group.noise > 0.15 ? ` <span class="soft">noisy: a fixed piece of work varied by ${figure(100 * group.noise)} %</span>` : ''; // prettier-ignore
  const skipped = group.skipped.map(({ name, reason }) => `<li>${escapeHtml(`${name}: ${reason}`)}</li>`).join('');
  return `<h3>${escapeHtml(group.name)}${noise}</h3>${lanesTable(group)}${boundsTable(group)}${skipped === '' ? '' : `<p class="soft">Left out:</p><ul class="soft">${skipped}</ul>`}`;
}

function section(suite: SuiteResult): Section {
  const bars = suite.groups.flatMap(ratioBars);
  const blocks = [
    ...(suite.name === 'scale' ? scaling(suite) : []),
    ...(suite.name === 'step' ? rooflines(suite) : []),
  ];
  const roof =
    suite.name === 'step' && blocks.length > 0
      ? `<h3>Roofline: bytes a second, under a copy of as many bytes (dashed)</h3>
<p class="soft">Bytes are those that a step cannot do without: parameter and state read and written, the gradient read. What a peer moves beyond them counts as time, not as bytes.</p>`
      : '';
  return {
    heading: suite.title,
    blocks,
    body: `<p>${escapeHtml(suite.about)} <span class="soft">${figure(suite.seconds)} s.</span></p>
${roof}${blocks.map(chartBlock).join('\n')}
${bars.length === 0 ? '' : `<h3>Ratios</h3><div class="charts two">${bars.join('\n')}</div>`}
<details><summary>All figures of this suite</summary>${suite.groups.map(details).join('')}</details>`,
  };
}

/** Bounds of the whole run on one list. */
function bounds({ suites }: BenchResult): Section[] {
  const rows = suites.flatMap(({ groups }) =>
    groups.flatMap((group) => [
      ...group.ratios.flatMap(({ lane, over, ratio, limit }) =>
        limit === undefined ? [] : [{ what: `${lane} over ${over}`, group: group.name, value: ratio, unit: '', limit }],
      ),
      ...group.figures.flatMap(({ name, unit, value, limit }) =>
        limit === undefined ? [] : [{ what: name, group: group.name, value, unit, limit }],
      ),
    ]),
  );
  if (rows.length === 0) return [];
  const kept = rows.filter(({ value, limit }) => keeps(limit, value.median)).length;
  const missed = rows
    .filter(({ value, limit }) => !keeps(limit, value.median))
    .map(({ what, value, limit }) => `${what} is ${spreadText(value)}, ${limitText(limit, value.median)}`);
  const cells = rows.map(({ what, group, value, unit, limit }) => [what, group, `${spreadText(value)} ${unit}`, limitText(limit, value.median)]); // prettier-ignore
  return [
    {
      heading: `Bounds: ${kept} of ${rows.length} kept`,
      ...(missed.length === 0 ? {} : { answer: `missed: ${escapeHtml(missed.join('; '))}.` }),
      body: table(['', 'in', 'median (quartiles)', 'bound'], cells),
    },
  ];
}

const describe = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** The whole result as one HTML file. */
export function renderBenchReport(result: BenchResult): string {
  const environment = Object.entries(result.environment).map(([name, value]) => [name, describe(value)]);
  const warnings = result.warnings
    .map((warning) => `<p><strong>Warning:</strong> ${escapeHtml(warning)}.</p>`)
    .join('');
  return sectionsPage(
    'Learning Rate Dropout: benchmarks',
    `<p class="soft">Made by <code>${escapeHtml(result.command)}</code>. All lanes of a group took turns in one run; figures are medians over the turns with quartiles, ratios are taken turn by turn.</p>
${warnings}`,
    [...bounds(result), ...result.suites.map(section), { heading: 'Environment', body: table(['', ''], environment) }],
  );
}
