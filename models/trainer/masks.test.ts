import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { MASK_KINDS, MASK_OPTIONS } from '../../spec/family.ts';
import { MASKS, isDrawn, parseMask } from './masks.ts';

const test = suite('models/trainer/masks');

test('every kind and each of its options is read by its name', () => {
  assert.equal(MASKS, Object.keys(MASK_KINDS));
  for (const kind of MASKS) assert.equal(parseMask(kind), { kind });
  assert.equal(parseMask('magma:temperature=0.5,first-alignment=one,moment-time=before'), {
    kind: 'magma',
    temperature: 0.5,
    firstAlignment: 'one',
    momentTime: 'before',
  });
  assert.equal(parseMask('skip-update:granularity=element'), { kind: 'skip-update', granularity: 'element' });
  assert.equal(parseMask('cautious:mean-floor=0.01,normalization=count'), {
    kind: 'cautious',
    meanFloor: 0.01,
    normalization: 'count',
  });
  for (const [name, { parameter }] of Object.entries(MASK_OPTIONS)) {
    const kind = name === 'meanFloor' || name === 'normalization' ? 'cautious' : 'magma';
    const option = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    assert.equal(parseMask(`${kind}:${option}=${parameter.default}`), { kind, [name]: parameter.default });
  }
});

test('what is wrong is named in one line', () => {
  for (const [text, message] of [
    ['skip', /^--mask must be one of lrd, skip-update, magma, cautious; got "skip"/],
    ['', /^--mask must be one of/],
    ['magma:tau=2', /^--mask magma: option must be one of .*; got "tau"/],
    ['cautious:temperature=2', /^--mask cautious: option must be one of .*; got "temperature"/],
    ['magma:temperature', /^--mask magma: temperature must be given as temperature=VALUE, got "temperature"$/],
    ['magma:temperature=a', /^--mask: temperature must be a finite number above 0, got "a"$/],
    ['magma:temperature=', /^--mask: temperature must be a finite number above 0, got ""$/],
    ['magma:temperature=1,temperature=2', /^--mask magma: temperature must be given once, got it twice$/],
    ['magma:', /^--mask magma: option must be one of/],
  ] as const) {
    assert.throws(
      () => parseMask(text),
      (error: Error) => message.test(error.message) && !error.message.includes('\n'),
      text,
    );
  }
});

test('only masks that are drawn have a keep probability', () => {
  assert.equal(
    MASKS.filter((kind) => !isDrawn(parseMask(kind))),
    ['cautious'],
  );
});

test.run();
