import { escapeHtml } from './svg.ts';

const STYLE = `
:root { color-scheme: light dark; --ink: #1a1a1e; --soft: #62626c; --line: #dcdce2; --paper: #fff; --panel: #f7f7f9;
  --plain: #8a8f98; --lrd: #c2410c; --c2: #1d6fb8; --c3: #2f855a; --c4: #8e44ad; --c5: #b7791f; --c6: #0f766e; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf0; --soft: #a4a4ae; --line: #3a3a42; --paper: #17171a; --panel: #202024;
  --plain: #9aa0aa; --lrd: #fb923c; --c2: #63b3ed; --c3: #68d391; --c4: #d6a2e8; --c5: #ecc94b; --c6: #4fd1c5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 20px 60px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 25px; margin: 0 0 4px; letter-spacing: -0.01em; } h2 { font-size: 18px; margin: 34px 0 8px; }
p { max-width: 75ch; } .soft { color: var(--soft); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; } .scroll { overflow-x: auto; }
th, td { padding: 5px 12px 5px 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; font-size: 13px; }
td.best { font-weight: 700; }
.grid-of-charts { display: grid; gap: 10px; } .chart { width: 100%; height: auto; background: var(--panel); border-radius: 6px; }
.chart text { fill: var(--ink); font: 10px system-ui, sans-serif; } .chart .title { font-size: 12px; font-weight: 600; }
.chart .tick, .chart .label { fill: var(--soft); } .chart .grid { stroke: var(--line); stroke-width: 0.6; } .chart .axis { stroke: var(--soft); } .chart .whisker { stroke: var(--ink); stroke-width: 1.2; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; margin: 10px 0; padding: 0; list-style: none; }
.legend i { display: inline-block; width: 22px; height: 0; border-top: 3px solid; margin-right: 7px; vertical-align: middle; }
section { margin-top: 40px; } h3 { font-size: 15px; margin: 24px 0 6px; } ul.notes { max-width: 85ch; padding-left: 20px; margin: 6px 0; }
th { vertical-align: bottom; white-space: normal; } tr.group th { color: var(--ink); text-align: left; padding-top: 16px; } tr.control td:first-child { color: var(--soft); }
figure { margin: 14px 0 26px; } figcaption { max-width: 85ch; font-size: 13.5px; margin-top: 8px; } figcaption b { font-weight: 650; }
.legend i.dashed { border-top-style: dashed; } .verdict { border-left: 4px solid var(--lrd); padding: 2px 0 2px 14px; }
@media (max-width: 640px) { .grid-of-charts { grid-template-columns: 1fr !important; } }
@media print { @page { margin: 12mm; } body { max-width: none; padding: 0; font-size: 11.5px; print-color-adjust: exact; }
  .chart, tr, figcaption, li { break-inside: avoid; } h2, h3, thead { break-after: avoid; } .scroll { overflow: visible; }
  table { font-size: 10px; } th { font-size: 9.5px; } th, td { padding: 3px 8px 3px 0; } td:first-child { white-space: normal; } tr.group { break-after: avoid; }
  section + section { break-before: page; } }
`;

/** Nothing runs in a page, and nothing is loaded: what a file of a run may hold does neither. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** A self-contained page: no script, no font, no picture from elsewhere. `body` is HTML. */
export function htmlPage(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

/** A part of a page with a heading of its own. */
export interface Section {
  readonly heading: string;
  /** HTML. */
  readonly body: string;
}

/** A page made of sections, under a heading and a paragraph of HTML. */
export function sectionsPage(title: string, introduction: string, sections: readonly Section[]): string {
  const parts = sections.map(({ heading, body }) => `<section><h2>${escapeHtml(heading)}</h2>\n${body}</section>`);
  return htmlPage(title, `<h1>${escapeHtml(title)}</h1>\n${introduction}\n${parts.join('\n')}`);
}
