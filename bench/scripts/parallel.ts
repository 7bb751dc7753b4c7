/**
 * What travels, and what it costs, when several processes train one model: `npm run -s ts -- bench/scripts/parallel.ts [STEPS]`.
 *
 * First 1, 2 and 4 processes on this machine (their cores are shared, so by processor time), then, as root on Linux, two processes behind a
 * link of 1 Gbit/s and of 100 Mbit/s: two network namespaces, a veth pair, and `tc`'s token bucket. Open MPI is needed. Prints a line of JSON for
 * each keep probability and reduction; times of the clock mean something on an idle machine only.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FROM_SOURCE } from '../../conformance/harness/fromSource.ts';
import { AS_ROOT, launcherArguments, launchers, missing } from '../../conformance/harness/mpi.ts';

const steps = process.argv[2] ?? '5';
const program = [process.execPath, ...FROM_SOURCE, fileURLToPath(new URL('parallelRank.ts', import.meta.url)), steps];
const launcher = launchers().get('Open MPI');

/** Runs a program and passes its lines of JSON on. */
function measure(what: string, [command, ...args]: readonly string[]): void {
  console.log(`# ${what}`);
  const { status, stdout, stderr } = spawnSync(command as string, args, {
    encoding: 'utf8',
    env: { ...process.env, ...AS_ROOT },
  });
  if (status !== 0) console.log(`failed: ${stderr.trim().split('\n').at(-1)}`);
  for (const line of stdout.split('\n')) if (line.startsWith('{')) console.log(line);
}

const NAMES = ['lrd-a', 'lrd-b'] as const;
const ADDRESSES = ['10.213.0.1', '10.213.0.2'] as const;

const ip = (...words: readonly string[]): void => void execFileSync('ip', words, { stdio: 'pipe' });

/** Two network namespaces with a slowed link between them. Throws without the rights, or where `ip` and `tc` are not. */
function layLink(rate: string): void {
  for (const name of NAMES) ip('netns', 'add', name);
  ip('link', 'add', 'lrd-va', 'netns', NAMES[0], 'type', 'veth', 'peer', 'name', 'lrd-vb', 'netns', NAMES[1]);
  NAMES.forEach((name, i) => {
    const device = ['lrd-va', 'lrd-vb'][i] as string;
    ip('-n', name, 'addr', 'add', `${ADDRESSES[i]}/24`, 'dev', device);
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'link', 'set', device, 'up');
    const bucket = ['root', 'tbf', 'rate', rate, 'burst', '64kb', 'latency', '200ms'];
    execFileSync('tc', ['-n', name, 'qdisc', 'add', 'dev', device, ...bucket], { stdio: 'pipe' });
  });
}

function removeLink(): void {
  for (const name of NAMES) spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
}

/** Two processes, one behind each end of the link: the launcher reaches the other end by a command in place of ssh. */
function overLink(rate: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'lrd-link-'));
  const agent = join(folder, 'agent');
  writeFileSync(agent, `#!/bin/sh\nshift\nexec ip netns exec ${NAMES[1]} sh -c "$*"\n`);
  chmodSync(agent, 0o755);
  try {
    layLink(rate);
    const hosts = ADDRESSES.map((address) => `${address}:1`).join(',');
    const network = '10.213.0.0/24';
    const parameters = [
      ['plm_rsh_agent', agent],
      ['btl', 'tcp,self'],
      ['btl_tcp_if_include', network],
      ['oob_tcp_if_include', network],
    ].flatMap(([name, value]) => ['--mca', name as string, value as string]);
    measure(`2 processes, ${rate}`, [
      'ip',
      'netns',
      'exec',
      NAMES[0],
      launcher as string,
      '-np',
      '2',
      '--host',
      hosts,
      ...parameters,
      ...program,
    ]);
  } catch (error) {
    console.log(`# ${rate}: skipped, the link cannot be laid: ${(error as Error).message.trim().split('\n').at(-1)}`);
  } finally {
    removeLink();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (launcher === undefined) throw new Error(missing('Open MPI'));
for (const ranks of [1, 2, 4]) {
  measure(`${ranks} processes, this machine`, [launcher, ...launcherArguments('Open MPI', ranks), ...program]);
}
for (const rate of ['1gbit', '100mbit']) overLink(rate);
