/** What happens, for programs: a line of JSON each, on stdout. */
export interface JsonLines {
  /** Writes `{"event": ..., ...facts}`. */
  write(event: string, facts: object): void;
}

/** Lines on a stream; default stdout. */
export function jsonLines(output: { write(text: string): unknown } = process.stdout): JsonLines {
  return { write: (event, facts) => void output.write(`${JSON.stringify({ event, ...facts })}\n`) };
}
