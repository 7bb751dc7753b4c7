/**
 * Makes `conformance/diagnosis/signatures.ts`: every planted fault, and every other way to draw masks wrongly, judged with few cases.
 *
 *     npm run ts -- conformance/scripts/signatures.ts [--only PATTERN]
 *
 * To be run when a fault or a property changes; with `--only` those whose name matches are made again, and the others stay. The seeds are apart from those that the diagnosis is measured on (`prove.ts`).
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { select } from 'learning-rate-dropout/internal';
import { format } from 'prettier';
import { DRAWN_VARIANTS } from '../diagnosis/drawn.ts';
import { kindOf } from '../diagnosis/features.ts';
import type { Signature } from '../diagnosis/signature.ts';
import { SIGNATURES } from '../diagnosis/signatures.ts';
import { judge } from '../judge/run.ts';
import { PLANTED_FAULTS } from '../planted/faults.ts';
import { openPlanted } from '../planted/implementation.ts';
import type { Behaviour } from '../planted/implementation.ts';

/** One, and more where numbers are drawn at random. */
const SEEDS = [501, 502, 503];
/** Cases a property draws: fewer than a judgement draws, for what shows always shows in them. */
const RUNS = 8;

interface Planted {
  readonly name: string;
  readonly mistake?: string;
  readonly changes: () => Partial<Behaviour>;
}

const { values } = parseArgs({ options: { only: { type: 'string' } } });
const planted: readonly Planted[] = [...PLANTED_FAULTS, ...DRAWN_VARIANTS];
const patterns = values.only === undefined ? [] : [values.only];
const chosen = new Set(select('--only', 'a fault', patterns, planted, ({ name }) => name).map(({ name }) => name));
const signatures: Signature[] = [];
for (const { name, mistake, changes } of planted) {
  const before = SIGNATURES.find(({ fault }) => fault === name);
  if (before !== undefined && !chosen.has(name)) {
    signatures.push(before);
    continue;
  }
  const counts: Record<string, [number, Record<string, number>]> = {};
  // The large sample only where nothing better shows what a mask is.
  const { implementation } = openPlanted(name, changes());
  const statistics = implementation.masks.every((source) => source === 'own');
  const seeds = statistics && mistake === undefined ? SEEDS : SEEDS.slice(0, 1);
  for (const seed of seeds) {
    const adapter = openPlanted(name, changes());
    const kinds = new Map<string, string>();
    const { verdicts } = await judge(adapter, {
      adapter: name,
      seed,
      runs: RUNS,
      shrink: false,
      statistics,
      drawn: (property, finding) => kinds.set(property, kindOf(finding)),
    });
    for (const verdict of verdicts.filter(({ status }) => status === 'failed')) {
      const entry = (counts[verdict.property] ??= [0, {}]);
      const kind = kinds.get(verdict.property) ?? '';
      entry[0] += 1;
      entry[1][kind] = (entry[1][kind] ?? 0) + 1;
    }
  }
  const { masks, features, kinds = {} } = implementation;
  const abilities = { masks, features, ...(Object.keys(kinds).length === 0 ? {} : { kinds }) };
  signatures.push({
    fault: name,
    ...(mistake === undefined ? {} : { mistake }),
    ...abilities,
    statistics,
    runs: seeds.length,
    broke: counts,
  });
  process.stderr.write('.');
}
process.stderr.write('\n');
const text = `/** Made by \`conformance/scripts/signatures.ts\`: not to be edited. */
import type { Signature } from './signature.ts';

/** What each planted fault broke, by the abilities of the implementation that it was planted in. */
export const SIGNATURES: readonly Signature[] = ${JSON.stringify(signatures)};
`;
writeFileSync(
  fileURLToPath(new URL('../diagnosis/signatures.ts', import.meta.url)),
  await format(text, { parser: 'typescript', singleQuote: true, printWidth: 120 }),
);
