/** Results as text for a terminal. */
import type { GroupResult, LaneResult, Limit, RatioResult } from './results.ts';
import { keeps } from './results.ts';
import type { Spread } from './statistics.ts';

/** Three significant digits, without an exponent. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en');
  return size >= 100
    ? value.toFixed(0)
    : size >= 10
      ? value.toFixed(1)
      : size >= 0.01
        ? value.toFixed(2)
        : value.toPrecision(2);
}

/** A time in milliseconds, in the unit that suits it. */
export function duration(ms: number): string {
  if (ms >= 1000) return `${figure(ms / 1000)} s`;
  return ms >= 1 ? `${figure(ms)} ms` : ms >= 1e-3 ? `${figure(ms * 1e3)} us` : `${figure(ms * 1e6)} ns`;
}

/** Bytes, in binary units. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const power = value < 1 ? 0 : Math.min(3, Math.floor(Math.log2(value) / 10));
  return `${power === 0 ? value : figure(value / 1024 ** power)} ${units[power] as string}`;
}

/** Median with the quartiles: `0.27 (0.26 to 0.29)`. */
export const spreadText = ({ median, low, high }: Spread): string =>
  `${figure(median)} (${figure(low)} to ${figure(high)})`;

/** A ratio by the wall's clock, and by processor time where that was taken. */
export const ratioText = ({ ratio, processor }: Pick<RatioResult, 'ratio' | 'processor'>): string =>
  processor === undefined ? spreadText(ratio) : `${spreadText(ratio)} / ${figure(processor.median)}`;

/** A bound and whether it was kept. */
export function limitText(limit: Limit | undefined, median: number): string {
  if (limit === undefined) return '';
  return `${limit.kind} ${figure(limit.value)}: ${keeps(limit, median) ? 'kept' : 'MISSED'}`;
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, k) => Math.max(...rows.map((row) => (row[k] as string).length)));
  return rows.map((row) =>
    row
      .map((cell, k) => (k === 0 ? cell.padEnd(widths[k] as number) : cell.padStart(widths[k] as number)))
      .join('  ')
      .trimEnd(),
  );
}

function laneRow(lane: LaneResult, elements: number | undefined): string[] {
  const perElement = lane.nsPerElement;
  return [
    lane.name,
    duration(lane.ms.median),
    perElement === undefined ? '' : spreadText(perElement),
    lane.shareOfCopy === undefined ? '' : `${figure(100 * lane.shareOfCopy.median)} %`,
    lane.hostMs === undefined ? '' : duration(lane.hostMs.median),
    lane.processorMs === undefined ? '' : duration(lane.processorMs.median),
    lane.extraBytes === undefined
      ? ''
      : elements === undefined
        ? bytes(lane.extraBytes)
        : `${bytes(lane.extraBytes)} (${figure(lane.extraBytes / elements)})`,
  ];
}

/** Ratios without a limit: a row a lane, a column a peer; a list where lanes have peers of their own. */
function ratioMatrix({ ratios }: GroupResult): string[] {
  const free = ratios.filter(({ limit }) => limit === undefined);
  if (free.length === 0) return [];
  const lanes = [...new Set(free.map(({ lane }) => lane))];
  const peers = [...new Set(free.map(({ over }) => over))];
  if (free.length < lanes.length * peers.length || peers.length === 1) {
    return columns(free.map((each) => [`${each.lane} over ${each.over}`, ratioText(each)])).map((line) => `  ${line}`);
  }
  const cell = (lane: string, peer: string): string => {
    const found = free.find((ratio) => ratio.lane === lane && ratio.over === peer);
    return found === undefined ? '' : ratioText(found);
  };
  const letters = peers.map((_, k) => String.fromCharCode(97 + k));
  return [
    ...columns([
      ['time over that of', ...letters],
      ...lanes.map((lane) => [lane, ...peers.map((peer) => cell(lane, peer))]),
    ]),
    `(${peers.map((peer, k) => `${letters[k] as string}: ${peer}`).join('; ')}; behind /: by processor time)`,
  ].map((line) => `  ${line}`);
}

/** A group as a table of its lanes, its ratios, and what was left out. */
export function groupText(group: GroupResult): string {
  const { elements } = group;
  const head = [
    '',
    'a step',
    'ns an element',
    'of a copy',
    "host's clock",
    'on a processor',
    'extra bytes (an element)',
  ];
  const cells = group.lanes.map((lane) => laneRow(lane, elements));
  // Columns that say nothing here are left out.
  const said = head.map((_, k) => cells.some((row) => row[k] !== ''));
  const lines = [
    `${group.name}${group.noise > 0.15 ? `   [noisy: a fixed piece of work varied by ${figure(100 * group.noise)} %]` : ''}`,
    ...(cells.length === 0 ? [] : columns([head, ...cells].map((row) => row.filter((__, k) => said[k])))),
  ];
  const ratios = group.ratios
    .filter(({ limit }) => limit !== undefined)
    .map((each) => [`${each.lane} over ${each.over}`, ratioText(each), limitText(each.limit, each.ratio.median)]);
  const figures = group.figures.map(({ name, unit, value, limit }) => [
    name,
    `${spreadText(value)} ${unit}`,
    limitText(limit, value.median),
  ]);
  const rows = [...ratios, ...figures];
  if (rows.length > 0) lines.push(...columns(rows).map((line) => `  ${line}`));
  lines.push(...ratioMatrix(group));
  // What all lanes have in common is said once.
  const reasons = new Set(group.skipped.map(({ reason }) => reason));
  if (group.lanes.length === 0 && reasons.size === 1) lines.push(`  left out: ${[...reasons].join()}`);
  else for (const { name, reason } of group.skipped) lines.push(`  left out: ${name}: ${reason}`);
  return `${lines.join('\n')}\n`;
}
