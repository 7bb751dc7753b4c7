/** For tests: a server on this machine that misbehaves as it is told. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

/** What a server does with the n-th request for a path, counted from 0. */
export type Behaviour = (request: IncomingMessage, response: ServerResponse, n: number) => void;

/** Sends bytes as an honest server does: ranges, a strong tag, lengths. */
export function honest(bytes: Buffer): Behaviour {
  return (request, response) => {
    const headers = { etag: `"${md5(bytes)}"`, 'accept-ranges': 'bytes' };
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (start === 0 || (request.headers['if-range'] ?? headers.etag) !== headers.etag) {
      response.writeHead(200, { ...headers, 'content-length': bytes.length }).end(bytes);
    } else if (start >= bytes.length) {
      response.writeHead(416, { ...headers, 'content-range': `bytes */${bytes.length}` }).end();
    } else {
      const rest = bytes.subarray(start);
      const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
      response.writeHead(206, { ...headers, 'content-length': rest.length, 'content-range': range }).end(rest);
    }
  };
}

/** A server on this machine. */
export interface TestServer {
  readonly base: string;
  /** What was asked for: "PATH" or "PATH bytes=N-". */
  readonly asked: string[];
  behave(path: string, behaviour: Behaviour): void;
  close(): Promise<void>;
}

export async function openServer(): Promise<TestServer> {
  const behaviours = new Map<string, { behaviour: Behaviour; count: number }>();
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push([path, ...(request.headers.range === undefined ? [] : [request.headers.range])].join(' '));
    const known = behaviours.get(path);
    if (known === undefined) response.writeHead(404).end('nothing here');
    else known.behaviour(request, response, known.count++);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    behave: (path, behaviour) => behaviours.set(path, { behaviour, count: 0 }),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
