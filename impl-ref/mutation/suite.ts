/**
 * The reference's tests in one process, the quick ones first, ended by the first failure: what Stryker runs for each mutant.
 * Statistics and the toy's are left out: they take longer than all others and kill nothing that these don't, in the files that are mutated.
 */
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (chunk: Uint8Array | string): boolean => {
  // uvu marks a failed test so, as soon as it has failed.
  if (chunk.toString().includes('✘')) process.exit(1);
  return write(chunk);
};

await import('../philox.test.ts');
await import('../rules/rules.test.ts');
await import('../schedules/schedules.test.ts');
await import('../draws.test.ts');
await import('../masks.test.ts');
await import('../comparators/comparators.test.ts');
await import('../commands.test.ts');
await import('../analysis/analysis.test.ts');
await import('../trainedKeepProbability.test.ts');
await import('../optimizer.test.ts');
await import('../vectors.test.ts');
