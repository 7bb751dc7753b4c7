/** What a progress display is told after each step. */
export interface ProgressState {
  readonly label: string;
  readonly epoch: number;
  readonly epochs: number;
  readonly samplesDone: number;
  readonly samplesTotal: number;
  readonly loss: number;
  readonly accuracy: number;
  /** Samples per second since training began, evaluation left out. */
  readonly rate: number;
  /** Of the epoch's time, the part in which the step waited for its batch; undefined where it is not measured. */
  readonly inputShare?: number;
  /** Seconds that remain, or undefined while unknown. */
  readonly secondsLeft: number | undefined;
}

export interface Progress {
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

function describe(state: ProgressState): string {
  const percent = Math.floor((100 * state.samplesDone) / state.samplesTotal);
  const left = state.secondsLeft === undefined ? '' : `, ${formatDuration(state.secondsLeft)} left`;
  const input = state.inputShare === undefined ? '' : `, input ${(100 * state.inputShare).toFixed(1)} %`;
  return (
    `${state.label}: epoch ${state.epoch}/${state.epochs} ${String(percent).padStart(3)} %  ` +
    `loss ${state.loss.toFixed(4)}  accuracy ${state.accuracy.toFixed(2)} %  ` +
    `${Math.round(state.rate)} samples/s${input}${left}`
  );
}

interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** On a terminal one line that is rewritten at most ten times a second; elsewhere plain lines, one every ten seconds. */
export function consoleProgress(output: Output = process.stderr): Progress {
  const tty = output.isTTY === true;
  const interval = tty ? 100 : 10_000;
  let shown = performance.now();
  let open = false;
  return {
    step: (state) => {
      const now = performance.now();
      if (now - shown < interval) return;
      shown = now;
      output.write(tty ? `\r\u001b[K${describe(state)}` : `${describe(state)}\n`);
      open = tty;
    },
    line: (text) => {
      output.write(open ? `\r\u001b[K${text}\n` : `${text}\n`);
      open = false;
    },
  };
}

export const silentProgress: Progress = { step: () => undefined, line: () => undefined };
