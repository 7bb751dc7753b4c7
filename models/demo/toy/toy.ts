/** The upper half of the page: descents on eq. (9) with and without learning rate dropout, side by side. */
import { element, slider } from '../dom.ts';
import type { DescentSettings } from './descent.ts';
import { Descent } from './descent.ts';
import { Plot, animate } from './plot.ts';
import type { Place, Point } from './surface.ts';
import { evaluate, placeOf } from './surface.ts';

type Rule = DescentSettings['rule'];

/** Large enough to get somewhere within `STEPS`, small enough not to leave the plane from everywhere in the box. */
const LEARNING_RATES: Readonly<Record<Rule, number>> = {
  sgdm: 1e-4,
  rmsprop: 1e-2,
  adam: 5e-2,
  amsgrad: 5e-2,
  // Its first five steps follow the bare gradient.
  radam: 5e-4,
  adamw: 5e-2,
};
/** Steps after which a descent has ended. */
const STEPS = 5000;
/** Descents beside the first that differ from it in their masks alone. */
const OTHERS = 10;
const PLACES: Readonly<Record<Place, string>> = {
  global: 'in the global minimum',
  local: 'in the local minimum',
  gone: 'has left the plane',
  elsewhere: '',
};

const isRule = (value: string): value is Rule => Object.hasOwn(LEARNING_RATES, value);

/** Starts the upper half of the page. */
export function startToy(): void {
  /** One of those from which the masks decide where a descent ends. */
  let start: Point = { x: -3.2, y: 1.8 };
  let seed = 1;
  let stop = (): void => undefined;
  let running = true;
  /** Steps owed to the clock, a fraction included. */
  let owed = 0;

  const rule = element('toy-rule', HTMLSelectElement);
  const others = element('toy-others', HTMLInputElement);
  const play = element('toy-play', HTMLButtonElement);
  const counts = element('toy-steps', HTMLElement);
  const live = element('toy-live', HTMLElement);
  const captions = { plain: element('plain-end', HTMLElement), lrd: element('lrd-end', HTMLElement) };
  const keep = slider('toy-keep', { show: (p) => p.toFixed(2) }, () => restart());
  const rate = slider('toy-rate', { logarithmic: true, show: (alpha) => String(alpha) }, () => restart());
  const speed = slider('toy-speed', { logarithmic: true, show: (n) => `${n} steps/s` }, () => undefined);

  const move = (to: Point): void => {
    start = to;
    restart();
  };
  const plots = {
    plain: new Plot(element('plain-plot', HTMLElement), '--plain', move),
    lrd: new Plot(element('lrd-plot', HTMLElement), '--lrd', move),
  };

  const make = (keepProbability: number, draws: number): Descent => {
    if (!isRule(rule.value)) throw new Error(`no rule ${rule.value}`);
    return new Descent({ rule: rule.value, learningRate: rate.value, keepProbability, start, seed, draws });
  };
  let descents = { plain: make(1, 1), lrd: make(keep.value, 1 + OTHERS) };

  const tell = (): void => {
    counts.textContent = `step ${descents.plain.steps} of ${STEPS}`;
    for (const arm of ['plain', 'lrd'] as const) {
      const at = descents[arm].at(0);
      const where = PLACES[placeOf(at)];
      captions[arm].textContent = where === '' ? `f = ${evaluate(at.x, at.y).f.toPrecision(3)}` : where;
    }
  };
  const advance = (count: number): boolean => {
    for (let i = 0; i < count && descents.plain.steps < STEPS; i++) {
      descents.plain.step();
      descents.lrd.step();
    }
    plots.plain.update();
    plots.lrd.update();
    tell();
    return descents.plain.steps < STEPS;
  };
  const showRunning = (): void => {
    play.textContent = running && descents.plain.steps < STEPS ? 'Pause' : 'Run';
  };
  const announce = (): void => {
    const paths = descents.lrd.paths.length;
    const ended = Array.from({ length: paths }, (_, draw) => placeOf(descents.lrd.at(draw)));
    const count = (place: Place): number => ended.filter((one) => one === place).length;
    const tally =
      paths === 1
        ? `with it ${captions.lrd.textContent}`
        : `with it ${count('global')} of ${paths} descents in the global minimum, ${count('local')} in the local one`;
    live.textContent = `After ${descents.plain.steps} steps: without LRD ${captions.plain.textContent}; ${tally}.`;
  };
  const run = (): void => {
    stop();
    running = true;
    showRunning();
    live.textContent = '';
    stop = animate((seconds) => {
      owed += seconds * speed.value;
      const count = Math.floor(owed);
      owed -= count;
      const more = advance(count);
      if (!more) {
        running = false;
        showRunning();
        announce();
      }
      return more;
    });
  };
  const pause = (): void => {
    stop();
    running = false;
    showRunning();
    announce();
  };
  function restart(): void {
    descents = { plain: make(1, 1), lrd: make(keep.value, others.checked ? 1 + OTHERS : 1) };
    plots.plain.show(descents.plain);
    plots.lrd.show(descents.lrd);
    tell();
    run();
  }

  rule.addEventListener('change', () => {
    if (isRule(rule.value)) rate.set(LEARNING_RATES[rule.value]);
    restart();
  });
  others.addEventListener('change', restart);
  play.addEventListener('click', () => {
    if (running) pause();
    else if (descents.plain.steps < STEPS) run();
    else restart();
  });
  element('toy-step', HTMLButtonElement).addEventListener('click', () => {
    if (running) pause();
    advance(1);
    showRunning();
  });
  element('toy-again', HTMLButtonElement).addEventListener('click', restart);
  element('toy-masks', HTMLButtonElement).addEventListener('click', () => {
    seed += 1;
    restart();
  });
  const repaint = (): void => {
    plots.plain.repaint();
    plots.lrd.repaint();
  };
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
  if (isRule(rule.value)) rate.set(LEARNING_RATES[rule.value]);
  restart();
}
