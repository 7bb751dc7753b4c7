import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { JobError, UsageError } from '../errors.ts';
import { EXPERIMENTS, experimentIn } from '../experiments/catalogue.ts';
import type { ExperimentOutcome } from '../experiments/results.ts';
import { collectResults, formatResults, readResults } from '../experiments/results.ts';
import { experimentSection } from '../report/experimentSection.ts';
import type { Section } from '../report/page.ts';
import { sectionsPage } from '../report/page.ts';
import { predictionsSection } from '../report/predictions.ts';
import { samplesSection } from '../report/samples.ts';
import { runSection } from '../report/runReport.ts';
import type { Run } from '../runs/runFolder.ts';
import { shortName } from '../storage/modules.ts';
import { findRuns } from '../runs/findRuns.ts';
import { readPredictions, readRun, readSamples, writeWhole } from '../runs/runFolder.ts';
import { checkOutputs } from './outputs.ts';
import type { REPORT } from './table/experiment.ts';
import type { Call } from './table/row.ts';
import { watchUntilStopped } from './watchReport.ts';

const INTRODUCTION = `<p>Learning rate dropout (LRD) keeps the update of each scalar parameter with probability p at every step and skips it otherwise, while
momentum and moments go on accumulating. Below, each table and figure of the papers stands beside runs of our own, with what differs in the setting.
Arms that the papers lack are marked “control”.</p>`;

/** What a RUN may be: a training run's folder, a folder with such folders in it, an output folder of `lrd experiment`, or a file of its results. */
interface Sources {
  readonly runs: readonly Run[];
  readonly experiments: readonly ExperimentOutcome[];
}

function readSources(paths: readonly string[]): Sources {
  const runs: Run[] = [];
  const experiments: ExperimentOutcome[] = [];
  for (const path of paths) {
    if (!existsSync(path)) throw new JobError(`${path}: no such run`);
    if (statSync(path).isFile()) {
      experiments.push(...readResults(path));
      continue;
    }
    const collected = existsSync(join(path, 'config.json')) ? undefined : collectResults(path);
    if (collected === undefined) {
      const found = findRuns(path);
      // Of a folder that holds none, the message is that of a run.
      runs.push(...(found.length === 0 ? [path] : found).map(readRun));
    } else experiments.push(...collected);
  }
  return { runs, experiments };
}

/** In the papers' order, the user's own behind them; of two versions of one experiment first the larger. */
function inOrder(experiments: readonly ExperimentOutcome[]): ExperimentOutcome[] {
  const place = (outcome: ExperimentOutcome): number => {
    const at = EXPERIMENTS.indexOf(experimentIn(outcome));
    return at < 0 ? EXPERIMENTS.length : at;
  };
  return [...experiments].sort((a, b) => place(a) - place(b) || b.cells.length - a.cells.length);
}

function sectionsOf({ runs, experiments }: Sources): Section[] {
  return [
    ...inOrder(experiments).map((outcome) => experimentSection(experimentIn(outcome), outcome)),
    ...(runs.length === 0 ? [] : [runSection(runs)]),
    ...runs.flatMap(({ folder, config: { recipe, data, optimizer, keepProbability } }) => {
      const drawings = readPredictions(folder);
      const samples = readSamples(folder);
      const [name, set] = [recipe, data].map(shortName);
      const how = `${set}, ${optimizer}, p = ${keepProbability}`;
      return [
        ...(drawings.length === 0 ? [] : [predictionsSection(`What ${name} sees: ${how}`, drawings)]),
        ...(samples.length === 0 ? [] : [samplesSection(`What ${name} writes: ${how}`, samples)]),
      ];
    }),
  ];
}

/**
 * `lrd report RUN... --out FILE.html`: runs side by side, and experiments beside what the papers print. `--json FILE` writes the
 * results of the experiments, from which the same page can be made elsewhere; `--watch DIR` serves a page that follows the runs of a folder.
 */
export async function reportCommand({ words, options }: Call<typeof REPORT>): Promise<void> {
  const { out, json, watch, port } = options;
  const title = options.title ?? 'Learning Rate Dropout: what was run';
  if (watch !== undefined) {
    if (words.runs.length > 0 || out !== undefined || json !== undefined) {
      throw new UsageError('--watch DIR stands alone, with --title and --port: it shows a page and writes none');
    }
    if (statSync(watch, { throwIfNoEntry: false })?.isDirectory() !== true) {
      throw new UsageError(`--watch must be a folder that is there, got ${JSON.stringify(watch)}`);
    }
    await watchUntilStopped({ folder: watch, title, port: port ?? 0 });
    return;
  }
  if (port !== undefined) throw new UsageError('--port is for --watch DIR');
  if (words.runs.length === 0) throw new UsageError('lrd report needs at least one RUN folder');
  if (out === undefined && json === undefined) throw new UsageError('lrd report needs --out FILE.html');
  checkOutputs({ out, json });
  const sources = readSources(words.runs);
  if (json !== undefined) {
    if (sources.experiments.length === 0)
      throw new UsageError('--json needs results of lrd experiment, got runs alone');
    writeWhole(json, formatResults(sources.experiments));
    console.log(json);
  }
  if (out !== undefined) {
    const ofPapers = sources.experiments.some((outcome) => experimentIn(outcome).paper !== undefined);
    writeWhole(out, sectionsPage(title, ofPapers ? INTRODUCTION : '', sectionsOf(sources)));
    console.log(out);
  }
}
