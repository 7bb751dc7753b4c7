/** The lower half of the page: FCNet on the embedded digits, trained in a worker with and without learning rate dropout. */
import { MASK_KINDS, RULES } from 'learning-rate-dropout/spec';
import { element, slider } from '../dom.ts';
import { drawChart } from '../../report/charts/draw.ts';
import { extentOf } from '../../report/charts/lines.ts';
import type { Line } from '../../report/charts/lines.ts';
import type { Axis, View } from '../../report/charts/model.ts';
import type { Answer, Arms, Backend, MaskName, Rates, Request, TrainingSettings } from './messages.ts';
import { BACKENDS, MASKS } from './messages.ts';

type Rule = TrainingSettings['rule'];
type Point = readonly [epoch: number, value: number];
type Curves = Readonly<Record<keyof Arms, Point[]>>;

const isRule = (value: string): value is Rule => Object.hasOwn(RULES, value) && value !== 'sgdm-avg';
const isMask = (value: string): value is MaskName => Object.hasOwn(MASKS, value);
const isBackend = (value: string): value is Backend => (BACKENDS as readonly string[]).includes(value);

const NAMES: Readonly<Record<Backend, string>> = {
  webgpu: 'WebGPU',
  wasm: 'WebAssembly',
  webgl: 'WebGL',
  cpu: 'JavaScript',
};
/** Milliseconds between two drawings of the curves. */
const REDRAW = 150;
/** Points of a curve beyond which every second one is left out. */
const POINTS = 600;

/** What the masked arm is called. */
const MASK_NAMES: Readonly<Record<MaskName, string>> = {
  lrd: 'LRD',
  'lrd-inverse': 'LRD times 1/p',
  'skip-update': 'SkipUpdate',
  magma: 'Magma',
  cautious: 'Cautious',
};
const EPOCHS: Axis = { column: 'epoch', label: 'epoch' };
const LOSS: Axis = { column: 'loss', label: "training loss, last epoch's mean, nats", logarithmic: true };
const ACCURACY: Axis = { column: 'accuracy', label: 'test accuracy, %' };
const VIEW: View = { axis: 'epoch', scale: 'own', smoothing: 0, seeds: 'each', cut: false, hidden: new Set() };

const emptyCurves = (): Curves => ({ plain: [], lrd: [] });

function push(curve: Point[], point: Point): void {
  curve.push(point);
  if (curve.length > POINTS) curve.splice(0, curve.length, ...curve.filter((_, i) => i % 2 === 0));
}

/** Starts the lower half of the page. */
export function startTraining(): void {
  const start = element('train-start', HTMLButtonElement);
  const reset = element('train-reset', HTMLButtonElement);
  const rule = element('train-rule', HTMLSelectElement);
  const width = element('train-width', HTMLSelectElement);
  const mask = element('train-mask', HTMLSelectElement);
  const against = element('train-against', HTMLSelectElement);
  const keepInput = element('train-keep', HTMLInputElement);
  const backend = element('train-backend', HTMLSelectElement);
  const using = element('train-using', HTMLElement);
  const speed = element('train-speed', HTMLElement);
  const position = element('train-position', HTMLElement);
  const events = element('train-events', HTMLElement);
  const live = element('train-live', HTMLElement);
  const scores = {
    plain: element('plain-score', HTMLElement),
    lrd: element('lrd-score', HTMLElement),
  };
  const labels = { plain: element('plain-label', HTMLElement), lrd: element('lrd-label', HTMLElement) };
  const charts = { loss: element('loss-chart', HTMLElement), accuracy: element('accuracy-chart', HTMLElement) };

  let worker: Worker;
  let seed = 1;
  let epoch = 0;
  let step = 0;
  /** Whether the worker holds a training. */
  let begun = false;
  let running = false;
  let ready = false;
  let loss = emptyCurves();
  let accuracy = emptyCurves();
  let drawn = 0;
  let waiting: ReturnType<typeof setTimeout> | undefined;

  const send = (request: Request): void => worker.postMessage(request);
  const keep = slider('train-keep', { show: (p) => p.toFixed(2) }, () => change());
  const rate = slider('train-rate', { logarithmic: true, show: (alpha) => String(alpha) }, () => change());

  const note = (text: string): void => {
    const item = document.createElement('li');
    item.textContent = text;
    events.prepend(item);
    while (events.childElementCount > 4) events.lastElementChild?.remove();
  };
  /** The last change noted, so that a slider that is dragged leaves one line. */
  let noted: ReturnType<typeof setTimeout> | undefined;
  const maskName = (): MaskName => (isMask(mask.value) ? mask.value : 'lrd');
  /** Whether the mask is drawn, with a keep probability. */
  const draws = (): boolean => MASK_KINDS[MASKS[maskName()].kind].draw === 'bernoulli';
  const controlled = (): boolean => draws() && against.value === 'control';
  const rates = (): Rates => ({ keepProbability: keep.value, learningRate: rate.value, control: controlled() });
  const names = (): Readonly<Record<keyof Arms, string>> => ({
    plain: controlled() ? 'no mask, rate p × α' : 'no mask',
    lrd: MASK_NAMES[maskName()],
  });
  const change = (): void => {
    if (!begun) return;
    send({ kind: 'change', rates: rates() });
    clearTimeout(noted);
    const at = epoch;
    noted = setTimeout(() => {
      if (!begun) return;
      const p = draws() ? `p = ${keep.value.toFixed(2)}, ` : '';
      const other = controlled() ? `, without a mask ${Number((rate.value * keep.value).toPrecision(3))}` : '';
      note(`From epoch ${at.toFixed(1)}: ${p}learning rate ${rate.value}${other}.`);
    }, 400);
  };
  const showArms = (): void => {
    const { plain, lrd } = names();
    labels.plain.textContent = `Test accuracy, ${plain}`;
    labels.lrd.textContent = `Test accuracy, ${lrd}`;
    keepInput.disabled = against.disabled = !draws();
  };

  const draw = (): void => {
    drawn = performance.now();
    const chart = (box: HTMLElement, curves: Curves, y: Axis, cut: boolean): void => {
      const lines = (['plain', 'lrd'] as const).map((key, style): Line => {
        const label = names()[key];
        return { label, arm: { label, style }, points: curves[key], faint: false, count: 1 };
      });
      const logarithmic = y.logarithmic === true;
      const extent = extentOf([lines], { logarithmic, logarithmicX: false, view: { ...VIEW, cut } });
      const width = Math.max(240, box.clientWidth);
      const { svg } = drawChart(lines, { document, width, height: 240, x: EPOCHS, y, logarithmic, extent });
      svg.setAttribute('role', 'img');
      svg.setAttribute('aria-label', y.label);
      box.replaceChildren(svg);
    };
    chart(charts.loss, loss, LOSS, false);
    chart(charts.accuracy, accuracy, ACCURACY, true);
  };
  const drawSoon = (): void => {
    if (waiting !== undefined) return;
    waiting = setTimeout(
      () => {
        waiting = undefined;
        draw();
      },
      Math.max(0, REDRAW - (performance.now() - drawn)),
    );
  };

  const showState = (): void => {
    start.disabled = !ready;
    start.textContent = running ? 'Pause' : begun ? 'Go on' : 'Train';
    reset.disabled = !begun;
  };
  const forget = (): void => {
    if (begun) send({ kind: 'pause' });
    begun = false;
    running = false;
    epoch = 0;
    step = 0;
    loss = emptyCurves();
    accuracy = emptyCurves();
    clearTimeout(noted);
    events.replaceChildren();
    position.textContent = speed.textContent = '–';
    scores.plain.textContent = scores.lrd.textContent = '–';
    showState();
    draw();
  };
  const begin = (): void => {
    if (!isRule(rule.value)) return;
    const settings = { rule: rule.value, mask: maskName(), ...rates(), width: Number(width.value), seed };
    send({ kind: 'begin', settings });
    begun = true;
    seed += 1;
  };

  const receive = (answer: Answer): void => {
    switch (answer.kind) {
      case 'using': {
        ready = true;
        const on = answer.on.charAt(0).toUpperCase() + answer.on.slice(1);
        using.textContent = `${on}; ${answer.why}.`;
        for (const option of backend.options) {
          const other = answer.others.find((one) => one.backend === option.value);
          option.disabled = other?.missing !== undefined;
          option.title = other?.missing ?? '';
          if (other !== undefined) {
            option.textContent = NAMES[other.backend] + (other.missing === undefined ? '' : ': not here');
          }
        }
        backend.value = answer.backend;
        backend.disabled = false;
        if (begun) note(`From epoch ${epoch.toFixed(1)}: ${NAMES[answer.backend]}.`);
        showState();
        break;
      }
      case 'begun':
        note(`Two networks of ${answer.parameters.toLocaleString('en')} parameters, alike at the start.`);
        break;
      case 'progress':
        // What was under way when the training was dropped.
        if (!begun) break;
        ({ epoch, step } = answer);
        push(loss.plain, [epoch, answer.loss.plain]);
        push(loss.lrd, [epoch, answer.loss.lrd]);
        position.textContent = `${epoch.toFixed(1)} (step ${step})`;
        speed.textContent = `${answer.stepsPerSecond < 10 ? answer.stepsPerSecond.toFixed(1) : Math.round(answer.stepsPerSecond)} steps/s`;
        drawSoon();
        break;
      case 'tested':
        if (!begun) break;
        push(accuracy.plain, [answer.epoch, answer.accuracy.plain]);
        push(accuracy.lrd, [answer.epoch, answer.accuracy.lrd]);
        scores.plain.textContent = `${answer.accuracy.plain.toFixed(1)} %`;
        scores.lrd.textContent = `${answer.accuracy.lrd.toFixed(1)} %`;
        drawSoon();
        break;
      case 'state':
        running = answer.running && begun;
        showState();
        live.textContent = running
          ? 'Training.'
          : begun
            ? `Paused at epoch ${epoch.toFixed(1)}; test accuracy without a mask ${scores.plain.textContent}, with ${names().lrd} ${scores.lrd.textContent}.`
            : '';
        break;
      case 'failed':
        note(answer.message);
        live.textContent = answer.message;
        backend.disabled = false;
        showState();
        break;
    }
  };

  start.addEventListener('click', () => {
    if (running) {
      send({ kind: 'pause' });
      return;
    }
    if (!begun) begin();
    send({ kind: 'run' });
  });
  reset.addEventListener('click', forget);
  rule.addEventListener('change', () => {
    if (isRule(rule.value)) rate.set(RULES[rule.value].hyper.learningRate.default);
    forget();
  });
  width.addEventListener('change', forget);
  mask.addEventListener('change', () => {
    showArms();
    forget();
  });
  against.addEventListener('change', () => {
    showArms();
    change();
    draw();
  });
  backend.addEventListener('change', () => {
    if (!isBackend(backend.value)) return;
    backend.disabled = true;
    using.textContent = `Starting ${NAMES[backend.value]} ...`;
    send({ kind: 'use', backend: backend.value });
  });
  new ResizeObserver(drawSoon).observe(charts.loss);
  if (isRule(rule.value)) rate.set(RULES[rule.value].hyper.learningRate.default);
  showArms();
  draw();
  showState();

  const open = (): void => {
    const source = new Blob([element('worker', HTMLElement).textContent], { type: 'text/javascript' });
    const url = URL.createObjectURL(source);
    worker = new Worker(url);
    worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => receive(data));
    worker.addEventListener('error', ({ message }) =>
      receive({ kind: 'failed', message: `The worker failed: ${message}` }),
    );
    const wasm = element('tfjs-wasm', HTMLElement).textContent.trim();
    send({ kind: 'open', wasmUrl: `data:application/wasm;base64,${wasm}` });
  };
  // The worker's program stands at the end of the page, behind what is painted first.
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', open);
  else open();
}
