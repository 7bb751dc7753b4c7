/**
 * Proves files above 2 GiB: a checkpoint of AMSGrad on a wide network is written, tested and gone on from; a network whose one tensor has more
 * than 2 GiB is trained, exported in both forms and begun from again. Needs 8 GB of memory, 10 GB of disk and about ten minutes.
 *
 *     npm run ts -- models/cli/scripts/large.ts [FOLDER]
 *
 * FOLDER (default: the system's for temporary files) is where the disk is. Exit code 1 when a command fails or its result is not what it must
 * be. `models/runs/pieces.test.ts` does the same on a system that moves 100 kB at a time.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FROM_SOURCE } from '../../../conformance/harness/fromSource.ts';
import { readRun } from '../../runs/runFolder.ts';
import { openArchive } from '../../storage/safetensors.ts';

const scratch = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'lrd-large-'));
const program = fileURLToPath(new URL('../lrd.ts', import.meta.url));
const GIGABYTE = 1e9;
const ABOVE = 2 ** 31;

/** Says on its fourth stream, at its end, what memory the process has had. */
const MEMORY =
  'data:text/javascript,import{writeSync}from"node:fs";process.on("exit",()=>writeSync(3,String(process.resourceUsage().maxRSS)))';

let failed = false;

function say(good: boolean, what: string): void {
  failed ||= !good;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${what}`);
}

/** Runs the command and says how it went. Returns its stdout. */
async function lrd(...args: readonly string[]): Promise<string> {
  const since = performance.now();
  const child = spawn(process.execPath, ['--import', MEMORY, ...FROM_SOURCE, program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const texts = ['', '', '', ''];
  for (const stream of [1, 2, 3]) {
    child.stdio[stream]?.on('data', (piece: Buffer) => (texts[stream] += piece.toString()));
  }
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const seconds = ((performance.now() - since) / 1000).toFixed(0);
  const memory = ((Number(texts[3]) * 1024) / GIGABYTE).toFixed(1);
  say(
    status === 0,
    `lrd ${args.join(' ').replaceAll(`${scratch}/`, '')}: exit code ${status}, ${seconds} s, ${memory} GB`,
  );
  if (status !== 0) console.log((texts[2] as string).trimEnd().replace(/^/gm, '       | '));
  return texts[1] as string;
}

/** Says how large a file is, or the files of a folder. */
function checkSize(path: string): void {
  const files = statSync(path).isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [path];
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  const of = files.length === 1 ? '' : ` in ${files.length} files`;
  say(bytes > ABOVE, `${path.slice(scratch.length + 1)}: ${(bytes / GIGABYTE).toFixed(2)} GB${of}`);
}

const lossOf = (stdout: string): string | undefined => /test loss +(\S+)/.exec(stdout)?.[1];
const at = (name: string): string => join(scratch, name);
const checkpoint = (run: string): string => join(at(run), 'checkpoint', 'latest.safetensors');
const train = (width: number, ...more: readonly string[]): readonly string[] =>
  `train fcnet --data digits --width ${width} --limit 2 --batch-size 2 --epochs 1 --seed 1`.split(' ').concat(more);

/** 140 million parameters, each with its value and three numbers of state: 2.24 GB. */
async function largeCheckpoint(): Promise<void> {
  await lrd(...train(11_800, '--optimizer', 'amsgrad', '--keep', '0.5', '--backend', 'wasm', '--out', at('amsgrad')));
  checkSize(checkpoint('amsgrad'));
  const tested = lossOf(await lrd('evaluate', at('amsgrad')));
  const noted = readRun(at('amsgrad')).metrics.at(-1)?.testLoss.toFixed(4);
  say(tested === noted, `its test loss is ${tested}, noted while it was trained: ${noted}`);
  await lrd('train', '--resume', at('amsgrad'), '--epochs', '2');
  say(readRun(at('amsgrad')).metrics.length === 2, 'it has gone on');
  rmSync(at('amsgrad'), { recursive: true });
}

/** 554 million parameters, nearly all in one tensor: 2.22 GB. */
async function largeTensor(): Promise<void> {
  const settings = ['--optimizer', 'sgdm', '--momentum', '0', '--backend', 'cpu'];
  await lrd(...train(23_500, ...settings, '--out', at('sgd')));
  checkSize(checkpoint('sgd'));
  await lrd('export', at('sgd'), '--to', 'tfjs', '--out', at('tfjs'));
  checkSize(at('tfjs'));
  compareShards();
  rmSync(at('tfjs'), { recursive: true });
  const file = at('sgd.safetensors');
  await lrd('export', at('sgd'), '--to', 'safetensors', '--out', file);
  checkSize(file);
  // A step too small to change anything.
  await lrd(...train(23_500, ...settings, '--lr', '1e-30', '--init', file, '--out', at('begun')));
  const [first, second] = [lossOf(await lrd('evaluate', at('sgd'))), lossOf(await lrd('evaluate', at('begun')))];
  say(
    first === second && first !== undefined,
    `begun from the export its test loss is ${second}, the trained one's ${first}`,
  );
}

/** Whether the files for browsers have the bytes of the checkpoint's large tensor, cut anew. */
function compareShards(): void {
  const archive = openArchive(checkpoint('sgd'));
  const { values } = archive.read('parameter/fc2/weight');
  archive.close();
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const start = Buffer.from(bytes.subarray(0, 64));
  let from = -1;
  let same = true;
  const names = readdirSync(at('tfjs')).filter((name) => name.endsWith('.bin'));
  const numbered = names
    .map((name) => [Number(/shard(\d+)of/.exec(name)?.[1]), name] as const)
    .sort(([a], [b]) => a - b);
  for (const [, name] of numbered) {
    let piece = readFileSync(join(at('tfjs'), name));
    if (from < 0) {
      const found = piece.indexOf(start);
      if (found < 0) continue;
      piece = piece.subarray(found);
      from = 0;
    }
    const part = bytes.subarray(from, from + piece.length);
    same &&= piece.subarray(0, part.length).equals(part);
    from += part.length;
  }
  say(same && from === bytes.length, `its files for browsers hold the large tensor to the bit (${from} bytes)`);
}

try {
  await largeCheckpoint();
  await largeTensor();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
