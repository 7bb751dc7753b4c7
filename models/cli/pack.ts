import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkDataSetName, dataFolders } from '../data/catalogue.ts';
import { isEmbedded } from '../data/fetch/publications.ts';
import { JobError, UsageError } from '../errors.ts';
import { beginFile, dropQuietly } from '../storage/files.ts';
import { checkInput, openInput } from '../storage/inputs.ts';
import { installedPackage, ownPackage, resolvePackage, trace } from './packTrace.ts';
import { checkOutputs } from './outputs.ts';
import type { PACK } from './table/others.ts';
import type { Call } from './table/row.ts';

const NAME = 'lrd-linux-x64';

/** Bytes that are in memory while the bundle is put in its place. */
const PIECE = 2 ** 24;

/**
 * What starts the bundle: POSIX sh and nothing else. Node needs libstdc++ and libgcc_s, which the barest systems lack: then the
 * bundle's own are used. LRD_VULKAN_LOADER names a libvulkan.so.1 that is not where a system keeps it.
 */
const LAUNCHER = `#!/bin/sh
self=$0
while [ -h "$self" ]; do
  link=$(readlink "$self")
  case $link in /*) self=$link ;; *) self=$(dirname "$self")/$link ;; esac
done
here=$(CDPATH= cd -- "$(dirname -- "$self")" && pwd -P)
paths=\${LD_LIBRARY_PATH-}
if [ -n "\${LRD_VULKAN_LOADER-}" ]; then
  if [ ! -f "$LRD_VULKAN_LOADER" ]; then
    echo "lrd: LRD_VULKAN_LOADER must be the path of a libvulkan.so.1, got \\"$LRD_VULKAN_LOADER\\"" >&2
    exit 2
  fi
  paths=$(dirname -- "$LRD_VULKAN_LOADER")\${paths:+:$paths}
fi
if ! "$here/bin/node" --version >/dev/null 2>&1; then
  paths=\${paths:+$paths:}$here/lib
fi
if [ -n "$paths" ]; then
  LD_LIBRARY_PATH=$paths
  export LD_LIBRARY_PATH
fi
if [ -d "$here/data" ] && [ -z "\${LRD_DATA-}" ]; then
  LRD_DATA=$here/data
  export LRD_DATA
fi
exec "$here/bin/node" "$here/app/bin/lrd.js" "$@"
`;

const README = `Learning Rate Dropout, for linux-x64, with nothing to install.

  ./lrd doctor              what runs here: WebGPU adapters, what was chosen and why, what is missing
  ./lrd conformance --adapter webgpu
  ./lrd bench step          every engine beside its peers; --json FILE and --html FILE keep the results
  ./lrd --help

A hardware GPU needs its vendor's Vulkan driver. Where the driver's manifest is not in a standard place:
  VK_DRIVER_FILES=/path/to/nvidia_icd.json ./lrd doctor
Where the Vulkan loader (libvulkan.so.1) is not: LRD_VULKAN_LOADER=/path/to/libvulkan.so.1. Without either the bundle's
own loader and its software adapter (SwiftShader) serve.
`;

/** Packages whose files are found by path at run time, with what is read of them: no import names these. */
const BY_PATH: Readonly<Record<string, readonly RegExp[]>> = {
  webgpu: [/^dist\/linux-x64\/.*\.node$/],
  '@tensorflow/tfjs-backend-wasm': [/^dist\/[^/]*\.wasm$/],
  '@sparticuz/chromium': [/^bin\/swiftshader\.tar\.br$/],
  // sharp's addon, and the library that it is linked to.
  '@img/sharp-linux-x64': [/^index\.cjs$/, /^lib\/.*\.node$/],
  '@img/sharp-libvips-linux-x64': [/^lib\/.*\.so[.\d]*$/],
};

/** Runs a program to its end. Throws a `JobError` with its last line when it fails. */
function run(program: string, args: readonly string[], what: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, [...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (error !== undefined) throw new JobError(`${what}: ${program} cannot be run (${error.message})`);
  if (status !== 0) {
    const last = `${stdout}\n${stderr}`.trim().split('\n').at(-1) ?? '';
    throw new JobError(`${what}: ${program} ended with ${status}: ${last}`);
  }
  return stdout;
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(realpathSync(from), to);
}

const LIBRARY = 'learning-rate-dropout';

const isProgram = (path: string): boolean => !path.endsWith('.d.ts');

/** What was compiled of a package, with its `package.json` and what else stands beside it. */
function stageOwn(from: string, to: string, folders: readonly string[]): void {
  for (const folder of folders) cpSync(join(from, folder), join(to, folder), { recursive: true, filter: isProgram });
  for (const file of ['package.json', 'LICENSE', 'CITATION.cff']) {
    if (existsSync(join(from, file))) copy(join(from, file), join(to, file));
  }
}

/** The compiled program and the library below it: built anew from the sources, or those of the installed packages. */
function stageProgram(root: string, app: string, fromSources: boolean): void {
  const manifest = join(root, 'package.json');
  const library = installedPackage(LIBRARY, manifest);
  if (library === undefined) throw new JobError(`lrd pack needs the package ${LIBRARY}: npm install ${LIBRARY}`);
  const source = realpathSync(library);
  if (fromSources) run('npm', ['run', '--silent', '--prefix', source, 'build'], 'the build');
  stageOwn(root, app, ['dist', 'bin']);
  stageOwn(source, join(app, 'node_modules', LIBRARY), ['dist']);
}

/** The licence files of the packages go with them. */
const isLicence = (file: string): boolean => /^(licen[cs]e|notice|copying)/i.test(file);

/**
 * Where a package's file goes: packages of the program's own `node_modules` below it, those of a folder around it beside it, as Node looks
 * for them.
 */
function placeOf(file: string, root: string, app: string): string {
  if (file.startsWith(join(root, 'node_modules/'))) return join(app, relative(root, file));
  for (let folder = dirname(root); ; folder = dirname(folder)) {
    const packages = join(folder, 'node_modules/');
    if (file.startsWith(packages)) return join(dirname(app), 'node_modules', relative(packages, file));
    if (folder === dirname(folder)) throw new Error(`${file} lies in no node_modules around ${root}`);
  }
}

/** Copies what the program loads of its packages: modules by their imports, the rest by path. */
function stagePackages(root: string, app: string, modules: readonly string[]): void {
  const place = (file: string): string => placeOf(file, root, app);
  const packages = new Set<string>();
  for (const file of modules) {
    copy(file, place(file));
    packages.add(ownPackage(file));
  }
  for (const [name, patterns] of Object.entries(BY_PATH)) {
    const folder = installedPackage(name, join(root, 'package.json'));
    if (folder === undefined) throw new JobError(`lrd pack needs the package ${name}: npm install ${name}`);
    packages.add(folder);
    const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
      patterns.some((pattern) => pattern.test(file)),
    );
    if (found.length === 0) throw new JobError(`${folder} must hold ${patterns.map(String).join(', ')}: it does not`);
    for (const file of [...found, 'package.json']) copy(join(folder, file), place(join(folder, file)));
  }
  for (const folder of packages) {
    for (const file of readdirSync(folder).filter(isLicence)) {
      if (statSync(join(folder, file)).isFile()) copy(join(folder, file), place(join(folder, file)));
    }
  }
}

/** Entry modules: everything of the program and the library, and their peers, some of which are imported by a name in a variable. */
function entriesOf(app: string, root: string): string[] {
  const own = ['bin', 'dist', join('node_modules', LIBRARY, 'dist')].flatMap((folder) =>
    readdirSync(join(app, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.js'))
      .map((file) => join(app, folder, file)),
  );
  const manifest = join(root, 'package.json');
  const { peerDependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8')) as {
    peerDependencies?: Readonly<Record<string, string>>;
  };
  return [...own, ...Object.keys(peerDependencies).flatMap((name) => resolvePackage(name, manifest))];
}

/** Node's own binary and the two libraries that the barest systems lack. */
function stageNode(stage: string): void {
  copy(process.execPath, join(stage, 'bin', 'node'));
  chmodSync(join(stage, 'bin', 'node'), 0o755);
  const loaded = run('ldd', [process.execPath], 'the libraries of node');
  for (const library of ['libstdc++.so.6', 'libgcc_s.so.1']) {
    const path = new RegExp(`${library.replaceAll('+', '\\+')} => (\\S+)`).exec(loaded)?.[1];
    if (path !== undefined) copy(path, join(stage, 'lib', library));
  }
}

/** The folder of a data set, where `--data` would find it; undefined for one that is part of the program. */
function findData(name: string, dataDir: string | undefined): string | undefined {
  checkDataSetName(name);
  if (isEmbedded(name)) return undefined;
  const folders = dataFolders(dataDir);
  const folder = folders.map((candidate) => join(candidate, name)).find((candidate) => existsSync(candidate));
  if (folder === undefined) throw new JobError(`--data ${name}: not found in ${folders.join(', ')}`);
  checkInput(folder, 'folder', `--data ${name}: ${folder}`);
  for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name);
    if (!statSync(path).isDirectory()) checkInput(path, 'file');
  }
  return folder;
}

/** Puts a finished file in its place, whole or not at all. */
function place(file: string, out: string): void {
  const input = openInput(file);
  const draft = beginFile(out);
  try {
    for (let at = 0; at < input.size; at += PIECE) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE, input.size - at));
      input.read(piece, at);
      draft.write(piece);
    }
    draft.keep();
  } catch (error) {
    dropQuietly(draft);
    throw error;
  } finally {
    input.close();
  }
}

/** `lrd pack --out FILE`: one archive that runs where nothing is installed and no network is. */
export function packCommand({ options }: Call<typeof PACK>): void {
  const { out, data } = options;
  if (out === undefined) throw new UsageError('lrd pack needs --out FILE.tar.xz');
  if (!out.endsWith('.tar.xz')) throw new UsageError(`--out must end with .tar.xz, got ${JSON.stringify(out)}`);
  checkOutputs({ out });
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new JobError(
      `lrd pack must run on linux-x64, whose node it packs; this is ${process.platform}-${process.arch}`,
    );
  }
  const dataFolder = data === undefined ? undefined : findData(data, options['data-dir']);
  const here = fileURLToPath(import.meta.url);
  const fromSources = here.endsWith('.ts');
  const root = ownPackage(here);
  const scratch = mkdtempSync(join(tmpdir(), 'lrd-pack-'));
  try {
    const stage = join(scratch, NAME);
    const app = join(stage, 'app');
    mkdirSync(app, { recursive: true });
    stageProgram(root, app, fromSources);
    // Traced in its place beside the packages: from the staged copy nothing would be found.
    const staged = entriesOf(app, root);
    const { files, unresolved } = traceIn(root, app, staged);
    stagePackages(root, app, files);
    stageNode(stage);
    if (dataFolder !== undefined)
      cpSync(dataFolder, join(stage, 'data', data as string), { recursive: true, dereference: true });
    writeFileSync(join(stage, 'lrd'), LAUNCHER, { mode: 0o755 });
    writeFileSync(join(stage, 'README'), README);
    const archive = join(scratch, 'bundle.tar.xz');
    const owner = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@0'];
    run('tar', ['-C', scratch, ...owner, '-I', 'xz -6 -T0', '-cf', archive, NAME], `--out ${out}`);
    place(archive, out);
    const mebibytes = statSync(archive).size / 2 ** 20;
    // Optional packages that are not installed. What packages say of their own optional parts is their affair.
    for (const line of unresolved.filter((text) => /^[@\w][^ ]* \(from (dist|bin)\//.test(text))) {
      process.stderr.write(`not packed: ${line}\n`);
    }
    console.log(`${out}: ${mebibytes.toFixed(1)} MiB; unpack it anywhere and run ${NAME}/lrd doctor`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Traces the staged program as if it stood in `root`, where its packages are. Returns files of packages only. */
function traceIn(root: string, app: string, entries: readonly string[]): ReturnType<typeof trace> {
  const { files, unresolved } = trace(entries, (file) => (file.startsWith(app) ? join(root, 'package.json') : file));
  const library = installedPackage(LIBRARY, join(root, 'package.json')) as string;
  return {
    files: files.filter((file) => !file.startsWith(app) && !file.startsWith(`${library}/`)),
    unresolved: unresolved.map((line) => line.replace(`${app}/`, '').replace(`${root}/`, '')),
  };
}
