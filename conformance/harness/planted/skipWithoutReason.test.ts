import { suite } from '../suite.ts';
const test = suite('planted');
test('fine', () => {});
test.skip('no reason', '');
test.run();
