/** Training steps of FCNet on several processes, which MPI starts and which live as long as their group. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { AS_ROOT, launcherArguments, launchers, missing } from '../../conformance/harness/mpi.ts';
import type { Lane, LaneSource } from '../harness/measure.ts';
import { Unavailable } from '../harness/measure.ts';
import { layLink } from './link.ts';

/** Whole steps of a keep probability and a reduction. */
export interface ParallelRequest {
  /** `measure` times them; `same` looks whether all processes hold the same bits afterwards. */
  readonly what: 'measure' | 'same';
  readonly keep: number;
  /** `none`: the optimizer as it is with one process, which sends nothing. */
  readonly reduction: 'kept' | 'whole' | 'none';
  /** Whether all is done but the sending; a number travels in its place. */
  readonly mute: boolean;
  /** Whether the optimizer's step is taken alone, on gradients that are there. */
  readonly alone: boolean;
  readonly steps: number;
}

/** What process 0 says: of itself, of what was measured, of what went wrong. */
export interface ParallelAnswer {
  readonly description?: string;
  readonly parameters?: number;
  /** Milliseconds of all steps on the process that took longest. */
  readonly ms?: number;
  /** Milliseconds that a process had on a processor, the mean over them. */
  readonly processorMs?: number;
  /** Bytes that a process gave into the reductions of one step. */
  readonly bytes?: number;
  /** Steps after which all processes held the same bits. */
  readonly same?: number;
  readonly error?: string;
}

/** Where the processes run, and what they train. */
export interface ParallelPlace {
  readonly ranks: number;
  /** Bits a second of a link that lies between two processes; undefined: all on this machine. */
  readonly rate?: number;
  /** Units of FCNet's hidden layers. Default 1000: 1,796,010 parameters. */
  readonly width?: number;
}

/** Rows of the whole batch. */
const ROWS = 128;

/** This file's neighbour, in the sources and in what is built of them. */
const PROGRAM = ['./parallelRank.ts', './parallelRank.js']
  .map((name) => fileURLToPath(new URL(name, import.meta.url)))
  .find((path) => existsSync(path));

/** The processes of one place, while lanes need them. */
export class ParallelPeer {
  readonly place: ParallelPlace;
  #users = 0;
  #parameters = 0;
  #started:
    Promise<{ ask: (request: ParallelRequest) => Promise<ParallelAnswer>; close: () => Promise<void> }> | undefined;

  constructor(place: ParallelPlace) {
    this.place = place;
  }

  /** Of the network that they train. */
  get parameters(): number {
    return this.#parameters;
  }

  /** @throws Unavailable where they cannot be started, with what is missing */
  async open(): Promise<void> {
    this.#started ??= this.#start();
    await this.#started;
    this.#users += 1;
  }

  async ask(request: ParallelRequest): Promise<ParallelAnswer> {
    const { ask } = await (this.#started ??= this.#start());
    return ask(request);
  }

  async close(): Promise<void> {
    this.#users -= 1;
    const started = this.#started;
    if (this.#users > 0 || started === undefined) return;
    this.#started = undefined;
    await (await started).close();
  }

  async #start(): Promise<{ ask: (request: ParallelRequest) => Promise<ParallelAnswer>; close: () => Promise<void> }> {
    const { ranks, rate, width = 1000 } = this.place;
    if (PROGRAM === undefined) throw new Unavailable('the program of a process is no part of this bundle');
    const launcher = launchers().get('Open MPI');
    if (launcher === undefined) throw new Unavailable(missing('Open MPI'));
    const link = rate === undefined ? undefined : layLink(rate);
    const start = link?.launch(launcher) ?? [launcher, ...launcherArguments('Open MPI', ranks)];
    const [command, ...args] = [...start, process.execPath, ...process.execArgv, PROGRAM, String(width), String(ROWS)];
    const child: ChildProcess = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      // Between two turns a process waits for the other lanes.
      env: { ...process.env, ...(process.getuid?.() === 0 ? AS_ROOT : {}), LRD_MPI_PATIENCE: '86400' },
    });
    let complaint = '';
    child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    const next = async (): Promise<ParallelAnswer> => {
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true)
          throw new Unavailable(`the processes have ended: ${complaint.trim().split('\n').at(-1) ?? ''}`);
        // Libraries say things on stdout, too.
        if (!value.startsWith('{')) continue;
        const answer = JSON.parse(value) as ParallelAnswer;
        if (answer.error !== undefined) throw new Unavailable(answer.error);
        return answer;
      }
    };
    const close = async (): Promise<void> => {
      child.stdin?.end();
      await ended;
      link?.remove();
    };
    try {
      this.#parameters = (await next()).parameters ?? 0;
    } catch (error) {
      await close();
      throw error;
    }
    return {
      ask: (request) => {
        child.stdin?.write(`${JSON.stringify(request)}\n`);
        return next();
      },
      close,
    };
  }
}

/** How a lane's steps are taken. */
export interface ParallelLane extends Pick<ParallelRequest, 'keep' | 'reduction' | 'mute' | 'alone'> {
  readonly name: string;
}

/** Steps at a place, by the wall's clock or by processor time; `bytes` takes what a process sent at a step. */
export function parallelLane(
  peer: ParallelPeer,
  { name, ...way }: ParallelLane,
  clock: 'wall' | 'processor',
  bytes: Map<string, number>,
): LaneSource {
  const steps = way.alone ? 20 : 2;
  return {
    name,
    open: async (): Promise<Lane> => {
      await peer.open();
      return {
        name,
        steps,
        sample: async () => {
          const answer = await peer.ask({ what: 'measure', steps, ...way });
          bytes.set(name, answer.bytes as number);
          return clock === 'wall' ? answer.ms : answer.processorMs;
        },
        close: () => peer.close(),
      };
    },
  };
}
