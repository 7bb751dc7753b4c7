/**
 * tfjs-core's own tests, which its npm package ships compiled (`dist/tests.js`), as one file that Node can load. They reach into
 * tfjs-core's modules by path, so the bundle has a copy of its own; both copies share one engine, one table of kernels and one
 * of gradients, which tfjs keeps on the global object.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { build } from 'esbuild';

const require = createRequire(import.meta.url);

/** The folder of tfjs-core's compiled modules. */
export const CORE = join(dirname(require.resolve('@tensorflow/tfjs-core/package.json')), 'dist');

/** Test files, by their path in `dist` without the ending `.js`, in tfjs's own order. */
export function testFiles(): string[] {
  const list = readFileSync(join(CORE, 'tests.js'), 'utf8');
  return [...list.matchAll(/^import '\.\/(.+)';$/gm)].map(([, file]) => file as string);
}

/** One of tfjs-core's optimizer classes, as far as its tests make it from a configuration. */
export interface OptimizerClass {
  fromConfig(cls: unknown, config: object): unknown;
}

/** What the bundle exports. */
export interface Bundle {
  readonly SGDOptimizer: OptimizerClass;
  readonly MomentumOptimizer: OptimizerClass;
  readonly RMSPropOptimizer: OptimizerClass;
  readonly AdamOptimizer: OptimizerClass;
  /** The bundle's copy of tfjs-core's constructors, which its tests call. */
  readonly train: Record<string, unknown>;
  readonly setTestEnvs: (environments: readonly TestEnvironment[]) => void;
  /** Runs the test files, which describe their suites. */
  readonly describeAll: () => void;
}

/** tfjs-core's description of what its tests run on. */
export interface TestEnvironment {
  readonly name: string;
  readonly backendName: string;
  /** Whether `dataSync` works. */
  readonly isDataSync: boolean;
}

/** Name of the global function that is told which file describes its suites next. */
export const TAG = '__upstreamFile';

/** Writes the bundle of these test files to `outfile`, a CommonJS module. */
export async function bundleTests(files: readonly string[], outfile: string): Promise<void> {
  const entry = [
    `export { OptimizerConstructors as train } from './optimizers/optimizer_constructors';`,
    `export { setTestEnvs } from './jasmine_util';`,
    `export { AdamOptimizer, MomentumOptimizer, RMSPropOptimizer, SGDOptimizer } from './index';`,
    `import './public/chained_ops/register_all_chained_ops';`,
    `export function describeAll() {`,
    // Required, not imported: a test file describes its suites when it loads, which must come after setTestEnvs.
    ...files.map((file) => `  globalThis.${TAG}(${JSON.stringify(file)}); require('./${file}');`),
    `}`,
  ].join('\n');
  await build({
    stdin: { contents: entry, resolveDir: CORE, sourcefile: 'upstream.js' },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    mainFields: ['module', 'main'],
    logLevel: 'error',
    legalComments: 'none',
    plugins: [
      {
        name: 'without source maps',
        // tfjs's modules carry their sources inline, ten times the code.
        setup: (chain) =>
          chain.onLoad({ filter: /\.js$/ }, ({ path }) => {
            if (relative(CORE, path).startsWith(`..${sep}`)) return undefined;
            const contents = readFileSync(path, 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '');
            return { contents, loader: 'js', resolveDir: dirname(path) };
          }),
      },
    ],
  });
}
