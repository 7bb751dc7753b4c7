/**
 * The measuring itself. Lanes of a group take turns: in each round every lane is timed by tinybench for a few samples, in an
 * order in which each comes behind each other one as often (`turns`): a machine that slows down slows all of them, and what one leaves in the caches and the
 * heap meets all. A round's value is the median of its samples; what
 * is reported is the median and the quartiles over the rounds, and ratios are taken round by round.
 */
import { Bench } from 'tinybench';
import type { FigureResult, GroupResult, LaneResult, Limit, RatioResult, SkippedLane } from './results.ts';
import { pairedRatio, scale, spread } from './statistics.ts';

/** Milliseconds of a sample on a clock of the lane's own (another process, a GPU); nothing: tinybench's clock counts. */
export type Sample = number | undefined;

/** One side of a comparison. */
export interface Lane {
  readonly name: string;
  /** Before each turn, not timed: selects a backend. */
  prepare?(): void | Promise<void>;
  /**
   * One sample: `steps` steps, all of their work finished when it returns. What it computes must stay reachable (buffers that
   * later steps read), so that no compiler can leave it out.
   */
  sample(): Sample | Promise<Sample>;
  /** Steps of a sample. Default 1. */
  readonly steps?: number;
  /** Elements of a step, where they are not the group's. */
  readonly elements?: number;
  /** See `LaneResult.bytesMoved`. */
  readonly bytesMoved?: number;
  /** Name of the lane that copies as many bytes. */
  readonly copyLane?: string;
  /** See `LaneResult.extraBytes`. Called once, after the warm-up. */
  extraBytes?(): number | undefined | Promise<number | undefined>;
  /** Milliseconds that the host took for the last sample, where the sample is a device's. */
  hostMs?(): number;
  /** Milliseconds that the last sample's threads had on a processor, where they are another process's; else this process's are taken. */
  processorMs?(): number;
  /** Gives memory and processes back. */
  close?(): void | Promise<void>;
}

/** A lane that is opened when its group starts, or a reason why it cannot be. */
export interface LaneSource {
  readonly name: string;
  open(): Lane | Promise<Lane>;
}

/** Two lanes to be compared, by name. */
export interface Pair {
  readonly lane: string;
  readonly over: string;
  readonly limit?: Limit;
}

/** Milliseconds a step of the lanes that ran. */
export type Rounds = ReadonlyMap<string, readonly number[]>;

export interface Group {
  readonly name: string;
  readonly elements?: number;
  readonly tensors?: number;
  readonly lanes: readonly LaneSource[];
  readonly pairs: readonly Pair[];
  /** Figures from the lanes' milliseconds a step, by name, in the order of the rounds; or measured here, after the lanes. */
  figures?(rounds: Rounds): readonly FigureResult[] | Promise<readonly FigureResult[]>;
}

export interface Budget {
  /** Milliseconds for a group's rounds, warm-up not counted. */
  readonly groupMs: number;
  /** Milliseconds that a lane's turn should take at least. */
  readonly turnMs: number;
  readonly minRounds: number;
  readonly maxRounds: number;
  /** A lane whose sample takes longer is left out, with that reason. */
  readonly slowMs: number;
}

/** Why a lane cannot run here: not a fault. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

interface Running {
  readonly lane: Lane;
  /** Whether a sample is a promise: a needless await would be timed. */
  readonly waits: boolean;
  readonly samples: number;
  readonly rounds: number[];
  readonly host: number[];
  readonly processor: number[];
  readonly extraBytes: number | undefined;
}

let sink = 0;

/** About a millisecond of integer arithmetic that fits in a core's registers: its time varies only with the machine. */
function spin(): number {
  const start = performance.now();
  let x = sink | 1;
  for (let i = 0; i < 600_000; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  sink = x;
  return performance.now() - start;
}

/** How much longer than the quickest a fixed piece of work took in the slowest tenth of its runs. */
function noiseOf(spins: readonly number[]): number {
  const sorted = [...spins].sort((a, b) => a - b);
  const [quickest = 1] = sorted;
  return ((sorted[Math.floor(0.9 * (sorted.length - 1))] ?? quickest) - quickest) / quickest;
}

/** Milliseconds that all threads of this process had on a processor so far. */
function processorNow(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Times one lane with tinybench. Returns milliseconds a step. */
async function time(
  { lane, waits }: Pick<Running, 'lane' | 'waits'>,
  iterations: number,
  warmupMs: number,
  { host, processor }: Pick<Running, 'host' | 'processor'> = { host: [], processor: [] },
): Promise<number> {
  await lane.prepare?.();
  const bench = new Bench({
    iterations,
    time: 0,
    warmup: warmupMs > 0,
    warmupTime: warmupMs,
    warmupIterations: 2,
    throws: true,
    retainSamples: true,
  });
  const steps = lane.steps ?? 1;
  let elsewhere = 0;
  const run = async (): Promise<unknown> => {
    const own = await lane.sample();
    if (lane.hostMs !== undefined) host.push(lane.hostMs() / steps);
    if (lane.processorMs !== undefined) elsewhere += lane.processorMs();
    return own === undefined ? undefined : { overriddenDuration: own };
  };
  const runSync = (): unknown => {
    const own = lane.sample() as Sample;
    return own === undefined ? undefined : { overriddenDuration: own };
  };
  bench.add(lane.name, waits ? run : runSync, { async: waits });
  const before = processorNow();
  await bench.run();
  const spent = lane.processorMs === undefined ? processorNow() - before : elsewhere;
  processor.push(spent / iterations / steps);
  const { result } = bench.tasks[0] as (typeof bench.tasks)[number];
  if (!('latency' in result)) throw new Error(`${lane.name}: no result, the task is ${result.state}`);
  return result.latency.p50 / steps;
}

async function start(source: LaneSource, budget: Budget): Promise<Running | SkippedLane> {
  let lane: Lane;
  try {
    lane = await source.open();
  } catch (error) {
    if (error instanceof Unavailable) return { name: source.name, reason: error.message };
    throw error;
  }
  try {
    const started = await warmUp(lane, budget);
    if (!isRunning(started)) await lane.close?.();
    return started;
  } catch (error) {
    await lane.close?.();
    throw error;
  }
}

/** First samples of a lane: whether it is quick enough, how many samples make a turn, what memory it takes. */
async function warmUp(lane: Lane, budget: Budget): Promise<Running | SkippedLane> {
  const { name, steps = 1 } = lane;
  await lane.prepare?.();
  const begin = performance.now();
  const pending = lane.sample();
  const waits = pending instanceof Promise;
  await pending;
  if (performance.now() - begin > budget.slowMs) {
    // The very first sample also compiles and allocates: only the second one says how long a sample takes.
    const again = performance.now();
    await lane.sample();
    const second = performance.now() - again;
    if (second > budget.slowMs) {
      return { name, reason: `a step takes ${(second / steps / 1000).toFixed(1)} s; --full runs it` };
    }
  }
  const perStep = await time({ lane, waits }, 1, Math.min(200, budget.groupMs / 20));
  const perSample = Math.max(1e-4, perStep * steps);
  const extraBytes = await lane.extraBytes?.();
  const samples = Math.max(1, Math.min(200, Math.round(budget.turnMs / perSample)));
  return { lane, waits, samples, rounds: [], host: [], processor: [], extraBytes };
}

const isRunning = (entry: Running | SkippedLane): entry is Running => 'lane' in entry;

function toResult(
  { lane, rounds, host, processor, extraBytes }: Running,
  all: readonly Running[],
  elements: number | undefined,
): LaneResult {
  const ms = spread(rounds);
  const copy = all.find((other) => other.lane.name === lane.copyLane && other.lane.elements === lane.elements);
  return {
    name: lane.name,
    ms,
    turns: rounds.length,
    ...(elements === undefined ? {} : { nsPerElement: scale(ms, 1e6 / (lane.elements ?? elements)) }),
    ...(lane.bytesMoved === undefined ? {} : { bytesMoved: lane.bytesMoved }),
    ...(copy === undefined ? {} : { shareOfCopy: pairedRatio(copy.rounds, rounds) }),
    ...(extraBytes === undefined ? {} : { extraBytes }),
    ...(host.length === 0 ? {} : { hostMs: spread(host) }),
    processorMs: spread(processor),
  };
}

/**
 * The order of a round's turns: a permutation of 0 to count - 1. Over `count` rounds each lane has each place once; over 2 * count rounds, or `count` where
 * that is even, each follows each other one equally often (E. J. Williams, Australian Journal of Scientific Research A 2, 1949).
 */
export function turns(count: number, round: number): readonly number[] {
  // 0, 1, -1, 2, -2, ...: every difference of neighbours once, and the other way round in every second cycle.
  const row = Array.from({ length: count }, (_, k) => {
    const zigzag = k % 2 === 1 ? (k + 1) / 2 : count - k / 2;
    return (zigzag + round) % count;
  });
  return Math.floor(round / count) % 2 === 1 ? row.reverse() : row;
}

/** Runs a group's lanes in turns. */
export async function runGroup(group: Group, budget: Budget): Promise<GroupResult> {
  const entries: (Running | SkippedLane)[] = [];
  try {
    for (const source of group.lanes) entries.push(await start(source, budget));
    const running = entries.filter(isRunning);
    const spins: number[] = [];
    let rounds = running.length === 0 ? 0 : budget.minRounds;
    const begin = performance.now();
    for (let round = 0; round < rounds; round++) {
      spins.push(spin(), spin(), spin());
      for (const turn of turns(running.length, round)) {
        const entry = running[turn] as Running;
        entry.rounds.push(await time(entry, entry.samples, 0, entry));
      }
      if (round === 0) {
        const took = performance.now() - begin;
        rounds = Math.max(budget.minRounds, Math.min(budget.maxRounds, Math.floor(budget.groupMs / took)));
      }
    }
    const byName = new Map(running.map((entry) => [entry.lane.name, entry]));
    const ratios = group.pairs.flatMap(({ lane, over, limit }): RatioResult[] => {
      const [a, b] = [byName.get(lane), byName.get(over)];
      if (a === undefined || b === undefined) return [];
      const [ratio, processor] = [pairedRatio(a.rounds, b.rounds), pairedRatio(a.processor, b.processor)];
      return [{ lane, over, ratio, processor, ...(limit === undefined ? {} : { limit }) }];
    });
    const milliseconds = new Map(running.map((entry) => [entry.lane.name, entry.rounds]));
    return {
      name: group.name,
      ...(group.elements === undefined ? {} : { elements: group.elements }),
      ...(group.tensors === undefined ? {} : { tensors: group.tensors }),
      lanes: running.map((entry) => toResult(entry, running, group.elements)),
      ratios,
      figures: (await group.figures?.(milliseconds)) ?? [],
      skipped: entries.filter((entry): entry is SkippedLane => !isRunning(entry)),
      noise: noiseOf(spins),
    };
  } finally {
    for (const entry of entries) if (isRunning(entry)) await entry.lane.close?.();
  }
}
