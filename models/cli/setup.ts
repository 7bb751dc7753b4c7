import { resolve } from 'node:path';
import { installationFolder } from 'learning-rate-dropout/tensorflow';
import type { TensorflowLane } from 'learning-rate-dropout/tensorflow';
import { JobError, UsageError } from '../errors.ts';
import { checkInput } from '../storage/inputs.ts';
import { complaint, runProgram } from '../setup/programs.ts';
import { setUpTensorflow } from '../setup/tensorflow.ts';
import type { SETUP_TENSORFLOW } from './table/others.ts';
import type { Call } from './table/row.ts';

/** `--verify` in a process of its own, on the TensorFlow of `folder`. */
export async function verifyApart(folder: string, lane: TensorflowLane): Promise<string> {
  const program = [process.execPath, ...process.execArgv, process.argv[1] as string];
  const gpu = lane === 'node-gpu' ? ['--gpu'] : [];
  const finished = await runProgram([...program, 'setup', 'tensorflow', '--verify', '--dir', folder, ...gpu], {
    seconds: 300,
  });
  if (finished.code !== 0) throw new JobError(`TensorFlow in ${folder} does not train: ${complaint(finished)}`);
  return finished.stdout.trim();
}

async function verifyHere(folder: string, lane: TensorflowLane): Promise<void> {
  const { verifyTensorflow } = await import('../setup/verify.ts');
  process.env['LRD_TENSORFLOW'] = folder;
  const { version, gpu, lossBefore, lossAfter } = await verifyTensorflow(lane);
  const place = gpu ? 'GPU' : 'processor';
  console.log(`TensorFlow ${version} trains on the ${place}: loss ${lossBefore.toFixed(4)} to ${lossAfter.toFixed(4)}`);
}

/** `lrd setup tensorflow`: what `--backend node` and `node-gpu` run on, built from TensorFlow's own Python wheel. */
export async function setupCommand({ options }: Call<typeof SETUP_TENSORFLOW>): Promise<void> {
  const lane: TensorflowLane = options.gpu ? 'node-gpu' : 'node';
  const { version, wheel, dir } = options;
  if (version !== undefined && wheel !== undefined) throw new UsageError('--version and --wheel exclude each other');
  if (wheel !== undefined) checkInput(resolve(wheel), 'file', `--wheel ${wheel}`);
  const folder = dir === undefined ? installationFolder(lane) : resolve(dir);
  if (options.verify) {
    await verifyHere(folder, lane);
    return;
  }
  await setUpTensorflow({
    lane,
    folder,
    ...(version === undefined ? {} : { version }),
    ...(wheel === undefined ? {} : { wheel: resolve(wheel) }),
    verify: (place) => verifyApart(place, lane),
    report: (line) => process.stderr.write(`${line}\n`),
  });
  if (dir !== undefined) console.log(`LRD_TENSORFLOW=${folder} makes --backend ${lane} use it`);
}
