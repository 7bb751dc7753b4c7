/**
 * What MPI is told before the library is loaded: its transports, that they leave the process to Node, and its reductions, how to send.
 *
 * They were written for programs of one thread that own their process. On loading, UCX (1.13, on which Debian's MPICH stands) writes jumps
 * over the beginnings of libc's mmap, munmap, brk and sbrk, and tries them by moving the heap's end up a page and back, whatever other threads
 * have put there in between: one load in nine died so while three threads allocated from one arena. It also takes SIGSEGV, by which V8
 * bounds WebAssembly's memories, and SIGHUP. Open MPI's patcher and libfabric's memory monitor rewrite the same functions. All of it serves
 * caches of registered memory, which are off without it.
 */
import type { Koffi } from './koffi.ts';

/** Names and values; what a user has set stays. */
export const TRANSPORT_SETTINGS: Readonly<Record<string, string>> = {
  // UCX: `ucx_info -cf` lists them.
  UCX_MEM_EVENTS: 'n',
  UCX_MEM_MMAP_HOOK_MODE: 'none',
  UCX_ERROR_SIGNALS: '',
  UCX_DEBUG_SIGNO: '0',
  // Open MPI: its signal handlers need none, they take only signals that nobody has.
  OMPI_MCA_memory: '^patcher',
  // libfabric: fi_mr(3).
  FI_MR_CACHE_MONITOR: 'disabled',
};

/**
 * Of two and three processes: Open MPI (4.1, `coll_libnbc_iallreduce_algorithm`) would reduce towards one of them, then send the sum back, one direction
 * after the other, where a ring sends both ways at once. From four on it takes the ring itself, where there is much to send.
 */
export const RING_SETTINGS: Readonly<Record<string, string>> = { OMPI_MCA_coll_libnbc_iallreduce_algorithm: '1' };

/**
 * Sets them in the environment that libraries read, wherever a variable is not set. By libc's own function: `process.env` of a worker thread
 * is a copy that no library sees.
 *
 * @param size - of the group, where the launcher tells
 */
export function settleTransports(koffi: Koffi, size: number | undefined): void {
  if (process.platform === 'win32') return;
  // With no name: the program itself, which has libc's functions.
  const set = koffi.load(null).func('int setenv(const char *name, const char *value, int overwrite)');
  const settings = { ...TRANSPORT_SETTINGS, ...(size === 2 || size === 3 ? RING_SETTINGS : {}) };
  for (const [name, value] of Object.entries(settings)) set(name, value, 0);
}
