import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Type } from '@sinclair/typebox';
import { JobError } from '../../errors.ts';
import { takeClaim } from '../../runs/claim.ts';
import { makeFolders, writeWhole } from '../../storage/files.ts';
import { form, readAs } from '../../storage/form.ts';
import type { Read } from '../../storage/form.ts';

const JOB = Type.Object({
  id: Type.String({ pattern: '^\\d+$' }),
  /** When, by the clock of the machine that submitted it. */
  at: Type.String(),
  /** The cells of each task by the array's index, by their labels: what a number means is not asked again. */
  tasks: Type.Record(Type.String({ pattern: '^\\d+$' }), Type.Array(Type.String())),
});

const JOBS = form(
  'the jobs of lrd experiment, version 1',
  Type.Object({ version: Type.Literal(1), jobs: Type.Array(JOB) }),
);

/** An array job that was submitted. */
export type SubmittedJob = Read<typeof JOB>;

/** The files of a plan's submissions: below the output folder, in `slurm/`. */
export class SlurmFolder {
  readonly root: string;
  readonly #plan: string;

  /** `plan` is the plan's name, `planName`. */
  constructor(out: string, plan: string) {
    this.root = join(out, 'slurm');
    this.#plan = plan;
  }

  /** The script, the user's to edit. */
  get script(): string {
    return join(this.root, `${this.#plan}.sh`);
  }

  /** The script as it was last written, by which an edit is noticed. */
  get written(): string {
    return join(this.root, `.${this.#plan}.sh`);
  }

  get logs(): string {
    return join(this.root, 'logs');
  }

  /** Notes of tasks that failed, by job and index. */
  get exits(): string {
    return join(this.root, 'exits');
  }

  get #jobs(): string {
    return join(this.root, `${this.#plan}.jobs.json`);
  }

  /** The jobs so far, oldest first. Throws a `JobError` for a file that is broken. */
  jobs(): readonly SubmittedJob[] {
    return existsSync(this.#jobs) ? readAs(this.#jobs, JOBS).jobs : [];
  }

  /** Replaces the record by the jobs given. */
  record(jobs: readonly SubmittedJob[]): void {
    writeWhole(this.#jobs, `${JSON.stringify({ version: 1, jobs })}\n`);
  }

  /** Runs `job` while no other process submits here. Throws a `JobError` where one does. */
  async exclusively<T>(job: () => T | Promise<T>): Promise<T> {
    makeFolders(this.root);
    const claim = takeClaim(this.root, { name: 'lock', lapseSeconds: 60, kept: false });
    if (claim === undefined)
      throw new JobError(`${this.root}: another process submits there; wait until it has done so`);
    try {
      return await job();
    } finally {
      await claim.release();
    }
  }

  /** What a task left that ended before it could say why: its exit code, host and last line. Undefined where it left nothing. */
  exitNote(job: string, index: number): string | undefined {
    let text: string;
    try {
      text = readFileSync(join(this.exits, `${job}_${index}`), 'utf8');
    } catch {
      return undefined;
    }
    const [code = '?', host = '?', , ...rest] = text.split('\n');
    const line = rest.join(' ').trim();
    return `exit code ${code} on ${host}${line === '' ? '' : `: ${line}`}`;
  }
}
