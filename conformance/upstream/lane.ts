/** tfjs-core's tests on one backend, in a process of their own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FROM_SOURCE } from '../harness/fromSource.ts';
import { bundleTests, testFiles } from './bundle.ts';
import type { Outcome, Task } from './task.ts';

export const BACKENDS = ['cpu', 'wasm', 'webgpu', 'tensorflow'] as const;

/** On a software adapter all of it would take too long: what networks train with. */
const WEBGPU_FILES =
  /^ops\/(conv|depthwise_conv|fused|mat_mul|batchnorm|local_resp|avg_pool|max_pool|pool|gather)|^gradients|^optimizers/;

/** Files that make, step and free optimizers. */
const OPTIMIZER_FILES = /^optimizers\/(sgd|momentum|rmsprop|adam)_optimizer_test$/;

export interface LaneOptions extends Omit<Task, 'bundle' | 'report'> {
  /** Test files to run, by their path without ending; all that suit the backend where left out. */
  readonly files?: RegExp;
}

export interface LaneResult {
  readonly outcomes: readonly Outcome[];
  readonly seconds: number;
}

/** Runs the lane. Throws when the process dies. */
export async function runLane({ files, ...settings }: LaneOptions): Promise<LaneResult> {
  const folder = mkdtempSync(join(tmpdir(), 'lrd-upstream-'));
  try {
    const suits = (file: string): boolean =>
      (settings.backend !== 'webgpu' || WEBGPU_FILES.test(file)) &&
      (!settings.optimizers || OPTIMIZER_FILES.test(file)) &&
      (files?.test(file) ?? true);
    const chosen = testFiles().filter(suits);
    if (chosen.length === 0)
      throw new Error(`no test file of tfjs-core that runs on ${settings.backend} matches ${files?.source ?? '.'}`);
    const task: Task = { ...settings, bundle: join(folder, 'tests.cjs'), report: join(folder, 'outcomes.json') };
    await bundleTests(chosen, task.bundle);
    const start = performance.now();
    const said = await new Promise<string>((resolve, reject) => {
      const worker = fileURLToPath(new URL('worker.ts', import.meta.url));
      const child = spawn(process.execPath, [...FROM_SOURCE, worker, JSON.stringify(task)], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4000)));
      child.on('error', reject);
      child.on('close', (code) => {
        if (code === 0) resolve(stderr);
        else reject(new Error(`the tests on ${task.backend} ended with exit code ${code}:\n${stderr}`));
      });
    });
    void said;
    const outcomes = JSON.parse(readFileSync(task.report, 'utf8')) as Outcome[];
    return { outcomes, seconds: (performance.now() - start) / 1000 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
