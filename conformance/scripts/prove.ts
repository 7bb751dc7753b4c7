/**
 * The long proof that the kit judges rightly: correct implementations never fail, planted faults are always caught.
 *
 *     npm run ts -- conformance/scripts/prove.ts [--scale F] [--only PATTERN] [--first SEED] [--seeds N]
 *
 * 200 seeds for the reference and the JavaScript engine, 10 for the other built-in adapters, 5 for the Python example over
 * the protocol (with the stream and with its own masks), 20 for each planted fault. `--scale .1` takes a tenth of each;
 * `--seeds N` takes N of whatever is chosen, `--first` says which is the first: so that a long proof is made in pieces.
 * Exit code 1 when a correct implementation fails or a fault escapes. `diagnosis/...` are other parts: judgements of each planted
 * fault (2 seeds, `diagnosis/planted/FAULT`) and of each mistake that was written after the table, its variants or its families were frozen (2 seeds), and which
 * mistake is named first.
 */
import { parseArgs } from 'node:util';
import { select } from 'learning-rate-dropout/internal';
import { BUILT_IN, UnavailableAdapterError, judge, openAdapter } from '../index.ts';
import { diagnose } from '../diagnosis/diagnose.ts';
import { MISTAKES } from '../diagnosis/mistakes.ts';
import type { DrawnFinding } from '../judge/run.ts';
import { HONEST_VARIANTS, PLANTED_FAULTS } from '../planted/faults.ts';
import {
  FINAL_UNSEEN_MISTAKES,
  FITTED_UNSEEN_MISTAKES,
  LAST_UNSEEN_MISTAKES,
  LATER_UNSEEN_MISTAKES,
  UNSEEN_MISTAKES,
} from '../planted/unseen.ts';
import type { UnseenMistake } from '../planted/unseen.ts';
import type { Adapter } from '../protocol/types.ts';
import { openPlanted } from '../planted/implementation.ts';

const { values } = parseArgs({
  options: {
    scale: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    // Far from the seeds that tests and users take first.
    first: { type: 'string', default: '10000' },
    seeds: { type: 'string' },
  },
});
const scale = Number(values.scale);
if (!(scale > 0 && scale <= 1)) throw new RangeError(`--scale must be in (0, 1], got ${values.scale}`);
const whole = (name: string, text: string, least: number): number => {
  const x = Number(text);
  if (!Number.isSafeInteger(x) || x < least)
    throw new RangeError(`--${name} must be a whole number from ${least}, got ${text}`);
  return x;
};
const FIRST_SEED = whole('first', values.first, 0);
const seedCount = values.seeds === undefined ? undefined : whole('seeds', values.seeds, 1);

/** A mistake with the names that are right for it. */
interface Diagnosed {
  readonly name: string;
  readonly kinds: readonly string[];
  readonly open: () => Adapter;
}

const unseen = (mistakes: readonly UnseenMistake[]): Diagnosed[] =>
  mistakes.map(({ name, kinds, changes }) => ({
    name,
    kinds,
    open: () => openPlanted(name, typeof changes === 'function' ? changes() : changes),
  }));

/** What is diagnosed, and the share that must be named first. */
const DIAGNOSED: readonly {
  readonly key: string;
  readonly title: string;
  readonly share: number;
  readonly mistakes: readonly Diagnosed[];
}[] = [
  {
    key: 'diagnosis/planted',
    title: 'planted faults',
    share: 0.95,
    mistakes: PLANTED_FAULTS.map(({ name, changes }) => ({
      name,
      kinds: MISTAKES.filter(({ faults }) => faults.includes(name)).map((mistake) => mistake.name),
      open: () => openPlanted(name, changes()),
    })),
  },
  {
    key: 'diagnosis/after-fit',
    title: 'mistakes written after numbers were fitted',
    share: 0.8,
    mistakes: unseen(FITTED_UNSEEN_MISTAKES),
  },
  {
    key: 'diagnosis/after-families',
    title: 'mistakes written after the families',
    share: 0.8,
    mistakes: unseen(FINAL_UNSEEN_MISTAKES),
  },
  {
    key: 'diagnosis/after-weights',
    title: 'mistakes written after the weights',
    share: 0.8,
    mistakes: unseen(LAST_UNSEEN_MISTAKES),
  },
  {
    key: 'diagnosis/after-variants',
    title: 'mistakes written after the variants',
    share: 0.8,
    mistakes: unseen(LATER_UNSEEN_MISTAKES),
  },
  {
    key: 'diagnosis/after-signatures',
    title: 'mistakes written after the signatures',
    share: 0.8,
    mistakes: unseen(UNSEEN_MISTAKES),
  },
];

const example = 'cmd:python3 conformance/examples/python/lrd_adapter.py';
/** Whatever is proved, by its name: planted faults, their correct variants, adapters. */
const chosen = new Set(
  select(
    '--only',
    'what is proved',
    values.only === '' ? [] : [values.only],
    [
      ...PLANTED_FAULTS.map(({ name }) => name),
      ...HONEST_VARIANTS.map(({ name }) => name),
      ...BUILT_IN,
      example,
      `${example} --own-masks`,
      ...DIAGNOSED.flatMap(({ key, mistakes }) => mistakes.map(({ name }) => `${key}/${name}`)),
    ],
    (name) => name,
  ),
);
const times = (seeds: number): number => seedCount ?? Math.max(1, Math.round(seeds * scale));

let broken = 0;

async function proveCorrect(name: string, seeds: number, open: () => ReturnType<typeof openAdapter>): Promise<void> {
  if (!chosen.has(name)) return;
  const start = performance.now();
  let adapter;
  try {
    adapter = await open();
  } catch (error) {
    if (!(error instanceof UnavailableAdapterError)) throw error;
    console.log(`skip ${name}: ${error.message}`);
    return;
  }
  let cases = 0;
  let failures = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + seeds; seed++) {
    const { verdicts } = await judge(adapter, { adapter: name, seed });
    cases += verdicts
      .filter(({ property }) => property !== 'LRD-PROTO-001')
      .reduce((sum, verdict) => sum + verdict.cases, 0);
    for (const { property, status, counterexample } of verdicts) {
      if (status !== 'failed') continue;
      failures += 1;
      console.log(
        `     seed ${seed}, ${property}: ${counterexample?.message}; expected ${counterexample?.expected}, got ${counterexample?.got}`,
      );
    }
  }
  await adapter.close();
  broken += failures;
  const seconds = (performance.now() - start) / 1000;
  console.log(
    `${failures === 0 ? 'ok  ' : 'FAIL'} ${name}: ${seeds} seeds, ${cases} cases, ${failures} failures, ${seconds.toFixed(0)} s`,
  );
}

async function proveCaught(seeds: number): Promise<void> {
  const start = performance.now();
  let runs = 0;
  let escaped = 0;
  for (const { name, caughtBy, changes } of PLANTED_FAULTS) {
    if (!chosen.has(name)) continue;
    const missed: number[] = [];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + seeds; seed++) {
      const { requirements } = await judge(openPlanted(name, changes()), {
        adapter: name,
        seed,
        only: [caughtBy],
        firstFinding: true,
        shrink: false,
      });
      runs += 1;
      if (!requirements.some(({ requirement, status }) => requirement === caughtBy && status === 'failed'))
        missed.push(seed);
    }
    escaped += missed.length;
    if (missed.length > 0) console.log(`     ${name} escapes ${caughtBy} with seeds ${missed.join(', ')}`);
  }
  broken += escaped;
  const seconds = (performance.now() - start) / 1000;
  console.log(
    `${escaped === 0 ? 'ok  ' : 'FAIL'} planted faults: ${runs} runs, ${escaped} escapes, ${seconds.toFixed(0)} s`,
  );
}

/** Judgements with their diagnosis; `kinds` are the names that are right. */
async function proveDiagnosis(
  title: string,
  seeds: number,
  mistakes: readonly Diagnosed[],
  share: number,
): Promise<void> {
  const start = performance.now();
  let [runs, named] = [0, 0];
  for (const { name, kinds, open } of mistakes) {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + seeds; seed++) {
      const drawn = new Map<string, DrawnFinding>();
      const adapter = open();
      // The sample of masks tells something where nothing else shows what they are.
      const statistics = adapter.implementation.masks.every((source) => source === 'own');
      const judgement = await judge(adapter, {
        adapter: name,
        seed,
        shrink: false,
        statistics,
        drawn: (property, finding) => drawn.set(property, finding),
      });
      const [first] = await diagnose(judgement, drawn);
      const right = first?.mistake !== undefined && kinds.includes(first.mistake);
      runs += 1;
      named += Number(right);
      if (!right) {
        const said =
          first === undefined ? 'nothing found' : `${first.mistake ?? first.words} (${first.sure.toFixed(2)})`;
        console.log(`     seed ${seed}, ${name}: ${said}`);
      }
    }
  }
  const enough = named >= share * runs;
  broken += Number(!enough);
  const seconds = (performance.now() - start) / 1000;
  console.log(
    `${enough ? 'ok  ' : 'FAIL'} diagnosis of ${title}: ${named} of ${runs} named first, ${seconds.toFixed(0)} s`,
  );
}

for (const { key, title, share, mistakes } of DIAGNOSED) {
  const part = mistakes.filter(({ name }) => chosen.has(`${key}/${name}`));
  if (part.length > 0) await proveDiagnosis(title, times(2), part, share);
}
await proveCaught(times(20));
for (const { name, changes } of HONEST_VARIANTS) {
  await proveCorrect(name, times(5), () => Promise.resolve(openPlanted(name, changes)));
}
for (const name of BUILT_IN) {
  await proveCorrect(name, times(name === 'ref' || name === 'js' ? 200 : 10), () => openAdapter(name));
}
for (const name of [example, `${example} --own-masks`]) await proveCorrect(name, times(5), () => openAdapter(name));
process.exitCode = broken === 0 ? 0 : 1;
