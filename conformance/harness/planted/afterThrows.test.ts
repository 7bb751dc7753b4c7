import { suite } from '../suite.ts';
const test = suite('planted');
test.after(() => {
  throw new Error('planted');
});
test('fine', () => {});
test.run();
