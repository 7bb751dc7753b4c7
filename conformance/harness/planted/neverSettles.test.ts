import { suite } from '../suite.ts';
const test = suite('planted');
test('never settles', () => new Promise<void>(() => {}), { timeout: 0.2 });
test.run();
