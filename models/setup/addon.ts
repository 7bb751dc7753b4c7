/** tfjs-node's sources, and its addon built against a TensorFlow that lies unpacked beside them. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { extract } from 'tar';
import type { NativeSource } from 'learning-rate-dropout/tensorflow';
import { ADDON, DESCRIPTORS, TFJS_SYMBOL, nativeSource, nativeVersion } from 'learning-rate-dropout/tensorflow';
import { JobError } from '../errors.ts';
import { complaint, firstThatRuns, runProgram } from './programs.ts';

/** The version whose internals `impl-gpu/tfjs/bridges/tensorflow.ts` was written against. */
export const TFJS_NODE_VERSION = '4.22.0';
/** What it asks for by ^3.9.2, and loads before anything else. */
const PROTOBUF = 'google-protobuf@3.21.4';
const HEADERS = 'node-api-headers@1.9.0';

/** The N-API version that the addon is built for: every Node since 12.22 has it. */
const NAPI_VERSION = 8;

/** Fetches an npm package as an archive (its install script never runs) and unpacks it into `target`. */
async function unpackPackage(specifier: string, archives: string, target: string): Promise<void> {
  mkdirSync(archives, { recursive: true });
  mkdirSync(target, { recursive: true });
  const name = `${specifier.replace(/^@/, '').replaceAll(/[/@]/g, '-')}.tgz`;
  if (!existsSync(join(archives, name))) {
    const finished = await runProgram(
      ['npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', archives, specifier],
      { seconds: 300, cwd: archives },
    );
    if (finished.code !== 0 || !existsSync(join(archives, name))) {
      throw new JobError(`npm did not give ${specifier}: ${complaint(finished)}`);
    }
  }
  await extract({ file: join(archives, name), cwd: target, strip: 1 });
}

/** The folder with node_api.h: beside this Node, of a system package, else from npm. */
async function findNodeHeaders(archives: string, scratch: string): Promise<string> {
  const places = [join(dirname(dirname(process.execPath)), 'include', 'node'), '/usr/include/node'];
  const found = places.find((place) => existsSync(join(place, 'node_api.h')));
  if (found !== undefined) return found;
  await unpackPackage(HEADERS, archives, scratch);
  return join(scratch, 'include');
}

/**
 * Puts tfjs-node into `folder`/node_modules. Its `@tensorflow/tfjs` there is the tfjs of the process that loads it: a second copy would be
 * a second engine, with other variables and gradients.
 */
export async function placePackages(folder: string, archives: string): Promise<void> {
  const modules = join(folder, 'node_modules');
  const tfjsNode = join(modules, '@tensorflow', 'tfjs-node');
  await unpackPackage(`@tensorflow/tfjs-node@${TFJS_NODE_VERSION}`, archives, tfjsNode);
  for (const name of readdirSync(join(tfjsNode, 'dist'))) {
    if (/_test\.(js|d\.ts)$/.test(name)) rmSync(join(tfjsNode, 'dist', name));
  }
  await unpackPackage(PROTOBUF, archives, join(modules, 'google-protobuf'));
  for (const name of ['tfjs', 'tfjs-core']) {
    const target = join(modules, '@tensorflow', name);
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, 'index.js'), `module.exports = globalThis[Symbol.for('${TFJS_SYMBOL}')];\n`);
  }
}

/** The C++ compiler that there is, with the words that `CXX` has behind its name (`ccache g++`). Throws a `JobError` that says how to get one. */
export async function findCompiler(): Promise<readonly string[]> {
  const named = (process.env['CXX'] ?? '').trim();
  const words = named.split(/\s+/);
  return firstThatRuns(
    [...(named === '' ? [] : [[named]]), ...(words.length > 1 ? [words] : []), ['g++'], ['c++'], ['clang++']],
    'a C++ compiler',
    'install one (Debian: apt-get install g++), or name it in CXX',
  );
}

/** What is compiled for an instruction set. */
interface Form {
  readonly name: string;
  readonly lanes: number;
  readonly flags: readonly string[];
  /** Of the kernels that need a multiply-add; left out: TensorFlow's are taken. */
  readonly fused?: readonly string[];
}

const FORMS: readonly Form[] = [
  ...(process.arch === 'x64'
    ? [
        { name: 'avx512', lanes: 16, flags: ['-mavx512f'], fused: ['-mavx512f'] },
        { name: 'avx2', lanes: 8, flags: ['-mavx2'], fused: ['-mavx2', '-mfma'] },
      ]
    : []),
  { name: 'plain', lanes: 4, flags: [] },
];

/** Compiles the addon of `placePackages`, and the fused step with it, against the libraries of `unpackWheel`, then throws the headers away. */
export async function buildAddon(folder: string, archives: string): Promise<void> {
  const compiler = await findCompiler();
  const scratch = join(folder, 'headers');
  const objects = join(folder, 'objects');
  const source = join(folder, 'node_modules', '@tensorflow', 'tfjs-node');
  const partial = join(folder, `${ADDON}.partial`);
  const headers = await findNodeHeaders(archives, scratch);
  const build = async (...words: readonly string[]): Promise<void> => {
    const finished = await runProgram([...compiler, '-std=c++17', '-fPIC', ...words], { seconds: 600 });
    if (finished.code !== 0) {
      throw new JobError(`${compiler.join(' ')} did not build the addon: ${complaint(finished)}`);
    }
  };
  const made: string[] = [];
  const compile = (name: string, file: string, ...flags: readonly string[]): Promise<void> => {
    const object = join(objects, `${name}.o`);
    made.push(object);
    return build(`-I${join(folder, 'tensorflow', 'include')}`, ...flags, '-c', file, '-o', object);
  };
  // No multiplication is contracted with an addition where none is asked for: every form of the step has the bits of the other engines.
  const strict = ['-O3', '-ffp-contract=off', '-fno-math-errno', '-Wno-psabi'];
  mkdirSync(objects);
  await Promise.all([
    ...['tfjs_backend', 'tfjs_binding'].map((name) =>
      compile(
        name,
        join(source, 'binding', `${name}.cc`),
        '-O2',
        `-DNAPI_VERSION=${NAPI_VERSION}`,
        `-I${headers}`,
        `-I${source}`,
      ),
    ),
    ...FORMS.flatMap(({ name, lanes, flags, fused }) => {
      const own = [...strict, `-DLRD_FORM=${name}`, `-DLRD_LANES=${lanes}`];
      const form = (file: NativeSource, more: readonly string[]): Promise<void> =>
        compile(`${file}-${name}`, nativeSource(file), ...own, ...more);
      return [
        form('kernel.cc', flags),
        form('layers.cc', flags),
        ...(fused === undefined ? [] : [form('products.cc', fused), form('winograd.cc', fused)]),
      ];
    }),
    ...(
      ['operation.cc', 'layerOperations.cc', 'productOperations.cc', 'forms.cc', 'pool.cc', 'signals.cc'] as const
    ).map((file) => compile(file, nativeSource(file), ...strict, `-DLRD_VERSION="${nativeVersion()}"`)),
  ]);
  await build(
    '-shared',
    ...made,
    '-o',
    partial,
    `-L${join(folder, 'tensorflow')}`,
    '-l:libtensorflow_cc.so.2',
    '-l:libtensorflow_framework.so.2',
    '-pthread',
    '-Wl,-rpath,$ORIGIN/tensorflow',
  );
  await build(
    '-shared',
    '-O2',
    '-DNODE_GYP_MODULE_NAME=descriptors',
    `-DNAPI_VERSION=${NAPI_VERSION}`,
    `-I${headers}`,
    nativeSource('descriptors.cc'),
    '-o',
    join(folder, DESCRIPTORS),
  );
  renameSync(partial, join(folder, ADDON));
  for (const spent of [scratch, objects, join(folder, 'tensorflow', 'include')]) {
    rmSync(spent, { recursive: true, force: true });
  }
}
