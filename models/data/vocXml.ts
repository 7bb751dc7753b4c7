import { JobError } from '../errors.ts';

/** An element with its children, or its text (entities resolved, trimmed) where it has none. */
interface Element {
  readonly name: string;
  readonly children: Element[];
  text: string;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function resolve(text: string, fail: (what: string) => JobError): string {
  return text.replace(/&([^;\s]*);?/g, (whole, name: string) => {
    if (!whole.endsWith(';')) throw fail(`"${whole}" is not an entity`);
    const number = /^#(?:x([0-9a-f]+)|(\d+))$/i.exec(name);
    if (number !== null) {
      const code = number[1] === undefined ? Number(number[2]) : parseInt(number[1], 16);
      if (code <= 0x10ffff) return String.fromCodePoint(code);
    }
    const known = Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : undefined;
    if (known === undefined) throw fail(`"${whole}" is not an entity`);
    return known;
  });
}

/** Comments, CDATA, declarations and instructions, tags, and the text between them. */
const TOKEN = /<!--[\s\S]*?-->|<!\[CDATA\[([\s\S]*?)\]\]>|<[!?][^>]*>|<(\/?)([A-Za-z_][\w.:-]*)([^<>]*?)(\/?)>|[^<]+/y;

/** The root element. No namespaces, attributes ignored: all that VOC's annotations need. Throws what `fail` makes. */
function parseXml(xml: string, fail: (what: string) => JobError): Element {
  const document: Element = { name: '', children: [], text: '' };
  const open = [document];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < xml.length) {
    const at = TOKEN.lastIndex;
    const token = TOKEN.exec(xml);
    if (token === null) throw fail(`broken at character ${at}: ${JSON.stringify(xml.slice(at, at + 20))}`);
    const [whole, data, closing, name, , selfClosing] = token;
    const current = open[open.length - 1] as Element;
    if (data !== undefined) {
      current.text += data;
    } else if (name !== undefined) {
      if (closing === '/') {
        if (open.length === 1 || current.name !== name) throw fail(`</${name}> closes <${current.name}>`);
        current.text = current.text.trim();
        open.pop();
      } else {
        const element: Element = { name, children: [], text: '' };
        current.children.push(element);
        if (selfClosing !== '/') open.push(element);
      }
    } else if (!whole.startsWith('<')) {
      current.text += resolve(whole, fail);
    }
  }
  if (open.length > 1) throw fail(`<${(open[open.length - 1] as Element).name}> is never closed`);
  const [root, ...more] = document.children;
  if (root === undefined || more.length > 0) throw fail(`${document.children.length} root elements; one expected`);
  return root;
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
  readonly box: { readonly xmin: number; readonly ymin: number; readonly xmax: number; readonly ymax: number };
}

/** What a VOC annotation says. */
export interface Annotation {
  readonly width: number;
  readonly height: number;
  readonly objects: readonly AnnotatedObject[];
}

/**
 * Reads a VOC annotation (2007 to 2012, and tools that write the same). Throws a `JobError` that names the file for XML that is broken, for a size or a box
 * that is missing or no number, and for a box that is empty. Boxes are cut at the picture's edge.
 */
export function parseAnnotation(xml: string, path: string): Annotation {
  const fail = (what: string): JobError => new JobError(`${path}: ${what}`);
  const root = parseXml(xml.replace(/^\uFEFF/, ''), fail);
  if (root.name !== 'annotation') throw fail(`root element <${root.name}>; <annotation> expected`);
  const child = ({ children, name }: Element, wanted: string): Element => {
    const found = children.find((element) => element.name === wanted);
    if (found === undefined) throw fail(`no <${wanted}> in <${name}>`);
    return found;
  };
  const number = (parent: Element, name: string): number => {
    const { text } = child(parent, name);
    const value = Number(text);
    if (text === '' || !Number.isFinite(value)) throw fail(`<${name}> is ${JSON.stringify(text)}; a number expected`);
    return value;
  };
  const size = child(root, 'size');
  const width = number(size, 'width');
  const height = number(size, 'height');
  if (!(width > 0 && height > 0)) throw fail(`a size of ${width} x ${height}`);
  const objects = root.children
    .filter(({ name }) => name === 'object')
    .map((object): AnnotatedObject => {
      // Parts of a person have boxes of their own, deeper down: only direct children count.
      const name = child(object, 'name').text;
      if (name === '') throw fail('<name> of an object is empty');
      const corners = child(object, 'bndbox');
      const box = {
        xmin: Math.max(0, number(corners, 'xmin') - 1),
        ymin: Math.max(0, number(corners, 'ymin') - 1),
        xmax: Math.min(width, number(corners, 'xmax')),
        ymax: Math.min(height, number(corners, 'ymax')),
      };
      if (!(box.xmax > box.xmin && box.ymax > box.ymin)) {
        throw fail(`the box of a ${name} is empty: ${JSON.stringify(box)} within ${width} x ${height}`);
      }
      const difficult = object.children.find((element) => element.name === 'difficult')?.text ?? '';
      return { name, difficult: difficult !== '' && difficult !== '0', box };
    });
  return { width, height, objects };
}
