import { foreignText } from 'learning-rate-dropout/internal';
import { columnsOf, widthOf, wrapped } from '../terminal.ts';

/** What a progress display is told after each step. */
export interface ProgressState {
  /** The run's name. */
  readonly label: string;
  /** The one under way, from 1. */
  readonly epoch: number;
  /** That the run has. */
  readonly epochs: number;
  /** Examples of this epoch so far. */
  readonly samplesDone: number;
  /** Examples of an epoch. */
  readonly samplesTotal: number;
  /** Running mean over the epoch, nats. */
  readonly loss: number;
  /** Running mean over the epoch, percent. */
  readonly accuracy: number;
  /** Of late, evaluations and the writing of checkpoints left out; undefined while unknown. */
  readonly stepsPerSecond?: number;
  /** As `stepsPerSecond`, of examples. */
  readonly samplesPerSecond?: number;
  /** Of the epoch's time, the part in which the step waited for its batch; undefined where it is not measured. */
  readonly inputShare?: number;
  /** Seconds that remain, or undefined while unknown. */
  readonly secondsLeft: number | undefined;
}

/** Where a training says how far it is. */
export interface Progress {
  /** After each step. */
  step(state: ProgressState): void;
  /** A line that stays: the end of an epoch, a remark. */
  line(text: string): void;
}

/** 75 -> "1:15"; 3725 -> "1:02:05". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** How far it is and how long it takes still: what a line of any width has. */
function essentials({ epoch, epochs, samplesDone, samplesTotal, secondsLeft }: ProgressState): string {
  const percent = Math.floor((100 * samplesDone) / samplesTotal);
  const left = secondsLeft === undefined ? '' : `, ${formatDuration(secondsLeft)} left`;
  return `${epoch}/${epochs} ${String(percent).padStart(3)} %${left}`;
}

function describe(state: ProgressState): string {
  const input = state.inputShare === undefined ? '' : `, input ${(100 * state.inputShare).toFixed(1)} %`;
  return (
    `${state.label}: epoch ${essentials(state)}  ` +
    `loss ${state.loss.toFixed(4)}  accuracy ${state.accuracy.toFixed(2)} %${pace(state)}${input}`
  );
}

/** The most that a line of so many columns has room for. The time left is in all of them. */
function fitted(state: ProgressState, columns: number): string {
  const { label, loss, accuracy } = state;
  const at = essentials(state);
  const result = `loss ${loss.toFixed(4)}  accuracy ${accuracy.toFixed(2)} %`;
  const lines = [
    describe(state),
    `${label}: epoch ${at}  ${result}${pace(state)}`,
    `${label}: epoch ${at}  ${result}`,
    `${label}: ${at}  loss ${loss.toFixed(4)}`,
    `${at}  loss ${loss.toFixed(4)}`,
    at,
  ];
  return lines.find((line) => widthOf(line) <= columns) ?? at.slice(0, columns);
}

/** Three digits, as in 0.0123, 1.23, 123 and 12346: slow steps matter most. */
function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function pace({ samplesPerSecond, stepsPerSecond }: ProgressState): string {
  if (samplesPerSecond === undefined || stepsPerSecond === undefined) return '';
  return `  ${digits(samplesPerSecond)} images/s, ${digits(stepsPerSecond)} steps/s`;
}

interface Output {
  readonly isTTY?: boolean;
  /** Of the terminal. */
  readonly columns?: number;
  write(text: string): unknown;
}

/** Milliseconds between two lines of a log: short at first, so that one sees it run, and never a flood. */
const LOG_FIRST = 10_000;
const LOG_LONGEST = 300_000;

/** Characters of a line; names of files are in it. */
const LONGEST_LINE = 20_000;

/**
 * On a terminal one line that is rewritten at most ten times a second, cut to its width; elsewhere plain lines, the first after ten
 * seconds, then ever more rarely, up to one in five minutes.
 */
export function consoleProgress(
  output: Output = process.stderr,
  now: () => number = () => performance.now(),
): Progress {
  const tty = output.isTTY === true;
  let interval = tty ? 100 : LOG_FIRST;
  let shown = tty ? -Infinity : now();
  let open = false;
  return {
    step: (state) => {
      const time = now();
      if (time - shown < interval) return;
      shown = time;
      if (!tty) {
        output.write(`${describe(state)}\n`);
        interval = Math.min(LOG_LONGEST, interval * 1.5);
        return;
      }
      // A line that wraps cannot be taken back. A terminal that does not know its width says 0.
      output.write(`\r\u001b[K${fitted(state, Math.max(20, (output.columns || 80) - 1))}`);
      open = true;
    },
    line: (text) => {
      output.write(`${open ? '\r\u001b[K' : ''}${wrapped(foreignText(text, LONGEST_LINE), columnsOf(output))}\n`);
      open = false;
    },
  };
}

/** Says nothing. */
export const silentProgress: Progress = { step: () => undefined, line: () => undefined };
