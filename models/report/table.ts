import { escapeHtml } from './html.ts';

/** A cell: text, HTML that is put in as it is, or text with the number that its column is sorted by. */
export type Cell = string | { readonly html: string } | { readonly text: string; readonly sort: number };

/** A line of a table. A `group` line is one heading across all columns. */
export type Row = { readonly group: string } | { readonly cells: readonly Cell[]; readonly className?: string };

export interface TableOptions {
  /** Whether a click on a column's heading sorts by it; not for tables with `group` lines. */
  readonly sortable?: boolean;
  /** What it is, for those who do not see what stands around it. */
  readonly caption?: string;
}

function inner(cell: Cell): string {
  if (typeof cell === 'string') return escapeHtml(cell);
  return 'html' in cell ? cell.html : escapeHtml(cell.text);
}

/** A table that scrolls sideways where it does not fit. Columns without any content are left out. */
export function htmlTable(
  head: readonly string[],
  rows: readonly Row[],
  { sortable = false, caption }: TableOptions = {},
): string {
  const said = head.map((_, k) => rows.some((row) => 'cells' in row && inner(row.cells[k] ?? '') !== ''));
  const kept = <T>(cells: readonly T[]): T[] => cells.filter((_, k) => said[k]);
  const lines = rows.map((row) => {
    if ('group' in row)
      return `<tr class="group"><th scope="colgroup" colspan="${kept(head).length}">${escapeHtml(row.group)}</th></tr>`;
    const className = row.className === undefined ? '' : ` class="${row.className}"`;
    const cells = kept(row.cells).map((cell, k) => {
      const sort =
        typeof cell === 'object' && 'sort' in cell && Number.isFinite(cell.sort) ? ` data-sort="${cell.sort}"` : '';
      return k === 0 && inner(cell) !== ''
        ? `<th scope="row"${sort}>${inner(cell)}</th>`
        : `<td${sort}>${inner(cell)}</td>`;
    });
    return `<tr${className}>${cells.join('')}</tr>`;
  });
  const heading = kept(head).map((text) => (text === '' ? '<td></td>' : `<th scope="col">${escapeHtml(text)}</th>`));
  const label = escapeHtml(
    caption ??
      kept(head)
        .filter((text) => text !== '')
        .slice(0, 3)
        .join(', '),
  );
  return `<div class="scroll" tabindex="0" role="group" aria-label="Table: ${label}"><table${sortable ? ' class="sortable"' : ''}><thead><tr>${heading.join('')}</tr></thead><tbody>${lines.join('\n')}</tbody></table></div>`;
}
