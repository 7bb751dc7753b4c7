import type { RunConfig } from './runConfig.ts';

/** What of a configuration says where it ran, or follows from the rest. */
const NO_SETTING: readonly string[] = ['dataSource', 'parameters', 'tensorBoard', 'dataRemark', 'examples', 'hyper', 'lossUnit'];

/** In `hyper`, what has a place of its own, or is the optimizer's state. */
const ELSEWHERE: readonly string[] = ['keepProbability', 'learningRate', 'seed', 'sparsePattern', 'groups'];

const words = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** A run's settings by name, each in words: the optimizer's own as `optimizer.momentum`. */
export function settingsOf(config: RunConfig): ReadonlyMap<string, string> {
  const own = Object.entries(config).filter(([name]) => !NO_SETTING.includes(name));
  const hyper = Object.entries(config.hyper)
    .filter(([name, value]) => !ELSEWHERE.includes(name) && value !== null && value !== undefined)
    .map(([name, value]) => [`optimizer.${name}`, value] as const);
  return new Map([...own, ...hyper].map(([name, value]) => [name, words(value)]));
}

/** Names of the settings in which some of the runs differ; one that a run lacks is different. */
export function differingSettings(configs: readonly RunConfig[]): readonly string[] {
  const all = configs.map(settingsOf);
  const names = new Set(all.flatMap((settings) => [...settings.keys()]));
  return [...names].filter((name) => new Set(all.map((settings) => settings.get(name))).size > 1);
}
