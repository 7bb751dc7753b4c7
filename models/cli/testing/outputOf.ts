import { main } from '../main.ts';

/** The command in this process: what it gave to stdout. Its lines on stderr are kept back; what it throws is thrown. */
export async function outputOf(args: readonly string[]): Promise<string> {
  const { log } = console;
  const write = process.stderr.write.bind(process.stderr);
  const lines: unknown[] = [];
  console.log = (line: unknown) => void lines.push(line);
  process.stderr.write = () => true;
  try {
    await main(args);
  } finally {
    console.log = log;
    process.stderr.write = write;
  }
  return lines.join('\n');
}
