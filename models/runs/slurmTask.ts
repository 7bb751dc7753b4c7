import { spawnSync } from 'node:child_process';

/** One life of a task in Slurm's queue: the same job, started again by a requeue, is the same task with one life more. */
export interface SlurmTask {
  readonly cluster: string;
  /** SLURM_JOB_ID: every task of an array has one of its own, and keeps it over requeues. */
  readonly job: string;
  /** As people and `squeue` call it: `123_7` for a task of an array. */
  readonly name: string;
  /** SLURM_RESTART_COUNT, 0 in its first life. */
  readonly life: number;
  readonly node: string;
}

/** The task that this process runs in; undefined outside Slurm. */
export function slurmTask(env: NodeJS.ProcessEnv = process.env): SlurmTask | undefined {
  const { SLURM_JOB_ID: job, SLURMD_NODENAME: node } = env;
  // A shell that `salloc` opened has a job too, but stands on the login node and is never requeued.
  if (job === undefined || node === undefined) return undefined;
  const { SLURM_ARRAY_JOB_ID: array, SLURM_ARRAY_TASK_ID: index } = env;
  return {
    cluster: env['SLURM_CLUSTER_NAME'] ?? '',
    job,
    name: array === undefined || index === undefined ? job : `${array}_${index}`,
    life: Number(env['SLURM_RESTART_COUNT'] ?? 0),
    node,
  };
}

/** What Slurm says of a node, in its own words (`IDLE`, `MIXED`, `DOWN*`); undefined when it cannot be asked. */
export type NodeStateOf = (node: string) => string | undefined;

function askSlurm(node: string): string | undefined {
  const { stdout } = spawnSync('scontrol', ['--oneliner', 'show', 'node', node], { encoding: 'utf8', timeout: 10_000 });
  return /\bState=(\S+)/.exec(stdout ?? '')?.[1];
}

const KEEP_MS = 30_000;
const answers = new Map<string, { readonly state: string | undefined; readonly at: number }>();

/** Asks the controller, at most twice a minute for a node: a waiting task looks every few seconds, and there may be hundreds of them. */
function nodeStateOf(node: string): string | undefined {
  const known = answers.get(node);
  if (known !== undefined && performance.now() - known.at < KEEP_MS) return known.state;
  const state = askSlurm(node);
  answers.set(node, { state, at: performance.now() });
  return state;
}

/**
 * Whether `owner` is an earlier life of the task `mine`, and over. Slurm starts the next life when it has ended the earlier one, with one
 * exception: a node that it has lost. What ran there may go on running, unseen.
 */
export function isEarlierLife(owner: SlurmTask, mine: SlurmTask, stateOf: NodeStateOf = nodeStateOf): boolean {
  if (owner.cluster !== mine.cluster || owner.job !== mine.job || owner.life >= mine.life) return false;
  if (owner.node === mine.node) return true;
  const state = stateOf(owner.node);
  // `*`: it does not answer.
  return state !== undefined && !/\*|DOWN|FAIL|UNKNOWN|NOT_RESPONDING|NO_RESPOND/.test(state);
}
