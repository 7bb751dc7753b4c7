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

/** Slurm's own substitutions begin with %; a quote in the path has been refused. */
function logPattern(folder: string): string {
  return `"${folder.replaceAll('%', '%%')}/%A_%a.log"`;
}

/**
 * The script of an array job: a task runs the cells of its index plus the script's argument, 0 when it has none.
 *
 * Signals. USR2 comes ahead of the time limit, to the shell alone: checkpoint, then back into the queue. (USR1 opens Node's debugger, and
 * NCCL takes it.) TERM means preempted or cancelled: checkpoint, and no requeue of our own, or a cancelled job would come back; who preempts
 * requeues. Slurm sends TERM to the program too, which would be ended by a second one: HUP, which it may get any number of times, is passed on.
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
trap 'stopping=requeue; [ -z "$child" ] || kill -HUP "$child" 2>/dev/null' USR2
trap 'stopping=\${stopping:-stop}; [ -z "$child" ] || kill -HUP "$child" 2>/dev/null' TERM
${before}
if [ -z "$stopping" ]; then
  ${command.map(shellWord).join(' ')} --cell env --cell-offset="$offset" &
  child=$!
  # A signal ends the wait, not the program.
  while wait "$child"; status=$?; kill -0 "$child" 2>/dev/null; do :; done
fi
if [ "$stopping" = requeue ] && [ "$status" -ne 0 ]; then
  # By the task's own name: the job's would put every task of the array back.
  scontrol requeue "\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$status"
`;
}
