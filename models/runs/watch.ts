/** A process on some machine; no two have the same key. */
export type OwnerKey = string;

/** Seconds by which one look after another counts at most: the file server may have been away in between, for the watched one too. */
const LONGEST_LOOK_SECONDS = 15;

interface Sign {
  readonly stamp: string;
  readonly at: number;
  readonly silent: number;
}

/**
 * Tells whether processes on other machines live, by signs of life that change. Only this process's own monotonic clock counts: the
 * clocks of other machines, and of the file server, may say what they like.
 */
export class Watch {
  readonly #now: () => number;
  readonly #signs = new Map<string, Sign>();
  readonly #gone = new Set<OwnerKey>();

  /** `now`: seconds of a clock that never goes back. */
  constructor(now: () => number = () => performance.now() / 1000) {
    this.#now = now;
  }

  /**
   * Notes the sign of life that a file carries now. Returns whether its owner counts as gone: it has not changed for `lapseSeconds` of
   * looking on, or the same owner's other file has not.
   */
  look(path: string, owner: OwnerKey, stamp: string, lapseSeconds: number): boolean {
    const before = this.#signs.get(path);
    const at = this.#now();
    const changed = before !== undefined && before.stamp !== stamp;
    const silent =
      before === undefined || changed ? 0 : before.silent + Math.min(at - before.at, LONGEST_LOOK_SECONDS);
    this.#signs.set(path, { stamp, at, silent });
    if (changed) this.#gone.delete(owner);
    else if (silent >= lapseSeconds) this.#gone.add(owner);
    return this.#gone.has(owner);
  }
}
