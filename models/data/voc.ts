import { join } from 'node:path';
import type { LabelledPicture } from './vocExamples.ts';
import type { GroundTruth } from '../raster/boxes.ts';
import { JobError } from '../errors.ts';
import type { Mask, Picture } from '../raster/raster.ts';
import { readInput } from '../storage/inputs.ts';
import type { SegmentedPicture } from './vocExamples.ts';
import { partRemark } from './dataSet.ts';
import { holdOut } from './holdOut.ts';
import { decodeAny, imageSize } from './decode.ts';
import { Oddities, isImageName, listIfThere } from './listing.ts';
import { findPlace, notFound, places, within } from './locate.ts';
import { decodeText, readLines } from './text.ts';
import { VOC_CLASSES } from './vocClasses.ts';
import { readSbdMask } from './vocMat.ts';
import { readIndexedPng } from './vocPng.ts';
import type { Annotation } from './vocXml.ts';
import { cutBox, parseAnnotation } from './vocXml.ts';

/** Examples that are read from files when they are asked for. */
export interface Examples<E> {
  readonly count: number;
  /** The picture's file. */
  path(index: number): string;
  /** Rejects with a `JobError` that names the file. */
  read(index: number): Promise<E>;
}

/** PASCAL VOC for one task. */
export interface VocSet<E> {
  readonly name: 'voc';
  /** By number, the background first. */
  readonly classes: readonly string[];
  readonly train: Examples<E>;
  /** Of the training pictures, what is held out to choose settings by. Default: none. */
  readonly validation?: Examples<E>;
  readonly test: Examples<E>;
  /** The folder that it came from. */
  readonly source: string;
  /** What a reader of results must know: that the files are a part of the published set. */
  readonly remark?: string;
  /** What is odd about the files, a sentence a kind with its count. */
  readonly oddities: readonly string[];
}

/** Pictures of the published splits: segmentation with SBD's annotations (10,582 and 1,449), detection on 2007 + 2012 (16,551 and 4,952). */
export const VOC_COUNTS = { segmentation: [10582, 1449], detection: [16551, 4952] } as const;

/** Pictures of VOC 2012's test list for segmentation. Their masks are not published: nothing here trains or tests on them. */
const VOC_TEST_PICTURES = 1456;

/** Pixels of a picture, at most: VOC's have 250,000, a camera's 12 or 16 millions. They are held as floats. */
const PICTURE_PIXELS = 2 ** 24;
/** Of a file with a mask, in bytes. */
const MASK_BYTES = 2 ** 26;

/** A picture from an image file. */
export async function readPicture(path: string): Promise<Picture> {
  const { size, bytes } = await decodeAny(path, PICTURE_PIXELS);
  return { width: size[1], height: size[0], data: Float32Array.from(bytes) };
}

/** A name as it is compared: macOS writes é as e with an accent behind it, others as one character. */
const composed = (name: string): string => name.normalize('NFC');

/** Files of a folder by their names without the ending, composed; of two that differ in it, the first by code units. */
type Stems = ReadonlyMap<string, string>;

/** None where the folder is missing. */
function stems(folder: string | undefined, isWanted: (name: string) => boolean, oddities: Oddities): Stems {
  const found = new Map<string, string>();
  if (folder === undefined) return found;
  const { files, folders } = listIfThere(folder, oddities);
  for (const name of folders) oddities.add('folders within, left out', join(folder, name));
  for (const name of files) {
    const path = join(folder, name);
    const stem = composed(name.replace(/\.\w+$/, ''));
    if (!isWanted(name)) oddities.add('files of another kind, left out', path);
    else if (found.has(stem)) oddities.add('files that differ from another in their ending alone, left out', path);
    else found.set(stem, path);
  }
  return found;
}

const endsWith =
  (pattern: RegExp) =>
  (name: string): boolean =>
    pattern.test(name);
const isAnnotation = endsWith(/\.xml$/i);
const withoutEnding = (name: string): string => name.replace(/\.(jpe?g|jpe|jfif|png|webp|tiff?|gif|bmp)$/i, '');
const isMask = endsWith(/\.png$/i);

/**
 * The names in a list of `ImageSets`: the first of all of the line, its first word, the last part of a path and what stands before a comma that a picture is called, with its ending or
 * without; else the first word.
 */
function readList(path: string, pictures: Stems): string[] {
  return readLines(path).map((text) => {
    const line = composed(text);
    const [word] = line.split(/\s+/) as [string];
    const [cell] = line.split(/[,;\t]/) as [string];
    const bare = (name: string): string => name.replaceAll(/^["']+|["']+$/g, '').replace(/^.*[/\\]/, '');
    const readings = [line, word, cell, ...[line, word, cell].map(bare)].flatMap((name) => [name, withoutEnding(name)]);
    return readings.find((name) => pictures.has(name)) ?? withoutEnding(word);
  });
}

/** The folder with `VOC2012`, or one year's own folder for sets in its layout. */
interface Place {
  readonly root: string;
  /** Years in it; one without a name where the root itself has the layout. */
  readonly years: readonly string[];
}

const LAYOUT = 'JPEGImages';

function findVoc(folders: readonly string[]): Place {
  const root = findPlace(folders, 'voc', ['VOCdevkit'], ['VOC2012', 'VOC2007', LAYOUT]);
  if (root === undefined) throw notFound('voc', 'VOCdevkit/VOC2012', folders);
  const years = ['VOC2012', 'VOC2007'].filter((year) => within(root, year) !== undefined);
  return { root, years: years.length === 0 ? ['.'] : years };
}

const WITHOUT_LISTS =
  'no ImageSets in the folder: all pictures with annotations train, and the same ones test; figures say nothing about new pictures';

function joinRemarks(...remarks: readonly (string | undefined)[]): string | undefined {
  const said = remarks.filter((remark) => remark !== undefined);
  return said.length === 0 ? undefined : said.join('; ');
}

interface Sample {
  readonly picture: string;
  readonly annotation: string;
}

/** The folders of one year, or of a set in its layout, and the pictures in it. */
interface Year {
  readonly folder: string;
  readonly pictures: Stems;
}

function yearOf(root: string, year: string, oddities: Oddities): Year {
  const folder = within(root, year) ?? join(root, year);
  return { folder, pictures: stems(within(folder, LAYOUT), isImageName, oddities) };
}

/** Names with the files that belong to them; those that lack one are counted as left out. */
function pair(
  names: readonly string[],
  pictures: Stems,
  annotations: Stems,
  where: Year,
  oddities: Oddities,
): Sample[] {
  return names.flatMap((name) => {
    const [picture, annotation] = [pictures.get(name), annotations.get(name)];
    if (picture === undefined) oddities.add('pictures that are not there, left out', join(where.folder, LAYOUT, name));
    else if (annotation === undefined) oddities.add('pictures without an annotation, left out', picture);
    return picture === undefined || annotation === undefined ? [] : [{ picture, annotation }];
  });
}

/** Some tools call the annotation of `a.jpg` `a.jpg.xml`. */
function namedByPicture(annotations: Stems, pictures: Stems): Stems {
  const named = new Map(annotations);
  for (const [stem, path] of annotations) {
    const plain = withoutEnding(stem);
    if (plain === stem || pictures.has(stem) || named.has(plain)) continue;
    named.delete(stem);
    named.set(plain, path);
  }
  return named;
}

function examples<S extends Sample, E>(samples: readonly S[], read: (sample: S) => Promise<E>): Examples<E> {
  const at = (index: number): S => {
    const sample = samples[index];
    if (sample === undefined) throw new RangeError(`index must be below ${samples.length}, got ${index}`);
    return sample;
  };
  return { count: samples.length, path: (index) => at(index).picture, read: (index) => read(at(index)) };
}

interface VocParts<S extends Sample, E> {
  readonly source: string;
  readonly read: (sample: S) => Promise<E>;
  readonly train: readonly S[];
  readonly test: readonly S[];
  readonly remark: string | undefined;
  readonly oddities: Oddities;
}

/** Throws a `JobError` when a split is empty. */
function vocSet<S extends Sample, E>({ source, read, train, test, remark, oddities }: VocParts<S, E>): VocSet<E> {
  if (train.length === 0 || test.length === 0) {
    const counts = `${train.length} training and ${test.length} test pictures`;
    throw new JobError([`${source}: ${counts}`, ...oddities.said].join('; '));
  }
  return {
    name: 'voc',
    classes: VOC_CLASSES,
    train: examples(train, read),
    test: examples(test, read),
    source,
    ...(remark === undefined ? {} : { remark }),
    oddities: oddities.said,
  };
}

function readMask(path: string): Mask {
  const bytes = readInput(path, MASK_BYTES);
  return /\.mat$/i.test(path) ? readSbdMask(bytes, path) : readIndexedPng(bytes, path);
}

async function readSegmented({ picture: path, annotation }: Sample): Promise<SegmentedPicture> {
  const [picture, mask] = [await readPicture(path), readMask(annotation)];
  if (picture.width !== mask.width || picture.height !== mask.height) {
    throw new JobError(
      `${annotation}: ${mask.width} x ${mask.height} pixels; ${picture.width} x ${picture.height} expected, as its picture has`,
    );
  }
  const wrong = mask.data.find((label) => label >= VOC_CLASSES.length && label !== 255);
  if (wrong !== undefined) throw new JobError(`${annotation}: class ${wrong}; 0 to 20 or 255 expected`);
  return { picture, mask };
}

/** SBD's masks by picture name: a folder of PNG files (`SegmentationClassAug`), or the published `.mat` files. */
function findSbd(folders: readonly string[], { folder: year }: Year, root: string, oddities: Oddities): Stems {
  const augmented = stems(within(year, 'SegmentationClassAug'), isMask, oddities);
  if (augmented.size > 0) return augmented;
  for (const place of [...places(folders, 'voc', []), ...places(folders, 'sbd', []), root]) {
    for (const folder of ['benchmark_RELEASE/dataset/cls', 'sbd/cls']) {
      const names = stems(within(place, folder), endsWith(/\.mat$/i), oddities);
      if (names.size > 0) return names;
    }
  }
  return new Map();
}

/** What is not as published of the test pictures, which have no masks; undefined where their list is not in the folder. */
function testListRemark({ folder, pictures }: Year): string | undefined {
  const path = within(folder, 'ImageSets/Segmentation/test.txt');
  if (path === undefined) return undefined;
  const names = new Set(readList(path, pictures));
  const missing = [...names].filter((name) => !pictures.has(name)).length;
  const said = (count: number): string => count.toLocaleString('en');
  return joinRemarks(
    names.size === VOC_TEST_PICTURES
      ? undefined
      : `its test list has ${said(names.size)} pictures, ${said(VOC_TEST_PICTURES)} are published`,
    missing === 0 ? undefined : `pictures of its test list that are missing: ${said(missing)}`,
  );
}

/**
 * VOC 2012 for segmentation, trained on with SBD's extra annotations where they are there: VOC's training pictures and all of SBD's, without those of VOC's
 * validation list, which is what testing uses. VOC's own mask is taken where both have one. The test list, without masks, is only checked.
 */
export async function loadVocSegmentation(folders: readonly string[]): Promise<VocSet<SegmentedPicture>> {
  const { root, years } = findVoc(folders);
  const oddities = new Oddities();
  const year = yearOf(root, years[0] as string, oddities);
  const { folder, pictures } = year;
  const own = stems(within(folder, 'SegmentationClass'), isMask, oddities);
  const list = (name: string): string[] | undefined => {
    const path = within(folder, `ImageSets/Segmentation/${name}.txt`);
    return path === undefined ? undefined : readList(path, pictures);
  };
  const parts = { source: root, read: readSegmented, oddities };
  const [trainNames, testNames] = [list('train'), list('val')];
  if (trainNames === undefined || testNames === undefined) {
    if (own.size === 0)
      throw notFound('voc', ['VOCdevkit/VOC2012/SegmentationClass/*.png', ...oddities.said].join(', but '), folders);
    const all = pair([...own.keys()], pictures, own, year, oddities);
    return vocSet({ ...parts, train: all, test: all, remark: WITHOUT_LISTS });
  }
  const sbd = findSbd(folders, year, root, oddities);
  const held = new Set([...trainNames, ...testNames]);
  const train = [
    ...pair(trainNames, pictures, own, year, oddities),
    ...pair([...sbd.keys()].filter((name) => !held.has(name)), pictures, sbd, year, oddities), // prettier-ignore
  ];
  const test = pair(testNames, pictures, own, year, oddities);
  const without = sbd.size === 0 ? "without SBD's extra annotations" : undefined;
  const remark = joinRemarks(
    without,
    partRemark([train.length, test.length], VOC_COUNTS.segmentation),
    testListRemark(year),
  );
  return vocSet({ ...parts, train, test, remark });
}

/** The first `limit` pictures of both splits, or all there are: for quick trials (`--limit`). */
export function limitVoc<E>(set: VocSet<E>, limit: number | undefined): VocSet<E> {
  if (limit === undefined) return set;
  const cut = (split: Examples<E>): Examples<E> => ({ ...split, count: Math.min(split.count, limit) });
  return { ...set, train: cut(set.train), test: cut(set.test) };
}

/** A set with `validation` of its training pictures held out; as it is where that is undefined. Throws as `heldOut` does. */
export function holdOutVoc<E>(set: VocSet<E>, validation: number | undefined): VocSet<E> {
  return holdOut(set, validation, (split: Examples<E>, numbers) => ({
    count: numbers.length,
    path: (index) => split.path(numbers[index] as number),
    read: (index) => split.read(numbers[index] as number),
  }));
}

/** A picture with what its annotation says, which was read when the set was loaded. */
interface LabelledSample extends Sample {
  /** Of the picture, as the annotation has it. */
  readonly size: { readonly width: number; readonly height: number };
  /** Boxes normalised. */
  readonly truths: readonly GroundTruth[];
}

async function readLabelled({ picture: path, annotation, size, truths }: LabelledSample): Promise<LabelledPicture> {
  const picture = await readPicture(path);
  const { width, height } = size;
  if (picture.width !== width || picture.height !== height) {
    throw new JobError(
      `${annotation}: a size of ${width} x ${height}; ${picture.width} x ${picture.height} expected, as its picture has`,
    );
  }
  return { picture, truths: [...truths] };
}

/** VOC's number of a class, however a tool writes its name: `TV monitor` is `tvmonitor`. */
function labelOf(name: string): number {
  const plain = name.toLowerCase().replace(/[\s_-]+/g, '');
  return (VOC_CLASSES as readonly string[]).indexOf(plain);
}

/** The objects of a picture; those of which nothing lies within it are counted as left out. */
function truthsOf(
  { objects }: Annotation,
  { width, height }: LabelledSample['size'],
  path: string,
  oddities: Oddities,
): GroundTruth[] {
  // prettier-ignore
  return objects.flatMap(({ name, difficult, box }): GroundTruth[] => {
    const label = labelOf(name);
    if (label < 1) throw new JobError(`${path}: class ${JSON.stringify(name)}; one of VOC's twenty expected`);
    const cut = cutBox(box, width, height);
    if (cut === undefined) {
      oddities.add('boxes that are empty, or outside of their picture, left out', path);
      return [];
    }
    const { xmin, ymin, xmax, ymax } = cut;
    const normalised = { xmin: xmin / width, ymin: ymin / height, xmax: xmax / width, ymax: ymax / height };
    return [{ box: normalised, label, difficult }];
  });
}

/** Of an annotation, in bytes. */
const LARGEST_ANNOTATION = 2 ** 22;

async function readAnnotation(sample: Sample, oddities: Oddities): Promise<LabelledSample> {
  const { picture, annotation: path } = sample;
  const annotation = parseAnnotation(decodeText(readInput(path, LARGEST_ANNOTATION)), path);
  for (const what of annotation.odd) oddities.add(what, path);
  let { size } = annotation;
  if (size === undefined) {
    const [height, width] = await imageSize(picture);
    size = { width, height };
  }
  if (annotation.objects.length === 0) oddities.add('annotations without an object', path);
  return { ...sample, size, truths: truthsOf(annotation, size, path, oddities) };
}

/** One after the other: they are small, and the first that is broken is named whatever the disk does. */
async function readAnnotations(samples: readonly Sample[], oddities: Oddities): Promise<LabelledSample[]> {
  const read: LabelledSample[] = [];
  for (const sample of samples) read.push(await readAnnotation(sample, oddities));
  return read;
}

/**
 * VOC for detection: trained on 2007 and 2012 trainval, tested on 2007 test; with one year only, on its trainval and its val. All annotations are read now,
 * so that what is broken is known before anything is trained. Rejects with a `JobError` that names the file.
 */
export async function loadVocDetection(folders: readonly string[]): Promise<VocSet<LabelledPicture>> {
  const { root, years } = findVoc(folders);
  const oddities = new Oddities();
  const read = new Map(
    years.map((name) => {
      const year = yearOf(root, name, oddities);
      return [
        name,
        {
          ...year,
          annotations: namedByPicture(stems(within(year.folder, 'Annotations'), isAnnotation, oddities), year.pictures),
        },
      ] as const;
    }),
  );
  const list = (name: string, split: string): Sample[] | undefined => {
    const year = read.get(name);
    const path = year === undefined ? undefined : within(year.folder, `ImageSets/Main/${split}.txt`);
    if (year === undefined || path === undefined) return undefined;
    return pair(readList(path, year.pictures), year.pictures, year.annotations, year, oddities);
  };
  const finish = async (
    train: Sample[],
    test: Sample[],
    remark: string | undefined,
  ): Promise<VocSet<LabelledPicture>> => {
    const [trained, tested] = [
      await readAnnotations(train, oddities),
      // Without lists both are the same, and what is odd about them is counted once.
      await readAnnotations(test, test === train ? new Oddities() : oddities),
    ];
    return vocSet({ source: root, read: readLabelled, train: trained, test: tested, remark, oddities });
  };
  const part = (train: Sample[], test: Sample[]): string | undefined => partRemark([train.length, test.length], VOC_COUNTS.detection); // prettier-ignore
  const train = years.flatMap((year) => list(year, 'trainval') ?? []);
  const test = list('VOC2007', 'test');
  if (train.length > 0 && test !== undefined) return finish(train, test, part(train, test));
  const year = years[0] as string;
  const [own, held] = [list(year, 'train'), list(year, 'val')];
  if (own !== undefined && held !== undefined) {
    const remark = `the lists train and val of ${year}, for want of 2007's test list`;
    return finish(own, held, joinRemarks(remark, part(own, held)));
  }
  const { annotations, pictures, ...place } = read.get(year) as Year & { readonly annotations: Stems };
  if (annotations.size === 0)
    throw notFound('voc', ['VOCdevkit/VOC2012/Annotations/*.xml', ...oddities.said].join(', but '), folders);
  const all = pair([...annotations.keys()], pictures, annotations, { ...place, pictures }, oddities);
  return finish(all, all, WITHOUT_LISTS);
}
