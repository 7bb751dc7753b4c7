import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';

const test = suite('the package as its users get it');
const root = fileURLToPath(new URL('../../', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'lrd-package-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  assert.is(status, 0, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

const PROGRAM = `
import * as tf from '@tensorflow/tfjs';
import * as lrd from 'learning-rate-dropout';
import { RULES } from 'learning-rate-dropout/spec';
import { createOptimizer } from 'learning-rate-dropout/ref';
import { planStep } from 'learning-rate-dropout/gpu';

const model = tf.sequential();
model.add(tf.layers.dense({ inputShape: [4], units: 8, activation: 'relu' }));
model.add(tf.layers.dense({ units: 1 }));
const optimizer: lrd.LrdOptimizer = lrd.adam({ learningRate: 1e-2, keepProbability: 0.5 });
model.compile({ optimizer, loss: 'meanSquaredError' });
const { history } = await model.fit(tf.ones([32, 4]), tf.ones([32, 1]), { epochs: 40, verbose: 0 });
const losses = history['loss'] as number[];
if (!((losses.at(-1) ?? 1) < 0.5 * (losses[0] ?? 0))) throw new Error(losses.join(' '));
// @ts-expect-error: misspelt on purpose; the declarations must be real types.
lrd.adam({ keepProbabilty: 0.5 });
console.log(Object.keys(RULES).length, typeof createOptimizer, typeof planStep);
`;

test(
  'packed, installed beside tfjs alone in an empty TypeScript project, it type-checks under strict and trains',
  () => {
    const archive = run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', scratch], root).trim();
    const project = join(scratch, 'consumer');
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }');
    const compilerOptions = {
      strict: true,
      module: 'NodeNext',
      target: 'ES2022',
      lib: ['ES2023', 'DOM'],
      outDir: 'out',
      // tfjs-layers 4.22's own declarations do not pass without it.
      skipLibCheck: true,
    };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['train.ts'] }));
    writeFileSync(join(project, 'train.ts'), PROGRAM);
    const peers = ['@tensorflow/tfjs@4.22.0'];
    const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--silent', '--ignore-scripts'];
    run('npm', ['install', ...quiet, join(scratch, archive), ...peers], project);
    // No reliance on this checkout's overrides: nothing but tfjs was needed.
    assert.not.ok(existsSync(join(project, 'node_modules', 'webgpu')));
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], project);
    // The misspelt option is refused at run time too, after training: by name.
    const { status, stderr } = spawnSync(process.execPath, ['out/train.js'], { cwd: project, encoding: 'utf8' });
    assert.is(status, 1);
    assert.match(stderr, /keepProbabilty must be one of adam's learningRate/);
  },
  { timeout: 300 },
);

test('the lrd command of the built package runs', () => {
  assert.match(run(process.execPath, [join(root, 'dist/models/cli/lrd.js'), '--help'], scratch), /usage: lrd COMMAND/);
});

test.run();
