import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { UsageError } from '../errors.ts';
import { findExperiment } from './catalogue.ts';
import { cellLabel, cellNumber, makePlan } from './plan.ts';
import { splitTasks } from './slurm/submit.ts';
import { cellsOfTask, formatRanges, readTaskIndex, taskCount, taskOf } from './tasks.ts';

const test = suite('models/experiments/tasks');
const refused = (job: () => unknown, pattern: RegExp): void =>
  assert.throws(job, (error: unknown) => error instanceof UsageError && pattern.test(error.message) && !error.message.includes('\n')); // prettier-ignore

test('a task’s number is the one given, or that of the engine’s variable, and nothing else', () => {
  assert.equal(readTaskIndex('17'), { index: 17, source: '--cell 17' });
  const index = (env: Record<string, string>): number => readTaskIndex('env', env).index;
  assert.is(index({ SLURM_ARRAY_TASK_ID: '3' }), 3);
  assert.is(index({ JOB_COMPLETION_INDEX: '0' }), 0);
  assert.is(index({ AWS_BATCH_JOB_ARRAY_INDEX: '12' }), 12);
  assert.is(index({ PBS_ARRAY_INDEX: '4' }), 4);
  // LSF counts from 1, and says 0 where there is no array.
  assert.is(index({ LSB_JOBINDEX: '1' }), 0);
  assert.is(index({ LSB_JOBINDEX: '0', SLURM_ARRAY_TASK_ID: '5' }), 5);
  assert.is(index({ LSB_JOBINDEX: '6', SLURM_ARRAY_TASK_ID: '5' }), 5, 'two that agree');
  refused(() => readTaskIndex('env', {}), /--cell env needs one of SLURM_ARRAY_TASK_ID, .*; none is set/);
  refused(() => readTaskIndex('env', { LSB_JOBINDEX: '0' }), /none is set/);
  refused(() => readTaskIndex('env', { PBS_ARRAY_INDEX: '4', JOB_COMPLETION_INDEX: '5' }), /one task's number, got JOB_COMPLETION_INDEX=5 and PBS_ARRAY_INDEX=4/); // prettier-ignore
  refused(() => readTaskIndex('env', { SLURM_ARRAY_TASK_ID: '3 4' }), /SLURM_ARRAY_TASK_ID must be a whole number/);
  for (const wrong of ['-1', '1.5', '', 'ENV', '1e3', '0x10', '99999999999']) {
    refused(() => readTaskIndex(wrong, { SLURM_ARRAY_TASK_ID: '3' }), /--cell must be a whole number from 0, or env/);
  }
});

test('tasks of any size share out all cells, each once; a number beyond is an error', () => {
  const experiment = findExperiment('table3');
  const whole = makePlan({ experiment, scale: 'full', overlay: {}, seeds: 3, only: undefined });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: -5, max: 5 }), (cellsPerTask, offset) => {
      const tasks = taskCount(whole.cells.length, cellsPerTask);
      const choice = (task: number): Parameters<typeof cellsOfTask>[1] => ({ index: task - offset, source: 'test', offset, cellsPerTask }); // prettier-ignore
      const shared = Array.from({ length: tasks }, (_, task) => cellsOfTask(whole.cells, choice(task)));
      assert.equal(shared.flat().map(cellLabel), whole.cells.map(cellLabel));
      for (const [task, cells] of shared.entries()) {
        for (const cell of cells) assert.is(taskOf(cellNumber(experiment, cell), cellsPerTask), task);
      }
      refused(() => cellsOfTask(whole.cells, choice(tasks)), /--cell must be in \[0, /);
      refused(() => cellsOfTask(whole.cells, choice(-1)), /--cell must be in \[0, /);
    }),
  );
});

test('a cell keeps its number, whatever else is asked for', () => {
  const experiment = findExperiment('table1');
  const request = { experiment, scale: 'full', overlay: {}, seeds: 2, only: undefined } as const;
  for (const [k, cell] of makePlan(request).cells.entries()) assert.is(cellNumber(experiment, cell), k);
  const more = makePlan({ ...request, seeds: 4, only: /mnist\/adam/ });
  const known = new Map(makePlan(request).cells.map((cell) => [cellLabel(cell), cellNumber(experiment, cell)]));
  for (const cell of more.cells.filter(({ seed }) => seed <= 2)) {
    assert.is(cellNumber(experiment, cell), known.get(cellLabel(cell)));
  }
});

test('ranges say the same numbers in fewer words; parts keep below the largest index', () => {
  assert.is(formatRanges([9, 0, 1, 2, 3, 7, 10, 11, 12, 7]), '0-3,7,9-12');
  const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 5000 }), { minLength: 1 });
  fc.assert(
    fc.property(numbers, fc.integer({ min: 1, max: 1001 }), (tasks, size) => {
      const sorted = [...tasks].sort((a, b) => a - b);
      const read = formatRanges(tasks).split(',').flatMap((range) => {
        const [first, last = first] = range.split('-').map(Number) as [number, number?];
        return Array.from({ length: last - first + 1 }, (_, k) => first + k);
      }); // prettier-ignore
      assert.equal(read, sorted);
      const parts = splitTasks(tasks, size);
      for (const { indices } of parts) assert.ok(indices.every((index) => index >= 0 && index < size));
      assert.equal(parts.flatMap(({ offset, indices }) => indices.map((index) => index + offset)), sorted); // prettier-ignore
    }),
  );
});

test.run();
