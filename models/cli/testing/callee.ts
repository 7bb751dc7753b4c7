/** Calls the command again and again in this process, as whoever forked it says: a list of words in, what came of it out. */
import { main } from '../main.ts';
import { reportErrors } from '../errors.ts';

/** What came of a call. */
export interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What the process has needed so far. */
  readonly megabytes: number;
}

const LONGEST = 20_000;

/** Takes what is written to a stream; returns how to give the stream back, and what was written. */
function listen(stream: NodeJS.WriteStream): () => string {
  const own = stream.write.bind(stream);
  let text = '';
  stream.write = (piece: unknown, ...rest: readonly unknown[]): boolean => {
    text = `${text}${String(piece)}`.slice(0, LONGEST);
    const told = rest.at(-1);
    if (typeof told === 'function') (told as () => void)();
    return true;
  };
  return () => {
    stream.write = own;
    return text;
  };
}

async function answer(words: readonly string[]): Promise<Answer> {
  const [stdout, stderr] = [listen(process.stdout), listen(process.stderr)];
  const { log } = console;
  console.log = (line: unknown) => void process.stdout.write(`${String(line)}\n`);
  process.exitCode = 0;
  try {
    await reportErrors(() => main(words));
  } finally {
    console.log = log;
  }
  const said = { stdout: stdout(), stderr: stderr() };
  const status = process.exitCode;
  process.exitCode = 0;
  return { status, ...said, megabytes: process.resourceUsage().maxRSS / 1000 };
}

// One command after the other may listen for its own end.
process.setMaxListeners(0);
process.stdout.setMaxListeners(0);
process.on('message', (words: readonly string[]) => void answer(words).then((came) => process.send?.(came)));
process.send?.('ready');
