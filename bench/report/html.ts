/** Results as a page that needs no network: ratios as bars, scaling as lines, bandwidth against that of a copy, and all tables. */
import { htmlPage } from '../../models/report/page.ts';
import type { Bar, Series } from '../../models/report/svg.ts';
import { barChart, escapeHtml, lineChart } from '../../models/report/svg.ts';
import type { BenchResult, GroupResult, LaneResult, SuiteResult } from '../harness/results.ts';
import { keeps } from '../harness/results.ts';
import { bytes, duration, figure, limitText, spreadText } from '../harness/table.ts';

const COLORS = ['var(--lrd)', 'var(--c2)', 'var(--c3)', 'var(--c4)', 'var(--c5)', 'var(--c6)', 'var(--plain)'] as const;

const cell = (text: string, tag = 'td'): string => `<${tag}>${escapeHtml(text)}</${tag}>`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  // Columns that say nothing are left out.
  const said = head.map((_, k) => rows.some((row) => row[k] !== ''));
  const line = (cells: readonly string[], tag: string): string =>
    `<tr>${cells
      .filter((_, k) => said[k])
      .map((text) => cell(text, tag))
      .join('')}</tr>`;
  return `<div class="scroll"><table><thead>${line(head, 'th')}</thead><tbody>${rows.map((row) => line(row, 'td')).join('')}</tbody></table></div>`;
}

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
    String(lane.turns),
  ]);
  return table(['', 'a step', 'quartiles', 'ns an element', 'of a copy', 'extra bytes', "host's clock", 'turns'], rows);
}

function boundsTable({ ratios, figures }: GroupResult): string {
  const rows = [
    ...ratios
      .filter(({ limit }) => limit !== undefined)
      .map(({ lane, over, ratio, limit }) => [
        `${lane} over ${over}`,
        spreadText(ratio),
        '',
        limitText(limit, ratio.median),
      ]),
    ...figures.map(({ name, unit, value, limit }) => [name, spreadText(value), unit, limitText(limit, value.median)]),
  ];
  return rows.length === 0 ? '' : table(['', 'median (quartiles)', '', 'bound'], rows);
}

function ratioBars({ name, ratios }: GroupResult): string {
  const lanes = [...new Set(ratios.map(({ lane }) => lane))];
  if (ratios.length === 0) return '';
  return lanes
    .map((lane, k) => {
      const bars = ratios
        .filter((ratio) => ratio.lane === lane)
        .map(({ over, ratio }): Bar => ({ label: over, value: ratio.median, low: ratio.low, high: ratio.high, color: COLORS[k % COLORS.length] as string })); // prettier-ignore
      return barChart(bars, {
        title: `${lane} (${name})`,
        xLabel: 'time over that of, turn by turn (below 1: faster)',
        reference: 1,
      });
    })
    .join('');
}

function legend(series: readonly Series[]): string {
  const items = series.map(
    ({ label, color, dashed }) =>
      `<li><i style="border-color:${color};border-top-style:${dashed === true ? 'dashed' : 'solid'}"></i>${escapeHtml(label)}</li>`,
  );
  return `<ul class="legend">${items.join('')}</ul>`;
}

/** A line a lane, over the groups that have it. */
function lines(
  groups: readonly GroupResult[],
  x: (group: GroupResult, lane: LaneResult) => number | undefined,
  y: (group: GroupResult, lane: LaneResult) => number | undefined,
): Series[] {
  const names = [...new Set(groups.flatMap(({ lanes }) => lanes.map(({ name }) => name)))];
  const series = names.map((label, k): Series => {
    const points = groups.flatMap((group) =>
      group.lanes
        .filter(({ name }) => name === label)
        .flatMap((lane): (readonly [number, number])[] => {
          const [at, value] = [x(group, lane), y(group, lane)];
          return at === undefined || value === undefined ? [] : [[at, value]];
        }),
    );
    return {
      label,
      color: COLORS[k % COLORS.length] as string,
      dashed: label.includes('copy') || k >= COLORS.length,
      points: [...points].sort(([a], [b]) => a - b),
    };
  });
  return series.filter(({ points }) => points.length > 1);
}

const TALL = { width: 560, height: 330 } as const;

function scaling({ groups }: SuiteResult): string {
  const perElement = (_: GroupResult, lane: LaneResult): number | undefined => lane.nsPerElement?.median;
  const bySize = lines(groups.filter(({ tensors }) => tensors === 1), ({ elements }) => elements, perElement); // prettier-ignore
  const largest = Math.max(...groups.filter(({ tensors }) => (tensors ?? 0) > 1).map(({ elements }) => elements ?? 0));
  const split = groups.filter(({ elements, tensors }) => (tensors ?? 0) > 1 && elements === largest);
  const byCount = lines(split, ({ tensors }) => tensors, perElement);
  const options = { ...TALL, yLabel: 'ns an element', logarithmic: true, logarithmicX: true };
  return (
    legend(bySize) +
    '<div class="grid-of-charts" style="grid-template-columns:repeat(2, minmax(0, 1fr))">' +
    lineChart(bySize, { ...options, title: 'LRD-Adam in one tensor', xLabel: 'parameters' }) +
    (byCount.length === 0
      ? ''
      : lineChart(byCount, {
          ...options,
          title: `${figure(largest)} parameters in several tensors`,
          xLabel: 'tensors',
        })) +
    '</div>'
  );
}

/** Bytes a second against bytes moved: under the roof that a copy of as many bytes sets. */
function rooflines({ groups }: SuiteResult): string {
  const families = new Map<string, GroupResult[]>();
  for (const group of groups) {
    const parts = group.name.split(', ');
    const key = `${parts[0]}, ${parts.at(-1)}`;
    families.set(key, [...(families.get(key) ?? []), group]);
  }
  const charts = [...families].flatMap(([key, members]) => {
    const series = lines(
      members,
      (_, { bytesMoved }) => bytesMoved,
      (_, { bytesMoved, ms }) => (bytesMoved === undefined ? undefined : bytesMoved / ms.median / 1e6),
    );
    if (series.length === 0) return [];
    const chart = lineChart(series, {
      ...TALL,
      title: key,
      xLabel: 'bytes that a step must move',
      yLabel: 'GB a second',
      logarithmic: true,
      logarithmicX: true,
    });
    return [`<div>${chart}${legend(series)}</div>`];
  });
  if (charts.length === 0) return '';
  return `<h3>Roofline: bytes a second, under a copy of as many bytes (dashed)</h3>
<p class="soft">Bytes are those that a step cannot do without: parameter and state read and written, the gradient read. What a peer moves beyond them counts as time, not as bytes.</p>
<div class="grid-of-charts" style="grid-template-columns:repeat(2, minmax(0, 1fr))">${charts.join('')}</div>`;
}

function details(group: GroupResult): string {
  const noise = group.noise > 0.15 ? ` <span class="soft">noisy: a fixed piece of work varied by ${figure(100 * group.noise)} %</span>` : ''; // prettier-ignore
  const skipped = group.skipped.map(({ name, reason }) => `<li>${escapeHtml(`${name}: ${reason}`)}</li>`).join('');
  return `<h3>${escapeHtml(group.name)}${noise}</h3>${lanesTable(group)}${boundsTable(group)}${skipped === '' ? '' : `<p class="soft">Left out:</p><ul class="soft">${skipped}</ul>`}`;
}

function section(suite: SuiteResult): string {
  const bars = suite.groups.map(ratioBars).join('');
  return `<h2>${escapeHtml(suite.title)}</h2><p>${escapeHtml(suite.about)} <span class="soft">${figure(suite.seconds)} s.</span></p>
${suite.name === 'scale' ? scaling(suite) : ''}${suite.name === 'step' ? rooflines(suite) : ''}
${bars === '' ? '' : `<div class="grid-of-charts" style="grid-template-columns:repeat(2, minmax(0, 1fr))">${bars}</div>`}
<details><summary>All figures</summary>${suite.groups.map(details).join('')}</details>`;
}

/** Bounds of the whole run on one list. */
function bounds({ suites }: BenchResult): string {
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
  if (rows.length === 0) return '';
  const kept = rows.filter(({ value, limit }) => keeps(limit, value.median)).length;
  const cells = rows.map(({ what, group, value, unit, limit }) => [what, group, `${spreadText(value)} ${unit}`, limitText(limit, value.median)]); // prettier-ignore
  return `<h2>Bounds: ${kept} of ${rows.length} kept</h2>${table(['', 'in', 'median (quartiles)', 'bound'], cells)}`;
}

const describe = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** The whole result as one HTML file. */
export function renderBenchReport(result: BenchResult): string {
  const environment = Object.entries(result.environment).map(([name, value]) => [name, describe(value)]);
  const warnings = result.warnings
    .map((warning) => `<p><strong>Warning:</strong> ${escapeHtml(warning)}.</p>`)
    .join('');
  return htmlPage(
    'Learning Rate Dropout: benchmarks',
    `<h1>Learning Rate Dropout: benchmarks</h1>
<p class="soft">Made by <code>${escapeHtml(result.command)}</code>. All lanes of a group took turns in one run; figures are medians over the turns with quartiles, ratios are taken turn by turn.</p>
${warnings}${bounds(result)}${result.suites.map(section).join('')}
<h2>Environment</h2>${table(['', ''], environment)}`,
  );
}
