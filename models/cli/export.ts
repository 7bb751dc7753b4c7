import { exportRun } from '../runs/exportRun.ts';
import type { EXPORT } from './table/experiment.ts';
import type { Call } from './table/row.ts';

/** `lrd export RUN --to FORM`: a run's trained network for other programs. */
export async function exportCommand({ words, options }: Call<typeof EXPORT>): Promise<void> {
  console.log(await exportRun({ folder: words.run, to: options.to ?? 'safetensors', out: options.out }));
}
