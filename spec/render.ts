import type { MaskKind, MaskKindName, MaskOption, MaskOptionName } from './family.ts';
import { MASK_KINDS, MASK_OPTIONS } from './family.ts';
import { KIND_SOURCES, OPTION_SOURCES } from './familySources.ts';
import { OPEN_POINTS } from './openPoints.ts';
import type { Requirement } from './requirements.ts';
import { REQUIREMENTS } from './requirements.ts';
import type { HyperParameter, Rule } from './rules.ts';
import { KEEP_PROBABILITY, RULES } from './rules.ts';

/** Test files by requirement id, as paths from the repository's root. */
export type Evidence = ReadonlyMap<string, readonly string[]>;

const AREAS: Readonly<Record<string, string>> = {
  ALG: 'Algorithm 1, line by line',
  EQ: 'Equations',
  MASK: 'The mask',
  STREAM: 'The mask stream and other draws',
  RULE: 'Base rules',
  STATE: 'State, groups, changes',
  FAM: 'The family: SkipUpdate, Magma, Cautious',
  NUM: 'Long runs',
  PROTO: 'The conformance protocol',
  ERROR: 'Errors',
  CMP: 'Comparators',
  SCHED: 'Schedules, clipping, accumulation',
  DEC: 'What the papers leave open or get wrong',
  TRAIN: 'Trained keep probability (experimental)',
  DIST: 'One model on many processes',
};

const areaOf = (id: string): string => id.split('-')[1] as string;
const anchor = (id: string): string => `[${id}](#${id.toLowerCase()})`;

function functionLink(reference: string | undefined): string {
  if (reference === undefined) return '';
  const [file, name] = reference.split('#') as [string, string];
  return `[\`${name}\`](../${file})`;
}

function testLinks(files: readonly string[]): string {
  return files.map((file) => `[${file.replace(/^impl-ref\//, '').replace('.test.ts', '')}](../${file})`).join(', ');
}

function section(requirement: Requirement, files: readonly string[]): string {
  const { id, level, binds, statement, latex, locus, domain, tolerance, capability, reference, decision } = requirement;
  const lines = [`### ${id}`, '', `**${level}** (${binds}). ${statement}`, ''];
  if (latex !== undefined) lines.push('```math', latex, '```', '');
  lines.push(`- Source: ${locus}.`, `- Holds for: ${domain}.`);
  lines.push(`- Tolerance: ${tolerance.class === 'exact' ? 'exact' : `${tolerance.class}; ${tolerance.derivation}`}.`);
  if (capability.length > 0) lines.push(`- Needs: ${capability.map((word) => `\`${word}\``).join(', ')}.`);
  if (decision !== undefined) lines.push(`- Decided: ${decision}`);
  if (reference !== undefined) lines.push(`- Reference: ${functionLink(reference)}.`);
  if (files.length > 0) lines.push(`- Tests: ${testLinks(files)}.`);
  return [...lines, ''].join('\n');
}

function valueText(parameter: HyperParameter): string {
  if (parameter.kind === 'number') return `${parameter.default}, ${parameter.text}`;
  if (parameter.kind === 'choice') return `\`${parameter.default}\`, ${parameter.text}`;
  return `${parameter.default}, ${parameter.text}`;
}

function ruleTable(): string {
  const rows = Object.entries<Rule>(RULES).flatMap(([name, rule]) =>
    Object.entries(rule.hyper).map(
      ([key, parameter], i) =>
        `| ${i === 0 ? `\`${name}\`` : ''} | ${i === 0 ? rule.state.map((slot) => `\`${slot}\``).join(', ') : ''} | \`${key}\` | ${valueText(parameter)} |`,
    ),
  );
  return [
    '| Rule | State | Hyper-parameter | Default and range |',
    '| --- | --- | --- | --- |',
    `| every | | \`keepProbability\` | ${valueText(KEEP_PROBABILITY)} |`,
    ...rows,
    '',
  ].join('\n');
}

function familyTables(): string {
  const kinds = Object.entries<MaskKind>(MASK_KINDS).map(([name, { granularity, draw, factor, decay }]) => {
    const { title, source } = KIND_SOURCES[name as MaskKindName];
    return `| \`${name}\` | ${title} | ${granularity} | ${draw} | ${factor} | \`${decay}\` | ${source} |`;
  });
  const options = Object.entries<MaskOption>(MASK_OPTIONS).map(
    ([name, { parameter, factors }]) =>
      `| \`${name}\` | ${factors?.join(', ') ?? 'every'} | ${name === 'decay' ? `by kind, ${parameter.text}` : valueText(parameter)} | ${OPTION_SOURCES[name as MaskOptionName]} |`,
  );
  return [
    'A masked update is granularity x draw x factor. `granularity` and `factor` may be set beside a kind, where that cell makes sense:',
    'an element-wise Bernoulli mask with 1/p (`lrd` with `factor: inverse`) is what tells masking from a smaller step.',
    'An implementation is judged by what it declares of each kind, in version 2 of the conformance protocol (`conformance/GUIDE.md`).',
    '',
    '| Kind | | Granularity | Draw | Factor | Decoupled decay | Source |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...kinds,
    '',
    '| Option | With factor | Default and range | Where sources differ |',
    '| --- | --- | --- | --- |',
    ...options,
    '',
  ].join('\n');
}

function equationTable(evidence: Evidence): string {
  const rows = REQUIREMENTS.filter(({ equation }) => equation !== undefined).map(
    ({ id, equation, reference }) =>
      `| ${equation} | ${anchor(id)} | ${functionLink(reference)} | ${testLinks(evidence.get(id) ?? [])} |`,
  );
  return ['| Equation | Requirement | Reference function | Tests |', '| --- | --- | --- | --- |', ...rows, ''].join(
    '\n',
  );
}

/** The specification as Markdown with mathematics, from the registry and the reference's tests alone. */
export function renderSpecification(evidence: Evidence): string {
  const areas = [...new Set(REQUIREMENTS.map(({ id }) => areaOf(id)))];
  const sections = areas.map((area) =>
    [
      `## ${AREAS[area] ?? area}`,
      '',
      ...REQUIREMENTS.filter(({ id }) => areaOf(id) === area).map((r) => section(r, evidence.get(r.id) ?? [])),
    ].join('\n'),
  );
  const open = OPEN_POINTS.map(
    ({ text, requirements }, i) => `| ${i + 1} | ${text} | ${requirements.map(anchor).join(', ')} |`,
  );
  return [
    '<!-- Generated by `npm run ts -- spec/scripts/writeSpecification.ts` from spec/requirements.ts. Do not edit. -->',
    '',
    '# Learning Rate Dropout: specification',
    '',
    'What must hold of an implementation of Learning Rate Dropout (Lin et al., IEEE TNNLS 2022, doi 10.1109/TNNLS.2022.3155181, and its first',
    'version, arXiv 1912.00144v1). Requirement ids never change. **MUST** requirements each have a test; a requirement binds an',
    '*implementation*, this *package*, or is an *analysis*: a sentence of the papers that is tested as true or false.',
    '',
    'With `p` the keep probability, elementwise, `d` drawn anew each step:',
    '',
    '```math',
    '\\theta \\leftarrow \\begin{cases} \\theta - \\alpha\\, \\Delta W, & d = 1 \\\\ \\theta, & d = 0 \\end{cases} \\qquad P(d = 1) = p',
    '```',
    '',
    '## From equation to test',
    '',
    equationTable(evidence),
    '## Hyper-parameters',
    '',
    ruleTable(),
    '## The family',
    '',
    familyTables(),
    '## Open points of the papers',
    '',
    '| | Open or wrong | Decided by |',
    '| --- | --- | --- |',
    ...open,
    '',
    ...sections,
  ].join('\n');
}
