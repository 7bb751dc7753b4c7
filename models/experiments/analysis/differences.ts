import type { Arm } from '../experiment.ts';
import type { CellOutcome } from '../results.ts';
import { differing } from '../settings.ts';

const WORDS: Readonly<Record<string, string>> = {
  recipe: 'network',
  data: 'data set',
  batchSize: 'batch size',
  epochs: 'epochs',
  width: 'width',
  crop: 'side of the crops',
  polynomial: 'power of the polynomial decay',
  limit: 'images of each split, at most',
  validation: 'training examples held out',
  momentum: 'momentum',
  weightDecay: 'weight decay',
  learningRate: 'learning rate',
};

/** A setting's value as text; what is no plain value as JSON. */
function text(value: unknown): string | undefined {
  return value === undefined || typeof value === 'string' ? value : JSON.stringify(value);
}

/**
 * What differs from the paper's setting in the runs of some arms, as sentences of a caption: settings, number of trials, and parts of data
 * sets in place of the whole.
 */
export function differences(arms: readonly Arm[], cells: readonly CellOutcome[], trials: number): string[] {
  const lines = new Set<string>();
  const counts: number[] = [];
  const notes = new Set<string>();
  for (const arm of arms) {
    const own = cells.filter(({ arm: id }) => id === arm.id);
    const over = own.filter(({ outcome }) => outcome !== 'unfinished').length;
    if (over > 0) counts.push(over);
    for (const cell of own) {
      if (cell.dataRemark !== undefined) notes.add(cell.dataRemark);
      for (const key of differing(arm.settings, cell.settings)) {
        // A rate that was chosen stands with the answers.
        if (key === 'learningRate' && arm.rate !== undefined) continue;
        if (key === 'phases') {
          notes.add('changes of the learning rate and of the rest keep their share of the run');
          continue;
        }
        const [paper, here] = [text(arm.settings[key]), text(cell.settings[key])];
        const name = WORDS[key] ?? key;
        lines.add(paper === undefined ? `${name} ${here}` : `${name} ${here} instead of ${paper}`);
      }
    }
  }
  const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
  if (counts.length > 0 && fewest < trials) {
    lines.add(
      `${fewest === most ? most : `${fewest} to ${most}`} ${most === 1 ? 'trial' : 'trials'} instead of ${trials}`,
    );
  }
  return [...lines, ...notes];
}
