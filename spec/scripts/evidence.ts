import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Evidence } from '../render.ts';

/** The repository's root, with a slash at the end. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

const FOLDERS = ['spec', 'impl-ref', 'impl-gpu', 'conformance', 'bench', 'models'];
const ID = /LRD-[A-Z]+-\d{3}/g;

/** Every TypeScript file below the folders, as paths from the root, sorted. */
export function sourceFiles(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
  )
    .filter((file) => file.endsWith('.ts') && !file.includes('node_modules') && !file.includes('/planted/'))
    .sort();
}

/** The requirement ids that a file's text names. */
export function idsIn(file: string): string[] {
  return [...new Set(readFileSync(join(root, file), 'utf8').match(ID) ?? [])].sort();
}

/** The test files that name each requirement, in the folders that `within` lets through. */
export function evidence(within: (file: string) => boolean): Evidence {
  const map = new Map<string, string[]>();
  for (const file of sourceFiles().filter((name) => name.endsWith('.test.ts') && within(name))) {
    const titles = readFileSync(join(root, file), 'utf8').match(/\[LRD-[A-Z]+-\d{3}\]/g) ?? [];
    for (const id of new Set(titles.map((title) => title.slice(1, -1)))) map.set(id, [...(map.get(id) ?? []), file]);
  }
  return map;
}

/**
 * The requirements that the conformance kit judges: its properties name them, and its own tests run each property against the reference
 * and against planted faults.
 */
export function judged(): ReadonlySet<string> {
  return new Set(
    sourceFiles()
      .filter((file) => file.startsWith('conformance/judge/'))
      .flatMap(idsIn),
  );
}

/** What the specification cites: the reference's own tests. Other folders' tests come and go without changing it. */
export const referenceEvidence = (): Evidence => evidence((file) => /^(spec|impl-ref)\//.test(file));
