/**
 * A Slurm cluster of two nodes on this machine, for as long as a command runs (root, Debian's `slurm-wlm`, `munge` and `iproute2`):
 *
 *     npm run -s ts -- models/experiments/scripts/cluster.ts COMMAND...
 *
 * COMMAND has its SLURM_CONF; `bash` gives a shell to look round in. Exits with the command's code.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster, whyNoCluster } from '../testing/cluster.ts';

const [command = 'bash', ...args] = process.argv.slice(2);
const why = whyNoCluster();
if (why !== undefined) throw new Error(why);
const cluster = await startCluster({ folder: mkdtempSync(join(tmpdir(), 'lrd-cluster-')), nodes: 2 });
try {
  const child = spawn(command, args, { stdio: 'inherit', env: cluster.env });
  process.exitCode = await new Promise<number>((resolve) => {
    child.on('error', (error) => {
      console.error(error.message);
      resolve(127);
    });
    child.on('close', (code) => resolve(code ?? 1));
  });
} finally {
  await cluster.down();
}
