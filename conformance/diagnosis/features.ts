/** What of a finding tells one mistake from another, beside the property that found it. */
import type { Verdict } from '../judge/run.ts';

/** Whether a rate that was measured is that of the other side: 1 - p for p. */
function isComplement(message: string, got: string): boolean {
  const p = Number(/^p = ([\d.]+)/.exec(message)?.[1]);
  return Number.isFinite(p) && p !== 0.5 && Math.abs(Number(got) - (1 - p)) < 0.01;
}

/** The kind of a finding's message: numbers, names and places left out. */
export function kindOf({ counterexample }: Verdict): string {
  if (counterexample === undefined) return '';
  const { message, got } = counterexample;
  if (message.startsWith('p = ')) {
    const tests = message.replace(/^p = [\d.]+, /, '').replaceAll(/: p-value [^;]*/g, '');
    return `${isComplement(message, got) ? 'complement; ' : ''}${tests.replaceAll(/rate of step \d+/g, 'rate of step').slice(0, 120)}`;
  }
  return message
    .replaceAll(/\w+\[\d+\]/g, 'w')
    .replaceAll(/\(.*\)/g, '')
    .replaceAll(/-?\d[\d.e+-]*/g, '#')
    .slice(0, 80);
}
