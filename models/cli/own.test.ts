/** Networks and data of the user's own: the examples through every command, and modules with something wrong with them. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { JobError, UsageError } from '../errors.ts';
import { outputOf } from './testing/outputOf.ts';

const test = suite('models/cli/own');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-own-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const refused = async (call: Promise<string>, says: RegExp): Promise<void> => {
  const error = await call.then(
    () => new Error('it was taken'),
    (thrown: Error) => thrown,
  );
  assert.match(error.message, says);
};

const example = (name: string): string => fileURLToPath(new URL(`examples/${name}`, import.meta.url));
const modules = join(scratch, 'modules');
mkdirSync(modules);
writeFileSync(join(modules, 'package.json'), '{"type":"module"}');
for (const name of ['recipe.js', 'set.js']) copyFileSync(example(name), join(modules, name));
const [RECIPE, SET] = [join(modules, 'recipe.js'), join(modules, 'set.js')];

test(
  'the example trains, goes on, is tested, listed, compared, exported and shown',
  async () => {
    const lines = [RECIPE, SET].flatMap((path) => readFileSync(path, 'utf8').trim().split('\n'));
    assert.ok(lines.length <= 40, `${lines.length} lines`);
    const guide = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    for (const path of [RECIPE, SET]) assert.ok(guide.includes(readFileSync(path, 'utf8').trim()), path);
    const run = join(scratch, 'run');
    const call = ['train', RECIPE, '--data', SET, '--limit', '64', '--width', '2', '--seed', '1', '--backend', 'wasm'];
    await outputOf([...call, '--epochs', '1', '--out', run]);
    await outputOf(['train', '--resume', run, '--epochs', '2']);
    const whole = join(scratch, 'whole');
    await outputOf([...call, '--epochs', '2', '--out', whole]);
    const metrics = (folder: string): string => readFileSync(join(folder, 'metrics.jsonl'), 'utf8');
    const losses = (folder: string): unknown[] =>
      metrics(folder)
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { readonly trainLoss: number }).trainLoss);
    assert.equal(losses(run), losses(whole));
    assert.match(await outputOf(['evaluate', run]), /on 64 test images of .*set\.js, wasm\ntest loss /);
    assert.match(await outputOf(['runs', scratch]), /run +done +2\/2/);
    assert.match(await outputOf(['diff', run, whole]), /^(?!.*trainLoss)[^]*curves/);
    const page = join(scratch, 'page.html');
    await outputOf(['report', run, whole, '--out', page]);
    assert.match(readFileSync(page, 'utf8'), /recipe, set/);
    await outputOf(['export', run]);
    await outputOf(['export', run, '--to', 'tfjs']);
    assert.equal(
      readdirSync(run)
        .filter((name) => /tfjs|export/.test(name))
        .sort(),
      ['export.safetensors', 'tfjs'],
    );
    await outputOf([
      ...call,
      '--epochs',
      '1',
      '--init',
      join(run, 'export.safetensors'),
      '--out',
      join(scratch, 'init'),
    ]);
  },
  { timeout: 300 },
);

test(
  'the example in a sweep: from the file of an experiment, in place of a network of the papers, and on a cluster',
  async () => {
    const file = join(modules, 'mine.json');
    const settings = { recipe: './recipe.js', data: './set.js', optimizer: 'adam', epochs: 1, width: 2, limit: 32 };
    const arms = [{ id: 'adam' }, { id: 'adam/p=0.5', baseline: 'adam', settings: { keepProbability: 0.5 } }];
    writeFileSync(file, JSON.stringify({ version: 1, name: 'mine', title: 'Bars', seeds: 1, settings, arms }));
    const out = join(scratch, 'sweep');
    assert.match(await outputOf(['experiment', file, '--out', out, '--backend', 'wasm']), /2 of 2 cells done/);
    assert.match(await outputOf(['experiment', file, '--out', out, '--list']), /2 of 2 cells done: 2 finished/);
    assert.match(await outputOf(['experiment', file, '--out', out]), /2 of 2 cells done/);
    assert.equal(
      readdirSync(join(out, 'cells')).map((name) => name.slice(0, 15)),
      ['recipe-set-adam', 'recipe-set-adam'],
    );
    assert.match(await outputOf(['runs', out]), /recipe +set/);
    // With another set of the same name the finished cells would stand for what they are not.
    const set = readFileSync(join(modules, 'set.js'), 'utf8');
    writeFileSync(join(modules, 'set.js'), `${set}\n// changed\n`);
    const changed =
      /^--out must hold cells of the modules as they are: .*set\.js has changed since 2 cells were run with it; take another --out, put the module back, or remove their folders, .* first, to have them run again$/;
    await refused(outputOf(['experiment', file, '--out', out]), changed);
    await refused(
      outputOf(['experiment', file, '--out', out, '--cell', '0']),
      /set\.js has changed since 1 cell was run/,
    );
    writeFileSync(join(modules, 'set.js'), set);
    assert.match(await outputOf(['experiment', file, '--out', out]), /2 of 2 cells done/);
    const [page, results] = [join(scratch, 'sweep.html'), join(scratch, 'sweep.json')];
    await outputOf(['report', out, '--out', page, '--json', results]);
    await outputOf(['report', results, '--out', page]);
    assert.match(readFileSync(page, 'utf8'), /Bars/);
    const small = [
      'experiment',
      'table1',
      '--scale',
      'small',
      '--only',
      '^mnist/sgdm/p=1/',
      '--limit',
      '32',
      '--epochs',
      '1',
      '--width',
      '2',
    ];
    const other = [...small, '--recipe', RECIPE, '--data', SET, '--backend', 'wasm', '--out', join(scratch, 'other')];
    assert.match(await outputOf(other), /1 of 1 cells done/);
    const cluster = join(scratch, 'cluster');
    await outputOf(['experiment', file, '--on', 'slurm', '--dry-run', '--out', cluster]).catch((error: Error) => {
      // Where there is no Slurm the script cannot be sized for it.
      if (!/sbatch|Slurm/.test(error.message)) throw error;
    });
    await refused(
      outputOf(['experiment', 'table1', '--recipe', 'fcnot', '--out', out]),
      /--recipe must be one of fcnet, .*got "fcnot"; did you mean fcnet\?/,
    );
    writeFileSync(
      file,
      JSON.stringify({ version: 1, name: 'mine', title: 'Bars', settings: { ...settings, recipe: 'fcnot' }, arms }),
    );
    await refused(
      outputOf(['experiment', file, '--out', out]),
      /^mine\.json:1:\d+: settings\.recipe must be one of fcnet, .*, or a module's path such as \.\/mine\.js, got "fcnot"/,
    );
    writeFileSync(
      file,
      JSON.stringify({ version: 1, name: 'mine', title: 'Bars', settings: { ...settings, recipe: './none.js' }, arms }),
    );
    await refused(outputOf(['experiment', file, '--out', out]), /none\.js: no such file or folder/);
  },
  { timeout: 300 },
);

const KIT = '{ tf, NetBuilder, classifier, convolution, heFanIn, imageRecipe }';
/** A recipe whose `build` or whole is another. */
const recipe = (build: string, more = ''): string =>
  `export const recipe = (${KIT}) => imageRecipe({ name: 't', title: 't', width: 'w', defaults: { data: 'digits', batchSize: 16, epochs: 1 },
  build: (set, { width, ...options }) => { const b = new NetBuilder('t', options); const fc = classifier(b, 'fc', 64, 10); ${build} } ${more} });`;
const flat = 'const flat = (x) => tf.reshape(x, [-1, 1, 1, 64]);';
const set = (fields: string): string =>
  `export const data = ({ imageSet }) => imageSet({ name: 's', shape: [8, 8, 1], classes: ['a', 'b'],
  train: { images: new Uint8Array(640), labels: new Array(10).fill(1) }, test: { images: new Uint8Array(64), labels: [0] }, ${fields} });`;

/** Modules with something wrong, and what is said of it. */
const WRONG: readonly (readonly [kind: 'recipe' | 'set', source: string, says: RegExp])[] = [
  ['recipe', '', /must export recipe, an object .*got undefined|must have required property/],
  ['recipe', 'export default {', /: .*[Uu]nexpected .*end/],
  ['recipe', '\u0000\ufffe', /: .*[Uu]nexpected/],
  ['recipe', 'import "nowhere";', /: Cannot find package/],
  ['recipe', 'export const recipe = 7', /: must export recipe, an object or a function that makes one, got number/],
  ['recipe', 'export const recipe = () => null', /got null/],
  ['recipe', 'export const recipe = async () => { throw null }', /: null$/],
  ['recipe', 'export const recipe = () => { throw new Error("a\\nb\\x1b[31m") }', /, line 1: a \| b\\x1b\[31m/],
  ['recipe', `export const recipe = (${KIT}) => imageRecipe({ name: 't' })`, /must have required property/],
  ['recipe', recipe('return b.net((x) => fc(x))', ", name: 7"), /name must be string, got 7/],
  ['recipe', recipe('return b.net((x) => fc(x))', ", defaults: { data: 'digits', batchSize: 0, epochs: 1 }"), /defaults\.batchSize must be >= 1/],
  ['recipe', recipe('return b.net((x) => fc(x))', ", defaults: { data: 'digits', batchSize: 8, epochs: 1, weightDecay: 'x' }"), /defaults\.weightDecay must be number/],
  ['recipe', recipe('return {}'), /: the network must have a name/],
  ['recipe', recipe('return null'), /: the network must have a form of its own, got null/],
  ['recipe', recipe("return new NetBuilder('t', options).net((x) => tf.zeros([x.shape[0], 10]))"), /must have parameters to train/],
  ['recipe', recipe("classifier(b, 'fc', 64, 10); return b.net((x) => fc(x))"), /already registered/],
  ['recipe', recipe('undefined.foo'), /, line \d+: Cannot read properties of undefined/],
  ['recipe', recipe('return b.net((x) => { undefined.foo })'), /, line \d+: Cannot read properties of undefined/],
  ['recipe', recipe('return b.net((x) => 7)'), /must give logits of shape \[2, 10\] and type float32 here, got number/],
  ['recipe', recipe('return b.net((x) => x)'), /must give logits of shape \[2, 10\] .*got \[2, 8, 8, 1\] of float32/],
  ['recipe', recipe(`${flat} return b.net((x) => tf.argMax(fc(flat(x)), 1))`), /got \[2\] of int32/],
  ['recipe', recipe('return b.net((x) => fc(x))'), /, line \d+: weight must be \[inputs of x, outputs of bias\], got \[64,10\] with x \[2,1\]/],
  // What comes to light with the training alone.
  ['recipe', recipe(`${flat} return b.net((x, { step, training }) => { if (training && step === 2) throw new Error('late'); return fc(flat(x)) })`), /, line \d+: late/],
  ['set', 'export const data = 7', /: must export data, an object/],
  ['set', set("shape: [8, 8]"), /shape must be \[height, width, channels\], got \[8,8\]/],
  ['set', set("classes: ['a']"), /classes must be a list of two names or more/],
  ['set', set('train: undefined'), /train\.images must be a Uint8Array/],
  ['set', set('train: { images: new Uint8Array(3) }'), /train\.labels must be a list of numbers/],
  ['set', set('train: { images: new Uint8Array(3), labels: [1] }'), /train\.images must have 64 bytes for each of its 1 labels, got 3/],
  ['set', set('test: { images: new Uint8Array(64), labels: [2] }'), /test\.labels must be from 0 to 1, got 2/],
  ['set', set('mean: [1, 2]'), /mean must have a value for each of its 1 channels, got 2/],
  ['set', set('std: [0]'), /std\[0\] must be > 0, got 0/],
  ['set', set('maximum: NaN'), /maximum must be/],
  ['set', set('name: {}'), /name must be string/],
  ['set', 'export const data = () => ({})', /must have required property/],
  ['set', 'export const data = ({ imageSet }) => { const s = imageSet({}); }', /shape must be \[height/],
  ['set', `export const data = (kit) => { const s = ((${set('').slice('export const data = '.length, -1)})(kit)); return { ...s, train: { ...s.train, images: { read: () => { throw new Error('no image') } } } } }`, /, line \d+: no image/],
  ['set', `export const data = (kit) => { const s = ((${set('').slice('export const data = '.length, -1)})(kit)); return { ...s, train: { ...s.train, labels: Int32Array.from({ length: 10 }, () => 5) } } }`, /train must have labels from 0 to 1, got 5 at 0/],
]; // prettier-ignore

test(
  'a module with something wrong is one line that names it, and leaves no folder unless training had begun',
  async () => {
    const failures: string[] = [];
    for (const [index, [kind, source, says]] of WRONG.entries()) {
      const path = join(modules, `wrong-${index}.js`);
      writeFileSync(path, source);
      const out = join(scratch, `wrong-${index}`);
      const call = kind === 'recipe' ? [path] : ['fcnet', '--width', '2', '--data', path];
      const rest = ['--epochs', '1', '--limit', '32', '--backend', 'cpu', '--seed', '1', '--out', out];
      const error = await outputOf(['train', ...call, ...rest]).then(
        () => new Error('it was taken'),
        (thrown: Error) => thrown,
      );
      const isOurs = error instanceof JobError || error instanceof UsageError;
      const fits = isOurs && says.test(error.message) && error.message.includes(path) && !error.message.includes('\n');
      const left = existsSync(out) !== /late|no image/.test(source);
      if (!fits || left) failures.push(`${source}: ${isOurs ? error.message : error.stack}${left ? '; a folder' : ''}`);
    }
    assert.equal(failures, []);
  },
  { timeout: 300 },
);

test(
  'a module that never answers, one that throws beside the training, and a full disk under stdout end in a line',
  () => {
    const lrd = (shell: string): { status: number | null; stderr: string } => {
      const program = [process.execPath, ...FROM_SOURCE, fileURLToPath(new URL('lrd.ts', import.meta.url))];
      return spawnSync('sh', ['-c', `"$@" ${shell}`, 'sh', ...program], { encoding: 'utf8', cwd: modules });
    };
    writeFileSync(join(modules, 'never.js'), 'export const recipe = () => new Promise(() => {})');
    const never = lrd('train ./never.js --out never');
    assert.equal(never, { ...never, status: 1, stderr: 'lrd: ./never.js: waits for what never comes\n' });
    const late = "setTimeout(() => { throw new Error('beside') }, 0); export { recipe } from './recipe.js'";
    writeFileSync(join(modules, 'beside.js'), late);
    const beside = lrd('train ./beside.js --out beside');
    assert.is(beside.status, 1);
    assert.match(beside.stderr, /^lrd: .*beside\.js, line 1: beside\n$/);
    if (!existsSync('/dev/full')) return;
    const full = lrd('toy --steps 2 --grid 2 > /dev/full');
    assert.equal(full, { ...full, status: 1, stderr: 'lrd: stdout: cannot be written (the disk is full)\n' });
  },
  { timeout: 300 },
);

test.run();
