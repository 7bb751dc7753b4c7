import { foreignText } from 'learning-rate-dropout/internal';

/** Characters of one piece of text; more than any label or path needs. */
const LONGEST = 4000;
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it may stand in an element or in a quoted attribute, whoever wrote it: nothing unseen, and no markup. */
export function escapeHtml(text: string): string {
  return foreignText(text, LONGEST).replace(/[&<>"']/g, (character) => ENTITIES[character] as string);
}

/** JSON as it may stand in a script element: no text in it ends the element. */
export function inertJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}
