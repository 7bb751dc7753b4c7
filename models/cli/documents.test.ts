import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';

const test = suite('documents');
const root = fileURLToPath(new URL('../..', import.meta.url));
const PASSED_BY = /(^|\/)(node_modules|dist|build|runs|coverage|\.git)(\/|$)/;

const documents = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.md') && !PASSED_BY.test(path));

/** A heading's anchor, as hosts of repositories make it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[`*_]|\[|\]\([^)]*\)/g, '')
    .replaceAll(/[^\p{L}\p{N} -]/gu, '')
    .trim()
    .replaceAll(' ', '-');

const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');
const anchorsOf = (path: string): Set<string> =>
  new Set([...textOf(path).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading]) => anchorOf(heading as string)));

/** Links of a document that lead nowhere in this tree. */
function deadLinks(path: string): string[] {
  const links = [...textOf(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link as string);
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [file, anchor] = link.split('#') as [string, string?];
      const target = file === '' ? path : normalize(join(dirname(path), file));
      if (target.startsWith('..') || !existsSync(join(root, target))) return true;
      if (anchor === undefined || statSync(join(root, target)).isDirectory()) return false;
      return target.endsWith('.md') && !anchorsOf(target).has(anchor);
    })
    .map((link) => `${path}: ${link}`);
}

test('no link of a document is dead', () => {
  assert.ok(documents.includes('README.md') && documents.length > 10);
  assert.equal(documents.flatMap(deadLinks), []);
});

test('the README has at most 120 lines', () => {
  assert.ok(textOf('README.md').split('\n').length <= 120);
});

test('what the README has in code runs', () => {
  const [sample] = [...textOf('README.md').matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code as string);
  assert.ok(sample?.includes('model.compile'));
  // In the tree, where the package is found by its name.
  const folder = join(root, 'build', `documents-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    const file = join(folder, 'sample.mts');
    const check = `
const x = tf.randomUniform([8, 784]);
const { history } = await model.fit(x, tf.oneHot(tf.range(0, 8, 1, 'int32'), 10), { epochs: 2, verbose: 0 });
console.log(JSON.stringify(history.loss));
`;
    writeFileSync(file, `${sample}${check}`);
    const out = execFileSync(process.execPath, [...FROM_SOURCE, file], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
    const losses = JSON.parse(out.trim().split('\n').at(-1) ?? '') as number[];
    assert.is(losses.length, 2);
    assert.ok(losses.every(Number.isFinite) && (losses[1] as number) < (losses[0] as number), out);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.run();
