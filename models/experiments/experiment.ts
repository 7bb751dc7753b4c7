import type { Overlay, Settings } from './settings.ts';

/** A quantity of an epoch that tables and figures show. */
export type Metric =
  | 'trainLoss'
  | 'trainAccuracy'
  | 'testLoss'
  | 'testAccuracy'
  | 'testError'
  | 'validationLoss'
  | 'validationAccuracy'
  | 'top5'
  | 'meanIoU'
  | 'pixelAccuracy'
  | 'mAP'
  | 'mAPArea'
  | 'seconds';

/** A figure that a paper prints, with its place there. */
export interface Published {
  readonly metric: Metric;
  readonly mean: number;
  /** As printed; the papers do not say whether with n or n - 1. */
  readonly deviation?: number;
  readonly trials?: number;
  readonly place: string;
}

/** One line of a table, one curve of a figure: settings that are run with several seeds. */
export interface Arm {
  /** Unique in the experiment, as in `mnist/adam/p=0.5`: what `--only` is matched against. */
  readonly id: string;
  /** What is compared with each other: a heading of the table. */
  readonly group: string;
  /** Within the group. Arms of one label have one colour in all panels of a figure. */
  readonly label: string;
  /** The paper's own settings. */
  readonly settings: Settings;
  /** The arm of the group that this one is compared with, by id. */
  readonly baseline?: string;
  /** An arm that the paper does not have. */
  readonly control?: boolean;
  /** Its learning rate is one that was chosen, in place of that of its settings. */
  readonly rate?: ChosenRate;
  /** Of a control without a mask: the id of the arm of its group whose mean step it takes. */
  readonly like?: string;
  /** Its learning rate is multiplied by the mean factor that the first seed of the arm `like` measured. */
  readonly measured?: boolean;
  readonly published?: Published;
}

/** A learning rate that the runs of a `Selection` decide. */
export interface ChosenRate {
  /** The id of the arm for which it was chosen: this one, or one that chooses its own. */
  readonly of: string;
  /** What the chosen rate is multiplied by. */
  readonly times: number;
}

/** How learning rates are chosen: short runs of one seed, on training examples that are held out. */
export interface Selection {
  /** Candidates in ascending order: the rate of an arm's settings times each of these. */
  readonly factors: readonly number[];
  /** What the runs have instead of an arm's own settings: how many epochs, how many examples are held out. */
  readonly settings: Overlay;
  /** What `--scale small` has instead of those. */
  readonly small: Overlay;
  /** What decides, at the end of a run. */
  readonly metric: 'validationLoss' | 'validationAccuracy';
}

/** One chart of a figure. */
export interface Panel {
  readonly title: string;
  readonly metric: Metric;
  /** Ids of the arms that it draws. */
  readonly arms: readonly string[];
}

/** Charts in the paper's arrangement: row by row. */
export interface Figure {
  readonly place: string;
  readonly about: string;
  readonly columns: number;
  readonly panels: readonly Panel[];
}

/** A level whose first crossing is the speed of convergence. */
export interface Target {
  readonly metric: Metric;
  readonly value: number;
  /** Arms whose id begins so. */
  readonly arms: string;
}

/** A metric beside the experiment's own, with what the paper prints of it by arm. */
export interface FurtherMetric {
  readonly metric: Metric;
  readonly published: Readonly<Record<string, Published>>;
}

/** A table or figure of a paper, or a comparison of one's own, as data. */
export interface Experiment {
  readonly name: string;
  readonly title: string;
  /** What the comparison is about, where the title and the paper do not say. */
  readonly about?: string;
  /** Where it is a paper's. */
  readonly paper?: PaperKey;
  /** Its tables and figures there. */
  readonly places: string;
  /** Trials that the paper runs. */
  readonly seeds: number;
  /** What is compared: the metric of the table. */
  readonly metric: Metric;
  /** Compared in tables of their own. Default: none. */
  readonly further?: readonly FurtherMetric[];
  readonly arms: readonly Arm[];
  /** How the rates of arms that have a `rate` are chosen, ahead of their runs. */
  readonly selection?: Selection;
  readonly figures: readonly Figure[];
  readonly targets: readonly Target[];
  /** What the paper says about the outcome, to be held against ours. */
  readonly claims: readonly string[];
  /** What the paper leaves open and how it was decided; what else a reader must know. */
  readonly notes: readonly string[];
  /** Memory that must be known of before a run is begun. */
  readonly memory?: (settings: Settings) => string | undefined;
  /** The settings that `--scale small` has instead. */
  readonly small: (settings: Settings) => Overlay;
  /** The file that it was read from, with every default written out. */
  readonly file?: ExperimentFile;
}

/** Settings as a file gives them: null takes one away that stands further out. */
export type FileSettings = { readonly [K in keyof Settings]?: Settings[K] | null };

/** An arm as a file gives it. */
export interface FileArm {
  readonly id: string;
  /** Default: the experiment's title. */
  readonly group?: string;
  /** Default: the id. */
  readonly label?: string;
  /** Over those of the file. */
  readonly settings?: FileSettings;
  readonly baseline?: string;
  readonly control?: boolean;
  readonly rate?: ChosenRate;
  readonly like?: string;
  readonly measured?: boolean;
  readonly published?: Published;
  /** Instead of those of the file, what `--scale small` has in place of these settings. */
  readonly small?: FileSettings;
}

/** A selection as a file gives it. */
export interface FileSelection extends Omit<Selection, 'settings' | 'small'> {
  readonly settings: FileSettings;
  readonly small?: FileSettings;
}

/** An experiment as JSON: what `lrd experiment mine.json` reads and `lrd experiment table3 --json` prints. */
export interface ExperimentFile {
  readonly $schema?: string;
  readonly version: 1;
  readonly name: string;
  readonly title: string;
  /** What the comparison is about, in a sentence or two. */
  readonly about?: string;
  readonly paper?: PaperKey;
  readonly places?: string;
  /** Default 5. */
  readonly seeds?: number;
  /** Default `testAccuracy`. */
  readonly metric?: Metric;
  readonly further?: readonly FurtherMetric[];
  /** Of every arm. */
  readonly settings?: FileSettings;
  readonly arms: readonly FileArm[];
  readonly selection?: FileSelection;
  readonly figures?: readonly Figure[];
  readonly targets?: readonly Target[];
  readonly claims?: readonly string[];
  readonly notes?: readonly string[];
  readonly small?: FileSettings;
}

/** The papers, as the pages cite them. */
export const PAPERS = {
  tnnls: 'Lin et al., "Learning Rate Dropout", IEEE TNNLS 2022, doi 10.1109/TNNLS.2022.3155181',
  arxiv: 'Lin et al., "Learning Rate Dropout", arXiv 1912.00144v1, 2019',
  taper: '"Adapting Regularization with Learning Rate For Better Generalization in Neural Networks"',
  masking:
    'Joo, Xia, Kim, Zhang, Ie, "On Surprising Effectiveness of Masking Updates in Adaptive Optimizers", arXiv 2602.15322, 2026',
} as const;
export type PaperKey = keyof typeof PAPERS;

/** A metric's name, unit and axis. */
export interface MetricInfo {
  readonly name: string;
  readonly unit: string;
  readonly logarithmic: boolean;
  /** Whether more is better. */
  readonly rising: boolean;
  readonly digits: number;
}

export const METRICS: Readonly<Record<Metric, MetricInfo>> = {
  trainLoss: { name: 'training loss', unit: 'nats', logarithmic: true, rising: false, digits: 4 },
  trainAccuracy: { name: 'training accuracy', unit: '%', logarithmic: false, rising: true, digits: 2 },
  testLoss: { name: 'test loss', unit: 'nats', logarithmic: true, rising: false, digits: 4 },
  testAccuracy: { name: 'test accuracy', unit: '%', logarithmic: false, rising: true, digits: 2 },
  validationLoss: { name: 'validation loss', unit: 'nats', logarithmic: true, rising: false, digits: 4 },
  validationAccuracy: { name: 'validation accuracy', unit: '%', logarithmic: false, rising: true, digits: 2 },
  testError: { name: 'test error', unit: '%', logarithmic: false, rising: false, digits: 2 },
  top5: { name: 'top-5 accuracy', unit: '%', logarithmic: false, rising: true, digits: 2 },
  meanIoU: { name: 'mean IoU', unit: '%', logarithmic: false, rising: true, digits: 2 },
  pixelAccuracy: { name: 'pixel accuracy', unit: '%', logarithmic: false, rising: true, digits: 2 },
  mAP: { name: 'mean average precision, 11 points', unit: '%', logarithmic: false, rising: true, digits: 2 },
  mAPArea: { name: 'mean average precision, area', unit: '%', logarithmic: false, rising: true, digits: 2 },
  seconds: { name: 'training time of an epoch', unit: 's', logarithmic: false, rising: false, digits: 2 },
};
