/** The script of a report: charts that answer, tables that sort, and a page that follows its runs. It works on what the page carries. */
import { BlockView } from './block.ts';
import type { Block } from '../charts/model.ts';
import { follow } from './live.ts';
import { sortTables } from './tables.ts';

const views = new Map<string, BlockView>();

/** The folded part that an address leads to is opened. */
function openTarget(): void {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const part = target?.closest('details') ?? target?.querySelector('details');
  if (part instanceof HTMLDetailsElement) part.open = true;
}

/** Brings the page's charts and tables to life; what was there before hands its view on. */
function begin(): void {
  const before = new Map(views);
  views.clear();
  const blocks = JSON.parse(document.getElementById('blocks')?.textContent ?? '[]') as Block[];
  const all = new Map(blocks.map((block) => [block.id, block]));
  for (const root of document.querySelectorAll<HTMLElement>('.block')) {
    const block = all.get(root.dataset['block'] ?? '');
    if (block === undefined) continue;
    views.set(block.id, new BlockView(root, block, before.get(block.id)?.view));
  }
  sortTables();
}

begin();
openTarget();
addEventListener('hashchange', openTarget);
addEventListener('beforeprint', () => {
  for (const part of document.querySelectorAll('details')) part.open = true;
  for (const view of views.values()) view.drawAll();
});
const narrow = matchMedia('(max-width: 1099px)');
const contents = document.querySelector<HTMLDetailsElement>('.contents details');
if (contents !== null && narrow.matches) {
  contents.open = false;
  contents.addEventListener('click', (event) => {
    if (narrow.matches && event.target instanceof HTMLAnchorElement) contents.open = false;
  });
}
if (document.documentElement.dataset['live'] !== undefined) follow(begin);
