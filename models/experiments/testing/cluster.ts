/**
 * A Slurm cluster on this one machine, without systemd: a controller and node daemons, each node in network, host and mount namespaces of its
 * own. Needs root on Linux and Debian's `slurm-wlm` and `munge`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Why there can be no cluster here; undefined where there can. */
export function whyNoCluster(): string | undefined {
  if (process.platform !== 'linux') return 'Slurm runs on Linux';
  const missing = ['munged', 'slurmctld', 'slurmd', 'sbatch', 'ip'].filter(
    (name) => spawnSync('which', [name]).status !== 0,
  );
  if (missing.length > 0) return `${missing.join(', ')} not found: apt-get install slurm-wlm munge iproute2`;
  const names = spawnSync('unshare', [
    '--net',
    '--uts',
    '--mount',
    'ip',
    'link',
    'add',
    'lrd-a',
    'type',
    'veth',
    'peer',
    'name',
    'lrd-b',
  ]);
  return names.status === 0 ? undefined : 'network, host and mount namespaces need root';
}

function call(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', env, timeout: 60_000 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? ''}${stderr}${stdout}`);
  return stdout;
}

const pidIn = (file: string): number | undefined => {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
};

const kill = (pid: number | undefined, signal: NodeJS.Signals): void => {
  try {
    if (pid !== undefined) process.kill(pid, signal);
  } catch {
    // It has ended.
  }
};

/** How the cluster is made. */
export interface ClusterOptions {
  /** An absolute folder, short: the sockets in it have names of at most 107 characters. */
  readonly folder: string;
  readonly nodes: number;
  /** A folder that every node has by a mount of its own. */
  readonly shared?: string;
  /** Lines of slurm.conf, in place of those of the same name. */
  readonly configuration?: Readonly<Record<string, string>>;
}

/** A node: its daemon, and a process that keeps its namespaces while that one is down. */
interface Node {
  readonly name: string;
  readonly keeper: number;
}

/** A cluster that runs. */
export class Cluster {
  readonly #folder: string;
  readonly #nodes: readonly Node[];
  readonly #bridge: string;
  /** For calls of Slurm's commands. */
  readonly env: NodeJS.ProcessEnv;

  constructor(folder: string, nodes: readonly Node[], bridge: string) {
    this.#folder = folder;
    this.#nodes = nodes;
    this.#bridge = bridge;
    this.env = { ...process.env, SLURM_CONF: join(folder, 'slurm.conf') };
  }

  /** A command of Slurm. Throws with its words when it fails. */
  slurm(command: string, ...args: readonly string[]): string {
    return call(command, args, this.env);
  }

  /** Starts the controller, anew with what it has saved. */
  startController(): void {
    this.slurm('slurmctld');
  }

  /** Waits until the controller has written down what it knows now. */
  async saved(): Promise<void> {
    const file = join(this.#folder, 'state', 'job_state');
    const writtenAt = (): number => statSync(file).mtimeMs;
    const before = writtenAt();
    // Something new, so that it writes.
    this.slurm('sbatch', '--hold', '--parsable', '--output=/dev/null', '--wrap=true')
      .split('\n')
      .filter((id) => id !== '')
      .forEach((id) => this.slurm('scancel', id));
    while (writtenAt() === before) await pause(50);
  }

  /** Ends the controller as a crash does. */
  async killController(): Promise<void> {
    const pid = pidIn(join(this.#folder, 'run', 'slurmctld.pid'));
    if (pid === undefined) return;
    while (isAlive(pid)) {
      kill(pid, 'SIGKILL');
      await pause(20);
    }
  }

  /** Starts a node's daemon in the node's namespaces. */
  startNode(name: string): void {
    const { keeper } = this.#node(name);
    this.slurm('nsenter', '--target', String(keeper), '--net', '--uts', '--mount', 'slurmd', '-N', name);
  }

  /** The processes of a node: its daemon, its jobs. */
  processesOf(name: string): number[] {
    const { keeper } = this.#node(name);
    const network = readlinkSync(`/proc/${keeper}/ns/net`);
    return readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== keeper)
      .filter((pid) => {
        try {
          return readlinkSync(`/proc/${pid}/ns/net`) === network;
        } catch {
          return false;
        }
      })
      .map(Number);
  }

  /** Ends everything that runs on a node, at once, as a loss of its power does. */
  async killNode(name: string): Promise<void> {
    for (let left = this.processesOf(name); left.length > 0; left = this.processesOf(name).filter(isAlive)) {
      for (const pid of left) kill(pid, 'SIGKILL');
      await pause(20);
    }
  }

  /**
   * Ends the daemon of a node and leaves its jobs running: the cluster has lost it, and what it ran lives on. A job's own `slurmstepd` stays: when
   * the parent of a stopped process group ends, the kernel hangs the group up and wakes it.
   */
  orphanNode(name: string): void {
    for (const pid of this.processesOf(name)) {
      const command = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
      if (command === 'slurmd') kill(pid, 'SIGKILL');
    }
  }

  #node(name: string): Node {
    const found = this.#nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  /** The nodes that answer and have nothing to do. */
  idle(): string[] {
    const lines = this.slurm('sinfo', '--noheader', '--Node', '--states=idle', '--format=%N %t').split('\n');
    return [
      ...new Set(lines.flatMap((line) => (line.trim().endsWith(' idle') ? [line.trim().split(' ')[0] as string] : []))),
    ];
  }

  /** What the daemons last said: for the message of a failed test. */
  lastWords(): string {
    return readdirSync(join(this.#folder, 'log'))
      .map(
        (name) =>
          `${name}: ${readFileSync(join(this.#folder, 'log', name), 'utf8')
            .split('\n')
            .slice(-15)
            .join('\n')}`,
      )
      .join('\n');
  }

  /** Ends every process of the cluster and takes its network away. */
  async down(): Promise<void> {
    for (const { name, keeper } of this.#nodes) {
      await this.killNode(name);
      kill(keeper, 'SIGKILL');
    }
    await this.killController();
    kill(pidIn(join(this.#folder, 'run', 'munged.pid')), 'SIGKILL');
    spawnSync('ip', ['link', 'delete', this.#bridge]);
    await pause(100);
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Ended, and not waited for, counts as ended. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    return false;
  }
}

function configurationOf({ folder, nodes, configuration = {} }: ClusterOptions, subnet: string): string {
  const me = userInfo().username;
  const names = `node[1-${nodes}]`;
  const lines: Record<string, string | number> = {
    ClusterName: 'lrdtest',
    SlurmctldHost: `${hostname().split('.')[0]}(${subnet}.1)`,
    SlurmUser: me,
    SlurmdUser: me,
    AuthType: 'auth/munge',
    // A requeued job waits until the credential of its earlier life has run out.
    AuthInfo: `socket=${folder}/run/munge.sock,cred_expire=5`,
    CredType: 'cred/munge',
    // Several clusters may run at one time.
    SlurmctldPort: 20_000 + Math.floor(Math.random() * 10_000),
    StateSaveLocation: `${folder}/state`,
    SlurmdSpoolDir: `${folder}/spool/%n`,
    SlurmctldPidFile: `${folder}/run/slurmctld.pid`,
    SlurmdPidFile: `${folder}/run/slurmd-%n.pid`,
    SlurmctldLogFile: `${folder}/log/slurmctld.log`,
    SlurmdLogFile: `${folder}/log/slurmd-%n.log`,
    ProctrackType: 'proctrack/linuxproc',
    TaskPlugin: 'task/none',
    JobAcctGatherType: 'jobacct_gather/none',
    AccountingStorageType: 'accounting_storage/none',
    JobCompType: 'jobcomp/none',
    MpiDefault: 'none',
    SwitchType: 'switch/none',
    SchedulerType: 'sched/backfill',
    SchedulerParameters: 'batch_sched_delay=0,sched_interval=1,bf_interval=1',
    SelectType: 'select/cons_tres',
    SelectTypeParameters: 'CR_Core',
    PreemptType: 'preempt/partition_prio',
    PreemptMode: 'REQUEUE',
    JobRequeue: 1,
    KillWait: 20,
    MinJobAge: 300,
    MaxArraySize: 10_001,
    MaxJobCount: 20_000,
    SlurmdTimeout: 300,
    SlurmctldTimeout: 5,
    InactiveLimit: 0,
    ReturnToService: 2,
    SlurmdParameters: 'config_overrides',
    ...configuration,
  };
  const node = (k: number): string =>
    `NodeName=node${k} NodeHostname=node${k} NodeAddr=${subnet}.${10 + k} CPUs=1 RealMemory=2000 State=UNKNOWN`;
  return [
    ...Object.entries(lines).map(([key, value]) => `${key}=${value}`),
    ...Array.from({ length: nodes }, (_, k) => node(k + 1)),
    `PartitionName=main Nodes=${names} Default=YES MaxTime=INFINITE State=UP PriorityTier=1`,
    `PartitionName=urgent Nodes=${names} MaxTime=INFINITE State=UP PriorityTier=10`,
    '',
  ].join('\n');
}

/** Namespaces with a name and an address, on the bridge. */
async function makeNode(name: string, bridge: string, address: string, shared: string | undefined): Promise<Node> {
  const child = spawn(
    'unshare',
    [
      '--net',
      '--uts',
      '--mount',
      'sh',
      '-c',
      `hostname ${name} ${shared === undefined ? '' : `&& mount --bind '${shared}' '${shared}'`} && echo ready && exec sleep 1000000`,
    ],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    },
  );
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.stdout.destroy();
  child.unref();
  const keeper = child.pid as number;
  const [outside, inside] = [`${bridge}${name.slice(-1)}`, 'eth0'];
  call('ip', ['link', 'add', outside, 'type', 'veth', 'peer', 'name', inside, 'netns', String(keeper)]);
  call('ip', ['link', 'set', outside, 'master', bridge, 'up']);
  const within = (...args: string[]): string => call('nsenter', ['--target', String(keeper), '--net', 'ip', ...args]);
  within('address', 'add', `${address}/24`, 'dev', inside);
  within('link', 'set', inside, 'up');
  within('link', 'set', 'lo', 'up');
  return { name, keeper };
}

/** Brings a cluster up. Its nodes are idle when it returns. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { folder } = options;
  for (const name of ['state', 'log', 'run', 'spool']) mkdirSync(join(folder, name), { recursive: true });
  const [a, b] = randomBytes(2) as unknown as [number, number];
  const subnet = `10.${a}.${b}`;
  const bridge = `lrd${a.toString(16)}${b.toString(16)}`;
  writeFileSync(join(folder, 'munge.key'), randomBytes(1024), { mode: 0o600 });
  writeFileSync(join(folder, 'slurm.conf'), configurationOf(options, subnet));
  call('ip', ['link', 'add', bridge, 'type', 'bridge']);
  call('ip', ['address', 'add', `${subnet}.1/24`, 'dev', bridge]);
  call('ip', ['link', 'set', bridge, 'up']);
  const munge = { 'key-file': 'munge.key', socket: 'run/munge.sock', 'pid-file': 'run/munged.pid', 'log-file': 'log/munged.log', 'seed-file': 'run/munge.seed' }; // prettier-ignore
  call('munged', ['--force', ...Object.entries(munge).map(([option, file]) => `--${option}=${join(folder, file)}`)]);
  const nodes: Node[] = [];
  const cluster = new Cluster(folder, nodes, bridge);
  try {
    for (let k = 1; k <= options.nodes; k++) {
      mkdirSync(join(folder, 'spool', `node${k}`));
      nodes.push(await makeNode(`node${k}`, bridge, `${subnet}.${10 + k}`, options.shared));
    }
    cluster.slurm('slurmctld', '-c');
    for (const { name } of nodes) cluster.startNode(name);
    const patience = Date.now() + 30_000;
    while (cluster.idle().length < nodes.length) {
      if (Date.now() > patience) throw new Error(`the nodes are not idle after 30 s\n${cluster.lastWords()}`);
      await pause(50);
    }
  } catch (error) {
    await cluster.down();
    throw error;
  }
  return cluster;
}
