/** An element of the page by its id. Throws when the page has none of that kind. */
export function element<T extends Element>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

/** A range input whose number is a function of its position, with its value shown and spoken. */
export interface Slider {
  readonly value: number;
  /** Moves it without a call of `changed`. */
  set(value: number): void;
}

/** `logarithmic`: the input's range holds decimal logarithms. `show`: the value in words, for the eye and the screen reader. */
export function slider(
  id: string,
  options: { readonly logarithmic?: boolean; readonly show: (value: number) => string },
  changed: (value: number) => void,
): Slider {
  const input = element(id, HTMLInputElement);
  const output = element(`${id}-value`, HTMLOutputElement);
  // Two significant digits are what the slider can aim at.
  const read = (): number =>
    options.logarithmic === true ? Number((10 ** input.valueAsNumber).toPrecision(2)) : input.valueAsNumber;
  const tell = (): void => {
    const text = options.show(read());
    output.textContent = text;
    input.setAttribute('aria-valuetext', text);
  };
  input.addEventListener('input', () => {
    tell();
    changed(read());
  });
  tell();
  return {
    get value() {
      return read();
    },
    set: (value) => {
      input.valueAsNumber = options.logarithmic === true ? Math.log10(value) : value;
      tell();
    },
  };
}

/** Whether the visitor asked their system for less motion. */
export function prefersStillness(): boolean {
  return matchMedia('(prefers-reduced-motion: reduce)').matches;
}

/** A colour of the style sheet in 8-bit sRGB, as the theme in force has it: `light-dark()` is only resolved in use. */
export function colorOf(variable: string): readonly [red: number, green: number, blue: number] {
  const probe = document.createElement('span');
  probe.style.color = `var(${variable})`;
  document.body.append(probe);
  const [red = 0, green = 0, blue = 0] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? []).map(Number);
  probe.remove();
  return [red, green, blue];
}
