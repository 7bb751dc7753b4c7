import * as tf from '@tensorflow/tfjs';
import { drawWords, uniform } from 'learning-rate-dropout/stream';
import type { Net } from '../../nets/net.ts';
import type { TextSample } from './textSample.ts';
import { windowsAt } from './windows.ts';

export interface SampleOptions {
  readonly net: Net;
  readonly context: number;
  /** The prompts are taken from it. */
  readonly text: Uint8Array;
  /** Of what is drawn. */
  readonly seed: bigint;
  /** How many. Default 2. */
  readonly count?: number;
  /** Bytes of each. Default 160. */
  readonly length?: number;
  /** What logits are divided by. Default .8. */
  readonly temperature?: number;
}

/** The byte that a number in (0, 1) draws by logits over a temperature. */
export function drawByte(logits: Float32Array, temperature: number, at: number): number {
  const largest = logits.reduce((most, value) => Math.max(most, value), -Infinity);
  const weights = Array.from(logits, (value) => Math.exp((value - largest) / temperature));
  let rest = at * weights.reduce((sum, weight) => sum + weight, 0);
  const found = weights.findIndex((weight) => (rest -= weight) < 0);
  return found < 0 ? weights.length - 1 : found;
}

/** Bytes as text; what is no UTF-8 as replacement characters. */
const toText = (bytes: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(bytes));

/** What a network writes behind windows of a text, byte by byte; a function of its parameters and the seed. */
export async function sampleText(options: SampleOptions): Promise<readonly TextSample[]> {
  const { net, context, text, seed, count = 2, length = 160, temperature = 0.8 } = options;
  const room = text.length - context - 1;
  const starts = Array.from({ length: count }, (_, k) => Math.floor((k * room) / count));
  const prompts = starts.map((start) => [...windowsAt(text, context, [start]).inputs]);
  const written = prompts.map((): number[] => []);
  const words = drawWords({ seed, stream: 'augmentation', step: 0 }, 0, count * length);
  for (let place = 0; place < length; place++) {
    const seen = prompts.flatMap((prompt, k) => [...prompt, ...(written[k] as number[])].slice(-context));
    const logits = tf.tidy(() => {
      const all = net.forward(tf.tensor2d(seen, [count, context], 'int32'), { training: false, step: 0 });
      const rows = tf.reshape(all, [count, context, -1]);
      return tf.slice(rows, [0, context - 1, 0], [count, 1, -1]);
    });
    const values = await logits.data<'float32'>();
    logits.dispose();
    const bytes = values.length / count;
    written.forEach((own, k) => {
      const at = uniform(words[k * length + place] as number);
      own.push(drawByte(values.slice(k * bytes, (k + 1) * bytes), temperature, at));
    });
  }
  return prompts.map((prompt, k) => ({ prompt: toText(prompt), text: toText(written[k] as number[]) }));
}
