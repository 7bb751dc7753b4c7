/**
 * A system that moves no more than 100 kB at a time, so that files of megabytes stand for such of gigabytes: whatever reads or writes one does
 * it in pieces. `models/cli/scripts/large.ts` does the same with files above 2 GiB.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { fstatSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import type * as FileSystem from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { outputOf } from '../cli/testing/outputOf.ts';
import { withPieces } from '../storage/pieces.ts';
import { readArchive } from '../storage/safetensors.ts';
import { latest, outcome } from './testing/command.ts';

const test = suite('models/runs/pieces');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-pieces-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const MOST = 100_000;
const fs = createRequire(import.meta.url)('node:fs') as {
  -readonly [K in 'openSync' | 'readSync' | 'writeSync' | 'readFileSync' | 'writeFileSync']: (typeof FileSystem)[K];
};

/** Does something while the system refuses to move more than `MOST` bytes of a file below `scratch` in one call. Returns how many calls it had. */
async function onSmallSystem(work: () => Promise<unknown>): Promise<number> {
  const { openSync, readSync, writeSync, readFileSync: readWhole, writeFileSync: writeWhole } = fs;
  const own = { openSync, readSync, writeSync, readFileSync: readWhole, writeFileSync: writeWhole };
  const ours = new Set<number>();
  let calls = 0;
  const count = (bytes: number): void => {
    calls += 1;
    if (bytes <= MOST) return;
    throw Object.assign(new RangeError(`File size (${bytes}) is greater than ${MOST}`), { code: 'ERR_FS_FILE_TOO_LARGE' });
  };
  const isOurs = (path: unknown): boolean =>
    typeof path === 'number' ? ours.has(path) : String(path).startsWith(scratch);
  /** Bytes that are asked for: `(file, buffer, offset, length)`. */
  const asked = ([buffer, offset, length]: readonly unknown[]): number =>
    typeof length === 'number' ? length : (buffer as Uint8Array).byteLength - (typeof offset === 'number' ? offset : 0);
  const replaced = {
    openSync: (...given: Parameters<typeof own.openSync>) => {
      const file = own.openSync(...given);
      if (isOurs(given[0])) ours.add(file);
      else ours.delete(file);
      return file;
    },
    readSync: (file: number, ...rest: unknown[]) => {
      if (ours.has(file)) count(asked(rest));
      return (own.readSync as (...given: unknown[]) => number)(file, ...rest);
    },
    writeSync: (file: number, ...rest: unknown[]) => {
      if (ours.has(file)) count(asked(rest));
      return (own.writeSync as (...given: unknown[]) => number)(file, ...rest);
    },
    readFileSync: (path: string | number, ...rest: unknown[]) => {
      if (isOurs(path)) count((typeof path === 'number' ? fstatSync(path) : statSync(path)).size);
      return (own.readFileSync as (...given: unknown[]) => unknown)(path, ...rest);
    },
    writeFileSync: (path: string, data: string | Uint8Array, ...rest: unknown[]) => {
      if (isOurs(path)) count(data.length);
      (own.writeFileSync as (...given: unknown[]) => void)(path, data, ...rest);
    },
  };
  Object.assign(fs, replaced);
  syncBuiltinESMExports();
  try {
    await withPieces(MOST, work);
  } finally {
    Object.assign(fs, own);
    syncBuiltinESMExports();
  }
  return calls;
}

const at = (name: string): string => join(scratch, name);
/** Of 1.3 million parameters: 5 MB, and 16 MB with the optimizer's state. */
const settings =
  'train fcnet --data digits --width 1100 --optimizer adam --keep 0.5 --limit 64 --batch-size 32 --seed 3 --backend wasm'.split(
    ' ',
  );
const WEIGHTS = 4 * (64 * 1100 + 1100 + 1100 * 1100 + 1100 + 1100 * 10 + 10);

test('such a system refuses a file that is read or written at once', async () => {
  await outputOf([...settings, '--epochs', '2', '--out', at('left-alone')]);
  const readAtOnce = async (): Promise<unknown> => readFileSync(latest(at('left-alone')));
  let code: unknown;
  await onSmallSystem(readAtOnce).catch((error: NodeJS.ErrnoException) => ({ code } = error));
  assert.is(code, 'ERR_FS_FILE_TOO_LARGE');
});

test('a run is trained, goes on and is tested, with the same bits', async () => {
  const run = at('run');
  const calls = await onSmallSystem(async () => {
    await outputOf([...settings, '--epochs', '1', '--out', run]);
    await outputOf(['train', '--resume', run, '--epochs', '2']);
    const said = await outputOf(['evaluate', run]);
    assert.match(said, /after 2 epochs, on 64 test images/);
  });
  // Written twice; read twice for the checksum, once for all values and once for the network's.
  assert.ok(calls > 5 * Math.floor(statSync(latest(run)).size / MOST), `${calls} calls`);
  const [there, here] = [outcome(run), outcome(at('left-alone'))];
  assert.equal(there.metrics, here.metrics);
  // But for the optimizer's record, which has the names that variables have in this process.
  const compared = here.tensors.filter(([name, bits], k) => {
    assert.is(there.tensors[k]?.[0], name);
    return there.tensors[k]?.[1] === bits;
  });
  assert.ok(compared.length >= here.tensors.length - 1, `${compared.length} of ${here.tensors.length} have the same bits`);
});

test('an export for PyTorch comes back by --init to the bit', async () => {
  const [first, second] = [at('first.safetensors'), at('second.safetensors')];
  await onSmallSystem(async () => {
    await outputOf(['export', at('left-alone'), '--to', 'safetensors', '--out', first]);
    // A step that is too small to change anything.
    await outputOf([...settings, '--epochs', '1', '--lr', '1e-30', '--init', first, '--out', at('begun')]);
    await outputOf(['export', at('begun'), '--out', second]);
  });
  assert.ok(statSync(first).size > WEIGHTS);
  assert.ok(readFileSync(first).equals(readFileSync(second)));
});

test('an export for browsers is cut into files of 4 MiB, tensors across their ends', async () => {
  const out = at('tfjs');
  await onSmallSystem(() => outputOf(['export', at('left-alone'), '--to', 'tfjs', '--out', out]));
  const { weightsManifest } = JSON.parse(readFileSync(join(out, 'model.json'), 'utf8')) as tf.io.ModelJSON;
  const [{ paths, weights } = { paths: [], weights: [] }] = weightsManifest;
  assert.equal(paths, ['group1-shard1of2.bin', 'group1-shard2of2.bin']);
  assert.equal(readdirSync(out).sort(), [...paths, 'model.json']);
  const bytes = Buffer.concat(paths.map((path) => readFileSync(join(out, path))));
  assert.is(statSync(join(out, 'group1-shard1of2.bin')).size, 4 * 2 ** 20);
  let from = 0;
  const found = weights.map(({ shape }) => {
    const size = 4 * shape.reduce((product, extent) => product * extent, 1);
    from += size;
    return bytes.subarray(from - size, from);
  });
  assert.is(from, bytes.length);
  const { tensors } = readArchive(latest(at('left-alone')));
  for (const layer of ['fc1', 'fc2', 'fc3']) {
    const { buffer } = (tensors.get(`parameter/${layer}/weight`) as { values: Float32Array<ArrayBuffer> }).values;
    // A product may want another shape of it; the values are in the same order.
    const own = found.find(({ length }) => length === buffer.byteLength);
    assert.ok(own?.equals(new Uint8Array(buffer)), layer);
  }
});

test.run();
