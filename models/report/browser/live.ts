/** Milliseconds until a server that is gone is asked again. */
const AGAIN = 3000;

/**
 * Follows `lrd report --watch`: when the server says that something changed, the page is fetched and what is new is put in place, with the
 * views, the sorting and the folds as they were.
 */
export function follow(begin: () => void): void {
  let scheduled = false;
  const say = (text: string, lost = false): void => {
    const status = document.getElementById('live');
    if (status === null) return;
    status.textContent = text;
    status.classList.toggle('lost', lost);
  };
  const update = async (): Promise<void> => {
    scheduled = false;
    const answer = await fetch('/', { cache: 'no-store' });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const folded = new Set(
      [...document.querySelectorAll('details:not([open]) > summary')].map(({ textContent }) => textContent),
    );
    const [page, data] = [next.querySelector('.page'), next.getElementById('blocks')];
    if (page === null) throw new Error('no page in the answer');
    for (const part of page.querySelectorAll('details')) {
      if (folded.has(part.querySelector('summary')?.textContent ?? '')) part.open = false;
    }
    const { scrollX, scrollY } = window;
    document.querySelector('.page')?.replaceWith(page);
    const old = document.getElementById('blocks');
    if (data !== null) {
      if (old === null) document.body.append(data);
      else old.replaceWith(data);
    }
    begin();
    window.scrollTo({ left: scrollX, top: scrollY, behavior: 'instant' });
    say(`watching; last change at ${new Date().toLocaleTimeString('en', { hour12: false })}`);
  };
  const events = new EventSource('/events');
  events.addEventListener('changed', () => {
    if (scheduled) return;
    scheduled = true;
    update().catch((error: unknown) => {
      scheduled = false;
      say(`could not be fetched anew: ${(error as Error).message}`, true);
      setTimeout(() => void update().catch(() => undefined), AGAIN);
    });
  });
  events.addEventListener('open', () => say('watching'));
  events.addEventListener('error', () => say('the program is gone; this is what it said last', true));
}
