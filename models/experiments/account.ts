/** The README's account of learning rate dropout: three sentences that follow from the kept results by rule. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Ran } from './analysis/account.ts';
import { accountOf } from './analysis/account.ts';
import { experimentIn } from './catalogue.ts';
import { readResults } from './results.ts';

/** The project's README, and the folder of the results that are kept. */
export const README = join(import.meta.dirname, '..', '..', 'README.md');
const RESULTS = join(import.meta.dirname, 'results');

const [BEGIN, END] = [
  '<!-- account: models/experiments/scripts/account.ts writes what follows -->',
  '<!-- /account -->',
];

/** The experiment of the papers that has the controls. */
const NAME = 'masks';

/**
 * The sentences of the kept results: of `masks` at the papers' length where they tell something, else at the small scale, and of the experiments of our
 * own, which have a folder each. Throws where none tells.
 */
export function keptAccount(folder = RESULTS): readonly string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  const ran = (files: readonly string[]): readonly Ran[] =>
    files
      .flatMap((file) => readResults(join(folder, file)))
      .map((outcome) => ({ experiment: experimentIn(outcome), outcome }));
  const papers = ran(entries.flatMap(({ name }) => (name.endsWith('.json') ? [name] : [])));
  const own = ran(entries.flatMap((entry) => (entry.isDirectory() ? [join(entry.name, 'results.json')] : [])));
  const known = ['full', 'small']
    .map((scale) => papers.filter(({ outcome }) => outcome.experiment === NAME && outcome.scale === scale))
    .find((some) => accountOf(some) !== undefined);
  const sentences = accountOf([...(known ?? []), ...own]);
  if (sentences === undefined) throw new Error(`${folder} must hold results of ${NAME} with two seeds at least`);
  return sentences;
}

/** A text with the sentences in place of those between its marks. Throws where the marks are missing. */
export function withAccount(text: string, sentences: readonly string[]): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the README must have ${BEGIN} and ${END}`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${sentences.join('\n')}\n\n${text.slice(end)}`;
}
