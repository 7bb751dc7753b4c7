/** A group of processes over MPI: the system's own library, called by koffi. Works in place on any array, a WebAssembly memory's too. */
import { InvalidArgumentError, UnsupportedError } from '../validate.ts';
import type { Group, Reducible, ReduceOperation } from './group.ts';
import { GroupError, alone } from './group.ts';
import type { Koffi, NativeFunction, NativeLibrary } from './koffi.ts';
import { loadKoffi } from './koffi.ts';
import type { Launch } from './launcher.ts';
import { launchOf } from './launcher.ts';
import type { MpiAbi, MpiName } from './mpiAbi.ts';
import { ERROR_BYTES, LIBRARIES, VERSION_BYTES, abiOf } from './mpiAbi.ts';
import { settleTransports } from './settings.ts';

/** Which MPI `mpi` takes. */
export interface MpiOptions {
  /** Path or name of the library. Default: the environment variable `LRD_MPI`, then those of the launcher's own kind. */
  readonly library?: string;
  /** Seconds that a call waits for the other processes before it fails. Default: `LRD_MPI_PATIENCE`, then 600. */
  readonly patience?: number;
}

const HOW_TO_GET =
  'install Open MPI or MPICH (Debian: apt install openmpi-bin, or mpich), or name its library in LRD_MPI';

/** MPI_THREAD_FUNNELED: only the thread that began calls. */
const FUNNELED = 1;

/** Elements of one call: a count is an int in C, and libraries are best tried well below its end. */
const PIECE = 1 << 28;

/** Milliseconds that a call is waited for in a busy loop, and what it sleeps between two looks afterwards: cores may be shared. */
const BUSY = 2;
const NAP = 0.05;

function text(bytes: Uint8Array, length: number): string {
  return new TextDecoder().decode(bytes.subarray(0, length)).replace(/\0.*$/s, '').trim();
}

/** "Open MPI 4.1.4" or "MPICH 4.0.2": the first line of what the library says of itself, short. */
function shortVersion(abi: MpiAbi, version: string): string {
  const number = /\d+\.\d+(\.\d+)?/.exec(version)?.[0];
  const kin = /intel\(r\) mpi|mvapich|cray mpich/i.exec(version)?.[0];
  return `${kin ?? abi.name}${number === undefined ? '' : ` ${number}`}`;
}

function candidates(launch: Launch, library: string | undefined): readonly string[] {
  if (library !== undefined) return [library];
  const { 'Open MPI': open, MPICH: mpich } = LIBRARIES;
  return launch.by === 'MPICH' ? [...mpich, ...open] : [...open, ...mpich];
}

/** The library's functions, on the handles of its kind. */
class Mpi {
  readonly abi: MpiAbi;
  readonly version: string;
  readonly #handles = new Map<MpiName, bigint | number>();
  readonly #library: NativeLibrary;
  readonly #koffi: Koffi;
  readonly #allReduce: NativeFunction;
  readonly #broadcast: NativeFunction;
  readonly #gather: NativeFunction;
  readonly #test: NativeFunction;
  readonly #patience: number;
  /** Arrays that the library reads and writes behind JavaScript's back while a call is under way. */
  readonly #held = new Set<Reducible>();

  constructor(koffi: Koffi, library: NativeLibrary, patience: number) {
    this.#koffi = koffi;
    this.#library = library;
    this.#patience = patience;
    const [bytes, length] = [new Uint8Array(VERSION_BYTES), new Int32Array(1)];
    library.func('int MPI_Get_library_version(void *version, void *length)')(bytes, length);
    const version = text(bytes, length[0] as number);
    this.abi = abiOf(version);
    this.version = shortVersion(this.abi, version);
    const { handle } = this.abi;
    this.#allReduce = library.func(
      `int MPI_Iallreduce(intptr_t send, void *receive, int count, ${handle} type, ${handle} operation, ${handle} comm, void *request)`,
    );
    this.#broadcast = library.func(
      `int MPI_Ibcast(void *buffer, int count, ${handle} type, int root, ${handle} comm, void *request)`,
    );
    this.#gather = library.func(
      `int MPI_Igather(void *send, int count, ${handle} type, void *receive, int each, ${handle} kind, int root, ${handle} comm, void *request)`,
    );
    this.#test = library.func('int MPI_Test(void *request, void *flag, intptr_t status)');
  }

  /** Joins the others: rank and size. */
  begin(): { rank: number; size: number } {
    const { handle } = this.abi;
    const provided = new Int32Array(1);
    this.#check(
      'MPI_Init_thread',
      this.#library.func('int MPI_Init_thread(intptr_t argc, intptr_t argv, int required, void *provided)')(
        0,
        0,
        FUNNELED,
        provided,
      ),
    );
    const world = this.#handle('world');
    // A broken network is an error to be told, not the library's to end the process over.
    this.#check(
      'MPI_Comm_set_errhandler',
      this.#library.func(`int MPI_Comm_set_errhandler(${handle} comm, ${handle} handler)`)(
        world,
        this.#handle('errorsReturn'),
      ),
    );
    const number = (name: string): number => {
      const result = new Int32Array(1);
      this.#check(name, this.#library.func(`int ${name}(${handle} comm, void *result)`)(world, result));
      return result[0] as number;
    };
    return { rank: number('MPI_Comm_rank'), size: number('MPI_Comm_size') };
  }

  allReduce(values: Reducible, operation: ReduceOperation): void {
    this.#inPieces(values, (piece, type, request) =>
      this.#allReduce(
        this.abi.inPlace,
        piece,
        piece.length,
        type,
        this.#handle(operation),
        this.#handle('world'),
        request,
      ),
    );
  }

  broadcast(values: Reducible, root: number): void {
    this.#inPieces(values, (piece, type, request) =>
      this.#broadcast(piece, piece.length, type, root, this.#handle('world'), request),
    );
  }

  /** @param receive - on process 0, room for everybody's */
  gather(values: Float32Array, receive: Float32Array): void {
    const request = new BigInt64Array(1);
    const type = this.#handle('float');
    const { length } = values;
    this.#hold([values, receive]);
    this.#check(
      'a gathering',
      this.#gather(values, length, type, receive, length, type, 0, this.#handle('world'), request),
    );
    this.#wait(request);
  }

  end(): void {
    this.#library.func('int MPI_Finalize()')();
  }

  abort(code: number): void {
    this.#library.func(`int MPI_Abort(${this.abi.handle} comm, int code)`)(this.#handle('world'), code);
  }

  #inPieces(
    values: Reducible,
    start: (piece: Reducible, type: bigint | number, request: BigInt64Array) => number,
  ): void {
    const type = this.#handle(
      values instanceof Float32Array
        ? 'float'
        : values instanceof Float64Array
          ? 'double'
          : values instanceof Int32Array
            ? 'int'
            : 'byte',
    );
    for (let at = 0; at < values.length; at += PIECE) {
      const piece = values.length <= PIECE ? values : values.subarray(at, at + PIECE);
      // A request is a pointer or an int: eight bytes have room for both.
      const request = new BigInt64Array(1);
      this.#hold([piece]);
      this.#check('a reduction', start(piece, type, request));
      this.#wait(request);
    }
  }

  /**
   * Keeps arrays where they are until the call is done. V8 has small ones in its own heap, where collecting garbage moves them; asking for
   * their buffer puts them outside for good.
   */
  #hold(arrays: readonly Reducible[]): void {
    for (const array of arrays) if (array.buffer.byteLength > 0) this.#held.add(array);
  }

  /** Drives a call that is under way until it is done. */
  #wait(request: BigInt64Array): void {
    const flag = new Int32Array(1);
    const began = performance.now();
    let sleeper: Int32Array | undefined;
    for (let looks = 1; ; looks++) {
      this.#check('a reduction', this.#test(request, flag, this.abi.statusIgnore));
      if (flag[0] !== 0) {
        this.#held.clear();
        return;
      }
      if (looks % 64 !== 0 && sleeper === undefined) continue;
      const waited = performance.now() - began;
      if (waited > 1000 * this.#patience) {
        throw new GroupError(
          `the other processes did not answer within ${this.#patience} s: one has died, the network is broken, or they take longer than LRD_MPI_PATIENCE`,
        );
      }
      if (waited > BUSY) {
        sleeper ??= new Int32Array(new SharedArrayBuffer(4));
        Atomics.wait(sleeper, 0, 0, NAP);
      }
    }
  }

  #check(what: string, code: number): void {
    if (code === 0) return;
    const [bytes, length] = [new Uint8Array(ERROR_BYTES), new Int32Array(1)];
    this.#library.func('int MPI_Error_string(int code, void *text, void *length)')(code, bytes, length);
    throw new GroupError(`${this.version}: ${what} failed: ${text(bytes, length[0] as number).split('\n')[0]}`);
  }

  #handle(name: MpiName): bigint | number {
    let handle = this.#handles.get(name);
    if (handle === undefined) {
      const entry = this.abi.handles[name];
      handle =
        typeof entry === 'number' ? entry : this.#koffi.address(this.#library.symbol(entry, this.#koffi.opaque()));
      this.#handles.set(name, handle);
    }
    return handle;
  }
}

function loadMpi(koffi: Koffi, names: readonly string[], patience: number): Mpi {
  const failures: string[] = [];
  for (const name of names) {
    try {
      // Global: Open MPI's plugins look for the library's symbols. One without MPI's functions is none.
      return new Mpi(koffi, koffi.load(name, { global: true }), patience);
    } catch (error) {
      failures.push((error as Error).message.split('\n')[0] as string);
    }
  }
  throw new UnsupportedError(
    names.length === 1
      ? `the MPI library ${names[0]} does not load (${failures[0]}); ${HOW_TO_GET}`
      : `no MPI library was found; ${HOW_TO_GET}`,
  );
}

function patienceOf({ patience }: MpiOptions): number {
  const given = patience ?? Number(process.env['LRD_MPI_PATIENCE'] ?? 600);
  if (!(given > 0 && given < Infinity)) {
    throw new InvalidArgumentError(
      `${patience === undefined ? 'LRD_MPI_PATIENCE' : 'patience'} must be a finite number of seconds above 0, got ${
        patience ?? process.env['LRD_MPI_PATIENCE']
      }`,
    );
  }
  return given;
}

let joined: Promise<Group> | undefined;

async function join(launch: Launch, options: MpiOptions): Promise<Group> {
  const patience = patienceOf(options);
  const koffi = await loadKoffi();
  settleTransports(koffi, launch.size);
  const mpi = loadMpi(koffi, candidates(launch, options.library ?? process.env['LRD_MPI']), patience);
  const { rank, size } = mpi.begin();
  if (launch.size !== undefined && launch.size !== size) {
    throw new UnsupportedError(
      `${launch.size} processes were started, ${mpi.version} sees ${size}: launcher and library must be of one MPI ` +
        "(LRD_MPI names the library, mpirun.openmpi and mpirun.mpich are Debian's launchers)",
    );
  }
  let open = true;
  let calls = 0;
  let bytes = 0;
  const count = (values: Reducible): void => {
    calls += 1;
    bytes += values.byteLength;
  };
  const close = (): void => {
    if (open) mpi.end();
    open = false;
  };
  const abort = (code: number): void => {
    if (open) mpi.abort(code);
    open = false;
  };
  // A process that ends badly takes the others along: they would wait for it.
  process.once('exit', (code) => (code === 0 ? close() : abort(code)));
  return {
    rank,
    size,
    description: mpi.version,
    get traffic() {
      return { calls, bytes };
    },
    allReduce: (values, operation) => {
      count(values);
      mpi.allReduce(values, operation);
    },
    broadcast: (values, root) => {
      count(values);
      mpi.broadcast(values, root);
    },
    gather: (values) => {
      count(values);
      const receive = new Float32Array(rank === 0 ? size * values.length : 0);
      mpi.gather(values, receive);
      return rank === 0 ? receive : undefined;
    },
    close,
    abort,
  };
}

/**
 * Joins the processes that `mpirun` or `srun` started: one group a process, whose calls block Node's loop as a step does. Started by neither
 * it is a group of one, whose description says so, and no library is loaded. Open MPI 4 and later, and MPICH 3.2 and its kin, are known.
 *
 * @throws UnsupportedError without koffi or an MPI library, with how to get it, and when launcher and library are of different MPIs
 * @throws InvalidArgumentError on a patience that is not above 0
 */
export async function mpi(options: MpiOptions = {}): Promise<Group> {
  const launch = launchOf(typeof process === 'undefined' ? {} : process.env);
  if (launch === undefined) {
    patienceOf(options);
    return alone('not started by mpirun: one process');
  }
  return (joined ??= join(launch, options));
}
