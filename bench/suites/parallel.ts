import type { Group } from '../harness/measure.ts';
import type { FigureResult } from '../harness/results.ts';
import { spread } from '../harness/statistics.ts';
import type { ParallelLane, ParallelPlace } from '../lanes/parallel.ts';
import { ParallelPeer, parallelLane } from '../lanes/parallel.ts';
import type { Suite } from './suite.ts';

const KEEPS = [0.1, 0.3, 0.5] as const;

/** Steps after which all processes must hold the same bits. */
const STEPS = 200;

const one = (value: number): FigureResult['value'] => ({ median: value, low: value, high: value });

const kept = (keep: number): ParallelLane => ({
  name: `kept, p = ${keep}`,
  keep,
  reduction: 'kept',
  mute: false,
  alone: false,
});
/** The mask is no part of what travels here; one keep probability does for all. */
const WHOLE: ParallelLane = { name: 'whole', keep: 0.5, reduction: 'whole', mute: false, alone: false };
const unsent = (lane: ParallelLane): ParallelLane => ({ ...lane, name: `${lane.name}, nothing sent`, mute: true });

/** What travels, over what p promises: of all that is given into the reductions, flags and a weight a step included. */
function trafficFigures(bytes: ReadonlyMap<string, number>): FigureResult[] {
  const whole = bytes.get(WHOLE.name);
  return KEEPS.flatMap((keep): FigureResult[] => {
    const sent = bytes.get(kept(keep).name);
    if (sent === undefined || whole === undefined) return [];
    return [
      {
        name: `bytes of kept coordinates over p of the whole gradient's, p = ${keep}`,
        unit: '',
        value: one(sent / (keep * whole)),
        limit: { kind: 'at most', value: 1.02 },
      },
    ];
  });
}

/** 1, 2 and 4 processes share this machine's cores. */
function sharedGroup(place: ParallelPlace): Group {
  const peer = new ParallelPeer(place);
  const bytes = new Map<string, number>();
  const lanes = place.ranks === 1 ? [kept(0.5)] : [...KEEPS.map(kept), WHOLE];
  return {
    name: `${place.ranks} ${place.ranks === 1 ? 'process' : 'processes'} on this machine, processor time of each`,
    lanes: lanes.map((lane) => parallelLane(peer, lane, 'processor', bytes)),
    pairs: place.ranks === 1 ? [] : KEEPS.map((keep) => ({ lane: kept(keep).name, over: WHOLE.name })),
    figures: async () => {
      if (place.ranks === 1 || bytes.size < lanes.length) return [];
      const { same = 0 } = await peer.ask({
        what: 'same',
        keep: 0.5,
        reduction: 'kept',
        mute: false,
        alone: false,
        steps: STEPS,
      });
      return [
        ...trafficFigures(bytes),
        {
          name: 'all processes hold the same bits',
          unit: 'steps',
          value: one(same),
          limit: { kind: 'at least', value: STEPS },
        },
      ];
    },
  };
}

/** What packing and unpacking the kept coordinates adds to the fused step. One process: two would share a memory, and here a core's units. */
function packingGroup(): Group {
  const peer = new ParallelPeer({ ranks: 1 });
  const fused = (keep: number): ParallelLane => ({ name: `fused step, p = ${keep}`, keep, reduction: 'none', mute: true, alone: true }); // prettier-ignore
  const packed = (keep: number): ParallelLane => ({ ...unsent(kept(keep)), alone: true });
  return {
    name: "the optimizer's step alone on one process, processor time",
    lanes: KEEPS.flatMap((keep) => [fused(keep), packed(keep)]).map((lane) =>
      parallelLane(peer, lane, 'processor', new Map()),
    ),
    pairs: [],
    figures: (rounds) =>
      KEEPS.flatMap((keep): FigureResult[] => {
        const [one, many] = [rounds.get(fused(keep).name), rounds.get(packed(keep).name)];
        if (one === undefined || many === undefined) return [];
        return [
          {
            name: `packing and unpacking, p = ${keep}`,
            unit: 'ns a parameter',
            value: spread(many.map((ms, i) => (1e6 * (ms - (one[i] as number))) / peer.parameters)),
            limit: { kind: 'at most', value: 0.5 },
          },
        ];
      }),
  };
}

/** Two processes with a link of so many bits a second between them, by the wall's clock. */
function linkGroup(place: ParallelPlace & { readonly rate: number }): Group {
  const peer = new ParallelPeer(place);
  const bytes = new Map<string, number>();
  const sending = [...KEEPS.map(kept), WHOLE];
  return {
    name: `2 processes over ${place.rate / 1e6} Mbit/s`,
    lanes: sending.flatMap((lane) => [lane, unsent(lane)]).map((lane) => parallelLane(peer, lane, 'wall', bytes)),
    pairs: KEEPS.map((keep) => ({
      lane: kept(keep).name,
      over: WHOLE.name,
      ...(keep === 0.5 && place.rate <= 1e8 ? { limit: { kind: 'at most', value: 0.6 } as const } : {}),
    })),
    figures: (rounds) =>
      sending.flatMap((lane): FigureResult[] => {
        const [whole, computing] = [rounds.get(lane.name), rounds.get(unsent(lane).name)];
        if (whole === undefined || computing === undefined) return [];
        // Of two processes each sends as much as it has, 2 (N - 1) / N being 1.
        const travelling = (8000 * (bytes.get(lane.name) as number)) / place.rate;
        return [
          {
            name: `${lane.name}: over computing + bytes / bandwidth`,
            unit: '',
            value: spread(whole.map((ms, i) => ms / ((computing[i] as number) + travelling))),
            limit: { kind: 'at most', value: 1.15 },
          },
        ];
      }),
  };
}

/** What one model on several processes costs, and what travels between them. */
export const parallel: Suite = {
  name: 'parallel',
  title: 'One model on many processes',
  about:
    'Training steps of FCNet (1,796,010 parameters, LRD-SGDM, 128 rows over all processes) on WASM under mpirun, with the reduction of kept coordinates and of the whole gradient. Where processes share this machine\'s cores processor time is measured; over a link that tc slows down, the time of a step. "Nothing sent": all but the sending; a number travels in its place, so that each step waits for the slower process. Bytes are those that a process gives into the reductions.',
  groups: () => [
    ...[1, 2, 4].map((ranks) => sharedGroup({ ranks })),
    packingGroup(),
    ...[1e9, 1e8].map((rate) => linkGroup({ ranks: 2, rate })),
  ],
  extra: true,
  budget: ({ full }) => ({ groupMs: full ? 120_000 : 25_000, turnMs: 1, minRounds: 3, slowMs: 60_000, maxRounds: 30 }),
};
