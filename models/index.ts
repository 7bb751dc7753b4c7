/** Networks, data, training and reports, for programs that want what the `lrd` command does. */
export { useBackend, BACKENDS } from './backend.ts';
export { DATA_SETS, loadImageSet } from './data/catalogue.ts';
export type { ImageSet, Split } from './data/dataSet.ts';
export { JobError, UsageError } from './errors.ts';
export { denseNet121 } from './nets/densenet.ts';
export type { DenseNetOptions } from './nets/densenet.ts';
export { fcNet } from './nets/fcnet.ts';
export type { FcNetOptions } from './nets/fcnet.ts';
export type { ForwardOptions, Net, NetOptions, Parameter } from './nets/net.ts';
export { resNet, smallResNet } from './nets/resnet.ts';
export type { ResNetName, ResNetOptions, SmallResNetOptions } from './nets/resnet.ts';
export { renderRunReport } from './report/runReport.ts';
export { readRun } from './trainer/runFolder.ts';
export type { EpochMetrics, Run, RunConfig } from './trainer/runFolder.ts';
export { evaluate, train } from './trainer/train.ts';
export type { TrainOptions } from './trainer/train.ts';
export { consoleProgress, silentProgress } from './trainer/progress.ts';
export type { Progress } from './trainer/progress.ts';
