import { colorOf, prefersStillness } from '../dom.ts';
import type { Descent } from './descent.ts';
import { drawBackdrop, readPalette } from './backdrop.ts';
import type { Point } from './surface.ts';
import { BOX } from './surface.ts';

const [x0, x1] = BOX.x;
const [y0, y1] = BOX.y;
const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
const inBox = ({ x, y }: Point): Point => ({ x: clamp(x, x0, x1), y: clamp(y, y0, y1) });

const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

/** One panel: the surface, descents drawn on it as they go, and a handle at the starting point. */
export class Plot {
  readonly #canvas: HTMLCanvasElement;
  readonly #handle: HTMLButtonElement;
  readonly #dot: HTMLElement;
  readonly #color: string;
  #stroke = '';
  #backdrop: ImageData | undefined;
  #descent: Descent | undefined;
  /** Points of each path that are on the canvas. */
  #drawn = 0;

  /** @param color - the CSS variable of the first path */
  constructor(figure: HTMLElement, color: string, moved: (start: Point) => void) {
    const pick = <T extends HTMLElement>(selector: string, type: new () => T): T => {
      const found = figure.querySelector(selector);
      if (!(found instanceof type)) throw new Error(`a plot needs ${selector}`);
      return found;
    };
    this.#canvas = pick('canvas', HTMLCanvasElement);
    this.#handle = pick('.handle', HTMLButtonElement);
    this.#dot = pick('.dot', HTMLElement);
    this.#color = color;
    this.#listen(pick('.plane', HTMLElement), moved);
    new ResizeObserver(() => this.repaint()).observe(this.#canvas);
  }

  /** Everything anew: another size or theme. */
  repaint(): void {
    const scale = Math.min(2, devicePixelRatio);
    const [width, height] = [this.#canvas.clientWidth, this.#canvas.clientHeight].map((n) => Math.round(n * scale));
    if (width === undefined || height === undefined || width === 0 || height === 0) return;
    Object.assign(this.#canvas, { width, height });
    this.#backdrop = drawBackdrop(width, height, scale, readPalette());
    this.#stroke = `rgb(${colorOf(this.#color).join(' ')})`;
    this.#restart();
  }

  /** Shows another descent, from its beginning. */
  show(descent: Descent): void {
    this.#descent = descent;
    const { x, y } = descent.settings.start;
    this.#place(this.#handle, { x, y });
    this.#handle.setAttribute(
      'aria-label',
      `Starting point: x ${x.toFixed(2)}, y ${y.toFixed(2)}. Arrow keys move it, with Shift further.`,
    );
    this.#restart();
  }

  /** Draws what the descent did since. */
  update(): void {
    const context = this.#canvas.getContext('2d');
    if (this.#descent === undefined || this.#backdrop === undefined || context === null) return;
    const scale = this.#canvas.width / this.#canvas.clientWidth;
    const { paths, steps } = this.#descent;
    context.lineJoin = context.lineCap = 'round';
    // The first path last: it lies on top.
    for (let draw = paths.length - 1; draw >= 0; draw--) {
      const path = paths[draw] as number[];
      context.globalAlpha = draw === 0 ? 1 : 0.4;
      context.lineWidth = (draw === 0 ? 2.25 : 1) * scale;
      context.strokeStyle = this.#stroke;
      context.beginPath();
      context.moveTo(...this.#toCanvas(path[2 * this.#drawn] as number, path[2 * this.#drawn + 1] as number));
      for (let t = this.#drawn + 1; t <= steps; t++) {
        const [x, y] = [path[2 * t] as number, path[2 * t + 1] as number];
        if (!(Math.abs(x) < 50 && Math.abs(y) < 50)) break;
        context.lineTo(...this.#toCanvas(x, y));
      }
      context.stroke();
    }
    context.globalAlpha = 1;
    this.#drawn = steps;
    this.#place(this.#dot, this.#descent.at(0));
  }

  #restart(): void {
    this.#drawn = 0;
    if (this.#backdrop !== undefined) this.#canvas.getContext('2d')?.putImageData(this.#backdrop, 0, 0);
    this.update();
  }

  #toCanvas(x: number, y: number): [number, number] {
    return [((x - x0) / (x1 - x0)) * this.#canvas.width, ((y1 - y) / (y1 - y0)) * this.#canvas.height];
  }

  #place(mark: HTMLElement, { x, y }: Point): void {
    const inside = x >= x0 && x <= x1 && y >= y0 && y <= y1;
    mark.style.visibility = inside ? 'visible' : 'hidden';
    if (!inside) return;
    mark.style.left = `${((x - x0) / (x1 - x0)) * 100}%`;
    mark.style.top = `${((y1 - y) / (y1 - y0)) * 100}%`;
  }

  #listen(plane: HTMLElement, moved: (start: Point) => void): void {
    const follow = (event: PointerEvent): void => {
      const { left, top, width, height } = plane.getBoundingClientRect();
      const [x, y] = [(event.clientX - left) / width, (event.clientY - top) / height];
      moved(inBox({ x: x0 + x * (x1 - x0), y: y1 - y * (y1 - y0) }));
    };
    plane.addEventListener('pointerdown', (event) => {
      // On a touch screen the plane must not catch the finger that scrolls the page: only its handle does.
      if (event.button !== 0 || (event.pointerType === 'touch' && event.target !== this.#handle)) return;
      plane.setPointerCapture(event.pointerId);
      follow(event);
      this.#handle.focus({ preventScroll: true });
      event.preventDefault();
    });
    plane.addEventListener('pointermove', (event) => {
      if (plane.hasPointerCapture(event.pointerId)) follow(event);
    });
    plane.addEventListener('click', (event) => {
      if (event.pointerType === 'touch' && event.target !== this.#handle) follow(event);
    });
    this.#handle.addEventListener('keydown', (event) => {
      const step = STEPS[event.key];
      const start = this.#descent?.settings.start;
      if (step === undefined || start === undefined) return;
      event.preventDefault();
      const size = event.shiftKey ? 0.25 : 0.05;
      moved(inBox({ x: start.x + step[0] * size, y: start.y + step[1] * size }));
    });
  }
}

/** Calls `step` with the seconds since the last call, as long as it says true: at each frame, or at once for those who want no motion. */
export function animate(step: (seconds: number) => boolean): () => void {
  if (prefersStillness()) {
    while (step(1 / 30));
    return () => undefined;
  }
  let last: number | undefined;
  let frame = requestAnimationFrame(function next(now) {
    const seconds = Math.min(0.1, (now - (last ?? now - 16)) / 1000);
    last = now;
    if (step(seconds)) frame = requestAnimationFrame(next);
  });
  return () => cancelAnimationFrame(frame);
}
