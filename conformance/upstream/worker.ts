/**
 * One process of tfjs-core's tests: reads its task, a JSON object, from the argument and writes the outcomes to the file it names.
 * `run.ts` starts it.
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs';
import { enableTraining } from 'learning-rate-dropout';
import { startBackend } from '../adapters/tfjs.ts';
import type { Bundle } from './bundle.ts';
import { TAG } from './bundle.ts';
import { substituteOptimizers } from './optimizers.ts';
import type { Outcome, Task } from './task.ts';

const require = createRequire(import.meta.url);

interface SpecResult {
  readonly fullName: string;
  readonly status: string;
  readonly failedExpectations: readonly { readonly message: string }[];
}

interface JasmineEnv {
  configure(settings: object): void;
  addReporter(reporter: { specDone(result: SpecResult): void; jasmineDone(): void }): void;
  execute(): void;
  describe(name: string, body: () => void): unknown;
}

interface Jasmine {
  core(jasmine: unknown): { getEnv(): JasmineEnv; DEFAULT_TIMEOUT_INTERVAL: number };
  interface(jasmine: unknown, env: JasmineEnv): Record<string, unknown>;
}

/** Makes the one backend outlive `tf.engine().reset()`, with which every suite begins and ends. */
function keep(name: string): void {
  const backend = tf.backend();
  const factory = tf.findBackendFactory(name);
  if (factory === null) throw new Error(`the ${name} backend has no factory`);
  backend.dispose = () => undefined;
  tf.engine().registryFactory[name] = { factory: () => backend, priority: 1 };
}

async function run(task: Task): Promise<void> {
  await startBackend(tf, task.backend === 'tensorflow' ? 'node' : task.backend);
  const jasmineRequire = require('jasmine-core/lib/jasmine-core/jasmine.js') as Jasmine;
  const jasmine = jasmineRequire.core(jasmineRequire);
  const env = jasmine.getEnv();
  Object.assign(globalThis, jasmineRequire.interface(jasmine, env));
  // No test of time: a machine may be busy.
  jasmine.DEFAULT_TIMEOUT_INTERVAL = 240_000;
  env.configure({ random: false });

  // The file's name comes before that of each of its outermost suites.
  let file = '';
  let depth = 0;
  const describe = env.describe.bind(env);
  (globalThis as Record<string, unknown>)['describe'] = (name: string, body: () => void): unknown =>
    describe(depth === 0 ? `${file}: ${name}` : name, () => {
      depth += 1;
      try {
        body();
      } finally {
        depth -= 1;
      }
    });
  (globalThis as Record<string, unknown>)[TAG] = (name: string): void => void (file = name);

  const bundle = require(task.bundle) as Bundle;
  // Node's own test environments ask for `dataSync`, which WebGPU has no way to give there.
  bundle.setTestEnvs([{ name: task.backend, backendName: task.backend, isDataSync: task.backend !== 'webgpu' }]);
  if (task.training) enableTraining();
  if (task.optimizers) substituteOptimizers(bundle);
  if (task.kept) keep(task.backend);
  bundle.describeAll();

  const outcomes: Outcome[] = [];
  const finished = new Promise<void>((resolve) => {
    env.addReporter({
      specDone: ({ fullName, status, failedExpectations }) => {
        if (status !== 'passed' && status !== 'failed') return;
        const name = fullName.replace(` ${task.backend} {}`, '');
        const message = failedExpectations.map((failed) => failed.message.split('\n')[0] as string).join('; ');
        outcomes.push({ name, passed: status === 'passed', message });
      },
      jasmineDone: resolve,
    });
  });
  env.execute();
  await finished;
  writeFileSync(task.report, JSON.stringify(outcomes));
}

await run(JSON.parse(process.argv[2] as string) as Task);
// tfjs leaves timers and threads of its suites behind.
process.exit(0);
