/** Folders as people have them: what file managers leave behind is passed over, and what is odd is counted, to be said once. */
import { readdirSync, statSync } from 'node:fs';
import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { foreignText } from 'learning-rate-dropout/internal';
import { JobError } from '../errors.ts';
import { inWords } from '../storage/inputs.ts';

/** Names that macOS, Windows, Linux desktops and network disks write by themselves, in small letters. */
const DROPPINGS: ReadonlySet<string> = new Set([
  // macOS
  '.ds_store',
  '.appledouble',
  '.appledb',
  '.appledesktop',
  '.apdisk',
  '.lsoverride',
  '.localized',
  '.volumeicon.icns',
  '.spotlight-v100',
  '.trashes',
  '.fseventsd',
  '.temporaryitems',
  '.documentrevisions-v100',
  '__macosx',
  'icon\r',
  // Windows
  'thumbs.db',
  'ehthumbs.db',
  'ehthumbs_vista.db',
  'desktop.ini',
  '$recycle.bin',
  'system volume information',
  // Linux, and disks on a network
  '.directory',
  'lost+found',
  '@eadir',
  '#recycle',
]);

/** macOS's second forks, streams of Windows that became files, deleted files that are still open, folders for what was deleted. */
const DROPPING = /^\._|:zone\.identifier$|^\.(nfs|fuse_hidden)|^\.trash-\d+$/i;

/** Whether a name is one that a system or a file manager left, not the user. */
export function isDropping(name: string): boolean {
  return DROPPINGS.has(name.toLowerCase()) || DROPPING.test(name);
}

/** Characters of a sentence. */
const LONGEST = 500;

/** What is odd about the files of a set, by kind: said once, with a count and where it was met first. */
export class Oddities {
  readonly #found = new Map<string, { count: number; readonly first: string }>();

  /** @param what before a count, as in "folders within a class, left out" */
  add(what: string, first: string, count = 1): void {
    const known = this.#found.get(what);
    if (known === undefined) this.#found.set(what, { count, first });
    else known.count += count;
  }

  /** One phrase a kind: `folders within a class, left out: 3 (the first: train/n01440764/more)`. */
  get said(): readonly string[] {
    return [...this.#found].map(([what, { count, first }]) =>
      foreignText(`${what}: ${count.toLocaleString('en')} (${count > 1 ? 'the first: ' : ''}${first})`, LONGEST),
    );
  }
}

/** For `Oddities`: what `isDropping` tells. */
export const LEFT_BY_SYSTEMS = 'files that macOS, Windows and file managers leave, passed over';

/** What a folder holds, droppings aside; names sorted by code units (as `ls` in the C locale and torchvision's ImageFolder sort). */
export interface Listing {
  readonly files: readonly string[];
  readonly folders: readonly string[];
}

/** A link is what it leads to, and one that leads nowhere a file, which fails when it is read. */
function isFolder(folder: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  try {
    return statSync(join(folder, entry.name)).isDirectory();
  } catch {
    return false;
  }
}

/** Lists a folder and counts the droppings in it. Throws a `JobError` that names it. */
export function listFolder(folder: string, oddities: Oddities): Listing {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    throw new JobError(`${folder}: cannot be read (${inWords(error)})`);
  }
  const [files, folders]: [string[], string[]] = [[], []];
  for (const entry of entries) {
    if (isDropping(entry.name)) oddities.add(LEFT_BY_SYSTEMS, join(folder, entry.name));
    else (isFolder(folder, entry) ? folders : files).push(entry.name);
  }
  return { files: files.sort(), folders: folders.sort() };
}

/** As `listFolder`; of a folder that is not there, nothing. */
export function listIfThere(folder: string, oddities: Oddities): Listing {
  const there = statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
  return there ? listFolder(folder, oddities) : { files: [], folders: [] };
}

/** Image files by their names, which `decode.ts` reads. */
const IMAGE = /\.(jpe?g|jpe|jfif|png|webp|tiff?|gif)$/i;

/** Whether a name is that of an image file. */
export function isImageName(name: string): boolean {
  return IMAGE.test(name);
}

/** The image files of a listing; the others, and folders, are counted as left out. */
export function imagesOf(folder: string, { files, folders }: Listing, oddities: Oddities): string[] {
  for (const name of files) {
    if (!IMAGE.test(name)) oddities.add('files that are no JPEG, PNG, WebP, TIFF or GIF, left out', join(folder, name));
  }
  for (const name of folders) oddities.add('folders within a class, left out', join(folder, name));
  return files.filter((name) => IMAGE.test(name));
}
