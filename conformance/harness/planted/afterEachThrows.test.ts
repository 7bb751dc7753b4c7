import { suite } from '../suite.ts';
const test = suite('planted');
test.afterEach(() => {
  throw new Error('planted');
});
test('fine', () => {});
test.run();
