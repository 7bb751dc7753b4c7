/**
 * What MPI's transports are told before the library is loaded, so that they leave the process to Node.
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
 * Sets them in the environment that libraries read, wherever a variable is not set. By libc's own function: `process.env` of a worker thread
 * is a copy that no library sees.
 */
export function settleTransports(koffi: Koffi): void {
  if (process.platform === 'win32') return;
  // With no name: the program itself, which has libc's functions.
  const set = koffi.load(null).func('int setenv(const char *name, const char *value, int overwrite)');
  for (const [name, value] of Object.entries(TRANSPORT_SETTINGS)) set(name, value, 0);
}
