import type { TextSample } from '../tasks/language/textSample.ts';
import { escapeHtml } from './html.ts';
import type { Section } from './page.ts';

/** What a terminal or a page would obey is shown as a replacement character; lines stay lines. */
const visible = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  escapeHtml(text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|\p{Cf}/gu, '\u{fffd}'));

/** Texts that a language model has written, each behind what it was given. */
export function samplesSection(heading: string, samples: readonly TextSample[]): Section {
  const texts = samples.map(
    ({ prompt, text }) =>
      `<pre class="sample"><span class="soft">${visible(prompt)}</span><b>${visible(text)}</b></pre>`,
  );
  return {
    heading,
    body: `<p class="soft">Grey: what it was given, from the text that it is tested on. Bold: what it wrote.</p>${texts.join('\n')}`,
  };
}
