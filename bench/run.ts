/** Runs suites and puts their results together. */
import { loadavg } from 'node:os';
import { describeEnvironment } from '../models/runs/environment.ts';
import type { Budget } from './harness/measure.ts';
import { runGroup } from './harness/measure.ts';
import type { BenchResult, GroupResult, SuiteResult } from './harness/results.ts';
import { describeGpu } from './lanes/engines.ts';
import { useThreads } from './lanes/threads.ts';
import { closeTorch, describeTorch } from './lanes/torch.ts';
import type { Suite } from './suites/suite.ts';

export interface RunOptions {
  readonly suites: readonly Suite[];
  readonly full: boolean;
  /** Only groups whose name matches. */
  readonly only: RegExp | undefined;
  /** Threads that every side takes. */
  readonly threads: number;
  /** Milliseconds for each group instead of the profile's. */
  readonly groupMs: number | undefined;
  /** The call, to be kept with the results. */
  readonly command: string;
  onSuite(suite: Suite): void;
  onGroup(group: GroupResult): void;
}

const DEFAULT: Budget = { groupMs: 5000, turnMs: 20, minRounds: 5, maxRounds: 30, slowMs: 800 };
const FULL: Budget = { groupMs: 20_000, turnMs: 50, minRounds: 7, maxRounds: 40, slowMs: 60_000 };

/** Above this share, a fixed piece of work varied so much that small differences mean nothing. */
const NOISY = 0.15;

function warningsOf(load: number, suites: readonly SuiteResult[]): string[] {
  const warnings: string[] = [];
  if (load > 0.5) {
    warnings.push(
      `the machine was busy when the run began: load average ${load.toFixed(2)}. Times are too long; ratios taken turn by turn hold better`,
    );
  }
  const groups = suites.flatMap((suite) => suite.groups);
  const noisy = groups.filter(({ noise }) => noise > NOISY);
  if (noisy.length > 0) {
    warnings.push(
      `the machine was noisy in ${noisy.length} of ${groups.length} groups: a fixed piece of work varied by more than ${100 * NOISY} %`,
    );
  }
  return warnings;
}

/** Runs the suites, one group after the other. */
export async function runBench(options: RunOptions): Promise<BenchResult> {
  useThreads(options.threads);
  const [load = 0] = loadavg();
  const profile = { full: options.full };
  const environment = describeEnvironment('see lanes');
  const results: SuiteResult[] = [];
  try {
    for (const suite of options.suites) {
      options.onSuite(suite);
      const start = performance.now();
      const budget: Budget = {
        ...(options.full ? FULL : DEFAULT),
        ...suite.budget?.(profile),
        ...(options.groupMs === undefined ? {} : { groupMs: options.groupMs }),
      };
      const groups: GroupResult[] = [];
      for (const group of await suite.groups(profile)) {
        if (options.only !== undefined && !options.only.test(group.name)) continue;
        const result = await runGroup(group, budget);
        groups.push(result);
        options.onGroup(result);
      }
      const { name, title, about } = suite;
      results.push({ name, title, about, seconds: (performance.now() - start) / 1000, groups });
    }
    const torch = await describeTorch();
    const adapter = describeGpu();
    return {
      version: 1,
      command: options.command,
      environment: {
        ...environment,
        threads: options.threads,
        ...(adapter === undefined ? {} : { adapter }),
        ...(torch === undefined ? {} : { pytorch: torch }),
      },
      warnings: warningsOf(load, results),
      suites: results,
    };
  } finally {
    await closeTorch();
  }
}
