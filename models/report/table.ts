import { escapeHtml } from './svg.ts';

/** A line of a table. A `group` line is one heading across all columns; `html` cells are put in as they are. */
export type Row =
  | { readonly group: string }
  | { readonly cells: readonly (string | { readonly html: string })[]; readonly className?: string };

const inner = (cell: string | { readonly html: string }): string =>
  typeof cell === 'string' ? escapeHtml(cell) : cell.html;

/** A table that scrolls sideways where it does not fit. Columns without any content are left out. */
export function htmlTable(head: readonly string[], rows: readonly Row[]): string {
  const said = head.map((_, k) => rows.some((row) => 'cells' in row && inner(row.cells[k] ?? '') !== ''));
  const kept = <T>(cells: readonly T[]): T[] => cells.filter((_, k) => said[k]);
  const lines = rows.map((row) => {
    if ('group' in row)
      return `<tr class="group"><th colspan="${kept(head).length}">${escapeHtml(row.group)}</th></tr>`;
    const className = row.className === undefined ? '' : ` class="${row.className}"`;
    return `<tr${className}>${kept(row.cells)
      .map((cell) => `<td>${inner(cell)}</td>`)
      .join('')}</tr>`;
  });
  const heading = kept(head).map((text) => `<th>${escapeHtml(text)}</th>`);
  return `<div class="scroll"><table><thead><tr>${heading.join('')}</tr></thead><tbody>${lines.join('\n')}</tbody></table></div>`;
}
