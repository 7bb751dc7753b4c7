/** What the long runs of the property test found, and the table that shows it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Backends in the table, by their names in `--backend`. */
export const TRIED = ['cpu', 'wasm', 'webgpu', 'node'] as const;

export type Tried = (typeof TRIED)[number];

/** One backend's run. */
export interface Results {
  readonly seeds: number;
  /** By operation: how many of its cases were wrong, and how many the backend refused by name. */
  readonly operations: Readonly<Record<string, { readonly wrong: number; readonly refused: number }>>;
}

const fileOf = (backend: Tried): string => fileURLToPath(new URL(`results/${backend}.json`, import.meta.url));

export const TABLE_FILE = fileURLToPath(new URL('../../impl-gpu/trainingKernels/OPERATIONS.md', import.meta.url));

export function readResults(backend: Tried): Results | undefined {
  const file = fileOf(backend);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Results) : undefined;
}

export function writeResults(backend: Tried, results: Results): void {
  writeFileSync(fileOf(backend), `${JSON.stringify(results, null, 2)}\n`);
}

function cell(result: { readonly wrong: number; readonly refused: number } | undefined): string {
  if (result === undefined) return 'not tried';
  if (result.wrong > 0) return `**wrong in ${result.wrong}**`;
  return result.refused > 0 ? 'right, or refused' : 'right';
}

const TITLES: Readonly<Record<Tried, string>> = { cpu: 'cpu', wasm: 'wasm', webgpu: 'webgpu', node: 'tensorflow' };

/** The documentation's table of operations and backends, in Markdown, padded as Prettier does. */
export function table(names: readonly string[]): string {
  const results = TRIED.map(readResults);
  const rows = [
    ['operation', ...TRIED.map((backend) => TITLES[backend])],
    ...names.map((name) => [`\`${name}\``, ...results.map((result) => cell(result?.operations[name]))]),
  ];
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, column) => text.padEnd(widths[column] as number)).join(' | ')} |`;
  const [head, ...body] = rows as [string[], ...string[][]];
  const runs = TRIED.map((backend, i) => `${TITLES[backend]} ${results[i]?.seeds ?? 0}`).join(', ');
  return `# Operations that train

Values and gradients after \`enableTraining()\`, held against plain loops and differences in float64 over random shapes, strides, paddings, dilations, batch
axes, layouts and ranks, with infinities, NaN and huge numbers among the values on all backends but webgpu, whose shading language promises nothing for
them. Seeds: ${runs}.

"right, or refused": in some cases the backend throws an error that names the case, before anything is computed: padding in pixels of averages and of pools in three dimensions on
tensorflow, and pools in three dimensions with padding \`'same'\` whose stride is larger than their window on webgpu and tensorflow.

Written by \`npm run test:operations -- BACKEND --keep\`; a test holds it against the results kept in \`conformance/operations/results/\`.

${[line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body.map(line)].join('\n')}
`;
}
