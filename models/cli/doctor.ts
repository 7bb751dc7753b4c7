import * as tf from '@tensorflow/tfjs';
import { useBackend } from '../backend.ts';
import { describeEnvironment } from '../environment.ts';
import { parse } from './options.ts';

interface Finding {
  readonly backend: string;
  readonly runs: boolean;
  readonly detail: string;
}

async function probe(name: 'wasm' | 'cpu'): Promise<Finding> {
  try {
    await useBackend(name);
    const start = performance.now();
    const product = tf.tidy(() => tf.matMul(tf.ones([512, 512]), tf.ones([512, 512])));
    const [value] = await product.data();
    product.dispose();
    const ok = value === 512;
    const ms = (performance.now() - start).toFixed(0);
    return { backend: name, runs: ok, detail: ok ? `512 x 512 product in ${ms} ms` : `wrong product: ${value}` };
  } catch (error) {
    return { backend: name, runs: false, detail: (error as Error).message };
  }
}

/** `lrd doctor [--json]`: what runs here, which versions, and what `--backend auto` takes. */
export async function doctorCommand(args: readonly string[]): Promise<void> {
  const options = parse(args, { json: { type: 'boolean' } });
  const backends = [await probe('cpu'), await probe('wasm')];
  const auto = await useBackend('auto');
  const environment = describeEnvironment(auto);
  if (options.flag('json')) {
    console.log(JSON.stringify({ environment, backends, auto }, null, 2));
    return;
  }
  for (const [name, value] of Object.entries(environment)) console.log(`${name.padEnd(12)} ${String(value)}`);
  for (const { backend, runs, detail } of backends)
    console.log(`${backend.padEnd(12)} ${runs ? 'runs' : 'missing'}: ${detail}`);
  console.log(`${'auto'.padEnd(12)} takes ${auto}`);
}
