/** Judges in a worker, so that the page stays responsive. */
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { BUILT_IN_BROWSER, UnavailableAdapterError, openBuiltIn } from '../../adapters/builtIn.ts';
import { judgeAdapters } from '../../judgeAdapters.ts';
import { reportToHtml } from '../../report/html.ts';
import type { ConformanceReport } from '../../report/report.ts';
import { reportToJson } from '../../report/report.ts';
import { reportToText } from '../../report/terminal.ts';
import type { RunRequest, WorkerMessage } from './messages.ts';

const send = (message: WorkerMessage): void => globalThis.postMessage(message);

/** Adapters that do not come up are part of the answer: each chosen one is tried first. */
async function run({ adapters, only, seed, planted, wasmUrl }: RunRequest): Promise<ConformanceReport> {
  // One binary travels with the page; tfjs wants a place for all three.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  setWasmPaths({
    'tfjs-backend-wasm.wasm': wasmUrl,
    'tfjs-backend-wasm-simd.wasm': wasmUrl,
    'tfjs-backend-wasm-threaded-simd.wasm': wasmUrl,
  });
  const open = (name: string): ReturnType<typeof openBuiltIn> => openBuiltIn(name, BUILT_IN_BROWSER);
  const unavailable: { adapter: string; reason: string }[] = [];
  const present: string[] = [];
  for (const adapter of adapters) {
    try {
      await (await open(adapter)).close();
      present.push(adapter);
    } catch (error) {
      if (!(error instanceof UnavailableAdapterError)) throw error;
      unavailable.push({ adapter, reason: error.message });
    }
  }
  const report = await judgeAdapters(
    { names: BUILT_IN_BROWSER, open },
    {
      adapters: present,
      planted,
      seed,
      ...(only === undefined ? {} : { only }),
      progress: ({ adapter, done, total }) => send({ kind: 'progress', adapter, done, total }),
    },
  );
  return { ...report, unavailable };
}

globalThis.addEventListener('message', ({ data }: MessageEvent<RunRequest>) => {
  run(data).then(
    (report) =>
      send({
        kind: 'finished',
        passed: report.passed,
        text: reportToText(report),
        json: reportToJson(report),
        html: reportToHtml(report),
      }),
    (error: unknown) => send({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
  );
});
