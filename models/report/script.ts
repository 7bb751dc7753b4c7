import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** What is used of esbuild, which only a checkout has. */
interface Bundler {
  readonly buildSync: (options: object) => { readonly outputFiles: readonly { readonly text: string }[] };
}

let loaded: string | undefined;

/** Text that may stand in a script element. */
const inert = (code: string): string => code.trim().replaceAll(/<(?=\/script|!--|script)/gi, '\\x3c');

/**
 * The script of every page, one file with the plot library in it. The built program has it beside this module, put there by
 * `npm run build`; from the sources it is bundled on the spot, so that it is never an old one.
 */
export function pageScript(): string {
  if (loaded !== undefined) return loaded;
  const built = new URL('./pageScript.txt', import.meta.url);
  if (existsSync(built)) {
    loaded = readFileSync(built, 'utf8');
    return loaded;
  }
  const [entry = new URL('./browser/page.ts', import.meta.url)] = ['./browser/page.js', './browser/page.ts']
    .map((path) => new URL(path, import.meta.url))
    .filter((path) => existsSync(path));
  const { buildSync } = createRequire(import.meta.url)('esbuild') as Bundler;
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(entry)],
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    charset: 'ascii',
    legalComments: 'none',
  });
  loaded = inert(outputFiles[0]?.text ?? '');
  return loaded;
}
