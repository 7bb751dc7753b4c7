/**
 * Several calls of `lrd` in one process, one after the other: starting a program costs more than a small call. The argument is the calls, a list of
 * lists of words in JSON; ahead of each its number goes to stdout as `# 0`.
 */
import { reportErrors } from '../errors.ts';
import { main } from '../main.ts';

const [calls = '[]'] = process.argv.slice(2);
for (const [index, words] of (JSON.parse(calls) as string[][]).entries()) {
  process.stdout.write(`# ${index}\n`);
  await reportErrors(() => main(words));
}
process.exitCode = 0;
