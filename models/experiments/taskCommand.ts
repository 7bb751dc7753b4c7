import { resolve } from 'node:path';
import type { Scale } from './plan.ts';
import type { Overlay } from './settings.ts';

/** What a task's command line says beside its number. */
export interface TaskCall {
  /** The experiment's name, or its file's absolute path. */
  readonly name: string;
  readonly scale: Scale;
  readonly seeds: number;
  readonly overlay: Overlay;
  readonly out: string;
  readonly cellsPerTask: number;
  readonly dataDir: string | undefined;
  readonly backend: string | undefined;
  readonly checkpointSeconds: number | undefined;
  readonly keepCheckpoints: boolean;
  /** The runs that choose the experiment's learning rates, where its name does not say so. */
  readonly select?: boolean;
}

/** The settings that the command line gives, by their options. */
const OPTION_OF: Readonly<Record<string, string>> = { batchSize: 'batch-size', epochSteps: 'epoch-steps' };

/** The arguments of `lrd` for one task of an array, up to `--cell`: everything is said, nothing left to a default that may change. */
export function taskArguments(call: TaskCall): readonly string[] {
  const { name, scale, seeds, overlay, out, cellsPerTask, dataDir, backend, checkpointSeconds, keepCheckpoints } = call;
  const options: readonly (readonly [string, string | number | undefined])[] = [
    ['out', out],
    ['scale', scale],
    ['seeds', seeds],
    ...Object.entries(overlay).map(([key, value]) => [OPTION_OF[key] ?? key, value as string | number] as const),
    ['cells-per-task', cellsPerTask === 1 ? undefined : cellsPerTask],
    ['data-dir', dataDir === undefined ? undefined : resolve(dataDir)],
    ['backend', backend],
    ['checkpoint-seconds', checkpointSeconds],
  ];
  const words = options.flatMap(([option, value]) => (value === undefined ? [] : [`--${option}`, String(value)]));
  return [
    'experiment',
    name,
    ...(call.select === true ? ['--select'] : []),
    ...words,
    ...(keepCheckpoints ? ['--keep-checkpoints'] : []),
  ];
}
