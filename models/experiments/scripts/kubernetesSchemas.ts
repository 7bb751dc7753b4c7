/**
 * Makes `fixtures/kubernetes.json`, the published schemas of a Job, from the package `kubernetes-validate` of PyPI (Apache 2.0; it has those of
 * Kubernetes' own OpenAPI documents):
 *
 *     pip download --no-deps kubernetes-validate==1.37.0
 *     npm run ts -- models/experiments/scripts/kubernetesSchemas.ts kubernetes_validate-1.37.0-py3-none-any.whl
 *
 * Descriptions are left out, and an object takes no keys but its own, so that a misspelt one is found.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { UsageError } from '../../errors.ts';

/** A year and a half of versions, from the first with `backoffLimitPerIndex` on by default. */
const VERSIONS = ['1.29.0', '1.31.0', '1.33.0', '1.35.0', '1.37.0'];
/** As the Job's schema, and the definitions themselves, refer to a definition. */
const REFERENCE = /^(?:\/api\/_definitions\.json)?#\/\$defs\//;

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Definitions = Readonly<Record<string, Json>>;

const [wheel] = process.argv.slice(2);
if (wheel === undefined) throw new UsageError('the wheel of kubernetes-validate is needed');

function read(path: string): Json {
  const { stdout, status } = spawnSync(
    'unzip',
    ['-p', wheel as string, `kubernetes_validate/kubernetes-json-schema/${path}`],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    },
  );
  if (status !== 0) throw new Error(`${path}: not in ${wheel}`);
  return JSON.parse(stdout) as Json;
}

/** A schema without its descriptions; what it refers to is added to `needed`. */
function strict(schema: Json, needed: Set<string>, inProperties = false): Json {
  if (Array.isArray(schema)) return schema.map((item: Json) => strict(item, needed));
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema as Record<string, Json>).flatMap(([key, value]): [string, Json][] => {
    if (!inProperties && (key === 'description' || key.startsWith('x-') || key === 'format')) return [];
    if (!inProperties && key === '$ref') {
      const name = (value as string).replace(REFERENCE, '');
      needed.add(name);
      return [['$ref', `#/$defs/${name}`]];
    }
    return [[key, strict(value, needed, !inProperties && key === 'properties')]];
  });
  const made = Object.fromEntries(entries);
  const closed = !inProperties && 'properties' in made && !('additionalProperties' in made);
  return closed ? { ...made, additionalProperties: false } : made;
}

function schemaOf(version: string): Json {
  const folder = `v${version}-local`;
  const { $defs } = read(`${folder}/_definitions.json`) as { readonly $defs: Definitions };
  const needed = new Set<string>();
  const job = strict(read(`${folder}/job-batch-v1.json`), needed) as Record<string, Json>;
  const definitions: Record<string, Json> = {};
  for (const name of needed) {
    const definition = $defs[name];
    if (definition === undefined) throw new Error(`${version}: no definition ${name}`);
    definitions[name] = strict(definition, needed);
  }
  return { ...job, $defs: definitions };
}

const text = JSON.stringify(Object.fromEntries(VERSIONS.map((version) => [version, schemaOf(version)])));
writeFileSync(new URL('../fixtures/kubernetes.json', import.meta.url), `${text}\n`);
