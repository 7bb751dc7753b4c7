/** The style sheet of every page. It is known to the page's policy by its sum: a page has no other, and no `style` attribute. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1b1c20; --soft: #565965; --line: #dfe0e5; --paper: #fff; --panel: #f7f7f9; --link: #0b5cad; --focus: #0b5cad;
  --good: #176b3f; --bad: #b3261e;
  --s0: #666d78; --s1: #c2410c; --s2: #1054ae; --s3: #129a50; --s4: #b81fcd; --s5: #43310f; --s6: #0097c9; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf0; --soft: #a9abb6; --line: #393b43; --paper: #16171b; --panel: #1e2025; --link: #86bcf5; --focus: #86bcf5;
  --good: #66c98f; --bad: #f58a80;
  --s0: #a6adb9; --s1: #ff8a3d; --s2: #3f83ea; --s3: #27905f; --s4: #ee90f2; --s5: #f2e6b1; --s6: #8ff0fb; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 12px; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; -webkit-text-size-adjust: 100%; }
.page { margin: 0 auto; max-width: 1240px; padding: 28px 24px 60px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.015em; text-wrap: balance; } h2 { font-size: 19px; margin: 0; line-height: 1.3; display: inline; letter-spacing: -.01em; }
h3 { font-size: 15.5px; margin: 26px 0 6px; } p { max-width: 78ch; margin: 8px 0; } .soft, figcaption .soft { color: var(--soft); }
a { color: var(--link); text-underline-offset: 2px; } :focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; border-radius: 3px; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.answer { background: var(--panel); border-left: 4px solid var(--s1); border-radius: 4px; padding: 10px 18px; margin: 16px 0 20px; } .answer ul { margin: 0; padding: 0; list-style: none; } .answer li { margin: 6px 0; max-width: 96ch; }
.answer b { font-weight: 650; }
.contents { font-size: 13.5px; } .contents ol { margin: 6px 0 0; padding-left: 20px; } .contents li { margin: 4px 0; line-height: 1.35; } .contents summary { font-weight: 600; cursor: pointer; } .contents a { color: var(--ink); text-decoration: none; } .contents a:hover { text-decoration: underline; }
@media (min-width: 1100px) { .with-contents { max-width: 1480px; display: grid; grid-template-columns: 220px minmax(0, 1fr); gap: 0 36px; } .with-contents > header { grid-column: 2; grid-row: 1; }
  .contents { grid-column: 1; grid-row: 1 / span 2; position: sticky; top: 0; align-self: start; max-height: 100vh; overflow-y: auto; padding: 32px 8px 16px 0; } main { grid-column: 2; min-width: 0; } }
@media (max-width: 1099px) { .contents { position: sticky; top: 0; z-index: 3; background: var(--paper); border-bottom: 1px solid var(--line); padding: 8px 0; } .contents ol { max-height: 45vh; overflow-y: auto; } .with-contents { --stuck: 44px; } }
section[id] { scroll-margin-top: calc(var(--stuck, 0px) + 8px); }
section[id] { margin-top: 26px; border-top: 1px solid var(--line); padding-top: 14px; } .part > summary { cursor: pointer; list-style-position: outside; margin-left: 16px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; font-size: 13.5px; } .scroll { overflow-x: auto; margin: 8px 0; max-height: 34rem; overflow-y: auto; }
th, td { padding: 5px 14px 5px 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: baseline; }
th:first-child, td:first-child { text-align: left; } thead th { color: var(--soft); font-weight: 600; font-size: 12.5px; vertical-align: bottom; white-space: normal; position: sticky; top: 0; background: var(--paper); z-index: 1; } tbody th { font-weight: 400; }
tr.group th { color: var(--ink); font-weight: 600; text-align: left; padding-top: 16px; } tr.control th, tr.control td:first-child { color: var(--soft); } td.left { text-align: left; }
th button { all: unset; cursor: pointer; font: inherit; color: inherit; } th button:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; } th button::after { content: " ↕"; color: var(--soft); } th[aria-sort=ascending] button::after { content: " ↑"; } th[aria-sort=descending] button::after { content: " ↓"; }
.sample { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; } figure { margin: 0; min-width: 0; } .note { font-size: 13.5px; max-width: 90ch; margin: 8px 0 20px; } ul.notes { max-width: 90ch; padding-left: 20px; margin: 6px 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 12px; } .charts.two { grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); }
.row-name { font-weight: 600; font-size: 13.5px; margin: 14px 0 4px; } .row:first-of-type .row-name { margin-top: 4px; }
.chart { background: var(--panel); border-radius: 8px; padding: 8px 8px 4px; position: relative; } .chart figcaption { font-size: 13px; font-weight: 600; padding: 0 4px 2px; display: flex; justify-content: space-between; gap: 8px; align-items: baseline; }
.plot-place { position: relative; } .plot-place svg, svg.picture { display: block; width: 100%; height: auto; max-width: 620px; } .plot-place text, svg.picture text { fill: var(--ink); } .plot-place { touch-action: pan-y; } .undrawn { margin: 0; max-width: 620px; aspect-ratio: 1 / .64; }
.axis-label, .tick { fill: var(--soft) !important; } svg.picture .title { font: 600 13px system-ui, sans-serif; } svg.picture { background: var(--panel); border-radius: 8px; } svg.picture text { font: 11px system-ui, sans-serif; } svg.picture .axis { stroke: var(--soft); } svg.picture .grid { stroke: var(--line); } svg.picture .whisker { stroke: var(--ink); stroke-width: 1.2; }
.save { display: flex; gap: 4px; font-weight: 400; } .save button { all: unset; cursor: pointer; font-size: 11.5px; color: var(--soft); padding: 4px 6px; border-radius: 4px; } .save button:hover { background: var(--line); color: var(--ink); } .save button:focus-visible { outline: 2px solid var(--focus); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 8px; margin: 10px 0; padding: 0; list-style: none; font-size: 13.5px; } .legend li { display: inline-flex; align-items: center; padding: 4px 8px 4px 0; } .key { width: 30px; height: 8px; margin-right: 7px; flex: none; }
.legend button { all: unset; cursor: pointer; display: inline-flex; align-items: center; padding: 4px 8px; margin: -4px -8px -4px -4px; border-radius: 5px; } .legend button:hover { background: var(--line); } .legend button:focus-visible { outline: 2px solid var(--focus); } .legend button[aria-pressed=false] span { text-decoration: line-through; color: var(--soft); } .legend button[aria-pressed=false] .key { opacity: .25; }
.legend-fold .legend { max-height: 14rem; overflow-y: auto; } .legend-fold summary { cursor: pointer; }
.controls { display: flex; flex-wrap: wrap; gap: 8px 18px; align-items: center; margin: 10px 0 6px; font-size: 13px; } .controls label { display: inline-flex; align-items: center; gap: 6px; } .controls select, .controls input[type=number], .controls button { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--soft); border-radius: 5px; padding: 4px 8px; min-height: 28px; } .controls button { cursor: pointer; } .controls input[type=number] { width: 6.5em; } .controls input[type=range] { width: 110px; accent-color: var(--s1); } .controls input[type=checkbox] { accent-color: var(--s1); width: 16px; height: 16px; } .controls output { min-width: 2.6em; font-variant-numeric: tabular-nums; }
.reading { position: absolute; top: 22px; z-index: 2; pointer-events: none; background: var(--paper); border: 1px solid var(--line); border-radius: 6px; box-shadow: 0 2px 10px #0003; padding: 6px 9px; font-size: 12px; line-height: 1.45; max-width: min(280px, 90%); font-variant-numeric: tabular-nums; } .reading p { margin: 0 0 2px; font-weight: 600; } .reading div { display: flex; gap: 6px; align-items: center; } .reading .key { width: 20px; } .reading span { flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .reading b { font-weight: 600; }
.ruler { stroke: var(--soft); stroke-dasharray: 3 3; } .brush { fill: var(--link); fill-opacity: .14; }
.live { color: var(--soft); font-size: 13px; } .live::before { content: ""; display: inline-block; width: 8px; height: 8px; border-radius: 50%; background: var(--good); margin-right: 7px; } .live.lost::before { background: var(--bad); }
.block-heading { display: block; margin: 30px 0 8px; } .legend.spaced { gap: 2px 20px; } .grow { max-width: 460px; } svg.photo { display: block; width: 100%; height: auto; border-radius: 4px; } .swatch { width: 22px; height: 12px; margin-right: 7px; flex: none; } details > summary { cursor: pointer; } svg.hidden { position: absolute; width: 0; height: 0; }
@media (max-width: 640px) { .page { padding: 18px 14px 40px; } h1 { font-size: 22px; } }
@media print { @page { margin: 12mm; } .page { max-width: none; padding: 0; display: block; } body { font-size: 11.5px; print-color-adjust: exact; -webkit-print-color-adjust: exact; } .controls, .save, .contents, .live { display: none; }
  .chart, tr, figcaption, li { break-inside: avoid; } h2, h3, thead, summary { break-after: avoid; } .scroll { overflow: visible; max-height: none; } table { font-size: 9.5px; } thead th { font-size: 9px; position: static; } th, td { padding: 3px 8px 3px 0; white-space: normal; } .charts { grid-template-columns: repeat(3, 1fr); } .part > summary { list-style: none; margin-left: 0; } }
`;
