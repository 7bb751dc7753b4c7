/** What a moment of training looks like: milliseconds on a clock, steps and samples done since some beginning. */
interface Mark {
  readonly at: number;
  readonly steps: number;
  readonly samples: number;
}

/** Milliseconds that the rate looks back: a change of pace shows, a single slow step does not. */
const WINDOW = 30_000;
/** Marks that are kept, at most one every `WINDOW / MARKS` milliseconds. */
const MARKS = 60;

/**
 * Steps and samples per second of training over the last half minute. What happens between `pause` and `resume`, an evaluation or
 * the writing of a checkpoint, is not training.
 */
export class RateMeter {
  readonly #now: () => number;
  #paused = 0;
  #pausedAt: number | undefined;
  #steps = 0;
  #samples = 0;
  #marks: Mark[];

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#marks = [{ at: now(), steps: 0, samples: 0 }];
  }

  /** The clock of training. */
  get #time(): number {
    return (this.#pausedAt ?? this.#now()) - this.#paused;
  }

  step(samples: number): void {
    this.#steps += 1;
    this.#samples += samples;
    const at = this.#time;
    const before = this.#marks.at(-1);
    if (before !== undefined && at - before.at < WINDOW / MARKS) return;
    this.#marks.push({ at, steps: this.#steps, samples: this.#samples });
    while (this.#marks.length > 2 && at - (this.#marks[1] as Mark).at >= WINDOW) this.#marks.shift();
  }

  pause(): void {
    this.#pausedAt ??= this.#now();
  }

  resume(): void {
    if (this.#pausedAt === undefined) return;
    this.#paused += this.#now() - this.#pausedAt;
    this.#pausedAt = undefined;
  }

  /** Undefined in the first half second, when a rate would say nothing. */
  get rates(): { readonly stepsPerSecond: number; readonly samplesPerSecond: number } | undefined {
    const { at, steps, samples } = this.#marks[0] as Mark;
    const seconds = (this.#time - at) / 1000;
    if (seconds < 0.5 || this.#steps === steps) return undefined;
    return { stepsPerSecond: (this.#steps - steps) / seconds, samplesPerSecond: (this.#samples - samples) / seconds };
  }
}
