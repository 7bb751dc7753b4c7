import type { Net, NetOptions, TrainedNet } from '../nets/net.ts';
import { freezeHalf } from '../nets/freeze.ts';
import type { Drawing } from '../tasks/drawing.ts';
import type { TextSample } from '../tasks/language/textSample.ts';
import type { Evaluation } from '../tasks/segmentation/evaluations.ts';
import type { Part } from '../tasks/part.ts';
import type { Task, Updater } from '../tasks/task.ts';
import type { Schedules } from '../trainer/schedules/schedule.ts';

/** What a paper trains a network with; the optimizer's rule has its own defaults beside these. */
export interface RecipeDefaults {
  /** The data set's name. */
  readonly data: string;
  /** Examples in a batch. */
  readonly batchSize: number;
  /** Of the whole training. */
  readonly epochs: number;
  /** The rule's name. Default `sgdm`. */
  readonly optimizer?: string;
  /** Default: the rule's. */
  readonly weightDecay?: number;
  /** Default: none. */
  readonly schedules?: Schedules;
}

/** The data that a run is about, and what is asked of the task. */
export interface Selection {
  /** The data set's name. */
  readonly data: string;
  /** `--data-dir`: where it lies; undefined for the usual places. */
  readonly dataDir: string | undefined;
  /** `--limit`: at most so many training examples. */
  readonly limit: number | undefined;
  /** `--validation`: so many of these are held out, and tested beside the test set; undefined for none. */
  readonly validation: number | undefined;
  /** `--augment`: what training does to a picture; undefined for the data's own way. */
  readonly augment: string | undefined;
  /** `--crop`: pixels of a training picture's side, for networks that take any. */
  readonly crop: number | undefined;
  /** `--evaluate`: how pictures are tested. */
  readonly evaluation: Evaluation | undefined;
  /** Of the network, which must fit the data: undefined for the paper's. */
  readonly width: number | undefined;
  /** The probability that a training label is one of the others (NL). */
  readonly noisyLabels: number | undefined;
  /** Examples of a step. */
  readonly batchSize: number;
  /** `--layers`: blocks of the network, of networks that have any number. */
  readonly layers: number | undefined;
  /** `--context`: bytes of a text that the network sees at once. */
  readonly context: number | undefined;
  /** `--epoch-steps`: steps of an epoch, where a pass over the data is none. */
  readonly epochSteps: number | undefined;
}

/** What only some recipes take, by its field in `Selection`, with the option that asks for it. */
export const SPECIAL_OPTIONS = {
  crop: '--crop',
  evaluation: '--evaluate',
  noisyLabels: '--regularizer noisy-labels',
  layers: '--layers',
  context: '--context',
  epochSteps: '--epoch-steps',
} as const satisfies Partial<Record<keyof Selection, string>>;

export type SpecialOption = keyof typeof SPECIAL_OPTIONS;

export interface BuildOptions extends NetOptions {
  /** Half of the parameters, by whole tensors, keep their first values (TNNLS Fig. 1). Default false. */
  readonly frozenTensors?: boolean;
}

export interface TaskOptions {
  readonly optimizer: Updater;
  readonly seed: bigint;
  /** Of a process that trains together with others. Default: everything. */
  readonly part?: Part;
}

/** A network and what it is to learn, whatever that is. */
export interface Workload {
  readonly net: TrainedNet;
  task(options: TaskOptions): Task<unknown>;
  /** Gives the network the values of a file (`--init`). Returns what was left out of it, in a line; undefined where nothing was. */
  initialise(path: string): string | undefined;
  /** A few test pictures with what the network sees in them; none where there is nothing to draw. */
  draw(): Promise<readonly Drawing[]>;
  /** Of a language model: texts that it writes. Default: none. */
  write?(): Promise<readonly TextSample[]>;
}

/** Examples that are trained on, held out of those to choose settings by, and tested on. */
export interface ExampleCounts {
  readonly train: number;
  readonly validation?: number;
  readonly test: number;
}

/** The data of a run, loaded and found to fit its recipe; no tensor has been made yet, so no backend is needed so far. */
export interface WorkloadData {
  /** The folder that the data came from. */
  readonly source: string;
  /** What must be known of the data. */
  readonly remark?: string;
  readonly augmentation: string;
  readonly examples: ExampleCounts;
  /** Of recipes that classify images: what the network sees, and the classes that it tells apart. */
  readonly images?: { readonly shape: readonly number[]; readonly classes: readonly string[] };
  /** Builds the network on the backend that runs. */
  build(options: BuildOptions): Workload;
}

/** A network, a task and a data set, with the settings that a paper trains them with. */
export interface Recipe {
  /** As the command line takes it. */
  readonly name: string;
  /** Network and task in a line. */
  readonly title: string;
  /** What `--width` means for it. */
  readonly width: string;
  /** The paper's settings. */
  readonly defaults: RecipeDefaults;
  /** What it takes of the options that only some recipes take. */
  readonly takes: readonly SpecialOption[];
  /** What losses are in. Default: nats a sample. */
  readonly lossUnit?: 'bits a byte';
  /** What it reads of a data set, in a word: of recipes that read the same, all find it where one does. */
  readonly reads: string;
  /** Throws a `UsageError` for what cannot be whatever the files hold: a set of another kind, a width. Reads nothing. Default: all may be. */
  check?(selection: Selection): void;
  /** Looks whether a set is there and is of the recipe's kind. Throws as `load` does. */
  findData(data: string, dataDir: string | undefined): Promise<void>;
  /** Loads the data. Throws a `UsageError` where data, width and network do not fit each other, a `JobError` for files that are missing or broken. */
  load(selection: Selection): Promise<WorkloadData>;
}

interface Counted {
  readonly count: number;
}

/** How many examples the splits of a set have. */
export function countsOf(
  set: Readonly<Record<'train' | 'test', Counted>> & { readonly validation?: Counted },
): ExampleCounts {
  const { train, validation, test } = set;
  return {
    train: train.count,
    ...(validation === undefined ? {} : { validation: validation.count }),
    test: test.count,
  };
}

/** The network of a run: with half of its tensors frozen where that is asked for. */
export function ofRun<Output>(net: Net<Output>, frozenTensors: boolean | undefined): Net<Output> {
  return frozenTensors === true ? freezeHalf(net) : net;
}

/** "Reduced by ten times" at these epochs. */
export function steps(...milestones: number[]): Schedules {
  return { learningRate: { kind: 'step', milestones } };
}

/** TNNLS IV-A.2: "200 epochs with a mini-batch size 128 [...] reduced by ten times at the 100th and 150th epochs [...] 5e-4". */
export const CIFAR_DEFAULTS = {
  batchSize: 128,
  epochs: 200,
  weightDecay: 5e-4,
  schedules: steps(100, 150),
} as const;

/** What `--width` means for the residual networks. */
export const FILTERS = 'filters of the first stage, 64';
