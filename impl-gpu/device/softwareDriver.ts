/**
 * SwiftShader, Google's Vulkan driver for CPUs, found without root: from the npm package `@sparticuz/chromium` (Linux x64),
 * which carries it as a compressed archive, or from Debian's `chromium` package. Node only.
 */
// Through `process`, not by import statements: a bundler for browsers must not find Node's modules here.
const { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } =
  process.getBuiltinModule('node:fs');
const { createRequire } = process.getBuiltinModule('node:module');
const { constants, homedir } = process.getBuiltinModule('node:os');
const path = process.getBuiltinModule('node:path');
const { brotliDecompressSync } = process.getBuiltinModule('node:zlib');

const PACKAGE = '@sparticuz/chromium';
const ICD = 'vk_swiftshader_icd.json';
const LOADER = 'libvulkan.so.1';
const FILES = ['libvk_swiftshader.so', LOADER, ICD] as const;
const DEBIAN = '/usr/lib/chromium';
const ICD_VARIABLE = 'VK_ICD_FILENAMES';
const RTLD_NODELETE = 0x1000;

/** A place that SwiftShader was looked for in, with what was found there. */
export interface SoftwareDriver {
  readonly origin: string;
  /** The folder with the driver, its manifest and a Vulkan loader. */
  readonly directory: string | undefined;
  /** Why there is none, if so. */
  readonly reason: string | undefined;
}

/** Regular files of a tar archive (POSIX ustar), by name. */
function* readTar(archive: Buffer): Generator<{ readonly name: string; readonly content: Buffer }> {
  const text = (at: number, length: number): string =>
    archive.toString('latin1', at, at + length).replace(/\0[\s\S]*$/, '');
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0;) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const type = text(at + 156, 1);
    if (type === '' || type === '0') {
      yield { name: text(at, 100).replace(/^\.\//, ''), content: archive.subarray(at + 512, at + 512 + size) };
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
}

function cacheDirectory(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  return path.join(base, 'learning-rate-dropout');
}

const complete = (directory: string): boolean => FILES.every((file) => existsSync(path.join(directory, file)));

/** Unpacks the package's archive into the user's cache, once a version, and atomically: processes may race. */
function unpackPackage(): string {
  const root = path.dirname(path.dirname(path.dirname(createRequire(import.meta.url).resolve(PACKAGE))));
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };
  const target = path.join(cacheDirectory(), `swiftshader-${version}`);
  if (complete(target)) return target;
  const archive = brotliDecompressSync(readFileSync(path.join(root, 'bin', 'swiftshader.tar.br')));
  mkdirSync(cacheDirectory(), { recursive: true });
  const scratch = mkdtempSync(`${target}-`);
  for (const { name, content } of readTar(archive)) {
    if (FILES.some((file) => file === name)) writeFileSync(path.join(scratch, name), content);
  }
  if (!complete(scratch)) {
    rmSync(scratch, { recursive: true, force: true });
    throw new Error(`its swiftshader.tar.br lacks one of ${FILES.join(', ')}`);
  }
  try {
    renameSync(scratch, target);
  } catch (error) {
    rmSync(scratch, { recursive: true, force: true });
    if (!complete(target)) throw error;
  }
  return target;
}

function fromPackage(): SoftwareDriver {
  const origin = `npm package ${PACKAGE}`;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { origin, directory: undefined, reason: `it serves linux-x64, this is ${process.platform}-${process.arch}` };
  }
  try {
    return { origin, directory: unpackPackage(), reason: undefined };
  } catch (error) {
    const missing = (error as { code?: unknown }).code === 'MODULE_NOT_FOUND';
    return { origin, directory: undefined, reason: missing ? 'not installed' : (error as Error).message };
  }
}

function fromDebian(): SoftwareDriver {
  const origin = `Debian package chromium (${DEBIAN})`;
  return complete(DEBIAN)
    ? { origin, directory: DEBIAN, reason: undefined }
    : { origin, directory: undefined, reason: 'not installed' };
}

/** Where SwiftShader was looked for, best place first. May unpack 14 MB into the user's cache. */
export function findSoftwareDrivers(): readonly SoftwareDriver[] {
  return [fromPackage(), fromDebian()];
}

/** Folders in which a system keeps its Vulkan loader. */
const LOADER_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/local/lib',
];

/** Whether Dawn can load a Vulkan loader by itself. Elsewhere than on Linux that is the system's affair. */
export function systemHasLoader(): boolean {
  if (process.platform !== 'linux') return true;
  const folders = [
    ...(process.env['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => folder !== ''),
    ...LOADER_FOLDERS,
  ];
  return folders.some((folder) => existsSync(path.join(folder, LOADER)));
}

/**
 * Whether some Vulkan driver is installed, by the places that the loader's documentation lists. Without one there is nothing
 * to probe, and probing prints warnings.
 */
export function systemHasDriver(): boolean {
  if (process.platform !== 'linux') return true;
  if ([ICD_VARIABLE, 'VK_DRIVER_FILES', 'VK_ADD_DRIVER_FILES'].some((name) => process.env[name] !== undefined))
    return true;
  const data = (process.env['XDG_DATA_DIRS'] ?? '/usr/local/share:/usr/share').split(':');
  const own = [process.env['XDG_DATA_HOME'] ?? path.join(homedir(), '.local', 'share')];
  const configuration = [...(process.env['XDG_CONFIG_DIRS'] ?? '/etc/xdg').split(':'), '/etc', '/usr/local/etc'];
  return [...configuration, ...own, ...data].some((folder) => {
    const manifests = path.join(folder, 'vulkan', 'icd.d');
    return existsSync(manifests) && readdirSync(manifests).some((file) => file.endsWith('.json'));
  });
}

/** Brings the Vulkan loader beside SwiftShader into the process. It finds a GPU's driver as well as a system's would. */
export function bringLoader(drivers: readonly SoftwareDriver[]): void {
  const directory = drivers.find((driver) => driver.directory !== undefined)?.directory;
  if (directory === undefined) return;
  const flags = constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL | RTLD_NODELETE;
  try {
    // Not a Node addon, so this always throws; the library stays loaded, and Dawn finds it by its name.
    process.dlopen({ exports: {} }, path.join(directory, LOADER), flags);
  } catch {
    // As expected. Whether it worked shows when an adapter is asked for.
  }
}

/**
 * Runs `ask` with SwiftShader as the Vulkan loader's only driver, and gives the other drivers back afterwards: the variable
 * counts when Dawn makes its instance.
 */
export async function withSoftwareDriver<T>(directory: string, ask: () => Promise<T>): Promise<T> {
  const before = process.env[ICD_VARIABLE];
  process.env[ICD_VARIABLE] = path.join(directory, ICD);
  try {
    return await ask();
  } finally {
    if (before === undefined) delete process.env[ICD_VARIABLE];
    else process.env[ICD_VARIABLE] = before;
  }
}
