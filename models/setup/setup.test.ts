import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { suite } from '../../conformance/harness/suite.ts';
import {
  MANIFEST,
  installationFolder,
  nativeVersion,
  tensorflowMissing,
  thisPlatform,
} from 'learning-rate-dropout/tensorflow';
import { JobError, UsageError } from '../errors.ts';
import { main } from '../cli/main.ts';
import { findCompiler } from './addon.ts';
import { checkRoom, setUpTensorflow } from './tensorflow.ts';
import { describeWheel, parseMetadata, unpackWheel } from './wheel.ts';

const test = suite('models/setup');
const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'lrd-setup-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

/** A zip archive of uncompressed files. `damage` changes a byte of the first file after its sum was taken. */
function zipOf(files: Readonly<Record<string, string>>, damage = false): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt32LE(crc32(content), 10);
    fields.writeUInt32LE(content.length, 14);
    fields.writeUInt32LE(content.length, 18);
    fields.writeUInt16LE(name.length, 22);
    if (damage && parts.length === 0) content.writeUInt8(content.readUInt8(0) ^ 1, 0);
    parts.push(Buffer.from('PK\u0003\u0004', 'latin1'), fields, Buffer.from(name), content);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(at, 10);
    directory.push(Buffer.from('PK\u0001\u0002\u0014\u0000', 'latin1'), fields, rest, Buffer.from(name));
    at += 30 + name.length + content.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(Object.keys(files).length, 4);
  end.writeUInt16LE(Object.keys(files).length, 6);
  end.writeUInt32LE(listing.length, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...parts, listing, Buffer.from('PK\u0005\u0006', 'latin1'), end]);
}

const METADATA = `Metadata-Version: 2.4
Name: tensorflow_cpu
Version: 2.21.0
Classifier: Environment :: GPU :: NVIDIA CUDA :: 12
Classifier: Environment :: GPU :: NVIDIA CUDA :: 12 :: 12.2
Requires-Dist: numpy>=1.26.0
Requires-Dist: nvidia-cublas-cu12<13.0,>=12.5.3.2; extra == "and-cuda"
Requires-Dist: nvidia-cudnn-cu12 (==8.9.4.25) ; extra == 'and-cuda'

Version: of nothing
`;

const LIBRARIES = {
  'tensorflow/libtensorflow_cc.so.2': 'cc',
  'tensorflow/libtensorflow_framework.so.2': 'framework',
  'tensorflow/include/tensorflow/c/c_api.h': '// header',
  'tensorflow/python/big.so': 'not needed',
} as const;

function wheel(name: string, content: Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    assert.not((error as Error).message.includes('\n'));
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

/** `lrd setup` in a process. */
function lrd(args: readonly string[]): Promise<{ readonly code: number; readonly stdout: string }> {
  return new Promise((resolve) => {
    const program = [...FROM_SOURCE, 'models/cli/lrd.ts', 'setup', ...args];
    execFile(process.execPath, program, { cwd: root }, (error, stdout) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout }),
    );
  });
}

test('a wheel says its version, its CUDA and the packages that carry it', () => {
  assert.equal(parseMetadata(METADATA), {
    version: '2.21.0',
    cuda: '12.2',
    cudaPackages: ['nvidia-cublas-cu12<13.0,>=12.5.3.2', 'nvidia-cudnn-cu12==8.9.4.25'],
  });
  // 2.15's classifiers name the CUDA of the version before.
  for (const requirement of ['nvidia-cuda-runtime-cu12 (==12.5.82) ', 'nvidia-cuda-runtime-cu12<13.0,>=12.5.82']) {
    const metadata = METADATA.replace(
      'Requires-Dist: numpy',
      `Requires-Dist: ${requirement}; extra == "and-cuda"\nRequires-Dist: numpy`,
    );
    assert.is(parseMetadata(metadata).cuda, '12.5');
  }
  assert.is(parseMetadata('Version: 2.9\n\n').cuda, undefined);
});

test('of a wheel the libraries and the C headers are unpacked; a damaged or foreign one is refused in a line', async () => {
  const metadata = { 'tensorflow_cpu-2.21.0.dist-info/METADATA': METADATA };
  const whole = wheel('whole.whl', zipOf({ ...LIBRARIES, ...metadata }));
  assert.is((await describeWheel(whole)).version, '2.21.0');
  await unpackWheel(whole, join(folder, 'unpacked'));
  assert.is(readFileSync(join(folder, 'unpacked/tensorflow/libtensorflow_cc.so.2'), 'utf8'), 'cc');
  assert.ok(existsSync(join(folder, 'unpacked/tensorflow/include/tensorflow/c/c_api.h')));
  assert.not(existsSync(join(folder, 'unpacked/tensorflow/python')));
  const damaged = await failure(unpackWheel(wheel('damaged.whl', zipOf(LIBRARIES, true)), join(folder, 'damaged')));
  assert.match(damaged.message, /check sum of tensorflow\/libtensorflow_cc.so.2 does not hold/);
  const cut = await failure(describeWheel(wheel('cut.whl', zipOf(LIBRARIES).subarray(0, 100))));
  assert.match(cut.message, /cut.whl: the wheel cannot be read/);
  const foreign = await failure(describeWheel(wheel('foreign.whl', zipOf({ 'numpy-1.dist-info/METADATA': METADATA }))));
  assert.instance(foreign, UsageError);
  const { ['tensorflow/libtensorflow_framework.so.2']: _, ...part } = LIBRARIES;
  const lacking = await failure(unpackWheel(wheel('lacking.whl', zipOf(part)), join(folder, 'lacking')));
  assert.match(lacking.message, /has no libtensorflow_framework.so.2/);
});

test('too little room is found before anything is downloaded', () => {
  checkRoom('node', folder, 2e9);
  assert.throws(
    () => checkRoom('node', folder, 1e9),
    (error: Error) => error instanceof JobError && /must have 1.5 GB free, got 1.0 GB/.test(error.message),
  );
});

test('what is set up already is verified and kept; a folder of something else is left alone', async () => {
  const place = join(folder, 'present');
  mkdirSync(place);
  const native = nativeVersion();
  const manifest = { tensorflow: '2.20.0', tfjsNode: '4.22.0', native, wheel: 'w.whl', platform: thisPlatform() };
  writeFileSync(join(place, MANIFEST), JSON.stringify(manifest));
  writeFileSync(join(place, 'tfjs_binding.node'), '');
  const lines: string[] = [];
  const request = {
    lane: 'node',
    folder: place,
    verify: async () => 'fine',
    report: (l: string) => lines.push(l),
  } as const;
  assert.equal(await setUpTensorflow(request), manifest);
  assert.equal(lines, [`TensorFlow 2.20.0 is in ${place}: fine`]);
  // One that carries another fused step is built again, of the same TensorFlow: here as far as the wheel, which there is none of.
  writeFileSync(join(place, MANIFEST), JSON.stringify({ ...manifest, native: '0123456789ab' }));
  lines.length = 0;
  const again = await failure(setUpTensorflow({ ...request, wheel: join(folder, 'none.whl') }));
  assert.match(again.message, /--wheel must be a file|a C\+\+ compiler is needed/);
  const other = join(folder, 'other');
  mkdirSync(other);
  writeFileSync(join(other, 'mine.txt'), '');
  const refused = await failure(setUpTensorflow({ ...request, folder: other }));
  assert.match(refused.message, /--dir must be an empty folder, a new one or one of an earlier setup/);
  assert.equal(readdirSync(other), ['mine.txt']);
});

test('a run that fails leaves nothing but its downloads, and sweeps what a killed one left', async () => {
  const place = join(folder, 'failing');
  // No process has this number: Linux stops at 2^22.
  mkdirSync(`${place}.stage-99999999`);
  const request = { lane: 'node', folder: place, verify: async () => '', report: () => undefined } as const;
  const broken = wheel('empty.whl', zipOf({ 'tensorflow_cpu-2.21.0.dist-info/METADATA': METADATA }));
  const error = await failure(setUpTensorflow({ ...request, wheel: broken }));
  // Without a compiler the run ends earlier, with the same promise.
  assert.match(error.message, /has no libtensorflow_cc.so.2|a C\+\+ compiler is needed/);
  assert.equal(
    readdirSync(folder).filter((name) => name.startsWith('failing.stage') && error.message.includes('has no')),
    [],
  );
});

test('a wrong call says what is wrong with it', async () => {
  const messages: string[] = [];
  for (const args of [
    [],
    ['pytorch'],
    ['tensorflow', '2.21.0'],
    ['tensorflow', '--version', 'newest'],
    ['tensorflow', '--version', '2.21.0', '--wheel', 'x.whl'],
  ]) {
    const error = await failure(main(['setup', ...args]));
    assert.instance(error, UsageError);
    messages.push(error.message);
  }
  assert.match(messages[3] ?? '', /--version must be a version of TensorFlow such as 2.21.0, got "newest"/);
});

test('CXX may have words behind the name of the compiler', async () => {
  const before = process.env['CXX'];
  process.env['CXX'] = ` ${process.execPath}  --no-warnings `;
  try {
    assert.equal(await findCompiler(), [process.execPath, '--no-warnings']);
  } finally {
    if (before === undefined) delete process.env['CXX'];
    else process.env['CXX'] = before;
  }
});

test('a machine without a compiler, or without pip, is told what to install', async () => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const before = { ...process.env };
  Object.assign(process.env, { PATH: bin, CXX: '', LRD_PYTHON: '' });
  try {
    const noCompiler = await failure(main(['setup', 'tensorflow', '--dir', join(folder, 'nowhere')]));
    assert.instance(noCompiler, JobError);
    assert.match(noCompiler.message, /a C\+\+ compiler is needed .*apt-get install g\+\+/);
    // The system's own Python is asked by its path, and would go on.
    if (existsSync('/usr/bin/python3')) return;
    symlinkSync(process.execPath, join(bin, 'g++'));
    const noPip = await failure(main(['setup', 'tensorflow', '--dir', join(folder, 'nowhere')]));
    assert.match(noPip.message, /pip is needed/);
  } finally {
    for (const name of ['PATH', 'CXX', 'LRD_PYTHON']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
});

const missing =
  tensorflowMissing('node') ?? (existsSync(join(installationFolder('node'), MANIFEST)) ? undefined : 'set up by npm');
test.when(missing === undefined, missing ?? '')('what was set up trains a step, in a process of its own', async () => {
  const { code, stdout } = await lrd(['tensorflow', '--verify']);
  assert.is(code, 0);
  assert.match(stdout, /^TensorFlow \S+ trains on the (processor|GPU): loss \S+ to \S+\n$/);
});

test.run();
