/**
 * Batches of examples in a given order, from batch `first` (counted from 0) on; the last one may be smaller. The batch behind the one in use is read ahead.
 */
export async function* exampleBatches<E>(
  order: ArrayLike<number>,
  { batchSize, first = 0 }: { readonly batchSize: number; readonly first?: number },
  read: (index: number) => Promise<E>,
): AsyncGenerator<E[], void, undefined> {
  const batches = Math.ceil(order.length / batchSize);
  const begin = (batch: number): Promise<E[]> | undefined => {
    if (batch >= batches) return undefined;
    const indices = Array.from(order).slice(batch * batchSize, (batch + 1) * batchSize);
    const reading = Promise.all(indices.map(read));
    // What fails ahead of time is told when its turn comes, or never when training ends before.
    reading.catch(() => undefined);
    return reading;
  };
  let next = begin(first);
  try {
    for (let batch = first; batch < batches; batch++) {
      const current = await (next as Promise<E[]>);
      next = begin(batch + 1);
      yield current;
    }
  } finally {
    // Nothing goes on reading behind the back of whoever stopped.
    await next?.catch(() => undefined);
  }
}
