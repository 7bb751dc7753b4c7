/** A wrong call: the command line prints the message alone and exits with code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A job that could not be done: the command line prints the message alone and exits with code 1. */
export class JobError extends Error {
  override readonly name = 'JobError';
}

/** A `UsageError` for a name that is not among those known: lists them. */
export function unknownName(argument: string, value: string, known: readonly string[]): UsageError {
  return new UsageError(`${argument} must be one of ${known.join(', ')}; got ${JSON.stringify(value)}`);
}
