/**
 * One process of `parallel.ts`, started by `mpirun`: training steps of FCNet on its share of a batch. Process 0 reads requests from stdin, a line
 * of JSON each, and answers each with one on stdout. Its arguments are the width of the network and the rows of the whole batch.
 */
import { createInterface } from 'node:readline';
import * as tf from '@tensorflow/tfjs';
import * as lrd from 'learning-rate-dropout';
import type { Group, LrdOptimizer } from 'learning-rate-dropout';
import { useBackend } from '../../models/backend.ts';
import { fcNet } from '../../models/nets/fcnet.ts';
import { createOptimizer } from '../../models/recipes/optimizers.ts';
import type { ParallelAnswer, ParallelRequest } from './parallel.ts';

const [width = 1000, rows = 128] = process.argv.slice(2).map(Number);

/**
 * The group itself, but what the gradients' reductions would send stays here while it is `mute`, and a number travels in its place: what is left
 * is the computing, and the waiting for the process that computes longest.
 */
function muting(group: Group): { group: Group; mute: boolean } {
  const switched = {
    mute: false,
    group: {
      ...group,
      allReduce: (values: Parameters<Group['allReduce']>[0], operation: Parameters<Group['allReduce']>[1]) => {
        if (switched.mute) group.allReduce(Int32Array.of(0), 'max');
        else group.allReduce(values, operation);
      },
    },
  };
  return switched;
}

function say(answer: ParallelAnswer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

async function serve(group: Group): Promise<void> {
  await useBackend('wasm');
  const net = fcNet({ inputs: 784, classes: 10, seed: 1n, width });
  const variables = net.parameters.map(({ variable }) => variable);
  const parameters = variables.reduce((sum, { size }) => sum + size, 0);
  const own = Math.floor((rows * (group.rank + 1)) / group.size) - Math.floor((rows * group.rank) / group.size);
  const share = own / rows;
  const x = tf.randomUniform<tf.Rank.R2>([own, 784], 0, 1, 'float32', 1 + group.rank);
  const labels = tf.oneHot(
    tf.tensor1d(
      Array.from({ length: own }, (_, row) => row % 10),
      'int32',
    ),
    10,
  );
  const gradients = (): tf.NamedTensorMap =>
    tf.variableGrads(
      () => tf.losses.softmaxCrossEntropy(labels, net.forward(x, { training: true, step: 1 })).asScalar(),
      variables,
    ).grads;

  /** Brings processes together again that steps of their own have led apart. */
  const together = lrd.replicaOf(
    lrd.distributed(createOptimizer('sgdm', { keepProbability: 1, seed: 7n, learningRate: 1e-3 }), group),
  ) as lrd.Replica;
  const optimizers = new Map<string, { optimizer: LrdOptimizer; line: ReturnType<typeof muting> }>();
  /** Those of one batch: what packing costs is a small part of a whole step. */
  let held: tf.NamedTensorMap | undefined;
  const optimizerOf = ({ keep, reduction, mute }: ParallelRequest): ReturnType<typeof optimizers.get> & object => {
    const key = `${keep} ${reduction} ${mute}`;
    let known = optimizers.get(key);
    if (known === undefined) {
      const line = muting(group);
      const plain = createOptimizer('sgdm', { keepProbability: keep, seed: 7n, learningRate: 1e-3 });
      const optimizer =
        reduction === 'none' ? plain : lrd.distributed(plain, line.group, { reduction, checkEvery: 1e9 });
      known = { optimizer, line };
      optimizers.set(key, known);
      // The first step compares the parameters.
      step(optimizer);
    }
    return known;
  };
  const step = (optimizer: LrdOptimizer): void => {
    const replica = lrd.replicaOf(optimizer);
    if (replica !== undefined) replica.weight = share;
    tf.tidy(() => optimizer.applyGradients(gradients()));
  };
  const measure = (request: ParallelRequest): ParallelAnswer => {
    const { optimizer, line } = optimizerOf(request);
    const replica = lrd.replicaOf(optimizer);
    const own = request.alone ? (held ??= gradients()) : undefined;
    // All begin together.
    group.allReduce(Int32Array.of(0), 'max');
    const [began, processor, before] = [performance.now(), process.cpuUsage(), group.traffic.bytes];
    line.mute = request.mute;
    for (let i = 0; i < request.steps; i++) {
      if (replica !== undefined) replica.weight = request.mute ? 1 : share;
      tf.tidy(() => optimizer.applyGradients(own ?? gradients()));
    }
    line.mute = false;
    const bytes = group.traffic.bytes - before;
    const { user, system } = process.cpuUsage(processor);
    const times = Float64Array.of(performance.now() - began);
    group.allReduce(times, 'max');
    const processorMs = Float64Array.of((user + system) / 1000 / group.size);
    group.allReduce(processorMs, 'sum');
    // Steps that nobody was told of have led the processes apart.
    if (request.reduction === 'none') together.synchronize(variables);
    else if (request.mute) replica?.synchronize(variables);
    return { ms: times[0] as number, processorMs: processorMs[0] as number, bytes: bytes / request.steps };
  };

  const carryOut = (request: ParallelRequest): ParallelAnswer => {
    if (request.what === 'measure') return measure(request);
    const { optimizer } = optimizerOf(request);
    for (let i = 0; i < request.steps; i++) step(optimizer);
    lrd.replicaOf(optimizer)?.compare(variables, `after ${request.steps} steps`);
    return { same: request.steps };
  };

  const lines = group.rank === 0 ? createInterface({ input: process.stdin })[Symbol.asyncIterator]() : undefined;
  if (group.rank === 0) say({ description: group.description, parameters });
  for (;;) {
    const line = lines === undefined ? '' : await lines.next();
    const own = typeof line === 'string' || line.done === true ? '' : line.value;
    const [asked = ''] = lrd.gatherTexts(group, own);
    if (asked === '') return;
    const answer = carryOut(JSON.parse(asked) as ParallelRequest);
    if (group.rank === 0) say(answer);
  }
}

try {
  const group = await lrd.mpi();
  await serve(group);
  group.close();
} catch (error) {
  say({ error: (error as Error).message });
  process.exitCode = 1;
}
