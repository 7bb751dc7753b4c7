import * as assert from 'uvu/assert';
import { tensorflowMissing } from 'learning-rate-dropout/tensorflow';
import { suite } from '../harness/suite.ts';
import { reportToText, runConformance } from '../index.ts';

const test = suite('conformance/adapters/tfjs-node');
const seed = Number(process.env['LRD_SEED'] ?? 2);
const missing = tensorflowMissing('node');

test.when(missing === undefined, missing ?? '')(
  '[LRD-PROTO-001] tfjs on TensorFlow passes everything that it can be judged on',
  async () => {
    const report = await runConformance({ adapters: ['tfjs-node'], seed });
    assert.ok(report.passed, reportToText(report));
  },
  { timeout: 600 },
);

test.run();
