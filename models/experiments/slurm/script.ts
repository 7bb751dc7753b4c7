import { STOPPED_TASK } from '../../errors.ts';

/** What the script of an array job is made of. */
export interface ScriptOptions {
  /** The experiment and its scale: the job's name. */
  readonly name: string;
  /** The program and its arguments, up to the task's number. */
  readonly command: readonly string[];
  /** Where the tasks' output goes, absolute. */
  readonly logs: string;
  /** Where a task that fails says so, absolute. */
  readonly exits: string;
  /** Lines of the user's, before the program: modules, paths. */
  readonly prologue: string | undefined;
}

/** A word as a shell takes it. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Seconds before the time limit at which a task is told. Slurm looks twice a minute, so it may be told a minute early. */
const NOTICE_SECONDS = 120;

/** Lives of a task that may end before the program has begun, one after the other: with more, its time limit is too short to get anywhere. */
const EARLY_LIVES = 3;

/** Slurm's own substitutions begin with %; a quote in the path has been refused. */
function logPattern(folder: string): string {
  return `"${folder.replaceAll('%', '%%')}/%A_%a.log"`;
}

/**
 * The script of an array job: a task runs the cells of its index plus the script's argument, 0 when it has none.
 *
 * Signals. USR2 comes ahead of the time limit, to the shell alone: checkpoint, then back into the queue. (USR1 opens Node's debugger, and
 * NCCL takes it.) TERM means preempted or cancelled: checkpoint, and no requeue of our own, or a cancelled job would come back; who preempts
 * requeues. Slurm sends TERM to the program too, which would be ended by a second one: HUP, which it may get any number of times, is passed on,
 * as soon as the program listens for it.
 *
 * Only a program that says that it was stopped, by `STOPPED_TASK`, is put back into the queue, or one that had not begun, a few times: what
 * fails, or never gets anywhere, would come back for ever.
 */
export function slurmScript({ name, command, logs, exits, prologue }: ScriptOptions): string {
  const before = prologue === undefined ? '' : `\n# --prologue\n${prologue.trimEnd()}\n`;
  return `#!/bin/bash
#SBATCH --job-name=${shellWord(name)}
#SBATCH --output=${logPattern(logs)}
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR2@${NOTICE_SECONDS}

# Runs the cells of one task of ${name}, from where they are. Yours to edit: it is submitted as it stands.
# By hand: sbatch --array=0-3 THIS_FILE [OFFSET]; options of sbatch on the command line win over the lines above.
offset=\${1:-0}
note=${shellWord(exits)}/"\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
log=$(readlink "/proc/$$/fd/2")

# What lrd experiment --list says of a task that ended before it could say so itself.
leave_note() {
  status=$?
  trap - EXIT
  if [ "$status" -ne 0 ] && [ -z "$stopping" ]; then
    { echo "$status"; hostname; echo "\${SLURM_RESTART_COUNT:-0}"; tail -n 1 "$log"; } >"$note.$$" 2>/dev/null
    mv -f "$note.$$" "$note"
  fi
  exit "$status"
}
stopping=
status=1
trap leave_note EXIT
rm -f "$note"

# USR2, ahead of the time limit: stop behind a checkpoint and take up the queue again. TERM, preempted or cancelled: stop only.
# What is passed on is HUP: Slurm sends TERM to the program as well, and a second TERM would end it at once.
child=
pass_on() {
  [ -n "$child" ] || return
  # It would end a program that does not listen for it yet: bit 0 of the signals that it catches. It is waited for 30 s at most.
  for _ in {1..150}; do
    caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$child/status" 2>/dev/null)
    [ -n "$caught" ] && [ $((0x$caught & 1)) -eq 0 ] || break
    sleep .2
  done
  kill -HUP "$child" 2>/dev/null
}
trap 'stopping=requeue; pass_on' USR2
trap 'stopping=\${stopping:-stop}; pass_on' TERM
${before}
if [ -z "$stopping" ]; then
  ${command.map(shellWord).join(' ')} --cell env --cell-offset="$offset" &
  child=$!
  # Told before the program had a number.
  [ -z "$stopping" ] || pass_on
  # A signal ends the wait, not the program: how that ended is asked once it has.
  while kill -0 "$child" 2>/dev/null; do wait "$child"; done
  wait "$child"
  status=$?
else
  status=129
fi
if [ "$stopping" = requeue ] && [ "$status" -ne 0 ]; then
  again=
  if [ "$status" -eq ${STOPPED_TASK} ]; then
    # Stopped behind a checkpoint.
    again=yes
    rm -f "$note.early"
  elif [ "$status" -eq 129 ]; then
    # Ended by HUP, before it had begun.
    echo >>"$note.early"
    if [ "$(wc -l <"$note.early")" -lt ${EARLY_LIVES} ]; then
      again=yes
    else
      rm -f "$note.early"
      echo "the time limit came ${EARLY_LIVES} times before the program had begun: it needs a longer --time" >&2
    fi
  fi
  # By the task's own name: the job's would put every task of the array back.
  [ -n "$again" ] && scontrol requeue "\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" || stopping=
fi
exit "$status"
`;
}
