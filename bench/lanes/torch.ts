/** PyTorch in a process of its own, which lives as long as the benchmark: its steps take turns with those here. */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Lane, LaneSource } from '../harness/measure.ts';
import { Unavailable } from '../harness/measure.ts';
import type { StepSettings } from './engines.ts';
import { threads } from './threads.ts';
import { SILENT_STEPS, bytesMoved, silentName } from './workload.ts';

const HINT =
  'PyTorch is missing: python3 -m venv torch && torch/bin/pip install torch, then name torch/bin/python3 in LRD_PYTHON';

/** PyTorch as it answered. */
interface Peer {
  readonly description: Readonly<Record<string, unknown>>;
  ask(request: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
  close(): void;
}

const PROGRAM = fileURLToPath(new URL('../peers/torch_peer.py', import.meta.url));

/** What numpy-like sorting of versions takes: 2.15.0 is above 2.9.1. */
const byVersion = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });

/** The interpreter that is named, else the one with the newest PyTorch of those that a shell or Debian calls python3. */
async function interpreter(): Promise<string> {
  const named = process.env['LRD_PYTHON'];
  if (named !== undefined) return named;
  const found = await Promise.all(
    ['python3', '/usr/bin/python3'].map(async (python) => {
      const version = await promisify(execFile)(python, ['-c', 'import torch; print(torch.__version__)']).then(
        ({ stdout }) => stdout.trim(),
        () => '',
      );
      return { python, version };
    }),
  );
  found.sort((a, b) => byVersion(b.version, a.version));
  return (found[0] as (typeof found)[number]).python;
}

/** GFLOP/s a thread below which a build of PyTorch has no BLAS worth the name: Debian's reference BLAS has 1 to 2, any other 20 and more. */
const CRIPPLED = 8;

async function start(): Promise<Peer> {
  const count = String(threads());
  // `torch.set_num_threads` does not reach the products of the backward pass, which run on a thread of autograd's own.
  const env = { ...process.env, OMP_NUM_THREADS: count, OPENBLAS_NUM_THREADS: count, MKL_NUM_THREADS: count };
  const child: ChildProcess = spawn(await interpreter(), ['-B', PROGRAM, count], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env,
  });
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(new Unavailable(`${HINT} (${error.message})`)));
    child.once('exit', () => {
      const last = complaint.trimEnd().split('\n').at(-1) ?? '';
      reject(/No module named/.test(last) ? new Unavailable(`${HINT} (${last})`) : new Error(`PyTorch ended: ${last}`));
    });
  });
  // Whoever asks next hears of it.
  failed.catch(() => undefined);
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const next = async (): Promise<Readonly<Record<string, unknown>>> => {
    const result = await Promise.race([lines.next(), failed]);
    if (result.done === true) return failed;
    return JSON.parse(result.value) as Record<string, unknown>;
  };
  const description = await next();
  const speed = description['gflops'] as number;
  if (speed < CRIPPLED) {
    child.stdin?.end();
    throw new Unavailable(
      `PyTorch ${String(description['torch'])} multiplies matrices at ${speed.toFixed(1)} GFLOP/s of a thread's time, as with a reference BLAS, and is no peer: ` +
        'apt-get install libopenblas0-pthread, or name another interpreter in LRD_PYTHON',
    );
  }
  return {
    description,
    ask: async (request) => {
      child.stdin?.write(`${JSON.stringify(request)}\n`);
      const reply = await next();
      if (reply['error'] !== undefined) throw new Error(`PyTorch: ${JSON.stringify(reply['error'])}`);
      return reply;
    },
    close: () => void child.stdin?.end(),
  };
}

let started: Promise<Peer> | undefined;

/** What PyTorch works on: one thread of the processor, or an NVIDIA GPU. */
export type TorchDevice = 'cpu' | 'cuda';

/** PyTorch on a device, for names of lanes. */
export const torchName = (device: TorchDevice): string => (device === 'cpu' ? 'PyTorch' : 'PyTorch on CUDA');

/** The one PyTorch process. Throws `Unavailable`, with what to install, where there is none, or no such device. */
export async function torchPeer(device: TorchDevice = 'cpu'): Promise<Peer> {
  const peer = await (started ??= start());
  if (device === 'cuda' && peer.description['cuda'] === null) throw new Unavailable('PyTorch has no CUDA device here');
  return peer;
}

/** Ends the process if it was started. */
export async function closeTorch(): Promise<void> {
  const pending = started;
  started = undefined;
  try {
    (await pending)?.close();
  } catch {
    // It never ran.
  }
}

/** What runs as the peer, for the environment of a result; undefined where it was not asked for or is missing. */
export async function describeTorch(): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    return (await started)?.description;
  } catch {
    return undefined;
  }
}

/** A sample that is timed over there: by the wall's clock, and by the processor's. */
export function torchSample(
  ask: () => Promise<Readonly<Record<string, unknown>>>,
): Pick<Lane, 'sample' | 'processorMs'> {
  let processor = 0;
  return {
    sample: async () => {
      const reply = await ask();
      processor = reply['processor'] as number;
      return reply['ms'] as number;
    },
    processorMs: () => processor,
  };
}

let opened = 0;

/** Steps of a sample on a GPU: the wait for it is shared, as on WebGPU. */
const CUDA_STEPS = 50;

/**
 * PyTorch's optimizer: as it is at p = 1, with a `torch.bernoulli` mask below; `fused` is its fastest form on a GPU, one kernel for a list of
 * tensors.
 */
export function torchLane(
  { rule, workload, keepProbability }: StepSettings,
  device: TorchDevice = 'cpu',
  fused = false,
): LaneSource {
  const plain = `${rule}, no LRD${fused ? ', fused' : ''}`;
  const kind = keepProbability === 1 ? plain : `LRD-${rule}, torch.bernoulli`;
  const name = `${torchName(device)}: ${kind}${silentName(workload)}`;
  const steps = device === 'cpu' ? 1 : CUDA_STEPS;
  return {
    name,
    open: async () => {
      const peer = await torchPeer(device);
      const id = String(opened++);
      const silent = workload.silent === true ? SILENT_STEPS : 0;
      await peer.ask({ op: 'open', id, rule, keep: keepProbability, shapes: workload.shapes, device, fused, silent });
      return {
        name,
        steps,
        ...torchSample(() => peer.ask({ op: 'step', id, steps })),
        bytesMoved: bytesMoved(rule, workload.elements),
        // Small blocks come from what malloc kept: the resident size says nothing of them.
        ...(device === 'cpu' && workload.elements < 1e6
          ? {}
          : { extraBytes: async () => (await peer.ask({ op: 'extra', id }))['bytes'] as number }),
        close: async () => void (await peer.ask({ op: 'close', id })),
      };
    },
  };
}
