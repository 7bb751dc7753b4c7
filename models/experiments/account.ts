/** The README's account of learning rate dropout: three sentences that follow from the kept results by rule. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { accountOf } from './analysis/account.ts';
import { findExperiment } from './catalogue.ts';
import { readResults } from './results.ts';

/** The project's README, and the folder of the results that are kept. */
export const README = join(import.meta.dirname, '..', '..', 'README.md');
const RESULTS = join(import.meta.dirname, 'results');

const [BEGIN, END] = [
  '<!-- account: models/experiments/scripts/account.ts writes what follows -->',
  '<!-- /account -->',
];

/** The experiment whose results tell: it has the controls. */
const NAME = 'masks';

/** The sentences of the kept results of `masks`: those at the papers' length where there are some, else at the small scale. Throws where none are kept. */
export function keptAccount(folder = RESULTS): readonly string[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json')).sort(); // prettier-ignore
  const outcomes = files
    .flatMap((name) => readResults(join(folder, name)))
    .filter(({ experiment }) => experiment === NAME);
  for (const scale of ['full', 'small']) {
    for (const outcome of outcomes.filter((one) => one.scale === scale)) {
      const sentences = accountOf(findExperiment(NAME), outcome);
      if (sentences !== undefined) return sentences;
    }
  }
  throw new Error(`${folder} must hold results of ${NAME} with two seeds at least`);
}

/** A text with the sentences in place of those between its marks. Throws where the marks are missing. */
export function withAccount(text: string, sentences: readonly string[]): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the README must have ${BEGIN} and ${END}`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${sentences.join('\n')}\n\n${text.slice(end)}`;
}
