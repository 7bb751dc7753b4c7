import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { escapeHtml } from './html.ts';
import { samplesSection } from './samples.ts';

const test = suite('models/report/samples');

test('samples reach a page as text, whatever they hold', () => {
  const { body } = samplesSection('x', [{ prompt: '<b>\u001b[31m', text: 'a\n\u202e"&' }]);
  assert.ok(body.includes(escapeHtml('<b>\u{fffd}[31m')));
  assert.ok(body.includes(escapeHtml('a\n\u{fffd}"&')));
  assert.not.ok(body.includes('<b>\u{fffd}'));
});

test.run();
