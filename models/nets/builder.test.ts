import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { measureNets } from './builder.ts';
import { denseNet } from './densenet.ts';
import { fcNet } from './fcnet.ts';
import { freezeHalf } from './freeze.ts';
import { pspnet } from './pspnet.ts';
import { resNet, smallResNet } from './resnet.ts';
import { ssd300 } from './ssd300.ts';

const test = suite('models/nets/builder');
const seed = 1n;

test('networks are measured without a tensor of them, by the sizes that are known of them', () => {
  const before = tf.memory().numTensors;
  // torchvision's count of parameters, with CIFAR's first convolution: 3 x 3 in place of 7 x 7.
  assert.is(measureNets(() => resNet('resnet18', { classes: 1000, seed })).parameters, 11_689_512 - 64 * 3 * (49 - 9));
  assert.is(measureNets(() => fcNet({ inputs: 784, classes: 10, width: 90_000, seed })).parameters, 90_000 * (784 + 1 + 90_000 + 1 + 10) + 10); // prettier-ignore
  for (const build of [
    () => denseNet('densenet121', { classes: 10, seed }),
    () => freezeHalf(smallResNet('resnet14', { n: 2, classes: 10, seed })),
    () => pspnet({ classes: 21, seed }),
    () => ssd300({ classes: 21, seed }),
  ]) {
    const { parameters, statistics } = measureNets(build);
    assert.ok(parameters > 100_000 && statistics >= 0, `${parameters} parameters`);
  }
  assert.is(tf.memory().numTensors, before);
});

test('a network that is measured takes no number from the names of those that are made', () => {
  const make = (): number => {
    const net = fcNet({ inputs: 4, classes: 2, width: 3, seed });
    const number = Number(/_(\d+)\//.exec(net.parameters[0]?.variable.name ?? '')?.[1]);
    net.dispose();
    return number;
  };
  const first = make();
  measureNets(() => fcNet({ inputs: 4, classes: 2, width: 3, seed }));
  assert.is(make(), first + 1);
});

test.run();
