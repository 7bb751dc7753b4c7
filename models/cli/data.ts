import { foreignText } from 'learning-rate-dropout/internal';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { dataFolders } from '../data/catalogue.ts';
import type { FetchProgress } from '../data/fetch/fetchDataSet.ts';
import { fetchDataSet } from '../data/fetch/fetchDataSet.ts';
import { PUBLICATIONS, isEmbedded } from '../data/fetch/publications.ts';
import { verifyDataSet } from '../data/fetch/verifyDataSet.ts';
import { JobError } from '../errors.ts';
import { formatDuration } from '../trainer/progress.ts';
import { columnsOf, table, wrapped } from '../terminal.ts';
import type { DATA_FETCH, DATA_LIST, DATA_VERIFY } from './table/others.ts';
import type { Call } from './table/row.ts';

const megabytes = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;

interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** On a terminal one line that is rewritten at most ten times a second; elsewhere plain lines, one every ten seconds. */
export function transferProgress(output: Output = process.stderr): FetchProgress {
  const tty = output.isTTY === true;
  const interval = tty ? 100 : 10_000;
  let current: { name: string; since: number; from: number } | undefined;
  let shown = performance.now();
  let open = false;
  return {
    bytes: ({ name, bytes }, done) => {
      const now = performance.now();
      if (current?.name !== name || done < current.from) current = { name, since: now, from: done };
      if (now - shown < interval) return;
      shown = now;
      const rate = (done - current.from) / ((now - current.since) / 1000);
      const left = rate > 0 ? `, ${formatDuration((bytes - done) / rate)} left` : '';
      const percent = String(Math.floor((100 * done) / bytes)).padStart(3);
      const text = `${name}: ${percent} % of ${megabytes(bytes)}, ${megabytes(rate)}/s${left}`;
      output.write(tty ? `\r\u001b[K${text}` : `${text}\n`);
      open = tty;
    },
    line: (text) => {
      output.write(`${open ? '\r\u001b[K' : ''}${foreignText(text, 4000)}\n`);
      open = false;
    },
  };
}

/** A table of what there is, where it lies here, and its terms. */
function list(dataDir: string | undefined): void {
  const folders = dataFolders(dataDir);
  const place = (name: string): string => {
    if (isEmbedded(name)) return 'part of the program';
    return folders.map((folder) => join(folder, name)).find((folder) => existsSync(folder)) ?? '-';
  };
  const rows = PUBLICATIONS.map(({ name, title, size, licence }) => [
    name,
    megabytes(size),
    place(name),
    title,
    licence,
  ]);
  const head = ['name', 'size', 'here', 'what it is', 'licence'];
  console.log(table(head, rows, columnsOf()));
  console.log(wrapped(`\nlooked for in ${folders.join(', ')}`, columnsOf()));
}

/** Files that are shown one by one; of larger sets only what is not right. */
const SHOWN = 20;

async function verify(name: string, dataDir: string | undefined): Promise<void> {
  const { folder, files, count, complete, oddities } = await verifyDataSet(name, dataDir, dataFolders(dataDir));
  const wrong = files.filter(({ state }) => state !== 'right');
  for (const { state, path, detail } of files.length > SHOWN ? wrong : files) {
    console.log(`${state.padEnd(7)}  ${path}  ${detail}`);
  }
  if (files.length > SHOWN) {
    console.log(
      `${(files.length - wrong.length).toLocaleString('en')} of ${files.length.toLocaleString('en')} files are right`,
    );
  }
  if (files.length === 0 && !isEmbedded(name))
    console.log('no sums to check: the files were not fetched by lrd data fetch');
  console.log(`count    ${count}`);
  for (const said of oddities) console.log(`odd      ${said}`);
  if (!complete) throw new JobError(`data set ${name} in ${folder} is not complete and right`);
}

/** `lrd data list`. */
export function dataListCommand({ options }: Call<typeof DATA_LIST>): void {
  list(options['data-dir']);
}

/** `lrd data fetch NAME`. */
export async function dataFetchCommand({ words, options }: Call<typeof DATA_FETCH>): Promise<void> {
  const folder = dataFolders(options['data-dir'])[0] as string;
  console.log(await fetchDataSet(words.name, { folder, progress: transferProgress() }));
}

/** `lrd data verify NAME`. */
export async function dataVerifyCommand({ words, options }: Call<typeof DATA_VERIFY>): Promise<void> {
  await verify(words.name, options['data-dir']);
}
