import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { UsageError } from '../errors.ts';
import { jobName, kubernetesJob } from './kubernetes.ts';

const test = suite('models/experiments/kubernetes');

/** The published schemas by version, made by `scripts/kubernetesSchemas.ts`. */
const SCHEMAS = JSON.parse(readFileSync(new URL('./fixtures/kubernetes.json', import.meta.url), 'utf8')) as Record<string, object>; // prettier-ignore
const options = {
  name: 'table1-small',
  image: 'registry.example/lrd:0.1',
  claim: 'sweeps',
  mount: '/shared',
  out: '/shared/table1',
  gpus: 1,
  tasks: 245,
  limit: 20,
  arguments: ['experiment', 'table1', '--out', '/shared/table1'],
};
const program = fileURLToPath(new URL('../cli/lrd.ts', import.meta.url));

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
const validators = new Map(
  Object.entries(SCHEMAS).map(([version, schema]) => [
    version,
    ajv.compile({ ...schema, $id: `kubernetes:${version}` }),
  ]),
);

function faults(version: string, job: object): string {
  const isValid = validators.get(version);
  if (isValid === undefined) return `no schema of ${version}`;
  return isValid(job) ? '' : ajv.errorsText(isValid.errors);
}

test('the manifest is valid by the published schemas, and a misspelt key is not', () => {
  assert.ok(Object.keys(SCHEMAS).length >= 3);
  for (const version of Object.keys(SCHEMAS)) {
    for (const change of [{}, { gpus: 0 }, { limit: undefined }, { tasks: 1 }]) {
      assert.is(faults(version, kubernetesJob({ ...options, ...change })), '', version);
    }
    const text = JSON.stringify(kubernetesJob(options));
    for (const key of [
      'backoffLimitPerIndex',
      'podFailurePolicy',
      'onExitCodes',
      'persistentVolumeClaim',
      'completionMode',
    ]) {
      const misspelt = text.replace(key, `${key}s`);
      assert.is.not(misspelt, text);
      assert.match(faults(version, JSON.parse(misspelt) as object), /must NOT have additional properties/, `${version} ${key}`); // prettier-ignore
    }
    assert.match(faults(version, JSON.parse(text.replace('"completions":245', '"completions":"245"')) as object), /completions must be/); // prettier-ignore
  }
});

test('a disruption is no try, a wrong call fails its index at once, and each index is a task', () => {
  const { spec } = kubernetesJob(options) as { spec: Record<string, unknown> };
  assert.equal([spec['completionMode'], spec['completions'], spec['parallelism'], spec['backoffLimitPerIndex']], ['Indexed', 245, 20, 3]); // prettier-ignore
  assert.equal(spec['podFailurePolicy'], {
    rules: [
      { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
      { action: 'FailIndex', onExitCodes: { containerName: 'lrd', operator: 'In', values: [2] } },
    ],
  });
  assert.is(jobName('Table_1-full'), 'lrd-table-1-full');
  assert.is(jobName('a'.repeat(80)).length, 50);
});

test('the command prints it; what cannot be is one line', () => {
  const lrd = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [...FROM_SOURCE, program, 'experiment', 'table1', '--on', 'kubernetes', ...args], { encoding: 'utf8' }); // prettier-ignore
  const call = ['--image', 'i', '--claim', 'c', '--mount', '/s', '--out', '/s/t1', '--scale', 'small', '--cells-per-task', '4', '--gpus', '1']; // prettier-ignore
  const { stdout, stderr } = lrd(...call);
  assert.is(stderr, '');
  const job = JSON.parse(stdout) as { spec: { completions: number; template: { spec: { containers: { args: string[] }[] } } } }; // prettier-ignore
  for (const version of Object.keys(SCHEMAS)) assert.is(faults(version, job), '');
  assert.equal(job.spec.template.spec.containers[0]?.args, ['experiment', 'table1', '--out', '/s/t1', '--scale', 'small', '--seeds', '1', '--cells-per-task', '4', '--cell', 'env']); // prettier-ignore
  const { status, stderr: said } = lrd('--image', 'i', '--out', '/s');
  assert.equal([status, said], [2, 'lrd: --on kubernetes needs --image and --claim\n']);
  const refused = (change: object, pattern: RegExp): void =>
    assert.throws(() => kubernetesJob({ ...options, ...change }), (error: unknown) => error instanceof UsageError && pattern.test(error.message)); // prettier-ignore
  refused({ out: 'runs' }, /--out must be an absolute path in \/shared/);
  refused({ out: '/other/t' }, /--out must be an absolute path in \/shared/);
  refused({ claim: 'My Claim' }, /--claim must be the name of a persistent volume claim, got "My Claim"/);
  const digest = `sha256:${'0a'.repeat(32)}`;
  for (const image of [
    'lrd',
    'lrd:0.1',
    'a/b_c/d--e',
    'registry.example:5000/lab/lrd:v1.0-rc_2',
    `ghcr.io/x/y@${digest}`,
    `localhost:5000/y:t@${digest}`,
    '[2001:db8::1]:5000/lrd',
  ]) {
    // prettier-ignore
    assert.ok(kubernetesJob({ ...options, image }), image);
  }
  for (const image of [
    '',
    ';rm',
    '; rm',
    'Lab/LRD',
    'lrd:',
    'lrd:a b',
    'lrd@sha256:12',
    'https://registry.example/lrd',
    'a//b',
    '/lrd',
    'lrd\n',
    `lrd:${'t'.repeat(129)}`,
    '-lrd',
    'a/b/',
  ]) {
    // prettier-ignore
    refused({ image }, /^--image must be \[HOST\/\]NAME\[:TAG\]\[@DIGEST\] in small letters, got "[^\n]*"$/);
  }
  for (const claim of ['a..b', '.a', 'a-', 'A', '', 'a'.repeat(64)]) refused({ claim }, /--claim must be the name/);
  assert.ok(kubernetesJob({ ...options, out: '/shared/..odd' }));
  refused({ out: '/shared/../other' }, /--out must be an absolute path in \/shared/);
  refused({ mount: '/' }, /--mount must be an absolute path other than/);
});

test.run();
