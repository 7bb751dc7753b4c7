import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { fcNet } from './fcnet.ts';
import { freezeHalf, halfOfTensors } from './freeze.ts';
import { countParameters } from './net.ts';
import { smallResNet } from './resnet.ts';

const test = suite('models/nets/freeze');

test('half of the scalar parameters stand still, whole tensors at a time', () => {
  assert.equal(halfOfTensors([8, 1, 4, 3]), [false, true, true, true]);
  assert.equal(halfOfTensors([5, 5]), [false, true]);
  assert.equal(halfOfTensors([]), []);
  const net = smallResNet('resnet14', { n: 2, classes: 10, seed: 1n });
  const half = freezeHalf(net);
  assert.is(half.parameters.length + half.statistics.length, net.parameters.length + net.statistics.length);
  const share = countParameters(half) / countParameters(net);
  assert.ok(Math.abs(share - 0.5) < 0.01, `${share} of the parameters move`);
  net.dispose();
});

test('what stands still is carried along by name', () => {
  const net = fcNet({ inputs: 4, classes: 2, width: 3, seed: 1n });
  const half = freezeHalf(net);
  const names = [...half.parameters, ...half.statistics].map(({ name }) => name).sort();
  assert.equal(names, net.parameters.map(({ name }) => name).sort()); // prettier-ignore
  net.dispose();
});

test.run();
