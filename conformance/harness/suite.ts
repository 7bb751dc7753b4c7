/**
 * uvu behind a guard.
 *
 * uvu 0.5.6 is quiet about several kinds of failure: a hook that throws, a test that throws something other than an
 * `Error`, a suite that was never run, a skip whose reason is lost, a promise that never settles. Each of these exits
 * with code 0. The guard turns every one of them into a failing test, and writes what happened to the file named by
 * `LRD_TEST_REPORT` so that `run.ts` can count across processes.
 *
 * `LRD_TEST_TITLES`, a regular expression, chooses tests by their titles; the others are skipped. Without a report, a test that fails says so
 * at once: of a proof that takes half an hour uvu says nothing before its end.
 */
import { writeFileSync } from 'node:fs';
import { suite as uvuSuite } from 'uvu';

export type Outcome = 'passed' | 'failed' | 'skipped';

/** What became of one test. `seconds` is wall-clock time; `detail` is an error's text or the reason of a skip. */
export interface TestRecord {
  readonly suite: string;
  readonly title: string;
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly detail?: string;
}

type Body = () => void | Promise<void>;

export interface TestOptions {
  /** Seconds after which the test fails. Default 60. */
  readonly timeout?: number;
}

export interface Suite {
  /** Registers a test. A requirement that it proves is named in its title: `[LRD-MASK-001] ...`. */
  (title: string, body: Body, options?: TestOptions): void;
  /** Registers a test that cannot run here, with the reason, which the summary prints. */
  skip(title: string, reason: string): void;
  /** `condition` true: as calling the suite; otherwise as `skip` with `reason`. */
  when(condition: boolean, reason: string): Suite;
  before(hook: Body): void;
  after(hook: Body): void;
  beforeEach(hook: Body): void;
  afterEach(hook: Body): void;
  /** Must be called once, after the last registration. */
  run(): void;
}

interface Registered {
  readonly name: string;
  registered: number;
  started: boolean;
}

const REPORT = process.env['LRD_TEST_REPORT'];
const TITLES = process.env['LRD_TEST_TITLES'];
const chosen = TITLES === undefined ? undefined : new RegExp(TITLES);

const records: TestRecord[] = [];
const suites: Registered[] = [];

function describe(thrown: unknown): string {
  if (!(thrown instanceof Error)) return `a non-Error was thrown: ${String(thrown)}`;
  const cause = thrown.cause === undefined ? '' : `\n  caused by ${describe(thrown.cause)}`;
  return `${thrown.stack ?? thrown.message}${cause}`;
}

/** uvu formats what it is given: a plain `Error` with a stack, never something it would choke on. */
function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`a non-Error was thrown: ${String(thrown)}`);
}

async function withTimeout(body: Body, seconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result after ${seconds} s`)), seconds * 1000);
  });
  try {
    await Promise.race([Promise.resolve().then(body), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A guarded uvu suite. `name` is the path of the code under test, as in `impl-ref/philox`. */
export function suite(name: string): Suite {
  const inner = uvuSuite(name);
  const entry: Registered = { name, registered: 0, started: false };
  suites.push(entry);
  const hooks: Record<'before' | 'after' | 'beforeEach' | 'afterEach', Body[]> = {
    before: [],
    after: [],
    beforeEach: [],
    afterEach: [],
  };
  let broken: string | undefined;

  const record = (title: string, outcome: Outcome, start: number, detail?: string): void => {
    const seconds = (performance.now() - start) / 1000;
    records.push({ suite: name, title, outcome, seconds, ...(detail === undefined ? {} : { detail }) });
  };
  const runHooks = async (kind: keyof typeof hooks): Promise<void> => {
    for (const hook of hooks[kind]) {
      try {
        await withTimeout(hook, 120);
      } catch (thrown) {
        throw new Error(`the ${kind} hook threw: ${describe(thrown)}`, { cause: thrown });
      }
    }
  };

  inner.before(async () => {
    entry.started = true;
    try {
      await runHooks('before');
    } catch (thrown) {
      broken = describe(thrown);
      process.exitCode = 1;
    }
  });
  inner.after(async () => {
    const start = performance.now();
    try {
      await runHooks('after');
    } catch (thrown) {
      entry.registered += 1;
      record('after hook', 'failed', start, describe(thrown));
      process.exitCode = 1;
    }
  });

  const define = (title: string, body: Body, options: TestOptions = {}): void => {
    if (chosen?.test(title) === false) return skip(title, 'not chosen by LRD_TEST_TITLES');
    entry.registered += 1;
    inner(title, async () => {
      const start = performance.now();
      try {
        if (broken !== undefined) throw new Error(broken);
        await runHooks('beforeEach');
        try {
          await withTimeout(body, options.timeout ?? 60);
        } finally {
          await runHooks('afterEach');
        }
        record(title, 'passed', start);
      } catch (thrown) {
        record(title, 'failed', start, describe(thrown));
        if (REPORT === undefined) process.stderr.write(`\nFAILED ${title}: ${describe(thrown)}\n`);
        throw toError(thrown);
      }
    });
  };
  const skip = (title: string, reason: string): void => {
    entry.registered += 1;
    const start = performance.now();
    if (reason.trim() === '') record(title, 'failed', start, 'skipped without a reason');
    else record(title, 'skipped', start, reason);
  };
  const add =
    (kind: keyof typeof hooks) =>
    (hook: Body): void => {
      hooks[kind].push(hook);
    };

  const guarded: Suite = Object.assign(define, {
    skip,
    when: (condition: boolean, reason: string): Suite =>
      condition ? guarded : Object.assign((title: string) => skip(title, reason), { ...guarded, skip }),
    before: add('before'),
    after: add('after'),
    beforeEach: add('beforeEach'),
    afterEach: add('afterEach'),
    run: () => inner.run(),
  });
  return guarded;
}

process.on('exit', () => {
  for (const { name, registered, started } of suites) {
    const seen = records.filter((r) => r.suite === name).length;
    const skipped = records.filter((r) => r.suite === name && r.outcome === 'skipped').length;
    let fault: string | undefined;
    if (registered === 0) fault = 'the suite has no test';
    else if (!started && skipped < registered) fault = 'the suite was never run: .run() is missing';
    else if (seen !== registered) fault = `${registered} tests were registered and ${seen} ended`;
    if (fault !== undefined) {
      records.push({ suite: name, title: 'guard', outcome: 'failed', seconds: 0, detail: fault });
      process.stderr.write(`${name}: ${fault}\n`);
    }
  }
  if (records.some((r) => r.outcome === 'failed')) process.exitCode = 1;
  if (REPORT !== undefined) writeFileSync(REPORT, JSON.stringify(records));
});
