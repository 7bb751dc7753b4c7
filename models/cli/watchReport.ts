/** `lrd report --watch DIR`: a page on this machine alone that follows the runs of a folder as they train. */
import { statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { foreignText } from 'learning-rate-dropout/internal';
import { JobError } from '../errors.ts';
import { escapeHtml } from '../report/html.ts';
import { sectionsPage } from '../report/page.ts';
import { runSection } from '../report/runReport.ts';
import { findRuns } from '../runs/findRuns.ts';
import type { Run } from '../runs/runFolder.ts';
import { readRun } from '../runs/runFolder.ts';

/** Milliseconds between two looks at the folder. Files on other machines tell of no change by themselves. */
const LOOK = 1000;
const LOOPBACK = '127.0.0.1';

/** What is known of a file without reading it. */
function markOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? '' : `${found.mtimeMs} ${found.size}`;
}

interface Known {
  readonly mark: string;
  readonly run: Run | undefined;
  readonly problem?: string;
}

/** The runs of a folder, each read again only when its files changed. */
class Runs {
  readonly #folder: string;
  #known = new Map<string, Known>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Looks again; whether anything is another than before. */
  look(): boolean {
    const next = new Map<string, Known>();
    let changed = false;
    for (const folder of findRuns(this.#folder)) {
      const mark = ['config.json', 'metrics.jsonl'].map((name) => markOf(join(folder, name))).join('; ');
      const before = this.#known.get(folder);
      if (before?.mark === mark) {
        next.set(folder, before);
        continue;
      }
      changed = true;
      try {
        next.set(folder, { mark, run: readRun(folder) });
      } catch (error) {
        // A run that is being taken back, or is none: it is said, and looked at again when it changes.
        next.set(folder, { mark, run: undefined, problem: (error as Error).message });
      }
    }
    changed ||= next.size !== this.#known.size;
    this.#known = next;
    return changed;
  }

  get runs(): Run[] {
    return [...this.#known.values()].flatMap(({ run }) => run ?? []);
  }

  get problems(): string[] {
    return [...this.#known.values()].flatMap(({ problem }) => problem ?? []);
  }
}

/** The page as it stands. */
function pageOf(runs: Runs, folder: string, title: string): string {
  const problems = runs.problems.slice(0, 20).map((problem) => `<li>${escapeHtml(problem)}</li>`);
  const trouble = problems.length === 0 ? '' : `<ul class="notes">${problems.join('')}</ul>`;
  const none =
    runs.runs.length === 0 ? `<p>No run in ${escapeHtml(folder)} yet: this page shows them when they begin.</p>` : '';
  return sectionsPage(title, `${none}${trouble}`, runs.runs.length === 0 ? [] : [runSection(runs.runs)], {
    live: true,
  });
}

export interface WatchOptions {
  readonly folder: string;
  readonly title: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** A page that is served. */
export interface Watched {
  /** Where it is, as `http://127.0.0.1:PORT/`. */
  readonly address: string;
  readonly close: () => void;
}

/**
 * Serves the page and says to those who have it open when something changed. On the loopback alone, and only to requests that name it: a
 * page from elsewhere whose name was made to lead here gets nothing.
 *
 * @throws JobError when the port is taken
 */
export async function watchRuns({ folder, title, port }: WatchOptions): Promise<Watched> {
  const runs = new Runs(folder);
  runs.look();
  let page = pageOf(runs, folder, title);
  const open = new Set<ServerResponse>();
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const own = (server.address() as AddressInfo).port;
    const host = request.headers.host ?? '';
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
    response.setHeader('Content-Security-Policy', "frame-ancestors 'none'");
    if (host !== `${LOOPBACK}:${own}` && host !== `localhost:${own}`) {
      response.writeHead(403).end();
    } else if (request.method !== 'GET') {
      response.writeHead(405, { Allow: 'GET' }).end();
    } else if (request.url === '/') {
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(page);
    } else if (request.url === '/events') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('retry: 2000\n\n');
      open.add(response);
      response.on('close', () => open.delete(response));
    } else {
      response.writeHead(404).end();
    }
  };
  const server = createServer(answer);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new JobError(`--port ${port}: cannot be listened on (${foreignText(error.code ?? error.message)})`));
    });
    server.listen(port, LOOPBACK, resolve);
  });
  const timer = setInterval(() => {
    if (!runs.look()) return;
    page = pageOf(runs, folder, title);
    for (const response of open) response.write('event: changed\ndata: 1\n\n');
  }, LOOK);
  return {
    address: `http://${LOOPBACK}:${(server.address() as AddressInfo).port}/`,
    close: () => {
      clearInterval(timer);
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Serves until Ctrl-C or SIGTERM. */
export async function watchUntilStopped(options: WatchOptions): Promise<void> {
  const watched = await watchRuns(options);
  console.log(`${watched.address}   follows the runs in ${foreignText(options.folder)}; Ctrl-C ends it`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  watched.close();
}
