import { drawChart, heightOf } from '../charts/draw.ts';
import type { Drawn } from '../charts/draw.ts';
import type { Extent, Line } from '../charts/lines.ts';
import { extentOf, isLogarithmic, linesOf } from '../charts/lines.ts';
import type { Axis, Block, Chart, View } from '../charts/model.ts';
import { firstView, strokeOf } from '../charts/model.ts';
import { formatValue } from '../charts/ticks.ts';
import { download, fileName, make, makeSvg } from './dom.ts';
import { csvOf, jsonOf, pictureOf, savePng, saveSvg } from './exports.ts';

/** Lines that a reading lists: those nearest to the pointer where there are more. */
const READ = 12;
/** Pixels that a drag must be long to be a zoom. */
const DRAG = 8;

interface Place {
  readonly chart: Chart;
  readonly figure: HTMLElement;
  readonly holder: HTMLElement;
  lines: readonly Line[];
  drawn?: Drawn;
  /** Where the keyboard's ruler stands, in values of the x axis. */
  at?: number;
}

/** The charts of a block under one legend and one set of controls. */
export class BlockView {
  readonly #block: Block;
  readonly #root: HTMLElement;
  readonly #places: Place[] = [];
  readonly #extents = new Map<string, Extent | undefined>();
  readonly #visible = new Set<Place>();
  readonly #spoken = make('p', { className: 'unseen' });
  readonly #from = make('input', { type: 'number', step: 'any' });
  readonly #to = make('input', { type: 'number', step: 'any' });
  #view: View;
  #pending = 0;

  constructor(root: HTMLElement, block: Block, view: View | undefined) {
    this.#root = root;
    this.#block = block;
    const known = view !== undefined && block.axes.some(({ column }) => column === view.axis);
    this.#view = known ? view : firstView(block);
    this.#spoken.setAttribute('aria-live', 'polite');
    root.append(this.#spoken);
    for (const figure of root.querySelectorAll<HTMLElement>('figure[data-chart]')) {
      const chart = block.charts[Number(figure.dataset['chart'])];
      const holder = figure.querySelector<HTMLElement>('.plot-place');
      if (chart !== undefined && holder !== null) this.#places.push({ chart, figure, holder, lines: [] });
    }
    this.#controls();
    this.#legend();
    for (const place of this.#places) this.#listen(place);
    this.#watch();
  }

  get view(): View {
    return this.#view;
  }

  /** Draws every chart now, as for printing. */
  drawAll(): void {
    this.#compute();
    for (const place of this.#places) this.#draw(place);
  }

  #change(change: Partial<View>): void {
    const { range, ...rest } = { ...this.#view, ...change };
    this.#view = range === undefined ? rest : { ...rest, range };
    cancelAnimationFrame(this.#pending);
    this.#pending = requestAnimationFrame(() => {
      this.#compute();
      for (const place of this.#places) delete place.drawn;
      for (const place of this.#visible) this.#draw(place);
    });
  }

  #axis(): Axis {
    const { axes } = this.#block;
    return axes.find(({ column }) => column === this.#view.axis) ?? (axes[0] as Axis);
  }

  /** What each chart shows, and the axes that each row shares. */
  #compute(): void {
    for (const place of this.#places) place.lines = linesOf(this.#block, place.chart, this.#view);
    const rows = new Map<string, Place[]>();
    for (const place of this.#places) rows.set(place.chart.row, [...(rows.get(place.chart.row) ?? []), place]);
    for (const [row, places] of rows) {
      const [first] = places;
      const options = {
        logarithmic: first !== undefined && isLogarithmic(first.chart, this.#view),
        logarithmicX: this.#axis().logarithmic === true,
        view: this.#view,
      };
      this.#extents.set(row, extentOf(places.map(({ lines }) => lines), options)); // prettier-ignore
    }
    const { range } = this.#view;
    const whole = [...this.#extents.values()].find((extent) => extent !== undefined)?.x;
    this.#from.value = String(range?.[0] ?? whole?.[0] ?? '');
    this.#to.value = String(range?.[1] ?? whole?.[1] ?? '');
  }

  #draw(place: Place): void {
    const { chart, holder, lines } = place;
    const width = Math.max(240, Math.min(620, Math.round(holder.clientWidth) || 420));
    const drawn = drawChart(lines, {
      document,
      width,
      height: heightOf(width),
      x: this.#axis(),
      y: chart.y,
      logarithmic: isLogarithmic(chart, this.#view),
      extent: this.#extents.get(chart.row),
      clip: this.#view.range !== undefined,
    });
    drawn.svg.setAttribute('aria-hidden', 'true');
    holder.replaceChildren(drawn.svg);
    place.drawn = drawn;
  }

  /** Charts are drawn when they come near the window: a page with a hundred opens as fast as one with three. */
  #watch(): void {
    const near = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          const place = this.#places.find(({ holder }) => holder === target);
          if (place === undefined) continue;
          if (!isIntersecting) {
            this.#visible.delete(place);
            continue;
          }
          this.#visible.add(place);
          if (place.drawn === undefined) this.#draw(place);
        }
      },
      { rootMargin: '300px' },
    );
    this.#compute();
    for (const { holder } of this.#places) near.observe(holder);
    let { innerWidth } = window;
    addEventListener('resize', () => {
      if (window.innerWidth === innerWidth) return;
      ({ innerWidth } = window);
      if (this.#root.isConnected) this.#change({});
    });
  }

  #controls(): void {
    const { axes, charts, curves, arms } = this.#block;
    const bar = make('div', { className: 'controls' });
    bar.setAttribute('role', 'group');
    bar.setAttribute('aria-label', 'How the charts below are drawn');
    const choice = (title: string, options: readonly (readonly [value: string, text: string])[], value: string, change: (value: string) => void): void => {
      const select = make('select', {}, ...options.map(([key, text]) => make('option', { value: key, selected: key === value }, text)));
      select.addEventListener('change', () => change(select.value));
      bar.append(make('label', {}, `${title} `, select));
    }; // prettier-ignore
    if (axes.length > 1) {
      choice('x axis', axes.map(({ column, label }) => [column, label] as const), this.#view.axis, (axis) => {
        const { range: _, ...rest } = this.#view;
        this.#view = rest;
        this.#change({ axis });
      }); // prettier-ignore
    }
    choice('y axis', [['own', charts.some(({ y }) => y.logarithmic === true) && charts.some(({ y }) => y.logarithmic !== true) ? 'losses logarithmic' : 'as it is'], ['linear', 'linear'], ['logarithmic', 'logarithmic']], this.#view.scale, (scale) => this.#change({ scale: scale as View['scale'] })); // prettier-ignore
    const several = arms.some((_, arm) => curves.filter((curve) => curve.arm === arm).length > 1);
    if (several) {
      choice('seeds', [['mean', 'mean and band'], ['each', 'each by itself']], this.#view.seeds, (seeds) => this.#change({ seeds: seeds as View['seeds'] })); // prettier-ignore
    }
    if (axes.some(({ whole }) => whole === true)) {
      const amount = make('input', {
        type: 'range',
        min: '0',
        max: '0.99',
        step: '0.01',
        value: String(this.#view.smoothing),
      });
      const shown = make('output', {}, amount.value);
      amount.addEventListener('input', () => {
        shown.textContent = amount.value;
        this.#change({ smoothing: amount.valueAsNumber });
      });
      bar.append(make('label', {}, 'smoothing ', amount, shown));
      const cut = make('input', { type: 'checkbox', checked: this.#view.cut });
      cut.addEventListener('change', () => this.#change({ cut: cut.checked }));
      bar.append(make('label', {}, cut, 'leave a steep start out'));
    }
    const zoom = (): void => {
      const [from, to] = [this.#from.valueAsNumber, this.#to.valueAsNumber];
      if (from < to) this.#change({ range: [from, to] });
    };
    for (const input of [this.#from, this.#to]) input.addEventListener('change', zoom);
    const all = make('button', { type: 'button' }, 'all');
    all.addEventListener('click', () => this.#unzoom());
    bar.append(make('label', {}, 'from ', this.#from), make('label', {}, 'to ', this.#to), all);
    const name = this.#block.id;
    for (const [text, ending, content] of [
      ['CSV', 'csv', () => new Blob([csvOf(this.#block)], { type: 'text/csv' })],
      ['JSON', 'json', () => new Blob([jsonOf(this.#block, this.#view)], { type: 'application/json' })],
    ] as const) {
      const button = make(
        'button',
        { type: 'button', title: `All that these charts are drawn from, as ${text}` },
        text,
      );
      button.addEventListener('click', () => download(fileName(name, ending), content()));
      bar.append(button);
    }
    this.#root.prepend(bar);
    for (const { chart, figure } of this.#places) {
      const save = make('span', { className: 'save' });
      for (const [text, act] of [
        ['SVG', (picture: SVGElement) => saveSvg(picture, chart.title)],
        ['PNG', (picture: SVGElement) => void savePng(picture, chart.title)],
      ] as const) {
        const button = make('button', { type: 'button' }, text);
        button.setAttribute('aria-label', `${chart.title} as ${text}`);
        button.addEventListener('click', () => {
          const place = this.#places.find((one) => one.chart === chart);
          if (place === undefined) return;
          if (place.drawn === undefined) this.#draw(place);
          if (place.drawn !== undefined) act(pictureOf(place.drawn.svg, chart, this.#keys(place)));
        });
        save.append(button);
      }
      figure.querySelector('figcaption')?.append(save);
    }
  }

  /** The legend of one chart: the arms that it shows. */
  #keys({ lines }: Place): { label: string; key: Element | null }[] {
    const labels = [...new Set(lines.map(({ arm }) => arm.label))];
    const items = [...this.#root.querySelectorAll('.legend li')];
    return labels.map((label) => ({
      label,
      key: items.find(({ textContent }) => textContent === label)?.querySelector('.key') ?? null,
    }));
  }

  #legend(): void {
    for (const item of this.#root.querySelectorAll<HTMLElement>('.legend > li')) {
      const label = item.textContent;
      const button = make(
        'button',
        { type: 'button', title: 'A click takes it away; with Alt or a double click it stands alone' },
        ...item.childNodes,
      );
      const press = (): void => button.setAttribute('aria-pressed', String(!this.#view.hidden.has(label)));
      press();
      const others = [...this.#root.querySelectorAll('.legend > li')].map(({ textContent }) => textContent);
      const alone = (): void => this.#hide(new Set(others.filter((other) => other !== label)));
      button.addEventListener('click', (event) => {
        const hidden = new Set(this.#view.hidden);
        if (event.altKey) {
          alone();
          return;
        }
        if (hidden.has(label)) hidden.delete(label);
        else hidden.add(label);
        this.#hide(hidden);
      });
      button.addEventListener('dblclick', alone);
      item.replaceChildren(button);
    }
    const { curves } = this.#block;
    const seeds = [...new Set(curves.map(({ name }) => name))];
    if (
      seeds.length < 2 ||
      seeds.length > 200 ||
      !this.#block.arms.some((_, arm) => curves.filter((curve) => curve.arm === arm).length > 1)
    )
      return;
    const list = make('ul', { className: 'legend' });
    for (const name of seeds) {
      const box = make('input', { type: 'checkbox', checked: !this.#view.hidden.has(name) });
      box.addEventListener('change', () => {
        const hidden = new Set(this.#view.hidden);
        if (box.checked) hidden.delete(name);
        else hidden.add(name);
        this.#hide(hidden);
      });
      list.append(make('li', {}, make('label', {}, box, ` ${name}`)));
    }
    const fold = make(
      'details',
      { className: 'legend-fold' },
      make('summary', {}, `Single runs: ${seeds.length}`),
      list,
    );
    this.#root.querySelector('.row')?.before(fold);
  }

  #hide(hidden: ReadonlySet<string>): void {
    for (const button of this.#root.querySelectorAll('.legend button')) {
      button.setAttribute('aria-pressed', String(!hidden.has(button.textContent)));
    }
    this.#change({ hidden });
  }

  #unzoom(): void {
    const { range: _, ...rest } = this.#view;
    this.#view = rest;
    this.#change({});
  }

  #listen(place: Place): void {
    const { holder, chart } = place;
    holder.tabIndex = 0;
    holder.setAttribute('role', 'img');
    const said = holder.querySelector('svg')?.getAttribute('aria-label') ?? chart.title;
    holder.setAttribute('aria-label', `${said}. Arrow keys read values, plus and minus zoom.`);
    let pressed: { readonly x: number; readonly id: number } | undefined;
    const inside = (event: PointerEvent): number => event.clientX - holder.getBoundingClientRect().left;
    holder.addEventListener('pointermove', (event) => {
      if (place.drawn === undefined) return;
      if (pressed !== undefined) this.#brush(place, pressed.x, inside(event));
      else this.#read(place, place.drawn.fromX(inside(event)), event.clientY - holder.getBoundingClientRect().top);
    });
    holder.addEventListener('pointerleave', () => this.#unread());
    holder.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || event.pointerType === 'touch') return;
      pressed = { x: inside(event), id: event.pointerId };
      holder.setPointerCapture(event.pointerId);
    });
    holder.addEventListener('pointerup', (event) => {
      const from = pressed?.x;
      pressed = undefined;
      this.#unread();
      if (from === undefined || place.drawn === undefined || Math.abs(inside(event) - from) < DRAG) return;
      const ends = [place.drawn.fromX(from), place.drawn.fromX(inside(event))].sort((a, b) => a - b) as [
        number,
        number,
      ];
      this.#change({ range: ends });
    });
    holder.addEventListener('dblclick', () => this.#unzoom());
    holder.addEventListener('blur', () => this.#unread());
    holder.addEventListener('keydown', (event) => this.#key(place, event));
  }

  #key(place: Place, event: KeyboardEvent): void {
    const xs = [...new Set(place.lines.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
    const extent = this.#extents.get(place.chart.row);
    if (xs.length === 0 || extent === undefined) return;
    const [from, to] = extent.x;
    const at = place.at ?? to;
    const nearest = xs.reduce((best, x) => (Math.abs(x - at) < Math.abs(best - at) ? x : best), xs[0] as number);
    const index = xs.indexOf(nearest);
    const step = event.shiftKey ? Math.max(1, Math.round(xs.length / 20)) : 1;
    const last = xs.at(-1) ?? to;
    const zoomed = (factor: number): void => {
      const half = ((to - from) / 2) * factor;
      const low = Math.max(xs[0] as number, nearest - half);
      const high = Math.min(last, nearest + half);
      if (factor > 1 && low <= (xs[0] as number) && high >= last) this.#unzoom();
      else if (low < high) this.#change({ range: [low, high] });
    };
    const move = (to_: number): void => {
      place.at = xs[Math.max(0, Math.min(xs.length - 1, to_))] as number;
      this.#read(place, place.at);
      const values = this.#readings(place, place.at).map(({ line, y }) => `${line.label} ${formatValue(y)}`);
      this.#spoken.textContent = `${this.#axis().label} ${formatValue(place.at)}: ${values.slice(0, READ).join('; ')}`;
    };
    const keys: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => move(place.at === undefined ? xs.length - 1 : index - step),
      ArrowRight: () => move(place.at === undefined ? 0 : index + step),
      Home: () => move(0),
      End: () => move(xs.length - 1),
      '+': () => zoomed(0.5),
      '-': () => zoomed(2),
      Escape: () => {
        this.#unread();
        this.#unzoom();
      },
    };
    const act = keys[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  /** Each line's point that is nearest to x. */
  #readings({ lines }: Place, x: number): { line: Line; x: number; y: number }[] {
    return lines.flatMap((line) => {
      let [low, high] = [0, line.points.length - 1];
      if (high < 0) return [];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((line.points[middle] as readonly [number, number])[0] < x) low = middle + 1;
        else high = middle;
      }
      const [here, before] = [line.points[low], line.points[low - 1]];
      const point = before !== undefined && here !== undefined && x - before[0] < here[0] - x ? before : here;
      if (point === undefined || !Number.isFinite(point[1]) || (line.faint && line.count > 1)) return [];
      const [first, last] = [line.points[0], line.points.at(-1)];
      const beyond = x > (last?.[0] ?? x) + 1e-9 || x < (first?.[0] ?? x) - 1e-9;
      return beyond && Math.abs(point[0] - x) > 1 ? [] : [{ line, x: point[0], y: point[1] }];
    });
  }

  /** Reads all curves off at x: a ruler in every chart of the block, and the values beside the pointer. */
  #read(place: Place, x: number, pointerY?: number): void {
    this.#unread();
    const own = this.#readings(place, x);
    const nearest = own.reduce<number | undefined>((best, { x: at }) => (best === undefined || Math.abs(at - x) < Math.abs(best - x) ? at : best), undefined); // prettier-ignore
    if (nearest === undefined) return;
    for (const other of this.#visible) this.#rule(other, nearest);
    const { drawn, holder, chart } = place;
    if (drawn === undefined) return;
    const y = pointerY ?? 0;
    const listed = [...own]
      .sort((a, b) => Math.abs(drawn.toY(a.y) - y) - Math.abs(drawn.toY(b.y) - y))
      .slice(0, READ)
      .sort((a, b) => b.y - a.y);
    const box = make('div', { className: 'reading' }, make('p', {}, `${this.#axis().label} ${formatValue(nearest)}`));
    box.setAttribute('aria-hidden', 'true');
    for (const { line, y: value } of listed) {
      const key = makeSvg('svg', { class: 'key', viewBox: '0 0 30 8' });
      const { colour, dash } = strokeOf(line.arm);
      key.append(makeSvg('line', { x1: 1, x2: 29, y1: 4, y2: 4, stroke: colour, 'stroke-width': 3, 'stroke-dasharray': dash, 'stroke-opacity': line.faint ? 0.5 : 1 })); // prettier-ignore
      const range = line.band?.find(([at]) => at === nearest);
      const spread = range === undefined ? '' : ` (${formatValue(range[1])} to ${formatValue(range[2])})`;
      box.append(make('div', {}, key, make('span', {}, line.label), make('b', {}, `${formatValue(value)}${spread}`)));
    }
    if (own.length > listed.length) box.append(make('div', {}, `and ${own.length - listed.length} more`));
    holder.append(box);
    const width = holder.clientWidth;
    const left = drawn.toX(nearest);
    if (left < width / 2) box.style.left = `${left + 12}px`;
    else box.style.right = `${width - left + 12}px`;
    box.title = chart.title;
  }

  #rule({ drawn, lines, ...rest }: Place, x: number): void {
    const extent = this.#extents.get(rest.chart.row);
    if (drawn === undefined || extent === undefined || x < extent.x[0] || x > extent.x[1]) return;
    const height = Number(drawn.svg.getAttribute('height'));
    const at = drawn.toX(x);
    drawn.svg.append(makeSvg('line', { class: 'ruler', x1: at, x2: at, y1: 20, y2: height - 38 }));
    for (const { line, x: px, y } of this.#readings({ drawn, lines, ...rest }, x)) {
      if (line.faint || px !== x || y < extent.y[0] || y > extent.y[1]) continue;
      drawn.svg.append(
        makeSvg('circle', { class: 'mark', cx: at, cy: drawn.toY(y), r: 3.2, fill: strokeOf(line.arm).colour }),
      );
    }
  }

  #brush({ drawn }: Place, from: number, to: number): void {
    this.#unread();
    if (drawn === undefined) return;
    const height = Number(drawn.svg.getAttribute('height'));
    drawn.svg.append(makeSvg('rect', { class: 'brush', x: Math.min(from, to), width: Math.abs(to - from), y: 20, height: height - 58 })); // prettier-ignore
  }

  #unread(): void {
    for (const extra of this.#root.querySelectorAll('.reading, .ruler, .brush, .mark')) extra.remove();
  }
}
