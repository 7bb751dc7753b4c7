import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
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

/** Both packages as npm would publish them: what is in dist, which `npm ci` has built. */
function packBoth(): string[] {
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', scratch];
  return [pack, [...pack, '--workspace', 'learning-rate-dropout-cli']].map((args) =>
    join(scratch, run('npm', args, root).trim()),
  );
}

const QUIET = ['--prefer-offline', '--no-audit', '--no-fund', '--silent', '--ignore-scripts'];

/** Copies of a package below a folder, by the `package.json` that names it. */
function copiesOf(name: string, folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith(join('node_modules', name, 'package.json')),
  );
}

const PROGRAM = `
import * as tf from '@tensorflow/tfjs';
import * as lrd from 'learning-rate-dropout';
import { RULES } from 'learning-rate-dropout/spec';
import { createOptimizer } from 'learning-rate-dropout/ref';
import { planStep } from 'learning-rate-dropout/gpu';

const model = tf.sequential();
// The same start each time: of others one may be done before it begins, or have no unit that is awake.
const kernelInitializer = tf.initializers.glorotUniform({ seed: 1 });
model.add(tf.layers.dense({ inputShape: [4], units: 8, activation: 'relu', kernelInitializer }));
model.add(tf.layers.dense({ units: 1, kernelInitializer }));
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
    const [archive] = packBoth() as [string, string];
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
    run('npm', ['install', ...QUIET, archive, ...peers], project);
    // No reliance on this checkout's overrides: nothing but tfjs was needed.
    assert.not.ok(existsSync(join(project, 'node_modules', 'webgpu')));
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], project);
    // The misspelt option is refused at run time too, after training: by name.
    const { status, stderr } = spawnSync(process.execPath, ['out/train.js'], { cwd: project, encoding: 'utf8' });
    assert.is(status, 1);
    assert.match(
      stderr,
      /adam's options must be among learningRate, .*, got "keepProbabilty": did you mean keepProbability\?/,
    );
  },
  { timeout: 300 },
);

test('the library has no dependency, and its archive at most 500 kB', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies?: unknown };
  assert.is(dependencies, undefined);
  const [library] = packBoth() as [string, string];
  assert.ok(statSync(library).size <= 500_000, `${statSync(library).size} bytes`);
});

test(
  'installed globally from the archives, lrd has all that it needs, on one library and one tfjs',
  () => {
    const prefix = join(scratch, 'global');
    run('npm', ['install', '--global', '--prefix', prefix, ...QUIET, ...packBoth()], scratch);
    assert.is(copiesOf('learning-rate-dropout', prefix).length, 1);
    const home = join(scratch, 'home');
    mkdirSync(home);
    const lrd = (...args: string[]): string => {
      const { status, stdout, stderr } = spawnSync(join(prefix, 'bin', 'lrd'), args, {
        cwd: home,
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] ?? '', HOME: home },
      });
      assert.is(status, 0, `lrd ${args.join(' ')}\n${stdout}\n${stderr}`);
      // What two copies of tfjs say of each other.
      assert.not.match(stderr, /already registered/);
      return stdout;
    };
    assert.match(lrd('doctor'), /^wasm +runs/m);
    lrd('train', 'fcnet', '--data', 'digits', '--width', '16', '--epochs', '1', '--seed', '1', '--out', 'run');
    assert.match(lrd('conformance', '--adapter', 'ref', '--only', 'LRD-STREAM'), /every MUST/);
    lrd('report', 'run', '--out', 'report.html');
    assert.ok(existsSync(join(home, 'report.html')));
  },
  { timeout: 300 },
);

const JUDGE = `
import { adam } from 'learning-rate-dropout';
import { LrdOptimizer } from 'learning-rate-dropout';
import { openAdapter, judge } from 'learning-rate-dropout-cli/conformance';
import { createOptimizer } from 'learning-rate-dropout-cli/models';
if (typeof openAdapter !== 'function' || typeof judge !== 'function') throw new Error('no judge');
const optimizer = createOptimizer('adam', { keepProbability: 0.5, seed: 1n });
if (!(optimizer instanceof LrdOptimizer) || !(adam() instanceof LrdOptimizer)) throw new Error('two libraries');
const moved = [];
for (const part of ['conformance', 'models']) {
  await import(\`learning-rate-dropout/\${part}\`).then(
    () => moved.push(\`\${part} is there\`),
    (error) => moved.push(error.message),
  );
}
console.log(moved.join('\\n'));
`;

test(
  'installed beside each other in a project, both are one library; a subpath that moved names its new place',
  () => {
    const project = join(scratch, 'project');
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true, "type": "module" }');
    run('npm', ['install', ...QUIET, ...packBoth()], project);
    for (const name of ['learning-rate-dropout', '@tensorflow/tfjs-core']) {
      assert.is(copiesOf(name, project).length, 1, name);
    }
    writeFileSync(join(project, 'judge.js'), JUDGE);
    assert.is(
      run(process.execPath, ['judge.js'], project).trim(),
      ['conformance', 'models']
        .map(
          (part) =>
            `learning-rate-dropout/${part} is now learning-rate-dropout-cli/${part}: npm install learning-rate-dropout-cli`,
        )
        .join('\n'),
    );
  },
  { timeout: 300 },
);

test('npx lrd in a checkout is a committed file that runs what npm ci has built', () => {
  assert.match(run(process.execPath, [join(root, 'models/bin/lrd.js'), '--help'], scratch), /usage: lrd COMMAND/i);
});

test.run();
