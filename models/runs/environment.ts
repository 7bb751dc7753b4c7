import * as tf from '@tensorflow/tfjs';
import { decoderVersions } from '../data/decode.ts';
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';

/** What a result depends on beside the program: written to `environment.json` and into benchmark results. */
export function describeEnvironment(backend: string): Record<string, unknown> {
  const processors = cpus();
  return {
    date: new Date().toISOString(),
    node: process.version,
    tfjs: tf.version_core,
    ...decoderVersions(),
    backend,
    platform: `${platform()} ${release()} ${arch()}`,
    processor: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    load: loadavg()[0],
  };
}
