import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { UsageError } from '../errors.ts';
import { parse } from './parse.ts';
import { COMMANDS } from './table/table.ts';
import { TRAIN } from './table/train.ts';
import { trainingOf } from './train.ts';

const test = suite('models/cli');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-cli-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const program = fileURLToPath(new URL('./lrd.ts', import.meta.url));

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function lrd(...args: readonly string[]): Result {
  return spawnSync(process.execPath, [...FROM_SOURCE, program, ...args], { cwd: scratch, encoding: 'utf8' });
}

/** A mistake: exit code 2, one line on stderr that matches, nothing on stdout. */
function refuses(args: readonly string[], pattern: RegExp, status = 2): void {
  const result = lrd(...args);
  assert.match(result.stderr, pattern);
  assert.is(result.stderr.trimEnd().split('\n').length, 1, result.stderr);
  assert.is(result.status, status);
  assert.is(result.stdout, '');
}

const out = join(scratch, 'refused');
const train = (...args: readonly string[]): readonly string[] => [
  'train',
  'fcnet',
  '--data',
  'digits',
  '--out',
  out,
  ...args,
];

/** A mistake in the arguments of `lrd train`, found before anything starts. */
async function refusesTraining(args: readonly string[], pattern: RegExp): Promise<void> {
  let message = 'no error';
  try {
    trainingOf(await parse('train', TRAIN, ['fcnet', '--data', 'digits', ...args]));
  } catch (error) {
    assert.instance(error, UsageError);
    ({ message } = error as Error);
  }
  assert.match(message, pattern);
  assert.not.match(message, /\n/);
}

test('each argument of train is checked, and the message names it, the value and the rule', async () => {
  await refusesTraining(['resnet'], /takes RECIPE alone, got also "resnet"/);
  await refusesTraining(
    ['--data', 'minst'],
    /--data must be one of digits, mnist, fashion-mnist.*; got "minst"; did you mean mnist\?/,
  );
  await refusesTraining(['--optimizer', 'adan'], /--optimizer must be one of sgdm, .*; got "adan"/);
  for (const keep of ['0', '1.5', 'half', '', 'NaN']) {
    await refusesTraining(['--keep', keep], new RegExp(`--keep must be a number in \\[2\\^-16, 1\\], got "${keep}"`));
  }
  await refusesTraining(['--keep=-0.5'], /--keep must be a number in \[2\^-16, 1\], got "-0.5"/);
  await refusesTraining(['--epochs', '0'], /--epochs must be a whole number of at least 1 and at most [\d,]+, got "0"/);
  await refusesTraining(['--epochs=-3'], /--epochs must be/);
  await refusesTraining(['--batch-size', '1.5'], /--batch-size must be a whole number/);
  await refusesTraining(['--lr', '0'], /--lr must be a number above 0, got "0"/);
  await refusesTraining(['--momentum', '1'], /--momentum must be in \[0, 1\), got "1"/);
  await refusesTraining(['--seed', 'abc'], /--seed must be a whole number/);
  await refusesTraining(['--frobnicate'], /lrd train has no option "--frobnicate"; lrd train --help lists them/);
  await refusesTraining(
    ['--beta1', '0.8'],
    /--beta1 must be of the optimizer's; sgdm has --momentum, --dampening, --nesterov/,
  );
  await refusesTraining(['--optimizer', 'adam', '--beta1', '1'], /--beta1 must be in \[0, 1\), got "1"/);
  await refusesTraining(
    ['--optimizer', 'adam', '--epsilon', '0'],
    /--epsilon must be a finite number above 0, got "0"/,
  );
  await refusesTraining(
    ['--optimizer', 'sgdm-avg', '--window', '2.5'],
    /--window must be a whole number of at least 1/,
  );
  await refusesTraining(
    ['--optimizer', 'radam', '--variant', 'keras'],
    /--variant must be one of torch, .*; got "keras"/,
  );
  await refusesTraining(
    ['--optimizer', 'adam', '--nesterov'],
    /--nesterov must be of the optimizer's; adam has --beta1/,
  );
  await refusesTraining(['--engine', 'cuda'], /--engine must be one of fused, gpujs; got "cuda"/);
  await refusesTraining(['--regularizer', 'XX'], /--regularizer must be one of gradient-dropout/);
  await refusesTraining(['--schedule', 'lr=never'], /--schedule's form must be one of/);
});

test('every setting of the command line reaches the request', async () => {
  const words = (
    'fcnet --data digits --optimizer rmsprop --rho 0.9 --epsilon-placement inside --centered --momentum 0.5 --keep 0.3 --lr 0.01 ' +
    '--weight-decay 5e-4 --regularizer DG --regularizer SD:0.8 --schedule lr=step:100,150 --batch-size 32 --epochs 3 --seed 0x10 ' +
    '--backend cpu --engine gpujs --width 8 --limit 100 --validation 20 --layers 2 --context 64 --epoch-steps 50 --augment none --crop 121 --evaluate sliding --init w.safetensors --out runs/x --tensorboard --checkpoint-seconds 5'
  ).split(' ');
  assert.equal(trainingOf(await parse('train', TRAIN, words)), {
    recipe: 'fcnet',
    data: 'digits',
    dataDir: undefined,
    optimizer: 'rmsprop',
    keepProbability: 0.3,
    learningRate: 0.01,
    weightDecay: 5e-4,
    hyper: { rho: 0.9, epsilonPlacement: 'inside', centered: true, momentum: 0.5 },
    regularizers: { gradientKeepProbability: 0.5, standardDropout: 0.8 },
    schedules: { learningRate: { kind: 'step', milestones: [100, 150] } },
    batchSize: 32,
    epochs: 3,
    seed: 16n,
    backend: 'cpu',
    engine: 'gpujs',
    width: 8,
    limit: 100,
    validation: 20,
    layers: 2,
    context: 64,
    epochSteps: 50,
    augment: 'none',
    crop: 121,
    evaluation: 'sliding',
    init: 'w.safetensors',
    out: 'runs/x',
    tensorBoard: true,
    checkpointSeconds: 5,
    mask: undefined,
    maskExclude: [],
  });
});

test('wrong calls are one line on stderr and exit code 2', () => {
  refuses(['nothing'], /COMMAND must be one of .*train.*; got "nothing"/);
  refuses(['train'], /needs a RECIPE: fcnet/);
  refuses(['train', 'fcnett'], /RECIPE must be one of fcnet.*; got "fcnett"/);
  refuses(train('--keep', '1.5'), /^lrd: --keep must be a number in \[2\^-16, 1\], got "1.5"\n$/);
  refuses(train('--backend', 'cuda'), /--backend must be one of auto.*; got "cuda"/);
  refuses(['report', scratch], /needs --out/);
  refuses(['report', '--out', 'x.html'], /needs at least one RUN/);
  assert.not.ok(existsSync(out));
});

test('a job that fails is one line, exit code 1, and leaves nothing half-written', () => {
  const missing = ['--data', 'mnist', '--data-dir', scratch];
  refuses(train(...missing), /no train-images-idx3-ubyte/, 1);
  refuses(['report', scratch, '--out', join(scratch, 'x.html')], /not a run/, 1);
  assert.not.ok(existsSync(out));
  assert.not.ok(existsSync(join(scratch, 'x.html')));
});

test('arguments are checked ahead of the data, and the data ahead of the backend', () => {
  // A backend that starts on a machine with CUDA alone, and says so on others.
  const late = ['--backend', 'node-gpu'];
  const missing = ['--data', 'mnist', '--data-dir', scratch];
  refuses(train(...late, ...missing), /^lrd: data set mnist: no train-images-idx3-ubyte/, 1);
  refuses(train('--backend', 'cuda', ...missing), /--backend must be one of auto.*; got "cuda"/);
  refuses(
    train(...missing, '--init', join(scratch, 'w.safetensors')),
    /^lrd: --init \S+w\.safetensors: no such file or folder\n/,
    1,
  );
  const voc = ['--data-dir', scratch, '--out', out];
  refuses(['train', 'pspnet', '--width', '3', ...voc], /--width must be a multiple of 2 for pspnet, got 3/);
  refuses(
    ['train', 'ssd300', '--regularizer', 'NL', ...voc],
    /noisy-labels is for fcnet, resnet18, .*densenet121, got ssd300/,
  );
  // The data is there and does not fit: the backend is not started either.
  refuses(['train', 'resnet18', '--data', 'digits', ...late, '--out', out], /--data must be RGB images/);
  assert.not.ok(existsSync(out));
});

test('train, then report: a run folder and a page that needs no network', () => {
  for (const keep of ['1', '0.5']) {
    const folder = join(scratch, `run-${keep}`);
    const result = lrd('train', 'fcnet', '--data', 'digits', '--optimizer', 'adam', '--keep', keep, '--width', '32',
      '--epochs', '3', '--seed', '1', '--out', folder); // prettier-ignore
    assert.is(result.status, 0, result.stderr);
    assert.is(result.stdout.trim(), folder);
    assert.match(result.stderr, /adam p=\S+: epoch 3\/3 {2}train loss \d/);
    assert.is(readFileSync(join(folder, 'metrics.jsonl'), 'utf8').trim().split('\n').length, 3);
  }
  refuses(train('--out', join(scratch, 'run-1')), /--out must not hold a run already/);
  const page = join(scratch, 'page.html');
  const result = lrd('report', join(scratch, 'run-1'), join(scratch, 'run-0.5'), '--out', page);
  assert.is(result.status, 0, result.stderr);
  const html = readFileSync(page, 'utf8');
  // Without script, a picture each of the training loss, the test loss and the accuracies, with a curve an arm.
  const [still] = html.split('<script') as [string];
  assert.ok((still.match(/<svg/g)?.length ?? 0) >= 3);
  assert.match(html, /LRD, p = 0.5/);
  // Nothing is loaded from elsewhere, and no script runs but the page's own.
  assert.match(
    html,
    /content="default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'; img-src data: blob:;/,
  );
  assert.not.match(html, /<(script|img|link|iframe|source)[^>]*\s(src|href)="(?!data:)/);
  assert.not.match(html, /@import/);
});

test('without --keep the base rule trains', () => {
  const folder = join(scratch, 'base');
  const result = lrd('train', 'fcnet', '--data', 'digits', '--width', '8', '--epochs', '1', '--out', folder);
  assert.is(result.status, 0, result.stderr);
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>;
  assert.is(config['keepProbability'], 1);
  assert.is(config['optimizer'], 'sgdm');
});

test('doctor says what runs here', () => {
  const report = JSON.parse(lrd('doctor', '--json').stdout) as {
    backends: { backend: string; runs: boolean }[];
    auto: string;
  };
  assert.ok(report.backends.some(({ backend, runs }) => backend === 'wasm' && runs));
  assert.ok(report.auto.length > 0);
  assert.match(lrd('doctor').stdout, /wasm +runs/);
});

test('a metrics file that is not one is named', () => {
  const folder = join(scratch, 'run-1');
  writeFileSync(join(folder, 'metrics.jsonl'), 'nonsense\n');
  refuses(
    ['report', folder, '--out', join(scratch, 'y.html')],
    /metrics.jsonl: line 1: not an epoch.s metrics: not JSON/,
    1,
  );
});

test('help is there for the program and for each command, and changes nothing', () => {
  const whole = lrd('--help');
  assert.is(whole.status, 0);
  for (const [first] of Object.keys(COMMANDS).map((name) => name.split(' '))) {
    assert.match(whole.stdout, new RegExp(`^ {2}${first} `, 'm'));
  }
  for (const call of [
    ['train', '--help'],
    ['train', 'fcnet', '-h'],
    ['help', 'train'],
  ]) {
    const { stdout, status } = lrd(...call);
    assert.is(status, 0);
    assert.match(stdout, /^usage: lrd train \[RECIPE\] \[options\]\n/);
    assert.match(stdout, /--keep P .*probability/s);
  }
  refuses(['help', 'trian'], /COMMAND must be one of .*; got "trian"; did you mean train\?/);
  assert.match(lrd('--version').stdout, /^\d+\.\d+\.\d+\n$/);
  assert.not.ok(existsSync(join(scratch, 'runs')));
});

test.run();
