import { SaxesParser } from 'saxes';
import { JobError } from '../errors.ts';

/** An element with its children, or its text (trimmed) where it has none. */
interface Element {
  readonly name: string;
  readonly children: Element[];
  text: string;
}

/** Elements within elements; VOC's have four. More would be no annotation. */
const DEEPEST = 100;

/** A name as it is compared: some tools write capitals, or a namespace's prefix in front. */
const plainName = (name: string): string => name.slice(name.indexOf(':') + 1).toLowerCase();

/** The root element; attributes, comments and instructions are passed over. Throws what `fail` makes where the text is not well-formed. */
function parseXml(xml: string, fail: (what: string) => JobError): Element {
  const document: Element = { name: '', children: [], text: '' };
  const open = [document];
  const current = (): Element => open[open.length - 1] as Element;
  const parser = new SaxesParser();
  parser.on('opentag', ({ name }) => {
    if (open.length > DEEPEST) throw fail(`elements within elements deeper than ${DEEPEST}`);
    const element: Element = { name: plainName(name), children: [], text: '' };
    current().children.push(element);
    open.push(element);
  });
  parser.on('closetag', () => {
    const closed = open.pop() as Element;
    closed.text = closed.text.trim();
  });
  const add = (text: string): void => {
    current().text += text;
  };
  parser.on('text', add);
  parser.on('cdata', add);
  // Else the parser would go on after what is wrong.
  parser.on('error', ({ message }) => {
    throw fail(`is not well-formed XML (${message.replace(/^(\d+:\d+): /, 'at $1, ').replace(/\.$/, '')})`);
  });
  parser.write(xml).close();
  return document.children[0] as Element;
}

/** Corners in pixels. */
export interface Corners {
  readonly xmin: number;
  readonly ymin: number;
  readonly xmax: number;
  readonly ymax: number;
}

/** An object of a VOC annotation. */
export interface AnnotatedObject {
  /** The class's name, as in `person`. */
  readonly name: string;
  /** Hard to recognise: to be ignored in evaluation. False where the file does not say. */
  readonly difficult: boolean;
  /**
   * In pixels, edges between pixels: the file counts pixels from 1 and includes the last one, so `xmin` and `ymin` are one less than there. Widths and
   * overlaps are then those of VOC's development kit.
   */
  readonly box: Corners;
}

/** What a VOC annotation says. */
export interface Annotation {
  /** Of the picture; undefined where it is left out or zero, as some tools write it. */
  readonly size: { readonly width: number; readonly height: number } | undefined;
  /** Boxes as they stand there, which may be beyond the picture's edge. */
  readonly objects: readonly AnnotatedObject[];
  /** What is odd about it, a kind for each time that it was met, in words to stand after a count. */
  readonly odd: readonly string[];
}

/** How tools write a flag; where it is left out or empty it is not set. */
const NOT_SET = /^(0+([.,]0*)?|false|f|no|n|off|none|null|unspecified|unknown)?$/i;
const SET = /^(0*1([.,]0*)?|true|t|yes|y|on)$/i;

/** A number as tools write it: with a point, or the comma of the machine's own language. */
const NUMBER = /^[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?$/i;

/** Where an ampersand stands for itself, as tools write it that put texts together. */
const BARE = /&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\da-f]+);)/gi;

/** Some tools begin a file with a blank line, or fill it up with zeros. */
// oxlint-disable-next-line no-control-regex -- these are the zeros
const AROUND = /^[\s\ufeff]+|[\s\u0000]+$/g;

/**
 * Reads a VOC annotation (2007 to 2012, and what other tools write). Elements may come in any order. Throws a `JobError` that names the file for XML that
 * is not well-formed, and for a box, a number or a flag that cannot be understood.
 */
export function parseAnnotation(xml: string, path: string): Annotation {
  const fail = (what: string): JobError => new JobError(`${path}: ${what}`);
  const odd: string[] = [];
  const text = xml.replaceAll(AROUND, '');
  let root: Element;
  try {
    root = parseXml(text, fail);
  } catch (error) {
    const escaped = text.replaceAll(BARE, '&amp;');
    // Entities that a file makes itself are no letters of a text.
    if (escaped === text || text.includes('<!ENTITY')) throw error;
    root = parseXml(escaped, fail);
    odd.push('annotations with a bare &, taken as it stands');
  }
  if (root.name !== 'annotation') throw fail(`root element <${root.name}>; <annotation> expected`);
  const find = ({ children }: Element, wanted: string): Element | undefined =>
    children.find(({ name }) => name === wanted);
  const number = (parent: Element, name: string): number => {
    const found = find(parent, name);
    if (found === undefined) throw fail(`no <${name}> in <${parent.name}>`);
    const value = NUMBER.test(found.text) ? Number(found.text.replace(',', '.')) : NaN;
    if (!Number.isFinite(value)) throw fail(`<${name}> is ${JSON.stringify(found.text)}; a number expected`);
    return value;
  };
  const sizeElement = find(root, 'size');
  // Left out, empty or zero: some tools know the picture's name alone.
  const extent = (name: string): number =>
    sizeElement === undefined || (find(sizeElement, name)?.text ?? '') === '' ? 0 : number(sizeElement, name);
  const [width, height] = [extent('width'), extent('height')];
  if (width < 0 || height < 0) throw fail(`a size of ${width} x ${height}`);
  const sized = width > 0 && height > 0;
  if (!sized) odd.push("annotations without the picture's size");
  const objects: AnnotatedObject[] = [];
  // By themselves, or in an element around them all.
  const listed = root.children.flatMap((child) => (child.name === 'objects' ? child.children : [child]));
  for (const object of listed.filter(({ name }) => name === 'object')) {
    // Parts of a person have boxes of their own, deeper down: only direct children count.
    const name = find(object, 'name')?.text;
    if (name === undefined) throw fail('no <name> in <object>');
    if (name === '') throw fail('<name> of an object is empty');
    const corners = find(object, 'bndbox');
    if (corners === undefined) {
      odd.push('objects without a box, left out');
      continue;
    }
    const further = object.children.filter(({ name: other }) => other === 'bndbox').length - 1;
    for (let k = 0; k < further; k++) odd.push('further boxes of one object, left out');
    const [x, y] = [
      [number(corners, 'xmin'), number(corners, 'xmax')],
      [number(corners, 'ymin'), number(corners, 'ymax')],
    ] as const;
    if (x[0] > x[1] || y[0] > y[1]) odd.push('boxes with their corners exchanged');
    const all = [...x, ...y];
    if (all.every((value) => value >= 0 && value <= 1) && all.some((value) => value % 1 !== 0)) {
      odd.push('boxes in parts of the picture from 0 to 1, read as pixels');
    }
    const box = { xmin: Math.min(...x) - 1, ymin: Math.min(...y) - 1, xmax: Math.max(...x), ymax: Math.max(...y) };
    const flag = find(object, 'difficult')?.text ?? '';
    if (!SET.test(flag) && !NOT_SET.test(flag)) {
      throw fail(`<difficult> is ${JSON.stringify(flag)}; 0 or 1, true or false, yes or no expected`);
    }
    objects.push({ name, difficult: SET.test(flag), box });
  }
  return { size: sized ? { width, height } : undefined, objects, odd };
}

/** A box cut at the edges of a picture; undefined where nothing is left of it. */
export function cutBox({ xmin, ymin, xmax, ymax }: Corners, width: number, height: number): Corners | undefined {
  const cut = { xmin: Math.max(0, xmin), ymin: Math.max(0, ymin), xmax: Math.min(width, xmax), ymax: Math.min(height, ymax) }; // prettier-ignore
  return cut.xmax > cut.xmin && cut.ymax > cut.ymin ? cut : undefined;
}
