/**
 * Pages that open from a folder, without a server: a template with its script, its worker and tfjs-wasm's binary inside one file. The
 * worker and the binary stand behind the page's own script, as text that is not run where it stands, so that the page is painted before they are read.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, defaultClientConditions } from 'vite';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** One classic script of a module and everything that it imports. */
async function bundle(entry: string): Promise<string> {
  const result = await build({
    root,
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['@learning-rate-dropout/source', ...defaultClientConditions] },
    build: {
      write: false,
      target: 'es2022',
      lib: { entry: `${root}/${entry}`, formats: ['iife'], name: 'page' },
      rolldownOptions: { output: { codeSplitting: false } },
    },
  });
  const outputs = (Array.isArray(result) ? result : [result]).flatMap((one) => ('output' in one ? one.output : []));
  const [chunk, ...others] = outputs;
  if (chunk?.type !== 'chunk' || others.length > 0) throw new Error(`${entry} did not become one script`);
  return chunk.code;
}

/** Text that may stand in a script element. */
const inert = (code: string): string => code.replaceAll(/<(?=\/script|!--|script)/gi, '\\x3c');

function wasmBinary(): string {
  const require = createRequire(import.meta.url);
  const path = require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm');
  return readFileSync(path).toString('base64');
}

export interface PageSources {
  /** Paths from the repository's root. The template has a comment, `<!-- script -->`, where the scripts go. */
  readonly template: string;
  readonly script: string;
  readonly worker: string;
}

/** What a page says of the documents where it does not lie among them. */
const BUILT_BY = '<code>npm run docs</code> builds the documents.';

/** Builds a page; returns its HTML. `documents` is what it says of the documents, in place of a comment `<!-- documents -->`. */
export async function buildPage({ template, script, worker }: PageSources, documents = BUILT_BY): Promise<string> {
  const html = readFileSync(`${root}/${template}`, 'utf8').replace('<!-- documents -->', documents);
  const parts = [
    `<script>${inert(await bundle(script))}</script>`,
    `<script type="text/plain" id="worker">${inert(await bundle(worker))}</script>`,
    `<script type="text/plain" id="tfjs-wasm">${wasmBinary()}</script>`,
  ];
  const [before, after, ...rest] = html.split('<!-- script -->');
  if (before === undefined || after === undefined || rest.length > 0)
    throw new Error(`${template} needs one <!-- script -->`);
  return `${before}${parts.join('\n')}${after}`;
}

/** The pages of this repository by the name of their file. */
export const PAGES: Readonly<Record<string, PageSources>> = {
  'index.html': {
    template: 'models/demo/page.html',
    script: 'models/demo/page.ts',
    worker: 'models/demo/training/worker.ts',
  },
  'conformance.html': {
    template: 'conformance/browser/page/page.html',
    script: 'conformance/browser/page/page.ts',
    worker: 'conformance/browser/page/worker.ts',
  },
};

/** Builds every page into a folder; returns the path of the first, the demo. `documents` as for `buildPage`. */
export async function buildPages(folder: string, documents = BUILT_BY): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const paths: string[] = [];
  for (const [name, sources] of Object.entries(PAGES)) {
    const path = join(folder, name);
    writeFileSync(path, await buildPage(sources, documents));
    paths.push(path);
  }
  return paths[0] as string;
}
