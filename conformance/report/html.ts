/** The report as one page that needs nothing else: no network, no script of others'. */
import { foreignText } from 'learning-rate-dropout/internal';
import { MISTAKES } from '../diagnosis/mistakes.ts';
import { stringify } from '../protocol/numbers.ts';
import type { Judgement, RequirementVerdict, Verdict } from '../judge/run.ts';
import { causesOf, sureness, titleOf, unjudgedBy } from './causes.ts';
import type { ConformanceReport } from './report.ts';
import { GUIDE, replayCommand, verdictLine } from './report.ts';

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const STYLE = `
:root { --pass: #1a7f4b; --fail: #c0322b; --skip: #5d626c; --ink: #1d2330; --rule: #e3e6eb; --back: #fff; --soft: #f6f7f9 }
@media (prefers-color-scheme: dark) {
  :root { --pass: #43b57a; --fail: #f0736b; --skip: #a3a8b2; --ink: #e6e8ec; --rule: #333843; --back: #15181e; --soft: #1d2128 }
}
@media print { details, tr { break-inside: avoid } .scroll { overflow: visible } body { padding: 0; font-size: 11px } }
:focus-visible { outline: 2px solid currentColor; outline-offset: 2px }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 84rem; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere } h3 { font-size: 1rem; margin: 1.5rem 0 .25rem } .cause p { margin: .25rem 0 } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem }
.verdict { font-size: 1.05rem; margin: .25rem 0 1rem } .verdict b.passed { color: var(--pass) } .verdict b.failed { color: var(--fail) }
.muted { color: var(--skip) }
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: 6px }
table { border-collapse: collapse; width: 100% } th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top }
thead th { background: var(--soft); font-weight: 600; white-space: nowrap } tr:last-child td { border-bottom: 0 }
td.id { white-space: nowrap; font-family: ui-monospace, monospace; font-size: .85em } td.cell { text-align: center; white-space: nowrap }
.passed { color: var(--pass) } .failed { color: var(--fail); font-weight: 700 } .skipped { color: var(--skip) }
td.cell a { color: inherit } abbr { text-decoration: none; cursor: help }
details { border: 1px solid var(--rule); border-left: 4px solid var(--fail); border-radius: 6px; margin: .6rem 0; padding: .5rem .9rem }
summary { cursor: pointer; font-weight: 600 } dl { display: grid; grid-template-columns: 6.5rem 1fr; gap: .25rem .75rem; margin: .75rem 0 0 }
dt { color: var(--skip) } dd { margin: 0; overflow-wrap: anywhere } code, pre { font-family: ui-monospace, monospace; font-size: .85em }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 18rem; overflow: auto; background: var(--soft); padding: .5rem; border-radius: 4px }
.matrix th.turn { height: 9.5rem; vertical-align: bottom; padding: .2rem 0; min-width: 1.15rem }
.matrix th.turn span { writing-mode: vertical-rl; transform: rotate(180deg); font: 500 11px ui-monospace, monospace }
.matrix td { padding: .1rem .25rem; font-size: .85em; border-right: 1px solid var(--rule) } .matrix td.hit { background: color-mix(in srgb, var(--fail) 28%, transparent) }
.matrix td.named { background: var(--fail) } .matrix td.missed { background: repeating-linear-gradient(45deg, var(--skip) 0 3px, transparent 3px 6px) }
.legend i { display: inline-block; width: 1em; height: 1em; border-radius: 3px; vertical-align: -.15em; margin: 0 .3em 0 1em }
`;

/** Opens the counterexample that the address names. The one script that the page's policy lets run, by its SHA-256. */
export const SCRIPT = `
const open = () => { const target = document.getElementById(location.hash.slice(1)); if (target instanceof HTMLDetailsElement) target.open = true; };
addEventListener('hashchange', open); open();
`;
export const SCRIPT_SUM = 'y9ReHGBaOxadrNTceVBEObb7mxoaapoamHjB0zhvse8=';

/** Nothing else runs in the page and nothing is loaded, whatever an implementation wrote. */
const POLICY = `default-src 'none'; script-src 'sha256-${SCRIPT_SUM}'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'`;

/** A name that fits above a narrow column. */
const shortened = (name: string): string => (name.length > 24 ? `${name.slice(0, 22)}…` : name);

const MARKS = { passed: '✓', failed: '✗', skipped: '–' } as const;

const anchor = (adapter: number, verdict: Verdict): string =>
  `f${adapter}-${verdict.property.replaceAll(/[^\w-]/g, '-')}`;

function cell(index: number, judgement: Judgement, id: string): string {
  const own: RequirementVerdict | undefined = judgement.requirements.find(({ requirement }) => requirement === id);
  if (own === undefined) return `<td class="cell skipped"><abbr title="not asked for">${MARKS.skipped}</abbr></td>`;
  const failure = judgement.verdicts.find(
    ({ status, requirements }) => status === 'failed' && requirements.includes(id),
  );
  const cases = judgement.verdicts
    .filter(({ requirements }) => requirements.includes(id))
    .reduce((sum, v) => sum + v.cases, 0);
  const title = [own.status, `${cases} cases`, own.reason].filter((part) => part !== undefined).join('; ');
  const mark = `<abbr title="${escape(foreignText(title, 400))}">${MARKS[own.status]}</abbr>`;
  const inner = failure === undefined ? mark : `<a href="#${anchor(index, failure)}">${mark}</a>`;
  const narrowed = own.status === 'passed' && own.reason !== undefined ? '<sup class="muted">*</sup>' : '';
  return `<td class="cell ${own.status}">${inner}${narrowed}</td>`;
}

/** Characters that all counterexamples may have together, and one field of them: a page must open. */
const COUNTEREXAMPLES = 1_400_000;
const FIELD = 6000;

const field = (text: string): string => escape(foreignText(text, FIELD));

function findings(report: ConformanceReport): string {
  const statements = new Map(report.requirements.map(({ id, ...rest }) => [id, rest]));
  let left = COUNTEREXAMPLES;
  const detail = (judgement: Judgement, index: number, verdict: Verdict): string => {
    const { counterexample, requirements, property, title } = verdict;
    if (counterexample === undefined) return '';
    const [id = property] = requirements;
    const { statement = '', locus = '', level = 'MUST' } = statements.get(id) ?? {};
    const formula = counterexample.formula ?? [];
    const text = `<details id="${anchor(index, verdict)}"><summary>${escape(id)} <span class="muted">${field(property)}: ${field(counterexample.message)}</span></summary>
<dl><dt>${level}</dt><dd>${escape(statement)}</dd><dt>from</dt><dd>${escape(locus)}</dd><dt>property</dt><dd>${escape(title)}</dd>
${formula.length === 0 ? '' : `<dt>update</dt><dd><pre>${formula.map(field).join('\n')}</pre></dd>`}
<dt>expected</dt><dd><pre>${field(counterexample.expected)}</pre></dd><dt>got</dt><dd><pre>${field(counterexample.got)}</pre></dd>
${counterexample.cases.map((example) => `<dt>case</dt><dd><pre>${field(stringify(example))}</pre></dd>`).join('\n')}
<dt>again</dt><dd><code>${field(replayCommand(judgement.adapter, report.seed, property))}</code></dd></dl></details>`;
    left -= text.length;
    return left > 0
      ? text
      : `<p id="${anchor(index, verdict)}" class="muted">${field(property)}: left out, for the page is full; lrd conformance --json has it</p>`;
  };
  const parts = report.judgements.flatMap((judgement, index) =>
    causesOf(judgement).map(({ words, diagnosis, findings: found }) => {
      const sure = diagnosis === undefined ? '' : sureness(diagnosis);
      const name = diagnosis?.mistake;
      const who = report.judgements.length === 1 ? '' : `<span class="muted">${escape(titleOf(judgement))}: </span>`;
      return `<section class="cause"><h3>${who}${field(words)}${sure === '' ? '' : ` <span class="muted">${sure}</span>`}</h3>
${diagnosis?.mend === undefined ? '' : `<p><b>mend</b> ${escape(diagnosis.mend)}</p>`}
<p class="muted">${found.length} finding${found.length === 1 ? '' : 's'}${name === undefined ? '' : `; <a href="#mistake-${name}">the mistake behind it</a>`}</p>
${found.map((verdict) => detail(judgement, index, verdict)).join('\n')}</section>`;
    }),
  );
  return parts.length === 0 ? '' : `<h2>What to mend</h2>\n${parts.join('\n')}`;
}

/** What was not judged, folded by the reason. */
function unjudged(report: ConformanceReport): string {
  const parts = report.judgements.flatMap((judgement) =>
    [...unjudgedBy(judgement)].map(([reason, ids]) => {
      const who = report.judgements.length === 1 ? '' : `${escape(titleOf(judgement))}: `;
      return `<li>${who}${field(reason)} <span class="muted">${escape(ids.slice(0, 60).join(', '))}</span></li>`;
    }),
  );
  return parts.length === 0 ? '' : `<h2>Not judged</h2><ul>${parts.join('\n')}</ul>`;
}

/** The rows of the guide that findings lead to. */
function mistakes({ judgements }: ConformanceReport): string {
  const named = new Set(judgements.flatMap(({ diagnoses = [] }) => diagnoses.map(({ mistake }) => mistake)));
  const rows = MISTAKES.filter(({ name }) => named.has(name)).map(
    ({ name, words, mend, requirements }) =>
      `<tr id="mistake-${name}"><td class="id">${name}</td><td>${escape(words)}</td><td>${escape(mend)}</td><td>${requirements.join(', ')}</td></tr>`,
  );
  return rows.length === 0
    ? ''
    : `<h2>The mistake behind it</h2><p class="muted">From ${GUIDE}, which has all that the kit knows.</p><div class="scroll" tabindex="0" role="group" aria-label="Table by mistake"><table><thead><tr><th>mistake</th><th>what is wrong</th><th>what to do</th><th>breaks</th></tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

function abilities({ judgements, unavailable }: ConformanceReport): string {
  const rows = judgements.map(({ adapter, implementation, seconds }) => {
    const { language, precision, rules, masks, features, version } = implementation;
    const cells = [
      `${adapter}${version === undefined ? '' : ` ${version}`}`,
      language,
      precision,
      rules.join(', '),
      masks.join(', '),
      features.join(', '),
      `${seconds.toFixed(1)} s`,
    ];
    return `<tr>${cells.map((text) => `<td>${escape(foreignText(text, 600))}</td>`).join('')}</tr>`;
  });
  const missing = unavailable.map(
    ({ adapter, reason }) => `<tr><td>${field(adapter)}</td><td colspan="6" class="muted">${field(reason)}</td></tr>`,
  );
  return `<h2>Implementations</h2><div class="scroll" tabindex="0" role="group" aria-label="Table by adapter"><table><thead><tr><th>adapter</th><th>language</th><th>precision</th><th>rules</th><th>masks</th><th>features</th><th>time</th></tr></thead><tbody>${[...rows, ...missing].join('\n')}</tbody></table></div>`;
}

function matrix({ kills }: ConformanceReport): string {
  if (kills.length === 0) return '';
  const ids = [...new Set(kills.flatMap(({ failed, caughtBy }) => [...failed, caughtBy]))].sort();
  const head = ids.map((id) => `<th class="turn"><span>${escape(id)}</span></th>`).join('');
  const rows = kills.map(({ fault, what, failed, caughtBy }) => {
    const cells = ids.map((id) => {
      const hit = failed.includes(id);
      const kind = id === caughtBy ? (hit ? 'named' : 'missed') : hit ? 'hit' : '';
      return `<td class="${kind}" title="${escape(`${fault}: ${id} ${hit ? 'fails' : 'passes'}`)}"></td>`;
    });
    return `<tr><td class="id"><abbr title="${escape(what)}">${escape(fault)}</abbr></td>${cells.join('')}</tr>`;
  });
  const caught = kills.filter((row) => row.caught).length;
  return `<h2>Planted wrong implementations</h2>
<p>${caught} of ${kills.length} caught by the requirement that names the fault. <span class="legend muted"><i style="background:var(--fail)"></i>names the fault<i style="background:color-mix(in srgb, var(--fail) 28%, transparent)"></i>fails too<i style="background:repeating-linear-gradient(45deg, var(--skip) 0 3px, transparent 3px 6px)"></i>missed</span></p>
<div class="scroll" tabindex="0" role="group" aria-label="Table by fault"><table class="matrix"><thead><tr><th>fault</th>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

/** The whole page. */
export function reportToHtml(report: ConformanceReport): string {
  const rows = report.requirements.map(
    ({ id, level, statement, locus }) =>
      `<tr><td class="id">${id}${level === 'SHOULD' ? ' <span class="muted">should</span>' : ''}</td><td>${escape(statement)} <span class="muted">${escape(locus)}</span></td>${report.judgements.map((judgement, index) => cell(index, judgement, id)).join('')}</tr>`,
  );
  const head = report.judgements
    .map(
      (judgement) =>
        `<th title="${escape(foreignText(judgement.adapter, 200))}">${escape(shortened(titleOf(judgement)))}</th>`,
    )
    .join('');
  const totals = report.judgements.map(({ requirements }) => {
    const count = (status: string): number => requirements.filter((r) => r.status === status).length;
    return `<td class="cell"><span class="passed">${count('passed')}</span> <span class="failed">${count('failed')}</span> <span class="skipped">${count('skipped')}</span></td>`;
  });
  const [only] = report.judgements;
  const title =
    report.judgements.length === 1 && only !== undefined
      ? titleOf(only)
      : `${report.judgements.length} implementations of learning rate dropout`;
  const line = verdictLine(report);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escape(title)}: conformance</title><style>${STYLE}</style></head><body><main>
<h1>${escape(title)}</h1>
<p class="verdict"><b class="${report.passed ? 'passed' : 'failed'}">${escape(`${line.charAt(0).toUpperCase()}${line.slice(1)}.`)}</b>
<span class="muted">Conformance with learning rate dropout; seed ${report.seed}, protocol ${report.protocol}, ${escape(report.date.slice(0, 16).replace('T', ' '))} UTC</span></p>
${findings(report)}
<h2>Requirements</h2>
<div class="scroll" tabindex="0" role="group" aria-label="Table by requirement"><table><thead><tr><th>requirement</th><th>statement <span class="muted">and source</span></th>${head}</tr></thead>
<tbody><tr><td class="id muted">passed, failed, not judged</td><td></td>${totals.join('')}</tr>
${rows.join('\n')}</tbody></table></div>
<p class="muted">✓ passed, ✗ failed (a click leads to the counterexample), – not judged; * some cases were skipped. Point at a mark for the reason and the number of cases.</p>
${unjudged(report)}
${mistakes(report)}
${abilities(report)}
${matrix(report)}
</main><script>${SCRIPT}</script>
</body></html>
`;
}
