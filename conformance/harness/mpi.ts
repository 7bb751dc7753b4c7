/** Finds the MPI launchers of this machine, and starts programs under them. */
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';

export type Mpi = 'Open MPI' | 'MPICH';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `mpirun` of each kind by the names that it has in Debian and elsewhere; the kind is asked of the program. */
const NAMES = ['mpirun.openmpi', 'mpirun.mpich', 'mpirun'];

function kindOf(program: string): Mpi | undefined {
  try {
    const version = execFileSync(program, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    if (version.includes('Open MPI') || version.includes('open-mpi')) return 'Open MPI';
    return /hydra|mpich/i.test(version) ? 'MPICH' : undefined;
  } catch {
    return undefined;
  }
}

/** The launchers that are here. */
export function launchers(): ReadonlyMap<Mpi, string> {
  const found = new Map<Mpi, string>();
  for (const program of NAMES) {
    const kind = kindOf(program);
    if (kind !== undefined && !found.has(kind)) found.set(kind, program);
  }
  return found;
}

/** Why a test cannot run here, for a launcher that is missing. */
export const missing = (kind: Mpi): string =>
  `no mpirun of ${kind} (Debian: apt install ${kind === 'MPICH' ? 'mpich' : 'openmpi-bin'})`;

export interface Start {
  readonly kind: Mpi;
  readonly ranks: number;
  /** The program after `mpirun`, with its arguments. */
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** The launcher's own arguments: as many processes as asked for, however few cores there are, by root too. */
export function launcherArguments(kind: Mpi, ranks: number): string[] {
  const more = kind === 'Open MPI' && ranks > availableParallelism() ? ['--oversubscribe'] : [];
  return [...more, '-np', String(ranks)];
}

/** What root needs in Open MPI's environment. */
export const AS_ROOT = { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' };

/** A program under `mpirun`. */
export interface Running {
  /** `mpirun` itself. */
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly stderr: () => string;
}

/** Starts a program under `mpirun`. */
export function startUnderMpi(start: Start): Running {
  const { kind, ranks, command, environment = {}, cwd } = start;
  const launcher = launchers().get(kind) as string;
  const child = spawn(launcher, [...launcherArguments(kind, ranks), ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...AS_ROOT, ...environment },
    ...(cwd === undefined ? {} : { cwd }),
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (text: Buffer) => (output.stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (output.stderr += text.toString()));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...output }));
  });
  return { child, ended, stderr: () => output.stderr };
}

/** Starts a program under `mpirun` and waits for its end. */
export function underMpi(start: Start): Promise<Ended> {
  return startUnderMpi(start).ended;
}
