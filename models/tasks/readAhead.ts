/** Passes batches on and tells how long each was waited for, in seconds. */
export async function* timed<B>(
  batches: AsyncGenerator<B, void, undefined>,
  onWait: (seconds: number) => void,
): AsyncGenerator<B, void, undefined> {
  try {
    for (;;) {
      const asked = performance.now();
      const { done, value } = await batches.next();
      onWait((performance.now() - asked) / 1000);
      if (done === true) return;
      yield value;
    }
  } finally {
    await batches.return();
  }
}

/** Makes batches `first` to `end` - 1 in order, `ahead` of them before they are asked for. A batch that fails is told when its turn comes. */
export async function* readAhead<B>(
  { first, end, ahead }: { readonly first: number; readonly end: number; readonly ahead: number },
  make: (batch: number) => Promise<B>,
): AsyncGenerator<B, void, undefined> {
  const waiting: Promise<B>[] = [];
  try {
    for (let batch = first; batch < end; batch += 1) {
      const made = make(batch);
      // What fails ahead of time is told when its turn comes, or never when training ends before.
      made.catch(() => undefined);
      waiting.push(made);
      if (waiting.length > ahead) yield await (waiting.shift() as Promise<B>);
    }
    while (waiting.length > 0) yield await (waiting.shift() as Promise<B>);
  } finally {
    // Nothing goes on reading behind the back of whoever stopped.
    await Promise.allSettled(waiting);
  }
}
