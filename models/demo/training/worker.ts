/** Trains in a worker, so that the page stays responsive; one message of the page after the other. */
import { useMasks } from 'learning-rate-dropout';
import { setWasmUrl, useBackend } from './backends.ts';
import { readDigits } from './data.ts';
import type { Digits } from './data.ts';
import type { Answer, Backend, Request } from './messages.ts';
import { Session } from './session.ts';

const send = (answer: Answer): void => globalThis.postMessage(answer);

useMasks();

let digits: Digits | undefined;
let session: Session | undefined;
let running = false;

/** Lets messages in. */
const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 0);
  });

function setRunning(next: boolean): void {
  running = next;
  send({ kind: 'state', running });
}

async function use(backend: Backend | 'auto'): Promise<void> {
  const start = async (): Promise<void> => send({ kind: 'using', ...(await useBackend(backend)) });
  await (session === undefined ? start() : session.move(start));
}

async function handle(request: Request): Promise<void> {
  switch (request.kind) {
    case 'open':
      setWasmUrl(request.wasmUrl);
      digits = await readDigits();
      await use('auto');
      break;
    case 'use':
      await use(request.backend);
      break;
    case 'begin':
      if (digits === undefined) throw new Error('the digits are not there yet');
      session?.dispose();
      session = new Session(digits, request.settings);
      send({ kind: 'begun', parameters: session.parameters });
      break;
    case 'run':
      setRunning(session !== undefined);
      break;
    case 'pause':
      setRunning(false);
      break;
    case 'change':
      session?.change(request.rates);
      break;
  }
}

const inbox: Request[] = [];

async function turn(): Promise<void> {
  const request = inbox.shift();
  if (request !== undefined) {
    await handle(request);
    return;
  }
  if (!running || session === undefined) return;
  const { step, epoch, stepsPerSecond, loss, accuracy } = await session.advance();
  send({ kind: 'progress', step, epoch, stepsPerSecond, loss });
  if (accuracy !== undefined) send({ kind: 'tested', epoch: Math.round(epoch), accuracy });
  if (!Number.isFinite(loss.plain) && !Number.isFinite(loss.lrd)) {
    setRunning(false);
    send({ kind: 'failed', message: 'Both losses are no longer finite: a smaller learning rate may help.' });
  }
}

let busy = false;

/** Works until there is nothing left to do. */
async function work(): Promise<void> {
  if (busy) return;
  busy = true;
  while (inbox.length > 0 || running) {
    try {
      await turn();
    } catch (error) {
      setRunning(false);
      send({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
    }
    await breathe();
  }
  busy = false;
}

globalThis.addEventListener('message', ({ data }: MessageEvent<Request>) => {
  inbox.push(data);
  void work();
});
