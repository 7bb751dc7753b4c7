import { createHash } from 'node:crypto';
import type { Block } from './charts/model.ts';
import { strokeOf } from './charts/model.ts';
import { pictures } from './charts/picture.ts';
import { escapeHtml, inertJson } from './html.ts';
import { pageScript } from './script.ts';
import { STYLE } from './style.ts';

const sha256 = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

export interface PageOptions {
  /** Charts that the script brings to life. */
  readonly blocks?: readonly Block[];
  /** Whether the page is served by `lrd report --watch` and fetches itself anew. */
  readonly live?: boolean;
}

/**
 * A self-contained page: nothing from elsewhere, and a policy that lets nothing in. Only this style sheet and this script run, known by
 * their sums; whatever markup slipped into `body` could neither run nor load.
 *
 * @param body HTML
 */
export function htmlPage(title: string, body: string, { blocks = [], live = false }: PageOptions = {}): string {
  const script = blocks.length > 0 || live || body.includes('class="sortable"') ? pageScript() : '';
  const policy = [
    `default-src 'none'`,
    `style-src ${sha256(STYLE)}`,
    script === '' ? '' : `script-src ${sha256(script)}`,
    `img-src data: blob:`,
    live ? `connect-src 'self'` : '',
    `base-uri 'none'`,
    `form-action 'none'`,
  ].filter((part) => part !== '');
  const data = blocks.length === 0 ? '' : `<script type="application/json" id="blocks">${inertJson(blocks)}</script>\n`;
  return `<!doctype html>
<html lang="en"${live ? ' data-live="1"' : ''}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy.join('; ')}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
${data}${script === '' ? '' : `<script>${script}</script>\n`}</body>
</html>
`;
}

/** A part of a page with a heading of its own. */
export interface Section {
  readonly heading: string;
  /** HTML. */
  readonly body: string;
  /** What came out, as HTML of one or two sentences: it stands at the page's beginning. */
  readonly answer?: string;
  /** Charts in `body`, as `chartBlock` put them there. */
  readonly blocks?: readonly Block[];
}

/** Bytes that all pictures of a block may take: beyond them points are left out. */
const PICTURE_BYTES = 600_000;
/** What a point of a path takes. */
const POINT_BYTES = 15;
/** Charts of a block that have a picture without script. */
const MOST_PICTURES = 48;

/** The legend and the charts of a block, as they are seen without script. */
export function chartBlock(block: Block): string {
  const labels = new Set<string>();
  const used = new Set(block.charts.flatMap(({ curves }) => curves.map((index) => block.curves[index]?.arm)));
  const legend = block.arms.flatMap((arm, index) => {
    if (!used.has(index) || labels.has(arm.label)) return [];
    labels.add(arm.label);
    const { colour, dash } = strokeOf(arm);
    const dashes = dash === '' ? '' : ` stroke-dasharray="${dash}"`;
    return [
      `<li><svg class="key" viewBox="0 0 30 8" aria-hidden="true"><line x1="1" x2="29" y1="4" y2="4" stroke="${colour}" stroke-width="3"${dashes}/></svg><span>${escapeHtml(arm.label)}</span></li>`,
    ];
  });
  const shown = { ...block, charts: block.charts.slice(0, MOST_PICTURES) };
  const svgs = pictures(shown, Math.floor(PICTURE_BYTES / POINT_BYTES / Math.max(1, shown.charts.length)));
  const rows = new Map<string, string[]>();
  block.charts.forEach((chart, k) => {
    const picture = svgs[k] ?? '<p class="soft undrawn">This chart is drawn by the page’s script.</p>';
    const figure = `<figure class="chart" data-chart="${k}"><figcaption>${escapeHtml(chart.title)}</figcaption><div class="plot-place">${picture}</div></figure>`;
    rows.set(chart.row, [...(rows.get(chart.row) ?? []), figure]);
  });
  const list = `<ul class="legend">${legend.join('')}</ul>`;
  const folded =
    legend.length > 14
      ? `<details class="legend-fold"><summary>Legend: ${legend.length} arms</summary>${list}</details>`
      : list;
  const thinned = block.thinned === undefined ? '' : `<p class="soft">${escapeHtml(block.thinned)}</p>`;
  const charts = [...rows].map(([row, figures]) => {
    const heading = rows.size > 1 || row !== '' ? `<p class="row-name">${escapeHtml(row)}</p>` : '';
    return `<div class="row">${heading}<div class="charts">${figures.join('\n')}</div></div>`;
  });
  return `<div class="block" data-block="${escapeHtml(block.id)}">${folded}${charts.join('\n')}${thinned}</div>`;
}

const anchorOf = (heading: string, k: number): string =>
  `s${k + 1}-${heading
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 40)}`;

/**
 * A page made of sections that fold, under a heading and a paragraph of HTML: first what came out, then the contents, which stay in
 * sight, then the sections.
 */
export function sectionsPage(
  title: string,
  introduction: string,
  sections: readonly Section[],
  { live = false }: { readonly live?: boolean } = {},
): string {
  const anchors = sections.map(({ heading }, k) => anchorOf(heading, k));
  const answers = sections.flatMap(({ heading, answer }, k) => {
    if (answer === undefined) return [];
    const link = sections.length === 1 ? '' : `<a href="#${anchors[k]}">${escapeHtml(heading)}</a>: `;
    return [`<li>${link}${answer}</li>`];
  });
  const first =
    answers.length === 0
      ? ''
      : `<section class="answer" aria-label="What came out"><ul>${answers.join('\n')}</ul></section>`;
  const links = sections.map(({ heading }, k) => `<li><a href="#${anchors[k]}">${escapeHtml(heading)}</a></li>`);
  const contents =
    sections.length < 2
      ? ''
      : `<nav class="contents" aria-label="Contents"><details open><summary>Contents</summary><ol>${links.join('')}</ol></details></nav>`;
  const parts = sections.map(
    ({ heading, body }, k) =>
      `<section id="${anchors[k]}"><details class="part" open><summary><h2>${escapeHtml(heading)}</h2></summary>\n${body}</details></section>`,
  );
  const blocks = sections.flatMap((section) => section.blocks ?? []);
  return htmlPage(
    title,
    `<div class="page${contents === '' ? '' : ' with-contents'}"><header><h1>${escapeHtml(title)}</h1>${live ? '<p class="live" role="status" id="live">watching</p>' : ''}
${introduction}
${first}</header>
${contents}<main>
${parts.join('\n')}</main></div>`,
    { blocks, live },
  );
}
