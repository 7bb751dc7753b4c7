/**
 * Several calls of `lrd` in one process, one after the other, under `mpirun` too: starting a program costs more than a small run. The first
 * argument is the calls, a list of lists of words in JSON; behind it stands `--data-parallel` where they have it. Before each, process 0 writes its number to
 * stderr as `# 0`, and behind it the exit code as `= 0`.
 */
import { mpi } from 'learning-rate-dropout';
import { reportErrors } from '../errors.ts';
import { main } from '../main.ts';

const [calls = '[]'] = process.argv.slice(2);
const group = await mpi();
const close = group.close.bind(group);
// A run leaves its group when it has ended; MPI can be left only once.
Object.assign(group, { close: () => undefined });
const say = (text: string): void => void (group.rank === 0 && process.stderr.write(text));
for (const [index, words] of (JSON.parse(calls) as string[][]).entries()) {
  say(`# ${index}\n`);
  process.exitCode = 0;
  await reportErrors(() => main(words));
  say(`= ${process.exitCode}\n`);
  // A job that failed on one process leaves the others waiting for it.
  if (process.exitCode === 1) process.exit();
}
process.exitCode = 0;
close();
