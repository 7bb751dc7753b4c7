/** Which known mistakes answer the failing cases with the very numbers that came: as they were planted, in their variants, and with numbers that are fitted. */
import type { DrawnFinding } from '../judge/run.ts';
import { PLANTED_FAULTS } from '../planted/faults.ts';
import type { Implementation } from '../protocol/types.ts';
import { fit } from './fit.ts';
import { MISTAKES } from './mistakes.ts';
import { TOLERANCE, concerns, reproduces, toldOf } from './replay.ts';
import type { Reproduced, Told } from './replay.ts';
import { VARIANTS } from './variants.ts';

/** What of the findings that the honest implementation does not reproduce the mistakes do. */
export interface Reproductions {
  /** By property: the mistakes that make its numbers, by name. */
  readonly found: ReadonlyMap<string, ReadonlyMap<string, Reproduced>>;
  /** By mistake: its words with the number in them, where one was fitted. */
  readonly words: ReadonlyMap<string, string>;
}

/** What each known mistake makes of the findings. */
export async function reproductions(
  drawn: ReadonlyMap<string, DrawnFinding>,
  { precision }: Implementation,
): Promise<Reproductions> {
  const usable = new Map<string, Told>();
  const found = new Map<string, Map<string, Reproduced>>();
  for (const [property, finding] of drawn) {
    const told = await toldOf(finding, precision);
    if (told === undefined) continue;
    usable.set(property, told);
    found.set(property, new Map());
  }
  const hypotheses = [
    ...PLANTED_FAULTS.flatMap(({ name, changes }) =>
      MISTAKES.filter(({ faults }) => faults.includes(name)).map((mistake) => ({ name: mistake.name, changes })),
    ),
    ...VARIANTS.map(({ mistake, changes }) => ({ name: mistake, changes: () => changes })),
  ];
  for (const { name, changes } of hypotheses) {
    for (const [property, told] of usable) {
      const known = found.get(property);
      if (known?.get(name) === 'whole') continue;
      const made = changes();
      if (!concerns(made, told)) continue;
      const how = await reproduces(made, told);
      if (how !== undefined) known?.set(name, how);
    }
  }
  const words = new Map<string, string>();
  const open = new Map(
    [...usable].filter(([property]) => ![...(found.get(property)?.values() ?? [])].includes('whole')),
  );
  const best = new Map<string, number>();
  for (const fitted of await fit(open, usable, TOLERANCE[precision].noise)) {
    for (const [property, how] of fitted.makes) {
      const known = found.get(property);
      if (known?.get(fitted.mistake) !== 'whole') known?.set(fitted.mistake, how);
    }
    if (fitted.words === undefined) continue;
    // A number is said where it explains most of what its mistake does.
    const whole = [...fitted.makes.values()].filter((how) => how === 'whole').length;
    const made = [...found.values()].filter((by) => by.has(fitted.mistake)).length;
    if (whole <= (best.get(fitted.mistake) ?? 0) || 2 * whole < made) continue;
    best.set(fitted.mistake, whole);
    words.set(fitted.mistake, fitted.words);
  }
  return { found, words };
}
