/** An element with its properties and what is in it. Text goes in as text. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** An element of SVG. */
export function makeSvg(tag: string, attributes: Readonly<Record<string, string | number>> = {}): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** Hands a file to whoever looks at the page. */
export function download(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = make('a', { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A file name from a title. */
export function fileName(title: string, ending: string): string {
  return `${
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}.=]+/gu, '-')
      .replaceAll(/^-|-$/g, '')
      .slice(0, 80) || 'chart'
  }.${ending}`;
}
