import { isAbsolute, relative } from 'node:path';
import { UsageError } from '../errors.ts';

/** What a Job is made of. */
export interface JobOptions {
  /** The plan's name; the Job's is made of it. */
  readonly name: string;
  readonly image: string;
  /** The persistent volume claim that holds the output folder. */
  readonly claim: string;
  /** Where the claim is mounted in the pods; the output folder lies in it. */
  readonly mount: string;
  readonly out: string;
  readonly gpus: number;
  readonly tasks: number;
  /** Pods at one time, at most. */
  readonly limit: number | undefined;
  /** What `lrd` gets in the pod, up to `--cell`. */
  readonly arguments: readonly string[];
}

const CONTAINER = 'lrd';
/** Long enough for the step under way and a checkpoint. */
const GRACE_SECONDS = 120;
/** Tries of one index that count: disruptions do not. */
const TRIES_AGAIN = 3;
/** More finished indices than this, and a Job's status no longer fits an object of the cluster. */
const MOST_TASKS = 100_000;

/** A name as Kubernetes takes it: what a DNS label may be, with room for what is put behind it for the pods. */
export function jobName(plan: string): string {
  const plain = plan
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return `lrd-${plain}`.slice(0, 50).replace(/-+$/, '');
}

/** The grammar of image references (distribution/reference): HOST[:PORT]/NAME[/NAME...][:TAG][@DIGEST]; names are of small letters. */
const IMAGE = ((): RegExp => {
  const label = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?';
  const host = `(?:${label}(?:\\.${label})*|\\[[0-9a-fA-F:]+\\])(?::\\d+)?`;
  const name = '[a-z0-9]+(?:(?:\\.|__?|-+)[a-z0-9]+)*';
  const digest = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';
  return new RegExp(`^(?:${host}/)?${name}(?:/${name})*(?::\\w[\\w.-]{0,127})?(?:@${digest})?$`);
})();
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const CLAIM = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})*$`);

function checkOptions({ image, claim, mount, out, tasks }: JobOptions): void {
  if (image.length > 255 || !IMAGE.test(image)) {
    throw new UsageError(`--image must be [HOST/]NAME[:TAG][@DIGEST] in small letters, got ${JSON.stringify(image)}`);
  }
  if (!CLAIM.test(claim)) {
    throw new UsageError(`--claim must be the name of a persistent volume claim, got ${JSON.stringify(claim)}`);
  }
  if (!isAbsolute(mount) || mount.includes(':') || mount === '/') {
    throw new UsageError(
      `--mount must be an absolute path other than / and without a colon, got ${JSON.stringify(mount)}`,
    );
  }
  if (!isAbsolute(out) || /^\.\.(?:\/|$)/.test(relative(mount, out))) {
    throw new UsageError(
      `--out must be an absolute path in ${mount}, where the claim is mounted in the pods, got ${JSON.stringify(out)}`,
    );
  }
  if (tasks > MOST_TASKS)
    throw new UsageError(`an Indexed Job has at most ${MOST_TASKS} tasks, got ${tasks}; give --cells-per-task`);
}

/**
 * An Indexed Job (batch/v1) whose pods run one task each. A disruption (drain, preemption, a lost node) is no try; exit code 2, a wrong call,
 * fails its index at once; anything else is tried again, from the checkpoint. A pod takes the place of another when that one has ended.
 */
export function kubernetesJob(options: JobOptions): object {
  checkOptions(options);
  const { name, image, claim, mount, gpus, tasks, limit } = options;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: jobName(name), labels: { 'app.kubernetes.io/name': 'learning-rate-dropout' } },
    spec: {
      completionMode: 'Indexed',
      completions: tasks,
      parallelism: Math.min(limit ?? tasks, tasks),
      backoffLimitPerIndex: TRIES_AGAIN,
      maxFailedIndexes: tasks,
      podReplacementPolicy: 'Failed',
      podFailurePolicy: {
        rules: [
          { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
          { action: 'FailIndex', onExitCodes: { containerName: CONTAINER, operator: 'In', values: [2] } },
        ],
      },
      template: {
        metadata: { labels: { 'app.kubernetes.io/name': 'learning-rate-dropout' } },
        spec: {
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: GRACE_SECONDS,
          containers: [
            {
              name: CONTAINER,
              image,
              command: ['lrd'],
              args: [...options.arguments, '--cell', 'env'],
              ...(gpus === 0 ? {} : { resources: { limits: { 'nvidia.com/gpu': String(gpus) } } }),
              volumeMounts: [{ name: 'shared', mountPath: mount }],
            },
          ],
          volumes: [{ name: 'shared', persistentVolumeClaim: { claimName: claim } }],
        },
      },
    },
  };
}
