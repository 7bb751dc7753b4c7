import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { LabelledPicture } from './vocExamples.ts';
import type { GroundTruth } from '../raster/boxes.ts';
import { JobError } from '../errors.ts';
import type { Mask, Picture } from '../raster/raster.ts';
import type { SegmentedPicture } from './vocExamples.ts';
import { partRemark } from './dataSet.ts';
import { decodeWhole, imageSize } from './decode.ts';
import { findPlace, notFound } from './locate.ts';
import { VOC_CLASSES } from './vocClasses.ts';
import { readSbdMask } from './vocMat.ts';
import { readIndexedPng } from './vocPng.ts';
import { parseAnnotation } from './vocXml.ts';

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
  readonly test: Examples<E>;
  /** The folder that it came from. */
  readonly source: string;
  /** What a reader of results must know: that the files are a part of the published set. */
  readonly remark?: string;
}

/** Pictures of the published splits: segmentation with SBD's annotations (10,582 and 1,449), detection on 2007 + 2012 (16,551 and 4,952). */
export const VOC_COUNTS = { segmentation: [10582, 1449], detection: [16551, 4952] } as const;

/** Pictures of VOC 2012's test list for segmentation. Their masks are not published: nothing here trains or tests on them. */
const VOC_TEST_PICTURES = 1456;

async function readText(path: string): Promise<string> {
  return (await readBytes(path)).toString('utf8');
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new JobError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** A picture from an image file. */
export async function readPicture(path: string): Promise<Picture> {
  const [height, width] = await imageSize(path);
  const bytes = new Uint8Array(width * height * 3);
  await decodeWhole(path, [height, width], bytes);
  return { width, height, data: Float32Array.from(bytes) };
}

/** The names in a list of `ImageSets`: the first word of each line. */
async function readList(path: string): Promise<string[]> {
  const lines = (await readText(path)).split('\n').map((line) => line.trim().split(/\s+/)[0] as string);
  return lines.filter((name) => name !== '');
}

/** Stems of the files in a folder that end so, sorted; none where the folder is missing. */
async function stems(folder: string, suffix: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const names = await readdir(folder);
  return names
    .filter((name) => name.endsWith(suffix))
    .map((name) => basename(name, suffix))
    .sort();
}

/** The folder with `VOC2012`, or one year's own folder for sets in its layout. */
interface Place {
  readonly root: string;
  /** Years in it; one without a name where the root itself has the layout. */
  readonly years: readonly string[];
}

const LAYOUT = 'JPEGImages';

function findVoc(folders: readonly string[]): Place {
  const marks = ['VOC2012', 'VOC2007', LAYOUT];
  const root = findPlace(folders, 'voc', ['VOCdevkit'], marks);
  if (root === undefined) throw notFound('voc', 'VOCdevkit/VOC2012', folders);
  const years = ['VOC2012', 'VOC2007'].filter((year) => existsSync(join(root, year)));
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

function examples<E>(samples: readonly Sample[], read: (sample: Sample) => Promise<E>): Examples<E> {
  const at = (index: number): Sample => {
    const sample = samples[index];
    if (sample === undefined) throw new RangeError(`index must be below ${samples.length}, got ${index}`);
    return sample;
  };
  return { count: samples.length, path: (index) => at(index).picture, read: (index) => read(at(index)) };
}

function vocSet<E>(
  source: string,
  read: (sample: Sample) => Promise<E>,
  train: readonly Sample[],
  test: readonly Sample[],
  remark: string | undefined,
): VocSet<E> {
  return {
    name: 'voc',
    classes: VOC_CLASSES,
    train: examples(train, read),
    test: examples(test, read),
    source,
    ...(remark === undefined ? {} : { remark }),
  };
}

async function readMask(path: string): Promise<Mask> {
  const bytes = await readBytes(path);
  return path.endsWith('.mat') ? readSbdMask(bytes, path) : readIndexedPng(bytes, path);
}

async function readSegmented({ picture: path, annotation }: Sample): Promise<SegmentedPicture> {
  const [picture, mask] = await Promise.all([readPicture(path), readMask(annotation)]);
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
async function findSbd(folders: readonly string[], root: string, year: string): Promise<ReadonlyMap<string, string>> {
  const places = [
    { folder: join(root, year, 'SegmentationClassAug'), suffix: '.png' },
    ...[...folders, ...folders.flatMap((folder) => [join(folder, 'voc'), join(folder, 'sbd')]), root].flatMap(
      (folder) => [
        { folder: join(folder, 'benchmark_RELEASE/dataset/cls'), suffix: '.mat' },
        { folder: join(folder, 'sbd/cls'), suffix: '.mat' },
      ],
    ),
  ];
  for (const { folder, suffix } of places) {
    const names = await stems(folder, suffix);
    if (names.length > 0) return new Map(names.map((name) => [name, join(folder, name + suffix)]));
  }
  return new Map();
}

/** What is not as published of the test pictures, which have no masks; undefined where their list is not in the folder. */
async function testListRemark(folder: string): Promise<string | undefined> {
  const path = join(folder, 'ImageSets/Segmentation/test.txt');
  if (!existsSync(path)) return undefined;
  const names = new Set(await readList(path));
  const there = new Set(await stems(join(folder, LAYOUT), '.jpg'));
  const missing = [...names].filter((name) => !there.has(name)).length;
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
  const year = years[0] as string;
  const folder = join(root, year);
  const sample = (name: string, annotation: string): Sample => ({
    picture: join(folder, LAYOUT, `${name}.jpg`),
    annotation,
  });
  const own = (name: string): Sample => sample(name, join(folder, 'SegmentationClass', `${name}.png`));
  const lists = join(folder, 'ImageSets/Segmentation');
  if (!existsSync(join(lists, 'train.txt'))) {
    const all = (await stems(join(folder, 'SegmentationClass'), '.png')).map(own);
    if (all.length === 0) throw notFound('voc', 'VOCdevkit/VOC2012/SegmentationClass', folders);
    return vocSet(root, readSegmented, all, all, WITHOUT_LISTS);
  }
  const [train, test] = await Promise.all(['train', 'val'].map((name) => readList(join(lists, `${name}.txt`))));
  const sbd = await findSbd(folders, root, year);
  const held = new Set([...(train as string[]), ...(test as string[])]);
  const extra = [...sbd].filter(([name]) => !held.has(name)).map(([name, path]) => sample(name, path));
  const samples = [...(train as string[]).map(own), ...extra];
  const counts = VOC_COUNTS.segmentation;
  const remark = partRemark([samples.length, (test as string[]).length], counts);
  const without = sbd.size === 0 ? "without SBD's extra annotations" : undefined;
  return vocSet(
    root,
    readSegmented,
    samples,
    (test as string[]).map(own),
    joinRemarks(without, remark, await testListRemark(folder)),
  );
}

/** The first `limit` pictures of both splits, or all there are: for quick trials (`--limit`). */
export function limitVoc<E>(set: VocSet<E>, limit: number | undefined): VocSet<E> {
  if (limit === undefined) return set;
  const cut = (split: Examples<E>): Examples<E> => ({ ...split, count: Math.min(split.count, limit) });
  return { ...set, train: cut(set.train), test: cut(set.test) };
}

/** The objects of a picture, boxes normalised. */
async function readLabelled({ picture: path, annotation }: Sample): Promise<LabelledPicture> {
  const [picture, xml] = await Promise.all([readPicture(path), readText(annotation)]);
  const { width, height, objects } = parseAnnotation(xml, annotation);
  if (picture.width !== width || picture.height !== height) {
    throw new JobError(
      `${annotation}: a size of ${width} x ${height}; ${picture.width} x ${picture.height} expected, as its picture has`,
    );
  }
  const truths = objects.map(({ name, difficult, box }): GroundTruth => {
    const label = (VOC_CLASSES as readonly string[]).indexOf(name);
    if (label < 1) throw new JobError(`${annotation}: class ${JSON.stringify(name)}; one of VOC's twenty expected`);
    const normalised = {
      xmin: box.xmin / width,
      ymin: box.ymin / height,
      xmax: box.xmax / width,
      ymax: box.ymax / height,
    };
    return { box: normalised, label, difficult };
  });
  return { picture, truths };
}

/** VOC for detection: trained on 2007 and 2012 trainval, tested on 2007 test; with one year only, on its trainval and its val. */
export async function loadVocDetection(folders: readonly string[]): Promise<VocSet<LabelledPicture>> {
  const { root, years } = findVoc(folders);
  const list = async (year: string, name: string): Promise<Sample[] | undefined> => {
    const path = join(root, year, 'ImageSets/Main', `${name}.txt`);
    if (!existsSync(path)) return undefined;
    return (await readList(path)).map((stem) => ({
      picture: join(root, year, LAYOUT, `${stem}.jpg`),
      annotation: join(root, year, 'Annotations', `${stem}.xml`),
    }));
  };
  const train = (await Promise.all(years.map((year) => list(year, 'trainval')))).flatMap((samples) => samples ?? []);
  const test = years.includes('VOC2007') ? await list('VOC2007', 'test') : undefined;
  if (train.length > 0 && test !== undefined) {
    return vocSet(root, readLabelled, train, test, partRemark([train.length, test.length], VOC_COUNTS.detection));
  }
  const year = years[0] as string;
  const [own, held] = await Promise.all([list(year, 'train'), list(year, 'val')]);
  if (own !== undefined && held !== undefined) {
    const remark = `the lists train and val of ${year}, for want of 2007's test list`;
    return vocSet(
      root,
      readLabelled,
      own,
      held,
      joinRemarks(remark, partRemark([own.length, held.length], VOC_COUNTS.detection)),
    );
  }
  const names = await stems(join(root, year, 'Annotations'), '.xml');
  if (names.length === 0) throw notFound('voc', 'VOCdevkit/VOC2012/Annotations', folders);
  const all = names.map((name) => ({
    picture: join(root, year, LAYOUT, `${name}.jpg`),
    annotation: join(root, year, 'Annotations', `${name}.xml`),
  }));
  return vocSet(root, readLabelled, all, all, WITHOUT_LISTS);
}
