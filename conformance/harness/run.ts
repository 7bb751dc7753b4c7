/**
 * Runs every `*.test.ts` below the repository's root, each in a process of its own, two at a time.
 *
 *     npm run ts -- conformance/harness/run.ts [PATTERN...]
 *
 * A PATTERN is a regular expression on the file's path; several are alternatives. The last line reads
 * `N passed, N failed, N skipped`; the exit code is 1 when a test failed, a process died, or nothing ran.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestRecord } from './suite.ts';
import { FROM_SOURCE } from './fromSource.ts';

/** Seconds that one file may take. */
const FILE_LIMIT = 600;
const root = fileURLToPath(new URL('../..', import.meta.url));
const folders = ['spec', 'impl-ref', 'impl-gpu', 'conformance', 'bench', 'models', 'examples'];

function findTests(patterns: readonly string[]): string[] {
  const expressions = patterns.map((pattern) => new RegExp(pattern));
  return folders
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
    )
    .filter(
      (file) =>
        file.endsWith('.test.ts') && !file.includes('node_modules') && !file.startsWith('conformance/harness/planted/'),
    )
    .filter((file) => expressions.length === 0 || expressions.some((expression) => expression.test(file)))
    .sort();
}

interface FileResult {
  readonly file: string;
  readonly seconds: number;
  readonly records: readonly TestRecord[];
  readonly output: string;
}

function runFile(file: string, report: string): Promise<FileResult> {
  const start = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...FROM_SOURCE, join(root, file)], {
      cwd: root,
      env: { ...process.env, LRD_TEST_REPORT: report, FORCE_COLOR: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let late = false;
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, FILE_LIMIT * 1000);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      let records: TestRecord[] = [];
      try {
        records = JSON.parse(readFileSync(report, 'utf8')) as TestRecord[];
      } catch {
        // The process died before its exit handler: reported just below.
      }
      const failed = records.some((r) => r.outcome === 'failed');
      let fault: string | undefined;
      if (late) fault = `still running after ${FILE_LIMIT} s`;
      else if (records.length === 0) fault = `no test was registered (exit code ${code}, signal ${signal})`;
      else if (code !== 0 && !failed) fault = `exit code ${code}, signal ${signal}, though no test failed`;
      if (fault !== undefined) {
        records.push({ suite: file, title: 'process', outcome: 'failed', seconds: 0, detail: fault });
      }
      resolve({ file, seconds: (performance.now() - start) / 1000, records, output });
    });
  });
}

function print({ file, seconds, records, output }: FileResult): void {
  const failed = records.filter((r) => r.outcome === 'failed');
  const skipped = records.filter((r) => r.outcome === 'skipped');
  const mark = failed.length > 0 ? 'FAIL' : 'ok  ';
  const counts = `${records.length - failed.length - skipped.length} passed`;
  const extra = `${failed.length > 0 ? `, ${failed.length} failed` : ''}${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`;
  console.log(`${mark} ${file.replace(/\.test\.ts$/, '').padEnd(48)} ${counts}${extra}  ${seconds.toFixed(1)} s`);
  for (const record of skipped) console.log(`       skipped: ${record.title}: ${record.detail}`);
  for (const record of failed) console.log(`       ${record.suite} / ${record.title}\n         ${record.detail}`);
  if (failed.length > 0) console.log(output.trimEnd().replace(/^/gm, '       | '));
}

const files = findTests(process.argv.slice(2));
const scratch = mkdtempSync(join(tmpdir(), 'lrd-tests-'));
const results: FileResult[] = [];
let next = 0;
async function worker(): Promise<void> {
  for (let index = next++; index < files.length; index = next++) {
    const result = await runFile(files[index] as string, join(scratch, `${index}.json`));
    results.push(result);
    print(result);
  }
}
const workers = Math.max(1, Math.min(2, availableParallelism()));
await Promise.all(Array.from({ length: workers }, worker));
rmSync(scratch, { recursive: true, force: true });

const all = results.flatMap((result) => result.records);
const count = (outcome: TestRecord['outcome']): number => all.filter((r) => r.outcome === outcome).length;
const slowest = [...all].sort((a, b) => b.seconds - a.seconds).slice(0, 5);
console.log(`\nslowest: ${slowest.map((r) => `${r.suite} / ${r.title} ${r.seconds.toFixed(1)} s`).join('; ')}`);
if (all.length === 0) console.log('no test was found');
console.log(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
process.exitCode = count('failed') > 0 || count('passed') === 0 ? 1 : 0;
