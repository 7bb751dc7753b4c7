import type { LaneSource } from '../harness/measure.ts';

/** What a sample is measured by: the wall's clock, or the time that this program's threads had on a processor. */
export type Clock = 'wall' | 'processor';

/** A lane of this process by its processor time, all threads together: what other programs do beside it hardly counts. */
export function onProcessor(source: LaneSource): LaneSource {
  return {
    ...source,
    open: async () => {
      const lane = await source.open();
      return {
        ...lane,
        sample: async () => {
          const before = process.cpuUsage();
          await lane.sample();
          const { user, system } = process.cpuUsage(before);
          return (user + system) / 1000;
        },
      };
    },
  };
}
