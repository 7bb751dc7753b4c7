/** What an MPI launcher tells its processes by their environment, before any library is loaded. */
export interface Launch {
  /** Whose launcher it is by its variables; undefined where they fit both. */
  readonly by: 'Open MPI' | 'MPICH' | undefined;
  /** This process among them, from 0. */
  readonly rank: number;
  /** Undefined where the launcher does not say. */
  readonly size: number | undefined;
}

function whole(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/**
 * The launcher that started this process; undefined without one. Known are `mpirun` of Open MPI, of MPICH and its kin (Hydra), and
 * Slurm's `srun` with either interface (PMIx, PMI2).
 */
export function launchOf(environment: Readonly<Record<string, string | undefined>>): Launch | undefined {
  const open = whole(environment['OMPI_COMM_WORLD_RANK']);
  if (open !== undefined) return { by: 'Open MPI', rank: open, size: whole(environment['OMPI_COMM_WORLD_SIZE']) };
  const hydra = whole(environment['PMI_RANK']);
  if (hydra !== undefined) {
    // Slurm's PMI2 sets the same names for every library.
    const by = environment['SLURM_PROCID'] === undefined ? ('MPICH' as const) : undefined;
    return { by, rank: hydra, size: whole(environment['PMI_SIZE']) };
  }
  const pmix = whole(environment['PMIX_RANK']);
  return pmix === undefined ? undefined : { by: undefined, rank: pmix, size: whole(environment['SLURM_NTASKS']) };
}
