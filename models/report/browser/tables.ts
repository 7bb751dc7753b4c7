import { make } from './dom.ts';

/** What a cell is sorted by: its number where it has one, else its text. */
function keyOf(row: HTMLTableRowElement, column: number): number | string {
  const cell = row.cells[column];
  const given = cell?.dataset['sort'];
  if (given !== undefined) return Number(given);
  const text = cell?.textContent ?? '';
  const number = Number.parseFloat(text.replaceAll(',', ''));
  return /^[-−]?[\d,.]+(e-?\d+)?/i.test(text) && Number.isFinite(number) ? number : text;
}

/** Numbers before texts, and what is missing last, whichever way it is sorted. */
function compare(a: number | string, b: number | string, sign: number): number {
  const missing = (value: number | string): boolean => value === '' || value === '-' || value === '–';
  if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b));
  if (typeof a === 'number' && typeof b === 'number') return sign * (a - b);
  return sign * String(a).localeCompare(String(b), 'en', { numeric: true });
}

function sortBy(table: HTMLTableElement, column: number): void {
  const headings = [...(table.tHead?.rows[0]?.cells ?? [])];
  const heading = headings[column];
  const body = table.tBodies[0];
  if (heading === undefined || body === undefined) return;
  const descending = heading.getAttribute('aria-sort') === 'ascending';
  for (const other of headings) other.removeAttribute('aria-sort');
  heading.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
  const sign = descending ? -1 : 1;
  const rows = [...body.rows].map((row) => ({ row, key: keyOf(row, column) }));
  rows.sort((a, b) => compare(a.key, b.key, sign));
  body.append(...rows.map(({ row }) => row));
}

/** How tables were sorted, by their place on the page: kept when the page is fetched anew. */
const chosen = new Map<number, { readonly column: number; readonly descending: boolean }>();

/** Makes the headings of sortable tables buttons. */
export function sortTables(): void {
  document.querySelectorAll<HTMLTableElement>('table.sortable').forEach((table, place) => {
    [...(table.tHead?.rows[0]?.cells ?? [])].forEach((heading, column) => {
      const title = heading.textContent;
      if (title === '') return;
      const button = make('button', { type: 'button' }, title);
      button.addEventListener('click', () => {
        sortBy(table, column);
        chosen.set(place, { column, descending: heading.getAttribute('aria-sort') === 'descending' });
      });
      heading.replaceChildren(button);
    });
    const before = chosen.get(place);
    if (before === undefined) return;
    sortBy(table, before.column);
    if (before.descending) sortBy(table, before.column);
  });
}
