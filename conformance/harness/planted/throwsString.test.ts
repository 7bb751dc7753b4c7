import { suite } from '../suite.ts';
const test = suite('planted');
test('throws a string', () => {
  // oxlint-disable-next-line only-throw-error -- what this file is for
  throw 'planted';
});
test('fine', () => {});
test.run();
