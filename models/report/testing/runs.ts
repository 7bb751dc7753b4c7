import type { Run, RunConfig } from '../../runs/runFolder.ts';
import type { EpochMetrics } from '../../trainer/train.ts';

/** A run that nobody trained: its curves fall and rise as curves do, a little differently for each seed. */
export function madeRun(
  changes: Partial<RunConfig> = {},
  {
    epochs = 12,
    folder = '',
    change = (line) => line,
  }: {
    readonly epochs?: number;
    readonly folder?: string;
    readonly change?: (line: EpochMetrics) => EpochMetrics;
  } = {},
): Run {
  const config: RunConfig = {
    recipe: 'fcnet',
    data: 'mnist',
    dataSource: '/data/mnist',
    optimizer: 'adam',
    hyper: { beta1: 0.9 },
    keepProbability: 1,
    learningRate: 1e-3,
    batchSize: 128,
    epochs,
    seed: '0x1',
    backend: 'wasm',
    parameters: 1_796_010,
    examples: { train: 60_000, test: 10_000 },
    ...changes,
  };
  const p = typeof config.keepProbability === 'number' ? config.keepProbability : 1;
  const shift = (Number(config.seed) || 0) % 7;
  const metrics = Array.from({ length: epochs }, (_, k): EpochMetrics => {
    const epoch = k + 1;
    const wobble = 1 + 0.03 * Math.sin(epoch + 2 * shift);
    return change({
      epoch,
      trainLoss: Math.exp((-5 * epoch * p ** 0.3) / epochs) * wobble,
      trainAccuracy: 100 - 40 * Math.exp((-6 * epoch) / epochs) * wobble,
      testLoss: 0.1 + Math.exp((-4 * epoch) / epochs),
      testAccuracy: 98.5 - 38 * Math.exp((-7 * epoch) / epochs) * wobble,
      seconds: 3 + 0.1 * shift,
      inputSeconds: 0,
      learningRate: 1e-3,
      keepProbability: p,
      weightDecay: 0,
    });
  });
  const environment = { date: '2026-11-27T12:00:00.000Z', node: 'v20.20.2', tfjs: '4.22.0', backend: 'wasm' };
  const name = `runs/${config.optimizer}-p${config.keepProbability}-s${config.seed}`;
  return { folder: folder === '' ? name : folder, config, metrics, environment };
}

/** Two rules, each with and without LRD, each with three seeds. */
export function madeRuns(): Run[] {
  return ['adam', 'sgdm'].flatMap((optimizer) =>
    [1, 0.5].flatMap((keepProbability) =>
      ['0x1', '0x2', '0x3'].map((seed) => madeRun({ optimizer, keepProbability, seed })),
    ),
  );
}
