import { spawnSync } from 'node:child_process';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../../conformance/harness/fromSource.ts';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { drawWords, uniform } from '../../random.ts';
import { wasmHeap } from '../../tfjs/bridges/wasm.ts';
import type { Gemm, Product } from './gemm.ts';
import { createGemm } from './gemm.ts';
import type { Governor } from './runtime.ts';
import { createGovernor, createKernelTeam, createRuntime } from './runtime.ts';
import type { Share, Team, Work } from './team.ts';
import { createTeam } from './team.ts';

const test = suite('impl-gpu/trainingKernels/wasm/gemm');
test.before(async () => {
  await useBackend('wasm');
});

/** Numbers in [-1, 1) at a fresh place of the heap. */
function place(count: number, step: number): number {
  const heap = wasmHeap();
  const at = heap.allocate(4 * count);
  const words = drawWords({ seed: 9n, stream: 'augmentation', step }, 0, count);
  new Float32Array(heap.memory.buffer).set(
    Float32Array.from(words, (word) => 2 * uniform(word) - 1),
    at / 4,
  );
  return at;
}

/** Waits until helpers stand ready: they start at the first large product, and work does not wait for them. */
async function started(ready: () => number, helpers: number): Promise<void> {
  for (let i = 0; ready() < helpers; i++) {
    assert.ok(i < 500, `${ready()} of ${helpers} helpers after 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Shares whatever the clock says. */
const always: Governor = { share: () => true, record: () => undefined };

const PRODUCTS = [
  { m: 128, n: 1000, k: 200 },
  { m: 1001, n: 131, k: 90 },
  { m: 3, n: 4001, k: 1100 },
  { m: 4001, n: 3, k: 1100 },
];

for (const threads of [2, 3, 4]) {
  test(`${threads} threads give the bits of one, whatever the shape and the transposes`, async () => {
    const heap = wasmHeap();
    const alone = createGemm(createRuntime(heap, createKernelTeam(1)));
    const together = createGemm({ ...createRuntime(heap, createKernelTeam(threads)), governor: always });
    await started(() => together.helpers(), threads - 1);
    let used = 0;
    for (const { m, n, k } of PRODUCTS) {
      const [a, b, bias] = [place(m * k, 1), place(k * n, 2), place(n, 3)];
      for (const [transposeA, transposeB, withBias] of [
        [false, false, true],
        [true, false, false],
        [false, true, false],
        [true, true, true],
      ] as const) {
        const [x, y] = [heap.allocate(4 * m * n), heap.allocate(4 * m * n)];
        const product = { a, b, m, n, k, transposeA, transposeB, bias: withBias ? bias : 0, relu: withBias };
        const before = together.shared();
        alone.multiply({ ...product, c: x });
        together.multiply({ ...product, c: y });
        used += together.shared() - before;
        const words = new Uint32Array(heap.memory.buffer);
        const [one, many] = [words.subarray(x / 4, x / 4 + m * n), words.subarray(y / 4, y / 4 + m * n)];
        // Not by `assert.equal`, whose account of a difference would take minutes.
        const different = one.findIndex((word, i) => word !== many[i]);
        assert.is(different, -1, `element ${different} of ${m} x ${n} x ${k} differs`);
        heap.free(x);
        heap.free(y);
      }
      [a, b, bias].forEach((pointer) => heap.free(pointer));
    }
    // On a busy machine the calling thread may do some of the helpers' parts as well.
    assert.ok(used > 0, 'the helpers were not used');
  });
}

test('work is shared while that is faster, and the other way is tried again now and then', () => {
  for (const faster of [true, false]) {
    const governor = createGovernor();
    const choices = Array.from({ length: 200 }, () => {
      const shared = governor.share();
      governor.record(shared, 1e6, shared === faster ? 1 : 2);
      return shared;
    });
    const wrong = choices.filter((shared) => shared !== faster).length;
    assert.ok(wrong >= 5 && wrong <= 12, `${wrong} of 200 the slow way`);
  }
});

test('small products stay on the calling thread', async () => {
  const heap = wasmHeap();
  const gemm: Gemm = createGemm(createRuntime(heap, createKernelTeam(2)));
  await started(() => gemm.helpers(), 1);
  const [a, b, c] = [place(100, 1), place(100, 2), place(100, 3)];
  const product: Product = {
    a,
    b,
    c,
    m: 10,
    n: 10,
    k: 10,
    transposeA: false,
    transposeB: false,
    bias: 0,
    relu: false,
  };
  gemm.multiply(product);
  assert.is(gemm.shared(), 0);
  [a, b, c].forEach((pointer) => heap.free(pointer));
});

/** (module (import "env" "memory" (memory 0 65536 shared)) (func (export "trap") unreachable)) */
const TRAP = Buffer.from(
  '0061736d01000000010401600000021201' +
    '03656e76066d656d6f72790203008080040302010007080104747261700000' +
    '0a05010300000b',
  'hex',
);

/** Work of eight units that notes which were done here. */
function work(bytes: number): { readonly work: Work; readonly own: number[]; stored: number } {
  const record = { own: [] as number[], stored: 0 };
  const share = (from: number, to: number): Share => ({
    bytes,
    call: 'trap',
    values: [],
    load: () => undefined,
    store: () => void (record.stored += to - from),
  });
  const own = (from: number, to: number): void => {
    for (let unit = from; unit < to; unit++) record.own.push(unit);
  };
  return Object.assign(record, { work: { units: 8, share, own } });
}

test('what a failed helper leaves is done by the calling thread, and the helper is not used again', async () => {
  const team: Team = createTeam(2, () => new WebAssembly.Module(TRAP));
  await started(() => team.ready(), 1);
  const done = work(64);
  assert.is(team.run(done.work), 0);
  assert.is(done.stored, 0);
  assert.equal(
    done.own.sort((x, y) => x - y),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
  assert.is(team.ready(), 0);
});

test('work that needs more memory than a helper may have is done by the calling thread', async () => {
  const team: Team = createTeam(2, () => new WebAssembly.Module(TRAP));
  await started(() => team.ready(), 1);
  const done = work(2 ** 31);
  assert.is(team.run(done.work), 0);
  assert.equal(done.own, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.is(team.ready(), 1);
});

test('helpers do not keep the process alive', () => {
  const program = `
    import { useBackend } from './models/backend.ts';
    import { wasmHeap } from './impl-gpu/tfjs/bridges/wasm.ts';
    import { createGemm } from './impl-gpu/trainingKernels/wasm/gemm.ts';
    import { createKernelTeam, createRuntime } from './impl-gpu/trainingKernels/wasm/runtime.ts';
    await useBackend('wasm');
    const gemm = createGemm(createRuntime(wasmHeap(), createKernelTeam(3)));
    while (gemm.helpers() < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    console.log('ready');
  `;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...FROM_SOURCE, '--input-type=module', '--eval', program],
    { encoding: 'utf8', timeout: 30_000, cwd: new URL('../../../', import.meta.url) },
  );
  assert.is(stdout, 'ready\n', stderr);
  assert.is(status, 0);
});

test.run();
