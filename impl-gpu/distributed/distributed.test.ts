import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { layout, streamMask } from '../../impl-ref/index.ts';
import { launchOf } from './launcher.ts';
import { OPEN_MPI, MPICH, abiOf } from './mpiAbi.ts';
import { launchers, missing, underMpi } from '../../conformance/harness/mpi.ts';
import type { Mpi } from '../../conformance/harness/mpi.ts';

const test = suite('impl-gpu/distributed');
const program = fileURLToPath(new URL('testing/rank.ts', import.meta.url));
const found = launchers();

interface Result {
  readonly way: string;
  readonly reduction: string;
  readonly reason?: string;
  readonly bits: string;
  readonly bytes: number;
  readonly flags: readonly number[];
  readonly counts: readonly number[];
  readonly values: readonly number[];
  readonly state: readonly number[];
  readonly tensors: number;
}

interface Rank {
  readonly rank: number;
  readonly size: number;
  readonly description: string;
  /** Kilobytes of libc's code and signals that joining the group has changed, and whether V8 still has its own. */
  readonly untouched: { readonly code: number; readonly signals: number; readonly trapped: boolean };
  readonly wrong: number;
  readonly calls: Readonly<Record<string, unknown>>;
  readonly errors: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
}

const folders: string[] = [];
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'lrd-distributed-'));
  folders.push(made);
  return made;
};
test.after(() => {
  for (const made of folders) rmSync(made, { recursive: true, force: true });
});

const read = (from: string, rank: number): Rank =>
  JSON.parse(readFileSync(join(from, `rank-${rank}.json`), 'utf8')) as Rank;

/** What one process does with the whole batches, by backend. */
const single = new Map<string, Rank>();
function alone(backend: string): Rank {
  let known = single.get(backend);
  if (known === undefined) {
    const out = folder();
    // A test inside a job of Slurm or MPI must not join it.
    const environment = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(OMPI|PMI|PMIX|SLURM)_/.test(name)),
    );
    execFileSync(process.execPath, [...FROM_SOURCE, program, backend, out], { stdio: 'ignore', env: environment });
    single.set(backend, (known = read(out, 0)));
  }
  return known;
}

async function together(kind: Mpi, ranks: number, backend: string): Promise<Rank[]> {
  const out = folder();
  const { code, stderr } = await underMpi({
    kind,
    ranks,
    command: [process.execPath, '--max-semi-space-size=1', ...FROM_SOURCE, program, backend, out],
  });
  assert.is(code, 0, stderr);
  return Array.from({ length: ranks }, (_, rank) => read(out, rank));
}

function assertNear(got: readonly number[], expected: readonly number[], what: string): void {
  assert.is(got.length, expected.length, what);
  const scale = expected.reduce((largest, x) => Math.max(largest, Math.abs(x)), 1);
  got.forEach((x, i) => {
    // Six steps of some ten float32 operations each, whose summands come in another order.
    if (!(Math.abs(x - (expected[i] as number)) <= 3e-6 * scale))
      assert.unreachable(`${what}[${i}] must be ${expected[i]}, got ${x}`);
  });
}

const CASES: readonly (readonly [Mpi, number, string])[] = [
  ['Open MPI', 2, 'wasm'],
  ['MPICH', 4, 'cpu'],
];

/** Sizes of the model's variables, and what is sent beside shares: a header and the flags' words a step, four comparisons of checksums. */
const SIZES = [231, 33, 99, 7];
const STEPS = 6;
const OVERHEAD = STEPS * (4 + 8) + 4 * 32;

/** Elements that the masks of all steps keep; variable 1 whole where it is excluded. */
function keptElements(p: number, excluded: boolean): number {
  const bases = layout(SIZES);
  let kept = 0;
  for (let step = 1; step <= STEPS; step++) {
    SIZES.forEach((size, k) => {
      const mask = streamMask({ key: [7, 0], step, stream: 'mask', base: bases[k] as number }, size, p);
      kept += excluded && k === 1 ? size : mask.reduce((sum, bit) => sum + bit, 0);
    });
  }
  return kept;
}

for (const [kind, ranks, backend] of CASES) {
  const where = `${kind}, ${ranks} processes, ${backend}`;
  const here = test.when(found.has(kind), missing(kind));
  let ended: Promise<Rank[]> | undefined;
  const all = (): Promise<Rank[]> => (ended ??= together(kind, ranks, backend));
  const results = async (): Promise<(readonly [one: Result, many: readonly Result[]])[]> => {
    const every = await all();
    return alone(backend).results.map((one, index) => [one, every.map((rank) => rank.results[index] as Result)]);
  };

  here(
    `[LRD-DIST-001] [LRD-DIST-002] ${where}: the same bits everywhere, one process's values but for rounding`,
    async () => {
      for (const [rank, { rank: own, size, description }] of (await all()).entries()) {
        assert.equal([own, size], [rank, ranks]);
        assert.ok(description.startsWith(kind), description);
      }
      for (const [one, many] of await results()) {
        const [first] = many as [Result];
        assert.is(first.way, one.way);
        assert.is(new Set(many.map(({ bits }) => bits)).size, 1, one.way);
        assertNear(first.values, one.values, one.way);
        for (const { counts, state } of many) {
          assert.equal(counts, one.counts, one.way);
          assert.equal(state, first.state, one.way);
        }
        assertNear(first.state, one.state, `${one.way}: state`);
      }
    },
    { timeout: 180 },
  );

  here(`[LRD-DIST-003] ${where}: a flag that one process sets is known to all behind the same step`, async () => {
    for (const [, many] of await results()) for (const { flags } of many) assert.equal(flags, [0, 0, 0, 2, 0, 0]);
  });

  here(`[LRD-DIST-005] ${where}: of SGD only kept coordinates travel, one number each`, async () => {
    const sent = new Map((await results()).map(([{ way }, many]) => [way, many.map(({ bytes }) => bytes)]));
    const expect = (way: string, elements: number): void =>
      assert.equal(
        sent.get(way),
        Array.from({ length: ranks }, () => OVERHEAD + 4 * elements),
        way,
      );
    expect('sgdm', keptElements(0.5, true));
    expect('sgdm nesterov dampening L2', keptElements(0.5, false));
    expect('sgd p=.1', keptElements(0.1, false));
    expect('adam', STEPS * SIZES.reduce((sum, size) => sum + size, 0));
  });

  here(`[LRD-DIST-006] ${where}: where the whole gradient is reduced the reason is said`, async () => {
    const said = (await results()).map(([, [first]]) => [first?.way, first?.reduction, first?.reason]);
    assert.equal(
      said.slice(0, 6).map(([, reduction]) => reduction),
      Array.from({ length: 6 }, () => 'kept'),
    );
    assert.equal(said.slice(6), [
      ['sgdm clipped', 'whole', 'clipGlobalNorm needs the whole gradient'],
      ['adam', 'whole', 'the second moment of adam is not linear in the gradient'],
      ['sgdm magma', 'whole', 'the mask of magma depends on the whole gradient'],
      ['adam cautious', 'whole', 'the second moment of adam is not linear in the gradient'],
      ['sgdm skip-update', 'whole', 'the engines take a step of skip-update in one piece'],
    ]);
    for (const { errors } of await all()) {
      assert.is(
        errors['kept'],
        'reduction must be whole, got kept: the second moment of adam is not linear in the gradient',
      );
    }
  });

  here(`${where}: reductions and broadcasts of every kind of array, in a WebAssembly memory too`, async () => {
    const sum = (ranks * (ranks + 1)) / 2;
    for (const { rank: own, calls, wrong } of await all()) {
      assert.is(wrong, 0);
      assert.equal(calls, {
        gathered: own === 0 ? Array.from({ length: ranks }, (_, rank) => [rank, 10 * rank]).flat() : null,
        floats: sum,
        doubles: [ranks - 1, 0],
        words: 2 ** ranks - 1,
        bytes: Array.from({ length: ranks }, (_, rank) => 200 + rank),
        root: ranks - 1,
        texts: Array.from({ length: ranks }, (_, rank) => `process ${rank}, é`),
        same: true,
        different: false,
      });
    }
  });

  here(`${where}: settings, weights and parameters that do not fit are one line on every process`, async () => {
    for (const { errors } of await all()) {
      assert.is(
        errors['seeds'],
        'the optimizers must have the same settings on all processes: seed is "0x0000000000000000" on process 0 and "0x0000000000000001" on process 1',
      );
      assert.is(errors['weights'], `weights must sum to 1 over the processes, got 0.25`);
      assert.match(
        errors['parameters'] ?? '',
        /^the parameters differ between the processes before step 1; .*synchronize\(variables\)$/,
      );
      assert.is(errors['twice'], 'optimizer must not be distributed already');
    }
  });

  here(`${where}: the library leaves libc's code and the signals of Node to the process`, async () => {
    for (const { untouched } of await all()) assert.equal(untouched, { code: 0, signals: 0, trapped: true });
  });

  here(`${where}: no tensor is left behind`, async () => {
    for (const { results: own } of await all()) {
      const [first] = own as readonly [Result];
      for (const { way, tensors } of own) assert.is(tensors, first.tensors, way);
    }
  });
}

test('one process alone is a group of its own: every call is its own result, and settings are its own', () => {
  const { description, size, calls, errors } = alone('cpu');
  assert.is(size, 1);
  assert.is(description, 'not started by mpirun: one process');
  assert.equal(calls['texts'], ['process 0, é']);
  assert.is(errors['seeds'], '');
});

test('the launcher is known by its environment, before a library is loaded', () => {
  assert.is(launchOf({}), undefined);
  assert.is(launchOf({ SLURM_PROCID: '0', SLURM_NTASKS: '4' }), undefined);
  assert.equal(launchOf({ OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '4' }), {
    by: 'Open MPI',
    rank: 1,
    size: 4,
  });
  assert.equal(launchOf({ PMI_RANK: '1', PMI_SIZE: '2' }), { by: 'MPICH', rank: 1, size: 2 });
  assert.equal(launchOf({ PMI_RANK: '1', PMI_SIZE: '2', SLURM_PROCID: '1' }), { by: undefined, rank: 1, size: 2 });
  assert.equal(launchOf({ PMIX_RANK: '3', SLURM_NTASKS: '8' }), { by: undefined, rank: 3, size: 8 });
  assert.is(launchOf({ OMPI_COMM_WORLD_RANK: 'x' }), undefined);
});

test('the two binary interfaces are told apart by what the library says of itself', () => {
  assert.is(abiOf('Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4'), OPEN_MPI);
  assert.is(abiOf('MPICH Version:\t4.0.2'), MPICH);
  assert.is(abiOf('Intel(R) MPI Library 2021.10'), MPICH);
});

/** What `await lrd.mpi()` says in a process with this environment. */
function refusal(environment: Readonly<Record<string, string>>): string {
  const script =
    "import { mpi } from 'learning-rate-dropout'; await mpi().then(() => 0, (error) => console.log(error.message));";
  return execFileSync(process.execPath, [...FROM_SOURCE, '--input-type=module', '--eval', script], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...environment },
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  }).trim();
}

test('a library that is not there is one line that says how to get one, and a wrong patience is one line', () => {
  const launched = { PMI_RANK: '0', PMI_SIZE: '2' };
  assert.match(
    refusal({ ...launched, LRD_MPI: 'libnothing.so.9' }),
    /^the MPI library libnothing\.so\.9 does not load \(.*\); install Open MPI or MPICH \(Debian: apt install openmpi-bin, or mpich\), or name its library in LRD_MPI$/,
  );
  assert.is(refusal({ LRD_MPI_PATIENCE: '-1' }), 'LRD_MPI_PATIENCE must be a finite number of seconds above 0, got -1');
});

test.when(found.has('Open MPI') && found.has('MPICH'), 'needs Open MPI and MPICH')(
  'a launcher of one MPI and a library of the other are told apart',
  () => {
    assert.match(
      refusal({ PMI_RANK: '0', PMI_SIZE: '2', LRD_MPI: 'libmpi.so.40', OMPI_ALLOW_RUN_AS_ROOT: '1' }),
      /^2 processes were started, Open MPI [\d.]+ sees 1: launcher and library must be of one MPI/,
    );
  },
);

test.run();
