import type { Arm, Experiment, ExperimentFile, FileArm, FileSettings } from './experiment.ts';
import type { Overlay, Settings } from './settings.ts';
import { overlaid } from './settings.ts';

/** The keys that a file may leave out of an arm's settings, by what stands for them there. */
export type SettingDefaults = (given: FileSettings) => Partial<Settings>;

const toOverlay = (given: FileSettings): Overlay =>
  Object.fromEntries(Object.entries(given).map(([key, value]) => [key, value ?? undefined]));

const toFile = (overlay: Overlay): FileSettings =>
  Object.fromEntries(Object.entries(overlay).map(([key, value]) => [key, value ?? null]));

/** An arm's settings: those of the file, over them its own, and `defaults` for what neither gives. */
export function settingsOfArm(file: ExperimentFile, arm: FileArm, defaults: SettingDefaults): Settings {
  const given = { ...file.settings, ...arm.settings };
  const named = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)) as FileSettings;
  return overlaid({ ...defaults(named) } as Settings, toOverlay(named));
}

/** What stands ahead of the arms, in an experiment and in its file. */
type Head = Pick<Experiment, 'name' | 'title' | 'about' | 'paper' | 'places' | 'seeds' | 'metric' | 'further'>;

function headOf(from: Head): Head {
  const { name, title, about, paper, places, seeds, metric, further } = from;
  return {
    name,
    title,
    ...(about === undefined ? {} : { about }),
    ...(paper === undefined ? {} : { paper }),
    places,
    seeds,
    metric,
    ...(further === undefined ? {} : { further }),
  };
}

/**
 * What a checked file describes. `complete` is the file with every arm's settings written out, so that a later version of the program with
 * other defaults reads it the same way.
 */
export function experimentOf(complete: ExperimentFile): Experiment {
  const { title, places = '', seeds = 5, metric = 'testAccuracy' } = complete;
  const arms = complete.arms.map((arm): Arm => {
    const { id, group = title, label = id, baseline, control, rate, like, measured, published } = arm;
    return {
      id,
      group,
      label,
      settings: settingsOfArm(complete, arm, () => ({})),
      ...(baseline === undefined ? {} : { baseline }),
      ...(control === undefined ? {} : { control }),
      ...(rate === undefined ? {} : { rate }),
      ...(like === undefined ? {} : { like }),
      ...(measured === undefined ? {} : { measured }),
      ...(published === undefined ? {} : { published }),
    };
  });
  const smallOf = new Map(arms.map(({ settings }, k) => [settings, complete.arms[k]?.small ?? complete.small ?? {}]));
  const { figures = [], targets = [], claims = [], notes = [], selection } = complete;
  return {
    ...headOf({ ...complete, places, seeds, metric }),
    arms,
    ...(selection === undefined
      ? {}
      : {
          selection: { ...selection, settings: toOverlay(selection.settings), small: toOverlay(selection.small ?? {}) },
        }),
    figures,
    targets,
    claims,
    notes,
    small: (settings) => toOverlay(smallOf.get(settings) ?? {}),
    file: complete,
  };
}

/** An experiment as a file. `experimentOf` makes the same arms of it. */
export function fileOf(experiment: Experiment): ExperimentFile {
  if (experiment.file !== undefined) return experiment.file;
  const { arms, figures, targets, claims, notes, selection } = experiment;
  const smalls = arms.map(({ settings }) => toFile(experiment.small(settings)));
  const [first = {}] = smalls;
  const oneSmall = smalls.every((small) => JSON.stringify(small) === JSON.stringify(first));
  return {
    version: 1,
    ...headOf(experiment),
    ...(oneSmall ? { small: first } : {}),
    arms: arms.map((arm, k): FileArm => ({ ...arm, ...(oneSmall ? {} : { small: smalls[k] ?? {} }) })),
    ...(selection === undefined
      ? {}
      : { selection: { ...selection, settings: toFile(selection.settings), small: toFile(selection.small) } }),
    figures,
    targets,
    claims,
    notes,
  };
}
