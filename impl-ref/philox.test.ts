import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { PHILOX_VECTORS } from '../spec/stream.ts';
import { philox4x32 } from './philox.ts';

const test = suite('impl-ref/philox');

for (const [index, { counter, key, words }] of PHILOX_VECTORS.entries()) {
  test(`[LRD-STREAM-001] Philox4x32-10 gives Random123's known answer ${index}`, () => {
    assert.equal(philox4x32(counter, key), words);
  });
}

test.run();
