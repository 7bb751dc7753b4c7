/** The conformance suite in a page: choose adapters, run, read the report in its three forms. */
import { BUILT_IN_BROWSER } from '../../adapters/builtIn.ts';
import type { RunRequest, WorkerMessage } from './messages.ts';

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

const form = element('form', HTMLFormElement);
const start = element('start', HTMLButtonElement);
const stop = element('stop', HTMLButtonElement);
const status = element('status', HTMLElement);
const progress = element('progress', HTMLElement);
const results = element('results', HTMLElement);
const textOf = (id: string): string => element(id, HTMLElement).textContent;

const choices = BUILT_IN_BROWSER.map((name) => {
  const label = document.createElement('label');
  const box = document.createElement('input');
  Object.assign(box, { type: 'checkbox', name: 'adapter', value: name, checked: true });
  label.append(box, ` ${name}`);
  return label;
});
element('adapters', HTMLElement).append(...choices);

let worker: Worker | undefined;

function showProgress(adapter: string, done: number, total: number): void {
  const id = `progress-${adapter}`;
  let row = document.getElementById(id);
  if (row === null) {
    row = document.createElement('li');
    row.id = id;
    const bar = document.createElement('progress');
    bar.setAttribute('aria-label', `properties judged of ${adapter}`);
    row.append(document.createElement('span'), bar);
    progress.append(row);
  }
  const [name, bar] = row.children as unknown as [HTMLElement, HTMLProgressElement];
  name.textContent = `${adapter} ${done}/${total}`;
  Object.assign(bar, { max: total, value: done });
}

/** A link under which a form of the report can be saved or opened. */
function offer(id: string, content: string, type: string): void {
  const link = element(id, HTMLAnchorElement);
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([content], { type }));
}

function end(message: string): void {
  worker?.terminate();
  worker = undefined;
  start.disabled = false;
  stop.disabled = true;
  status.textContent = message;
}

function receive(message: WorkerMessage): void {
  switch (message.kind) {
    case 'progress':
      showProgress(message.adapter, message.done, message.total);
      break;
    case 'finished':
      element('summary', HTMLElement).textContent = message.text;
      offer('json', message.json, 'application/json');
      offer('html', message.html, 'text/html');
      results.hidden = false;
      end(message.passed ? 'Every MUST that could be judged holds.' : 'A MUST is broken.');
      break;
    case 'failed':
      end(`The run failed: ${message.message}`);
      break;
  }
}

function run(request: RunRequest): void {
  progress.replaceChildren();
  results.hidden = true;
  start.disabled = true;
  stop.disabled = false;
  status.textContent = 'Judging ...';
  const url = URL.createObjectURL(new Blob([textOf('worker')], { type: 'text/javascript' }));
  worker = new Worker(url);
  worker.addEventListener('message', ({ data }: MessageEvent<WorkerMessage>) => receive(data));
  worker.addEventListener('error', ({ message }) => end(`The worker failed: ${message}`));
  worker.postMessage(request);
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const data = new FormData(form);
  const only = element('only', HTMLInputElement)
    .value.split(/[\s,]+/)
    .filter((key) => key !== '');
  run({
    adapters: data.getAll('adapter').map(String),
    only: only.length === 0 ? undefined : only,
    seed: Number(data.get('seed')),
    planted: data.has('planted'),
    wasmUrl: `data:application/wasm;base64,${textOf('tfjs-wasm').trim()}`,
  });
});
stop.addEventListener('click', () => end('Stopped.'));
