/** A slowed link between two network namespaces of this machine: a veth pair and `tc`'s token bucket. Linux, as root. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from '../harness/measure.ts';

const NETWORK = '10.213.0.0/24';
const ADDRESSES = ['10.213.0.1', '10.213.0.2'] as const;
/** Jumbo frames, as networks between machines that compute have: headers are .7 % of what is sent, not the 4.4 % of frames of 1500 bytes. */
const FRAME_BYTES = 9000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A link that lies. */
export interface Link {
  /** Open MPI's `mpirun` and what it needs, so that one of two processes runs at each end. */
  launch(launcher: string): string[];
  remove(): void;
}

function call(command: string, ...words: readonly string[]): void {
  execFileSync(command, words, { stdio: 'pipe', encoding: 'utf8' });
}

/**
 * Lays it. A token bucket of 64 KiB sends at `rate` bits a second in frames of 9000 bytes, headers of Ethernet included.
 *
 * @throws Unavailable without the rights, or where `ip` or `tc` is missing
 */
export function layLink(rate: number): Link {
  const names = ['a', 'b'].map((end) => `lrd-${process.pid}-${end}`) as [string, string];
  const folder = mkdtempSync(join(tmpdir(), 'lrd-link-'));
  const remove = (): void => {
    for (const name of names) spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
    rmSync(folder, { recursive: true, force: true });
    for (const signal of SIGNALS) process.off(signal, interrupted);
  };
  // Namespaces outlive the program that made them.
  const interrupted = (signal: NodeJS.Signals): void => {
    remove();
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.on(signal, interrupted);
  try {
    for (const name of names) call('ip', 'netns', 'add', name);
    call('ip', 'link', 'add', 'lrd-a', 'netns', names[0], 'type', 'veth', 'peer', 'name', 'lrd-b', 'netns', names[1]);
    names.forEach((name, end) => {
      const device = end === 0 ? 'lrd-a' : 'lrd-b';
      call('ip', '-n', name, 'addr', 'add', `${ADDRESSES[end]}/24`, 'dev', device);
      call('ip', '-n', name, 'link', 'set', 'lo', 'up');
      call('ip', '-n', name, 'link', 'set', device, 'mtu', String(FRAME_BYTES), 'up');
      const bucket = ['tbf', 'rate', `${rate}bit`, 'burst', '64kb', 'latency', '200ms'];
      call('tc', '-n', name, 'qdisc', 'add', 'dev', device, 'root', ...bucket);
    });
  } catch (error) {
    remove();
    const { stderr = '', message } = error as Error & { stderr?: string };
    const said = stderr.trim() || message;
    throw new Unavailable(`the link needs root on Linux, ip and tc (iproute2): ${said.split('\n').at(-1)}`);
  }
  return {
    remove,
    launch: (launcher) => {
      // In place of ssh: what is to be run on the other host runs in the other namespace.
      const agent = join(folder, 'agent');
      writeFileSync(agent, `#!/bin/sh\nshift\nexec ip netns exec ${names[1]} sh -c "$*"\n`);
      chmodSync(agent, 0o755);
      const parameters = [
        ['plm_rsh_agent', agent],
        ['btl', 'tcp,self'],
        ['btl_tcp_if_include', NETWORK],
        ['oob_tcp_if_include', NETWORK],
      ].flatMap(([name, value]) => ['--mca', name as string, value as string]);
      const hosts = ADDRESSES.map((address) => `${address}:1`).join();
      // Both ends are this machine: each would bind its process to the first core.
      const unbound = ['--bind-to', 'none'];
      return ['ip', 'netns', 'exec', names[0], launcher, '-np', '2', '--host', hosts, ...unbound, ...parameters];
    },
  };
}
