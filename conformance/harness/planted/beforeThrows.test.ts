import { suite } from '../suite.ts';
const test = suite('planted');
test.before(() => {
  throw new Error('planted');
});
test('fine', () => {});
test.run();
