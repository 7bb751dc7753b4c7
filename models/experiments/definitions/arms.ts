import type { Arm, Published } from '../experiment.ts';
import type { Overlay, Settings } from '../settings.ts';

/** The rules of Table I with the learning rates of section IV-A. */
export const RATES = { sgdm: 0.1, rmsprop: 0.001, adam: 0.001, amsgrad: 0.001, radam: 0.03 } as const;
export type TableRule = keyof typeof RATES;

/** FCNet on MNIST (TNNLS IV-A.1): no decay of any kind is mentioned, so there is none. */
export function mnist(optimizer: TableRule): Settings {
  return {
    recipe: 'fcnet',
    data: 'mnist',
    optimizer,
    keepProbability: 1,
    learningRate: RATES[optimizer],
    batchSize: 128,
    epochs: 100,
  };
}

/** ResNet-34 on CIFAR-10 or DenseNet-121 on CIFAR-100 (TNNLS IV-A.2): epochs 1 to 100 have the first learning rate. */
export function cifar(optimizer: TableRule, data: 'cifar10' | 'cifar100' = 'cifar10'): Settings {
  const learningRate = RATES[optimizer];
  return {
    recipe: data === 'cifar10' ? 'resnet34' : 'densenet121',
    data,
    optimizer,
    keepProbability: 1,
    learningRate,
    weightDecay: 5e-4,
    batchSize: 128,
    epochs: 200,
    phases: [
      { from: 101, learningRate: learningRate / 10 },
      { from: 151, learningRate: learningRate / 100 },
    ],
  };
}

/** The settings with another learning rate, those of its phases in proportion. */
export function rescaled(settings: Settings, factor: number): Settings {
  // 12 digits: .1 times .3 is meant to be .03.
  const times = (value: number): number => Number((value * factor).toPrecision(12));
  const { phases } = settings;
  const scaled = { ...settings, learningRate: times(settings.learningRate) };
  if (phases === undefined) return scaled;
  return {
    ...scaled,
    phases: phases.map((phase) =>
      phase.learningRate === undefined ? phase : { ...phase, learningRate: times(phase.learningRate) },
    ),
  };
}

/** Published accuracies as the tables print them: mean, or [mean, deviation]. */
export type Printed = number | readonly [mean: number, deviation: number];

export function accuracy(printed: Printed | undefined, place: string, trials = 5): { published?: Published } {
  if (printed === undefined) return {};
  const [mean, deviation] = typeof printed === 'number' ? [printed] : printed;
  const published = { metric: 'testAccuracy' as const, mean, place };
  return { published: deviation === undefined ? published : { ...published, deviation, trials } };
}

export const WITHOUT = 'without LRD';
export const lrdLabel = (keepProbability: number): string => `LRD, p = ${keepProbability}`;
export const controlLabel = (keepProbability: number): string => `control: p = 1, learning rate × ${keepProbability}`;

/** The arm that a reader will ask for beside LRD: no mask, and the mean step that the mask leaves. */
export function scaledRate(id: string, group: string, base: Settings, keepProbability: number, baseline: string): Arm {
  return {
    id: `${id}/p=1,lr*${keepProbability}`,
    group,
    label: controlLabel(keepProbability),
    settings: rescaled({ ...base, keepProbability: 1 }, keepProbability),
    baseline,
    control: true,
  };
}

export interface PairOptions {
  readonly id: string;
  readonly group: string;
  readonly base: Settings;
  readonly keepProbability?: number;
  readonly published?: readonly [without: Printed | undefined, lrd: Printed | undefined];
  readonly place: string;
  /** Default true. */
  readonly control?: boolean;
}

/** Without LRD, with it, and the control arm. */
export function pair({ id, group, base, keepProbability = 0.5, published, place, control = true }: PairOptions): Arm[] {
  const without = `${id}/p=1`;
  return [
    { id: without, group, label: WITHOUT, settings: base, ...accuracy(published?.[0], place) },
    {
      id: `${id}/p=${keepProbability}`,
      group,
      label: lrdLabel(keepProbability),
      settings: { ...base, keepProbability },
      baseline: without,
      ...accuracy(published?.[1], place),
    },
    ...(control ? [scaledRate(id, group, base, keepProbability, without)] : []),
  ];
}

/** Widths of `--scale small`, by recipe; the papers' are 64, 32 for the growth of DenseNet, and 1000 for FCNet. */
const WIDTHS: Readonly<Record<string, number>> = { fcnet: 256, densenet121: 4, resnext50: 16 };

/**
 * What `--scale small` makes of a setting: the same network, narrower, on fewer images, for a few epochs, of which the last two have
 * the reduced learning rates. It shows that everything works and what the pages look like; its accuracies say little.
 */
export function small({ recipe, batchSize }: Settings): Overlay {
  const width = WIDTHS[recipe] ?? 8;
  if (recipe === 'fcnet') return { width, limit: 6000, epochs: 5 };
  return { width, limit: recipe === 'densenet121' ? 128 : 256, epochs: 4, batchSize: Math.min(batchSize, 32) };
}
