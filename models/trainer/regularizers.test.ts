import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { UsageError } from '../errors.ts';
import { parseRegularizers } from './regularizers.ts';

const test = suite('models/trainer/regularizers');

test("the papers' abbreviations stand for their settings, and a value changes them", () => {
  assert.equal(parseRegularizers(['DG', 'NG', 'GC', 'NL', 'SD']), {
    gradientKeepProbability: 0.5,
    noiseEta: 0.1,
    centralize: true,
    noisyLabels: 0.1,
    standardDropout: 0.9,
  });
  assert.equal(parseRegularizers(['nl:0.05', 'gradient-dropout:0.7', 'sparse-updates:0.3']), {
    noisyLabels: 0.05,
    gradientKeepProbability: 0.7,
    sparsity: 0.3,
    sparseReading: 'updates',
  });
  assert.equal(parseRegularizers(['SG', 'clip-norm:5', 'clip-value:1', 'trained-keep:1e-3']), {
    sparsity: 0,
    sparseReading: 'gradients',
    clipGlobalNorm: 5,
    clipValue: 1,
    trained: { rate: 1e-3 },
  });
  assert.equal(parseRegularizers([]), {});
});

test('a wrong regularizer is one line that names the value and the rule', () => {
  const wrong: readonly [string[], RegExp][] = [
    [['dropout'], /--regularizer must be one of gradient-dropout\[:KEEP\] \(DG\), .*clip-norm:LIMIT.*; got "dropout"/],
    [['DG:0'], /--regularizer gradient-dropout: KEEP must be in \[2\^-16, 1\], got "0"/],
    [['NG:-1'], /gradient-noise: ETA must be a number of at least 0, got "-1"/],
    [['NL:1.1'], /noisy-labels: RATE must be in \[0, 1\], got "1\.1"/],
    [['SD:'], /standard-dropout: RETAIN must be in \[2\^-16, 1\], got ""/],
    [['GC:1'], /gradient-centralization takes no value, got "GC:1"/],
    [['clip-norm'], /clip-norm: LIMIT must be a number above 0, got ""/],
    [['SG:0.5:3'], /SHARE .*, got "0\.5:3"/],
    [['DG', 'gradient-dropout:0.3'], /once for each name, got gradient-dropout twice/],
    [['SG:.1', 'sparse-updates:.1'], /one of sparse-gradients and sparse-updates, got both/],
  ];
  for (const [texts, pattern] of wrong) {
    let message = 'no error';
    try {
      parseRegularizers(texts);
    } catch (error) {
      assert.instance(error, UsageError);
      ({ message } = error as Error);
    }
    assert.match(message, pattern, texts.join());
    assert.not.match(message, /\n/);
  }
});

test.run();
