/**
 * The kernels with relaxed SIMD. Node 20's engine has it behind a flag: there this file, and those of the kernels themselves, run once more in a process
 * that has it; later engines have it anyway, and take it in those files.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../../conformance/harness/fromSource.ts';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { drawWords, uniform } from '../../random.ts';
import { wasmHeap } from '../../tfjs/bridges/wasm.ts';
import { enableTraining } from '../index.ts';
import { createGemm } from './gemm.ts';
import { createKernelTeam, createRuntime, hasRelaxedSimd } from './runtime.ts';

const test = suite('impl-gpu/trainingKernels/wasm/relaxed');
const FLAG = '--experimental-wasm-relaxed-simd';

/** What Node says to one test file under the flag. */
function runAgain(file: string, titles?: string): void {
  // The report is this file's.
  const { LRD_TEST_REPORT: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [FLAG, ...FROM_SOURCE, fileURLToPath(new URL(file, import.meta.url))],
    { encoding: 'utf8', timeout: 200_000, env: titles === undefined ? env : { ...env, LRD_TEST_TITLES: titles } },
  );
  assert.is(status, 0, `${stdout.slice(-1500)}\n${stderr.slice(-1500)}`);
  assert.match(stdout, /Passed: +[1-9]/);
}

if (!hasRelaxedSimd()) {
  // A flag that the engine does not know is an error of its own.
  const known = spawnSync(process.execPath, [FLAG, '--eval', '0']).status === 0;
  const behindFlag = test.when(known, `this Node has no relaxed SIMD, and no ${FLAG}`);
  for (const [file, titles] of [
    ['./relaxed.test.ts', undefined],
    ['./gemm.test.ts', 'threads give the bits of one'],
    ['./winograd.test.ts', undefined],
    ['./matMul.test.ts', undefined],
    ['../convolution.test.ts', '^wasm'],
  ] as const) {
    behindFlag(`with relaxed SIMD: ${file}`, () => runAgain(file, titles), { timeout: 240 });
  }
} else {
  test.before(async () => {
    await useBackend('wasm');
  });

  test('a product differs from the plain one by roundings alone, at any size', () => {
    const heap = wasmHeap();
    const [relaxed, plain] = [true, false].map((way) => createGemm(createRuntime(heap, createKernelTeam(1, way)))) as [
      ReturnType<typeof createGemm>,
      ReturnType<typeof createGemm>,
    ];
    for (let round = 0; round < 60; round++) {
      const words = drawWords({ seed: 11n, stream: 'augmentation', step: round }, 0, 8);
      const size = (i: number, most: number): number => 1 + ((words[i] as number) % most);
      // Tiles of 4 and 5 rows and 8 columns, blocks of 130 rows and 512 steps: rims of all.
      const [m, n, k] = [size(0, 280), size(1, 40), size(2, round % 4 === 0 ? 1100 : 40)];
      const flags = words[3] as number;
      const [transposeA, transposeB, relu] = [(flags & 1) !== 0, (flags & 2) !== 0, (flags & 4) !== 0];
      const numbers = (count: number, step: number): { at: number; values: Float32Array } => {
        const drawn = drawWords({ seed: 12n, stream: 'augmentation', step: 8 * round + step }, 0, count);
        const values = Float32Array.from(drawn, (word) => 2 * uniform(word) - 1);
        const at = heap.allocate(4 * count);
        return { at, values };
      };
      const [a, b, bias] = [numbers(m * k, 0), numbers(k * n, 1), numbers(n, 2)];
      const [x, y] = [heap.allocate(4 * m * n), heap.allocate(4 * m * n)];
      const product = {
        a: a.at,
        b: b.at,
        m,
        n,
        k,
        transposeA,
        transposeB,
        bias: (flags & 8) === 0 ? 0 : bias.at,
        relu,
      };
      for (const { at, values } of [a, b, bias]) new Float32Array(heap.memory.buffer, at, values.length).set(values);
      relaxed.multiply({ ...product, c: x });
      plain.multiply({ ...product, c: y });
      const floats = new Float32Array(heap.memory.buffer);
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let [sum, absolute] = [product.bias === 0 ? 0 : (bias.values[j] as number), 0];
          for (let l = 0; l < k; l++) {
            const term =
              (a.values[transposeA ? l * m + i : i * k + l] as number) *
              (b.values[transposeB ? j * k + l : l * n + j] as number);
            sum += term;
            absolute += Math.abs(term);
          }
          const expected = relu ? Math.max(0, sum) : sum;
          // Of k products and as many sums each rounds by at most 2^-24 of a partial sum: Higham, Accuracy and Stability, (3.3).
          const bound = (k + 2) * 2 ** -24 * 1.01 * (absolute + 1);
          const [one, other] = [floats[x / 4 + i * n + j] as number, floats[y / 4 + i * n + j] as number];
          assert.ok(Math.abs(one - expected) <= bound, `${m} x ${n} x ${k}: ${one} in place of ${expected}`);
          assert.ok(Math.abs(other - expected) <= bound, `${m} x ${n} x ${k}: ${other} in place of ${expected}`);
        }
      }
      for (const at of [a.at, b.at, bias.at, x, y]) heap.free(at);
    }
  });

  test('enableTraining({ relaxed: false }) gives plain bits, whatever the engine has', () => {
    const program = `
      import * as tf from '@tensorflow/tfjs';
      import '@tensorflow/tfjs-backend-wasm';
      import { enableTraining } from 'learning-rate-dropout';
      await tf.setBackend('wasm');
      enableTraining(JSON.parse(process.argv[1]));
      const [a, b] = [1, 2].map((seed) => tf.randomUniform([40, 300], -1, 1, 'float32', seed));
      const bits = new Uint32Array(tf.matMul(a, b, false, true).dataSync().slice().buffer);
      process.stdout.write(JSON.stringify(Array.from(bits)));
    `;
    const bits = (options: object, flags: readonly string[]): string => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [...flags, ...FROM_SOURCE, '--input-type=module', '--eval', program, JSON.stringify(options)],
        { encoding: 'utf8', timeout: 60_000, cwd: new URL('../../../', import.meta.url) },
      );
      assert.is(status, 0, stderr);
      return stdout.trim();
    };
    const own = process.execArgv.filter((word) => word === FLAG);
    const plain = bits({ relaxed: false }, own);
    assert.is(bits({ relaxed: false, threads: 1 }, own), plain);
    if (own.length > 0) assert.is(bits({}, []), plain, 'without the flag nothing is relaxed');
  });

  test('Infinity and NaN come out of a product as they do without', () => {
    enableTraining();
    tf.tidy(() => {
      const a = tf.tensor2d([Infinity, 1, NaN, 1, -Infinity, Infinity], [3, 2]);
      const b = tf.tensor2d([1, 2, 1, 2], [2, 2]);
      assert.equal(Array.from(tf.matMul(a, b).dataSync()), [Infinity, Infinity, NaN, NaN, NaN, NaN]);
    });
  });
}

test.run();
