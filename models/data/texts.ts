import { resolve } from 'node:path';
import { decodeBase64 } from 'learning-rate-dropout/internal';
import { UsageError } from '../errors.ts';
import { readInput } from '../storage/inputs.ts';
import { isModulePath } from '../storage/modules.ts';
import { genesisBase64 } from './genesis.data.ts';
import { NotFoundError, findPlace, within } from './locate.ts';

/** A text to be modelled, byte by byte. */
export interface Text {
  /** As the command line takes it. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The file or folder that it came from, for the run's record. */
  readonly source: string;
}

/** Of a text file, in bytes. */
const LARGEST = 2 ** 30;
const KJV = 'kjv.txt';

async function loadGenesis(): Promise<Text> {
  const inflated = new Blob([decodeBase64(genesisBase64)]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return {
    name: 'genesis',
    bytes: new Uint8Array(await new Response(inflated).arrayBuffer()),
    source: "embedded: Genesis in the King James Version, public domain, from Debian's bible-kjv-text",
  };
}

async function loadKjv(folders: readonly string[]): Promise<Text> {
  const place = findPlace(folders, 'kjv', [], [KJV]);
  const path = place === undefined ? undefined : within(place, KJV);
  if (place === undefined || path === undefined) {
    throw new NotFoundError(
      `data set kjv: no ${KJV} in ${folders.join(', ')}; write it with Debian's bible-kjv: bible -f Gen1:1-Rev22:21 > DIR/kjv/${KJV}, and give --data-dir DIR`,
    );
  }
  return { name: 'kjv', bytes: readInput(path, LARGEST), source: place };
}

const TEXTS: Readonly<Record<string, (folders: readonly string[]) => Promise<Text>>> = {
  genesis: loadGenesis,
  kjv: loadKjv,
};

/** Names of the texts that are known. */
export const TEXT_NAMES: readonly string[] = Object.keys(TEXTS);

/** Throws a `UsageError` for what is neither the name of a text nor the path of a file. */
export function checkTextName(name: string): void {
  if (TEXT_NAMES.includes(name) || isModulePath(name)) return;
  throw new UsageError(
    `--data must be a text for gpt: ${TEXT_NAMES.join(', ')} or the path of a file such as ./mine.txt, got ${JSON.stringify(name)}`,
  );
}

/** Loads a text by name, or a file by its path. Throws a `UsageError` as `checkTextName` does, a `JobError` for a file that is missing. */
export async function loadText(name: string, folders: readonly string[]): Promise<Text> {
  checkTextName(name);
  if (Object.hasOwn(TEXTS, name)) return (TEXTS[name] as (typeof TEXTS)[string])(folders);
  return { name, bytes: readInput(name, LARGEST), source: resolve(name) };
}

/** A text cut for training: windows of `context` bytes with the byte behind each. */
export interface TextSplits {
  readonly context: number;
  readonly train: Uint8Array;
  /** The end of what would be trained on, where some is held out. */
  readonly validation?: Uint8Array;
  /** The end of the text. */
  readonly test: Uint8Array;
}

/** One in so many bytes of a text is tested on. */
const TENTH = 10;

/**
 * The last tenth of a text is tested on, the rest is trained on: the first `limit` windows of both, where that is given. The last `validation` windows
 * of the training text are held out. Throws a `UsageError` for a text that is too short for that.
 */
export function splitText(
  { name, bytes }: Text,
  { context, limit, validation }: { readonly context: number; readonly limit: number | undefined; readonly validation: number | undefined }, // prettier-ignore
): TextSplits {
  const window = context + 1;
  const tested = Math.floor(bytes.length / TENTH);
  if (tested < window) {
    throw new UsageError(
      `--data must have at least ${TENTH * window} bytes for a context of ${context}, of which a tenth is tested on; ${name} has ${bytes.length}`,
    );
  }
  const most = limit === undefined ? Infinity : limit * window;
  const all = bytes.subarray(0, Math.min(most, bytes.length - tested));
  const test = bytes.subarray(bytes.length - tested).subarray(0, Math.min(most, tested));
  if (validation === undefined) return { context, train: all, test };
  const held = validation * window;
  if (all.length - held < window) {
    throw new UsageError(
      `--validation must be less than the ${Math.floor(all.length / window)} windows of ${window} bytes that are trained on, got ${validation}`,
    );
  }
  const train = all.subarray(0, all.length - held);
  return { context, train, validation: all.subarray(all.length - held), test };
}
