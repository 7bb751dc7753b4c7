/**
 * The two binary interfaces of MPI: what the names of `mpi.h` stand for in a compiled library. In Open MPI handles are addresses of
 * exported objects, in MPICH and its kin (Intel MPI, MVAPICH, Cray) numbers.
 *
 * Sources: Open MPI 4.1.4, `mpi.h`; MPICH 4.0.2, `mpi.h` (the common MPICH ABI, https://www.mpich.org/abi/).
 */

/** The datatypes and operations that are used here. */
export type MpiName = 'world' | 'float' | 'double' | 'int' | 'byte' | 'sum' | 'max' | 'or' | 'errorsReturn';

export interface MpiAbi {
  readonly name: 'Open MPI' | 'MPICH';
  /** The type of a handle in C, as koffi writes it. */
  readonly handle: 'void *' | 'int';
  /** Symbols whose address is the handle, or the handles themselves. */
  readonly handles: Readonly<Record<MpiName, string | number>>;
  /** MPI_IN_PLACE. */
  readonly inPlace: number;
  /** MPI_STATUS_IGNORE. */
  readonly statusIgnore: number;
}

export const OPEN_MPI: MpiAbi = {
  name: 'Open MPI',
  handle: 'void *',
  handles: {
    world: 'ompi_mpi_comm_world',
    float: 'ompi_mpi_float',
    double: 'ompi_mpi_double',
    int: 'ompi_mpi_int',
    byte: 'ompi_mpi_byte',
    sum: 'ompi_mpi_op_sum',
    max: 'ompi_mpi_op_max',
    or: 'ompi_mpi_op_bor',
    errorsReturn: 'ompi_mpi_errors_return',
  },
  inPlace: 1,
  statusIgnore: 0,
};

export const MPICH: MpiAbi = {
  name: 'MPICH',
  handle: 'int',
  handles: {
    world: 0x44000000,
    float: 0x4c00040a,
    double: 0x4c00080b,
    int: 0x4c000405,
    byte: 0x4c00010d,
    sum: 0x58000003,
    max: 0x58000001,
    or: 0x58000008,
    errorsReturn: 0x54000001,
  },
  inPlace: -1,
  statusIgnore: 1,
};

/** Libraries by the names that loaders find them under: first the versioned ones, which need no development package. */
export const LIBRARIES: Readonly<Record<MpiAbi['name'], readonly string[]>> = {
  'Open MPI': ['libmpi.so.40', 'libmpi.so', 'libmpi.40.dylib', 'libmpi.dylib'],
  MPICH: ['libmpich.so.12', 'libmpi.so.12', 'libmpich.so', 'libmpi.12.dylib', 'libmpich.dylib'],
};

/** MPI_MAX_LIBRARY_VERSION_STRING and MPI_MAX_ERROR_STRING, the larger of both libraries'. */
export const VERSION_BYTES = 8192;
export const ERROR_BYTES = 512;

/** Which of the two a library is, by what MPI_Get_library_version says. */
export function abiOf(version: string): MpiAbi {
  return /open mpi/i.test(version) ? OPEN_MPI : MPICH;
}
