/** Ends a program with everything that it has started, wherever that has hidden. */
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

/** In the environment of a program and of all that it starts: what has left its process group and its session is known by it. */
export const MARK = 'LRD_CONFORMANCE_PROGRAM';

interface Process {
  readonly id: number;
  readonly parent: number;
  readonly session: number;
}

function fromProc(): Process[] | undefined {
  let names: string[];
  try {
    names = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return undefined;
  }
  const found = names.flatMap((name): Process[] => {
    try {
      // The command's name stands in parentheses and may hold anything, parentheses too.
      const text = readFileSync(`/proc/${name}/stat`, 'latin1');
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      if (fields[0] === 'Z') return [];
      return [{ id: Number(name), parent: Number(fields[1]), session: Number(fields[3]) }];
    } catch {
      return [];
    }
  });
  return found.length === 0 ? undefined : found;
}

function fromPs(): Process[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,sess='], { encoding: 'utf8', timeout: 2000 });
  return ((stdout as string | null) ?? '').split('\n').flatMap((line): Process[] => {
    const [id, parent, session] = line.trim().split(/\s+/).map(Number);
    return id === undefined || parent === undefined || Number.isNaN(id) ? [] : [{ id, parent, session: session ?? 0 }];
  });
}

function carries(id: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${id}/environ`, 'latin1').includes(`${MARK}=${mark}`);
  } catch {
    return false;
  }
}

/** Descendants of `root`, members of its session, and whatever carries its mark. */
function family(root: number, mark: string): number[] {
  const all = fromProc() ?? fromPs();
  const members = new Set([root]);
  for (let before = 0; before < members.size;) {
    before = members.size;
    for (const { id, parent, session } of all) if (members.has(parent) || session === root) members.add(id);
  }
  for (const { id } of all) if (!members.has(id) && id !== process.pid && carries(id, mark)) members.add(id);
  members.delete(process.pid);
  return [...members].filter((id) => all.some((one) => one.id === id));
}

function signal(id: number): void {
  try {
    process.kill(id, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

/** Rounds of looking and killing: a program that forks while it is killed needs more than one. */
const ROUNDS = 20;

/** Rounds at the end that find nobody, and the time between them: while a process becomes another program it has no environment to be known by. */
const EMPTY_ROUNDS = 3;
const BETWEEN_MS = 20;

const pause = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** Kills the program that was started as `root` in a session of its own with `mark` in its environment, and all of its kind. */
export function killFamily(root: number, mark: string): void {
  if (process.platform === 'win32') {
    spawnSync('taskkill', ['/pid', String(root), '/T', '/F'], { stdio: 'ignore', timeout: 2000 });
    return;
  }
  for (let round = 0, empty = 0; round < ROUNDS && empty < EMPTY_ROUNDS; round++) {
    const members = family(root, mark);
    // The group first, in one call: nobody is left to fork.
    signal(-root);
    for (const id of members) signal(id);
    empty = members.length === 0 ? empty + 1 : 0;
    if (members.length === 0) pause(BETWEEN_MS);
  }
}
