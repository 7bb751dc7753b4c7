import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import * as tf from '@tensorflow/tfjs';
import { build } from 'esbuild';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../conformance/harness/fromSource.ts';
import { suite } from '../conformance/harness/suite.ts';
import { tensorflowMissing } from './tensorflow/load.ts';
import * as lrd from './tfjs/index.node.ts';

const test = suite('impl-gpu/package');
const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'lrd-library-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

function run(command: string, args: readonly string[], cwd: string): { stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  assert.is(status, 0, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`);
  return { stdout, stderr };
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

const published = join(scratch, 'package');
test.before(() => {
  mkdirSync(published);
  cpSync(join(root, 'package.json'), join(published, 'package.json'));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  run(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', join(published, 'dist')], root);
});

/** A user's folder: the package as published beside tfjs, and nothing else. */
function makeUser(name: string): string {
  const folder = join(scratch, name);
  mkdirSync(join(folder, 'node_modules/@tensorflow'), { recursive: true });
  cpSync(published, join(folder, 'node_modules/learning-rate-dropout'), { recursive: true });
  symlinkSync(join(root, 'node_modules/@tensorflow/tfjs'), join(folder, 'node_modules/@tensorflow/tfjs'));
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true }');
  return folder;
}

/** What the size of a bundle is held to, in bytes. */
const BUNDLE = 24_000;

/** A program of a user's as a bundle for browsers, with tfjs left out. */
async function bundle(folder: string, program: string) {
  const { outputFiles, metafile } = await build({
    stdin: { contents: program, resolveDir: folder },
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
    metafile: true,
    external: ['@tensorflow/tfjs'],
    // Of the peers that are not there only the WebGPU backend's is known to a bundler, as an import within `try`.
    logLevel: 'silent',
  });
  const [{ contents } = { contents: new Uint8Array() }] = outputFiles;
  return { contents, metafile };
}

/** What a bundle for browsers prints, run here: no more of it than the engines depends on the place. */
async function runBundle(folder: string, program: string): Promise<unknown> {
  const { contents } = await bundle(folder, program);
  writeFileSync(join(folder, 'bundle.mjs'), contents);
  return JSON.parse(lastLine(run(process.execPath, ['bundle.mjs'], folder).stdout));
}

test(`import { adam } alone takes at most ${BUNDLE} bytes gzipped, with the engines in JavaScript, WebAssembly and WGSL`, async () => {
  const { contents, metafile } = await bundle(makeUser('size'), "export { adam } from 'learning-rate-dropout';");
  const size = gzipSync(contents, { level: 9 }).length;
  assert.ok(size <= BUNDLE, `${size} bytes`);
  const [{ inputs } = { inputs: {} }] = Object.values(metafile.outputs);
  const files = Object.keys(inputs).map((file) => file.slice(file.indexOf('dist/') + 5));
  for (const engine of ['js', 'wasm', 'webgpu']) assert.ok(files.includes(`impl-gpu/engines/${engine}.js`), engine);
  const rides = files.filter((file) =>
    /gpujs|tensorflow|trainingKernels|masks|clipping|comparators|average|schedules/i.test(file),
  );
  assert.equal(rides, []);
});

test('a bundle of adam accumulates; what it leaves out it names, with the call that brings it', async () => {
  const folder = makeUser('lean');
  const told = await runBundle(
    folder,
    `
    import * as tf from '@tensorflow/tfjs';
    import { adam } from 'learning-rate-dropout';
    await tf.setBackend('cpu');
    const told = [
      { noiseEta: 0.1 },
      { sparsity: 0 },
      { trained: { rate: 0.1 } },
      { mask: { kind: 'magma' } },
      { learningRate: { schedule: 'cosine', initial: 0.1, steps: 9 } },
      { engine: 'gpujs' },
      { clipNorm: 1 },
      { accumulate: 0 },
    ].map((options) => {
      try {
        adam(options);
      } catch ({ name, message }) {
        return name + ': ' + message;
      }
    });
    const variable = tf.variable(tf.linspace(-1, 1, 100));
    const optimizer = adam({ learningRate: 0.1, seed: 7, accumulate: 2 });
    for (let step = 0; step < 4; step++) optimizer.minimize(() => tf.sum(tf.square(variable)), false, [variable]);
    console.log(JSON.stringify([told, [...variable.dataSync()]]));
  `,
  );
  const needs = (what: string, call: string): string =>
    `UnsupportedError: ${what} must be loaded before it is used: ${call}`;
  assert.equal(told, [
    [
      needs('noiseEta', 'useComparators()'),
      needs('sparsity', 'useComparators()'),
      needs('trained', 'useComparators()'),
      needs('a kind of mask', 'useMasks()'),
      needs('a schedule', 'useSchedules()'),
      needs('gpu.js', 'await loadGpuJs()'),
      needs('clipNorm', 'useClipping()'),
      'InvalidArgumentError: accumulate must be a whole number of at least 1, got 0',
    ],
    await trainedHere({ learningRate: 0.1, seed: 7, accumulate: 2 }, 4),
  ]);
});

test('a bundle that calls for schedules, clipping, comparators and the mean of gradients trains as Node does, bit for bit', async () => {
  const everything: lrd.AdamOptions = {
    seed: 7,
    learningRate: { schedule: 'cosine', initial: 0.1, steps: 9, warmup: 2 },
    clipNorm: 0.5,
    clipGlobalNorm: 0.4,
    gradientKeepProbability: 0.5,
    noiseEta: 0.1,
    sparsity: 0.25,
    sparseReading: 'updates',
    centralize: true,
    trained: { rate: 0.01 },
  };
  const trained = await runBundle(
    makeUser('whole'),
    `
    import * as tf from '@tensorflow/tfjs';
    import { adam, sgdmAvg, useClipping, useComparators, useSchedules } from 'learning-rate-dropout';
    await tf.setBackend('cpu');
    useClipping();
    useComparators();
    useSchedules();
    const train = (optimizer) => {
      const variable = tf.variable(tf.linspace(-1, 1, 100));
      for (let step = 0; step < 4; step++) optimizer.minimize(() => tf.sum(tf.square(variable)), false, [variable]);
      return [...variable.dataSync()];
    };
    console.log(JSON.stringify([train(adam(${JSON.stringify(everything)})), train(sgdmAvg({ seed: 7 }))]));
  `,
  );
  assert.equal(trained, [await trainedHere(everything, 4), await trainedHere({ seed: 7 }, 4, lrd.sgdmAvg)]);
});

test('esbuild without configuration bundles everything, without any optional peer installed', () => {
  const folder = makeUser('esbuild');
  writeFileSync(
    join(folder, 'app.js'),
    "import * as tf from '@tensorflow/tfjs';\nimport * as lrd from 'learning-rate-dropout';\nObject.assign(globalThis, { tf, lrd });\n",
  );
  const esbuild = join(root, 'node_modules/esbuild/bin/esbuild');
  run(esbuild, ['app.js', '--bundle', '--outfile=out.js', '--log-level=error'], folder);
});

/** Adam's options and steps in `TRAIN`. */
const PLAIN = [{ learningRate: 0.1, seed: 7 }, 3] as const;

const TRAIN = `
const tf = require('@tensorflow/tfjs');
const lrd = require('learning-rate-dropout');
const variable = tf.variable(tf.linspace(-1, 1, 100), true, 'w');
const optimizer = lrd.adam({ learningRate: 0.1, seed: 7 });
for (let step = 0; step < 3; step++) optimizer.minimize(() => tf.sum(tf.square(variable)), false, [variable]);
console.log(JSON.stringify([tf.version_core, ...variable.dataSync()]));
`;

/** The parameters after some steps taken here. */
async function trainedHere<Options>(
  options: Options,
  steps: number,
  make: (options: Options) => lrd.LrdOptimizer = lrd.adam as (options: Options) => lrd.LrdOptimizer,
): Promise<number[]> {
  await tf.setBackend('cpu');
  const start = tf.linspace(-1, 1, 100);
  const variable = tf.variable(start, true);
  const optimizer = make(options);
  for (let step = 0; step < steps; step++) optimizer.minimize(() => tf.sum(tf.square(variable)), false, [variable]);
  const values = [...variable.dataSync()];
  optimizer.dispose();
  tf.dispose([start, variable]);
  return values;
}

test('require() gets the package, on the tfjs that require() gets', async () => {
  const folder = makeUser('commonjs');
  writeFileSync(join(folder, 'train.cjs'), TRAIN);
  const { stdout, stderr } = run(process.execPath, ['train.cjs'], folder);
  assert.equal(JSON.parse(lastLine(stdout)), [tf.version_core, ...(await trainedHere(...PLAIN))]);
  assert.not.match(stderr, /learning-rate-dropout|Warning/);
});

test(
  'npm installs it beside tfjs 4.20.0; there it steps on arrays, to the same bits, and says once what the fused engines need',
  async () => {
    const folder = join(scratch, 'older');
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true }');
    const archive = run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', scratch], published);
    const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--silent', '--ignore-scripts'];
    const packages = [join(scratch, archive.stdout.trim()), '@tensorflow/tfjs@4.20.0'];
    run('npm', ['install', ...quiet, ...packages], folder);
    writeFileSync(join(folder, 'train.cjs'), TRAIN);
    const { stdout, stderr } = run(process.execPath, ['train.cjs'], folder);
    assert.equal(JSON.parse(lastLine(stdout)), ['4.20.0', ...(await trainedHere(...PLAIN))]);
    const said = stderr.match(/the fused engines need @tensorflow\/tfjs 4\.22\.0, this is 4\.20\.0/g);
    assert.is(said?.length, 1);
  },
  { timeout: 300 },
);

const missing = tensorflowMissing('node');
const onTensorflow = test.when(missing === undefined, missing ?? '');
onTensorflow('adam steps by TensorFlow in Node without a call: nothing is read', () => {
  const program = `
    import * as tf from '@tensorflow/tfjs';
    import { adam } from 'learning-rate-dropout';
    import { loadTensorflow } from 'learning-rate-dropout/tensorflow';
    loadTensorflow('node');
    await tf.setBackend('tensorflow');
    const variable = tf.variable(tf.ones([100]));
    const optimizer = adam({ seed: 1 });
    const backend = tf.backend();
    const { readSync } = backend;
    let reads = 0;
    backend.readSync = (...values) => ((reads += 1), readSync.apply(backend, values));
    optimizer.minimize(() => tf.sum(tf.square(variable)), false, [variable]);
    console.log(tf.getBackend(), reads, variable.dataSync().some((x) => x !== 1));
  `;
  const { stdout } = run(process.execPath, [...FROM_SOURCE, '--input-type=module', '-e', program], root);
  assert.is(lastLine(stdout), 'tensorflow 0 true');
});

test.run();
